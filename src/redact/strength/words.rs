//! Words, names and passwords that everybody tries: as they are, capitalised, with digits and signs for letters,
//! and turned around.

use std::sync::LazyLock;

use super::patterns::Step;

/// One a line, sorted, lower case: what the documentation of a Linux system is made of most, and what people
/// make passwords of: animals, colours, food, names, cities, months.
static WORDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| include_str!("words.txt").lines().collect());

/// Bits of one word among all.
const WORD: f64 = 12.7;
/// More, where it is spelled with digits and signs.
const SPELLED: f64 = 2.0;
/// More, where it is turned around.
const TURNED: f64 = 1.0;
/// Fewer letters are found everywhere, spelled or turned.
const SHORTEST_SPELLED: usize = 4;

/// The words of one text.
pub(super) struct Finder<'a> {
    text: &'a [u8],
    readings: [Vec<u8>; 3],
    /// The first reading from its end.
    turned: Vec<u8>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let lower = text.to_ascii_lowercase();
        let spelled = |one: u8| lower.iter().map(|byte| letter_of(*byte, one)).collect::<Vec<u8>>();
        let readings = [lower.clone(), spelled(b'i'), spelled(b'l')];
        let turned = lower.into_iter().rev().collect();
        Self { text, readings, turned }
    }

    /// The words that begin at a place, and what each costs.
    pub(super) fn at(&self, at: usize) -> Vec<Step> {
        let mut found = Vec::new();
        for reading in &self.readings {
            each_word(&reading[at..], |length| {
                let original = &self.text[at..at + length];
                let spelled = original.to_ascii_lowercase() != reading[at..at + length];
                if spelled && length < SHORTEST_SPELLED {
                    return;
                }
                let bits = WORD + capitals(original) + if spelled { SPELLED } else { 0.0 };
                found.push(Step { length, bits });
            });
        }
        // A word that is turned around is found from its end: it ends where this one begins.
        let from = self.text.len() - at;
        for length in SHORTEST_SPELLED..=from.min(LONGEST) {
            let start = from - length;
            if is_word(&self.turned[start..from]) {
                let bits = WORD + TURNED + capitals(&self.text[at..at + length]);
                found.push(Step { length, bits });
            }
        }
        found
    }
}

const LONGEST: usize = 13;

/// What is written for a letter (zxcvbn's table), where `one` is what 1 and ! stand for.
fn letter_of(byte: u8, one: u8) -> u8 {
    match byte {
        b'4' | b'@' => b'a',
        b'8' => b'b',
        b'(' | b'{' | b'[' | b'<' => b'c',
        b'3' => b'e',
        b'6' | b'9' => b'g',
        b'1' | b'!' | b'|' => one,
        b'0' => b'o',
        b'$' | b'5' => b's',
        b'7' | b'+' => b't',
        b'%' => b'x',
        b'2' => b'z',
        other => other,
    }
}

fn capitals(word: &[u8]) -> f64 {
    let upper = word.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    match upper {
        0 => 0.0,
        _ if upper == word.len() || (upper == 1 && word[0].is_ascii_uppercase()) => 1.0,
        _ => 3.0,
    }
}

/// Every word that a text begins with: the words are narrowed down byte by byte.
fn each_word(text: &[u8], mut found: impl FnMut(usize)) {
    let mut words = WORDS.as_slice();
    for (length, byte) in text.iter().enumerate().take(LONGEST) {
        let at = |word: &&str| word.as_bytes().get(length).copied();
        let from = words.partition_point(|word| at(word) < Some(*byte));
        let to = words.partition_point(|word| at(word) <= Some(*byte));
        words = &words[from..to];
        match words.first() {
            None => return,
            Some(first) if first.len() == length + 1 => found(length + 1),
            Some(_) => {}
        }
    }
}

fn is_word(text: &[u8]) -> bool {
    WORDS.binary_search_by(|word| word.as_bytes().cmp(text)).is_ok()
}
