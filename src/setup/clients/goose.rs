//! Goose.

use super::spec::{ClientSpec, Entry, Form, Spot};
use crate::setup::HOME;

pub(super) const CLIENT: ClientSpec = ClientSpec {
    word: "goose",
    file: Some(Spot::Home(".config/goose/config.yaml")),
    form: Form::Yaml(text),
    hides: &[Spot::Home(".config/goose")],
    control: &[".goose"],
};

fn text(entry: &Entry) -> String {
    // JSON strings are YAML strings (YAML 1.2).
    let quote = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let mut text =
        String::from("extensions:\n  authy-mcp:\n    name: authy-mcp\n    type: stdio\n    enabled: true\n");
    text += &format!("    cmd: {}\n    args:\n", quote(&entry.command.display().to_string()));
    for arg in &entry.args {
        text += &format!("      - {}\n", quote(arg));
    }
    if let Some(home) = &entry.home {
        text += &format!("    envs:\n      {HOME}: {}\n", quote(&home.display().to_string()));
    }
    text
}
