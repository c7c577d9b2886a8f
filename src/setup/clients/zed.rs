//! Zed.

use serde_json::{Value, json};

use super::{
    spec::{ClientSpec, Entry, Form, Spot},
    write::with_home,
};

pub(super) const CLIENT: ClientSpec = ClientSpec {
    word: "zed",
    file: Some(Spot::Home(".config/zed/settings.json")),
    form: Form::Json { key: "context_servers", shape },
    hides: &[Spot::Home(".config/zed")],
    control: &[".zed"],
};

fn shape(entry: &Entry) -> Value {
    let shape =
        json!({"source": "custom", "command": entry.command.display().to_string(), "args": entry.args});
    with_home(shape, "env", entry)
}
