//! Quotes inside of quotes. Each is written with signs alone, and stands for one.

use super::written::{Escape, Parsed, Rank, Written};

/// A shell's `'\''` and `'"'"'`; the doubled quotes of SQL and CSV (RFC 4180, section 2); PowerShell's backtick.
pub(super) fn quote(text: Written<'_>) -> Parsed {
    let first = text.at(0)?;
    let length = match (first, text.at(1)?) {
        (Some(b'\''), Some(b'\\')) if text.is(2, b"''")? => 4,
        (Some(b'\''), Some(b'"')) if text.is(2, b"'\"'")? => 5,
        (Some(b'\'' | b'"'), second) if second == first => 2,
        (Some(b'`'), Some(b'\'' | b'"' | b'`' | b'$')) => 2,
        _ => return Ok(None),
    };
    let stands_for = if first == Some(b'`') { text.at(1)? } else { first };
    Ok(stands_for.map(|byte| Escape::byte(length, byte).ranked(Rank::Bare)))
}

/// Where a shell's word goes over into another way to quote; it is one word.
pub(super) fn change(text: Written<'_>) -> Parsed {
    Ok(match text.at(1)? {
        Some(b'$') if text.is(2, b"'")? => Some(Escape::nothing(3)),
        Some(b'\\') if text.is(2, b"''")? => return quote(text),
        Some(b'\'') => Some(Escape::nothing(2).ranked(Rank::Idle)),
        _ => None,
    })
}
