//! Which escapes may belong to a needle.

use crate::redact::escapes::{Dialect, Escape, Rank};

/// Needles that are written out in a text of their own have no character that this doesn't know.
const SIGNS_OF_BASE64: &[u8] = b"+/=-_";
/// What may stand between the lines or the characters of a value.
const SPACE: &[u8] = b" \t\r\n";
/// What an escape within an escape begins with.
const INTRODUCERS: &[u8] = b"\\%&=";
/// Characters that are written doubled, or escaped by what is no introducer.
const QUOTED: &[u8] = b"'\"`$";
/// Plain text is looked at so far before and behind an escape, whatever the needles are; no less than the longest
/// escape.
const NEAREST: usize = 64;
/// And no farther.
const FARTHEST: usize = 16 * 1024;

/// What the needles are made of. More of them make it larger, and never smaller: so one more needle makes more text
/// be read, and none less.
pub(in crate::redact) struct Alphabet {
    bytes: [bool; 256],
    /// Whether any has a quote.
    quotes: bool,
    /// Whether any has a character that a shell writes as a number.
    numbers: bool,
    /// Plain text of this length beside an escape may belong to a needle with it.
    reach: usize,
}

impl Alphabet {
    pub(in crate::redact) fn new<'a>(needles: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut bytes = [false; 256];
        let mut longest = NEAREST;
        for needle in needles {
            needle.iter().for_each(|byte| bytes[usize::from(*byte)] = true);
            longest = longest.max(needle.len());
        }
        let quotes = QUOTED.iter().any(|byte| bytes[usize::from(*byte)]);
        let numbers = (0..=255u8).any(|byte| bytes[usize::from(byte)] && !(b' '..0x7f).contains(&byte));
        Self { bytes, quotes, numbers, reach: longest.min(FARTHEST) }
    }

    pub(super) fn quotes(&self) -> bool {
        self.quotes
    }

    pub(super) fn reach(&self) -> u64 {
        self.reach as u64
    }

    /// Whether a dialect writes something of a needle in a way that no other does.
    pub(super) fn needs(&self, dialect: Dialect) -> bool {
        dialect != Dialect::Shell || self.numbers
    }

    /// Whether an escape may stand inside of a needle, or hide one that may.
    pub(super) fn has(&self, escape: &Escape, dialect: Dialect, hides_more: bool) -> bool {
        let known = |byte: &u8| self.bytes[usize::from(*byte)] || (hides_more && INTRODUCERS.contains(byte));
        // In quoted-printable a space is `=20`, as in every `status=200`.
        let spaces = dialect != Dialect::QuotedPrintable;
        let beside = |byte: &u8| {
            byte.is_ascii_alphanumeric() || SIGNS_OF_BASE64.contains(byte) || (spaces && SPACE.contains(byte))
        };
        match escape.rank {
            Rank::Idle => false,
            Rank::Bare => escape.bytes().iter().any(known),
            Rank::Spelled => {
                escape.bytes().is_empty() || escape.bytes().iter().any(|byte| known(byte) || beside(byte))
            }
        }
    }
}
