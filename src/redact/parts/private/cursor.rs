//! What all containers are read with: a place in bytes that only goes forward, and elements of DER.

use std::ops::Range;

/// What is left of a stretch of bytes. Places are those of the whole.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    pub(super) all: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn of(all: &'a [u8]) -> Self {
        Self { all, at: 0, end: all.len() }
    }

    /// What stands in a stretch of the same bytes.
    pub(super) fn inside(&self, stretch: Range<usize>) -> Self {
        Self { all: self.all, at: stretch.start, end: stretch.end }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.end
    }

    /// Everything that is left.
    pub(super) fn rest(&self) -> Range<usize> {
        self.at..self.end
    }

    pub(super) fn bytes(&self, stretch: Range<usize>) -> &'a [u8] {
        &self.all[stretch]
    }

    pub(super) fn take(&mut self, length: usize) -> Option<Range<usize>> {
        let from = self.at;
        self.at = from.checked_add(length).filter(|end| *end <= self.end)?;
        Some(from..self.at)
    }

    /// Passes over what has to stand here.
    pub(super) fn skip(&mut self, expected: &[u8]) -> Option<()> {
        let found = self.take(expected.len())?;
        (self.all[found] == *expected).then_some(())
    }

    /// A number of so many bytes, big-endian.
    pub(super) fn number(&mut self, length: usize) -> Option<usize> {
        let digits = self.take(length)?;
        let add = |number: usize, byte: &u8| number.checked_mul(256)?.checked_add(usize::from(*byte));
        self.all[digits].iter().try_fold(0, add)
    }

    /// What a length of so many bytes stands before.
    pub(super) fn counted(&mut self, length: usize) -> Option<Range<usize>> {
        let count = self.number(length)?;
        self.take(count)
    }

    /// The next element of DER (X.690, section 8.1, definite lengths of at most four bytes): its tag and its content.
    pub(super) fn element(&mut self) -> Option<(u8, Range<usize>)> {
        let tag = self.number(1)?;
        let content = match self.number(1)? {
            short if short < 0x80 => self.take(short)?,
            long => self.counted((1..=4).contains(&(long - 0x80)).then_some(long - 0x80)?)?,
        };
        Some((u8::try_from(tag).ok()?, content))
    }

    /// The content of the next element, which has this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Range<usize>> {
        let (found, content) = self.element()?;
        (found == tag).then_some(content)
    }

    /// What stands in the next element, which has this tag.
    pub(super) fn enter(&mut self, tag: u8) -> Option<Self> {
        let content = self.expect(tag)?;
        Some(self.inside(content))
    }

    /// What stands in the one element that these bytes are.
    pub(super) fn only(mut self, tag: u8) -> Option<Self> {
        let inside = self.enter(tag)?;
        self.is_empty().then_some(inside)
    }
}
