//! The views that read on from line to line: dumps, and lines that are framed alike.

use memchr::memchr_iter;

use super::{
    Hit, Stream,
    aligned::Aligned,
    dump::Dump,
    line::{LONGEST_LINE, Line},
};
use crate::redact::{tables::Tables, window::Window};

/// Reads a stream by its lines.
#[derive(Default)]
pub(in crate::redact) struct Lines {
    /// Where the line begins of which the end isn't there.
    open: u64,
    /// Everything before was looked at for the line's end.
    looked: u64,
    /// Whether that line is known to be none of a dump's or a frame's.
    passed: bool,
    dump: Dump,
    aligned: Aligned,
}

impl Lines {
    /// Reads the lines that the window has, and looks through them.
    pub(in crate::redact) fn search(
        &mut self,
        tables: &Tables,
        window: &Window,
        stream: Stream,
        hit: &mut impl FnMut(Hit),
    ) {
        for at in memchr_iter(b'\n', window.between(self.looked, window.end())) {
            self.take(tables, window, self.looked + at as u64, hit);
        }
        self.looked = window.end();
        if self.is_too_long(window.end()) {
            self.pass(tables, window, hit);
        }
        if stream == Stream::Ended {
            self.take(tables, window, window.end(), hit);
        }
        self.dump.look(tables, stream, hit);
        self.aligned.look(tables, window, stream, hit);
    }

    /// The offset from which on the stream may still be masked.
    pub(in crate::redact) fn earliest(
        &self,
        tables: &Tables,
        window: &Window,
        longer_than: usize,
    ) -> Option<u64> {
        let line = (!self.is_too_long(window.end())).then(|| self.line(window, window.end()));
        let dump = self.dump.earliest(tables, line.filter(|line| !line.bytes.is_empty()), longer_than);
        dump.into_iter().chain(self.aligned.earliest(tables, window, line, longer_than)).min()
    }

    /// The first offset of the stream that a later search needs, at most `from`.
    pub(in crate::redact) fn keeps(&self, window: &Window, from: u64) -> u64 {
        let open = if self.is_too_long(window.end()) { from } else { self.open };
        self.aligned.keeps().unwrap_or(open).min(open).min(from)
    }

    /// What reading dumps has cost so far.
    #[cfg(test)]
    pub(in crate::redact) fn dump_cost(&self) -> u64 {
        self.dump.cost()
    }

    /// What reading on in frames has cost so far.
    #[cfg(test)]
    pub(in crate::redact) fn frame_cost(&self) -> u64 {
        self.aligned.cost()
    }

    /// Takes the line in that ends at an offset.
    fn take(&mut self, tables: &Tables, window: &Window, end: u64, hit: &mut dyn FnMut(Hit)) {
        if self.is_too_long(end) {
            self.pass(tables, window, hit);
        } else {
            let line = self.line(window, end);
            self.dump.take(tables, line, hit);
            self.aligned.take(tables, window, line, hit);
        }
        self.open = end + 1;
        self.passed = false;
    }

    /// Passes over a line as soon as it is too long: until it ends, nothing is held back for what came before.
    fn pass(&mut self, tables: &Tables, window: &Window, hit: &mut dyn FnMut(Hit)) {
        if !std::mem::replace(&mut self.passed, true) {
            self.dump.pass(tables, hit);
            self.aligned.pass(tables, window, hit);
        }
    }

    fn line<'a>(&self, window: &'a Window, end: u64) -> Line<'a> {
        Line { bytes: window.between(self.open, end), start: self.open }
    }

    fn is_too_long(&self, end: u64) -> bool {
        end.saturating_sub(self.open) > LONGEST_LINE
    }
}
