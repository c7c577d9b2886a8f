//! The anchors of one tier: by their grams, in a table of open addresses behind a filter.

use super::bits::{Bits, hash};

/// Slots for each anchor, in halves.
const HALF_SLOTS_PER_ANCHOR: usize = 3;
/// Bits of a slot that hold a part of the hash.
const TAG: u32 = 24;

/// A gram's place in a needle.
struct Anchor {
    needle: u32,
    offset: u8,
}

/// What is looked for in one stride.
#[derive(Clone)]
pub(super) struct Anchors {
    known: Bits,
    /// Empty, or a part of the hash, an offset, and a needle's number and one more; behind the place that the hash names.
    slots: Vec<u64>,
    needles: usize,
    /// For how many needles there is room.
    room: usize,
    stride: usize,
}

impl Anchors {
    /// For so many needles.
    pub(super) fn new(stride: usize, room: usize) -> Self {
        let anchors = stride * room;
        // One is always empty: a search ends there.
        let slots = if room == 0 { 0 } else { (anchors * HALF_SLOTS_PER_ANCHOR / 2 + 1).next_power_of_two() };
        Self { known: Bits::for_items(anchors), slots: vec![0; slots], needles: 0, room, stride }
    }

    pub(super) fn needles(&self) -> usize {
        self.needles
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    pub(super) fn has_room_for(&self, more: usize) -> bool {
        self.needles + more <= self.room
    }

    /// Adds the grams of a needle from a symbol on.
    pub(super) fn add(&mut self, needle: u32, symbols: &[u8], begin: usize, gram: usize) {
        for (offset, gram) in (begin..).zip(symbols[begin..].windows(gram).take(self.stride)) {
            let offset = u8::try_from(offset).unwrap_or(u8::MAX);
            self.put(hash(pack(gram)), &Anchor { needle, offset });
        }
        self.needles += 1;
    }

    /// Whether a gram may be an anchor.
    pub(super) fn may_hold(&self, gram: u64) -> bool {
        self.known.has(hash(gram))
    }

    /// Looks at the gram of every `stride`-th symbol of a stream, of which these begin with the number `base`.
    #[inline]
    pub(super) fn look<const GRAM: usize>(
        &self,
        symbols: &[u8],
        base: u64,
        next: &mut u64,
        found: &mut impl FnMut(u64, u32),
    ) {
        if self.needles == 0 {
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
            at += self.stride;
        }
        *next = base + at as u64;
    }

    fn of(&self, hash: u64) -> impl Iterator<Item = Anchor> {
        let from = self.place(hash);
        let mask = self.slots.len() - 1;
        let slots = (from..).map(move |at| self.slots[at & mask]).take_while(|slot| *slot != 0);
        slots.filter(move |slot| slot >> 40 == tag(hash)).map(anchor)
    }

    fn put(&mut self, hash: u64, anchor: &Anchor) {
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
