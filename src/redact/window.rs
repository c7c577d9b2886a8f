//! The part of the stream that is at hand.

use zeroize::Zeroize;

/// Bytes of the stream; the first has the offset `base`.
#[derive(Default)]
pub(super) struct Window {
    bytes: Vec<u8>,
    base: u64,
}

impl Window {
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes between two offsets, as far as they are at hand.
    pub(super) fn between(&self, from: u64, to: u64) -> &[u8] {
        let at = |offset: u64| {
            usize::try_from(offset.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.bytes.len())
        };
        &self.bytes[at(from)..at(to).max(at(from))]
    }

    pub(super) fn add(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part);
    }

    /// Forgets what lies before an offset.
    pub(super) fn forget_before(&mut self, offset: u64) {
        let gone =
            usize::try_from(offset.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.bytes.len());
        self.bytes.drain(..gone);
        self.base += gone as u64;
    }

    /// Begins again.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.base = 0;
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}
