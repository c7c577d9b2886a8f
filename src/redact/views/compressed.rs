//! Compressed data and archives, as they stand, in base64 and in hex, and within each other. They are unpacked as
//! they come and looked through; where they hold a needle, they are masked.
//!
//! ```text
//!   beginning ─ Head (plausible?) ─ Try (unpacked, looked through, a Layer of its own) ─ mask, or nothing
//! ```
//! Speculative, and bounded, so that neither a bomb, nor a stream that never ends, nor one that is made of
//! beginnings holds anything up: by the bytes of a piece that are held back, by the number of pieces at a time, and
//! by a budget of the stream. What is given up is counted, and said in the result.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Hit, Stream,
    budget::{Budget, Shared},
    layer::Layer,
    unpacked::Within as _,
};
use crate::redact::{tables::Tables, window::Window};

/// Follows compressed data of a stream.
#[derive(Default)]
pub(in crate::redact) struct Compressed {
    layer: Layer,
    shared: Shared,
}

impl Compressed {
    /// Takes in what the window has from an offset on.
    pub(in crate::redact) fn take(
        &mut self,
        tables: &Arc<Tables>,
        window: &Window,
        offset: u64,
        hit: &mut impl FnMut(Hit),
    ) {
        self.shared.budget.read += window.end() - offset;
        self.layer.take(tables, window, offset, &mut self.shared, hit);
    }

    /// The offset from which on the stream may still be masked.
    pub(in crate::redact) fn earliest(&self, window: &Window) -> Option<u64> {
        self.layer.earliest(window)
    }

    /// The same at a pause: what may be the beginning of compressed data, but isn't yet, is shown.
    pub(in crate::redact) fn earliest_at_a_pause(&self) -> Option<u64> {
        self.layer.earliest_at_a_pause()
    }

    /// Follows what the window has to its end.
    pub(in crate::redact) fn settle(&mut self, window: &Window, hit: &mut impl FnMut(Hit)) {
        self.layer.settle(window, &mut self.shared, hit);
    }

    /// Ends the stream.
    pub(in crate::redact) fn end(&mut self, window: &Window, stream: Stream, hit: &mut impl FnMut(Hit)) {
        if stream == Stream::Ended {
            self.layer.settle(window, &mut self.shared, hit);
            self.layer.end(&mut self.shared, hit);
        }
    }

    /// What of the stream was not looked into: bytes by format, as far as they were read.
    pub(in crate::redact) fn given_up(&self) -> BTreeMap<&'static str, u64> {
        let mut all = self.shared.given_up().clone();
        for one in self.layer.unread() {
            *all.entry(one.format.name).or_default() += one.extent.length();
        }
        all
    }

    /// What the stream has cost.
    pub(in crate::redact) fn budget(&self) -> Budget {
        self.shared.budget
    }
}
