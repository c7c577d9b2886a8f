//! What looking into compressed data may cost.

/// What a stream may cost beyond being read, in bytes: inflated ones, and those that are looked through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::redact) struct Budget {
    pub(in crate::redact) read: u64,
    pub(in crate::redact) spent: u64,
    /// Bytes that heads were made of, each as often as there were heads to look at it.
    pub(in crate::redact) judged: u64,
}

impl Budget {
    /// What any stream may cost, however short: a few documents that shrink well.
    pub(in crate::redact) const ONCE: u64 = 4 << 20;
    /// What each byte that is read adds.
    pub(in crate::redact) const A_BYTE: u64 = 8;
    /// What setting up a try costs.
    pub(super) const A_TRY: usize = 1 << 10;
    /// A byte that a head looks at costs so many times less than one that is inflated.
    const CHEAPER: u64 = 8;

    pub(super) fn spend(&mut self, bytes: usize) {
        self.spent += bytes as u64;
    }

    pub(super) fn judge(&mut self, bytes: u64) {
        self.judged += bytes;
    }

    /// All of it together.
    pub(in crate::redact) fn cost(&self) -> u64 {
        self.spent + self.judged / Self::CHEAPER
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.cost() >= Self::ONCE + Self::A_BYTE * self.read
    }
}
