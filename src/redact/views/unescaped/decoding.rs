//! One reading of a source: the escapes of one dialect decoded in place, and what is near them.
//!
//! ```text
//!   source   … plain plain │ plain \u003d plain %2F plain │ plain plain …
//!                          └── an island: from a needle's length before its first escape
//!                              to as much behind its last
//!   island       plain = plain / plain       looked through, and read once more
//! ```
//! Escapes are told in the whole source, in order, so that neither the needles nor the chunks decide what stands for
//! what; the needles decide only where it is worth while to look.

use super::{alphabet::Alphabet, runs::Runs};
use crate::redact::{
    escapes::{Dialect, Escape, Token},
    tables::Escaped,
    views::{Hit, LOOK_BACK, Squeezed, Stream, Verbatim},
    window::Window,
};

/// The kind of what is found in a reading, for the counts.
const KIND: &str = "escaped";

/// Reading an escape costs as much as looking through so many bytes.
const AN_ESCAPE: u64 = 3;

/// A dialect, and those that an island of it is read in once more.
#[derive(Debug)]
pub(super) struct Plan {
    dialect: Dialect,
    inner: &'static [Plan],
}

const fn plan(dialect: Dialect, inner: &'static [Plan]) -> Plan {
    Plan { dialect, inner }
}

/// Escapes once, twice, and JSON in JSON in JSON.
pub(super) const PLANS: &[Plan] = &[
    plan(
        Dialect::Common,
        &[
            plan(Dialect::Common, &[plan(Dialect::Common, &[])]),
            plan(Dialect::QuotedPrintable, &[]),
            plan(Dialect::Css, &[]),
            plan(Dialect::HexPair, &[]),
            plan(Dialect::Decimal, &[]),
            plan(Dialect::Shell, &[]),
            plan(Dialect::Styled, &[]),
        ],
    ),
    plan(Dialect::QuotedPrintable, &[plan(Dialect::Common, &[])]),
    plan(Dialect::Css, &[]),
    plan(Dialect::HexPair, &[]),
    plan(Dialect::Decimal, &[]),
    plan(Dialect::Shell, &[]),
    plan(Dialect::Styled, &[]),
];

/// Reads one source in one dialect.
pub(super) struct Decoding {
    plan: &'static Plan,
    /// Everything before was read.
    next: u64,
    /// The end of the last escape.
    floor: u64,
    island: Option<Box<Island>>,
    /// For the next: making one costs more than looking through a short one.
    spare: Option<Box<Island>>,
    /// What it has cost so far, without those within.
    cost: u64,
}

/// What was decoded of the source around escapes that follow each other.
struct Island {
    text: Window,
    runs: Runs,
    /// Where in the source it ends, unless an escape comes before.
    upto: u64,
    /// How much of the text was taken in by the views.
    taken: u64,
    /// Nothing before is needed.
    undecided: u64,
    verbatim: Verbatim,
    squeezed: Squeezed,
    inner: Vec<Decoding>,
}

/// What a source is read for.
pub(super) struct Search<'a> {
    pub(super) wanted: &'a Escaped,
    pub(super) source: &'a Window,
    pub(super) hit: &'a mut dyn FnMut(Hit),
}

impl Decoding {
    pub(super) fn new(plan: &'static Plan) -> Self {
        Self { plan, next: 0, floor: 0, island: None, spare: None, cost: 0 }
    }

