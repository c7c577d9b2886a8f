//! Entries, as they stand in each client's file.

mod toy;

use std::{collections::BTreeSet, fs};

use super::*;

fn entry() -> Entry {
    Entry { command: "/bin/authy-mcp".into(), args: vec!["serve".into()], home: Some("/h".into()) }
}

#[test]
fn other_entries_stay() {
    let dir = tempfile::tempdir().unwrap();
    for (client, before, kept) in [
        (&cursor::CLIENT, "{\"mcpServers\": {\"other\": {\"command\": \"x\"}}, \"theme\": 1}", "other"),
        (&codex::CLIENT, "# mine\nmodel = \"m\"\n[mcp_servers.other]\ncommand = \"x\"\n", "# mine"),
    ] {
        let file = dir.path().join(client.word);
        fs::write(&file, before).unwrap();
        client.write(&file, &entry()).unwrap();
        client.write(&file, &entry()).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.contains(kept)
                && text.matches("authy-mcp\"").count() + text.matches("[mcp_servers.authy-mcp]").count() >= 1,
            "{text}"
        );
        let backup = dir.path().join(format!("{}.bak", client.word));
        assert!(fs::read_to_string(backup).unwrap().contains(kept));
    }
}

#[test]
fn what_cannot_be_parsed_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings.json");
    fs::write(&file, "// comments\n{}").unwrap();
    assert!(matches!(zed::CLIENT.write(&file, &entry()), Err(WriteError::NotPlain { .. })));
    assert_eq!(fs::read_to_string(&file).unwrap(), "// comments\n{}");
    assert!(matches!(goose::CLIENT.write(&file, &entry()), Err(WriteError::ByHand)));
}

#[test]
fn every_client_has_an_entry_with_absolute_paths() {
    for client in Clients::all().rows() {
        let text = client.text(&entry());
        assert!(
            text.contains("/bin/authy-mcp") && text.contains("serve") && text.contains("/h"),
            "{}: {text}",
            client.word
        );
        assert_eq!(Clients::all().find(client.word).map(|found| found.word), Some(client.word));
    }
}

#[test]
fn no_two_clients_have_a_word_in_common() {
    let words: BTreeSet<&str> = Clients::all().rows().map(|client| client.word).collect();
    assert_eq!(words.len(), Clients::all().rows().count());
    assert!(!words.contains("agents-md"), "which is no client");
}
