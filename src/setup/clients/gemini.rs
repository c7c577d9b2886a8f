//! Gemini CLI.

use super::{
    spec::{ClientSpec, Form, Spot},
    write::plain,
};

pub(super) const CLIENT: ClientSpec = ClientSpec {
    word: "gemini",
    file: Some(Spot::Home(".gemini/settings.json")),
    form: Form::Json { key: "mcpServers", shape: plain },
    hides: &[Spot::Home(".gemini"), Spot::Project(".gemini/settings.json")],
    control: &[".gemini"],
};
