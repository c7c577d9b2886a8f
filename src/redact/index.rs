//! Finds which needles may lie at a place, without reading every byte.
//!
//! Four symbols in a row are a *gram*. Every needle has `stride` grams in a row, its *window*, in the table;
//! so wherever it occurs, a look at every `stride`-th gram of the stream meets one of them, and says where
//! the needle would begin. What the table doesn't know, at most of the places looked at, costs one bit.

use zeroize::Zeroizing;

/// Symbols in a gram, where no needle is shorter.
const GRAM: usize = 4;
/// A window doesn't begin later in a needle than this: the symbols before it must be kept.
const LATEST_WINDOW: usize = 24;
/// Bits of the table for each gram in it.
const BITS_PER_GRAM: usize = 24;

/// A table of needles, all at least as long as a gram.
pub(super) struct Index {
    bytes: Zeroizing<Vec<u8>>,
    needles: Vec<Needle>,
    gram: usize,
    stride: usize,
    /// A needle that begins so many symbols before the end may not have met a look yet.
    unseen: usize,
    windows: Table,
    heads: Table,
    /// Beginnings shorter than a gram.
    begun: Bits,
}

/// A needle's place in the bytes of all.
struct Needle {
    from: usize,
    length: usize,
}

/// A gram's place in a needle.
#[derive(Clone, Copy, Default)]
pub(super) struct GramHit {
    gram: u32,
    /// The needle's number, in the order of building.
    pub(super) needle: u32,
    /// How many symbols before the gram it begins.
    pub(super) offset: u32,
}

impl Index {
    /// Builds the table. Needles must not be empty.
    pub(super) fn new<'a>(all: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut bytes = Zeroizing::new(Vec::new());
        let mut needles = Vec::new();
        let mut shortest = usize::MAX;
        for needle in all {
            needles.push(Needle { from: bytes.len(), length: needle.len() });
            bytes.extend_from_slice(needle);
            shortest = shortest.min(needle.len());
        }
        let gram = GRAM.min(shortest);
        let stride = (shortest.min(64) + 1).saturating_sub(gram).max(1);
        let mut windows = Vec::with_capacity(needles.len() * stride);
        let mut heads = Vec::with_capacity(needles.len());
        let mut begun = Bits::for_items(needles.len() * gram);
        let mut unseen = 0;
        for (number, needle) in (0u32..).zip(&needles) {
            let symbols = &bytes[needle.from..needle.from + needle.length];
            let begin = rarest_window(symbols, gram, stride);
            unseen = unseen.max(begin + stride + gram);
            windows.extend((begin..begin + stride).map(|at| spot(symbols, gram, number, at)));
            heads.push(spot(symbols, gram, number, 0));
            (1..gram).for_each(|length| begun.set(beginning(&symbols[..length])));
        }
        Self {
            bytes,
            needles,
            gram,
            stride,
            unseen,
            windows: Table::new(windows),
            heads: Table::new(heads),
            begun,
        }
    }

    pub(super) fn needle(&self, number: u32) -> &[u8] {
        let needle = &self.needles[number as usize];
        &self.bytes[needle.from..needle.from + needle.length]
    }

    pub(super) fn unseen(&self) -> usize {
        self.unseen
    }

    /// Looks at every `stride`-th gram of `symbols` from `at` on, and says what it may belong to. Returns
    /// where to look next.
    pub(super) fn look(
        &self,
        symbols: &[u8],
        mut at: usize,
        mut found: impl FnMut(usize, &GramHit),
    ) -> usize {
        while let Some(four) = symbols.get(at..at + GRAM) {
            let gram = self.cut(u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
            if self.windows.may_hold(gram) {
                self.windows.of(gram).for_each(|spot| found(at, spot));
            }
            at += self.stride;
        }
        while let Some(few) = symbols.get(at..at + self.gram) {
            let gram = pack(few);
            self.windows.of(gram).for_each(|spot| found(at, spot));
            at += self.stride;
        }
        at
    }

    /// Whether symbols that end the stream so far may be the beginning of a needle, which is longer.
    pub(super) fn may_begin(&self, symbols: &[u8]) -> bool {
        if symbols.len() < self.gram {
            return self.begun.has(beginning(symbols));
        }
        let gram = pack(&symbols[..self.gram]);
        self.heads.may_hold(gram)
            && self.heads.of(gram).any(|spot| {
                let needle = self.needle(spot.needle);
                needle.len() > symbols.len() && needle.starts_with(symbols)
            })
    }

    fn cut(&self, four: u32) -> u32 {
        if self.gram == GRAM { four } else { four & ((1 << (8 * self.gram)) - 1) }
    }
}

