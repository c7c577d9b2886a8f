//! Codex.

use super::spec::{ClientSpec, Form, Spot};

pub(super) const CLIENT: ClientSpec = ClientSpec {
    word: "codex",
    file: Some(Spot::Home(".codex/config.toml")),
    form: Form::Toml { key: "mcp_servers" },
    hides: &[Spot::Home(".codex"), Spot::Project(".codex/config.toml")],
    control: &[".codex"],
};
