//! Cursor.

use super::{
    spec::{ClientSpec, Form, Spot},
    write::plain,
};

pub(super) const CLIENT: ClientSpec = ClientSpec {
    word: "cursor",
    file: Some(Spot::Home(".cursor/mcp.json")),
    form: Form::Json { key: "mcpServers", shape: plain },
    hides: &[Spot::Home(".cursor"), Spot::Project(".cursor/mcp.json")],
    control: &[".cursor"],
};
