//! A private number of a key.

use std::ops::Range;

use zeroize::Zeroizing;

/// A number of fewer bytes is no key of any kind in use: 128 bits are the least.
pub(in crate::redact::parts) const SHORTEST: usize = 16;

/// Bytes that are to be hidden: a number, or a ciphertext.
pub(in crate::redact::parts) struct Number {
    /// What it is called.
    pub(in crate::redact::parts) name: &'static str,
    /// Its bytes, big-endian, without zeros before them: DER writes one where the first bit is set, other formats fill
    /// up a field, and what has them holds this.
    pub(in crate::redact::parts) bytes: Zeroizing<Vec<u8>>,
    /// Where in the container it stands; nowhere if it was worked out.
    pub(in crate::redact::parts) at: Range<usize>,
    /// Whether it has public bytes in it: then no piece of it is a secret.
    pub(in crate::redact::parts) with_public: bool,
}

impl Number {
    /// The number at a place; nothing if there is too little to be a key.
    pub(super) fn at(name: &'static str, all: &[u8], at: Range<usize>) -> Option<Self> {
        let bytes = all.get(at.clone())?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let bytes = &bytes[zeros..];
        (bytes.len() >= SHORTEST).then(|| Self {
            name,
            bytes: Zeroizing::new(bytes.to_vec()),
            at: at.start + zeros..at.end,
            with_public: false,
        })
    }

    /// A private number with the public one, as some formats have them together.
    pub(super) fn pair(name: &'static str, bytes: &[u8]) -> Self {
        Self { name, bytes: Zeroizing::new(bytes.to_vec()), at: 0..0, with_public: true }
    }

    /// A number that follows from others.
    pub(super) fn worked_out(name: &'static str, bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        let number = Self::at(name, &bytes, 0..bytes.len())?;
        Some(Self { at: 0..0, ..number })
    }

    /// The same number as a format writes it whose bytes come in the other order.
    pub(super) fn turned(&self) -> Self {
        let bytes = Zeroizing::new(self.bytes.iter().rev().copied().collect());
        Self { bytes, at: self.at.clone(), ..*self }
    }
}
