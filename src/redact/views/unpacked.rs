//! Data that was unpacked: looked through as it stands, squeezed, unescaped, and for data within it. Nothing is given
//! out.

use std::sync::Arc;

use super::{Hit, LOOK_BACK, Squeezed, Stream, Unescaped, Verbatim, budget::Shared};
use crate::redact::{
    spans::{Span, Spans},
    tables::Tables,
    window::Window,
};

/// Follows compressed data in what was unpacked.
pub(super) trait Within {
    /// Takes in what the window has from an offset on.
    fn take(
        &mut self,
        tables: &Arc<Tables>,
        window: &Window,
        offset: u64,
        shared: &mut Shared,
        hit: &mut dyn FnMut(Hit),
    );

    /// The offset from which on the data may still be masked.
    fn earliest(&self, window: &Window) -> Option<u64>;

    /// Ends the data.
    fn end(&mut self, shared: &mut Shared, hit: &mut dyn FnMut(Hit));
}

/// Looks for the first needle in data as it comes.
pub(super) struct Unpacked {
    tables: Arc<Tables>,
    window: Window,
    verbatim: Verbatim,
    squeezed: Squeezed,
    unescaped: Unescaped,
    within: Box<dyn Within + Send>,
    spans: Spans,
    label: Option<u32>,
}

impl Unpacked {
    pub(super) fn new(tables: Arc<Tables>, within: Box<dyn Within + Send>) -> Self {
        Self {
            verbatim: Verbatim::default(),
            tables,
            window: Window::default(),
            squeezed: Squeezed::new(),
            unescaped: Unescaped::new(),
            within,
            spans: Spans::default(),
            label: None,
        }
    }

    /// Takes a part in, and pays for it.
    pub(super) fn push(&mut self, part: &[u8], shared: &mut Shared) {
        let before = self.unescaped.cost();
        let at = self.window.end();
        self.window.add(part);
        self.squeezed.take(part, at);
        let Self { tables, window, spans, within, .. } = self;
        within.take(tables, window, at, shared, &mut |hit| add(spans, &hit));
        self.search(Stream::GoesOn);
        let undecided = self.undecided();
        self.settle(undecided);
        self.forget(undecided);
        let read_again = usize::try_from(self.unescaped.cost() - before).unwrap_or(usize::MAX);
        shared.budget.spend(part.len() + read_again);
    }

    /// Ends the data.
    pub(super) fn finish(&mut self, shared: &mut Shared) {
        self.search(Stream::Ended);
        self.within.end(shared, &mut |hit| add(&mut self.spans, &hit));
        self.settle(self.window.end());
    }

    /// Whether there is a needle.
    pub(super) fn has_found(&self) -> bool {
        self.label.is_some() || self.spans.first_start().is_some()
    }

    /// The label of the first needle: it can't grow any more, and none comes before it.
    pub(super) fn label(&self) -> Option<u32> {
        self.label
    }

    fn search(&mut self, stream: Stream) {
        let Self { tables, window, spans, .. } = self;
        let mut hit = |hit: Hit| add(spans, &hit);
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
        let verbatim = self.verbatim.earliest(&self.window, 0);
        let squeezed =
            self.tables.squeezed().and_then(|wanted| self.squeezed.earliest(wanted, &self.window, 0));
        let unescaped =
            self.tables.escaped().and_then(|wanted| self.unescaped.earliest(wanted, &self.window, 0));
        let within = self.within.earliest(&self.window);
        let all = verbatim.into_iter().chain(squeezed).chain(unescaped).chain(within);
        all.fold(self.window.end(), u64::min)
    }

    fn settle(&mut self, upto: u64) {
        if self.label.is_none() {
            self.label = self.spans.next_before(upto).map(|span| span.name.label);
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

fn add(spans: &mut Spans, hit: &Hit) {
    spans.unite(Span::of_label(hit.start, hit.end, hit.label, hit.kind));
}
