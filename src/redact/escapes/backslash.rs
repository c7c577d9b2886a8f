//! Escapes that begin with a backslash.

use super::written::{Escape, Parsed, Rank, Written};

/// C, JSON (RFC 8259, section 7), JavaScript, Python, Perl, Ruby, Rust, Java, shells.
pub(super) fn common(text: Written<'_>) -> Parsed {
    let Some(kind) = text.at(1)? else { return Ok(None) };
    let control = |byte| Ok(Some(Escape::byte(2, byte)));
    match kind {
        b'n' => control(b'\n'),
        b't' => control(b'\t'),
        b'r' => control(b'\r'),
        b'b' => control(8),
        b'f' => control(0x0c),
        b'v' => control(0x0b),
        b'a' => control(7),
        b'e' => control(0x1b),
        b'0'..=b'7' => octal(text),
        b'x' => match text.digits(2, 16, 2)? {
            (0, _) => or_itself(text.braced(2)?, kind),
            (count, byte) => Ok(Escape::number(2 + count, byte)),
        },
        b'u' => match text.at(2)? {
            Some(b'{') => or_itself(text.braced(2)?, kind),
            _ => or_itself(text.utf16(b"\\u")?, kind),
        },
        b'U' => or_itself(text.hex(2, 8)?.and_then(|code| Escape::code(10, code)), kind),
        b'\r' | b'\n' => line_end(text, 1),
        _ => or_itself(None, kind),
    }
}

/// A line that goes on in the next.
pub(super) fn line_end(text: Written<'_>, at: usize) -> Parsed {
    let length = match text.at(at)? {
        Some(b'\n') => at + 1,
        Some(b'\r') if text.at(at + 1)? == Some(b'\n') => at + 2,
        _ => return Ok(None),
    };
    Ok(Some(Escape::nothing(length)))
}

/// Up to three digits of one byte.
fn octal(text: Written<'_>) -> Parsed {
    Ok(match text.digits(1, 8, 3)? {
        (3, number @ 256..) => Escape::number(3, number >> 3),
        (count, number) => Escape::number(1 + count, number),
    })
}

/// CSS: a code point, and the white space behind it.
pub(super) fn css(text: Written<'_>) -> Parsed {
    let (count, code) = text.digits(1, 16, 6)?;
    if count == 0 {
        return character(text);
    }
    let length = 1 + count;
    let ended = match text.at(length)? {
        Some(b' ' | b'\t' | b'\n' | 0x0c) => 1,
        Some(b'\r') => 1 + usize::from(text.at(length + 1)? == Some(b'\n')),
        _ => 0,
    };
    Ok(Escape::code(length + ended, code))
}

/// LDAP: a byte in two digits.
pub(super) fn hex_pair(text: Written<'_>) -> Parsed {
    match text.hex(1, 2)? {
        Some(byte) => Ok(Escape::number(3, byte)),
        None => character(text),
    }
}

/// A byte in three decimal digits.
pub(super) fn decimal(text: Written<'_>) -> Parsed {
    match text.digits(1, 10, 3)? {
        (3, byte @ 0..256) => Ok(Escape::number(4, byte)),
        _ => character(text),
    }
}

/// A backslash before a character that stands for itself.
fn character(text: Written<'_>) -> Parsed {
    match text.at(1)? {
        Some(kind) => Ok(Some(Escape::byte(2, kind).ranked(Rank::Idle))),
        None => Ok(None),
    }
}

fn or_itself(escape: Option<Escape>, kind: u8) -> Parsed {
    let rank = if kind.is_ascii_alphanumeric() { Rank::Idle } else { Rank::Bare };
    Ok(escape.or(Some(Escape::byte(2, kind).ranked(rank))))
}
