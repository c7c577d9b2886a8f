//! Visual Studio Code: `.vscode/mcp.json` in the project.

use serde_json::{Value, json};

use super::{
    spec::{ClientSpec, Entry, Form, Spot},
    write::with_home,
};

pub(super) const CLIENT: ClientSpec = ClientSpec {
    word: "vscode",
    file: Some(Spot::Project(".vscode/mcp.json")),
    form: Form::Json { key: "servers", shape },
    hides: &[Spot::Home(".config/Code/User")],
    control: &[".vscode"],
};

fn shape(entry: &Entry) -> Value {
    let shape = json!({"type": "stdio", "command": entry.command.display().to_string(), "args": entry.args});
    with_home(shape, "env", entry)
}
