//! A line of the stream, as the views know it that read on from line to line.

/// A longer line is none.
pub(super) const LONGEST_LINE: u64 = 4096;

/// A line, or what of it is there.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) bytes: &'a [u8],
    /// Where it stands in the stream.
    pub(super) start: u64,
}

impl Line<'_> {
    pub(super) fn place(&self, at: usize) -> u64 {
        self.start + at as u64
    }

    /// Where it ends, without the space there.
    pub(super) fn text_end(&self) -> u64 {
        self.place(self.bytes.trim_ascii_end().len())
    }
}
