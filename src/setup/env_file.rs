//! `.env` files: read as they are written, nothing expanded; and which of their entries are secrets.
//!
//! Our own reader, because those at hand expand `$NAME` from the environment, which would change a value
//! that has a dollar sign in it. The dialect: `NAME=value` lines, `export` in front, `#` comments;
//! single quotes are literal, double quotes know `\n \r \t \" \\ \$`, both may go over several lines;
//! without quotes a value ends at ` #` or at the line's end.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::names::EnvName;

/// One entry.
pub struct Entry {
    /// Where it begins, from 1.
    pub line: usize,
    /// The variable.
    pub name: EnvName,
    /// Its value.
    pub value: Zeroizing<String>,
}

/// What can't be read, by line; never the line itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct EnvFileError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Reads a whole file. A name may come again with the same value, and with no other: which of the two is meant is not
/// for a reader to guess.
///
/// # Errors
/// [`EnvFileError`] at the first line that can't be read.
pub fn parse(text: &str) -> Result<Vec<Entry>, EnvFileError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut known: BTreeMap<EnvName, usize> = BTreeMap::new();
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    while let Some(entry) = reader.entry()? {
        if entry.value.contains('\0') {
            let what = format!("the value of {} has a NUL byte, which no variable can hold", entry.name);
            return Err(EnvFileError { line: entry.line, what });
        }
        match known.get(&entry.name).and_then(|at| entries.get(*at)) {
            Some(first) if *first.value == *entry.value => {}
            Some(first) => {
                let what = format!("{} has another value on line {}", entry.name, first.line);
                return Err(EnvFileError { line: entry.line, what });
            }
            None => {
                known.insert(entry.name.clone(), entries.len());
                entries.push(entry);
            }
        }
    }
    Ok(entries)
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn entry(&mut self) -> Result<Option<Entry>, EnvFileError> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
            if self.rest.is_empty() {
                return Ok(None);
            }
            if let Some(rest) = self.rest.strip_prefix('\n') {
                self.rest = rest;
                self.line += 1;
            } else if self.rest.starts_with('#') {
                self.skip_line();
            } else {
                return self.assignment().map(Some);
            }
        }
    }

    fn assignment(&mut self) -> Result<Entry, EnvFileError> {
        let line = self.line;
        let error = |what: &str| EnvFileError { line, what: what.to_owned() };
        let head = self.rest.split('\n').next().unwrap_or_default();
        let (name, _) = head.split_once('=').ok_or(error("there is no = in it"))?;
        let offset = name.len() + 1;
        let name = name.trim().strip_prefix("export ").unwrap_or(name.trim()).trim();
        let name = EnvName::parse(name).map_err(|_| error("what stands before = is not a variable name"))?;
        self.rest = self.rest[offset..].trim_start_matches([' ', '\t']);
        let value = match self.rest.chars().next() {
            Some('\'') => self.quoted('\'')?,
            Some('"') => self.quoted('"')?,
            _ => self.bare(),
        };
        Ok(Entry { line, name, value })
    }

    fn bare(&mut self) -> Zeroizing<String> {
        let line = self.rest.split('\n').next().unwrap_or_default();
        let comment = |(at, _): &(usize, &str)| *at == 0 || line[..*at].ends_with(char::is_whitespace);
        let end = line.match_indices('#').find(comment).map_or(line.len(), |(at, _)| at);
        let value = line[..end].trim();
        let value = Zeroizing::new(value.to_owned());
        self.skip_line();
        value
    }

    fn quoted(&mut self, quote: char) -> Result<Zeroizing<String>, EnvFileError> {
        let line = self.line;
        let error = |what: &str| EnvFileError { line, what: what.to_owned() };
        let mut value = Zeroizing::new(String::new());
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    let behind = &self.rest[at + 1..];
                    let tail = behind.split('\n').next().unwrap_or_default().trim();
                    if !tail.is_empty() && !tail.starts_with('#') {
                        return Err(error("something stands behind the closing quote"));
                    }
                    self.line += self.rest[..at].matches('\n').count();
                    self.rest = behind;
                    self.skip_line();
                    return Ok(value);
                }
                '\\' if quote == '"' => match chars.next().map(|(_, c)| c) {
                    Some('n') => value.push('\n'),
                    Some('r') => value.push('\r'),
                    Some('t') => value.push('\t'),
                    Some(c @ ('"' | '\\' | '$' | '`')) => value.push(c),
                    Some(c) => value.extend(['\\', c]),
                    None => {}
                },
                c => value.push(c),
            }
        }
        Err(error("the quote is not closed"))
    }

    fn skip_line(&mut self) {
        match self.rest.split_once('\n') {
            Some((_, rest)) => {
                self.rest = rest;
                self.line += 1;
            }
            None => self.rest = "",
        }
    }
}

