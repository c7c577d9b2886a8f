//! The documents say what the repository has: the policy reference every key of the schema, its errors in the words
//! that the program prints, and no page a file that is not there; the map of the code no function either.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::house::code;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The sections of the policy reference whose headings are a key: key → text.
fn sections() -> BTreeMap<String, String> {
    let mut sections = BTreeMap::new();
    let mut key = None;
    for line in read("docs/policy.md").lines() {
        if line.starts_with('#') {
            let named = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`'));
            key = named.map(str::to_owned);
            if let Some(key) = &key {
                let before = sections.insert(key.clone(), String::new());
                assert!(before.is_none(), "docs/policy.md has two headings for {key}");
            }
        } else if let Some(text) = key.as_ref().and_then(|key| sections.get_mut(key)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    sections
}

/// The keys below a part of the schema, as `allow.inject.basic`, each with the words that it takes.
fn keys(schema: &Value, part: &Value, path: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    if let Some(name) = part["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        return keys(schema, &schema["$defs"][name], path, found);
    }
    for (key, inner) in part["properties"].as_object().into_iter().flatten() {
        let inside = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        found.entry(inside.clone()).or_default();
        keys(schema, inner, &inside, found);
    }
    let words = part["enum"].as_array().into_iter().flatten().chain(part.get("const"));
    let words = words.filter_map(Value::as_str).map(str::to_owned);
    found.entry(path.to_owned()).or_default().extend(words);
    for several in ["anyOf", "oneOf", "allOf"] {
        for one in part[several].as_array().into_iter().flatten() {
            keys(schema, one, path, found);
        }
    }
    if part["items"].is_object() {
        keys(schema, &part["items"], path, found);
    }
}

#[test]
fn every_key_of_a_policy_has_its_heading_and_every_heading_its_key() {
    let schema: Value = serde_json::from_str(&read("schemas/policy.schema.json")).unwrap();
    let mut known = BTreeMap::new();
    keys(&schema, &schema, "", &mut known);
    known.remove("");
    assert!(known.len() > 40 && !known["allow.deliver"].is_empty(), "the schema was not walked: {known:?}");
    let sections = sections();
    let missing: Vec<_> = known.keys().filter(|key| !sections.contains_key(*key)).collect();
    assert!(missing.is_empty(), "keys without a heading in docs/policy.md: {missing:?}");
    let stray: Vec<_> = sections.keys().filter(|key| !known.contains_key(*key)).collect();
    assert!(stray.is_empty(), "headings of docs/policy.md without a key: {stray:?}");
    for (key, words) in &known {
        let text = &sections[key];
        assert!(text.trim().len() > 20, "docs/policy.md says nothing of {key}");
        for word in words {
            assert!(text.contains(&format!("\"{word}\"")), "docs/policy.md: {key} does not say {word:?}");
        }
    }
}

/// Messages of the reference: list items behind `Errors`, each with one or more messages in backticks before its colon.
fn messages(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut listed = false;
    for line in text.lines() {
        match line.strip_prefix("- ") {
            Some(item) if listed => {
                let mut rest = item;
                while let Some((message, behind)) =
                    rest.strip_prefix('`').and_then(|inner| inner.split_once('`'))
                {
                    found.push(message.to_owned());
                    rest = behind.strip_prefix(", ").unwrap_or("");
                }
            }
            _ if line.starts_with("Errors") => listed = true,
            _ if line.is_empty() || line.starts_with("  ") => {}
            _ => listed = false,
        }
    }
    found
}

#[test]
fn the_errors_of_a_policy_are_in_the_words_that_are_printed() {
    let sources: String = sources(&root().join("src"))
        .iter()
        .map(|path| fs::read_to_string(path).unwrap().replace("\\\"", "\""))
        .collect();
    let messages = messages(&read("docs/policy.md"));
    assert!(messages.len() > 60, "only {} messages were found", messages.len());
    // In a format string, braces are doubled.
    let printed =
        |part: &str| sources.contains(part) || sources.contains(&part.replace('{', "{{").replace('}', "}}"));
    let wrong: Vec<_> = messages
        .iter()
        .filter(|message| message.split('…').map(str::trim).any(|part| !printed(part)))
        .collect();
    assert!(wrong.is_empty(), "docs/policy.md quotes what no source prints: {wrong:#?}");
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found
}

/// Every document of the repository, by its path.
fn documents() -> Vec<(String, String)> {
    let mut found: Vec<String> = ["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(str::to_owned).to_vec();
    for folder in ["docs", "docs/decisions"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        found.extend(names.filter(|name| name.ends_with(".md")).map(|name| format!("{folder}/{name}")));
    }
    found.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// Paths of the repository that a text names in backticks.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split('`').skip(1).step_by(2);
    let path = |word: &&str| {
        ["src/", "tests/", "docs/", "schemas/", "fuzz/"].iter().any(|folder| word.starts_with(folder))
            && !word.contains([' ', '*', '…', '<'])
            && !word.contains("NAME")
    };
    words.filter(path)
}

#[test]
fn every_file_that_a_document_names_is_there() {
    let mut named = 0;
    let mut wrong = Vec::new();
    for (document, text) in documents() {
        for path in paths(&text) {
            named += 1;
            if !root().join(path).exists() {
                wrong.push(format!("{document} names {path}"));
            }
        }
        let folder = root().join(&document).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let outside = link.is_empty() || link.contains("://") || link.starts_with("mailto:");
            if !outside && !folder.join(link).exists() {
                wrong.push(format!("{document} links to {link}"));
            }
        }
    }
    assert!(named > 100, "only {named} paths were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_in_the_architecture() {
    let text = read("docs/architecture.md");
    let entries = fs::read_dir(root().join("src")).unwrap();
    let rooms = entries.map(|entry| format!("src/{}", entry.unwrap().file_name().into_string().unwrap()));
    let missing: Vec<_> = rooms
        .filter(|room| {
            !text.lines().any(|line| line.starts_with("| `src/") && line.contains(&format!("`{room}`")))
        })
        .collect();
    assert!(missing.is_empty(), "rooms that the table of docs/architecture.md does not have: {missing:?}");
}

/// What a text names in parentheses behind a file of the sources, as "`src/main.rs` (`main`)": file and names. A file
/// without any has none.
fn named_in_files(text: &str) -> Vec<(String, Vec<String>)> {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts: Vec<&str> = flat.split('`').collect();
    let mut found = Vec::new();
    for (at, file) in parts.iter().enumerate().skip(1).step_by(2) {
        if !(file.starts_with("src/") && file.ends_with(".rs")) {
            continue;
        }
        let mut names = Vec::new();
        let mut behind = at + 1;
        while parts.get(behind) == Some(&if names.is_empty() { " (" } else { ", " }) {
            names.extend(parts.get(behind + 1).map(|name| (*name).to_owned()));
            behind += 2;
        }
        let closed = names.is_empty() || parts.get(behind).is_some_and(|rest| rest.starts_with(')'));
        assert!(closed, "what stands in parentheses behind {file} is not a list of names: {names:?}");
        found.push(((*file).to_owned(), names));
    }
    found
}

/// The functions (`Type::function` in an `impl` or a trait, `function` outside of them) and types that a file defines,
/// as rustfmt writes them. What is for tests alone is none.
fn defined(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = None;
    for line in code(text) {
        let indentation = line.len() - line.trim_start().len();
        let (kind, rest) = item(line.trim_start());
        match (indentation, kind, &inside) {
            (0, "impl", _) => inside = Some(word(implemented(rest))),
            (0, "trait", _) => {
                inside = Some(word(rest));
                found.insert(word(rest));
            }
            (0, "fn" | "struct" | "enum" | "type", _) => {
                inside = None;
                found.insert(word(rest));
            }
            (4, "fn", Some(of)) => {
                found.insert(format!("{of}::{}", word(rest)));
            }
            (0, ..) if line == "}" => inside = None,
            _ => {}
        }
    }
    found
}

/// The word that says what an item is, and what follows it; visibility and the like aside.
fn item(line: &str) -> (&str, &str) {
    let rest = line.strip_prefix("pub").map_or(line, |rest| {
        rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest)
    });
    let mut rest = rest.trim_start();
    while let Some(behind) = ["const ", "async "].iter().find_map(|word| rest.strip_prefix(word)) {
        rest = behind;
    }
    rest.split_at(word(rest).len())
}

/// The word that a text begins with.
fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The type that is behind `impl`, its parameters and a trait.
fn implemented(header: &str) -> &str {
    if let Some((_, of)) = header.split_once(" for ") {
        return of;
    }
    let mut depth = 0;
    let behind = header.find(|c| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        depth == 0 && c != '>'
    });
    header[behind.unwrap_or_default()..].trim_start()
}

