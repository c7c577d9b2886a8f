//! Letters and digits, case folded, with their places: what the squeezed views have in common.

use std::{collections::BTreeMap, sync::Arc};

use zeroize::Zeroize;

use super::{Hit, Stream};
use crate::redact::{
    forms::{Arena, Form, MatchMode},
    index::Index,
    scan::{Found, Scanner, Track},
    window::Window,
};

/// How far from a needle's first and last symbol the other characters are looked for that it begins and
/// ends with.
const FRINGE: u64 = 64;
/// A spelled form of so many symbols is taken for the value also where the characters between are missing.
const LONG_ENOUGH_ALONE: usize = 16;

/// After so many bytes without a symbol nothing before belongs to what comes; far beyond any gap.
const FARTHEST: u64 = 1 << 30;

/// Which symbol a byte is; zero for none.
const SYMBOLS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// What is looked for in squeezed views.
#[derive(Clone)]
pub(in crate::redact) struct SqueezedIndex {
    index: Index,
    /// Of needles with characters between that count, the forms with them: by number.
    spelled: BTreeMap<u32, Spelled>,
    /// Characters, not letters or digits, that some spelled form begins with.
    leads: Vec<u8>,
}

/// A form with the characters that are no symbols.
#[derive(Clone)]
struct Spelled {
    arena: Arc<Arena>,
    place: (u32, u32),
}

impl SqueezedIndex {
    /// Makes room for needles of so many symbols.
    pub(in crate::redact) fn reserve(&mut self, lengths: impl Iterator<Item = usize>) {
        self.index.reserve(lengths);
    }

    /// Adds forms that lie in one arena, with their labels.
    pub(in crate::redact) fn add<'a>(
        &mut self,
        arena: &Arc<Arena>,
        forms: impl Iterator<Item = (u32, &'a Form)> + Clone,
    ) {
        let places = forms.clone().map(|(label, form)| (form.squeezed(), label));
        let first = self.index.add(arena, places);
        for (number, (_, form)) in (first..).zip(forms) {
            let (at, length) = form.place();
            let text = arena.bytes(at, length);
            if form.sight == MatchMode::Ordered && text.iter().any(|byte| symbol(*byte) == 0) {
                let lead = text.first().filter(|byte| symbol(**byte) == 0);
                if let Some(Err(at)) = lead.map(|byte| self.leads.binary_search(byte)) {
                    self.leads.insert(at, text[0]);
                }
                self.spelled.insert(number, Spelled { arena: Arc::clone(arena), place: (at, length) });
            }
        }
    }

    /// Ends adding for now.
    pub(in crate::redact) fn settle(&mut self) {
        self.index.settle();
    }

    fn spelled(&self, number: u32) -> Option<&[u8]> {
        let Spelled { arena, place: (at, length) } = self.spelled.get(&number)?;
        Some(arena.bytes(*at, *length))
    }
}

impl Default for SqueezedIndex {
    fn default() -> Self {
        Self { index: Index::new(), spelled: BTreeMap::new(), leads: Vec::new() }
    }
}

/// Which symbol a byte is; zero for none.
pub(super) fn symbol(byte: u8) -> u8 {
    SYMBOLS[usize::from(byte)]
}

/// The symbols at hand of one view.
pub(in crate::redact) struct Reading {
    symbols: Vec<u8>,
    /// Offsets in the stream, from `origin` on.
    places: Vec<u32>,
    origin: u64,
    /// The number of the first symbol.
    base: u64,
    /// Where in the stream the reading began.
    floor: u64,
    scanner: Scanner,
    /// Found, but for the characters that must follow.
    unsettled: Vec<Found>,
    /// How far apart two symbols may stand.
    apart: u32,
}

enum Settled {
    Yes { start: u64, end: u64 },
    No,
    NotYet,
}

