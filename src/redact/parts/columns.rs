//! Columns: netrc, pgpass, tables with a header, and `user:password`.

use super::{
    keys::{self, shown_key},
    leaf::{Leaf, Read, Sense},
    tree::MOST_LEAVES,
};

/// `machine h login u password p`, over any lines (the format of ftp's and curl's `.netrc`).
pub(super) fn netrc(text: &str, _sense: Sense) -> Option<Read> {
    let mut words = text.split_whitespace().peekable();
    let begins = matches!(words.peek(), Some(&"machine" | &"default"));
    if !begins || !text.contains("password") {
        return None;
    }
    let mut leaves = Vec::new();
    let mut machine = "default".to_owned();
    while let Some(word) = words.next() {
        match word {
            "machine" => machine = words.next().map(shown_key).unwrap_or_default(),
            "password" | "account" | "login" => {
                let sense = if word == "password" { Sense::Secret } else { Sense::Open };
                let value = words.next().unwrap_or_default();
                leaves.push(Leaf::new(
                    format!("{word} of {machine}"),
                    sense,
                    &super::fields::unquoted(value),
                ));
            }
            _ => {}
        }
    }
    Some(Read::Leaves(leaves))
}

/// `host:port:database:user:password`, a colon or backslash in a column escaped (libpq).
pub(super) fn pgpass(text: &str, _sense: Sense) -> Option<Read> {
    let mut leaves = Vec::new();
    for (number, line) in content(text) {
        let columns = escaped_columns(line);
        let [_, port, _, user, password] = columns.as_slice() else { return None };
        if port != "*" && (port.is_empty() || !port.chars().all(|c| c.is_ascii_digit())) {
            return None;
        }
        leaves.push(Leaf::new(format!("password in line {number}"), Sense::Secret, password));
        leaves.push(Leaf::new(format!("user in line {number}"), Sense::Open, user));
    }
    (!leaves.is_empty()).then_some(Read::Leaves(leaves))
}

/// Netscape's file of cookies, which curl and wget write: seven columns, the last two name and value.
pub(super) fn cookies(text: &str, _sense: Sense) -> Option<Read> {
    let mut leaves = Vec::new();
    for (number, line) in (1..).zip(text.lines()).take(MOST_LEAVES) {
        let line = line.strip_prefix("#HttpOnly_").unwrap_or(line);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let columns: Vec<&str> = line.split('\t').collect();
        let [_, "TRUE" | "FALSE", _, "TRUE" | "FALSE", _, name, value] = columns.as_slice() else {
            return None;
        };
        leaves.push(Leaf::new(
            format!("cookie {} in line {number}", shown_key(name)),
            keys::says(name),
            value,
        ));
    }
    (!leaves.is_empty()).then_some(Read::Leaves(leaves))
}

/// The last of five columns takes what is left.
fn escaped_columns(line: &str) -> Vec<String> {
    let mut columns = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let last = columns.len() - 1;
        match c {
            '\\' => columns[last].extend(chars.next()),
            ':' if columns.len() < 5 => columns.push(String::new()),
            c => columns[last].push(c),
        }
    }
    columns
}

/// `user:password`, `bucket:key:secret`, one a line.
pub(super) fn pairs(text: &str, sense: Sense) -> Option<Read> {
    let mut leaves = Vec::new();
    let behind = if sense >= Sense::Likely { Sense::Likely } else { Sense::Open };
    for (number, line) in content(text) {
        let columns: Vec<&str> = line.split(':').collect();
        let whole = line.chars().all(|c| c.is_ascii_graphic());
        let name = |c: char| c.is_ascii_alphanumeric() || "_-.@\\+".contains(c);
        if !whole
            || !columns[0].chars().all(name)
            || !(2..=4).contains(&columns.len())
            || columns.iter().any(|column| column.is_empty())
        {
            return None;
        }
        let alone = !text.trim().contains('\n');
        for (at, column) in columns.iter().enumerate() {
            let sense = if at == 0 { Sense::Open } else { behind };
            let what = match (at, columns.len()) {
                (0, _) => "user".to_owned(),
                (_, 2) => "password".to_owned(),
                _ => format!("column {}", at + 1),
            };
            let place = if alone { what } else { format!("{what} in line {number}") };
            leaves.push(Leaf::new(place, sense, column));
        }
    }
    (!leaves.is_empty()).then_some(Read::Leaves(leaves))
}

/// Lines that are neither empty nor comments, with their numbers.
fn content(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).take(MOST_LEAVES)
}

/// A table whose header names a secret: what services and password managers export.
pub(super) fn table(text: &str, _sense: Sense) -> Option<Read> {
    let (header, rows) = text.split_once('\n')?;
    let mark = [',', '\t', ';', '|'].into_iter().find(|mark| header.contains(*mark))?;
    let names = cells(header.trim(), mark);
    let named = |name: &String| {
        !name.is_empty() && name.len() <= 40 && name.chars().all(|c| c.is_alphabetic() || " _-".contains(c))
    };
    if names.len() < 2
        || !names.iter().all(named)
        || !names.iter().any(|name| keys::says(name) >= Sense::Likely)
    {
        return None;
    }
    let mut leaves = Vec::new();
    for (number, row) in (2..).zip(rows.lines()).filter(|(_, row)| !row.trim().is_empty()).take(MOST_LEAVES) {
        let row = cells(row.trim_end(), mark);
        if row.len() != names.len() {
            return None;
        }
        let row = row.iter().zip(&names);
        leaves.extend(row.map(|(cell, name)| {
            Leaf::new(format!("{} in line {number}", shown_key(name)), keys::says(name), cell)
        }));
    }
    Some(Read::Leaves(leaves))
}

/// A row of RFC 4180.
fn cells(row: &str, mark: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let (mut quoted, mut chars) = (false, row.chars().peekable());
    while let Some(c) = chars.next() {
        let last = cells.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cells[last].extend(chars.next()),
            '"' => quoted = !quoted,
            c if c == mark && !quoted => cells.push(String::new()),
            c => cells[last].push(c),
        }
    }
    cells
}
