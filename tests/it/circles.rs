//! No file of a room imports, over however many others, itself: what stands in a circle can't be read alone.
//!
//! An arrow goes from a file to the one that defines what it names: by `use`, or by a path that begins with `super`,
//! `crate` or the name of a file below. What a file only passes on (`pub use`) is followed to where it is defined, and
//! is no arrow of its own. Tests are left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::house::{code, sources};

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let house = House::read();
    let arrows = house.arrows();
    assert!(arrows.values().map(BTreeSet::len).sum::<usize>() > 300, "the test reads no arrows at all");
    let circles = circles(&arrows);
    let shown: Vec<String> = circles
        .iter()
        .map(|circle| {
            let inside = |from: &&String| {
                let to: Vec<&str> =
                    arrows[*from].iter().filter(|to| circle.contains(*to)).map(String::as_str).collect();
                format!("  {from} -> {}", to.join(", "))
            };
            circle.iter().collect::<Vec<_>>().iter().map(inside).collect::<Vec<_>>().join("\n")
        })
        .collect();
    assert!(shown.is_empty(), "{} circles:\n{}", shown.len(), shown.join("\n\n"));
}

#[test]
fn a_circle_is_seen_through_what_is_passed_on() {
    let file = |text: &str| File::read(text);
    let files = [
        ("room", file("mod a;\nmod b;\npub use a::A;\nuse b::{B, self};\npub struct Own;\n")),
        ("room::a", file("use super::{Own, b::B as Other};\npub struct A;\n")),
        ("room::b", file("fn f() { super::A; }\n")),
        ("other", file("use crate::room::A;\n")),
    ];
    let house = House(files.into_iter().map(|(path, file)| (path.to_owned(), file)).collect());
    let arrows = house.arrows();
    let to = |from: &str| arrows[from].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(to("room"), ["room::b"], "what is passed on is no arrow");
    assert_eq!(to("room::a"), ["room", "room::b"]);
    assert_eq!(to("room::b"), ["room::a"], "to where it is defined");
    assert_eq!(to("other"), ["room::a"]);
    assert_eq!(circles(&arrows).len(), 1);
}

/// One source file: what it names, and under which names it has what others define.
struct File {
    /// Paths of `use`, as they are written: (path, name here, whether it is passed on).
    uses: Vec<(Vec<String>, String, bool)>,
    /// Paths inside of code.
    paths: Vec<Vec<String>>,
    /// Words outside of `use`.
    words: BTreeSet<String>,
}

/// By module path, as `room::file`.
struct House(BTreeMap<String, File>);

impl House {
    fn read() -> Self {
        let files = sources().into_iter().filter(|(path, _)| {
            let name = path.to_string_lossy();
            name != "lib.rs" && name != "main.rs"
        });
        Self(files.map(|(path, text)| (module(&path), File::read(&code(&text).join("\n")))).collect())
    }

    fn arrows(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, file) in &self.0 {
            let to = arrows.entry(from.clone()).or_default();
            let named =
                file.uses.iter().filter(|(_, name, passed_on)| !passed_on || file.words.contains(name));
            for path in named.map(|(path, ..)| path).chain(&file.paths) {
                to.extend(self.definition(from, path, 8).filter(|found| found != from));
            }
        }
        arrows
    }

    /// The file that defines what a path names, seen from a file.
    fn definition(&self, from: &str, path: &[String], depth: usize) -> Option<String> {
        let mut at: Vec<&str> = from.split("::").collect();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                at.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    at.pop()?;
                    rest = &rest[1..];
                }
            }
            below if self.0.contains_key(&format!("{from}::{below}")) => {}
            _ => return None,
        }
        while let Some(next) = rest.first() {
            let below = at.iter().copied().chain([next.as_str()]).collect::<Vec<_>>().join("::");
            if !self.0.contains_key(&below) {
                break;
            }
            at.push(next);
            rest = &rest[1..];
        }
        let found = at.join("::");
        let file = self.0.get(&found)?;
        let passed_on = rest.first().and_then(|name| file.uses.iter().find(|(_, own, _)| own == name));
        match passed_on {
            Some((path, ..)) if depth > 0 => self.definition(&found, path, depth - 1),
            _ => Some(found),
        }
    }
}

