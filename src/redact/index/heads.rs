//! What needles begin with: whether the end of a stream may be the beginning of one.

use std::{cmp::Ordering, ops::Range};

use super::{
    anchors::pack,
    bits::{Bits, hash},
};

/// Beginnings so short are known by themselves.
const SHORT: usize = 4;

/// The beginnings of all needles.
#[derive(Clone)]
pub(super) struct Heads {
    /// Beginnings of up to [`SHORT`] symbols.
    known: Bits,
    count: usize,
    /// Not in order yet.
    new: Vec<Head>,
    /// Sorted; each is more than twice as long as the next, so that adding one needle seldom sorts many.
    runs: Vec<Vec<Head>>,
}

/// A needle by what it begins with.
#[derive(Clone, Copy)]
struct Head {
    /// The first eight symbols, the first in the highest bits; zeros behind the end.
    first: u64,
    needle: u32,
}

impl Default for Heads {
    fn default() -> Self {
        Self { known: Bits::for_items(0), count: 0, new: Vec::new(), runs: Vec::new() }
    }
}

impl Heads {
    pub(super) fn add<'a>(&mut self, needles: Range<u32>, bytes: impl Fn(u32) -> &'a [u8]) {
        self.new.extend(needles.map(|needle| Head { first: first(bytes(needle)), needle }));
    }

    /// Puts in order what was added, so that it is found.
    pub(super) fn settle<'a>(&mut self, bytes: impl Fn(u32) -> &'a [u8]) {
        if self.new.is_empty() {
            return;
        }
        let mut new = std::mem::take(&mut self.new);
        new.sort_unstable_by(|a, b| order(a, b, &bytes));
        self.count += new.len();
        self.runs.push(new);
        self.know(&bytes);
        self.merge(&bytes);
    }

    /// Whether symbols are the beginning of a longer needle.
    pub(super) fn may_begin<'a>(&self, symbols: &[u8], bytes: impl Fn(u32) -> &'a [u8]) -> bool {
        let short = &symbols[..symbols.len().min(SHORT)];
        if short.is_empty() || !self.known.has(beginning(short)) {
            return false;
        }
        let wanted = first(symbols);
        self.runs.iter().any(|run| {
            let behind = run.partition_point(|head| {
                head.first < wanted || head.first == wanted && bytes(head.needle) <= symbols
            });
            run.get(behind).is_some_and(|head| bytes(head.needle).starts_with(symbols))
        })
    }

    fn know<'a>(&mut self, bytes: &impl Fn(u32) -> &'a [u8]) {
        let room = self.known.room();
        let new = if self.count * SHORT > room {
            self.known = Bits::for_items(2 * self.count * SHORT);
            self.runs.as_slice()
        } else {
            &self.runs[self.runs.len() - 1..]
        };
        for head in new.iter().flatten() {
            let needle = bytes(head.needle);
            for length in 1..=SHORT.min(needle.len()) {
                self.known.set(beginning(&needle[..length]));
            }
        }
    }

    fn merge<'a>(&mut self, bytes: &impl Fn(u32) -> &'a [u8]) {
        while let [.., before, last] = self.runs.as_mut_slice() {
            if before.len() > 2 * last.len() {
                break;
            }
            before.append(last);
            // Both are in order: a stable sort merges them.
            before.sort_by(|a, b| order(a, b, bytes));
            self.runs.pop();
        }
    }
}

fn order<'a>(a: &Head, b: &Head, bytes: &impl Fn(u32) -> &'a [u8]) -> Ordering {
    a.first.cmp(&b.first).then_with(|| bytes(a.needle).cmp(bytes(b.needle)))
}

fn first(symbols: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = symbols.len().min(8);
    bytes[..length].copy_from_slice(&symbols[..length]);
    u64::from_be_bytes(bytes)
}

fn beginning(symbols: &[u8]) -> u64 {
    hash(pack(symbols) | (symbols.len() as u64) << 56)
}
