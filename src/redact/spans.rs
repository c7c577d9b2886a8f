//! Which bytes of a stream are masked: matches that overlap become one span, matches that only touch stay
//! two, in whatever order they are found.

use std::collections::VecDeque;

/// Bytes of the stream that one mask stands for, and which match says what the mask is.
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) name: Name,
}

/// The match that a mask is called after. The smallest wins: the leftmost, then the longest, then the
/// first of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    start: u64,
    shorter: u64,
    /// The label's number.
    pub(super) label: u32,
    /// Another kind than the label's, for the counts.
    pub(super) kind: Option<&'static str>,
}

impl Span {
    /// A match of the table.
    pub(super) fn of_label(start: u64, end: u64, label: u32, kind: Option<&'static str>) -> Self {
        let name = Name { start, shorter: u64::MAX - (end - start), label, kind };
        Self { start, end, name }
    }

    /// The part of it that doesn't lie before an offset.
    pub(super) fn clipped(self, from: u64) -> Self {
        Self { start: self.start.max(from), ..self }
    }
}

/// Spans that are not given out yet: disjoint, in order.
#[derive(Default)]
pub(super) struct Spans(VecDeque<Span>);

impl Spans {
    /// Joins a match with those it overlaps.
    pub(super) fn unite(&mut self, mut new: Span) {
        if new.end <= new.start {
            return;
        }
        let from = self.0.partition_point(|span| span.end <= new.start);
        let count = self.0.range(from..).take_while(|span| span.start < new.end).count();
        for old in self.0.range(from..from + count) {
            new.start = new.start.min(old.start);
            new.end = new.end.max(old.end);
            new.name = new.name.min(old.name);
        }
        // In its place: a stream full of needles, each found in several forms, would move all others each time.
        if let Some(place) = self.0.get_mut(from).filter(|_| count > 0) {
            *place = new;
            if count > 1 {
                self.0.drain(from + 1..from + count);
            }
        } else {
            self.0.insert(from, new);
        }
    }

    /// The first span, if it can't grow any more.
    pub(super) fn next_before(&mut self, upto: u64) -> Option<Span> {
        if self.0.front()?.end <= upto { self.0.pop_front() } else { None }
    }

    /// Where the first span begins.
    pub(super) fn first_start(&self) -> Option<u64> {
        self.0.front().map(|span| span.start)
    }
}
