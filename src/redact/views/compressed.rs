//! Compressed data: gzip (RFC 1952) and zlib (RFC 1950), as it stands, in base64 and in hex. It is inflated
//! as it comes and looked through; where it holds a needle, all of it is masked.
//!
//! ```text
//!   beginning ─ Head (header and first block plausible?) ─ Try (inflated, looked through) ─ mask, or nothing
//! ```
//! Speculative, and bounded, so that neither a bomb, nor a stream that never ends, nor one that is made of
//! beginnings holds anything up: by the bytes of one piece, by the number of pieces at a time, and by a budget of
//! the stream. What is given up is counted, and said in the result.

use std::{collections::BTreeMap, sync::Arc};

use aho_corasick::packed::{Config, MatchKind, Searcher};
use miniz_oxide::{DataFormat, inflate::stream::InflateState};

use super::{
    Hit, Stream,
    head::{Head, Verdict},
    inflating::{Data, Try},
};
use crate::redact::{needles::Tables, window::Window};

/// How many beginnings are looked at, and how many pieces are inflated, at a time.
const MOST_HEADS: usize = 8;
const MOST_TRIES: usize = 8;
/// The longest of the beginnings.
const LONGEST_BEGINNING: u64 = 6;

/// How compressed data begins: gzip's magic number and method, and zlib's header at each level.
const BEGINNINGS: [(&[u8], Writing); 26] = [
    (b"\x1f\x8b\x08", Writing::Plain),
    (b"x\x01", Writing::Plain),
    (b"x\x9c", Writing::Plain),
    (b"x\xda", Writing::Plain),
    (b"H4sI", Writing::Base64),
    (b"eAE", Writing::Base64),
    (b"eAF", Writing::Base64),
    (b"eAG", Writing::Base64),
    (b"eAH", Writing::Base64),
    (b"eF4", Writing::Base64),
    (b"eF5", Writing::Base64),
    (b"eF6", Writing::Base64),
    (b"eF7", Writing::Base64),
    (b"eJw", Writing::Base64),
    (b"eJx", Writing::Base64),
    (b"eJy", Writing::Base64),
    (b"eJz", Writing::Base64),
    (b"eNo", Writing::Base64),
    (b"eNp", Writing::Base64),
    (b"eNq", Writing::Base64),
    (b"eNr", Writing::Base64),
    (b"1f8b08", Writing::Hex),
    (b"1F8B08", Writing::Hex),
    (b"789c", Writing::Hex),
    (b"78da", Writing::Hex),
    (b"7801", Writing::Hex),
];

/// How the data is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    Plain,
    Base64,
    Hex,
}

/// The finder of beginnings.
pub(in crate::redact) struct Beginnings(Option<Searcher>);

impl Beginnings {
    pub(in crate::redact) fn new() -> Self {
        let mut config = Config::new();
        config.match_kind(MatchKind::LeftmostFirst);
        Self(config.builder().extend(BEGINNINGS.iter().map(|(bytes, _)| *bytes)).build())
    }

    /// Where data may begin in a text, and how it is written: all places, also those within each other.
    fn all<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, usize, Writing)> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            let found = self.0.as_ref()?.find_in(text, (from..text.len()).into())?;
            from = found.start() + 1;
            Some((found.start(), found.end(), BEGINNINGS[found.pattern().as_usize()].1))
        })
    }
}

/// What a stream may cost beyond being read, in bytes: inflated ones, and those that are looked through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::redact) struct Budget {
    pub(in crate::redact) read: u64,
    pub(in crate::redact) spent: u64,
    /// Bytes that heads were made of, each as often as there were heads to look at it.
    pub(in crate::redact) judged: u64,
}

impl Budget {
    /// What any stream may cost, however short: a few documents that shrink well.
    pub(in crate::redact) const ONCE: u64 = 4 << 20;
    /// What each byte that is read adds.
    pub(in crate::redact) const A_BYTE: u64 = 8;
    /// What setting up a try costs.
    const A_TRY: usize = 1 << 10;
    /// A byte that a head looks at costs so many times less than one that is inflated.
    const CHEAPER: u64 = 8;

    pub(super) fn spend(&mut self, bytes: usize) {
        self.spent += bytes as u64;
    }

    pub(super) fn judge(&mut self, bytes: u64) {
        self.judged += bytes;
    }

    /// All of it together.
    pub(in crate::redact) fn cost(&self) -> u64 {
        self.spent + self.judged / Self::CHEAPER
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.cost() >= Self::ONCE + Self::A_BYTE * self.read
    }
}

/// Follows compressed data.
#[derive(Default)]
pub(in crate::redact) struct Compressed {
    heads: Vec<Head>,
    tries: Vec<Try>,
    /// Of tries that are over, for those to come: making one costs more than a short piece does.
    spare: Vec<Box<InflateState>>,
    budget: Budget,
    /// Bytes of the pieces that were given up, by format.
    given_up: BTreeMap<&'static str, u64>,
}

