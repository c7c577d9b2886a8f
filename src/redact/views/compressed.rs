//! Compressed data: gzip (RFC 1952) and zlib (RFC 1950), as it stands, in base64 and in hex. It is inflated
//! as it comes and looked through; where it holds a needle, all of it is masked.
//!
//! ```text
//!   beginning ─ Head (header and first block plausible?) ─ Try (inflated, looked through) ─ mask, or nothing
//! ```
//! Speculative, and bounded, so that neither a bomb, nor a stream that never ends, nor one that is made of
//! beginnings holds anything up: by the bytes of one piece, by the number of pieces at a time, and by a budget of
//! the stream. What is given up is counted, and said in the result.

use std::{collections::BTreeMap, sync::Arc};

use miniz_oxide::{DataFormat, inflate::stream::InflateState};

use super::{
    Hit, Stream,
    beginnings::{LONGEST_BEGINNING, may_follow, places},
    budget::Budget,
    head::{Head, Verdict},
    inflating::{Data, Try},
    writing::Writing,
};
use crate::redact::{tables::Tables, window::Window};

/// How many beginnings are looked at, and how many pieces are inflated, at a time.
const MOST_HEADS: usize = 8;
const MOST_TRIES: usize = 8;
/// Follows compressed data.
#[derive(Default)]
pub(in crate::redact) struct Compressed {
    heads: Vec<Head>,
    tries: Vec<Try>,
    /// Of tries that are over, for those to come: making one costs more than a short piece does.
    spare: Vec<Box<InflateState>>,
    budget: Budget,
    /// Bytes of the pieces that were given up, by format.
    given_up: BTreeMap<&'static str, u64>,
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
        self.budget.read += window.end() - offset;
        let from = offset.saturating_sub(LONGEST_BEGINNING).max(window.base());
        let text = window.between(from, window.end());
        let mut ready = Vec::new();
        for (start, end, writing) in places(text) {
            let (start, end) = (from + start as u64, from + end as u64);
            let before = window.between(start.saturating_sub(1), start);
            let inside =
                writing != Writing::Plain && before.iter().any(|byte| writing.digit(*byte).is_some());
            if end <= offset || inside {
                continue;
            }
            // Only where the place is needed: a look at all heads for each beginning costs more than they do.
            if self.heads.len() >= MOST_HEADS {
                self.look_at_heads(window, end, &mut ready);
            }
            if self.heads.len() >= MOST_HEADS {
                let oldest = self.heads.remove(0);
                self.give_up(oldest.format(), oldest.extent.length());
            }
            self.heads.push(Head::new(start, writing));
        }
        self.look_at_heads(window, window.end(), &mut ready);
        // Whatever ends before a try begins leaves its place to it, however the stream came in pieces.
        ready.sort_by_key(|head| head.extent.upto);
        for head in ready {
            self.advance(window, head.extent.upto, hit);
            self.begin(tables, head, hit);
        }
        self.advance(window, window.end(), hit);
    }

    /// The offset from which on the stream may still be masked.
    pub(in crate::redact) fn earliest(&self, window: &Window) -> Option<u64> {
        let end = window.end();
        let begun = (1..LONGEST_BEGINNING).rev().filter_map(|length| end.checked_sub(length)).find(|at| {
            let last = window.between(*at, end);
            !last.is_empty() && may_follow(last)
        });
        self.earliest_at_a_pause().into_iter().chain(begun).min()
    }

    /// The same at a pause: what may be the beginning of compressed data, but isn't yet, is shown.
    pub(in crate::redact) fn earliest_at_a_pause(&self) -> Option<u64> {
        let heads = self.heads.iter().map(|head| head.extent.start);
        heads.chain(self.tries.iter().map(|one| one.extent.start)).min()
    }

    /// Ends the stream.
    pub(in crate::redact) fn end(&mut self, stream: Stream, hit: &mut impl FnMut(Hit)) {
        if stream == Stream::Ended {
            self.heads.clear();
            let tries = std::mem::take(&mut self.tries);
            for one in tries {
                one.close(&mut self.budget, hit);
            }
        }
    }

    /// What of the stream was not looked into: bytes by format, as far as they were read.
    pub(in crate::redact) fn given_up(&self) -> &BTreeMap<&'static str, u64> {
        &self.given_up
    }

    /// What the stream has cost.
    #[cfg(test)]
    pub(in crate::redact) fn budget(&self) -> Budget {
        self.budget
    }

    fn look_at_heads(&mut self, window: &Window, upto: u64, ready: &mut Vec<Head>) {
        let mut at = 0;
        while at < self.heads.len() {
            let head = &mut self.heads[at];
            match head.take(window.between(head.extent.upto, upto), &mut self.budget) {
                Verdict::Waiting => at += 1,
                Verdict::Plausible => ready.push(self.heads.remove(at)),
                Verdict::No => drop(self.heads.remove(at)),
            }
        }
    }

    /// Inflates from a beginning on. Where there is no place, the least promising piece is given up; where the
    /// budget is used up, this one is.
    fn begin(&mut self, tables: &Arc<Tables>, head: Head, hit: &mut impl FnMut(Hit)) {
        if self.budget.is_used_up() {
            return self.give_up(head.format(), head.extent.length());
        }
        self.budget.spend(Budget::A_TRY);
        if self.tries.len() >= MOST_TRIES {
            let least = (0..self.tries.len()).min_by_key(|at| self.tries[*at].promise());
            let least = self.tries.remove(least.unwrap_or_default());
            self.give_up(least.format(), least.extent.length());
            self.close(least, hit);
        }
        let state = self.spare.pop().unwrap_or_else(|| InflateState::new_boxed(DataFormat::Raw));
        self.tries.push(Try::new(tables, &head, state));
    }

    fn advance(&mut self, window: &Window, upto: u64, hit: &mut impl FnMut(Hit)) {
        let mut at = 0;
        while let Some(one) = self.tries.get_mut(at) {
            let data = one.take(window.between(one.extent.upto, upto), &mut self.budget);
            if data == Data::GoesOn {
                at += 1;
                continue;
            }
            let one = self.tries.remove(at);
            if data == Data::GivenUp {
                self.give_up(one.format(), one.extent.length());
            }
            self.close(one, hit);
        }
    }

    fn close(&mut self, one: Try, hit: &mut impl FnMut(Hit)) {
        let mut state = one.close(&mut self.budget, hit);
        state.reset(DataFormat::Raw);
        self.spare.push(state);
    }

    fn give_up(&mut self, format: &'static str, bytes: u64) {
        *self.given_up.entry(format).or_default() += bytes;
    }
}
