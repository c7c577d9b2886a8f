//! What may stand at either side of a cut through a needle, told by a few symbols: letters and digits, case folded.

use std::{collections::BTreeSet, sync::OnceLock};

use aho_corasick::packed::{Config, MatchKind, Searcher};

use crate::redact::views::reading::symbol as symbol_of;

/// Symbols in a gram.
const GRAM: usize = 4;
/// A beginning that is looked for may begin so many bytes before the end of what was searched.
pub(super) const OVERLAP: u64 = GRAM as u64 - 1;
/// They are looked for so far from the cut: marks and spaces may be between.
const FARTHEST: usize = 48;
/// What a needle begins with, before its first symbol, is no farther from it.
const FRINGE: usize = 64;
/// Bits of the set of grams, and of that of first bytes: as many whatever the needles are, so that what is taken for one
/// with fewer of them is one with more, too.
const BITS: u32 = 1 << 22;
const FIRST_BITS: u32 = 1 << 20;

/// A place within a needle.
#[derive(Clone, Copy)]
enum Place {
    Anywhere,
    Beginning,
    End,
}

/// More are not looked for by vectors, but one by one in the set of grams.
const MOST_BEGINNINGS: usize = 64;

/// Where needles may be cut.
#[derive(Clone)]
pub(in crate::redact::views) struct Cuts {
    /// All grams of the needles, and all that are shorter, by their place.
    grams: Bits,
    /// The first bytes of all needles, as they stand.
    first: Bits,
    /// The same of some needles; of one more than are looked for, if there are so many.
    beginnings: BTreeSet<[u8; GRAM]>,
    /// Finds them.
    searcher: OnceLock<Option<Searcher>>,
}

/// The symbols at one side of a cut, in their order.
struct Side {
    symbols: [u8; GRAM],
    count: usize,
    /// Whether there are no more.
    whole: bool,
}

impl Cuts {
    pub(in crate::redact::views) fn new() -> Self {
        Self {
            grams: Bits::new(BITS),
            first: Bits::new(FIRST_BITS),
            beginnings: BTreeSet::new(),
            searcher: OnceLock::new(),
        }
    }

    /// Adds a needle.
    pub(in crate::redact::views) fn add(&mut self, needle: &[u8]) {
        let symbols = zeroize::Zeroizing::new(needle.iter().filter_map(symbol).collect::<Vec<u8>>());
        for length in 1..=GRAM.min(symbols.len()) {
            symbols.windows(length).for_each(|gram| self.grams.set(item(gram, Place::Anywhere)));
            self.grams.set(item(&symbols[..length], Place::Beginning));
            self.grams.set(item(&symbols[symbols.len() - length..], Place::End));
        }
        let first = needle.first_chunk::<GRAM>().filter(|bytes| !bytes.contains(&b'\n'));
        let Some(first) = first else { return };
        self.first.set(item(first, Place::Beginning));
        if self.beginnings.len() <= MOST_BEGINNINGS && self.beginnings.insert(*first) {
            self.searcher = OnceLock::new();
        }
    }

    /// Where in a text a needle begins first, as it stands.
    pub(super) fn find_beginning(&self, text: &[u8]) -> Option<usize> {
        match self.searcher.get_or_init(|| searcher(&self.beginnings)) {
            Some(searcher) => searcher.find(text).map(|found| found.start()),
            None => text.windows(GRAM).position(|four| self.first.has(item(four, Place::Beginning))),
        }
    }

    /// Whether a text ends with a word of fewer symbols that a needle may begin with.
    pub(super) fn begins_late(&self, text: &[u8]) -> bool {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let mut word = [0; GRAM];
        let mut symbols = 0;
        for byte in text.iter().rev().take(GRAM) {
            let symbol = symbol_of(*byte);
            if symbol == 0 {
                break;
            }
            symbols += 1;
            word[GRAM - symbols] = symbol;
        }
        (1..GRAM).contains(&symbols) && self.begins(&word[GRAM - symbols..])
    }

    /// Whether a needle may go on from one piece to another.
    pub(super) fn joins(&self, before: &[u8], behind: &[u8]) -> bool {
        let first = Side::first(behind);
        let inside_behind = self.has_all(&first);
        if !inside_behind && !self.ends_within(&first) {
            return false;
        }
        let last = Side::last(before);
        let begun =
            || (1..=last.count.min(GRAM - 1)).any(|count| self.begins(&last.all()[last.count - count..]));
        // A value is longer than what is at both sides of few symbols.
        self.has_all(&last) || inside_behind && begun()
    }

