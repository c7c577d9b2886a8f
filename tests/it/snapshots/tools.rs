//! What a server tells a model of itself: instructions, and each tool's words.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::golden;
use crate::stage::Stage;

#[test]
fn instructions_and_tools() {
    let stage = Stage::new();
    let mut server = stage.serve("s");
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
    let mut other = stage.serve("s");
    let id = other.send("initialize", params);
    let mut text = String::new();
    let answer = other.answer(id);
    let _ =
        writeln!(text, "# instructions\n{}", answer["result"]["instructions"].as_str().unwrap_or_default());
    let id = server.send("tools/list", json!({}));
    for tool in server.answer(id)["result"]["tools"].as_array().unwrap() {
        let word = |key: &str| tool[key].as_str().unwrap_or_default().to_owned();
        let _ = writeln!(text, "\n# {}\ntitle: {}\n{}", word("name"), tool["title"], word("description"));
        let _ = writeln!(text, "annotations: {}", tool["annotations"]);
        described(&tool["inputSchema"], "", &mut text);
    }
    golden::hold([("tools.txt", text.as_str())]);
}

/// The descriptions of a schema's properties.
fn described(schema: &Value, within: &str, text: &mut String) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{within}{name}");
        let _ = writeln!(text, "  {path}: {}", property["description"].as_str().unwrap_or_default());
        described(property, &format!("{path}."), text);
    }
}
