//! What two lines that follow each other have in common: what stands before and behind what differs.

use std::ops::Range;

use memchr::memchr2_iter;

/// So many cells of a line are looked at.
const MOST_CELLS: usize = 32;
const WORD: usize = size_of::<u64>();
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A piece of one line, and the piece of the next that goes on with it.
pub(super) type Pair = (Range<usize>, Range<usize>);

/// What is behind the part that two lines begin with alike: up to behind the last character of it that is no letter or
/// digit. Numbers are alike, and so are spaces.
pub(super) fn behind_the_same(one: &[u8], other: &[u8]) -> Pair {
    let (from, to) = common::<Front>(one, other).unwrap_or_default();
    (from..one.len(), to..other.len())
}

/// The same for what pieces end with.
pub(super) fn before_the_same(one: &[u8], other: &[u8], pair: &Pair) -> Option<Pair> {
    let (before, behind) = (&one[pair.0.clone()], &other[pair.1.clone()]);
    let (a, b) = common::<Back>(before, behind)?;
    Some((pair.0.start..pair.0.end - a, pair.1.start..pair.1.end - b))
}

/// The direction in which a text is read.
trait Direction {
    /// The byte at a distance from where the text is read from.
    fn byte(text: &[u8], at: usize) -> Option<u8>;
    /// The bytes from there on, the first of them the lowest.
    fn word(text: &[u8], at: usize) -> Option<u64>;
}

struct Front;
struct Back;

impl Direction for Front {
    fn byte(text: &[u8], at: usize) -> Option<u8> {
        text.get(at).copied()
    }

    fn word(text: &[u8], at: usize) -> Option<u64> {
        text.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
    }
}

impl Direction for Back {
    fn byte(text: &[u8], at: usize) -> Option<u8> {
        text.len().checked_sub(at + 1).map(|at| text[at])
    }

    fn word(text: &[u8], at: usize) -> Option<u64> {
        text.get(..text.len().checked_sub(at)?)?.last_chunk().copied().map(u64::from_be_bytes)
    }
}

fn common<D: Direction>(one: &[u8], other: &[u8]) -> Option<(usize, usize)> {
    let (mut i, mut j) = (0, 0);
    loop {
        while let (Some(a), Some(b)) = (D::word(one, i), D::word(other, j)) {
            let alike = alike(a, b);
            (i, j) = (i + alike, j + alike);
            if alike < WORD {
                break;
            }
        }
        // One that is longer than the other; or the end is near.
        let Some((a, b)) = step::<D>(one, i, other, j) else { break };
        (i, j) = (a, b);
    }
    let cut = |text: &[u8], upto: usize| {
        let sign = |at: &usize| D::byte(text, *at).is_some_and(|byte| !byte.is_ascii_alphanumeric());
        (0..upto).rev().find(sign).map(|at| at + 1)
    };
    Some((cut(one, i)?, cut(other, j)?))
}

/// One character further, or one number, or what is between words.
fn step<D: Direction>(one: &[u8], i: usize, other: &[u8], j: usize) -> Option<(usize, usize)> {
    let (a, b) = (D::byte(one, i)?, D::byte(other, j)?);
    let spaces = |byte: u8| matches!(byte, b' ' | b'\t');
    for class in [|byte: u8| byte.is_ascii_digit(), spaces] {
        // Of two numbers, or gaps, one may be longer.
        let within = i > 0
            && j > 0
            && D::byte(one, i - 1).is_some_and(class)
            && D::byte(other, j - 1).is_some_and(class);
        if class(a) && class(b) || within && (class(a) || class(b)) {
            return Some((behind::<D>(one, i, class), behind::<D>(other, j, class)));
        }
    }
    (a == b).then_some((i + 1, j + 1))
}

fn behind<D: Direction>(text: &[u8], from: usize, class: fn(u8) -> bool) -> usize {
    (from..).find(|at| !D::byte(text, *at).is_some_and(class)).unwrap_or(from)
}

/// How many of the bytes of two words, from the lowest on, are alike: the same, or digits.
fn alike(a: u64, b: u64) -> usize {
    let differs = a ^ b;
    // The high bit of each byte that is another one in both.
    let differs = (((differs & !HIGH) + !HIGH) | differs) & HIGH;
    (differs & !(digits(a) & digits(b))).trailing_zeros() as usize / 8
}

/// The high bit of each byte that is a digit.
fn digits(word: u64) -> u64 {
    let value = word ^ (LOW * u64::from(b'0'));
    !(((value & !HIGH) + LOW * (0x7f - 9)) | value) & HIGH
}

/// The cells of two lines of a table; none if they have not as many.
pub(super) fn cells(one: &[u8], other: &[u8]) -> Vec<Pair> {
    let one = split(one);
    if one.len() < 2 {
        return Vec::new();
    }
    let other = split(other);
    if one.len() == other.len() { one.into_iter().zip(other).collect() } else { Vec::new() }
}

/// What is between the bars of a line: `|`, `│`, `┃`, `║`.
fn split(line: &[u8]) -> Vec<Range<usize>> {
    let mut cells = Vec::new();
    let mut from = 0;
    for at in memchr2_iter(b'|', 0xe2, line) {
        let length = bar(&line[at..]);
        if length > 0 && cells.len() < MOST_CELLS {
            cells.push(from..at);
            from = at + length;
        }
    }
    cells.push(from..line.len());
    cells
}

fn bar(rest: &[u8]) -> usize {
    match rest {
        [b'|', ..] => 1,
        [0xe2, 0x94, 0x82 | 0x83, ..] | [0xe2, 0x95, 0x91, ..] => 3,
        _ => 0,
    }
}
