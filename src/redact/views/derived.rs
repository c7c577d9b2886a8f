//! A text that a view has made of the stream, which is looked through as the stream itself is: as it stands, squeezed,
//! and with its escapes undone. What is found masks the bytes that it was made of.

use super::{Hit, LOOK_BACK, Squeezed, Stream, Unescaped, Verbatim, unescaped::Runs};
use crate::redact::{tables::Tables, window::Window};

/// A text as it comes.
pub(super) struct Derived {
    /// What its hits are counted as.
    kind: &'static str,
    text: Window,
    runs: Runs,
    /// How much of the text was taken in by the views.
    taken: u64,
    verbatim: Verbatim,
    squeezed: Squeezed,
    unescaped: Unescaped,
}

impl Derived {
    pub(super) fn new(kind: &'static str) -> Self {
        Self {
            kind,
            text: Window::default(),
            runs: Runs::default(),
            taken: 0,
            verbatim: Verbatim::default(),
            squeezed: Squeezed::new(),
            unescaped: Unescaped::new(),
        }
    }

    /// How long it is by now.
    pub(super) fn length(&self) -> u64 {
        self.text.end()
    }

    /// The last bytes of the text, as far as they are at hand.
    pub(super) fn last(&self, length: u64) -> &[u8] {
        self.text.between(self.text.end().saturating_sub(length), self.text.end())
    }

    /// Takes bytes in that stand in the stream as they are, from an offset on.
    pub(super) fn plain(&mut self, bytes: &[u8], from: u64) {
        if !bytes.is_empty() {
            self.runs.plain(self.text.end(), from, from + bytes.len() as u64);
            self.text.add(bytes);
        }
    }

    /// Takes bytes in that are written between two offsets of the stream.
    pub(super) fn written(&mut self, bytes: &[u8], start: u64, end: u64) {
        if !bytes.is_empty() {
            self.runs.escape(self.text.end(), start, end);
            self.text.add(bytes);
        }
    }

    /// Looks through what is new; where more is to come, what nothing needs any more is forgotten.
    pub(super) fn search(&mut self, tables: &Tables, stream: Stream, hit: &mut dyn FnMut(Hit)) {
        let Self { text, runs, verbatim, squeezed, unescaped, kind, .. } = self;
        let mut mapped = |found: Hit| {
            if let (Some(start), Some(end)) = (runs.start(found.start), runs.end(found.end - 1)) {
                hit(Hit { start, end, kind: Some(kind), ..found });
            }
        };
        verbatim.search(tables, text, &mut mapped);
        if let Some(wanted) = tables.squeezed() {
            squeezed.take(text.between(self.taken, text.end()), self.taken);
            squeezed.search(wanted, text, stream, &mut mapped);
        }
        if let Some(wanted) = tables.escaped() {
            unescaped.search(wanted, text, stream, &mut mapped);
        }
        self.taken = text.end();
        if stream == Stream::GoesOn {
            self.forget(tables);
        }
    }

    /// The offset of the stream from which on it may still be masked, by a match of which more than `longer_than`
    /// symbols are there.
    pub(super) fn earliest(&self, tables: &Tables, longer_than: usize) -> Option<u64> {
        let first = self.first(tables, longer_than);
        (first < self.text.end()).then(|| self.runs.start(first)).flatten()
    }

    /// The bytes from which on a match may still come, each with its place in the stream.
    pub(super) fn undecided(&self, tables: &Tables) -> Self {
        let mut same = Self::new(self.kind);
        for at in self.first(tables, 0).max(self.text.base())..self.text.end() {
            if let (Some(start), Some(end)) = (self.runs.start(at), self.runs.end(at)) {
                same.written(self.text.between(at, at + 1), start, end);
            }
        }
        same
    }

    fn first(&self, tables: &Tables, longer_than: usize) -> u64 {
        let text = &self.text;
        let verbatim = self.verbatim.earliest(text, longer_than);
        let squeezed = tables.squeezed().and_then(|wanted| self.squeezed.earliest(wanted, text, longer_than));
        let unescaped =
            tables.escaped().and_then(|wanted| self.unescaped.earliest(wanted, text, longer_than));
        verbatim.into_iter().chain(squeezed).chain(unescaped).fold(text.end(), u64::min)
    }

    fn forget(&mut self, tables: &Tables) {
        if let Some(wanted) = tables.squeezed() {
            self.squeezed.forget(wanted);
        }
        let from = self.first(tables, 0).saturating_sub(LOOK_BACK);
        let mut first = self.verbatim.keeps(tables, &self.text, from);
        if let Some(wanted) = tables.escaped() {
            first = self.unescaped.keeps(wanted, first);
        }
        self.text.forget_before(first);
        self.runs.forget_before(self.text.base());
    }
}
