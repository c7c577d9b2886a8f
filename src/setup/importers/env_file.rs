//! `.env` files: read as they are written, nothing expanded.
//!
//! Our own reader, because those at hand expand `$NAME` from the environment, which would change a value
//! that has a dollar sign in it. The dialect: `NAME=value` lines, `export` in front, `#` comments;
//! single quotes are literal, double quotes know `\n \r \t \" \\ \$`, both may go over several lines;
//! without quotes a value ends at ` #` or at the line's end.

use zeroize::Zeroizing;

use super::candidates::{Candidate, Candidates, Importer, ReadError};
use crate::names::EnvName;

/// Of whatever name: what no other row takes is read as this.
pub(super) const IMPORTER: Importer = Importer { takes: |_| true, read };

/// Reads a whole file.
///
/// # Errors
/// [`ReadError`] at the first line that can't be read.
pub fn read(text: &str) -> Result<Candidates, ReadError> {
    let mut candidates = Candidates::default();
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    while let Some(candidate) = reader.entry()? {
        candidates.add(candidate)?;
    }
    Ok(candidates)
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn entry(&mut self) -> Result<Option<Candidate>, ReadError> {
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

    fn assignment(&mut self) -> Result<Candidate, ReadError> {
        let line = self.line;
        let error = |what: &str| ReadError { line, what: what.to_owned() };
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
        Ok(Candidate { line, name, value })
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

    fn quoted(&mut self, quote: char) -> Result<Zeroizing<String>, ReadError> {
        let line = self.line;
        let error = |what: &str| ReadError { line, what: what.to_owned() };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Result<Vec<(String, String)>, ReadError> {
        Ok(read(text)?.into_iter().map(|e| (e.name.to_string(), e.value.to_string())).collect())
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
            assert_eq!(pairs(text), Ok(vec![("A".into(), expected.into())]), "{text:?}");
        }
        assert_eq!(pairs("A=1\nB='2\n3'\nC=4").unwrap().len(), 3);
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
            let error = pairs(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}");
            assert!(!error.to_string().contains("nonsense"));
        }
        let twice = pairs("KEY=1\n\nOTHER=x\nKEY=2").unwrap_err().to_string();
        assert_eq!(twice, "line 4: KEY has another value on line 1");
    }
}
