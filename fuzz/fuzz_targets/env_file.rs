//! `.env` files: what is read is what is written there, nothing expanded; and written anew it is read as the same.

#![no_main]

use std::collections::BTreeSet;

use authy_mcp::testing::setup::importers::{Candidate, env_file};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let entries: Vec<Candidate> = match env_file::read(text) {
        Ok(candidates) => candidates.into_iter().collect(),
        Err(error) => return assert!((1..=text.split('\n').count()).contains(&error.line)),
    };
    let lines: Vec<&str> = text.split('\n').collect();
    assert!(entries.windows(2).all(|pair| pair[0].line < pair[1].line));
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names.len(), entries.len());
    for entry in &entries {
        let (name, written) = lines[entry.line - 1].split_once('=').expect("an entry has a =");
        assert!(name.trim().ends_with(entry.name.as_str()));
        assert!(!entry.value.contains('\0'));
        if !written.trim_start().starts_with(['"', '\'']) {
            assert!(written.contains(entry.value.as_str()) && !entry.value.starts_with('#'));
            assert!(
                !entry.value.contains(" #") && !entry.value.contains("\t#"),
                "{:?}",
                entry.value.as_str()
            );
        }
    }
    let again = env_file::read(&written(&entries)).expect("what was written can be read");
    let again: Vec<Candidate> = again.into_iter().collect();
    let pairs = |entries: &[Candidate]| -> Vec<_> {
        entries.iter().map(|entry| (entry.name.clone(), entry.value.to_string())).collect()
    };
    assert_eq!(pairs(&again), pairs(&entries));
});

/// In double quotes, in which every character has a way to be written.
fn written(entries: &[Candidate]) -> String {
    let mut text = String::new();
    for entry in entries {
        text.push_str(&format!("export {}=\"", entry.name));
        for c in entry.value.chars() {
            match c {
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                c @ ('"' | '\\' | '$' | '`') => text.extend(['\\', c]),
                c => text.push(c),
            }
        }
        text.push_str("\"\n");
    }
    text
}
