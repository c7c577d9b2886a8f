//! Tells in a few looks that a line is none of a dump: most are not.

use super::token::{colour, in_columns, is_between};
use crate::redact::views::Stream;

/// What is before the first number: spaces, or the border of a box.
const MOST_BEFORE: usize = 12;
/// More digits are no offset; as many, without a prefix, are a line of hex.
const MOST_DIGITS: usize = 64;
/// Behind a prefix, columns are known by a block of so many bytes that nothing else is in: each is looked at up to its
/// first other byte.
const BLOCK: usize = 16;
/// The columns begin no farther before it.
const FARTHEST: usize = 64;

/// Whether a line may be one of a dump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gate {
    Closed,
    /// Its columns begin here or later.
    Open(usize),
    /// If it goes on.
    Undecided(usize),
}

/// Looks at a line, or at what of it is there.
pub(super) fn gate(line: &[u8], stream: Stream) -> Gate {
    match beginning(line) {
        Gate::Undecided(_) if stream == Stream::Ended => Gate::Closed,
        Gate::Closed => blocks(line, stream),
        verdict => verdict,
    }
}

/// Whether a line begins with a number, and what is behind may be one.
fn beginning(line: &[u8]) -> Gate {
    let border = |byte: &u8| matches!(byte, b' ' | b'\t' | b'|' | 0x80..);
    let before = line.iter().take(MOST_BEFORE).take_while(|byte| border(byte)).count();
    let rest = &line[before..];
    let rest = &rest[colour(rest).unwrap_or(0)..];
    let digits = rest.iter().take(MOST_DIGITS + 1).take_while(|byte| is_digit(**byte)).count();
    let Some(next) = rest.get(digits) else { return Gate::Undecided(0) };
    if *next == 0x1b && digits >= 4 {
        return Gate::Open(0);
    }
    if digits == 0 || digits > MOST_DIGITS || !is_between(*next) {
        return Gate::Closed;
    }
    let behind = &rest[digits..];
    let gap = behind.iter().take(MOST_BEFORE).take_while(|byte| is_between(**byte)).count();
    let word = &behind[gap..];
    if next == &b' ' && (word.starts_with(b"<") || digits >= 6 && gap >= 2) {
        return Gate::Open(0);
    }
    let digits = word.iter().take(MOST_DIGITS).take_while(|byte| is_digit(**byte)).count();
    match word.get(digits) {
        None => Gate::Open(0),
        Some(end) if digits > 0 && is_between(*end) && *end != b':' => Gate::Open(0),
        // Coloured, or a sign.
        Some(0x1b | b'-' | b'+' | b'\'') if digits == 0 => Gate::Open(0),
        Some(0x1b) => Gate::Open(0),
        Some(_) => Gate::Closed,
    }
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || byte == b'x'
}

/// Looks for columns behind anything.
fn blocks(line: &[u8], stream: Stream) -> Gate {
    let (blocks, _) = line.as_chunks::<BLOCK>();
    if let Some(at) = blocks.iter().position(are_columns) {
        return Gate::Open(run_begin(&line[..at * BLOCK], FARTHEST));
    }
    if stream == Stream::Ended {
        return Gate::Closed;
    }
    let from = run_begin(line, FARTHEST + BLOCK);
    if from == line.len() { Gate::Closed } else { Gate::Undecided(from) }
}

/// Where the bytes of columns begin that a text ends with.
fn run_begin(text: &[u8], most: usize) -> usize {
    text.len() - text.iter().rev().take(most).take_while(|byte| in_columns(**byte)).count()
}

fn are_columns(block: &[u8; BLOCK]) -> bool {
    // Most blocks have another byte at one of these.
    let few = [block[0], block[5], block[10], block[15]];
    few.into_iter().all(in_columns) && block.iter().all(|byte| in_columns(*byte)) && is_spaced(block)
}

/// Whether a block of columns has numbers, and what separates them.
fn is_spaced(block: &[u8]) -> bool {
    let between = block.iter().filter(|byte| is_between(**byte)).count();
    (1..=BLOCK * 3 / 4).contains(&between)
}
