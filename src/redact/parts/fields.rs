//! `key=value` pairs on one line: connection strings (`Server=…;Password=…`), libpq's (`host=… password='…'`), query
//! strings and cookies, and parameters of an authentication scheme (`Digest username="…", response="…"`).

use super::{
    keys::{self, shown_key},
    leaf::{Leaf, Read, Sense},
};

/// What stands between pairs: the first of them that makes every piece a pair is the one.
const BETWEEN: [char; 4] = [';', '&', ',', ' '];

pub(super) fn fields(text: &str, _sense: Sense) -> Option<Read> {
    if !text.contains('=') || text.contains(['\n', '\r']) {
        return None;
    }
    let leaves = BETWEEN.iter().find_map(|mark| pairs(text, *mark))?;
    Some(Read::Leaves(leaves))
}

fn pairs(text: &str, mark: char) -> Option<Vec<Leaf>> {
    let pieces = split(text, mark);
    let mut leaves = Vec::new();
    let mut others = 0;
    for piece in &pieces {
        match pair(piece.trim()) {
            Some((key, value)) => leaves.push(Leaf::new(shown_key(key), keys::says(key), &unquoted(value))),
            None if piece.trim().is_empty() => {}
            // `Secure; HttpOnly`, the hosts before the settings of a cache, the name of a scheme or a login module.
            None => {
                others += 1;
                leaves.push(Leaf::new("a word between settings", Sense::Open, piece.trim()));
            }
        }
    }
    let found = leaves.len() - others;
    // One pair alone is a setting only where a mark ends it.
    let enough = found >= others && (found > 1 || pieces.len() > 1);
    enough.then_some(leaves)
}

fn pair(piece: &str) -> Option<(&str, &str)> {
    let (key, value) = piece.split_once('=')?;
    let (key, value) = (key.trim(), value.trim().trim_end_matches([';', ',']));
    // `Digest username="…"`: the last word is the key.
    let named = |c: char| c.is_ascii_alphanumeric() || "_-. ".contains(c);
    let short = !key.is_empty() && key.len() <= 48 && key.chars().all(named);
    (short && !value.is_empty() && value.chars().any(char::is_alphanumeric)).then_some((key, value))
}

/// Splits at a mark outside of quotes and braces.
fn split(text: &str, mark: char) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut from, mut until) = (0, None);
    let mut before = mark;
    for (at, c) in text.char_indices() {
        match until {
            // Doubled, it closes and opens again.
            Some(close) if c == close => until = None,
            Some(_) => {}
            None if before == '}' && c == '}' => until = Some('}'),
            None if before == c && (c == '"' || c == '\'') => until = Some(c),
            // A quote opens a value only where one begins: behind the sign of equality.
            None if before == '=' && c == '{' => until = Some('}'),
            None if before == '=' && (c == '"' || c == '\'') => until = Some(c),
            None if c == mark => {
                pieces.push(&text[from..at]);
                from = at + c.len_utf8();
            }
            None => {}
        }
        before = c;
    }
    pieces.push(&text[from..]);
    pieces
}

/// Without the quotes of a connection string, or the braces of ODBC, in which the closing one is doubled.
pub(super) fn unquoted(value: &str) -> String {
    for (open, close) in [('"', '"'), ('\'', '\''), ('{', '}'), ('`', '`')] {
        let inside = value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(inside) = inside {
            return inside.replace(&format!("{close}{close}"), &close.to_string());
        }
    }
    value.to_owned()
}
