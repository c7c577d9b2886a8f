//! The stream as those read it who undo its escapes, once and twice: a value that was written out by an encoder of JSON,
//! of URLs, of HTML, by a shell or a mailer is found as it stands.

mod alphabet;
mod decoding;
mod runs;

use super::{Hit, Stream};
use crate::redact::{tables::Escaped, window::Window};

pub(in crate::redact) use alphabet::Alphabet;
use decoding::{Decoding, PLANS, Search};
pub(super) use runs::Runs;

/// All readings of a stream.
pub(in crate::redact) struct Unescaped(Vec<Decoding>);

impl Unescaped {
    pub(in crate::redact) fn new() -> Self {
        Self(PLANS.iter().map(Decoding::new).collect())
    }

    /// Reads and looks through what the window has.
    pub(in crate::redact) fn search(
        &mut self,
        wanted: &Escaped,
        window: &Window,
        stream: Stream,
        hit: &mut impl FnMut(Hit),
    ) {
        for one in &mut self.0 {
            one.take(&mut Search { wanted, source: window, hit }, stream);
        }
    }

    /// The offset from which on the stream may still be masked.
    pub(in crate::redact) fn earliest(
        &self,
        wanted: &Escaped,
        window: &Window,
        longer_than: usize,
    ) -> Option<u64> {
        self.0.iter().filter_map(|one| one.earliest(wanted, window, longer_than)).min()
    }

    /// The first offset of the stream that a later search needs, at most `from`.
    pub(in crate::redact) fn keeps(&self, wanted: &Escaped, from: u64) -> u64 {
        self.0.iter().map(|one| one.keeps(wanted)).fold(from, u64::min)
    }

    /// What it has cost so far, in bytes that are looked through.
    pub(in crate::redact) fn cost(&self) -> u64 {
        self.0.iter().map(Decoding::cost).sum()
    }
}
