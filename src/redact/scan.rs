//! Finds all needles of an index in a sequence of symbols that comes in pieces.

use super::index::{Index, Looks};

/// The symbols that are at hand, the first of which has the number `base` in the whole sequence.
#[derive(Clone, Copy)]
pub(super) struct Track<'a> {
    pub(super) symbols: &'a [u8],
    pub(super) base: u64,
    /// Where the symbols stand in the stream, if they don't follow each other there, and how far apart two
    /// may be that belong together.
    pub(super) places: Option<(&'a [u32], u32)>,
}

impl<'a> Track<'a> {
    fn end(&self) -> u64 {
        self.base + self.symbols.len() as u64
    }

    fn from(&self, at: u64) -> &'a [u8] {
        &self.symbols[index(at - self.base).min(self.symbols.len())..]
    }

    /// Whether all neighbours between two symbols are near enough to each other.
    fn holds_together(&self, from: u64, to: u64) -> bool {
        let Some((places, apart)) = self.places else { return true };
        let range = index(from - self.base)..index(to - self.base);
        places[range].windows(2).all(|pair| pair[1] - pair[0] <= apart)
    }
}

fn index(distance: u64) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}

/// Where a needle was found: its number, and the number of its first symbol.
pub(super) struct Found {
    pub(super) needle: u32,
    pub(super) at: u64,
}

/// The state of a search.
#[derive(Default)]
pub(super) struct Scanner {
    looks: Looks,
    /// The first symbol from which on all that are there may be the beginning of a needle that no look has met yet. What
    /// is no beginning stays none, whatever comes.
    begun: u64,
    /// Needles of which all symbols but those that are yet to come are there.
    live: Vec<Found>,
}

impl Scanner {
    /// Looks through what is new on the track, which still has the symbols that [`Scanner::keeps`] named.
    pub(super) fn scan(&mut self, index: &Index, track: Track<'_>, mut found: impl FnMut(Found)) {
        for waiting in std::mem::take(&mut self.live) {
            self.compare(index, track, waiting, &mut found);
        }
        let mut looks = self.looks;
        index.look(track.symbols, track.base, &mut looks, |at, needle| {
            self.compare(index, track, Found { needle, at }, &mut found);
        });
        self.looks = looks;
        let end = track.end();
        let from = end.saturating_sub(index.unseen() as u64).max(track.base).max(self.begun);
        let begun = (from..end).find(|at| index.may_begin(track.from(*at)) && track.holds_together(*at, end));
        self.begun = begun.unwrap_or(end);
    }

    fn compare(&mut self, index: &Index, track: Track<'_>, one: Found, found: &mut impl FnMut(Found)) {
        let needle = index.needle(one.needle);
        let there = track.from(one.at);
        let length = needle.len().min(there.len());
        if needle[..length] != there[..length] || !track.holds_together(one.at, one.at + length as u64) {
            return;
        }
        if length == needle.len() { found(one) } else { self.live.push(one) }
    }

    /// The first symbol from which on more than `longer_than` symbols, to the end of the track that was looked through,
    /// may be the beginning of a needle.
    pub(super) fn earliest(&self, track: Track<'_>, longer_than: usize) -> Option<u64> {
        let last = track.end().saturating_sub(longer_than as u64);
        let live = self.live.iter().map(|live| live.at);
        live.chain([self.begun]).filter(|at| *at < last).min()
    }

    /// The first symbol that a later scan needs.
    pub(super) fn keeps(&self, index: &Index, end: u64) -> u64 {
        let unseen = end.saturating_sub(index.unseen() as u64);
        self.live.iter().map(|live| live.at).fold(unseen, u64::min)
    }

    /// Drops what has been waiting too long for its next symbol.
    pub(super) fn give_up(&mut self) {
        self.live.clear();
    }
}
