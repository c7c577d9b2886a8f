//! How hard a value is to guess, in bits: counted as somebody who guesses would, after zxcvbn's method (Wheeler,
//! USENIX Security 2016). A text is cut into the pieces that are cheapest to guess: words, names and passwords
//! that everybody tries, also capitalised, spelled with digits or turned around; sequences, walks on a keyboard,
//! dates, repeats. Only what none of them explains is counted by its alphabet, and letters that could be a word
//! of a language that the dictionary doesn't have count little.
//!
//! The crate `zxcvbn` is not used: it counts in 64 bits, so that it can't tell 80 from 64; its tables take 30 ms
//! and 7 MB in every process that estimates, and a text of a hundred characters takes it 10 ms.

mod costs;
mod known;
mod patterns;
mod words;

use costs::{CHUNK, costs};
pub(crate) use known::PREFIXES;
pub(super) use known::common;

/// Below so many bits a value can be guessed: a mask that answers a million guesses a second would take longer
/// than the universe has to find one that is not.
pub(crate) const GUESSABLE_BELOW: u32 = 80;

/// So much of a text is looked at: what goes on behind it only makes it harder to guess.
const LOOKED_AT: usize = 2048;
/// Of a text that is longer than this the parts are not asked for, and so no more than this many bits.
const LONG: usize = 512;
const ENOUGH: f64 = 256.0;
/// Bits of a letter or a digit at most, where case doesn't count.
const FOLDED: f64 = 5.17;

/// How hard a value is to guess, in bits; of a URL, a JSON document and a list of settings only what is
/// secret in it counts.
pub fn bits(value: &[u8]) -> u32 {
    whole_bits(Profile::of(value).all())
}

/// Whether a value can be guessed.
pub(crate) fn is_guessable(value: &[u8]) -> bool {
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

#[cfg(test)]
mod tests;
