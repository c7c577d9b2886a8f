//! How each format begins in each writing, and where a text has such a beginning.

use std::sync::LazyLock;

use aho_corasick::packed::{Config, MatchKind, Searcher};

use super::{
    format::{Format, Found},
    formats::FORMATS,
    writing::{Decoder, Writing},
};

/// The longest of the beginnings.
pub(super) const LONGEST_BEGINNING: u64 = 10;
/// Characters of hex and of base64 that are enough to look closer; a slash behind them may be percent-encoded.
const MOST_CHARACTERS: usize = 8;
const BASE64_CHARACTERS: usize = 4;
/// Patterns that one vectorised searcher can have.
const MOST_PATTERNS: usize = 64;

/// A format in a writing.
#[derive(Clone, Copy)]
pub(super) struct Beginning {
    pub(super) format: &'static Format,
    /// Reads on from the first whole character of the format.
    pub(super) decoder: Decoder,
    /// Characters before it that hold its first bits.
    pub(super) before: u64,
}

impl Beginning {
    pub(super) fn is_in_a_writing(&self) -> bool {
        self.decoder.writing != Writing::Plain
    }
}

/// A beginning, and what must stand before it.
struct Pattern {
    bytes: Vec<u8>,
    beginning: Beginning,
    /// The last bits of the character before it, and their number.
    lead: (u32, u32),
}

/// Patterns that are looked for together.
struct Finder {
    patterns: Vec<Pattern>,
    searcher: Option<Searcher>,
}

/// As they stand and in hex; in base64; and the short ones, which would make any searcher slow.
static FINDERS: LazyLock<[Finder; 3]> = LazyLock::new(|| {
    let (short, long): (Vec<_>, Vec<_>) = FORMATS.iter().flat_map(plain).partition(|one| one.bytes.len() < 3);
    let hex = FORMATS.iter().flat_map(hex);
    let base64 = FORMATS.iter().flat_map(base64);
    [long.into_iter().chain(hex).collect(), base64.collect(), short].map(Finder::new)
});

impl Finder {
    fn new(patterns: Vec<Pattern>) -> Self {
        debug_assert!(patterns.len() <= MOST_PATTERNS, "{} patterns", patterns.len());
        let mut config = Config::new();
        config.match_kind(MatchKind::LeftmostFirst);
        let searcher = config.builder().extend(patterns.iter().map(|one| &one.bytes)).build();
        Self { patterns, searcher }
    }

    fn places<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, usize, Beginning)> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            loop {
                let found = self.searcher.as_ref()?.find_in(text, (from..text.len()).into())?;
                from = found.start() + 1;
                let pattern = &self.patterns[found.pattern().as_usize()];
                if pattern.stands_behind(&text[..found.start()]) {
                    return Some((found.start(), found.end(), pattern.beginning));
                }
            }
        })
    }
}

impl Pattern {
    fn new(format: &'static Format, writing: Writing, bytes: Vec<u8>, lead: (u32, u32)) -> Self {
        let decoder = Decoder::behind(writing, lead.0, lead.1);
        Self { bytes, beginning: Beginning { format, decoder, before: u64::from(lead.1 > 0) }, lead }
    }

    /// A short beginning is one only where its writing begins, one that begins within a character only behind that.
    fn stands_behind(&self, before: &[u8]) -> bool {
        let writing = self.beginning.decoder.writing;
        let last = before.last().and_then(|byte| writing.digit(*byte));
        match (writing, last) {
            (Writing::Plain, _) => true,
            (_, None) => self.lead.1 == 0,
            (_, Some(last)) if self.lead.1 > 0 => last & ((1 << self.lead.1) - 1) == self.lead.0,
            (_, Some(_)) => !self.beginning.format.begins_a_writing,
        }
    }
}

/// Where data may begin in a text, and how it is written: all places, also those within each other, in the order in which
/// they are there to be seen, however the text came in chunks.
pub(super) fn places(text: &[u8]) -> Vec<(usize, usize, Beginning)> {
    let mut all: Vec<_> = FINDERS.iter().flat_map(|finder| finder.places(text)).collect();
    all.sort_by_key(|(start, end, _)| (*end, *start));
    all
}

/// Bytes that a beginning begins with.
static FIRST: LazyLock<[bool; 256]> = LazyLock::new(|| {
    let mut all = [false; 256];
    let patterns = FINDERS.iter().flat_map(|finder| &finder.patterns);
    patterns.for_each(|one| all[usize::from(one.bytes[0])] = true);
    all
});

/// Where a beginning may stand of which more may follow: the first byte of it in a text that goes on.
pub(super) fn may_follow(text: &[u8]) -> Option<usize> {
    let from = text.len().saturating_sub(MOST_CHARACTERS - 1);
    let begun = |at: &usize| FIRST[usize::from(text[*at])];
    (from..text.len())
        .filter(begun)
        .filter_map(|at| begins(&text[at..]).map(|before| at.saturating_sub(before)))
        .min()
}

/// Characters before it, if a text is a part of a beginning.
fn begins(text: &[u8]) -> Option<usize> {
    let patterns = FINDERS.iter().flat_map(|finder| &finder.patterns);
    let begun = patterns.filter(|one| one.bytes.len() > text.len() && one.bytes.starts_with(text));
    begun.map(|one| usize::from(one.beginning.before > 0)).max()
}

fn plain(format: &'static Format) -> Option<Pattern> {
    let wanted = format.found == Found::Everywhere;
    wanted.then(|| Pattern::new(format, Writing::Plain, format.magic.to_vec(), (0, 0)))
}

/// In small and in capital letters.
fn hex(format: &'static Format) -> impl Iterator<Item = Pattern> {
    let mut small = hex::encode(format.magic);
    small.truncate(MOST_CHARACTERS);
    let capital = small.to_uppercase();
    let capital = (capital != small).then_some(capital);
    let new = move |text: String| Pattern::new(format, Writing::Hex, text.into_bytes(), (0, 0));
    [small].into_iter().chain(capital).map(new)
}

/// At the beginning of a text in base64; and within one, where a byte or two stand before it.
fn base64(format: &'static Format) -> impl Iterator<Item = Pattern> {
    let leads = if format.begins_a_writing { [0].as_slice() } else { &[0, 4, 2] };
    leads.iter().flat_map(move |lead| {
        let bits: Vec<u32> = format
            .magic
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1)))
            .collect();
        let (before, behind) = bits.split_at(*lead);
        let number = |bits: &[u32]| bits.iter().fold(0, |number, bit| number << 1 | bit);
        let lead = (number(before), before.len() as u32);
        let new = move |text: Vec<u8>| Pattern::new(format, Writing::Base64, text, lead);
        characters(behind).into_iter().map(new)
    })
}

/// All ways to write bits in base64, of both alphabets; of the last character only the first bits may be known,
/// which are left out where enough of the others are there.
fn characters(bits: &[u32]) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    for part in bits.chunks(6) {
        let free = 6 - part.len();
        if free > 0 && bits.len() > 16 {
            break;
        }
        let first = part.iter().fold(0, |number, bit| number << 1 | bit) << free;
        let digits = (first..first + (1 << free))
            .flat_map(|value| (0..=u8::MAX).filter(move |byte| Writing::Base64.digit(*byte) == Some(value)));
        let digits: Vec<u8> = digits.collect();
        all = all
            .iter()
            .flat_map(|text: &Vec<u8>| digits.iter().map(move |digit| [text.as_slice(), &[*digit]].concat()))
            .collect();
    }
    all.iter_mut().for_each(|text| text.truncate(BASE64_CHARACTERS));
    all.sort();
    all.dedup();
    all
}
