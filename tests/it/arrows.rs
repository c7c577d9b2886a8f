//! The arrows between the rooms point one way: every `use` and every path that names a room is held
//! against this table, which is the one in the crate's documentation.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Room → the rooms that it may know.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("names", &[]),
    ("value", &[]),
    ("files", &[]),
    ("system", &[]),
    ("clock", &[]),
    ("shown", &[]),
    ("listen", &[]),
    ("store", &["files", "system"]),
    ("redact", &["names", "value"]),
    ("terminal", &["redact"]),
    ("policy", &["names", "system"]),
    ("token", &["names"]),
    ("audit", &["names", "policy", "shown", "files"]),
    ("vault", &["names", "value", "policy", "audit", "store", "files", "clock"]),
    ("sandbox", &["policy", "system"]),
    ("supervise", &["policy", "sandbox"]),
    ("run", &["names", "value", "policy", "redact", "sandbox", "supervise", "files", "system", "terminal"]),
    ("proxy", &["names", "value", "policy", "redact", "system"]),
    ("delivery", &["names", "value", "policy", "audit", "redact", "sandbox", "run", "proxy", "system"]),
    (
        "broker",
        &[
            "names",
            "value",
            "policy",
            "token",
            "audit",
            "vault",
            "run",
            "sandbox",
            "supervise",
            "delivery",
            "redact",
            "files",
            "system",
            "clock",
        ],
    ),
    (
        "operator",
        &["names", "value", "policy", "token", "audit", "vault", "broker", "redact", "files", "clock"],
    ),
    ("daemon", &["names", "store", "broker", "redact", "run", "supervise", "files", "listen"]),
    ("mcp", &["names", "broker", "redact", "run", "policy", "listen"]),
    ("setup", &["names", "broker", "system"]),
    (
        "cli",
        &[
            "names",
            "value",
            "policy",
            "vault",
            "redact",
            "run",
            "sandbox",
            "supervise",
            "shown",
            "files",
            "listen",
            "broker",
            "operator",
            "daemon",
            "mcp",
            "setup",
            "terminal",
        ],
    ),
];

/// Crates that stand in certain rooms only.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("rmcp", &["mcp"]),
    ("axum", &["mcp", "daemon"]),
    ("hyper", &["daemon", "proxy", "listen"]),
    ("rustls", &["proxy"]),
    ("tokio_rustls", &["proxy"]),
    ("rcgen", &["proxy"]),
    ("aws_sigv4", &["proxy"]),
    ("fork", &["supervise"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("sled", &["store"]),
    ("age", &["vault"]),
    ("keyring", &["vault"]),
    ("jsonwebtoken", &["token"]),
    ("aho_corasick", &["redact"]),
    ("etcetera", &["setup"]),
];

#[test]
fn rooms_know_only_whom_they_may() {
    let table: BTreeMap<&str, &[&str]> = MAY_KNOW.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (room, file, text) in sources() {
        let allowed = table.get(room.as_str()).unwrap_or_else(|| panic!("{room} is no room of the table"));
        for (line, other) in rooms_named(&text, &table) {
            seen.insert((room.clone(), other.clone()));
            if other != room && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{}:{line}: {room} knows {other}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.contains(&("broker".into(), "vault".into())), "the test reads no arrows at all");
}

#[test]
fn crates_stand_where_they_belong() {
    let mut wrong = Vec::new();
    let mut found = BTreeSet::new();
    for (room, file, text) in sources() {
        for (number, line) in code_lines(&text) {
            for (krate, rooms) in ONLY_IN {
                if names_crate(line, krate) {
                    found.insert(*krate);
                    if !rooms.contains(&room.as_str()) {
                        wrong.push(format!("{}:{number}: {krate} stands in {room}", file.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing: Vec<_> = ONLY_IN.iter().filter(|(krate, _)| !found.contains(krate)).collect();
    assert!(missing.is_empty(), "the table names crates that nobody uses: {missing:?}");
}

/// Every source file under a room: (room, path, text). `lib.rs` and `main.rs` are the map and the door.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the sources can be read") {
            let path = entry.expect("the sources can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let inside = path.strip_prefix(&root).expect("below the root");
                let first =
                    inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
                let room = first.trim_end_matches(".rs").to_owned();
                if room != "lib" && room != "main" {
                    files.push((room, inside.to_owned(), fs::read_to_string(&path).expect("text")));
                }
            }
        }
    }
    files
}

/// Lines that are code: comments name rooms freely.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Rooms named as `crate::room`, or inside `use crate::{ … }`, over several lines too.
fn rooms_named(text: &str, rooms: &BTreeMap<&str, &[&str]>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut group_depth = 0usize;
    for (number, line) in code_lines(text) {
        if group_depth > 0 {
            if group_depth == 1 {
                let word: String =
                    line.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                note(&mut found, number, &word, rooms);
            }
            group_depth = (group_depth + line.matches('{').count()).saturating_sub(line.matches('}').count());
            continue;
        }
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            if let Some(group) = rest.strip_prefix('{') {
                group_depth = (1 + group.matches('{').count()).saturating_sub(group.matches('}').count());
                for part in group.split(',') {
                    let word: String =
                        part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    note(&mut found, number, &word, rooms);
                }
            } else {
                let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                note(&mut found, number, &word, rooms);
            }
        }
    }
    found
}

fn note(found: &mut Vec<(usize, String)>, number: usize, word: &str, rooms: &BTreeMap<&str, &[&str]>) {
    if rooms.contains_key(word) {
        found.push((number, word.to_owned()));
    }
}

fn names_crate(line: &str, krate: &str) -> bool {
    line.match_indices(krate).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + krate.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '"' | '-' | '/' | '.'))
            && after.starts_with("::")
    })
}
