//! Escapes of two hex digits behind a sign: URLs, and quoted-printable.

use super::{
    backslash::line_end,
    written::{Escape, Parsed, Written},
};

/// RFC 3986, section 2.1; `%uXXXX` of JavaScript's `escape`; `%x41` of ABNF (RFC 5234, section 2.3).
pub(super) fn percent(text: Written<'_>) -> Parsed {
    match text.at(1)? {
        Some(b'u') => text.utf16(b"%u"),
        Some(b'x') => Ok(text.hex(2, 2)?.and_then(|byte| Escape::number(4, byte))),
        _ => pair(text),
    }
}

/// RFC 2045, section 6.7: a byte, or the end of a line that goes on.
pub(super) fn quoted_printable(text: Written<'_>) -> Parsed {
    match text.at(1)? {
        Some(b'\r' | b'\n') => line_end(text, 1),
        _ => pair(text),
    }
}

fn pair(text: Written<'_>) -> Parsed {
    Ok(text.hex(1, 2)?.and_then(|byte| Escape::number(3, byte)))
}
