//! Looks for needles in a stream without keeping any of it.

use super::{redacted::Counts, stream::Redactor, tables::SHAPE_KIND};

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

    /// Ends the stream: what was found, by kind of form. What is masked for its shape alone is no needle.
    pub fn finish(mut self) -> Counts {
        self.redactor.finish(&mut self.masked);
        let mut counts = self.redactor.counts().clone();
        counts.0.remove(SHAPE_KIND);
        counts
    }
}

#[cfg(test)]
mod tests {
    use crate::redact::NeedleSet;

    #[test]
    fn what_has_the_shape_of_a_secret_is_none_of_the_needles() {
        let url = b"https://somebody:a-long-password@example.com/";
        assert!(
            NeedleSet::empty()
                .text(std::str::from_utf8(url).unwrap())
                .get()
                .contains("[redacted:url-userinfo]")
        );
        assert_eq!(NeedleSet::empty().finds(url).total(), 0);
    }
}
