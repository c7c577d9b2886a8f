//! How compressed data is written: as it stands, in base64 or in hex; and its characters, read as bytes.

/// How the data is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    Plain,
    Base64,
    Hex,
}

impl Writing {
    /// What a character stands for, if it is one of the writing's.
    pub(super) fn digit(self, byte: u8) -> Option<u32> {
        let value = match (self, byte) {
            (Self::Plain, _) => byte,
            (Self::Hex, b'0'..=b'9') => byte - b'0',
            (Self::Hex, b'a'..=b'f' | b'A'..=b'F') => (byte | 0x20) - b'a' + 10,
            (Self::Base64, b'A'..=b'Z') => byte - b'A',
            (Self::Base64, b'a'..=b'z') => byte - b'a' + 26,
            (Self::Base64, b'0'..=b'9') => byte - b'0' + 52,
            (Self::Base64, b'+' | b'-') => 62,
            (Self::Base64, b'/' | b'_') => 63,
            _ => return None,
        };
        Some(u32::from(value))
    }

    pub(super) fn bits(self) -> u32 {
        match self {
            Self::Plain => 8,
            Self::Hex => 4,
            Self::Base64 => 6,
        }
    }
}

/// Characters as the bytes that they stand for.
#[derive(Clone, Copy)]
pub(super) struct Decoder {
    pub(super) writing: Writing,
    /// Bits that don't make a byte yet, and their number.
    bits: u32,
    count: u32,
    between: Between,
}

/// What may stand between characters of the writing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    /// The line is new: it may be indented, quoted or a comment.
    NewLine,
    /// A line's end, or a slash, as JSON writes it.
    Backslash,
    /// A plus, a slash, or a line's end, as a URL writes it: its first digit comes, its second does.
    Percent,
    PercentThen(u8),
}

/// What a character is.
pub(super) enum Read {
    Byte(u8),
    /// A part of one, or the end of a line.
    Nothing,
    /// None of the writing's.
    Foreign,
}

impl Decoder {
    /// Of a byte, so many bits were read: their value.
    pub(super) fn behind(writing: Writing, bits: u32, count: u32) -> Self {
        Self { writing, bits, count, between: Between::Nothing }
    }

    pub(super) fn read(&mut self, character: u8) -> Read {
        if self.writing == Writing::Plain {
            return Read::Byte(character);
        }
        let between = std::mem::replace(&mut self.between, Between::Nothing);
        match (between, character) {
            (Between::Backslash, b'n' | b'r') => Read::Nothing,
            (Between::Backslash, b'/') => self.digit(b'/'),
            (Between::Backslash, _) => Read::Foreign,
            (Between::Percent, _) => self.next(Between::PercentThen(character)),
            (Between::PercentThen(b'2'), b'B' | b'b') => self.digit(b'+'),
            (Between::PercentThen(b'2'), b'F' | b'f') => self.digit(b'/'),
            (Between::PercentThen(b'0'), b'A' | b'a' | b'D' | b'd') => Read::Nothing,
            (Between::PercentThen(_), _) => Read::Foreign,
            (Between::NewLine, b' ' | b'\t' | b'>' | b'#' | b'|' | b'*') => self.next(Between::NewLine),
            (_, b'\r' | b'\n') => self.next(Between::NewLine),
            (_, b'\\') => self.next(Between::Backslash),
            (_, b'%') => self.next(Between::Percent),
            _ => self.digit(character),
        }
    }

    fn next(&mut self, between: Between) -> Read {
        self.between = between;
        Read::Nothing
    }

    fn digit(&mut self, character: u8) -> Read {
        let Some(digit) = self.writing.digit(character) else { return Read::Foreign };
        self.bits = self.bits << self.writing.bits() | digit;
        self.count += self.writing.bits();
        if self.count < 8 {
            return Read::Nothing;
        }
        self.count -= 8;
        let [.., byte] = (self.bits >> self.count).to_be_bytes();
        self.bits &= (1 << self.count) - 1;
        Read::Byte(byte)
    }
}
