//! What the numbers of a dump mean: their base, how many bytes each is, and in which order.

use super::token::Token;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Base {
    Hex,
    Binary,
    Octal,
    Decimal,
    /// Each byte is a character, or what stands for it.
    Characters,
}

/// The order of the bytes of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Big,
    Little,
}

/// One way to read the columns of a dump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    pub(super) base: Base,
    /// Bytes of a whole word.
    pub(super) size: usize,
    pub(super) order: Order,
    /// Whether the first number of each line is an offset.
    pub(super) behind_first: bool,
}

impl Shape {
    pub(super) const CHARACTERS: Self =
        Self { base: Base::Characters, size: 1, order: Order::Big, behind_first: false };

    /// Whether all words are numbers of this shape.
    pub(super) fn reads(&self, line: &[u8], tokens: &[Token]) -> bool {
        let value = |token: &Token| number(&line[token.start..token.end], self.base.digits());
        let fits = |token: &Token| value(token).is_some_and(|number| self.fits(number, token.negative));
        // Words of hex or binary digits are as long as their digits say.
        matches!(self.base, Base::Hex | Base::Binary) || tokens.iter().all(fits)
    }

    fn fits(&self, number: u64, negative: bool) -> bool {
        let bits = 8 * self.size as u32;
        if negative { number <= 1 << (bits - 1) } else { bits == 64 || number >> bits == 0 }
    }

    /// The bytes of a word.
    pub(super) fn bytes(&self, line: &[u8], token: &Token, out: &mut Vec<u8>) {
        out.clear();
        let digits = &line[token.start..token.end];
        match self.base {
            Base::Hex => pairs(digits, out),
            Base::Binary => {
                out.extend(digits.chunks(8).map(|byte| number(byte, 2).unwrap_or_default() as u8))
            }
            Base::Octal | Base::Decimal | Base::Characters => {
                let number = number(digits, self.base.digits()).unwrap_or_default();
                let number = if token.negative { number.wrapping_neg() } else { number };
                out.extend(number.to_be_bytes().iter().skip(8 - self.size));
            }
        }
        if self.order == Order::Little {
            out.reverse();
        }
    }
}

impl Base {
    fn digits(self) -> u32 {
        match self {
            Self::Binary => 2,
            Self::Octal => 8,
            Self::Decimal => 10,
            Self::Hex | Self::Characters => 16,
        }
    }
}

/// Bytes of two hex digits each; of an odd number of digits the first byte has one.
fn pairs(digits: &[u8], out: &mut Vec<u8>) {
    let (first, rest) = digits.split_at(digits.len() % 2);
    let value = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or_default() as u8;
    out.extend(first.iter().map(value));
    out.extend(rest.chunks_exact(2).map(|pair| value(&pair[0]) << 4 | value(&pair[1])));
}

fn number(digits: &[u8], base: u32) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, digit| {
        number.checked_mul(u64::from(base))?.checked_add(u64::from(char::from(*digit).to_digit(base)?))
    })
}
