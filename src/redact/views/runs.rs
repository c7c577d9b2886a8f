//! Runs of characters of base64 or hex that may be deflated data: it has no magic number, so that the beginning of a
//! run is the only place where it is looked for.

use std::slice::from_ref;

use super::{
    beginnings::Beginning,
    block::{self, OPENING},
    format::{Body, Method},
    formats::DEFLATE,
    writing::{Decoder, Read, Writing},
};

/// Characters that a run has at least, and that it is judged by. Fewer hold less than a key.
pub(super) const LEAST: usize = 32;

/// Every run that is long enough has one of the blocks of so many characters that a text is cut into.
const BLOCK: usize = LEAST / 2;

/// Where in a text runs have their first characters, and how each is written. Those whose first ones end in the
/// text's first bytes are left out: they were found before.
pub(super) fn starts(text: &[u8], known: usize) -> Vec<(usize, Beginning, Body)> {
    let mut found = Vec::new();
    let mut goes_on = false;
    for (number, block) in text.as_chunks::<BLOCK>().0.iter().enumerate() {
        let whole = all(from_ref(block), belongs);
        let first = whole && !goes_on;
        goes_on = whole;
        if !first {
            continue;
        }
        let at = number * BLOCK;
        let before = &text[at.saturating_sub(BLOCK)..at];
        let start = at - before.iter().rev().take_while(|byte| in_a_run(byte)).count();
        let Some(run) = text[start..].first_chunk::<LEAST>() else { break };
        if start + LEAST > known && all(run.as_chunks().0, belongs) {
            found.extend(judge(run).map(|(beginning, body)| (start, beginning, body)));
        }
    }
    found
}

/// Where the run begins that a text ends with, if it is too short to be judged.
pub(super) fn begun(text: &[u8]) -> Option<usize> {
    let from = text.len().saturating_sub(LEAST);
    let last = &text[from..];
    let before = last.iter().rposition(|byte| !in_a_run(byte));
    match before {
        Some(before) if before + 1 < last.len() => Some(from + before + 1),
        None if !last.is_empty() && last.len() < LEAST => Some(from),
        _ => None,
    }
}

/// Whether a character is one of base64, also as a URL has it, and so of hex.
fn in_a_run(byte: &u8) -> bool {
    RUNS[usize::from(*byte)]
}

static RUNS: [bool; 256] = {
    let mut all = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        all[byte] = belongs(byte as u8);
        byte += 1;
    }
    all
};

/// The same, without a branch or a table.
const fn belongs(byte: u8) -> bool {
    // A slash stands before the digits.
    let digit_or_slash = byte.wrapping_sub(b'/') < 11;
    is_letter(byte) | digit_or_slash | (byte == b'+') | (byte == b'-') | (byte == b'_') | (byte == b'%')
}

const fn is_letter(byte: u8) -> bool {
    (byte | 0x20).wrapping_sub(b'a') < 26
}

const fn is_capital(byte: u8) -> bool {
    byte.wrapping_sub(b'A') < 26
}

const fn is_hex(byte: u8) -> bool {
    (byte.wrapping_sub(b'0') < 10) | ((byte | 0x20).wrapping_sub(b'a') < 6)
}

/// Whether all are of a class: without stopping at the first that isn't, so that a compiler makes a vector of a block.
fn all(blocks: &[[u8; BLOCK]], class: impl Fn(u8) -> bool) -> bool {
    let of = |byte: u8| 0u8.wrapping_sub(u8::from(class(byte)));
    blocks.iter().all(|block| block.iter().fold(u8::MAX, |all, byte| all & of(*byte)) != 0)
}

fn judge(run: &[u8; LEAST]) -> Option<(Beginning, Body)> {
    let blocks = run.as_chunks().0;
    let is_hex = all(blocks, is_hex);
    // Paths, names and UUIDs have letters of one case; of as much base64 one in ten million has.
    let one_case =
        all(blocks, |byte| !is_capital(byte)) || all(blocks, |byte| is_capital(byte) | !is_letter(byte));
    if !is_hex && one_case {
        return None;
    }
    let decoder = Decoder::behind(if is_hex { Writing::Hex } else { Writing::Base64 }, 0, 0);
    let mut reader = decoder;
    let (mut bytes, mut length) = ([0; LEAST], 0);
    for character in run {
        match reader.read(*character) {
            Read::Byte(byte) => {
                bytes[length] = byte;
                length += 1;
                // Most are no data by then.
                if (length == 1 || length == OPENING)
                    && block::judge(&bytes[..length]).is_some_and(|(_, fits)| !fits)
                {
                    return None;
                }
            }
            Read::Nothing => {}
            Read::Foreign => return None,
        }
    }
    let promise = block::judge_all(&bytes[..length])?;
    let body = Body { method: Method::Deflate, header: 0, trailer: 0, promise };
    Some((Beginning { format: &DEFLATE, decoder, before: 0 }, body))
}
