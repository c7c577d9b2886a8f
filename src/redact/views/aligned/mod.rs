//! Lines that are framed alike: what stands in the frame is read on from line to line.
//!
//! ```text
//! > 2026-11-25T10:02:03Z INFO  sk-live/9fQ2xT7v        what they begin with, whatever the numbers in it are
//! > 2026-11-25T10:02:04Z INFO  Lm4Z+kW8
//! {"log":"sk-live/9fQ2","time":"2026-11-25"}          and what they end with
//! {"log":"xT7vLm4Z+kW8","time":"2026-11-25"}
//! | key   | sk-live/9fQ2 |                            cells of a table
//! |       | xT7vLm4Z+kW8 |
//! ```
//!
//! What stands in one line is found there. So only the ends of the pieces are looked at, and of those only what may be
//! cut out of a needle, as four symbols at either side tell.

mod cuts;
mod frame;
mod thread;

use std::ops::Range;

use super::{Hit, Stream, derived::Derived, line::Line};
use crate::redact::{tables::Tables, window::Window};
pub(super) use cuts::Cuts;
use frame::Pair;
use thread::{Piece, Search, Thread};

/// The threads that are no cells: up to the end of the line, and up to what both lines end with.
const FRAMED: usize = 2;

/// Pieces of lines, read on.
#[derive(Default)]
pub(super) struct Aligned {
    /// The line before.
    previous: Option<Piece>,
    /// Whether a needle may go on behind it.
    goes_on: bool,
    /// Where a needle begins first, of what was searched for it.
    beginning: Option<u64>,
    /// Everything before was searched for it.
    searched: u64,
    threads: Vec<Thread>,
    /// How many threads the line before has.
    threaded: usize,
}

impl Aligned {
    /// Takes a whole line in.
    pub(super) fn take(
        &mut self,
        tables: &Tables,
        window: &Window,
        line: Line<'_>,
        hit: &mut dyn FnMut(Hit),
    ) {
        let Some(mut search) = Search::new(tables, window, hit) else { return };
        let line = line.start..line.start + line.bytes.len() as u64;
        let previous = self.previous.replace(line.clone()).filter(|_| self.goes_on);
        let threaded = previous.map_or(0, |previous| self.read(&mut search, &previous, &line));
        self.leave(&mut search, threaded);
        self.goes_on = self.may_go_on(&search, &line);
    }

    /// Passes over what is too long for a line.
    pub(super) fn pass(&mut self, tables: &Tables, window: &Window, hit: &mut dyn FnMut(Hit)) {
        self.previous = None;
        if let Some(mut search) = Search::new(tables, window, hit) {
            self.leave(&mut search, 0);
        }
    }

    /// Looks through what is new.
    pub(super) fn look(
        &mut self,
        tables: &Tables,
        window: &Window,
        stream: Stream,
        hit: &mut dyn FnMut(Hit),
    ) {
        let Some(mut search) = Search::new(tables, window, hit) else { return };
        self.threads[..self.threaded].iter_mut().for_each(|thread| thread.look(&mut search));
        if stream == Stream::Ended {
            self.leave(&mut search, 0);
        }
    }

    /// The offset from which on the stream may still be masked, with what is there of a line.
    pub(super) fn earliest(
        &self,
        tables: &Tables,
        window: &Window,
        line: Option<Line<'_>>,
        longer_than: usize,
    ) -> Option<u64> {
        let wanted = tables.escaped()?;
        let threads = &self.threads[..self.threaded];
        let open = threads.iter().filter_map(|thread| thread.earliest(tables, longer_than)).min();
        let whole = |line: &Piece| Line { bytes: window.between(line.start, line.end), start: line.start };
        let previous = self.previous.as_ref().filter(|_| self.goes_on).map(whole);
        let waiting = if longer_than > 0 {
            previous.and_then(|line| begun_at_the_end(tables, line, wanted.alphabet.reach(), longer_than))
        } else {
            let begun =
                |line: Line<'_>| Some(line.place(wanted.alphabet.cuts().first_beginning(line.bytes)?));
            // Where it goes on in the next line is known with the end of that.
            let line = line.and_then(|line| if self.goes_on { Some(line.start) } else { begun(line) });
            previous.and_then(begun).into_iter().chain(line).min()
        };
        open.into_iter().chain(waiting).min()
    }

    /// The first offset of the stream that a later search needs.
    pub(super) fn keeps(&self) -> Option<u64> {
        self.previous.as_ref().map(|line| line.start)
    }

    /// What it has cost so far.
    #[cfg(test)]
    pub(super) fn cost(&self) -> u64 {
        self.threads.iter().map(|thread| thread.cost).sum()
    }

    /// Whether a needle may go on behind a line: in most lines none has begun.
    fn may_go_on(&mut self, search: &Search<'_>, line: &Piece) -> bool {
        self.threads[..self.threaded].iter().any(Thread::is_open)
            || self.has_beginning(search, line)
            || search.cuts.begins_late(search.window.between(line.start, line.end))
    }

    fn has_beginning(&mut self, search: &Search<'_>, line: &Piece) -> bool {
        while self.searched < line.end && self.beginning.is_none_or(|at| at < line.start) {
            let from = line.start.max(self.searched.saturating_sub(cuts::OVERLAP));
            let rest = search.window.between(from, search.window.end());
            self.beginning = search.cuts.find_beginning(rest).map(|at| from + at as u64);
            self.searched = self.beginning.map_or(search.window.end(), |at| at + 1);
        }
        self.beginning.is_some_and(|at| line.contains(&at))
    }

    /// Reads a line behind another, and says how many threads it has.
    fn read(&mut self, search: &mut Search<'_>, one: &Piece, other: &Piece) -> usize {
        let window = search.window;
        let (before, behind) = (window.between(one.start, one.end), window.between(other.start, other.end));
        let rest = frame::behind_the_same(before, behind);
        let inside = frame::before_the_same(before, behind, &rest);
        self.step(search, (one, other), 0, Some(rest));
        self.step(search, (one, other), 1, inside);
        let cells = frame::cells(before, behind);
        let count = cells.len();
        for (at, pair) in cells.into_iter().enumerate() {
            self.step(search, (one, other), FRAMED + at, Some(pair));
        }
        FRAMED + count
    }

    /// Stops the threads that a line has no more.
    fn leave(&mut self, search: &mut Search<'_>, threaded: usize) {
        let over = threaded..self.threaded.max(threaded);
        self.threads[over].iter_mut().for_each(|thread| thread.stop(search));
        self.threaded = threaded;
    }

    /// Goes on with a thread, by a pair of pieces of two lines.
    fn step(&mut self, search: &mut Search<'_>, lines: (&Piece, &Piece), at: usize, pair: Option<Pair>) {
        if at >= self.threads.len() {
            self.threads.resize_with(at + 1, Thread::default);
        }
        let placed = |line: &Piece, piece: Range<usize>| {
            line.start + piece.start as u64..line.start + piece.end as u64
        };
        match pair {
            Some((before, behind)) => {
                self.threads[at].step(search, &placed(lines.0, before), &placed(lines.1, behind));
            }
            None => self.threads[at].stop(search),
        }
    }
}

/// From where on a line ends as a needle begins.
fn begun_at_the_end(tables: &Tables, line: Line<'_>, reach: u64, longer_than: usize) -> Option<u64> {
    let from = line.bytes.len().saturating_sub(usize::try_from(reach).unwrap_or(usize::MAX));
    let mut text = Derived::new("");
    text.plain(&line.bytes[from..], line.place(from));
    text.search(tables, Stream::GoesOn, &mut |_| ());
    text.earliest(tables, longer_than)
}
