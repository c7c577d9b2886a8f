//! Dumps: lines whose columns are numbers, each of which is a byte or a word. What they stand for is looked through as
//! the stream itself is.
//!
//! ```text
//! 00000010: 6563 7265 74              ecret          xxd
//! 00000010  65 63 72 65 74           |ecret|         hexdump -C
//! 0000020   e   c   r   e   t                        od -c
//! 0x7ffe <buf+16>:  0x72636565  0x00000074           gdb's x/2wx
//! ```
//!
//! A dump is known by its columns, not by its offsets. What a number means is not told by one line: each line is read in
//! all shapes that it has, each shape a *lane*, and a lane goes on as long as its lines follow each other.

mod characters;
mod columns;
mod gate;
mod lane;
mod shape;
mod token;

use super::{Hit, Stream, line::Line};
use crate::redact::tables::Tables;
use gate::{Gate, gate};
use lane::Lane;
use shape::Shape;
use token::Token;

/// So many readings go on at a time.
const MOST_LANES: usize = 16;

/// All readings of a stream as a dump.
#[derive(Default)]
pub(super) struct Dump {
    lanes: Vec<Lane>,
    tokens: Vec<Token>,
    /// What it has cost so far: bytes of lines that were read, and what they were decoded to.
    cost: u64,
}

impl Dump {
    /// Takes a whole line in.
    pub(super) fn take(&mut self, tables: &Tables, line: Line<'_>, hit: &mut dyn FnMut(Hit)) {
        if !line.bytes.is_empty() || !self.lanes.is_empty() {
            self.read(tables, line, hit);
        }
    }

    /// Passes over what is no line of a dump: none goes on behind it.
    pub(super) fn pass(&mut self, tables: &Tables, hit: &mut dyn FnMut(Hit)) {
        self.look(tables, Stream::Ended, hit);
    }

    /// Looks through what is new.
    pub(super) fn look(&mut self, tables: &Tables, stream: Stream, hit: &mut dyn FnMut(Hit)) {
        self.lanes.iter_mut().for_each(|lane| lane.search(tables, stream, hit));
        if stream == Stream::Ended {
            self.lanes.clear();
        }
    }

    /// The offset from which on the stream may still be masked, with what is there of a line.
    pub(super) fn earliest(
        &self,
        tables: &Tables,
        line: Option<Line<'_>>,
        longer_than: usize,
    ) -> Option<u64> {
        let read = self.lanes.iter().filter_map(|lane| lane.earliest(tables, longer_than)).min();
        let line = line.and_then(|line| {
            if longer_than > 0 { self.ahead(tables, line, longer_than) } else { self.may_become(line) }
        });
        read.into_iter().chain(line).min()
    }

    /// What it has cost so far.
    #[cfg(test)]
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    /// From where on what is there of a line may be columns.
    fn may_become(&self, line: Line<'_>) -> Option<u64> {
        if !self.lanes.is_empty() {
            return Some(line.start);
        }
        match gate(line.bytes, Stream::GoesOn) {
            Gate::Closed => None,
            Gate::Open(from) | Gate::Undecided(from) => Some(line.start + from as u64),
        }
    }

    /// From where on a line would be masked, or may be, if it went on.
    fn ahead(&self, tables: &Tables, line: Line<'_>, longer_than: usize) -> Option<u64> {
        let mut ahead =
            Self { lanes: self.lanes.iter().map(|lane| lane.ahead(tables)).collect(), ..Self::default() };
        let mut first: Option<u64> = None;
        let mut note = |start: u64| first = Some(first.map_or(start, |first| first.min(start)));
        ahead.read(tables, line, &mut |hit| note(hit.start));
        for lane in &mut ahead.lanes {
            lane.search(tables, Stream::GoesOn, &mut |hit| note(hit.start));
            lane.earliest(tables, longer_than).into_iter().for_each(&mut note);
        }
        first
    }

    /// Reads a whole line, in all shapes that it has.
    fn read(&mut self, tables: &Tables, line: Line<'_>, hit: &mut dyn FnMut(Hit)) {
        let from = match gate(line.bytes, Stream::Ended) {
            Gate::Open(from) => from,
            Gate::Closed | Gate::Undecided(_) if self.lanes.is_empty() => return,
            Gate::Closed | Gate::Undecided(_) => 0,
        };
        self.cost += line.bytes.len() as u64;
        if line.bytes.trim_ascii() == b"*" {
            return self.lanes.iter_mut().for_each(|lane| lane.repeat(line));
        }
        let lengths: Vec<u64> = self.lanes.iter().map(Lane::length).collect();
        let mut fed = self.numbers(line, from);
        fed.extend(self.characters(line));
        let before = lengths.iter().chain(std::iter::repeat(&0));
        self.cost += self.lanes.iter().zip(before).map(|(lane, before)| lane.length() - before).sum::<u64>();
        self.leave_behind(tables, hit, |shape| fed.contains(&shape));
    }

    /// Reads a line as numbers, and says in which shapes.
    fn numbers(&mut self, line: Line<'_>, from: usize) -> Vec<Shape> {
        let mut tokens = std::mem::take(&mut self.tokens);
        token::split(line.bytes, from, &mut tokens);
        let mut fed = Vec::new();
        let columns = columns::columns(&tokens);
        if let Some(columns) = columns.filter(|one| !self.lanes.is_empty() || one.begins_a_dump()) {
            let known: Vec<Shape> = self.lanes.iter().map(|lane| lane.shape).collect();
            for shape in columns.shapes(line.bytes, &known) {
                self.lane(shape).into_iter().for_each(|lane| lane.numbers(line, &columns));
                fed.push(shape);
            }
        }
        self.tokens = tokens;
        fed
    }

    /// Reads a line as cells of characters.
    fn characters(&mut self, line: Line<'_>) -> Option<Shape> {
        let cells = characters::cells(line.bytes);
        if cells.is_empty() {
            return None;
        }
        self.lane(Shape::CHARACTERS)?.characters(line, &cells);
        Some(Shape::CHARACTERS)
    }

    /// The lane of a shape, a new one if there is none.
    fn lane(&mut self, shape: Shape) -> Option<&mut Lane> {
        let at = self.lanes.iter().position(|lane| lane.shape == shape).unwrap_or(self.lanes.len());
        if at == self.lanes.len() && at < MOST_LANES {
            self.lanes.push(Lane::new(shape));
        }
        self.lanes.get_mut(at)
    }

    /// Ends lanes that no line went on with.
    fn leave_behind(&mut self, tables: &Tables, hit: &mut dyn FnMut(Hit), fed: impl Fn(Shape) -> bool) {
        for lane in &mut self.lanes {
            lane.missed += u32::from(!fed(lane.shape));
            if lane.is_over() {
                lane.search(tables, Stream::Ended, hit);
            }
        }
        self.lanes.retain(|lane| !lane.is_over());
    }
}
