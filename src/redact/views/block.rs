//! How deflated data begins (RFC 1951), and whether it can be that.

/// Bytes of a block that say whether it is one: the lengths of 19 codes stand behind 17 bits.
pub(super) const OPENING: usize = 10;

/// The kind of the first block (section 3.2.3): later is more of a sign that it is data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Block {
    /// Stored, and the last: nothing is compressed.
    StoredAlone,
    Stored,
    Fixed,
    Dynamic,
}

/// The kind of a block that begins so, and whether it can be one, as soon as that is known.
pub(super) fn judge(block: &[u8]) -> Option<(Block, bool)> {
    let first = block.first()?;
    match first >> 1 & 3 {
        0 if first & 1 == 1 => stored_fits(block).map(|fits| (Block::StoredAlone, fits)),
        0 => stored_fits(block).map(|fits| (Block::Stored, fits)),
        1 => Some((Block::Fixed, true)),
        2 => dynamic_fits(block).map(|fits| (Block::Dynamic, fits)),
        _ => Some((Block::Stored, false)),
    }
}

/// The kind of a block of which these are the first bytes, if nothing in them speaks against it: without a header
/// there is nothing else to tell it from chance.
pub(super) fn judge_all(bytes: &[u8]) -> Option<Block> {
    // One byte over and over is a line, or a filling.
    if bytes.windows(2).all(|two| two[0] == two[1]) {
        return None;
    }
    match judge(bytes)? {
        (Block::Fixed, true) => fixed_fits(bytes).then_some(Block::Fixed),
        (block, fits) => fits.then_some(block),
    }
}

/// All symbols of the fixed code are ones that can stand where they do: nothing is repeated that isn't there.
fn fixed_fits(bytes: &[u8]) -> bool {
    let mut bits = Bits { bytes, at: 3 };
    let mut produced = 0;
    loop {
        match bits.fixed_symbol(produced) {
            None => return true,
            Some(Symbol::Literal) => produced += 1,
            Some(Symbol::Copy(length)) => produced += length,
            Some(Symbol::Wrong) => return false,
        }
    }
}

/// A symbol of the fixed code (section 3.2.6).
enum Symbol {
    Literal,
    Copy(u32),
    /// The block's end, which would come too soon, or none.
    Wrong,
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// Bits of a number: the lowest comes first.
    fn number(&mut self, count: usize) -> Option<u32> {
        let value = bits(self.bytes, self.at, count)?;
        self.at += count;
        Some(value)
    }

    /// Bits of a code: the highest comes first.
    fn code(&self, count: usize) -> Option<u32> {
        Some(bits(self.bytes, self.at, count)?.reverse_bits() >> (32 - count))
    }

    fn fixed_symbol(&mut self, produced: u32) -> Option<Symbol> {
        let length = match self.code(7)? {
            short @ 0..=23 => {
                self.at += 7;
                short
            }
            24..=95 => {
                self.code(8)?;
                self.at += 8;
                return Some(Symbol::Literal);
            }
            96..=99 => {
                let code = self.code(8)?;
                self.at += 8;
                24 + code - 192
            }
            _ => {
                self.code(9)?;
                self.at += 9;
                return Some(Symbol::Literal);
            }
        };
        if length == 0 || length > 29 {
            return Some(Symbol::Wrong);
        }
        let repeated = self.length(length)?;
        let distance = self.distance()?;
        Some(if distance.is_some_and(|distance| distance <= produced) {
            Symbol::Copy(repeated)
        } else {
            Symbol::Wrong
        })
    }

    /// The length that a code and its extra bits stand for (section 3.2.5).
    fn length(&mut self, code: u32) -> Option<u32> {
        match code {
            1..=8 => Some(code + 2),
            29 => Some(258),
            _ => {
                let extra = (code - 5) / 4;
                let base = (4 + (code - 1) % 4) << extra;
                Some(base + 3 + self.number(extra as usize)?)
            }
        }
    }

    fn distance(&mut self) -> Option<Option<u32>> {
        let code = self.code(5)?;
        self.at += 5;
        match code {
            0..=3 => Some(Some(code + 1)),
            4..=29 => {
                let extra = code / 2 - 1;
                let base = (2 + code % 2) << extra;
                Some(Some(base + 1 + self.number(extra as usize)?))
            }
            _ => Some(None),
        }
    }
}

/// Bits of a number from a place on, if they are there.
fn bits(bytes: &[u8], from: usize, count: usize) -> Option<u32> {
    let last = (from + count - 1) / 8;
    let there = bytes.get(from / 8..=last)?;
    let mut word = [0; 8];
    word[..there.len()].copy_from_slice(there);
    u32::try_from(u64::from_le_bytes(word) >> (from % 8) & ((1 << count) - 1)).ok()
}

/// A length, and the same with every bit turned (section 3.2.4).
fn stored_fits(block: &[u8]) -> Option<bool> {
    let length = [*block.get(1)?, *block.get(2)?];
    Some([!*block.get(3)?, !*block.get(4)?] == length)
}

/// The counts are in their ranges, and the code of the code lengths uses up all codes (section 3.2.7).
fn dynamic_fits(block: &[u8]) -> Option<bool> {
    let bits = |from, count| bits(block, from, count);
    let (literals, distances, lengths) = (bits(3, 5)?, bits(8, 5)?, bits(13, 4)?);
    if literals > 29 || distances > 29 {
        return Some(false);
    }
    // All of them at once, when they are there: a head asks with each byte.
    let counts = lengths as usize + 4;
    bits(17 + 3 * (counts - 1), 3)?;
    let used = (0..counts).try_fold(0, |used, code| {
        let length = bits(17 + 3 * code, 3)?;
        Some(used + if length == 0 { 0 } else { 128 >> length })
    });
    Some(used? == 128)
}