#[test]
fn what_the_architecture_names_in_a_file_is_defined_there() {
    let mut named = 0;
    let mut wrong = Vec::new();
    for (file, names) in named_in_files(&read("docs/architecture.md")) {
        let defined = defined(&read(&file));
        named += names.len();
        wrong.extend(
            names.into_iter().filter(|name| !defined.contains(name)).map(|name| format!("{file}: {name}")),
        );
    }
    assert!(wrong.is_empty(), "docs/architecture.md names what is not there:\n{}", wrong.join("\n"));
    assert!(named > 200, "only {named} names were found");
}

#[test]
fn on_a_way_no_file_stands_without_its_function() {
    let text = read("docs/architecture.md");
    let ways = text
        .split("\n## ")
        .filter(|section| ["The way of", "Locks"].iter().any(|way| section.starts_with(way)));
    let mut files = 0;
    for way in ways {
        let named = named_in_files(way);
        files += named.len();
        let bare: Vec<_> = named.iter().filter(|(_, names)| names.is_empty()).map(|(file, _)| file).collect();
        assert!(
            bare.is_empty(),
            "docs/architecture.md names these without what a reader finds in them: {bare:?}"
        );
    }
    assert!(files > 100, "only {files} files were found");
}

#[test]
fn definitions_are_found() {
    let text = "pub(crate) struct A<T>(T);\nimpl<T: B<T>> A<T> {\n    pub(in crate::x) async fn b(&self) {\n        fn inner() {}\n    }\n}\n\
                impl Clone for A<u8> {\n    fn clone(&self) -> Self {\n    }\n}\npub fn c() {\n}\n\
                trait D {\n    fn d(&self);\n}\nmod inside {\n    fn not() {}\n}\n#[cfg(test)]\nmod tests {\n    fn t() {}\n}\n";
    let defined = defined(text);
    let found: Vec<&str> = defined.iter().map(String::as_str).collect();
    assert_eq!(found, ["A", "A::b", "A::clone", "D", "D::d", "c"]);
    let text = "`src/a.rs` (`b`,\n  `C::d`) and `src/e.rs` (*f*), `src/g.rs`";
    let names =
        |file: &str, names: &[&str]| (file.to_owned(), names.iter().map(|n| (*n).to_owned()).collect());
    assert_eq!(
        named_in_files(text),
        [names("src/a.rs", &["b", "C::d"]), names("src/e.rs", &[]), names("src/g.rs", &[])]
    );
}
