//! Lines of `key = value`: dotenv and shell, INI, properties, HCL, HTTP headers, and what programming languages make of
//! them. One reader for all, since what they have in common is what counts.

use super::{
    fields::unquoted,
    keys::{self, shown_key},
    leaf::{Leaf, Read, Sense},
    tree::MOST_LEAVES,
};

/// A key is no longer than this, in bytes, and no more words: what is longer is a sentence.
const LONGEST_KEY: usize = 128;
const MOST_KEY_WORDS: usize = 4;
/// A value in quotes goes over so many lines at most.
const MOST_LINES: usize = 256;

pub(super) fn settings(text: &str, sense: Sense) -> Option<Read> {
    let mut found = Settings { lines: text.lines().collect(), ..Settings::default() };
    while let Some(line) = found.next() {
        found.take(line.trim());
        if found.leaves.len() > MOST_LEAVES {
            break;
        }
    }
    if found.pairs == 0 || (found.pairs * 2 < found.others && !found.secret) {
        return None;
    }
    // Where a key says which line is the secret, the others are none by being lines.
    if sense >= Sense::Likely && !found.secret {
        found.leaves.append(&mut found.rest);
    }
    Some(Read::Leaves(found.leaves))
}

#[derive(Default)]
struct Settings<'a> {
    lines: Vec<&'a str>,
    at: usize,
    section: String,
    leaves: Vec<Leaf>,
    /// Lines that are no settings.
    rest: Vec<Leaf>,
    pairs: usize,
    others: usize,
    /// Whether a key says that it is a secret.
    secret: bool,
}

impl<'a> Settings<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let line = self.lines.get(self.at).copied();
        self.at += 1;
        line
    }

    fn take(&mut self, line: &str) {
        let number = self.at;
        if line.is_empty() {
            return;
        }
        if ["#", ";", "//", "!", "--", "/*"].iter().any(|mark| line.starts_with(mark))
            && !line.starts_with("//registry")
        {
            // A `//host/:_authToken=…` of npm begins as a comment does.
            if let Some((key, value)) = pair(line).filter(|(key, _)| keys::says(key) >= Sense::Likely) {
                return self.setting(key, value, number);
            }
            self.leaves.push(Leaf::new(format!("comment in line {number}"), Sense::Open, line));
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            self.section = shown_key(name.trim_matches('['));
        } else if let Some((key, value)) = pair(line) {
            self.setting(key, value, number);
        } else {
            self.others += usize::from(line.chars().any(char::is_alphanumeric));
            self.rest.push(Leaf::line(format!("line {number}"), Sense::Likely, line));
            self.leaves.push(Leaf::new(format!("line {number}"), Sense::Open, line));
        }
    }

    fn setting(&mut self, key: &str, value: &str, number: usize) {
        self.pairs += 1;
        let sense = keys::says(key);
        self.secret |= sense >= Sense::Likely;
        let value = self.value(value);
        let before = if self.section.is_empty() { String::new() } else { format!("{}.", self.section) };
        let place = format!("{before}{} in line {number}", shown_key(key));
        // `TOKEN=… NAME=value program`, as a shell takes it.
        if let Some((first, rest)) = value.split_once(' ').filter(|(_, rest)| rest.contains('=')) {
            self.leaves.push(Leaf::new(place.clone(), sense, &unquoted(first)));
            self.leaves.push(Leaf::new(place, Sense::Open, rest));
        } else {
            self.leaves.push(Leaf::new(place, sense, &value));
        }
    }

    /// A value as it is meant: without quotes and what stands behind it, over as many lines as it takes.
    fn value(&mut self, written: &str) -> String {
        let written = written.trim();
        if let Some(word) = heredoc(written) {
            return self.until(|line| line.trim() == word);
        }
        let written = written
            .strip_prefix(['f', 'r', 'b', 'u', '@', '$'])
            .filter(|rest| rest.starts_with(['"', '\'']))
            .unwrap_or(written);
        for quote in ["\"\"\"", "'''", "\"", "'", "`"] {
            let Some(inside) = written.strip_prefix(quote) else { continue };
            if let Some(end) = closing(inside, quote) {
                return inside[..end].to_owned();
            }
            if self.closes(quote) {
                let mut value = inside.to_owned();
                let rest = self.until(|line| closing(line, quote).is_some());
                value.push('\n');
                value.push_str(&rest);
                let last = self.lines.get(self.at - 1).copied().unwrap_or_default();
                value.push_str(&last[..closing(last, quote).unwrap_or(0)]);
                return value;
            }
        }
        self.plain(written)
    }

    fn plain(&mut self, written: &str) -> String {
        let mut value = written.split(" #").next().unwrap_or_default().trim_end().to_owned();
        while value.ends_with('\\') {
            value.pop();
            let Some(line) = self.next() else { break };
            value.push_str(line.trim());
        }
        value.trim_end_matches([',', ';']).to_owned()
    }

    /// Whether a quote that opened is closed before another setting begins.
    fn closes(&self, quote: &str) -> bool {
        let ahead = self.lines.iter().skip(self.at).take(MOST_LINES);
        ahead.clone().any(|line| closing(line, quote).is_some())
    }

    /// The lines up to one that ends them.
    fn until(&mut self, ends: impl Fn(&str) -> bool) -> String {
        let mut value = String::new();
        for _ in 0..MOST_LINES {
            match self.next() {
                Some(line) if !ends(line) => {
                    value.push_str(line);
                    value.push('\n');
                }
                _ => break,
            }
        }
        value
    }
}

