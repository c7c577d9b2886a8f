//! A secret's bytes.
//!
//! Nothing here prints, serializes or clones a value: it is moved to where it is delivered,
//! encrypted or turned into needles, and wiped when dropped.

use std::fmt;

use secrecy::{ExposeSecret, SecretBox};
use zeroize::Zeroizing;

/// The largest value that the vault takes, in bytes (1 MiB).
pub(crate) const MAX_VALUE_BYTES: usize = 1 << 20;

/// The bytes of one version of a secret: no `Display`, `Serialize` or `Clone`; `Debug` prints a mask.
pub struct SecretValue(SecretBox<Vec<u8>>);

#[expect(clippy::disallowed_methods, reason = "sizes only")]
impl SecretValue {
    /// Takes bytes over; the caller's buffer becomes the value's.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// Takes bytes over from a buffer that would have been wiped.
    pub fn from_zeroizing(mut bytes: Zeroizing<Vec<u8>>) -> Self {
        Self::new(std::mem::take(&mut *bytes))
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.0.expose_secret().is_empty()
    }

    /// The number of bytes. For limits only: a length is never shown to a model.
    pub fn len(&self) -> usize {
        self.0.expose_secret().len()
    }
}

impl ExposeSecret<[u8]> for SecretValue {
    #[expect(clippy::disallowed_methods, reason = "the wrapper's own door")]
    fn expose_secret(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

/// What may be thought of a value where no intent is on record: a number, places and lengths, never a byte of it.
pub trait Judgement {}

impl Judgement for u32 {}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_a_mask() {
        let value = SecretValue::new(b"hunter2-and-more".to_vec());
        assert_eq!(format!("{value:?}"), "SecretValue([redacted])");
    }
}