    /// Whether a needle may end with the first few symbols.
    fn ends_within(&self, first: &Side) -> bool {
        (1..=first.count.min(GRAM - 1)).any(|count| self.ends(&first.all()[..count]))
    }

    /// The first index from which on a text may be the beginning of a needle, as four symbols tell.
    pub(super) fn first_beginning(&self, text: &[u8]) -> Option<usize> {
        let mut four = [0; GRAM];
        let mut places = [0; GRAM];
        let mut count = 0;
        for (at, byte) in text.iter().enumerate() {
            let Some(symbol) = symbol(byte) else { continue };
            four.rotate_left(1);
            places.rotate_left(1);
            (four[GRAM - 1], places[GRAM - 1]) = (symbol, at);
            count += 1;
            if count >= GRAM && self.begins(&four) {
                return Some(with_fringe(text, places[0]));
            }
        }
        None
    }

    /// Whether what is at one side may be inside of a needle; of a short piece, all of it.
    fn has_all(&self, side: &Side) -> bool {
        side.count > 0
            && (side.count == GRAM || side.whole)
            && self.grams.has(item(side.all(), Place::Anywhere))
    }

    fn begins(&self, symbols: &[u8]) -> bool {
        self.grams.has(item(symbols, Place::Beginning))
    }

    fn ends(&self, symbols: &[u8]) -> bool {
        self.grams.has(item(symbols, Place::End))
    }
}

impl Side {
    /// The symbols that a piece begins with.
    fn first(piece: &[u8]) -> Self {
        let mut side = Self { symbols: [0; GRAM], count: 0, whole: piece.len() <= FARTHEST };
        for byte in &piece[..piece.len().min(FARTHEST)] {
            let symbol = symbol_of(*byte);
            if symbol == 0 {
                continue;
            }
            side.symbols[side.count] = symbol;
            side.count += 1;
            if side.count == GRAM {
                break;
            }
        }
        side
    }

    /// The symbols that a piece ends with.
    fn last(piece: &[u8]) -> Self {
        let mut side = Self { symbols: [0; GRAM], count: 0, whole: piece.len() <= FARTHEST };
        for byte in piece[piece.len().saturating_sub(FARTHEST)..].iter().rev() {
            let symbol = symbol_of(*byte);
            if symbol == 0 {
                continue;
            }
            side.symbols[GRAM - 1 - side.count] = symbol;
            side.count += 1;
            if side.count == GRAM {
                break;
            }
        }
        side.symbols.rotate_left(GRAM - side.count);
        side
    }

    fn all(&self) -> &[u8] {
        &self.symbols[..self.count]
    }
}

fn searcher(beginnings: &BTreeSet<[u8; GRAM]>) -> Option<Searcher> {
    if beginnings.len() > MOST_BEGINNINGS {
        return None;
    }
    let mut config = Config::new();
    config.match_kind(MatchKind::LeftmostFirst);
    config.builder().extend(beginnings).build()
}

fn symbol(byte: &u8) -> Option<u8> {
    Some(symbol_of(*byte)).filter(|symbol| *symbol != 0)
}

/// An index, or that of what may belong to it before.
fn with_fringe(text: &[u8], at: usize) -> usize {
    at - text[..at].iter().rev().take(FRINGE).take_while(|byte| symbol(byte).is_none()).count()
}

fn item(symbols: &[u8], place: Place) -> u64 {
    let packed = symbols.iter().fold(symbols.len() as u64, |packed, symbol| packed << 8 | u64::from(*symbol));
    (packed << 2 | place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

/// A set of hashes, a bit each.
#[derive(Clone)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(bits: u32) -> Self {
        Self(vec![0; bits as usize / 64])
    }

    fn set(&mut self, item: u64) {
        let (word, bit) = self.place(item);
        self.0[word] |= bit;
    }

    fn has(&self, item: u64) -> bool {
        let (word, bit) = self.place(item);
        self.0[word] & bit != 0
    }

    fn place(&self, item: u64) -> (usize, u64) {
        let words = self.0.len();
        ((item >> 6) as usize & (words - 1), 1 << (item & 63))
    }
}
