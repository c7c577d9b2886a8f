//! Data that was unpacked: looked through as it stands, squeezed and unescaped. Nothing is unpacked once more, and nothing is
//! given out.

use std::sync::Arc;

use super::{Hit, LOOK_BACK, Squeezed, Stream, Unescaped, Verbatim};
use crate::redact::{
    spans::{Span, Spans},
    tables::Tables,
    window::Window,
};

/// Looks for the first needle in data as it comes.
pub(super) struct Unpacked {
    tables: Arc<Tables>,
    window: Window,
    verbatim: Verbatim,
    squeezed: Squeezed,
    unescaped: Unescaped,
    spans: Spans,
    first_label: Option<u32>,
}

impl Unpacked {
    pub(super) fn new(tables: Arc<Tables>) -> Self {
        Self {
            verbatim: Verbatim::new(&tables),
            tables,
            window: Window::default(),
            squeezed: Squeezed::new(),
            unescaped: Unescaped::new(),
            spans: Spans::default(),
            first_label: None,
        }
    }

    /// Takes a part in, and says how many bytes were looked through.
    pub(super) fn push(&mut self, part: &[u8]) -> usize {
        let before = self.unescaped.cost();
        let at = self.window.end();
        self.window.add(part);
        self.squeezed.take(part, at);
        self.search(Stream::GoesOn);
        let undecided = self.undecided();
        self.settle(undecided);
        self.forget(undecided);
        part.len() + usize::try_from(self.unescaped.cost() - before).unwrap_or(usize::MAX)
    }

    /// Ends the data.
    pub(super) fn finish(&mut self) {
        self.search(Stream::Ended);
        self.settle(self.window.end());
    }

    /// The label of the first needle: it can't grow any more, and none comes before it.
    pub(super) fn first_label(&self) -> Option<u32> {
        self.first_label
    }

    fn search(&mut self, stream: Stream) {
        let Self { tables, window, spans, .. } = self;
        let mut hit = |hit: Hit| spans.unite(Span::of_label(hit.start, hit.end, hit.label, hit.kind));
        self.verbatim.search(tables, window, &mut hit);
        if let Some(wanted) = tables.squeezed() {
            self.squeezed.search(wanted, window, stream, &mut hit);
        }
        if let Some(wanted) = tables.escaped() {
            self.unescaped.search(wanted, window, stream, &mut hit);
        }
    }

    /// The first byte that may still belong to a needle of which more is to come.
    fn undecided(&self) -> u64 {
        let verbatim = self.verbatim.earliest(&self.tables, &self.window, 0);
        let squeezed =
            self.tables.squeezed().and_then(|wanted| self.squeezed.earliest(wanted, &self.window, 0));
        let unescaped =
            self.tables.escaped().and_then(|wanted| self.unescaped.earliest(wanted, &self.window, 0));
        verbatim.into_iter().chain(squeezed).chain(unescaped).fold(self.window.end(), u64::min)
    }

    fn settle(&mut self, upto: u64) {
        if self.first_label.is_none() {
            self.first_label = self.spans.next_before(upto).map(|span| span.name.label);
        }
    }

    /// Forgets what no view needs any more.
    fn forget(&mut self, undecided: u64) {
        if let Some(wanted) = self.tables.squeezed() {
            self.squeezed.forget(wanted);
        }
        let from = undecided.saturating_sub(LOOK_BACK);
        let mut first = self.verbatim.keeps(&self.tables, &self.window, from);
        if let Some(wanted) = self.tables.escaped() {
            first = self.unescaped.keeps(wanted, first);
        }
        self.window.forget_before(first);
    }
}
