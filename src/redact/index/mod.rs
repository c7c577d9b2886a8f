//! Finds which needles may lie at a place, without reading every byte, at a cost that does not grow with their number.
//!
//! A few symbols in a row are a *gram*. Every needle has `stride` grams in a row, its *anchors*, in a table; so
//! wherever it occurs, a look at every `stride`-th gram of the stream meets one of them, and says where the needle
//! would begin. A gram of eight symbols that is no anchor, as nearly all are, costs a look at one word of a filter.
//! Short needles have shorter grams, of which more are met by chance: they are in tiers of their own.
//!
//! Needles are added one by one, at a cost that is the same whatever is there already.

mod anchors;
mod bits;
mod heads;

use std::sync::Arc;

use anchors::Anchors;
use heads::Heads;

use super::forms::Arena;

/// A window of anchors doesn't begin later in a needle than this: the symbols before it must be kept.
const LATEST_WINDOW: usize = 24;

/// Needles of a length are found by grams of one size.
struct Tier {
    /// No needle is shorter.
    least: usize,
    gram: usize,
}

/// From the longest needles to the shortest.
const TIERS: [Tier; 5] = [
    Tier { least: 15, gram: 8 },
    Tier { least: 11, gram: 8 },
    Tier { least: 8, gram: 8 },
    Tier { least: 4, gram: 4 },
    Tier { least: 1, gram: 1 },
];

/// Of more needles than this there are fewer anchors each, and more looks.
const FEW: usize = 1 << 15;

impl Tier {
    /// How many grams in a row are anchors: as many as every needle has, unless there are too many needles.
    fn stride(&self, needles: usize) -> usize {
        let most = self.least + 1 - self.gram;
        if needles > FEW { most.min(4) } else { most }
    }
}

/// Where a search is: the number of the symbol at which each tier looks next.
#[derive(Clone, Copy, Default)]
pub(super) struct Looks([u64; TIERS.len()]);

/// A table of needles.
#[derive(Clone)]
pub(super) struct Index {
    arenas: Vec<Arc<Arena>>,
    needles: Vec<Needle>,
    tiers: [Anchors; TIERS.len()],
    heads: Heads,
    /// A needle that begins so many symbols before the end may not have met a look yet.
    unseen: usize,
}

/// A needle's place in an arena, and what it is called by whoever added it.
#[derive(Clone, Copy)]
struct Needle {
    arena: u32,
    at: u32,
    length: u32,
    label: u32,
}

impl Index {
    pub(super) fn new() -> Self {
        let tiers = TIERS.each_ref().map(|tier| Anchors::new(tier.stride(0), 0));
        Self { arenas: Vec::new(), needles: Vec::new(), tiers, heads: Heads::default(), unseen: 0 }
    }

    /// Makes room for needles of these lengths, so that adding them moves none.
    pub(super) fn reserve(&mut self, lengths: impl Iterator<Item = usize>) {
        let mut counts = [0; TIERS.len()];
        lengths.for_each(|length| counts[tier(length)] += 1);
        self.needles.reserve(counts.iter().sum());
        // Some more: what is added next shall not be what moves all.
        (0..).zip(counts).for_each(|(tier, count)| self.make_room(tier, count + count / 4));
    }

    /// Adds needles that lie in one arena: their places with their lengths, and their labels. None may be empty. Gives
    /// the number of the first.
    pub(super) fn add(
        &mut self,
        arena: &Arc<Arena>,
        needles: impl Iterator<Item = ((u32, u32), u32)>,
    ) -> u32 {
        let number = u32::try_from(self.arenas.len()).unwrap_or(u32::MAX);
        self.arenas.push(Arc::clone(arena));
        let first = self.needles.len();
        self.needles.extend(needles.map(|((at, length), label)| Needle { arena: number, at, length, label }));
        let numbers = number_of(first)..number_of(self.needles.len());
        for needle in numbers.clone() {
            let tier = tier(self.needle(needle).len());
            if !self.tiers[tier].has_room_for(1) {
                let anchored = self.tiers[tier].needles();
                self.make_room(tier, anchored.max(64));
            }
            self.anchor(tier, needle);
        }
        self.heads.add(numbers.clone(), |needle| bytes_of(&self.arenas, &self.needles, needle));
        numbers.start
    }

