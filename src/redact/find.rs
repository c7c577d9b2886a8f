//! Looks for needles in a stream without keeping any of it.

use super::{redacted::Counts, stream::Redactor};

/// Counts what a stream holds of the needles, in any form. Memory doesn't grow with the stream.
#[derive(Debug)]
pub struct Finder {
    redactor: Redactor,
    /// What the redactor gives out; nobody reads it.
    masked: Vec<u8>,
}

impl Finder {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self { redactor, masked: Vec::new() }
    }

    /// Takes a chunk in.
    pub fn push(&mut self, chunk: &[u8]) {
        self.redactor.push(chunk, &mut self.masked);
        self.masked.clear();
    }

    /// Ends the stream: what was found, by kind of form.
    pub fn finish(mut self) -> Counts {
        self.redactor.finish(&mut self.masked);
        self.redactor.counts().clone()
    }
}
