//! Claude Code: \`.mcp.json\` in the project.

use super::{
    spec::{ClientSpec, Form, Spot},
    write::plain,
};

pub(super) const CLIENT: ClientSpec = ClientSpec {
    word: "claude-code",
    file: Some(Spot::Project(".mcp.json")),
    form: Form::Json { key: "mcpServers", shape: plain },
    hides: &[Spot::Home(".claude"), Spot::Home(".claude.json"), Spot::Project(".claude/settings.local.json")],
    control: &[".mcp.json", ".claude", ".claude.json"],
};