impl Compressed {
    /// Takes in what the window has from an offset on.
    pub(in crate::redact) fn take(
        &mut self,
        tables: &Arc<Tables>,
        window: &Window,
        offset: u64,
        hit: &mut impl FnMut(Hit),
    ) {
        self.budget.read += window.end() - offset;
        let from = offset.saturating_sub(LONGEST_BEGINNING).max(window.base());
        let text = window.between(from, window.end());
        let mut ready = Vec::new();
        for (start, end, writing) in tables.beginnings().all(text) {
            let (start, end) = (from + start as u64, from + end as u64);
            let before = window.between(start.saturating_sub(1), start);
            let inside =
                writing != Writing::Plain && before.iter().any(|byte| writing.digit(*byte).is_some());
            if end <= offset || inside {
                continue;
            }
            // Only where the place is needed: a look at all heads for each beginning costs more than they do.
            if self.heads.len() >= MOST_HEADS {
                self.look_at_heads(window, end, &mut ready);
            }
            if self.heads.len() >= MOST_HEADS {
                let oldest = self.heads.remove(0);
                self.give_up(oldest.format(), oldest.extent.length());
            }
            self.heads.push(Head::new(start, writing));
        }
        self.look_at_heads(window, window.end(), &mut ready);
        // Whatever ends before a try begins leaves its place to it, however the stream came in pieces.
        ready.sort_by_key(|head| head.extent.upto);
        for head in ready {
            self.advance(window, head.extent.upto, hit);
            self.begin(tables, head, hit);
        }
        self.advance(window, window.end(), hit);
    }

    /// The offset from which on the stream may still be masked.
    pub(in crate::redact) fn earliest(&self, window: &Window) -> Option<u64> {
        let end = window.end();
        let begun = (1..LONGEST_BEGINNING).rev().filter_map(|length| end.checked_sub(length)).find(|at| {
            let last = window.between(*at, end);
            !last.is_empty()
                && BEGINNINGS.iter().any(|(bytes, _)| bytes.len() > last.len() && bytes.starts_with(last))
        });
        self.earliest_at_a_pause().into_iter().chain(begun).min()
    }

    /// The same at a pause: what may be the beginning of compressed data, but isn't yet, is shown.
    pub(in crate::redact) fn earliest_at_a_pause(&self) -> Option<u64> {
        let heads = self.heads.iter().map(|head| head.extent.start);
        heads.chain(self.tries.iter().map(|one| one.extent.start)).min()
    }

    /// Ends the stream.
    pub(in crate::redact) fn end(&mut self, stream: Stream, hit: &mut impl FnMut(Hit)) {
        if stream == Stream::Ended {
            self.heads.clear();
            let tries = std::mem::take(&mut self.tries);
            for one in tries {
                one.close(&mut self.budget, hit);
            }
        }
    }

    /// What of the stream was not looked into: bytes by format, as far as they were read.
    pub(in crate::redact) fn given_up(&self) -> &BTreeMap<&'static str, u64> {
        &self.given_up
    }

    /// What the stream has cost.
    #[cfg(test)]
    pub(in crate::redact) fn budget(&self) -> Budget {
        self.budget
    }

    fn look_at_heads(&mut self, window: &Window, upto: u64, ready: &mut Vec<Head>) {
        let mut at = 0;
        while at < self.heads.len() {
            let head = &mut self.heads[at];
            match head.take(window.between(head.extent.upto, upto), &mut self.budget) {
                Verdict::Waiting => at += 1,
                Verdict::Plausible => ready.push(self.heads.remove(at)),
                Verdict::No => drop(self.heads.remove(at)),
            }
        }
    }

    /// Inflates from a beginning on. Where there is no place, the least promising piece is given up; where the
    /// budget is used up, this one is.
    fn begin(&mut self, tables: &Arc<Tables>, head: Head, hit: &mut impl FnMut(Hit)) {
        if self.budget.is_used_up() {
            return self.give_up(head.format(), head.extent.length());
        }
        self.budget.spend(Budget::A_TRY);
        if self.tries.len() >= MOST_TRIES {
            let least = (0..self.tries.len()).min_by_key(|at| self.tries[*at].promise());
            let least = self.tries.remove(least.unwrap_or_default());
            self.give_up(least.format(), least.extent.length());
            self.close(least, hit);
        }
        let state = self.spare.pop().unwrap_or_else(|| InflateState::new_boxed(DataFormat::Raw));
        self.tries.push(Try::new(tables, &head, state));
    }

    fn advance(&mut self, window: &Window, upto: u64, hit: &mut impl FnMut(Hit)) {
        let mut at = 0;
        while let Some(one) = self.tries.get_mut(at) {
            let data = one.take(window.between(one.extent.upto, upto), &mut self.budget);
            if data == Data::GoesOn {
                at += 1;
                continue;
            }
            let one = self.tries.remove(at);
            if data == Data::GivenUp {
                self.give_up(one.format(), one.extent.length());
            }
            self.close(one, hit);
        }
    }

    fn close(&mut self, one: Try, hit: &mut impl FnMut(Hit)) {
        let mut state = one.close(&mut self.budget, hit);
        state.reset(DataFormat::Raw);
        self.spare.push(state);
    }

    fn give_up(&mut self, format: &'static str, bytes: u64) {
        *self.given_up.entry(format).or_default() += bytes;
    }
}

impl Writing {
    /// What a character stands for, if it is one of the writing's.
    pub(super) fn digit(self, byte: u8) -> Option<u32> {
        let value = match (self, byte) {
            (Self::Plain, _) => byte,
            (Self::Hex, b'0'..=b'9') => byte - b'0',
            (Self::Hex, b'a'..=b'f' | b'A'..=b'F') => (byte | 0x20) - b'a' + 10,
            (Self::Base64, b'A'..=b'Z') => byte - b'A',
            (Self::Base64, b'a'..=b'z') => byte - b'a' + 26,
            (Self::Base64, b'0'..=b'9') => byte - b'0' + 52,
            (Self::Base64, b'+' | b'-') => 62,
            (Self::Base64, b'/' | b'_') => 63,
            _ => return None,
        };
        Some(u32::from(value))
    }

    pub(super) fn bits(self) -> u32 {
        match self {
            Self::Plain => 8,
            Self::Hex => 4,
            Self::Base64 => 6,
        }
    }
}
