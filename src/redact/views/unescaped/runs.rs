//! Where in its source each byte of a reading stands.

use std::collections::VecDeque;

/// Bytes of a reading: plain ones, each of which is a byte of the source, or those of one escape.
#[derive(Clone, Copy)]
struct Run {
    /// Its first byte in the reading.
    at: u64,
    /// Its bytes in the source.
    start: u64,
    end: u64,
    plain: bool,
}

/// The runs of a reading, in order.
#[derive(Default)]
pub(in crate::redact::views) struct Runs(VecDeque<Run>);

impl Runs {
    pub(in crate::redact::views) fn plain(&mut self, at: u64, start: u64, end: u64) {
        self.0.push_back(Run { at, start, end, plain: true });
    }

    pub(in crate::redact::views) fn escape(&mut self, at: u64, start: u64, end: u64) {
        self.0.push_back(Run { at, start, end, plain: false });
    }

    /// Where in the source a byte begins; `None` behind the last run.
    pub(in crate::redact::views) fn start(&self, at: u64) -> Option<u64> {
        let run = self.of(at)?;
        Some(if run.plain { run.start + (at - run.at) } else { run.start })
    }

    /// Where in the source a byte ends.
    pub(in crate::redact::views) fn end(&self, at: u64) -> Option<u64> {
        let run = self.of(at)?;
        Some(if run.plain { run.start + (at - run.at) + 1 } else { run.end })
    }

    /// Forgets runs of which all bytes lie before one.
    pub(in crate::redact::views) fn forget_before(&mut self, at: u64) {
        let gone = self.0.partition_point(|run| run.at <= at).saturating_sub(1);
        self.0.drain(..gone);
    }

    pub(in crate::redact::views) fn clear(&mut self) {
        self.0.clear();
    }

    fn of(&self, at: u64) -> Option<&Run> {
        self.0.get(self.0.partition_point(|run| run.at <= at).checked_sub(1)?)
    }
}
