//! opencode: `opencode.json` in the project.

use serde_json::{Value, json};

use super::{
    spec::{ClientSpec, Entry, Form, Spot},
    write::with_home,
};

pub(super) const CLIENT: ClientSpec = ClientSpec {
    word: "opencode",
    file: Some(Spot::Project("opencode.json")),
    form: Form::Json { key: "mcp", shape },
    hides: &[Spot::Home(".config/opencode"), Spot::Home(".local/share/opencode")],
    control: &["opencode.json", "opencode.jsonc", ".opencode"],
};

/// Program and arguments are one list.
fn shape(entry: &Entry) -> Value {
    let mut whole = vec![entry.command.display().to_string()];
    whole.extend(entry.args.iter().cloned());
    with_home(json!({"type": "local", "command": whole, "enabled": true}), "environment", entry)
}
