//! The head of what may be compressed data, until it is plausible: a header and the beginning of a block.
//!
//! A program can write a beginning at every second byte, and a name that never ends behind it: each byte is looked
//! at once by each head, whatever the header is made of.

use memchr::memchr;

use super::{
    budget::Budget,
    stream::Extent,
    writing::{Decoder, Read, Writing},
};

/// A longer name, or comment, is none.
const LONGEST_NAME: usize = 1024;
/// Bytes of a block that say whether it is one: the lengths of 19 codes stand behind 17 bits.
const OPENING: usize = 10;

/// A beginning of which it isn't known yet whether it is one.
pub(super) struct Head {
    pub(super) extent: Extent,
    decoder: Decoder,
    header: Header,
    /// What stands behind the header, and how much of it is there.
    opening: [u8; OPENING],
    opened: usize,
    block: Block,
}

/// How data begins behind its header (RFC 1951, section 3.2.3): later is more of a sign that it is data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Block {
    Stored,
    Fixed,
    Dynamic,
}

/// What a head is.
pub(super) enum Verdict {
    Waiting,
    Plausible,
    No,
}

/// A header, as far as it was read (RFC 1950, section 2.2; RFC 1952, section 2.3).
struct Header {
    part: Part,
    length: usize,
    zlib: bool,
    flags: u8,
}

/// What the next byte of a header belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The two bytes of zlib, or the ten that every header of gzip has.
    Fixed,
    /// The length of the extra field.
    ExtraLow,
    ExtraHigh(u8),
    Extra(usize),
    /// A text that ends with a zero, and how long it may still be.
    Name(usize),
    Comment(usize),
    /// The header's checksum.
    Check(usize),
    Behind,
    /// It isn't a header.
    None,
}

impl Head {
    pub(super) fn new(start: u64, writing: Writing) -> Self {
        Self {
            extent: Extent::at(start),
            decoder: Decoder::new(writing),
            header: Header { part: Part::Fixed, length: 0, zlib: false, flags: 0 },
            opening: [0; OPENING],
            opened: 0,
            block: Block::Stored,
        }
    }

    pub(super) fn format(&self) -> &'static str {
        if self.header.zlib { "zlib" } else { "gzip" }
    }

    pub(super) fn writing(&self) -> Writing {
        self.decoder.writing
    }

    pub(super) fn block(&self) -> Block {
        self.block
    }

    pub(super) fn header_length(&self) -> usize {
        self.header.length
    }

    pub(super) fn take(&mut self, part: &[u8], budget: &mut Budget) -> Verdict {
        let from = self.extent.upto;
        let verdict = self.read(part);
        budget.judge(self.extent.upto - from);
        verdict
    }

    fn read(&mut self, mut part: &[u8]) -> Verdict {
        while let Some((character, rest)) = part.split_first() {
            if self.writing() == Writing::Plain {
                let skipped = self.header.skip(part);
                if skipped > 0 {
                    self.extent.upto += skipped as u64;
                    part = &part[skipped..];
                    continue;
                }
            }
            let read = self.decoder.read(*character);
            part = rest;
            self.extent.upto += u64::from(!matches!(read, Read::Foreign));
            let verdict = match read {
                Read::Foreign => Verdict::No,
                Read::Nothing => Verdict::Waiting,
                Read::Byte(byte) => self.judge(byte),
            };
            if !matches!(verdict, Verdict::Waiting) {
                return verdict;
            }
        }
        Verdict::Waiting
    }

    /// Header and first block: whoever isn't sure of both after a few bytes is not looked at any further.
    fn judge(&mut self, byte: u8) -> Verdict {
        if self.header.part != Part::Behind {
            self.header.take(byte);
            return if self.header.part == Part::None { Verdict::No } else { Verdict::Waiting };
        }
        let Some(place) = self.opening.get_mut(self.opened) else { return Verdict::No };
        *place = byte;
        self.opened += 1;
        self.first_block()
    }

    fn first_block(&mut self) -> Verdict {
        let block = &self.opening[..self.opened];
        let (kind, fits) = match block[0] >> 1 & 3 {
            0 => (Block::Stored, stored_fits(block)),
            1 => (Block::Fixed, Some(true)),
            2 => (Block::Dynamic, dynamic_fits(block)),
            _ => return Verdict::No,
        };
        self.block = kind;
        match fits {
            None => Verdict::Waiting,
            Some(true) => Verdict::Plausible,
            Some(false) => Verdict::No,
        }
    }
}

