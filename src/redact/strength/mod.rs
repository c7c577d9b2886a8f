//! How hard a value is to guess, in bits: counted as somebody who guesses would, after zxcvbn's method (Wheeler,
//! USENIX Security 2016). A text is cut into the pieces that are cheapest to guess: words, names and passwords
//! that everybody tries, also capitalised, spelled with digits or turned around; sequences, walks on a keyboard,
//! dates, repeats. Only what none of them explains is counted by its alphabet, and letters that could be a word
//! of a language that the dictionary doesn't have count little.
//!
//! The crate `zxcvbn` is not used: it counts in 64 bits, so that it can't tell 80 from 64; its tables take 30 ms
//! and 7 MB in every process that estimates, and a text of a hundred characters takes it 10 ms.

mod known;
mod patterns;
mod words;

pub use known::PREFIXES;
use patterns::{Step, steps};

/// Below so many bits a value can be guessed: a mask that answers a million guesses a second would take longer
/// than the universe has to find one that is not.
pub const GUESSABLE_BELOW: u32 = 80;

/// So much of a text is looked at: what goes on behind it only makes it harder to guess.
const LOOKED_AT: usize = 2048;
/// Of a text that is longer than this the parts are not asked for, and so no more than this many bits.
const LONG: usize = 512;
const ENOUGH: f64 = 256.0;
/// Pieces are looked for in so many bytes at a time.
const CHUNK: usize = 128;
/// Bits of a letter or a digit at most, where case doesn't count.
const FOLDED: f64 = 5.17;

/// How hard a value is to guess, in bits; of a URL, a JSON document and a list of settings only what is
/// secret in it counts.
pub fn bits(value: &[u8]) -> u32 {
    whole_bits(Profile::of(value).all())
}

/// Whether a value can be guessed.
pub fn is_guessable(value: &[u8]) -> bool {
    bits(value) < GUESSABLE_BELOW
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few thousand at most, never less than 0"
)]
fn whole_bits(bits: f64) -> u32 {
    bits as u32
}

/// What each byte of a text adds to what has to be guessed.
pub(super) struct Profile {
    /// The bits of the first bytes, as many as the index says.
    before: Vec<f64>,
    /// The same where case and punctuation don't count.
    folded: Vec<f64>,
}

impl Profile {
    pub(super) fn of(text: &[u8]) -> Self {
        let text = &text[..text.len().min(LOOKED_AT)];
        let mut known = vec![false; text.len()];
        known::ranges(text).into_iter().for_each(|range| known[range].fill(true));
        let mut each: Vec<f64> = Vec::with_capacity(text.len());
        let mut seen: Vec<&[u8]> = Vec::new();
        let mut enough = 0.0;
        for chunk in text.chunks(CHUNK) {
            let at = each.len()..each.len() + chunk.len();
            // What stands there a second time adds nothing; behind what is hard enough, nothing has to be added.
            let nothing = enough >= ENOUGH
                || known[at.clone()].iter().all(|known| *known)
                || seen.contains(&chunk)
                || goes_on(text, at.start, at.end);
            if nothing {
                each.resize(at.end, 0.0);
                continue;
            }
            seen.push(chunk);
            let before = at.start.min(CHUNK);
            let costs = costs(&text[at.start - before..at.end], before).into_iter().zip(&known[at]);
            each.extend(costs.map(|(bits, known)| if *known { 0.0 } else { bits }));
            if text.len() > LONG {
                enough = each.iter().sum();
            }
        }
        let symbols = each.iter().zip(text);
        let folded =
            symbols.map(|(bits, byte)| if byte.is_ascii_alphanumeric() { bits.min(FOLDED) } else { 0.0 });
        Self { folded: sums(folded), before: sums(each.iter().copied()) }
    }

    /// The bits of everything.
    pub(super) fn all(&self) -> f64 {
        self.before.last().copied().unwrap_or_default()
    }

    /// The bits of what is left without so many bytes at both ends.
    pub(super) fn inside(&self, ends: usize) -> f64 {
        between(&self.before, ends, (self.before.len() - 1).saturating_sub(ends))
    }

    /// The same, where only letters and digits count, whatever their case.
    pub(super) fn folded_inside(&self, ends: usize) -> f64 {
        between(&self.folded, ends, (self.folded.len() - 1).saturating_sub(ends))
    }

    /// The bits of a stretch, where only letters and digits count, whatever their case.
    pub(super) fn folded_between(&self, from: usize, to: usize) -> f64 {
        between(&self.folded, from, to)
    }
}

/// Whether a stretch goes on as what stands before it did: the same few bytes over and over.
fn goes_on(text: &[u8], from: usize, to: usize) -> bool {
    (1..=from.min(CHUNK)).any(|back| text[from..to] == text[from - back..to - back])
}

fn between(sums: &[f64], from: usize, to: usize) -> f64 {
    let last = sums.len() - 1;
    (sums[to.min(last)] - sums[from.min(last)]).max(0.0)
}

fn sums(each: impl Iterator<Item = f64>) -> Vec<f64> {
    let total = each.scan(0.0, |sum, bits| {
        *sum += bits;
        Some(*sum)
    });
    std::iter::once(0.0).chain(total).collect()
}

/// The bits of a part of a structure, by its beginning.
fn costs_of(part: &[u8]) -> f64 {
    part[..part.len().min(2 * CHUNK)].chunks(CHUNK).flat_map(|chunk| costs(chunk, 0)).sum()
}

/// The cheapest way to guess a text whose first bytes are known, spread over the others.
fn costs(text: &[u8], known: usize) -> Vec<f64> {
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

#[cfg(test)]
mod tests;