/// Words in a name that make a secret of its value, whatever it looks like.
const SECRET_WORDS: &[&str] = &[
    "KEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASS",
    "PWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "CREDENTIALS",
    "AUTH",
    "DSN",
    "PRIVATE",
    "SIGNATURE",
    "SALT",
    "COOKIE",
    "WEBHOOK",
    "PAT",
    "BEARER",
    "APIKEY",
    "CERT",
    "JWT",
];
/// Words in a name that make a setting of it, if none of the above is there too.
const SETTING_WORDS: &[&str] = &[
    "PORT",
    "HOST",
    "HOSTNAME",
    "ENV",
    "ENVIRONMENT",
    "DEBUG",
    "LEVEL",
    "LOG",
    "TZ",
    "LANG",
    "REGION",
    "MODE",
    "TIMEOUT",
    "VERSION",
    "ENABLED",
    "DISABLED",
    "PUBLIC",
    "DOMAIN",
    "PATH",
    "DIR",
    "FILE",
    "NAME",
    "USER",
    "USERNAME",
    "ID",
    "EMAIL",
    "URL",
    "URI",
    "ENDPOINT",
    "ORIGIN",
    "BUCKET",
    "SIZE",
    "LIMIT",
    "COUNT",
    "WORKERS",
    "THREADS",
    "INTERVAL",
    "TTL",
];

/// Why an entry is no secret; `None` where it is one, or may be.
pub fn no_secret(name: &EnvName, value: &str) -> Option<&'static str> {
    let words: Vec<&str> = name.as_str().split('_').collect();
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.to_ascii_uppercase().as_str()));
    if value.is_empty() {
        return Some("it is empty");
    }
    if has_userinfo(value) {
        return None;
    }
    let public = name.as_str().starts_with("NEXT_PUBLIC_") || name.as_str().starts_with("VITE_");
    if public {
        return Some("its name says that it is public");
    }
    if has(SECRET_WORDS) {
        return None;
    }
    let plain = ["true", "false", "yes", "no", "on", "off"].contains(&value.to_ascii_lowercase().as_str());
    if plain || value.parse::<f64>().is_ok() {
        return Some("its value is a switch or a number");
    }
    has(SETTING_WORDS).then_some("its name is that of a setting")
}

/// A URL with a password in it.
fn has_userinfo(value: &str) -> bool {
    let authority =
        value.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    authority.and_then(|authority| authority.rsplit_once('@')).is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, EnvFileError> {
        Ok(parse(text)?.into_iter().map(|e| (e.name.to_string(), e.value.to_string())).collect())
    }

    #[test]
    fn the_dialect() {
        for (text, expected) in [
            ("A=b", "b"),
            ("export A=b", "b"),
            ("  A = b  ", "b"),
            ("A=b # c", "b"),
            ("A=b#c", "b#c"),
            ("A=", ""),
            ("A= # c", ""),
            ("A=# c # d", ""),
            ("A=b\t# c # d", "b"),
            ("A=\u{a0}# c", ""),
            ("A='b # $c \\n'", "b # $c \\n"),
            ("A=\"b\\n\\\"\\$c\\x\" # d", "b\n\"$c\\x"),
            ("A=$HOME/${X}", "$HOME/${X}"),
            ("A=\"one\ntwo\"\n", "one\ntwo"),
            ("A='one\r\ntwo'", "one\r\ntwo"),
            ("A=b\r\n", "b"),
            ("\u{feff}A=b", "b"),
            ("A=b\nA=b", "b"),
            ("A=a=b==", "a=b=="),
            ("# c\n\n\tA=b", "b"),
        ] {
            assert_eq!(read(text), Ok(vec![("A".into(), expected.into())]), "{text:?}");
        }
        assert_eq!(read("A=1\nB='2\n3'\nC=4").unwrap().len(), 3);
    }

    #[test]
    fn errors_have_a_line_and_no_value() {
        for (text, line) in [
            ("A=1\nnonsense", 2),
            ("A='x", 1),
            ("A=\"x\ny\n", 1),
            ("1A=b", 1),
            ("A='b' c", 1),
            ("A='1\n2'\nx y=1", 3),
            ("A=nonsense\nB=1\nA=2", 3),
            ("A=\nA=nonsense", 2),
            ("A='1\n2'\nB=non\0sense", 3),
            ("A=\"\0nonsense\"", 1),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}");
            assert!(!error.to_string().contains("nonsense"));
        }
        let twice = read("KEY=1\n\nOTHER=x\nKEY=2").unwrap_err().to_string();
        assert_eq!(twice, "line 4: KEY has another value on line 1");
    }

    #[test]
    fn what_is_no_secret() {
        for (name, value, secret) in [
            ("PORT", "3000", false),
            ("NODE_ENV", "production", false),
            ("DEBUG", "true", false),
            ("DATABASE_URL", "postgres://db/app", false),
            ("DATABASE_URL", "postgres://u:p@db/app", true),
            ("DATABASE_PASSWORD", "3000", true),
            ("AWS_REGION", "eu-west-1", false),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", true),
            ("STRIPE", "sk_live_abc", true),
            ("NEXT_PUBLIC_KEY", "x", false),
            ("MAX_RETRIES", "5", false),
            ("EMPTY_KEY", "", false),
            ("SENTRY_DSN", "https://abc@sentry.example/1", true),
        ] {
            assert_eq!(no_secret(&EnvName::parse(name).unwrap(), value).is_none(), secret, "{name}");
        }
    }
}
