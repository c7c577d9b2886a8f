//! The anchors of one tier: by their grams, in a table of open addresses behind a filter.

use super::bits::{Bits, hash};

/// Slots for each anchor, in halves.
const HALF_SLOTS_PER_ANCHOR: usize = 3;
/// Bits of a slot that hold a part of the hash.
const TAG: u32 = 24;

/// A gram's place in a needle.
#[derive(Clone, Copy)]
pub(super) struct Anchor {
    pub(super) needle: u32,
    pub(super) offset: u8,
}

/// What is looked for in one stride.
#[derive(Clone)]
pub(super) struct Anchors {
    known: Bits,
    /// Empty, or a part of the hash, an offset, and a needle's number and one more; behind the place that the hash names.
    slots: Vec<u64>,
    count: usize,
    stride: usize,
}

impl Anchors {
    pub(super) fn new(stride: usize) -> Self {
        Self { known: Bits::for_items(0), slots: Vec::new(), count: 0, stride }
    }

    /// Makes room for so many needles more.
    pub(super) fn reserve(&mut self, needles: usize, gram: impl Fn(Anchor) -> u64) {
        let wanted = self.count + needles * self.stride;
        if wanted > self.room() {
            self.grow(wanted, gram);
        }
    }

    pub(super) fn add(&mut self, anchor: Anchor, gram: impl Fn(Anchor) -> u64) {
        let hash = hash(gram(anchor));
        if self.count == self.room() {
            self.grow(2 * self.count.max(32), gram);
        }
        self.put(hash, anchor);
        self.count += 1;
    }

    /// Whether a gram may be an anchor.
    pub(super) fn may_hold(&self, gram: u64) -> bool {
        self.known.has(hash(gram))
    }

    /// Looks at every `STRIDE`-th symbol of a stream, of which these begin with the number `base`.
    #[inline]
    pub(super) fn look<const GRAM: usize, const STRIDE: usize>(
        &self,
        symbols: &[u8],
        base: u64,
        next: &mut u64,
        found: &mut impl FnMut(u64, u32),
    ) {
        if self.count == 0 {
            return;
        }
        let mut at = usize::try_from(*next - base).unwrap_or(usize::MAX);
        while let Some(gram) = symbols.get(at..).and_then(<[u8]>::first_chunk::<GRAM>) {
            let hash = hash(pack(gram));
            if self.known.has(hash) {
                for anchor in self.of(hash) {
                    let begins = (base + at as u64).checked_sub(u64::from(anchor.offset));
                    if let Some(begins) = begins.filter(|begins| *begins >= base) {
                        found(begins, anchor.needle);
                    }
                }
            }
            at += STRIDE;
        }
        *next = base + at as u64;
    }

    fn of(&self, hash: u64) -> impl Iterator<Item = Anchor> {
        let from = self.place(hash);
        let mask = self.slots.len() - 1;
        let slots = (from..).map(move |at| self.slots[at & mask]).take_while(|slot| *slot != 0);
        slots.filter(move |slot| slot >> 40 == tag(hash)).map(anchor)
    }

    fn room(&self) -> usize {
        (self.slots.len() * 2 / HALF_SLOTS_PER_ANCHOR).min(self.known.room())
    }

    fn grow(&mut self, count: usize, gram: impl Fn(Anchor) -> u64) {
        let slots = vec![0; (count * HALF_SLOTS_PER_ANCHOR / 2).next_power_of_two()];
        let old = std::mem::replace(&mut self.slots, slots);
        self.known = Bits::for_items(count);
        for anchor in old.into_iter().filter(|slot| *slot != 0).map(anchor) {
            self.put(hash(gram(anchor)), anchor);
        }
    }

    fn put(&mut self, hash: u64, anchor: Anchor) {
        self.known.set(hash);
        let mask = self.slots.len() - 1;
        let mut at = self.place(hash);
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = tag(hash) << 40 | u64::from(anchor.offset) << 32 | u64::from(anchor.needle + 1);
    }

    fn place(&self, hash: u64) -> usize {
        usize::try_from(hash >> 12).unwrap_or(usize::MAX) & (self.slots.len() - 1)
    }
}

fn tag(hash: u64) -> u64 {
    hash >> (64 - TAG)
}

fn anchor(slot: u64) -> Anchor {
    let [.., offset, a, b, c, d] = slot.to_be_bytes();
    Anchor { needle: u32::from_be_bytes([a, b, c, d]) - 1, offset }
}

/// A gram as a number.
#[inline]
pub(super) fn pack(gram: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..gram.len()].copy_from_slice(gram);
    u64::from_le_bytes(bytes)
}
