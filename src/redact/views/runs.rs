//! Runs of characters of base64 or hex that may be deflated data: it has no magic number, so that the beginning of a
//! run is the only place where it is looked for.

use super::{
    beginnings::Beginning,
    block,
    format::{Body, Method},
    formats::DEFLATE,
    writing::{Decoder, Read, Writing},
};

/// Characters that a run has at least, and that it is judged by. Fewer hold less than a key.
pub(super) const LEAST: usize = 32;

/// What a character is in runs: of none, of base64 (also as a URL has it), of hex, too.
static KINDS: [u8; 256] = {
    let mut all = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        if character.is_ascii_hexdigit() {
            all[byte] = 2;
        } else if character.is_ascii_alphanumeric() || matches!(character, b'+' | b'/' | b'-' | b'_' | b'%') {
            all[byte] = 1;
        }
        byte += 1;
    }
    all
};

/// Where in a text runs have their first characters, and how each is written. Those whose first ones end in the
/// text's first bytes are left out: they were found before.
pub(super) fn starts(text: &[u8], known: usize) -> Vec<(usize, Beginning, Body)> {
    let mut found = Vec::new();
    let mut look = 0;
    // Each run has one of the places that are looked at.
    while let Some(byte) = text.get(look) {
        let at = look;
        look += LEAST;
        if !in_a_run(byte) {
            continue;
        }
        let low = at.saturating_sub(LEAST);
        let start = match text[low..at].iter().rposition(|byte| !in_a_run(byte)) {
            Some(before) => low + before + 1,
            None if low == 0 => 0,
            None => continue,
        };
        let Some(run) = text.get(start..start + LEAST) else { break };
        let length = at + 1 - start;
        if length > LEAST || start + LEAST <= known || !run[length..].iter().all(in_a_run) {
            continue;
        }
        found.extend(judge(run).map(|(beginning, body)| (start, beginning, body)));
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

fn in_a_run(byte: &u8) -> bool {
    KINDS[usize::from(*byte)] > 0
}

fn judge(run: &[u8]) -> Option<(Beginning, Body)> {
    let is_hex = run.iter().all(|byte| KINDS[usize::from(*byte)] == 2);
    let decoder = Decoder::behind(if is_hex { Writing::Hex } else { Writing::Base64 }, 0, 0);
    let mut reader = decoder;
    let mut bytes = Vec::with_capacity(LEAST);
    for character in run {
        match reader.read(*character) {
            Read::Byte(byte) => bytes.push(byte),
            Read::Nothing => {}
            Read::Foreign => return None,
        }
    }
    let promise = block::judge_all(&bytes)?;
    let body = Body { method: Method::Deflate, header: 0, trailer: 0, promise };
    Some((Beginning { format: &DEFLATE, decoder, before: 0 }, body))
}
