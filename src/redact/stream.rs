//! The streaming redactor: several views of one stream, one set of spans, and no chunk boundary makes a
//! difference.
//!
//! ```text
//!   given out │ window: … text [span)  text [open span…            │ next byte
//!                                     ▲ undecided: the first byte that any view may still mask
//! ```
//! Everything before `undecided` is settled: no later match can begin there. What lies behind it waits.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    redacted::Counts,
    spans::{Span, Spans},
    tables::Tables,
    views::{Compressed, Hit, LOOK_BACK, Lines, Squeezed, Stream, Unescaped, Verbatim},
    window::Window,
};

/// How many bytes of a beginning match are shown rather than held back at a pause: a prompt must not
/// wait because it ends with the first letters of a secret. The rest of such a match is still masked.
const SHOWN_AT_A_PAUSE: usize = 3;
/// Bytes after which what is decided is given out, within a chunk.
const STRIDE: usize = 16 * 1024;

/// What stands in a value's place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Masking {
    /// Its mask.
    Named,
    /// As many bytes as were there: its mask where that is as long, else [`FILLER`]. Lengths that were said before,
    /// and offsets into what follows, still hold.
    SameLength,
}

/// Stands for a value whose mask has another length. A digit is a character of every form that a value is looked for
/// in: of hex, base64, numbers, URLs, and the strings of JSON and XML.
const FILLER: u8 = b'0';

/// Masks one stream as it comes.
///
/// It holds back what may still become a match: of a needle of *n* symbols at most *n* × 66 bytes, for a symbol may
/// have separators behind it; the lines that a needle may go over; twelve times as much of one that is written in escapes; of compressed data its last 64 KiB.
pub struct Redactor {
    tables: Arc<Tables>,
    masking: Masking,
    window: Window,
    /// Everything before this offset was given out, or is masked.
    shown: u64,
    verbatim: Verbatim,
    squeezed: Squeezed,
    unescaped: Unescaped,
    lines: Lines,
    compressed: Compressed,
    spans: Spans,
    counts: Counts,
    not_looked_into: BTreeMap<&'static str, u64>,
}

impl Redactor {
    pub(super) fn new(tables: Arc<Tables>, masking: Masking) -> Self {
        Self {
            tables,
            masking,
            window: Window::default(),
            shown: 0,
            verbatim: Verbatim::default(),
            squeezed: Squeezed::new(),
            unescaped: Unescaped::new(),
            lines: Lines::default(),
            compressed: Compressed::default(),
            spans: Spans::default(),
            counts: Counts::default(),
            not_looked_into: BTreeMap::new(),
        }
    }

