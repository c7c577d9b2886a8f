//! What each byte of a text costs who guesses it, at its cheapest.

use super::{
    patterns::{Step, steps},
    words,
};

/// Pieces are looked for in so many bytes at a time.
pub(super) const CHUNK: usize = 128;

/// The bits of a part of a structure, by its beginning.
pub(super) fn costs_of(part: &[u8]) -> f64 {
    part[..part.len().min(2 * CHUNK)].chunks(CHUNK).flat_map(|chunk| costs(chunk, 0)).sum()
}

/// The cheapest way to guess a text whose first bytes are known, spread over the others.
pub(super) fn costs(text: &[u8], known: usize) -> Vec<f64> {
    let plain = alphabets(text);
    let mut best = vec![f64::INFINITY; text.len() + 1];
    let mut how = vec![Step { length: 1, bits: 0.0 }; text.len() + 1];
    best[known] = 0.0;
    let words = words::Finder::new(text);
    for at in known..text.len() {
        let single = Step { length: 1, bits: plain[at] };
        for step in std::iter::once(single).chain(words.at(at)).chain(steps(text, at)) {
            let end = at + step.length;
            if best[at] + step.bits < best[end] {
                best[end] = best[at] + step.bits;
                how[end] = step;
            }
        }
    }
    let mut each = vec![0.0; text.len()];
    let mut end = text.len();
    while end > known {
        let Step { length, bits } = how[end];
        #[expect(clippy::cast_precision_loss, reason = "a length of at most a chunk")]
        each[end - length..end].fill(bits / length as f64);
        end -= length;
    }
    each.split_off(known)
}

/// Bits of a letter that may belong to a word of any language, and of one that stands alone.
const LETTER: f64 = 3.0;

const LONE_LETTER: f64 = 4.7;

/// Fewer are no word.
const SHORTEST_WORD: usize = 3;

const DIGIT: f64 = 3.32;

/// Bits of a character of a script that is not ASCII.
const FOREIGN: f64 = 4.5;

/// Bits of a byte of no text.
const BINARY: f64 = 7.0;

/// Bits of a character between words: the first of its kind, one that stands between words more often than not,
/// and another one like it.
const MARK: f64 = 4.0;

const USUAL_MARK: f64 = 2.0;

const SAME_MARK: f64 = 1.0;

/// What each byte costs whoever tries all of them.
fn alphabets(text: &[u8]) -> Vec<f64> {
    let binary = std::str::from_utf8(text).is_err_and(|error| error.error_len().is_some());
    let mut each = Vec::with_capacity(text.len());
    let mut last_mark = None;
    while each.len() < text.len() {
        let at = each.len();
        let run = text[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let rest = &text[at..at + run];
        if run > 0 {
            let random = random_symbol(rest);
            let letter = if run < SHORTEST_WORD { LONE_LETTER } else { LETTER };
            let plain = |byte: &u8| if byte.is_ascii_digit() { DIGIT } else { letter };
            each.extend(rest.iter().map(|byte| random.unwrap_or(plain(byte))));
            continue;
        }
        let byte = text[at];
        each.push(match byte {
            _ if binary && !byte.is_ascii_graphic() => BINARY,
            // A character's first byte; those behind it come with it.
            0xc0.. => FOREIGN,
            0x80..=0xbf => 0.0,
            b' ' | b'\t' | b'\r' | b'\n' => SAME_MARK,
            _ if last_mark == Some(byte) => SAME_MARK,
            b'-' | b'_' | b'.' => USUAL_MARK,
            _ => MARK,
        });
        last_mark = Some(byte);
    }
    each
}

/// The bits of a letter or digit in a row of them that looks random: where letters, capitals and digits change
/// places as they don't in words.
fn random_symbol(run: &[u8]) -> Option<f64> {
    let class = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
    let any = |is: fn(&u8) -> bool| run.iter().any(is);
    let (lower, upper, digit) =
        (any(u8::is_ascii_lowercase), any(u8::is_ascii_uppercase), any(u8::is_ascii_digit));
    let changes = run.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
    if digit && (lower != upper) && run.len() >= 8 && run.iter().all(u8::is_ascii_hexdigit) && changes >= 2 {
        return Some(4.0);
    }
    if run.len() < 6 || changes < 3 || changes * 5 < run.len() {
        return None;
    }
    // Base32 (RFC 4648, section 6) has but these digits.
    let base32 = !lower && run.iter().all(|byte| !byte.is_ascii_digit() || (b'2'..=b'7').contains(byte));
    Some(match (lower, upper, digit) {
        (true, true, true) => 5.95,
        (true, true, false) => 5.7,
        _ if base32 => 5.0,
        _ => 5.17,
    })
}
