//! One stream, kept: redacted first, then cut to a head and a tail, then made valid UTF-8.
//!
//! In this order nothing can slip through: a secret that straddles the cut was masked before, and a
//! replacement character only ever stands for bytes that were not valid, so it can't put a value
//! together that wasn't there.

use std::collections::VecDeque;

use super::{
    ledger::{LedgerPage, MaskLedger},
    needle_set::NeedleSet,
    redacted::Redacted,
    stream::Redactor,
};

/// Collects one stream of a run.
#[derive(Debug)]
pub(crate) struct Capture {
    page: LedgerPage,
    redactor: Redactor,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    limit: usize,
    /// Bytes of the redacted stream.
    total: u64,
    /// Bytes that were given out as progress and end within a character.
    partial: Vec<u8>,
    /// Whether the stream goes on, and is not read any more.
    cut_short: bool,
}

/// A stream that has ended.
#[derive(Debug)]
pub(crate) struct Captured {
    /// What is kept of it.
    pub text: Redacted<String>,
    /// Whether something was left out in the middle.
    pub truncated: bool,
    /// What was masked in all of it, also where it was told on the way, and what was not looked into.
    pub ledger: MaskLedger,
}

impl Captured {
    /// A stream of which nothing is kept, although there was something.
    pub(crate) fn nothing() -> Self {
        Self { text: Redacted::nothing(), truncated: true, ledger: MaskLedger::default() }
    }
}

impl Capture {
    /// Keeps at most `limit` bytes: half from the beginning, half from the end.
    pub(crate) fn new(page: LedgerPage, needles: &NeedleSet, limit: usize) -> Self {
        Self {
            page,
            redactor: needles.redactor(),
            head: Vec::new(),
            tail: VecDeque::new(),
            limit,
            total: 0,
            partial: Vec::new(),
            cut_short: false,
        }
    }

    /// Takes a chunk in, and returns what of the stream has become safe to show, in whole characters.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Option<Redacted<String>> {
        let mut safe = Vec::new();
        self.redactor.push(chunk, &mut safe);
        self.keep(&safe);
        self.piece(safe)
    }

    /// The stream has ended: returns what had to wait for that.
    pub(crate) fn end(&mut self) -> Option<Redacted<String>> {
        let mut rest = Vec::new();
        self.redactor.finish(&mut rest);
        self.keep(&rest);
        self.piece(rest)
    }

    /// Ends the stream, if it hasn't, and gives what is kept of it.
    pub(crate) fn finish(mut self) -> Captured {
        self.end();
        let kept = self.head.len() + self.tail.len();
        let left_out = self.total - kept as u64;
        let mut text = lossy_head(&self.head, left_out > 0);
        if left_out > 0 {
            text.push_str(&format!("\n[… {left_out} bytes left out …]\n"));
        }
        let (front, back) = self.tail.as_slices();
        text.push_str(&lossy_tail(&[front, back].concat(), left_out > 0));
        let mut ledger = MaskLedger::default();
        ledger.enter(self.page, &self.redactor);
        Captured { text: Redacted(text), truncated: left_out > 0 || self.cut_short, ledger }
    }

    /// Gives what is kept of a stream that goes on.
    pub(crate) fn cut_short(mut self) -> Captured {
        self.cut_short = true;
        self.finish()
    }

    fn keep(&mut self, safe: &[u8]) {
        self.total += safe.len() as u64;
        let room = (self.limit - self.limit / 2).saturating_sub(self.head.len()).min(safe.len());
        let (first, rest) = safe.split_at(room);
        self.head.extend_from_slice(first);
        let most = self.limit / 2;
        let rest = &rest[rest.len().saturating_sub(most)..];
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(most);
        self.tail.drain(..over);
    }

    fn piece(&mut self, safe: Vec<u8>) -> Option<Redacted<String>> {
        self.partial.extend(safe);
        let whole = match std::str::from_utf8(&self.partial) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.partial.len(),
        };
        let piece: Vec<u8> = self.partial.drain(..whole).collect();
        (!piece.is_empty()).then(|| Redacted(String::from_utf8_lossy(&piece).into_owned()))
    }
}

/// The text of a head; one that was cut ends before a character that the cut went through.
fn lossy_head(bytes: &[u8], cut: bool) -> String {
    let whole = match std::str::from_utf8(bytes) {
        Err(error) if cut && error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    };
    String::from_utf8_lossy(&bytes[..whole]).into_owned()
}

/// The text of a tail; one that was cut begins behind a character that the cut went through.
fn lossy_tail(bytes: &[u8], cut: bool) -> String {
    let continuation = bytes.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
    let from = if cut { continuation } else { 0 };
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}
