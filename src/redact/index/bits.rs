//! Sets of hashes, a few bits each: what is in one is known to be there, what isn't mostly known not to be.

/// Bits for each item, at least.
const BITS_PER_ITEM: usize = 12;

/// A set of hashes: two bits of one word for each.
#[derive(Clone)]
pub(super) struct Bits {
    words: Vec<u64>,
    shift: u32,
}

impl Bits {
    /// For so many items: with more there is more that only seems to be there.
    pub(super) fn for_items(items: usize) -> Self {
        let words = (items * BITS_PER_ITEM / 64).next_power_of_two().max(32);
        Self { words: vec![0; words], shift: 64 - words.trailing_zeros() }
    }

    /// For how many items there is room.
    pub(super) fn room(&self) -> usize {
        self.words.len() * 64 / BITS_PER_ITEM
    }

    pub(super) fn set(&mut self, hash: u64) {
        let (at, bits) = self.place(hash);
        self.words[at] |= bits;
    }

    #[inline]
    pub(super) fn has(&self, hash: u64) -> bool {
        let (at, bits) = self.place(hash);
        self.words[at] & bits == bits
    }

    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        let bits = 1 << (hash & 63) | 1 << (hash >> 6 & 63);
        (usize::try_from(hash >> self.shift).unwrap_or(usize::MAX), bits)
    }
}

/// Spreads a number over all bits.
#[inline]
pub(super) fn hash(number: u64) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let once = number.wrapping_mul(ODD);
    (once ^ once >> 32).wrapping_mul(ODD)
}