    /// Reads what the source has, and looks through it.
    pub(super) fn take(&mut self, search: &mut Search<'_>, stream: Stream) {
        let (source, end, alphabet) = (search.source, search.source.end(), &search.wanted.alphabet);
        if !alphabet.needs(self.plan.dialect) {
            self.next = end;
            return;
        }
        let ended = stream == Stream::Ended;
        let text = source.between(self.next, end);
        let mut looked = 0;
        while let Some(found) = self.plan.dialect.find(&text[looked..], alphabet.quotes()) {
            let rest = &text[looked + found..];
            let at = end - rest.len() as u64;
            if self.island.is_none() && self.ignores(alphabet, rest) {
                self.next = at + 2;
                self.floor = self.next;
                self.cost += AN_ESCAPE;
                looked += found + 2;
                continue;
            }
            match self.plan.dialect.read(rest, ended) {
                Token::Text => looked += found + 1,
                // What an escape is worth depends on what follows it.
                Token::Escape(escape) if escape.length < rest.len() || ended => {
                    self.plain(search, at);
                    self.escape(search, &escape, rest.get(escape.length).copied());
                    looked += found + escape.length;
                }
                Token::Escape(_) | Token::Unfinished => {
                    self.plain(search, at);
                    return self.look(search, stream);
                }
            }
        }
        self.plain(search, end);
        self.look(search, stream);
    }

    fn ignores(&self, alphabet: &Alphabet, rest: &[u8]) -> bool {
        let hides_more = !self.plan.inner.is_empty();
        matches!(rest, [first, second, ..] if alphabet.ignores(self.plan.dialect, hides_more, *first, *second))
    }

    /// The offset of the source from which on it may still be masked.
    pub(super) fn earliest(&self, wanted: &Escaped, source: &Window, longer_than: usize) -> Option<u64> {
        let unfinished = self.next < source.end();
        let held = match &self.island {
            Some(island) => island.earliest(wanted, longer_than),
            // What stands before what may become an escape may be the beginning of a needle, with it.
            None if unfinished => {
                let mut island = Island::new(&[]);
                island.plain(source, self.lookback(wanted), self.next);
                island.look(wanted, Stream::GoesOn, &mut |_| ());
                island.earliest(wanted, longer_than)
            }
            None => None,
        };
        held.into_iter().chain((unfinished && longer_than == 0).then_some(self.next)).min()
    }

    /// The first offset of the source that is needed later.
    pub(super) fn keeps(&self, wanted: &Escaped) -> u64 {
        self.lookback(wanted)
    }

    /// What it has cost so far, with those within: bytes of islands, and escapes.
    pub(super) fn cost(&self) -> u64 {
        let islands = self.island.iter().chain(&self.spare);
        self.cost + islands.flat_map(|island| &island.inner).map(Decoding::cost).sum::<u64>()
    }

    fn lookback(&self, wanted: &Escaped) -> u64 {
        self.next.saturating_sub(wanted.alphabet.reach()).max(self.floor)
    }

    /// Plain text, up to an offset of the source.
    fn plain(&mut self, search: &mut Search<'_>, upto: u64) {
        if let Some(island) = &mut self.island {
            self.cost += island.plain(search.source, self.next, upto.min(island.upto));
            if upto > island.upto {
                island.look(search.wanted, Stream::Ended, search.hit);
                self.close();
            }
        }
        self.next = upto;
    }

    fn close(&mut self) {
        if let Some(mut island) = self.island.take() {
            island.clear();
            self.spare = Some(island);
        }
    }

    /// Begins again, in another source.
    fn restart(&mut self) {
        self.close();
        self.next = 0;
        self.floor = 0;
    }

    /// An escape, where the source was read up to, in front of a byte.
    fn escape(&mut self, search: &Search<'_>, escape: &Escape, behind: Option<u8>) {
        let end = self.next + escape.length as u64;
        let alphabet = &search.wanted.alphabet;
        let belongs = alphabet.has(escape, self.plan.dialect, !self.plan.inner.is_empty(), behind);
        if belongs && self.island.is_none() {
            let spare = self.spare.take();
            let mut island = spare.unwrap_or_else(|| Box::new(Island::new(self.plan.inner)));
            island.upto = end;
            self.cost += island.plain(search.source, self.lookback(search.wanted), self.next);
            self.island = Some(island);
        }
        if let Some(island) = &mut self.island {
            island.escape(escape, self.next);
            if belongs {
                island.upto = end + alphabet.reach();
            }
        }
        self.next = end;
        self.floor = end;
        self.cost += AN_ESCAPE;
    }

