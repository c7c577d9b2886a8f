//! The streaming redactor: matches that overlap become one mask, matches that only touch stay two, and
//! no chunk boundary makes a difference.
//!
//! ```text
//!   emitted │ base … buffer … │ next byte
//!           │   text  [interval)  text [open interval…
//!           │                     ▲ earliest: where the longest match in progress began
//! ```
//! Everything before `earliest` is decided: no later match can begin there. What lies behind it waits.

use std::{fmt, sync::Arc};

use aho_corasick::automaton::StateID;

use super::{Counts, automaton::Tables};

/// How many bytes of a beginning match are shown rather than held back at a pause: a prompt must not
/// wait because it ends with the first letters of a secret. The rest of such a match is still masked.
const SHOWN_AT_A_PAUSE: usize = 3;
/// Bytes after which what is decided is given out, within a chunk.
const STRIDE: usize = 64 * 1024;

/// Masks one stream as it comes. Holds back no more than the longest needle.
pub struct Redactor {
    tables: Option<Arc<Tables>>,
    state: StateID,
    /// Bytes that are not given out yet; the first has the stream's offset `base`.
    buffer: Vec<u8>,
    base: u64,
    /// Matches that are not given out yet: disjoint, in order.
    intervals: Vec<Interval>,
    counts: Counts,
}

/// Bytes of the stream that one mask stands for.
struct Interval {
    start: u64,
    end: u64,
    label: usize,
}

impl Redactor {
    pub(super) fn new(tables: Option<Arc<Tables>>) -> Self {
        let state = tables.as_ref().map_or_else(StateID::default, |tables| tables.start());
        Self { tables, state, buffer: Vec::new(), base: 0, intervals: Vec::new(), counts: Counts::default() }
    }

    /// Takes a chunk in and appends what is decided.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Some(tables) = self.tables.clone() else {
            out.extend_from_slice(chunk);
            return;
        };
        for part in chunk.chunks(STRIDE) {
            self.scan(&tables, part);
            self.emit(&tables, self.earliest(&tables), out);
        }
    }

    /// Gives out what is held back at a pause: all but a match that has begun and is longer than its
    /// first three bytes.
    pub fn flush_idle(&mut self, out: &mut Vec<u8>) {
        let Some(tables) = self.tables.clone() else { return };
        let upto = if tables.depth(self.state) <= SHOWN_AT_A_PAUSE {
            self.position()
        } else {
            self.earliest(&tables)
        };
        self.emit(&tables, upto, out);
    }

    /// Ends the stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let Some(tables) = self.tables.clone() else { return };
        self.emit(&tables, self.position(), out);
        self.state = tables.start();
    }

    /// What was masked so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn position(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    fn earliest(&self, tables: &Tables) -> u64 {
        self.position() - (tables.depth(self.state) as u64).min(self.buffer.len() as u64)
    }

    fn scan(&mut self, tables: &Tables, part: &[u8]) {
        let mut state = self.state;
        let begun = self.position();
        self.buffer.extend_from_slice(part);
        for (index, &byte) in part.iter().enumerate() {
            state = tables.next(state, byte);
            if let Some((length, label)) = tables.longest_match(state) {
                let end = begun + index as u64 + 1;
                self.unite(Interval { start: end.saturating_sub(length as u64).max(self.base), end, label });
            }
        }
        self.state = state;
    }

    /// Joins a match with those it overlaps; the mask is that of the leftmost, the longest if tied.
    fn unite(&mut self, mut new: Interval) {
        while let Some(last) = self.intervals.pop_if(|last| last.end > new.start) {
            if last.start < new.start {
                new.label = last.label;
                new.start = last.start;
            }
        }
        self.intervals.push(new);
    }

    /// Gives out everything before `upto`, where nothing can change any more.
    fn emit(&mut self, tables: &Tables, upto: u64, out: &mut Vec<u8>) {
        let mut from = self.base;
        let closed = self.intervals.iter().take_while(|interval| interval.end <= upto).count();
        for interval in self.intervals.drain(..closed) {
            out.extend_from_slice(slice(&self.buffer, self.base, from, interval.start));
            let label = tables.label(interval.label);
            out.extend_from_slice(&label.mask);
            *self.counts.0.entry(label.kind).or_default() += 1;
            from = interval.end;
        }
        match self.intervals.first_mut() {
            // A mask that may still grow: its bytes are known to be masked, and needn't be kept.
            Some(open) if open.start < upto => {
                out.extend_from_slice(slice(&self.buffer, self.base, from, open.start.max(from)));
                open.start = upto;
            }
            _ => out.extend_from_slice(slice(&self.buffer, self.base, from, upto.max(from))),
        }
        let done = usize::try_from(upto.max(from) - self.base).unwrap_or(self.buffer.len());
        self.buffer.drain(..done);
        self.base += done as u64;
    }
}

fn slice(buffer: &[u8], base: u64, from: u64, to: u64) -> &[u8] {
    let at = |offset: u64| usize::try_from(offset - base).unwrap_or(usize::MAX).min(buffer.len());
    &buffer[at(from)..at(to)]
}

impl Drop for Redactor {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.buffer);
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} bytes held)", self.buffer.len())
    }
}
