//! Redaction: needles, the streaming redactor, and [`Redacted`], what may leave.
//!
//! Pure. What enters: values, as needles, and the bytes that a child wrote. What leaves has every known
//! needle masked as `[redacted:NAME]`. A net, never a boundary: a program that wants to carry a value
//! out can always transform it into something that no net knows.

mod capture;
mod escapes;
mod find;
mod forms;
mod index;
mod ledger;
mod needle_set;
mod needles;
mod parts;
mod redacted;
mod scan;
mod spans;
mod stream;
mod strength;
mod tables;
mod views;
mod weak;
mod window;

pub(crate) use capture::{Capture, Captured};
pub(crate) use ledger::{LedgerPage, MaskLedger};
pub use needle_set::NeedleSet;
pub use needles::Needles;
#[doc(hidden)]
pub use parts::taken_apart;
pub(crate) use parts::{Masked, MaskedPart, masked};
pub(crate) use redacted::Redacted;
pub(crate) use stream::Redactor;
pub use strength::bits;
pub(crate) use strength::{GUESSABLE_BELOW, PREFIXES, is_guessable};
pub(crate) use weak::weakness;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