/// `<<EOF`, `<<-"EOF"`.
fn heredoc(value: &str) -> Option<&str> {
    let word = value.strip_prefix("<<")?.trim_start_matches(['-', '~']).trim_matches(['"', '\'']);
    (!word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')).then_some(word)
}

/// Where a quote is closed; a backslash escapes what is behind it, but in single quotes.
fn closing(text: &str, quote: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if !quote.starts_with('\'') => escaped = true,
            _ if text[at..].starts_with(quote) => return Some(at),
            _ => {}
        }
    }
    None
}

/// The key and the value of a line.
pub(super) fn pair(line: &str) -> Option<(&str, &str)> {
    let line = strip_words(line);
    let marks = [("=>", 2), (":=", 2), ("=", 1), (": ", 1), (":\t", 1), (":\"", 1), (":'", 1)];
    let first = marks
        .iter()
        .filter_map(|(mark, length)| Some((line.find(mark)?, *length)))
        .min_by_key(|(at, length)| (*at, 2 - length));
    if let Some((at, length)) = first {
        let key = line[..at].trim().trim_end_matches(['?', '+']).trim();
        let value = line[at + length..].trim();
        let value = if length == 1 { value.strip_prefix('=').unwrap_or(value).trim() } else { value };
        return key_of(key).filter(|_| !value.is_empty()).map(|key| (key, value));
    }
    tight(line).or_else(|| called(line))
}

/// `password:hunter2`, `requirepass hunter2`: only where the key says it, and nothing stands behind.
fn tight(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once([':', ' '])?;
    let value = value.trim();
    let alone = !value.is_empty() && !value.contains(char::is_whitespace) && !value.starts_with("//");
    (alone && keys::says(key_of(key)?) >= Sense::Likely).then_some((key, value))
}

/// `define('DB_PASSWORD', '…')`, `setProperty("password", "…")`.
fn called(line: &str) -> Option<(&str, &str)> {
    let (_, arguments) = line.split_once('(')?;
    let (key, value) = arguments.split_once(',')?;
    let value = value.trim().trim_end_matches([';', ')', ' ']);
    let quoted = key.trim().starts_with(['"', '\'']) && value.starts_with(['"', '\'']);
    key_of(key.trim()).filter(|_| quoted).map(|key| (key, value))
}

/// What may stand before a key.
fn strip_words(line: &str) -> &str {
    const WORDS: [&str; 17] = [
        "export ",
        "set ",
        "setx ",
        "declare -x ",
        "const ",
        "let ",
        "var ",
        "final ",
        "static ",
        "public ",
        "private ",
        "ENV ",
        "ARG ",
        "- ",
        "$env:",
        "--",
        "-D",
    ];
    let mut line = line;
    while let Some(rest) = WORDS.iter().find_map(|word| line.strip_prefix(word)) {
        line = rest.trim_start();
    }
    line
}

/// A key without its quotes, if it is one.
fn key_of(written: &str) -> Option<&str> {
    let key = written.trim_start_matches(['{', '(']).trim().trim_matches(['"', '\'', '`']);
    // Quotes stand in a key only where an index does: `os.environ["TOKEN"]`.
    let named = |c: char| {
        c.is_alphanumeric() || "_-./:@[]$ *".contains(c) || (key.contains('[') && "\"'".contains(c))
    };
    let words = key.split_whitespace().count();
    ((1..=MOST_KEY_WORDS).contains(&words)
        && key.len() <= LONGEST_KEY
        && key.chars().all(named)
        && !key.contains(" -")
        && key.starts_with(|c: char| c.is_alphabetic() || "_/$.@".contains(c)))
    .then_some(key)
}
