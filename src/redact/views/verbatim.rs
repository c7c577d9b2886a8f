//! The stream as it stands.

use super::Hit;
use crate::redact::{
    scan::{Scanner, Track},
    tables::Tables,
    window::Window,
};

/// What is looked for in every byte.
#[derive(Default)]
pub(in crate::redact) struct Verbatim(Scanner);

impl Verbatim {
    /// Begins again, in another text.
    pub(super) fn restart(&mut self) {
        self.0 = Scanner::default();
    }

    pub(in crate::redact) fn search(&mut self, tables: &Tables, window: &Window, hit: &mut impl FnMut(Hit)) {
        let index = tables.literal();
        self.0.scan(index, track(window), |found| {
            let end = found.at + index.needle(found.needle).len() as u64;
            hit(Hit { start: found.at, end, label: index.label(found.needle), kind: None });
        });
    }

    /// The offset from which on the stream may still be masked.
    pub(in crate::redact) fn earliest(&self, window: &Window, longer_than: usize) -> Option<u64> {
        self.0.earliest(track(window), longer_than)
    }

    /// The first offset of the stream that a later search needs, at most `from`.
    pub(in crate::redact) fn keeps(&self, tables: &Tables, window: &Window, from: u64) -> u64 {
        self.0.keeps(tables.literal(), window.end()).min(from)
    }
}

fn track(window: &Window) -> Track<'_> {
    Track { symbols: window.bytes(), base: window.base(), places: None }
}