impl Header {
    /// Takes the next byte in.
    fn take(&mut self, byte: u8) {
        self.length += 1;
        self.part = match self.part {
            Part::Fixed => self.fixed(byte),
            Part::ExtraLow => Part::ExtraHigh(byte),
            Part::ExtraHigh(low) => self.extra(usize::from(u16::from_le_bytes([low, byte]))),
            Part::Extra(left) => self.extra(left - 1),
            Part::Name(_) if byte == 0 => self.comment(),
            Part::Comment(_) if byte == 0 => self.check(),
            Part::Name(0) | Part::Comment(0) => Part::None,
            Part::Name(left) => Part::Name(left - 1),
            Part::Comment(left) => Part::Comment(left - 1),
            Part::Check(1) => Part::Behind,
            Part::Check(left) => Part::Check(left - 1),
            Part::Behind | Part::None => Part::None,
        };
    }

    /// Steps over bytes that only have to be there; says how many.
    fn skip(&mut self, part: &[u8]) -> usize {
        let (length, behind) = match self.part {
            Part::Extra(left) => {
                let length = part.len().min(left);
                (length, self.extra(left - length))
            }
            Part::Name(left) => {
                let length = text_length(part, left);
                (length, Part::Name(left - length))
            }
            Part::Comment(left) => {
                let length = text_length(part, left);
                (length, Part::Comment(left - length))
            }
            _ => return 0,
        };
        self.part = behind;
        self.length += length;
        length
    }

    fn fixed(&mut self, byte: u8) -> Part {
        match self.length {
            1 => self.zlib = byte == b'x',
            // The check of RFC 1950, section 2.2; a dictionary that is not there can't be used.
            2 if self.zlib => {
                let fits = (u32::from(b'x') * 256 + u32::from(byte)) % 31 == 0 && byte & 0x20 == 0;
                return if fits { Part::Behind } else { Part::None };
            }
            4 => self.flags = byte,
            10 if self.flags & 4 != 0 => return Part::ExtraLow,
            10 => return self.name(),
            _ => {}
        }
        Part::Fixed
    }

    fn extra(&self, left: usize) -> Part {
        if left > 0 { Part::Extra(left) } else { self.name() }
    }

    fn name(&self) -> Part {
        if self.flags & 8 != 0 { Part::Name(LONGEST_NAME) } else { self.comment() }
    }

    fn comment(&self) -> Part {
        if self.flags & 16 != 0 { Part::Comment(LONGEST_NAME) } else { self.check() }
    }

    fn check(&self) -> Part {
        if self.flags & 2 != 0 { Part::Check(2) } else { Part::Behind }
    }
}

/// How much of a text stands before its end, or before it is too long.
fn text_length(part: &[u8], left: usize) -> usize {
    let part = &part[..part.len().min(left)];
    memchr(0, part).unwrap_or(part.len())
}

/// A length, and the same with every bit turned (section 3.2.4).
fn stored_fits(block: &[u8]) -> Option<bool> {
    let length = [*block.get(1)?, *block.get(2)?];
    Some([!*block.get(3)?, !*block.get(4)?] == length)
}

/// The counts are in their ranges, and the code of the code lengths uses up all codes (section 3.2.7).
fn dynamic_fits(block: &[u8]) -> Option<bool> {
    let bits = |from: usize, count: usize| -> Option<u32> {
        (0..count).try_fold(0, |value, bit| {
            let at = from + bit;
            Some(value | u32::from(block.get(at / 8)? >> (at % 8) & 1) << bit)
        })
    };
    let (literals, distances, lengths) = (bits(3, 5)?, bits(8, 5)?, bits(13, 4)?);
    if literals > 29 || distances > 29 {
        return Some(false);
    }
    let used = (0..lengths as usize + 4).try_fold(0, |used, code| {
        let length = bits(17 + 3 * code, 3)?;
        Some(used + if length == 0 { 0 } else { 128 >> length })
    });
    Some(used? == 128)
}