fn spot(symbols: &[u8], gram: usize, needle: u32, at: usize) -> GramHit {
    GramHit { gram: pack(&symbols[at..at + gram]), needle, offset: u32::try_from(at).unwrap_or(u32::MAX) }
}

fn pack(symbols: &[u8]) -> u32 {
    symbols.iter().rev().fold(0, |packed, symbol| packed << 8 | u32::from(*symbol))
}

fn beginning(symbols: &[u8]) -> u32 {
    pack(symbols) | u32::try_from(symbols.len()).unwrap_or(0) << 24
}

/// Where the window begins that ordinary text has least of: grams of letters alone, of digits alone, or of
/// one symbol over and over, as in `https` and `-----`, are everywhere.
fn rarest_window(symbols: &[u8], gram: usize, stride: usize) -> usize {
    let last = (symbols.len() + 1 - gram - stride).min(LATEST_WINDOW);
    let common: Vec<usize> = symbols[..last + stride + gram - 1].windows(gram).map(commonness).collect();
    let mut score: usize = common[..stride].iter().sum();
    let mut rarest = (score, 0);
    for begin in 1..=last {
        score = score + common[begin + stride - 1] - common[begin - 1];
        rarest = rarest.min((score, begin));
    }
    rarest.1
}

fn commonness(gram: &[u8]) -> usize {
    let first = gram[0];
    let alike = |class: fn(&u8) -> bool| gram.iter().all(class);
    let everywhere = alike(u8::is_ascii_digit) || alike(u8::is_ascii_lowercase);
    usize::from(everywhere || gram.iter().all(|symbol| *symbol == first))
}

/// Grams by their hash.
struct Table {
    known: Bits,
    /// Where the grams of each hash begin.
    starts: Vec<u32>,
    spots: Vec<GramHit>,
}

impl Table {
    fn new(spots: Vec<GramHit>) -> Self {
        let mut known = Bits::for_items(spots.len());
        let size = spots.len().next_power_of_two();
        let mut starts = vec![0u32; size + 1];
        for spot in &spots {
            known.set(spot.gram);
            starts[bucket(spot.gram, size) + 1] += 1;
        }
        (0..size).for_each(|at| starts[at + 1] += starts[at]);
        let mut next = starts.clone();
        let mut sorted = vec![GramHit::default(); spots.len()];
        for spot in spots {
            let place = &mut next[bucket(spot.gram, size)];
            sorted[*place as usize] = spot;
            *place += 1;
        }
        Self { known, starts, spots: sorted }
    }

    #[inline]
    fn may_hold(&self, gram: u32) -> bool {
        self.known.has(gram)
    }

    fn of(&self, gram: u32) -> impl Iterator<Item = &GramHit> {
        let at = bucket(gram, self.starts.len() - 1);
        let all = &self.spots[self.starts[at] as usize..self.starts[at + 1] as usize];
        all.iter().filter(move |spot| spot.gram == gram)
    }
}

#[inline]
fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(0x9E37_79B1)
}

fn bucket(gram: u32, size: usize) -> usize {
    (hash(gram) as usize >> 7) & (size - 1)
}

/// A set of hashes, a bit each.
struct Bits {
    words: Vec<u64>,
    shift: u32,
}

impl Bits {
    fn for_items(items: usize) -> Self {
        let bits = (items * BITS_PER_GRAM).next_power_of_two().clamp(1 << 12, 1 << 22);
        Self { words: vec![0; bits / 64], shift: 32 - bits.trailing_zeros() }
    }

    fn set(&mut self, item: u32) {
        let at = hash(item) >> self.shift;
        self.words[at as usize / 64] |= 1 << (at % 64);
    }

    #[inline]
    fn has(&self, item: u32) -> bool {
        let at = hash(item) >> self.shift;
        self.words[at as usize / 64] >> (at % 64) & 1 == 1
    }
}
