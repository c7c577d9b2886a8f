//! A text without a structure: its lines, and the words in it that are secrets by their look.

use super::{
    keys,
    leaf::{Leaf, Read, Sense},
    look,
    tree::MOST_LEAVES,
};

/// A line shorter than this is found inside of words.
const SHORTEST_CODE: usize = 3;
/// A list of codes has so many, all of one shape.
const FEWEST_CODES: usize = 3;

pub(super) fn prose(text: &str, sense: Sense) -> Option<Read> {
    let lines: Vec<&str> = text.split(['\n', '\r']).map(str::trim).collect();
    let mut leaves = Vec::new();
    if lines.len() > 1 && sense >= Sense::Likely {
        let codes = are_codes(&lines);
        let told = |line: &str| !line.is_empty() && !line.starts_with('#');
        for (number, line) in (1..).zip(&lines).filter(|(_, line)| told(line)).take(MOST_LEAVES) {
            let sense = if codes { Sense::Secret } else { Sense::Likely };
            leaves.push(Leaf::line(format!("line {number}"), sense, line));
        }
    }
    for (number, line) in (1..).zip(&lines) {
        let before = if lines.len() > 1 { format!("line {number}, ") } else { String::new() };
        let words = words(line).into_iter().filter(|(word, _)| word.len() < text.len()).enumerate();
        leaves.extend(
            words.map(|(at, (word, sense))| Leaf::new(format!("{before}word {}", at + 1), sense, word)),
        );
        if leaves.len() > MOST_LEAVES {
            break;
        }
    }
    (!leaves.is_empty()).then_some(Read::Leaves(leaves))
}

/// The words of a line that may be a secret or hold one, each with what the word before says of it: an option of a
/// command (`--password …`, `-u user:…`), or a key with its colon.
fn words(line: &str) -> Vec<(&str, Sense)> {
    let between = |c: char| c.is_whitespace() || "\"'`<>(),;".contains(c);
    let mut found = Vec::new();
    let mut before = "";
    for word in line.split(between).filter(|word| !word.is_empty()) {
        let keyed = before.starts_with('-') || before.ends_with(':');
        let says = if keyed { keys::says(before) } else { Sense::Open };
        let bare = word.trim_end_matches(['.', ':', '!', '?']);
        if matches!(before, "-u" | "--user" | "--proxy-user") && word.contains(':') {
            found.push((word, Sense::Likely));
        } else if says >= Sense::Likely && word.len() >= look::SHORTEST && !SCHEMES.contains(&word) {
            found.push((bare, says));
        } else if let Some(value) = attached(word).filter(|_| !before.is_empty()) {
            found.push((value, Sense::Likely));
        } else if word.len() >= look::RANDOM || word.contains("://") || word.contains('=') {
            found.push((bare, Sense::Open));
        }
        before = if SCHEMES.contains(&word) { before } else { word };
    }
    found
}

/// What stands right behind an option of one letter, as `mysql -p…` and `curl -u…` take it: no path, no setting and no
/// word.
fn attached(word: &str) -> Option<&str> {
    let option = word.strip_prefix('-')?;
    let letter = option.chars().next().filter(char::is_ascii_alphabetic)?;
    let value = &option[letter.len_utf8()..];
    let mixed = value.contains(|c: char| c.is_ascii_digit()) && value.contains(char::is_alphabetic);
    (mixed && !value.contains(['/', '='])).then_some(value)
}

/// Words between a key and its credential.
const SCHEMES: [&str; 4] = ["Bearer", "Basic", "Token", "token"];

/// Recovery codes, one-time passwords, PINs: every line has the same shape.
fn are_codes(lines: &[&str]) -> bool {
    let shape = |line: &str| -> (usize, Vec<usize>) {
        let marks = line.char_indices().filter(|(_, c)| !c.is_alphanumeric()).map(|(at, _)| at);
        (line.len(), marks.collect())
    };
    let mut shapes = lines.iter().filter(|line| !line.is_empty()).map(|line| shape(line));
    let Some((length, marks)) = shapes.next() else { return false };
    let all: Vec<_> = shapes.collect();
    let letters = length - marks.len();
    letters >= SHORTEST_CODE
        && all.len() + 1 >= FEWEST_CODES
        && all.iter().all(|shape| *shape == (length, marks.clone()))
}
