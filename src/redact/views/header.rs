//! The headers of gzip and zlib, byte by byte: a name that never ends is looked at once.

use memchr::memchr;

/// A longer name, or comment, is not read: what stands behind it is not looked into, and said.
const LONGEST_NAME: usize = 1024;

/// A header, as far as it was read (RFC 1950, section 2.2; RFC 1952, section 2.3).
pub(super) struct Header {
    part: Part,
    pub(super) length: usize,
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
    /// It has a name that is too long.
    TooLong,
    /// It isn't a header.
    None,
}

/// What a header is, once that is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    No,
    /// It is one, with more in it than is read.
    TooLong,
}

impl Header {
    pub(super) fn new() -> Self {
        Self { part: Part::Fixed, length: 0, zlib: false, flags: 0 }
    }

    /// Whether all of it was read, or that it is none.
    pub(super) fn is_whole(&self) -> Option<Whole> {
        match self.part {
            Part::Behind => Some(Whole::Yes),
            Part::None => Some(Whole::No),
            Part::TooLong => Some(Whole::TooLong),
            _ => None,
        }
    }

    /// Takes the next byte in.
    pub(super) fn take(&mut self, byte: u8) {
        self.length += 1;
        self.part = match self.part {
            Part::Fixed => self.fixed(byte),
            Part::ExtraLow => Part::ExtraHigh(byte),
            Part::ExtraHigh(low) => self.extra(usize::from(u16::from_le_bytes([low, byte]))),
            Part::Extra(left) => self.extra(left - 1),
            Part::Name(_) if byte == 0 => self.comment(),
            Part::Comment(_) if byte == 0 => self.check(),
            // Of the flags that are reserved none is set in a header (section 2.3.1).
            Part::Name(0) | Part::Comment(0) if self.flags & 0xe0 == 0 => Part::TooLong,
            Part::Name(0) | Part::Comment(0) => Part::None,
            Part::Name(left) => Part::Name(left - 1),
            Part::Comment(left) => Part::Comment(left - 1),
            Part::Check(1) => Part::Behind,
            Part::Check(left) => Part::Check(left - 1),
            Part::Behind | Part::TooLong | Part::None => Part::None,
        };
    }

    /// Steps over bytes that only have to be there; says how many.
    pub(super) fn skip(&mut self, part: &[u8]) -> usize {
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
