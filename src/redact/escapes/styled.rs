//! Letters in another style, of a character of their own each: full-width forms, and those of mathematics.

use super::written::{Escape, Parsed, Written};

/// Unicode, blocks *Halfwidth and Fullwidth Forms* and *Mathematical Alphanumeric Symbols*.
pub(super) fn styled(text: Written<'_>) -> Parsed {
    let tail = |at: usize| -> Result<Option<u32>, _> {
        let byte = text.at(at)?.filter(|byte| byte & 0xc0 == 0x80);
        Ok(byte.map(|byte| u32::from(byte & 0x3f)))
    };
    let (Some(second), Some(third)) = (tail(1)?, tail(2)?) else { return Ok(None) };
    if text.at(0)? == Some(0xef) {
        let code = 0xf000 | second << 6 | third;
        let ascii = (0xff01..=0xff5e).contains(&code).then(|| code - 0xfee0);
        return Ok(ascii.and_then(|code| Escape::number(3, code)));
    }
    let Some(fourth) = tail(3)? else { return Ok(None) };
    let stands_for = match second << 12 | third << 6 | fourth {
        code @ 0x1d400..0x1d6a4 => match (code - 0x1d400) % 52 {
            capital @ 0..26 => 0x41 + capital,
            small => 0x61 + small - 26,
        },
        code @ 0x1d7ce..0x1d800 => 0x30 + (code - 0x1d7ce) % 10,
        _ => return Ok(None),
    };
    Ok(Escape::number(4, stands_for))
}
