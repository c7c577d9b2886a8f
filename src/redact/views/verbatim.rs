//! The stream as it stands.

use super::Hit;
use crate::redact::{
    scan::{Scanner, Track},
    tables::Tables,
    window::Window,
};

/// What is looked for in every byte: a search for each table of forms as they stand.
pub(in crate::redact) struct Verbatim(Vec<Scanner>);

impl Verbatim {
    pub(in crate::redact) fn new(tables: &Tables) -> Self {
        Self(tables.literal().iter().map(|_| Scanner::default()).collect())
    }

    /// Begins again, in another text.
    pub(super) fn restart(&mut self) {
        self.0.fill_with(Scanner::default);
    }

    pub(in crate::redact) fn search(&mut self, tables: &Tables, window: &Window, hit: &mut impl FnMut(Hit)) {
        for (scanner, written) in self.0.iter_mut().zip(tables.literal()) {
            scanner.scan(&written.index, track(window), |found| {
                let end = found.at + written.index.needle(found.needle).len() as u64;
                let label = written.labels[found.needle as usize];
                hit(Hit { start: found.at, end, label, kind: None });
            });
        }
    }

    /// The offset from which on the stream may still be masked.
    pub(in crate::redact) fn earliest(
        &self,
        tables: &Tables,
        window: &Window,
        longer_than: usize,
    ) -> Option<u64> {
        let scanners = self.0.iter().zip(tables.literal());
        scanners
            .filter_map(|(scanner, written)| scanner.earliest(&written.index, track(window), longer_than))
            .min()
    }

    /// The first offset of the stream that a later search needs, at most `from`.
    pub(in crate::redact) fn keeps(&self, tables: &Tables, window: &Window, from: u64) -> u64 {
        let scanners = self.0.iter().zip(tables.literal());
        scanners.map(|(scanner, written)| scanner.keeps(&written.index, window.end())).fold(from, u64::min)
    }
}

fn track(window: &Window) -> Track<'_> {
    Track { symbols: window.bytes(), base: window.base(), places: None }
}
