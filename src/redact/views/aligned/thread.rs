//! Pieces of lines that follow each other.

use std::ops::Range;

use super::cuts::Cuts;
use crate::redact::{
    tables::Tables,
    views::{Hit, Stream, derived::Derived},
    window::Window,
};

/// What is found over lines is counted as this.
const KIND: &str = "aligned";

/// Where in the stream a piece stands.
pub(super) type Piece = Range<u64>;

/// What is looked for, and where.
pub(super) struct Search<'a> {
    pub(super) tables: &'a Tables,
    pub(super) cuts: &'a Cuts,
    /// No needle goes farther from a cut.
    pub(super) reach: u64,
    pub(super) window: &'a Window,
    pub(super) hit: &'a mut dyn FnMut(Hit),
}

impl<'a> Search<'a> {
    /// None where nothing is looked for in other writings than its own.
    pub(super) fn new(tables: &'a Tables, window: &'a Window, hit: &'a mut dyn FnMut(Hit)) -> Option<Self> {
        let alphabet = &tables.escaped()?.alphabet;
        Some(Self { tables, cuts: alphabet.cuts(), reach: alphabet.reach(), window, hit })
    }
}

/// One piece of each line.
#[derive(Default)]
pub(super) struct Thread {
    island: Option<Island>,
    /// What it has cost so far.
    pub(super) cost: u64,
}

/// Pieces through whose ends a needle may go.
struct Island {
    text: Derived,
    /// What stands before was not held back.
    floor: u64,
    last: Piece,
}

impl Thread {
    /// Goes on with a piece behind that of the line before.
    pub(super) fn step(&mut self, search: &mut Search<'_>, before: &Piece, piece: &Piece) {
        if self.island.as_ref().is_some_and(|island| island.last != *before) {
            self.stop(search);
        }
        if search.cuts.joins(bytes(search.window, before), bytes(search.window, piece)) {
            let island = self.island.take().unwrap_or_else(|| self.open(search, before, piece));
            self.add(search, island, piece);
        } else {
            self.stop(search);
        }
    }

    /// The lines go on without this piece.
    pub(super) fn stop(&mut self, search: &mut Search<'_>) {
        if let Some(mut island) = self.island.take() {
            island.look(search, Stream::Ended);
        }
    }

    /// Whether a needle may go on with it.
    pub(super) fn is_open(&self) -> bool {
        self.island.is_some()
    }

    /// Looks through what is new.
    pub(super) fn look(&mut self, search: &mut Search<'_>) {
        if let Some(island) = &mut self.island {
            island.look(search, Stream::GoesOn);
        }
    }

    /// The offset from which on the stream may still be masked.
    pub(super) fn earliest(&self, tables: &Tables, longer_than: usize) -> Option<u64> {
        let island = self.island.as_ref()?;
        island.text.earliest(tables, longer_than).map(|start| start.max(island.floor))
    }

    fn open(&mut self, search: &Search<'_>, before: &Piece, piece: &Piece) -> Island {
        let begun = search.cuts.first_beginning(bytes(search.window, before));
        let floor = begun.map_or(piece.start, |at| before.start + at as u64);
        let mut text = Derived::new(KIND);
        let from = before.start.max(before.end.saturating_sub(search.reach));
        let tail = search.window.between(from, before.end);
        text.plain(tail, from);
        self.cost += tail.len() as u64;
        Island { text, floor, last: before.clone() }
    }

    fn add(&mut self, search: &mut Search<'_>, mut island: Island, piece: &Piece) {
        let end = piece.end.min(piece.start + search.reach);
        island.text.plain(search.window.between(piece.start, end), piece.start);
        island.last = piece.clone();
        self.cost += end - piece.start;
        self.island = Some(island);
        if end < piece.end {
            self.stop(search);
        }
    }
}

impl Island {
    fn look(&mut self, search: &mut Search<'_>, stream: Stream) {
        let floor = self.floor;
        self.text.search(search.tables, stream, &mut |hit| {
            // What ends before was found in its line.
            if hit.end > floor {
                (search.hit)(Hit { start: hit.start.max(floor), ..hit });
            }
        });
    }
}

fn bytes<'a>(window: &'a Window, piece: &Piece) -> &'a [u8] {
    window.between(piece.start, piece.end)
}