    /// Takes a chunk in and appends what is decided.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        for part in chunk.chunks(STRIDE) {
            self.take(part);
            let undecided = self.undecided(0);
            self.emit(undecided, out);
            self.forget(undecided);
        }
    }

    /// Gives out what is held back at a pause: all but a match that has begun and is longer than its
    /// first three bytes.
    pub fn flush_idle(&mut self, out: &mut Vec<u8>) {
        let Self { compressed, window, spans, shown, .. } = self;
        compressed.settle(window, &mut |hit| add(spans, *shown, hit));
        self.emit(self.undecided(SHOWN_AT_A_PAUSE), out);
    }

    /// Ends the stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.search(Stream::Ended);
        self.emit(self.window.end(), out);
        let not_looked_into = self.not_looked_into();
        let counts = std::mem::take(&mut self.counts);
        let fresh = Self::new(Arc::clone(&self.tables), self.masking);
        *self = Self { counts, not_looked_into, ..fresh };
    }

    /// What was masked so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What was not looked into, being too much, or of a format without a reader: bytes by kind, as far as they were read.
    pub fn not_looked_into(&self) -> BTreeMap<&'static str, u64> {
        let mut all = self.not_looked_into.clone();
        for (kind, bytes) in self.compressed.given_up() {
            *all.entry(kind).or_default() += bytes;
        }
        all
    }

    /// What looking into the stream has cost so far, and the most that it may have: for a fuzz target.
    #[doc(hidden)]
    pub fn cost(&self) -> (u64, u64) {
        let budget = self.compressed.budget();
        (budget.cost(), budget.most())
    }

    /// Bytes that are not given out yet, and bytes that are at hand.
    #[cfg(test)]
    pub(super) fn held(&self) -> (u64, usize) {
        (self.window.end() - self.shown, self.window.bytes().len())
    }

    /// What looking into the stream has cost so far.
    #[cfg(test)]
    pub(super) fn budget(&self) -> super::views::Budget {
        self.compressed.budget()
    }

    /// What undoing escapes has cost so far.
    #[cfg(test)]
    pub(super) fn unescaping(&self) -> u64 {
        self.unescaped.cost()
    }

    /// What reading dumps has cost so far.
    #[cfg(test)]
    pub(super) fn dump_reading(&self) -> u64 {
        self.lines.dump_cost()
    }

    /// What reading on from line to line has cost so far.
    #[cfg(test)]
    pub(super) fn line_reading(&self) -> u64 {
        self.lines.frame_cost()
    }

    /// Which bytes of a whole text are masked.
    #[cfg(test)]
    pub(super) fn masked(mut self, text: &[u8]) -> Vec<(u64, u64)> {
        text.chunks(STRIDE).for_each(|part| self.take(part));
        self.search(Stream::Ended);
        std::iter::from_fn(|| self.spans.next_before(u64::MAX)).map(|span| (span.start, span.end)).collect()
    }

    fn take(&mut self, part: &[u8]) {
        let at = self.window.end();
        self.window.add(part);
        if self.tables.is_empty() {
            return;
        }
        self.squeezed.take(part, at);
        let spans = &mut self.spans;
        self.compressed.take(&self.tables, &self.window, at, &mut |hit| add(spans, self.shown, hit));
        self.search(Stream::GoesOn);
    }

    fn search(&mut self, stream: Stream) {
        let Self { tables, window, spans, shown, .. } = self;
        let mut hit = |hit: Hit| add(spans, *shown, hit);
        self.verbatim.search(tables, window, &mut hit);
        if let Some(wanted) = tables.squeezed() {
            self.squeezed.search(wanted, window, stream, &mut hit);
        }
        if !tables.is_empty() {
            self.lines.search(tables, window, stream, &mut hit);
        }
        if let Some(wanted) = tables.escaped() {
            self.unescaped.search(wanted, window, stream, &mut hit);
        }
        self.compressed.end(window, stream, &mut hit);
    }

    /// The first byte that may still be masked by a match of which more than `longer_than` symbols are there.
    fn undecided(&self, longer_than: usize) -> u64 {
        let by_needle = if self.tables.is_empty() { None } else { self.undecided_by_needles(longer_than) };
        by_needle.into_iter().fold(self.window.end(), u64::min)
    }

    fn undecided_by_needles(&self, longer_than: usize) -> Option<u64> {
        let window = &self.window;
        let verbatim = self.verbatim.earliest(window, longer_than);
        let squeezed = self.tables.squeezed();
        let squeezed = squeezed.and_then(|wanted| self.squeezed.earliest(wanted, window, longer_than));
        let unescaped = self.tables.escaped();
        let unescaped = unescaped.and_then(|wanted| self.unescaped.earliest(wanted, window, longer_than));
        let compressed = if longer_than > 0 {
            self.compressed.earliest_at_a_pause()
        } else {
            self.compressed.earliest(window)
        };
        let lines = self.lines.earliest(&self.tables, window, longer_than);
        verbatim.into_iter().chain(squeezed).chain(unescaped).chain(compressed).chain(lines).min()
    }

    /// Gives out everything before `upto`, where nothing can change any more.
    fn emit(&mut self, upto: u64, out: &mut Vec<u8>) {
        while let Some(span) = self.spans.next_before(upto) {
            out.extend_from_slice(self.window.between(self.shown, span.start));
            let label = self.tables.label(span.name.label);
            match self.masking {
                Masking::SameLength if label.mask.len() as u64 != span.end - span.start => {
                    let length = usize::try_from(span.end - span.start).unwrap_or(usize::MAX);
                    out.resize(out.len() + length, FILLER);
                }
                Masking::SameLength | Masking::Named => out.extend_from_slice(label.mask),
            }
            *self.counts.0.entry(span.name.kind.unwrap_or(label.kind)).or_default() += 1;
            self.shown = span.end;
        }
        // The bytes of a mask that may still grow aren't given out, and aren't needed.
        let open = self.spans.first_start().map_or(upto, |start| start.min(upto));
        out.extend_from_slice(self.window.between(self.shown, open));
        self.shown = self.shown.max(upto);
    }

    /// Forgets what no view needs any more.
    fn forget(&mut self, undecided: u64) {
        if let Some(wanted) = self.tables.squeezed() {
            self.squeezed.forget(wanted);
        }
        let from = self.shown.min(undecided.saturating_sub(LOOK_BACK));
        let mut first = self.verbatim.keeps(&self.tables, &self.window, from);
        if let Some(wanted) = self.tables.escaped() {
            first = self.unescaped.keeps(wanted, first);
        }
        if !self.tables.is_empty() {
            first = self.lines.keeps(&self.window, first);
        }
        self.window.forget_before(first);
    }
}

/// Bytes that a pause has let through stay shown; the rest of their match is masked.
fn add(spans: &mut Spans, shown: u64, hit: Hit) {
    spans.unite(Span::of_label(hit.start, hit.end, hit.label, hit.kind).clipped(shown));
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} bytes held)", self.window.end() - self.shown)
    }
}
