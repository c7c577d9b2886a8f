//! The size of what is here, as it is measured: how long files and functions are. Figures: `cargo test --test it
//! house -- --nocapture`.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lines of code that a file has at most; comments, blank lines and tests aside.
const LONGEST_FILE: usize = 450;
/// Lines that half of all functions have at most, signature and closing brace included.
const MEDIAN_FUNCTION: usize = 9;
/// Lines that 99 of a hundred functions have at most.
const LONG_FUNCTION: usize = 45;

#[test]
fn no_file_is_long() {
    let mut lengths: Vec<(usize, PathBuf)> =
        sources().into_iter().map(|(path, text)| (code(&text).len(), path)).collect();
    lengths.sort();
    let (longest, path) = lengths.last().expect("there are sources");
    let all: usize = lengths.iter().map(|(lines, _)| lines).sum();
    println!(
        "{} files, {all} lines of code; median {}, longest {longest} ({})",
        lengths.len(),
        lengths[lengths.len() / 2].0,
        path.display()
    );
    let long: Vec<String> = lengths
        .iter()
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, path)| format!("{}: {lines} lines of code", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn functions_are_short() {
    let mut functions: Vec<(usize, String)> = Vec::new();
    for (path, text) in sources() {
        let lines = code(&text);
        for (name, length) in functions_of(&lines) {
            functions.push((length, format!("{}: {name}", path.display())));
        }
    }
    functions.sort();
    let at = |part: usize| functions[(functions.len() - 1) * part / 100].0;
    println!(
        "{} functions: median {}, p90 {}, p99 {}, longest {}",
        functions.len(),
        at(50),
        at(90),
        at(99),
        at(100)
    );
    for (length, name) in functions.iter().rev().take_while(|(length, _)| *length > LONG_FUNCTION) {
        println!("{length} {name}");
    }
    assert!(at(50) <= MEDIAN_FUNCTION, "the median is {}", at(50));
    assert!(at(99) <= LONG_FUNCTION, "p99 is {}", at(99));
}

#[test]
fn the_measure_measures() {
    let text = "fn a() {}\n\n// fn not() {\nimpl X {\n    fn b(\n        c: &str,\n    ) -> [u8; 2] {\n        let brace = '{';\n        \
                inner(|| {\n            \"}\"\n        })\n    }\n    fn no_body(&self);\n}\n#[cfg(test)]\nmod tests {\n    fn t() {\n    }\n}\nfn d() {\n}\n";
    let lines = code(text);
    assert_eq!(lines.len(), 14, "{lines:?}");
    assert_eq!(functions_of(&lines), [("a".to_owned(), 1), ("b".to_owned(), 8), ("d".to_owned(), 2)]);
}

/// Every source file that is not a test's: path and text.
pub(super) fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the sources can be read") {
            let path = entry.expect("the sources can be read").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() {
                folders.extend((name != "tests").then_some(path));
            } else if name.ends_with(".rs") && !is_tests(&name) {
                let inside = path.strip_prefix(&root).expect("below the root").to_owned();
                files.push((inside, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    files
}

/// Files that a `#[cfg(test)] mod …;` names.
fn is_tests(name: &str) -> bool {
    matches!(name, "tests.rs" | "testing.rs" | "editions.rs" | "promise_tests.rs")
}

/// The lines of code: no comments, no blank lines, and no item that is for tests only.
pub(super) fn code(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        if trimmed == "#[cfg(test)]" {
            skip_item(&mut lines, line.len() - trimmed.len());
        } else if !trimmed.is_empty() && !trimmed.starts_with("//") {
            found.push(line);
        }
    }
    found
}

/// Passes over an item that begins at an indentation: to the line that closes it there, which rustfmt sees to.
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>, indentation: usize) {
    for line in lines {
        let here = line.len() - line.trim_start().len() == indentation;
        let attribute = line.trim_start().starts_with("#[");
        if here && !attribute && (line.ends_with(';') || line.ends_with('}') || line.ends_with(',')) {
            return;
        }
    }
}

/// The functions in lines that rustfmt has formatted, and how many lines each has: its body ends at the first `}` of
/// its own indentation. A declaration without a body is none.
fn functions_of(lines: &[&str]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_of(line) else { continue };
        let indentation = line.len() - line.trim_start().len();
        let ends = |line: &&str| line.len() - line.trim_start().len() == indentation;
        let closes = |line: &&str| line.trim_start().starts_with('}') || line.ends_with(['}', ';']);
        let behind = if line.ends_with(['}', ';']) {
            0
        } else {
            let Some(behind) = lines[at + 1..].iter().position(|line| ends(line) && closes(line)) else {
                continue;
            };
            behind + 1
        };
        if !lines[at + behind].ends_with(';') {
            found.push((name, behind + 1));
        }
    }
    found
}

/// The name of the function that a line begins.
fn function_of(line: &str) -> Option<String> {
    let mut words = line.trim_start().split(' ');
    let begins = |word: &&str| {
        !word.starts_with("pub")
            && !matches!(*word, "const" | "async" | "unsafe" | "extern" | "\"C\"" | "in" | "default")
    };
    let first = words.by_ref().find(begins)?;
    let name = (first == "fn").then(|| words.next()).flatten()?;
    Some(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}
