//! Which escapes may belong to a needle.

use crate::redact::{
    escapes::{Dialect, Escape, Rank},
    views::aligned::Cuts,
};

/// Characters that are written doubled, or escaped by what is no introducer.
const QUOTED: &[u8] = b"'\"`$";
/// Plain text is looked at so far before and behind an escape, whatever the needles are; no less than the longest
/// escape.
const NEAREST: usize = 64;
/// And no farther.
const FARTHEST: usize = 16 * 1024;

/// What the needles are made of. More of them make it larger, and never smaller: so one more needle makes more text
/// be read, and none less.
#[derive(Clone)]
pub(in crate::redact) struct Alphabet {
    bytes: [bool; 256],
    /// Whether any has a quote.
    quotes: bool,
    /// Whether any has a character that a shell writes as a number.
    numbers: bool,
    /// Plain text of this length beside an escape may belong to a needle with it.
    reach: usize,
    /// Where a needle may be cut.
    cuts: Cuts,
}

impl Alphabet {
    pub(in crate::redact) fn new() -> Self {
        Self { bytes: [false; 256], quotes: false, numbers: false, reach: NEAREST, cuts: Cuts::new() }
    }

    /// Adds a needle.
    pub(in crate::redact) fn add(&mut self, needle: &[u8]) {
        for byte in needle {
            self.bytes[usize::from(*byte)] = true;
            self.quotes |= QUOTED.contains(byte);
            self.numbers |= !(b' '..0x7f).contains(byte);
        }
        self.cuts.add(needle);
        self.reach = self.reach.max(needle.len().min(FARTHEST));
    }

    pub(super) fn quotes(&self) -> bool {
        self.quotes
    }

    pub(in crate::redact::views) fn cuts(&self) -> &Cuts {
        &self.cuts
    }

    pub(in crate::redact::views) fn reach(&self) -> u64 {
        self.reach as u64
    }

    /// Whether a dialect writes something of a needle in a way that no other does.
    pub(super) fn needs(&self, dialect: Dialect) -> bool {
        dialect != Dialect::Shell || self.numbers
    }

    /// Whether an escape that begins with two bytes is none of a needle's, and hides none: told without reading it.
    pub(super) fn ignores(&self, dialect: Dialect, hides_more: bool, first: u8, second: u8) -> bool {
        let itself = first == b'\\' && dialect.is_itself(second);
        let plain = second.is_ascii_alphanumeric() || dialect != Dialect::Common;
        itself && (plain || !self.knows(second, hides_more))
    }

    /// Whether an escape may stand inside of a needle, or hide one that may, in front of a byte.
    pub(super) fn has(
        &self,
        escape: &Escape,
        dialect: Dialect,
        hides_more: bool,
        behind: Option<u8>,
    ) -> bool {
        let known = |byte: &u8| self.knows(*byte, hides_more);
        // In quoted-printable a space is `=20`, as in every `status=200`.
        let spaces = dialect != Dialect::QuotedPrintable
            // The last line of a message ends where its string does.
            && behind.is_some_and(|byte| !matches!(byte, b'"' | b'\'' | b'`'));
        // Letters, digits and signs of base64; what may stand between the lines or the characters of a value.
        let beside = |byte: &u8| match byte {
            b'+' | b'/' | b'=' | b'-' | b'_' => true,
            b' ' | b'\t' | b'\r' | b'\n' => spaces,
            _ => byte.is_ascii_alphanumeric(),
        };
        match escape.rank {
            Rank::Idle => false,
            Rank::Bare => escape.bytes().iter().any(known),
            Rank::Spelled => {
                escape.bytes().is_empty() || escape.bytes().iter().any(|byte| known(byte) || beside(byte))
            }
        }
    }

    /// Whether a needle has a byte, or an escape within an escape begins with it.
    fn knows(&self, byte: u8, hides_more: bool) -> bool {
        self.bytes[usize::from(byte)]
            || (hides_more && matches!(byte, b'\\' | b'%' | b'&' | b'=' | 0xef | 0xf0))
    }
}
