//! Windsurf.

use super::{
    spec::{ClientSpec, Form, Spot},
    write::plain,
};

pub(super) const CLIENT: ClientSpec = ClientSpec {
    word: "windsurf",
    file: Some(Spot::Home(".codeium/windsurf/mcp_config.json")),
    form: Form::Json { key: "mcpServers", shape: plain },
    hides: &[Spot::Home(".codeium")],
    control: &[".windsurf"],
};