    fn look(&mut self, search: &mut Search<'_>, stream: Stream) {
        if let Some(island) = &mut self.island {
            island.look(search.wanted, stream, search.hit);
        }
    }
}

impl Island {
    fn new(inner: &'static [Plan]) -> Self {
        Self {
            text: Window::default(),
            runs: Runs::default(),
            upto: 0,
            taken: 0,
            undecided: 0,
            verbatim: Verbatim::default(),
            squeezed: Squeezed::new(),
            inner: inner.iter().map(Decoding::new).collect(),
        }
    }

    /// Takes plain text in, and says how much.
    fn plain(&mut self, source: &Window, from: u64, upto: u64) -> u64 {
        if from >= upto {
            return 0;
        }
        self.runs.plain(self.text.end(), from, upto);
        self.text.add(source.between(from, upto));
        upto - from
    }

    fn escape(&mut self, escape: &Escape, at: u64) {
        if !escape.bytes().is_empty() {
            self.runs.escape(self.text.end(), at, at + escape.length as u64);
            self.text.add(escape.bytes());
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.runs.clear();
        self.taken = 0;
        self.undecided = 0;
        self.verbatim.restart();
        self.squeezed.restart();
        self.inner.iter_mut().for_each(Decoding::restart);
    }

    /// Looks through what is new; where more is to come, what nothing needs any more is forgotten.
    fn look(&mut self, wanted: &Escaped, stream: Stream, hit: &mut dyn FnMut(Hit)) {
        self.search(wanted, stream, hit);
        if stream == Stream::GoesOn {
            self.undecided = self.first(wanted, 0);
            self.forget(wanted);
        }
    }

    fn search(&mut self, wanted: &Escaped, stream: Stream, hit: &mut dyn FnMut(Hit)) {
        let Self { text, runs, verbatim, squeezed, inner, .. } = self;
        let mut mapped = |found: Hit| {
            if let (Some(start), Some(end)) = (runs.start(found.start), runs.end(found.end - 1)) {
                hit(Hit { start, end, kind: Some(KIND), ..found });
            }
        };
        verbatim.search(&wanted.tables, text, &mut mapped);
        if let Some(symbols) = wanted.tables.squeezed() {
            squeezed.take(text.between(self.taken, text.end()), self.taken);
            squeezed.search(symbols, text, stream, &mut mapped);
        }
        for one in inner.iter_mut() {
            one.take(&mut Search { wanted, source: text, hit: &mut mapped }, stream);
        }
        self.taken = text.end();
    }

    fn forget(&mut self, wanted: &Escaped) {
        if let Some(symbols) = wanted.tables.squeezed() {
            self.squeezed.forget(symbols);
        }
        let from = self.undecided.saturating_sub(LOOK_BACK);
        let inner = self.inner.iter().map(|one| one.keeps(wanted));
        let first = inner.fold(self.verbatim.keeps(&wanted.tables, &self.text, from), u64::min);
        self.text.forget_before(first);
        self.runs.forget_before(self.text.base());
    }

    /// The first byte of the text that may belong to a needle of which more is to come.
    fn first(&self, wanted: &Escaped, longer_than: usize) -> u64 {
        let text = &self.text;
        let verbatim = self.verbatim.earliest(text, longer_than);
        let symbols = wanted.tables.squeezed();
        let squeezed = symbols.and_then(|symbols| self.squeezed.earliest(symbols, text, longer_than));
        let inner = self.inner.iter().filter_map(|one| one.earliest(wanted, text, longer_than));
        verbatim.into_iter().chain(squeezed).chain(inner).fold(text.end(), u64::min)
    }

    /// The same in the source.
    fn earliest(&self, wanted: &Escaped, longer_than: usize) -> Option<u64> {
        let first = if longer_than == 0 { self.undecided } else { self.first(wanted, longer_than) };
        (first < self.text.end()).then(|| self.runs.start(first)).flatten()
    }
}
