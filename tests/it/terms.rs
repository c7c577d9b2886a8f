//! Words that were retired don't come back: not in help, messages and descriptions, not in the documents.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Retired words, and what is written in their place. A word is one by itself: `applies` has no `lies` in it.
const RETIRED: [(&str, &str); 20] = [
    ("whoever", "anyone who, or the name of who it is"),
    ("mend", "fix"),
    ("lies", "is"),
    ("is no length of time", "invalid duration"),
    ("is no size", "invalid size"),
    ("is no client", "unknown client"),
    ("is no file", "is not a file"),
    ("where nothing is said", "default"),
    ("what it is where", "default"),
    ("not well", "degraded"),
    ("worth something", "valid"),
    ("worth nothing", "not valid"),
    ("good for nothing", "rejected"),
    ("would not let one", "does not allow"),
    ("keep its memory to itself", "make this process non-dumpable"),
    ("still ends what was running", "is still stopping its runs"),
    ("not how a proxy is asked", "malformed proxy request"),
    ("programs of yours", "your own programs"),
    ("programs of your own", "your own programs"),
    ("one took more than", "p99"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Files below a path with one of these endings.
fn files(path: &Path, ends: &[&str], found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            files(&entry.unwrap().path(), ends, found);
        }
    } else if path.extension().is_some_and(|end| ends.iter().any(|known| end == *known)) {
        found.push(path.to_owned());
    }
}

/// Where a text has a retired word: line and word.
fn retired(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    // A sentence may be broken anywhere.
    let text = text.to_lowercase();
    let plain: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    let mut found = Vec::new();
    for (word, instead) in RETIRED {
        for (at, _) in plain.match_indices(word) {
            let letter = |c: char| c.is_alphanumeric() || c == '_';
            let before = plain[..at].chars().next_back().is_some_and(letter);
            let after = plain[at + word.len()..].chars().next().is_some_and(letter);
            if !before && !after {
                found.push((text[..at].matches('\n').count() + 1, word, instead));
            }
        }
    }
    found
}

/// The string literals of a source's own code, each on the line where it begins; tests and comments are left out.
fn literals(source: &str) -> String {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut texts = String::new();
    let mut chars = code.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => {
                // To the end of the line.
                chars.by_ref().take_while(|c| *c != '\n').for_each(drop);
                texts.push('\n');
            }
            '"' if before != '\'' => {
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    match c {
                        '\\' => drop(chars.next()),
                        c => texts.push(c),
                    }
                }
                texts.push(' ');
            }
            '\n' => texts.push('\n'),
            _ => {}
        }
        before = c;
    }
    texts
}

/// Messages that say of one thing that it is none of another: `is not a` is plainer.
fn is_none(texts: &str) -> Vec<String> {
    let says = |line: &&str| {
        line.match_indices(" is no ").any(|(at, _)| {
            !line[..at].ends_with("there")
                && !line[..at].ends_with("There")
                && !line[at..].starts_with(" is no longer")
        })
    };
    texts.lines().filter(says).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn retired_words_stay_away() {
    let mut wrong = Vec::new();
    let mut look = |path: &Path, text: &str| {
        for (line, word, instead) in retired(text) {
            let path = path.strip_prefix(root()).unwrap().display().to_string();
            wrong.push(format!("{path}:{line}: {word:?}; write {instead}"));
        }
    };
    let mut texts: Vec<PathBuf> = ["README.md", "SECURITY.md"].iter().map(|name| root().join(name)).collect();
    for dir in ["docs", "tests/snapshots", "schemas", "mcp-config-examples"] {
        files(&root().join(dir), &["md", "txt", "json"], &mut texts);
    }
    assert!(texts.len() > 100, "{}", texts.len());
    texts.iter().for_each(|path| look(path, &fs::read_to_string(path).unwrap()));
    let mut sources = Vec::new();
    files(&root().join("src"), &["rs"], &mut sources);
    sources.retain(|path| !path.to_str().unwrap().contains("tests"));
    assert!(sources.len() > 150, "{}", sources.len());
    sources.iter().for_each(|path| look(path, &literals(&fs::read_to_string(path).unwrap())));
    for path in &sources {
        for line in is_none(&literals(&fs::read_to_string(path).unwrap())) {
            wrong.push(format!("{}: {line:?}; write is not a", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_retired_word_is_found_and_a_word_with_it_inside_is_not() {
    assert_eq!(retired("It applies.\nWhoever\nasks: what it is where\nnothing is said").len(), 3);
    assert_eq!(retired("amends, recommend, relies, trend").len(), 0);
    assert_eq!(
        literals("// \"no\"\nlet a = \"yes \\\" still\"; // \"no\"\n#[cfg(test)]\n\"no\""),
        "\nyes  still \n"
    );
}
