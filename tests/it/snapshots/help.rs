//! Every `--help`, at the widths that terminals have, and what a bare `authy-mcp` says.

use super::golden;
use crate::stage::Stage;

/// The widths at which help is held.
const WIDTHS: [&str; 2] = ["80", "100"];

fn help(stage: &Stage, width: &str, words: &[&str]) -> String {
    let done = stage.command().env("COLUMNS", width).args(words).arg("--help").output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{words:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// The subcommands that a help lists.
fn subcommands(help: &str) -> Vec<String> {
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that goes on stands further in.
    let named = listed.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names = named.filter_map(|line| line.split(' ').next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Every command below one, itself first, with its words.
fn walk(stage: &Stage, words: &[&str], found: &mut Vec<Vec<String>>) {
    found.push(words.iter().map(|word| (*word).to_owned()).collect());
    for name in subcommands(&help(stage, "80", words)) {
        walk(stage, &[words, &[name.as_str()]].concat(), found);
    }
}

#[test]
fn every_help() {
    let stage = Stage::empty();
    let mut commands = Vec::new();
    walk(&stage, &[], &mut commands);
    assert!(commands.len() > 40, "the walk found {} commands", commands.len());
    let mut texts = Vec::new();
    for command in &commands {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let name = [&["authy-mcp"], words.as_slice()].concat().join("-");
        for width in WIDTHS {
            texts.push((format!("help/{name}.{width}.txt"), help(&stage, width, &words)));
        }
    }
    golden::hold(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    golden::only("help", &texts.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
}

#[test]
fn no_line_of_help_is_wider_than_the_terminal() {
    for entry in std::fs::read_dir(golden::dir().join("help")).unwrap() {
        let path = entry.unwrap().path();
        let width = if path.to_str().unwrap().ends_with(".80.txt") { 80 } else { 100 };
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{}: {line}", path.display());
        }
    }
}
