//! Words, names and passwords that everybody tries: as they are, capitalised, with digits and signs for letters,
//! and turned around.

use super::patterns::Step;

/// One a line, sorted, lower case: what the documentation of a Linux system is made of most, and what people
/// make passwords of: animals, colours, food, names, cities, months.
const TEXT: &[u8] = include_bytes!("words.txt");

/// Where each stands. It is worked out as this is compiled, and has no pointers, which a start would have to set right.
static WORDS: [Word; COUNT] = words();

const COUNT: usize = {
    let (mut count, mut at) = (0, 0);
    while at < TEXT.len() {
        count += (TEXT[at] == b'\n') as usize;
        at += 1;
    }
    count
};

/// A word of the text.
#[derive(Clone, Copy)]
struct Word {
    from: u16,
    length: u16,
}

impl Word {
    fn bytes(self) -> &'static [u8] {
        &TEXT[usize::from(self.from)..][..usize::from(self.length)]
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the text is shorter than that")]
const fn words() -> [Word; COUNT] {
    assert!(TEXT.len() <= u16::MAX as usize && TEXT[TEXT.len() - 1] == b'\n');
    let mut words = [Word { from: 0, length: 0 }; COUNT];
    let (mut word, mut from, mut at) = (0, 0, 0);
    while at < TEXT.len() {
        if TEXT[at] == b'\n' {
            words[word] = Word { from: from as u16, length: (at - from) as u16 };
            (word, from) = (word + 1, at + 1);
        }
        at += 1;
    }
    words
}

/// Where the words begin that begin with a byte; behind them those of the next.
static FIRST: [u16; 257] = {
    let mut first = [0; 257];
    let (mut byte, mut word) = (0, 0);
    while byte < 257 {
        while word < COUNT && (TEXT[WORDS[word].from as usize] as usize) < byte {
            word += 1;
        }
        first[byte] = word as u16;
        byte += 1;
    }
    first
};

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
    /// In lower case, and with letters for digits and signs where there are any.
    readings: Vec<Vec<u8>>,
    /// Words that are turned around: where they begin, and how long they are.
    turned: Vec<(usize, usize)>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let lower = text.to_ascii_lowercase();
        let spelled = |one: u8| lower.iter().map(|byte| letter_of(*byte, one)).collect::<Vec<u8>>();
        let mut readings = vec![spelled(b'i'), spelled(b'l'), lower.clone()];
        readings.dedup();
        let reversed: Vec<u8> = lower.iter().rev().copied().collect();
        let mut turned = Vec::new();
        for at in 0..reversed.len() {
            each_word(&reversed[at..], |length| {
                if length >= SHORTEST_SPELLED {
                    turned.push((reversed.len() - at - length, length));
                }
            });
        }
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
        for (_, length) in self.turned.iter().filter(|(from, _)| *from == at) {
            let bits = WORD + TURNED + capitals(&self.text[at..at + length]);
            found.push(Step { length: *length, bits });
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
    let Some(first) = text.first().map(|byte| usize::from(*byte)) else { return };
    let mut words = &WORDS[usize::from(FIRST[first])..usize::from(FIRST[first + 1])];
    for (length, byte) in text.iter().enumerate().take(LONGEST) {
        let at = |word: &Word| word.bytes().get(length).copied();
        let from = words.partition_point(|word| at(word) < Some(*byte));
        let to = words.partition_point(|word| at(word) <= Some(*byte));
        words = &words[from..to];
        match words.first() {
            None => return,
            Some(first) if usize::from(first.length) == length + 1 => found(length + 1),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_text_is_a_word_that_is_found() {
        let lines: Vec<&[u8]> = TEXT.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(WORDS.iter().map(|word| word.bytes()).collect::<Vec<_>>(), lines);
        assert!(lines.is_sorted_by(|a, b| a < b), "they are narrowed down by halves");
        for line in lines {
            let mut longest = 0;
            each_word(line, |length| longest = length);
            assert_eq!(longest, line.len(), "{}", String::from_utf8_lossy(line));
        }
    }
}