impl File {
    fn read(text: &str) -> Self {
        let (mut uses, mut body) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some((statement, before, behind)) = next_use(rest) {
            body.push_str(before);
            let (tree, passed_on) = statement;
            expand(tree, &[], &mut |path, name| uses.push((path, name, passed_on)));
            rest = behind;
        }
        body.push_str(rest);
        // A visibility names a room, and imports nothing.
        let body: String = body
            .split("pub(in ")
            .enumerate()
            .map(|(at, part)| if at == 0 { part } else { behind(part) })
            .collect();
        let part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let paths = body.split(|c| !part(c)).filter(|path| path.contains("::") && !path.starts_with(':'));
        let paths = paths.map(|path| path.split("::").map(str::to_owned).collect()).collect();
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let declared = |line: &&str| line.trim_end().ends_with(';') && line.contains("mod ");
        let body: String =
            body.lines().filter(|line| !declared(line)).flat_map(|line| [line, "\n"]).collect();
        let words = body.split(|c| !word(c)).map(str::to_owned).collect();
        Self { uses, paths, words }
    }
}

/// What comes behind a visibility.
fn behind(text: &str) -> &str {
    text.split_once(')').map_or(text, |(_, rest)| rest)
}

/// The next `use`: its tree and whether it is passed on, what is before it, and what is behind it.
fn next_use(text: &str) -> Option<((&str, bool), &str, &str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let bare = trimmed.strip_prefix("pub").map_or(trimmed, |rest| {
            let rest =
                rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest);
            rest.trim_start()
        });
        if let Some(tree) = bare.strip_prefix("use ") {
            let begin = at + line.len() - tree.len();
            let end = begin + text[begin..].find(';')?;
            return Some(((&text[begin..end], bare.len() < trimmed.len()), &text[..at], &text[end + 1..]));
        }
        at += line.len();
    }
    None
}

/// Every leaf of a tree of imports: its path, and the name that it has here.
fn expand(tree: &str, before: &[String], each: &mut dyn FnMut(Vec<String>, String)) {
    let tree = tree.trim();
    if let Some((path, group)) = tree.split_once('{') {
        let parts = path.split("::").map(str::trim).filter(|part| !part.is_empty());
        let path: Vec<String> = before.iter().cloned().chain(parts.map(str::to_owned)).collect();
        let (mut depth, mut begin) = (0_usize, 0);
        let group = group.trim_end().strip_suffix('}').unwrap_or(group);
        for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    let leaf = &group[begin..at];
                    begin = (at + 1).min(group.len());
                    if !leaf.trim().is_empty() {
                        expand(leaf, &path, each);
                    }
                }
                _ => {}
            }
        }
        return;
    }
    let (path, name) = tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name.trim())));
    let mut path: Vec<String> =
        before.iter().cloned().chain(path.split("::").map(|p| p.trim().to_owned())).collect();
    if path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let name = name.map(str::to_owned).or_else(|| path.last().cloned()).unwrap_or_default();
    each(path, name);
}

fn module(path: &Path) -> String {
    let text = path.with_extension("").to_string_lossy().replace('/', "::");
    text.strip_suffix("::mod").map_or(text.clone(), str::to_owned)
}

/// Files that reach each other.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reached = |from: &String| {
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![from]);
        while let Some(at) = waiting.pop() {
            for to in arrows.get(at).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    waiting.push(to);
                }
            }
        }
        seen
    };
    let all: BTreeMap<&String, BTreeSet<String>> = arrows.keys().map(|from| (from, reached(from))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (from, reach) in &all {
        if reach.contains(*from) && !found.iter().any(|circle| circle.contains(*from)) {
            let circle = reach.iter().filter(|to| all.get(to).is_some_and(|back| back.contains(*from)));
            found.push(circle.cloned().collect());
        }
    }
    found
}
