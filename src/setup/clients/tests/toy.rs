//! A client that is not of the product: a row, and nothing else knows of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    super::{
        Clients, Entry,
        spec::{ClientSpec, Form, Spot},
        write::with_home,
    },
    entry,
};

const TOY: ClientSpec = ClientSpec {
    word: "toy",
    file: Some(Spot::Project(".toy/servers.json")),
    form: Form::Json { key: "toys", shape },
    hides: &[Spot::Home(".toy/logins")],
    control: &[".toy"],
};

const WITH_TOY: Clients = Clients(&[&super::json::CLIENT, &TOY]);

fn shape(entry: &Entry) -> Value {
    with_home(json!({"wind_up": entry.command}), "batteries", entry)
}

#[test]
fn a_new_client_is_a_row() {
    assert_eq!(WITH_TOY.words(), "json, toy");
    let toy = WITH_TOY.find("toy").unwrap();
    let project = tempfile::tempdir().unwrap();
    let file = toy.file(Path::new("/home/u"), project.path()).unwrap();
    toy.write(&file, &entry()).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    let ours = json!({"wind_up": "/bin/authy-mcp", "batteries": {"AUTHY_MCP_HOME": "/h"}});
    assert_eq!(written, json!({"toys": {"authy-mcp": ours}}));
    assert_eq!(text, toy.text(&entry()));
}

#[test]
fn its_example_and_what_is_hidden_of_it_follow() {
    let examples = WITH_TOY.examples();
    let names: Vec<&str> = examples.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["json.json", "toy.json", "AGENTS.md"]);
    assert!(examples[1].1.contains("\"toys\"") && !examples[1].1.contains("batteries"), "{}", examples[1].1);
    assert_eq!(
        WITH_TOY.hidden_in_home(Path::new("/home/u")),
        ["/home/u/.toy/logins", "/home/u/.toy/servers.json"].map(PathBuf::from)
    );
    assert_eq!(WITH_TOY.hidden_in_projects(), [PathBuf::from(".toy/servers.json")]);
}