impl Reading {
    pub(super) fn new(apart: u32) -> Self {
        Self {
            symbols: Vec::new(),
            places: Vec::new(),
            origin: 0,
            base: 0,
            floor: 0,
            scanner: Scanner::default(),
            unsettled: Vec::new(),
            apart,
        }
    }

    /// Takes bytes in that stand at an offset of the stream.
    pub(super) fn take(&mut self, bytes: &[u8], offset: u64) {
        if offset - self.origin > FARTHEST {
            self.restart(offset);
        }
        let had = self.symbols.len();
        self.symbols.resize(had + bytes.len(), 0);
        self.places.resize(had + bytes.len(), 0);
        let first = u32::try_from(offset - self.origin).unwrap_or(u32::MAX);
        let (symbols, places) = (&mut self.symbols[had..], &mut self.places[had..]);
        let mut count = 0;
        for (byte, place) in bytes.iter().zip(first..) {
            let symbol = symbol(*byte);
            symbols[count] = symbol;
            places[count] = place;
            count += usize::from(symbol != 0);
        }
        self.symbols.truncate(had + count);
        self.places.truncate(had + count);
    }

    /// Looks through what was taken in.
    pub(super) fn search(
        &mut self,
        wanted: &SqueezedIndex,
        window: &Window,
        stream: Stream,
        hit: &mut impl FnMut(Hit),
    ) {
        let mut found = std::mem::take(&mut self.unsettled);
        let mut scanner = std::mem::take(&mut self.scanner);
        scanner.scan(&wanted.index, self.track(), |one| found.push(one));
        if self.waits_too_long(window) {
            scanner.give_up();
        }
        self.scanner = scanner;
        for one in found {
            match self.settle(wanted, window, stream, &one) {
                Settled::Yes { start, end } => {
                    let label = wanted.index.label(one.needle);
                    hit(Hit { start, end, label, kind: None });
                }
                Settled::No => {}
                Settled::NotYet => self.unsettled.push(one),
            }
        }
    }

    /// The offset from which on the stream may still be masked.
    pub(super) fn earliest(
        &self,
        wanted: &SqueezedIndex,
        window: &Window,
        longer_than: usize,
    ) -> Option<u64> {
        let scanned = (!self.waits_too_long(window))
            .then(|| self.scanner.earliest(self.track(), longer_than))
            .flatten();
        let symbol = self.unsettled.iter().map(|one| one.at).chain(scanned).min();
        let from = match symbol {
            Some(at) => self.gap_before(at, window).0,
            None if longer_than > 0 => return None,
            None => self.places.last().map_or(0, |place| self.origin + u64::from(*place) + 1),
        };
        let upto = symbol.map(|at| self.place(at));
        // What a needle begins with may have been read before its first symbol.
        let from = from.max(upto.unwrap_or(window.end()).saturating_sub(FRINGE));
        let fringe = window.between(from, upto.unwrap_or(window.end()));
        let lead = fringe.iter().position(|byte| wanted.leads.binary_search(byte).is_ok());
        lead.map(|at| from.max(window.base()) + at as u64).or(upto)
    }

    /// Forgets symbols that nothing needs any more.
    pub(super) fn forget(&mut self, wanted: &SqueezedIndex) {
        let end = self.base + self.symbols.len() as u64;
        let unsettled = self.unsettled.iter().map(|one| one.at);
        let first = unsettled.fold(self.scanner.keeps(&wanted.index, end), u64::min).saturating_sub(1);
        let gone = usize::try_from(first.saturating_sub(self.base)).unwrap_or(0).min(self.symbols.len());
        self.symbols.drain(..gone);
        self.places.drain(..gone);
        self.base += gone as u64;
        let shift = self.places.first().copied().unwrap_or(0);
        self.places.iter_mut().for_each(|place| *place -= shift);
        self.origin += u64::from(shift);
    }

    /// The last symbol's offset.
    pub(super) fn last_place(&self) -> Option<u64> {
        self.places.last().map(|place| self.origin + u64::from(*place))
    }