    /// Ends adding for now: what was added is found from here on.
    pub(super) fn settle(&mut self) {
        self.heads.settle(|needle| bytes_of(&self.arenas, &self.needles, needle));
    }

    /// Makes room for so many needles more in a tier.
    fn make_room(&mut self, tier: usize, more: usize) {
        let anchored = self.tiers[tier].needles();
        if more == 0 || self.tiers[tier].has_room_for(more) {
            return;
        }
        self.tiers[tier] = Anchors::new(TIERS[tier].stride(anchored + more), anchored + more);
        let mut needle = 0;
        while self.tiers[tier].needles() < anchored {
            if self::tier(self.needle(needle).len()) == tier {
                self.anchor(tier, needle);
            }
            needle += 1;
        }
    }

    fn anchor(&mut self, tier: usize, needle: u32) {
        let (gram, anchors) = (TIERS[tier].gram, &mut self.tiers[tier]);
        let symbols = bytes_of(&self.arenas, &self.needles, needle);
        let begin = rarest_window(symbols, gram, anchors);
        anchors.add(needle, symbols, begin, gram);
        self.unseen = self.unseen.max(begin + anchors.stride() + gram);
    }

    pub(super) fn needle(&self, number: u32) -> &[u8] {
        bytes_of(&self.arenas, &self.needles, number)
    }

    pub(super) fn label(&self, number: u32) -> u32 {
        self.needles[number as usize].label
    }

    pub(super) fn unseen(&self) -> usize {
        self.unseen
    }

    /// Looks at grams of symbols, the first of which has the number `base`, and says for what they may belong to which
    /// needle begins at which symbol.
    pub(super) fn look(&self, symbols: &[u8], base: u64, looks: &mut Looks, mut found: impl FnMut(u64, u32)) {
        let [long, middle, less, short, shortest] = &self.tiers;
        let [first, second, third, fourth, fifth] = &mut looks.0;
        long.look::<8>(symbols, base, first, &mut found);
        middle.look::<8>(symbols, base, second, &mut found);
        less.look::<8>(symbols, base, third, &mut found);
        short.look::<4>(symbols, base, fourth, &mut found);
        shortest.look::<1>(symbols, base, fifth, &mut found);
    }

    /// Whether symbols that end the stream so far may be the beginning of a needle, which is longer.
    pub(super) fn may_begin(&self, symbols: &[u8]) -> bool {
        self.heads.may_begin(symbols, |needle| self.needle(needle))
    }
}

fn tier(length: usize) -> usize {
    TIERS.iter().position(|tier| length >= tier.least).unwrap_or(TIERS.len() - 1)
}

fn number_of(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn bytes_of<'a>(arenas: &'a [Arc<Arena>], needles: &[Needle], number: u32) -> &'a [u8] {
    let needle = needles[number as usize];
    arenas[needle.arena as usize].bytes(needle.at, needle.length)
}

/// Where the window begins that ordinary text and other needles have least of: grams of letters alone, of digits alone,
/// or of one symbol over and over, as in `https` and `-----`, are everywhere, and what many keys begin with is the
/// anchor of many.
fn rarest_window(symbols: &[u8], gram: usize, others: &Anchors) -> usize {
    let stride = others.stride();
    let last = (symbols.len() + 1 - gram - stride).min(LATEST_WINDOW);
    let mut rarest = (usize::MAX, 0);
    let commonness = |at: usize| commonness(&symbols[at..at + gram], others);
    let mut score: usize = (0..stride).map(commonness).sum();
    for begin in 0..=last {
        if begin > 0 {
            score = score + commonness(begin + stride - 1) - commonness(begin - 1);
        }
        rarest = rarest.min((score, begin));
        if score == 0 {
            break;
        }
    }
    rarest.1
}

fn commonness(gram: &[u8], others: &Anchors) -> usize {
    let first = gram[0];
    let alike = |class: fn(&u8) -> bool| gram.iter().all(class);
    let everywhere = alike(u8::is_ascii_digit) || alike(u8::is_ascii_lowercase);
    if everywhere || gram.iter().all(|symbol| *symbol == first) {
        return 2;
    }
    usize::from(others.may_hold(anchors::pack(gram)))
}
