//! One escape: where it stands, how long it is, and what it stands for.

/// One escape.
#[derive(Clone, Copy, Debug)]
pub(in crate::redact) struct Escape {
    /// Bytes of the text.
    pub(in crate::redact) length: usize,
    bytes: [u8; 4],
    count: usize,
    pub(in crate::redact) rank: Rank,
}

/// How much an escape hides of what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::redact) enum Rank {
    /// Nothing: a backslash before a letter that has no meaning. No encoder writes it.
    Idle,
    /// Letters and digits beside it are as they were: `\"`.
    Bare,
    /// It is written with letters or digits of its own: `\u003d`.
    Spelled,
}

/// What was made of a text, if it could be told.
pub(super) type Parsed = Result<Option<Escape>, Unfinished>;

/// The text ends before it can be told.
#[derive(Debug)]
pub(super) struct Unfinished;

/// The text from an introducer on.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) text: &'a [u8],
    /// Whether nothing follows.
    pub(super) ended: bool,
}

impl Written<'_> {
    /// A byte, or nothing where the text has ended.
    pub(super) fn at(self, at: usize) -> Result<Option<u8>, Unfinished> {
        match self.text.get(at) {
            Some(byte) => Ok(Some(*byte)),
            None if self.ended => Ok(None),
            None => Err(Unfinished),
        }
    }

    pub(super) fn is(self, at: usize, bytes: &[u8]) -> Result<bool, Unfinished> {
        for (at, byte) in (at..).zip(bytes) {
            if self.at(at)? != Some(*byte) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// As many digits of a base as there are, at most `most`: how many, and their number.
    pub(super) fn digits(self, at: usize, base: u32, most: usize) -> Result<(usize, u32), Unfinished> {
        let mut number = 0u32;
        for count in 0..most {
            match self.at(at + count)?.and_then(|byte| char::from(byte).to_digit(base)) {
                Some(digit) => number = number.saturating_mul(base) + digit,
                None => return Ok((count, number)),
            }
        }
        Ok((most, number))
    }

    /// Exactly so many hex digits.
    pub(super) fn hex(self, at: usize, count: usize) -> Result<Option<u32>, Unfinished> {
        let (digits, number) = self.digits(at, 16, count)?;
        Ok((digits == count).then_some(number))
    }

    /// A unit of UTF-16 in four hex digits behind a prefix, and the second of a pair.
    pub(super) fn utf16(self, prefix: &[u8]) -> Parsed {
        let step = prefix.len() + 4;
        let Some(first) = self.hex(prefix.len(), 4)? else { return Ok(None) };
        if (0xd800..0xdc00).contains(&first) && self.is(step, prefix)? {
            let second = self.hex(step + prefix.len(), 4)?.filter(|unit| (0xdc00..0xe000).contains(unit));
            if let Some(second) = second {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(Escape::code(2 * step, code));
            }
        }
        Ok(Escape::code(step, first))
    }

    /// Hex digits between braces, of a code point.
    pub(super) fn braced(self, at: usize) -> Parsed {
        let (count, code) = self.digits(at + 1, 16, 8)?;
        let closed = self.at(at)? == Some(b'{') && count > 0 && self.at(at + 1 + count)? == Some(b'}');
        Ok(if closed { Escape::code(at + count + 2, code) } else { None })
    }
}

impl Escape {
    pub(super) fn byte(length: usize, byte: u8) -> Self {
        Self { length, bytes: [byte, 0, 0, 0], count: 1, rank: Rank::Spelled }
    }

    /// A byte, if the number is one.
    pub(super) fn number(length: usize, number: u32) -> Option<Self> {
        u8::try_from(number).ok().map(|byte| Self::byte(length, byte))
    }

    pub(super) fn nothing(length: usize) -> Self {
        Self { count: 0, ..Self::byte(length, 0) }
    }

    pub(super) fn ranked(self, rank: Rank) -> Self {
        Self { rank, ..self }
    }

    /// A code point in UTF-8; half of a pair as it would be.
    pub(super) fn code(length: usize, code: u32) -> Option<Self> {
        let mut bytes = [0; 4];
        let count = match char::from_u32(code) {
            Some(char) => char.encode_utf8(&mut bytes).len(),
            None if code < 0x10000 => {
                let [.., high, low] = code.to_be_bytes();
                bytes = [0xe0 | high >> 4, 0x80 | (high & 15) << 2 | low >> 6, 0x80 | low & 63, 0];
                3
            }
            None => return None,
        };
        Some(Self { length, bytes, count, rank: Rank::Spelled })
    }

    /// What it stands for.
    pub(in crate::redact) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.count]
    }
}
