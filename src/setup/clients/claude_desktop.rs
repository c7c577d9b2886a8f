//! Claude Desktop.

use super::{
    spec::{ClientSpec, Form, Spot},
    write::plain,
};

pub(super) const CLIENT: ClientSpec = ClientSpec {
    word: "claude-desktop",
    file: Some(Spot::Home(if cfg!(target_os = "macos") {
        "Library/Application Support/Claude/claude_desktop_config.json"
    } else {
        ".config/Claude/claude_desktop_config.json"
    })),
    form: Form::Json { key: "mcpServers", shape: plain },
    hides: &[Spot::Home(".config/Claude"), Spot::Home("Library/Application Support/Claude")],
    control: &[],
};