    /// Begins again, at an offset.
    pub(super) fn restart(&mut self, offset: u64) {
        self.symbols.clear();
        self.places.clear();
        self.unsettled.clear();
        self.scanner = Scanner::default();
        self.base = 0;
        self.origin = offset;
        self.floor = offset;
    }

    fn track(&self) -> Track<'_> {
        Track { symbols: &self.symbols, base: self.base, places: Some((&self.places, self.apart)) }
    }

    fn place(&self, at: u64) -> u64 {
        let at = usize::try_from(at - self.base).unwrap_or(usize::MAX);
        self.origin + u64::from(self.places[at])
    }

    fn waits_too_long(&self, window: &Window) -> bool {
        self.last_place().is_some_and(|last| window.end() > last + u64::from(self.apart))
    }

    /// Where the bytes begin and end that stand before a symbol and behind the one before it.
    fn gap_before(&self, at: u64, window: &Window) -> (u64, u64) {
        let end = match at.checked_sub(self.base) {
            Some(inside) if inside < self.symbols.len() as u64 => self.place(at),
            _ => window.end(),
        };
        let start = if at > self.base { self.place(at - 1) + 1 } else { self.floor };
        (start, end)
    }

    /// Looks for the characters of a spelled form that are no symbols: each in its gap, in order.
    fn settle(&self, wanted: &SqueezedIndex, window: &Window, stream: Stream, found: &Found) -> Settled {
        let symbols = wanted.index.needle(found.needle).len();
        let last = found.at + symbols as u64 - 1;
        let (start, end) = (self.place(found.at), self.place(last) + 1);
        let Some(text) = wanted.spelled(found.needle) else { return Settled::Yes { start, end } };
        let must = symbols < LONG_ENOUGH_ALONE;
        let mut between = text.split(|byte| symbol(*byte) != 0);
        let lead = between.next().unwrap_or_default();
        let tail = between.next_back().unwrap_or_default();
        let whole = (found.at + 1..).zip(between).all(|(at, characters)| {
            let (from, to) = self.gap_before(at, window);
            subsequence(characters, window.between(from, to)).is_some()
        });
        if must && !whole {
            return Settled::No;
        }
        let (from, to) = self.gap_before(found.at, window);
        let before = window.between(from.max(to.saturating_sub(FRINGE)), to);
        let led = subsequence_back(lead, before);
        let (from, to) = self.gap_before(last + 1, window);
        let limit = from + FRINGE;
        let ended = tail_end(tail, window.between(from, to.min(limit)));
        let open =
            last + 1 == self.base + self.symbols.len() as u64 && to < limit && stream == Stream::GoesOn;
        match (led, ended) {
            (Err(_), _) if must => Settled::No,
            (_, Err(_)) if open => Settled::NotYet,
            (_, Err(_)) if must => Settled::No,
            (Ok(back) | Err(back), Ok(on) | Err(on)) => {
                Settled::Yes { start: start - back as u64, end: end + on as u64 }
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.symbols.zeroize();
    }
}

fn subsequence(wanted: &[u8], text: &[u8]) -> Option<usize> {
    tail_end(wanted, text).ok()
}

/// How many bytes of a text it takes to meet all wanted ones in order; or, in vain, as many as were met.
fn tail_end(wanted: &[u8], text: &[u8]) -> Result<usize, usize> {
    meet(wanted.iter(), text.iter())
}

/// The same from the end.
fn subsequence_back(wanted: &[u8], text: &[u8]) -> Result<usize, usize> {
    meet(wanted.iter().rev(), text.iter().rev())
}

fn meet<'a>(
    wanted: impl Iterator<Item = &'a u8>,
    text: impl Iterator<Item = &'a u8>,
) -> Result<usize, usize> {
    let mut text = text.enumerate();
    let mut taken = 0;
    for byte in wanted {
        match text.find(|(_, other)| *other == byte) {
            Some((at, _)) => taken = at + 1,
            None => return Err(taken),
        }
    }
    Ok(taken)
}
