//! One reading of the lines of a dump, and what they are decoded to.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::{columns::Columns, shape::Shape, token::colour};
use crate::redact::{
    tables::Tables,
    views::{Hit, Stream, derived::Derived, line::Line},
};

/// What is found in a dump is counted as this.
const KIND: &str = "dump";
/// So many other lines may stand between two lines of one reading: the same bytes in other formats, an empty line.
const MOST_BETWEEN: u32 = 2;
/// No value is shorter.
const LEAST_BYTES: u64 = 4;

/// Where a line begins, its columns end, and what is behind them does.
struct Extent {
    start: u64,
    columns_end: u64,
    end: u64,
}

/// Lines that are read in one shape.
pub(super) struct Lane {
    pub(super) shape: Shape,
    derived: Derived,
    /// The lines that more may be found in.
    lines: VecDeque<Extent>,
    /// How many lines were no lines of this reading since.
    pub(super) missed: u32,
    /// Bytes of its last line.
    row: u64,
}

impl Lane {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, derived: Derived::new(KIND), lines: VecDeque::new(), missed: 0, row: 0 }
    }

    pub(super) fn is_over(&self) -> bool {
        self.missed > MOST_BETWEEN
    }

    /// How many bytes were decoded.
    pub(super) fn length(&self) -> u64 {
        self.derived.length()
    }

    /// Takes the columns of a line in.
    pub(super) fn numbers(&mut self, line: Line<'_>, columns: &Columns<'_>) {
        let tokens = columns.numbers(&self.shape);
        let before = self.derived.length();
        let mut bytes = Zeroizing::new(Vec::new());
        for token in tokens {
            self.shape.bytes(line.bytes, token, &mut bytes);
            self.derived.written(&bytes, line.place(token.start), line.place(token.end));
        }
        self.line(line, before, tokens.last().map_or(0, |token| token.end));
    }

    /// Takes the cells of a line in.
    pub(super) fn characters(&mut self, line: Line<'_>, cells: &[(u8, usize, usize)]) {
        let before = self.derived.length();
        for (byte, start, end) in cells {
            self.derived.written(&[*byte], line.place(*start), line.place(*end));
        }
        self.line(line, before, cells.last().map_or(0, |(_, _, end)| *end));
    }

    /// A line that stands for more of the one before.
    pub(super) fn repeat(&mut self, line: Line<'_>) {
        let (row, before) = (self.row, self.derived.length());
        let bytes = Zeroizing::new(self.derived.last(row).to_vec());
        self.derived.written(&bytes, line.start, line.text_end());
        self.line(line, before, line.bytes.len());
    }

    fn line(&mut self, line: Line<'_>, before: u64, columns_end: usize) {
        self.missed = 0;
        self.row = self.derived.length() - before;
        let column = is_a_column_of(self.derived.last(self.row), &line.bytes[columns_end..]);
        let columns_end = line.place(columns_end);
        let end = if column { line.text_end() } else { columns_end };
        self.lines.push_back(Extent { start: line.start, columns_end, end });
    }

    /// Looks through what is new. What ends within a line is masked to the line's end: its column of characters would
    /// show it.
    pub(super) fn search(&mut self, tables: &Tables, stream: Stream, hit: &mut dyn FnMut(Hit)) {
        if stream == Stream::Ended && self.derived.length() < LEAST_BYTES {
            return;
        }
        let lines = &self.lines;
        self.derived.search(tables, stream, &mut |found| {
            let line = lines.get(lines.partition_point(|line| line.columns_end < found.end));
            let end =
                line.filter(|line| line.start < found.end).map_or(found.end, |line| line.end.max(found.end));
            hit(Hit { end, ..found });
        });
        let open = self.derived.earliest(tables, 0).unwrap_or(u64::MAX);
        let last = self.lines.len().saturating_sub(1);
        let gone = self.lines.partition_point(|line| line.columns_end <= open).min(last);
        self.lines.drain(..gone);
    }

    pub(super) fn earliest(&self, tables: &Tables, longer_than: usize) -> Option<u64> {
        self.derived.earliest(tables, longer_than)
    }

    /// A lane that goes on from what may still be masked of this one, for a look ahead.
    pub(super) fn ahead(&self, tables: &Tables) -> Self {
        Self { derived: self.derived.undecided(tables), ..Self::new(self.shape) }
    }
}

/// Whether what is behind the numbers of a line shows the same bytes as characters: at a distance, or in a box; or
/// most of them.
fn is_a_column_of(row: &[u8], behind: &[u8]) -> bool {
    let behind = without_colours(behind);
    if matches!(behind.as_slice(), [b' ', b' ' | b'|' | b'>' | 0x80.., ..]) {
        return true;
    }
    let alike =
        row.iter().zip(behind.get(1..).unwrap_or_default()).filter(|(one, other)| one == other).count();
    alike > 0 && alike * 2 >= row.len()
}

fn without_colours(mut rest: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(rest.len());
    while let Some(byte) = rest.first() {
        let length = colour(rest);
        plain.extend(length.is_none().then_some(*byte));
        rest = &rest[length.unwrap_or(1)..];
    }
    plain
}
