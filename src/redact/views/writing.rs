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
pub(super) struct Decoder {
    pub(super) writing: Writing,
    /// Bits that don't make a byte yet, and their number.
    bits: u32,
    count: u32,
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
    pub(super) fn new(writing: Writing) -> Self {
        Self { writing, bits: 0, count: 0 }
    }

    pub(super) fn read(&mut self, character: u8) -> Read {
        let Some(digit) = self.writing.digit(character) else {
            return if matches!(character, b'\r' | b'\n') { Read::Nothing } else { Read::Foreign };
        };
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
