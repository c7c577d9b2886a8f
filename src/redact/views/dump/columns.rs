//! The columns of a line: words in a row that are numbers of one shape.

use super::{
    shape::{Base, Order, Shape},
    token::{NOT_BINARY, NOT_DECIMAL, NOT_HEX, NOT_OCTAL, Token},
};

/// A line without an offset has at least so many bytes.
const LEAST_BYTES: usize = 4;
/// An offset has at least so many digits; fewer number a line, or are bytes.
const OFFSET_DIGITS: usize = 6;
/// The same, where zeros fill it up.
const PADDED_OFFSET_DIGITS: usize = 4;
/// A wider gap may be behind so many bytes: in the middle of a line of `hexdump -C`.
const HALF: usize = 8;
/// Decimal words have so many digits at most (2^64).
const DECIMAL_DIGITS: usize = 20;

/// Words of a line that are numbers of one shape.
pub(super) struct Columns<'a> {
    tokens: &'a [Token],
    /// Whether the first may be an offset as well as a number.
    first_may_be_an_offset: bool,
    /// Whether an offset stands before.
    named: bool,
}

/// A run of words while it is read.
#[derive(Clone, Copy)]
struct Run {
    first: usize,
    end: usize,
    traits: u8,
    /// Whether any has a zero in front.
    padded: bool,
    /// Digits and spaces of its first two words.
    width: usize,
    gap: Option<usize>,
    /// How far apart its first two words end.
    pitch: Option<usize>,
    /// Whether a shorter word, the last, is in it.
    ended: bool,
}

/// Finds the columns of a line: the longest run.
pub(super) fn columns(tokens: &[Token]) -> Option<Columns<'_>> {
    let mut best: Option<Run> = None;
    let mut at = 0;
    while at < tokens.len() {
        let mut run = run_from(tokens, at);
        // What follows an offset may go further than what began with it.
        let behind = (at + 1 < tokens.len()).then(|| run_from(tokens, at + 1));
        if let Some(behind) =
            behind.filter(|next| next.end > run.end && next.digits(tokens) >= run.digits(tokens))
        {
            run = behind;
        }
        at = run.end.max(at + 1);
        // One number in front of others is their offset, unless it has one.
        let offset = run.end == run.first + 1
            && !run.is_named(tokens)
            && tokens.get(run.end).is_some_and(|next| next.traits & NOT_HEX == 0);
        if !offset && best.is_none_or(|best| run.digits(tokens) > best.digits(tokens)) {
            best = Some(run);
        }
    }
    best.filter(|run| run.digits(tokens) > 0).map(|run| run.columns(tokens))
}

/// The run that begins with a word.
fn run_from(tokens: &[Token], first: usize) -> Run {
    let token = &tokens[first];
    let width = token.width();
    let mut run = Run {
        first,
        end: first,
        traits: token.traits,
        padded: token.padded,
        width,
        gap: None,
        pitch: None,
        ended: false,
    };
    if token.names || token.traits & NOT_HEX != 0 {
        return run;
    }
    run.end += 1;
    let may_be_an_offset = !run.is_named(tokens);
    while let Some(pair) = tokens.get(run.end - 1..=run.end) {
        let behind_an_offset =
            may_be_an_offset && run.end == first + 1 && is_offset_beside(&pair[0], &pair[1]);
        if pair[1].names || behind_an_offset || !run.joins(&pair[0], &pair[1]) {
            break;
        }
        run.end += 1;
    }
    run
}

impl Run {
    /// Whether a word goes on with the run, behind its last.
    fn joins(&mut self, last: &Token, next: &Token) -> bool {
        let traits = self.traits | next.traits;
        if self.ended
            || next.walled && !self.is_halved_by(next)
            || next.traits & NOT_HEX != 0
            || last.prefixed != next.prefixed
        {
            return false;
        }
        // Numbers without leading zeros are as long as they are; others are filled up.
        let filled_up = self.padded && !next.padded && next.width() < self.width;
        let decimal = !filled_up
            && traits & NOT_DECIMAL == 0
            && self.width <= DECIMAL_DIGITS
            && next.width() <= DECIMAL_DIGITS;
        let narrow = self.width <= 2 && next.width() <= 2;
        let fits = next.width() == self.width || decimal || narrow || self.may_end_with(next);
        if !fits || !self.is_beside(last, next) {
            return false;
        }
        self.ended = next.width() != self.width && !decimal && !narrow;
        self.gap.get_or_insert(next.gap);
        self.pitch.get_or_insert(next.end - last.end);
        self.traits = traits;
        self.padded |= next.padded;
        true
    }

    /// The last group of a line is cut: `xxd -g 4`, `objdump -s`.
    fn may_end_with(&self, next: &Token) -> bool {
        let even = self.width.is_multiple_of(2) && next.width().is_multiple_of(2);
        self.gap.is_some() && next.width() < self.width && even
    }

    /// At the distance of the others, or with its last digit where theirs would be, or behind the wider gap in the middle.
    fn is_beside(&self, last: &Token, next: &Token) -> bool {
        let (Some(gap), Some(pitch)) = (self.gap, self.pitch) else {
            // The first is as far behind its offset as the others are behind each other.
            let (first, second) = (last.gap + last.width(), next.gap + next.width());
            return next.width() == last.width() || next.gap == 1 || first == second;
        };
        // Bytes of two hex digits are filled up: one digit at their distance is a character.
        let below = next.end - last.end == pitch && (next.width() > 1 || pitch > 3);
        next.gap == gap || below || self.is_halved_by(next)
    }

    /// In the middle of a line of bytes the gap is wider.
    fn is_halved_by(&self, next: &Token) -> bool {
        self.width <= 2
            && self.end - self.first == HALF
            && self.gap.is_some()
            && self.gap == next.gap.checked_sub(1)
    }

    /// Whether what stands before says that it is an offset.
    fn is_named(&self, tokens: &[Token]) -> bool {
        self.first.checked_sub(1).is_some_and(|before| tokens[before].names)
    }

    fn digits(&self, tokens: &[Token]) -> usize {
        tokens[self.first..self.end].iter().map(Token::width).sum()
    }

    fn columns<'a>(&self, tokens: &'a [Token]) -> Columns<'a> {
        let words = &tokens[self.first..self.end];
        let before = self.first.checked_sub(1).map(|at| &tokens[at]);
        let named = before.is_some_and(|token| token.names || is_offset(token));
        Columns { tokens: words, first_may_be_an_offset: !named && words.len() > 1, named }
    }
}

fn is_offset(token: &Token) -> bool {
    let least = if token.padded { PADDED_OFFSET_DIGITS } else { OFFSET_DIGITS };
    token.width() >= least && token.traits & NOT_HEX == 0
}

/// An offset has another width than the numbers behind it; a decimal number without zeros in front may be one of them.
fn is_offset_beside(first: &Token, second: &Token) -> bool {
    let decimal = (first.traits | second.traits) & NOT_DECIMAL == 0 && !first.padded && second.width() > 3;
    is_offset(first) && first.width() != second.width() && !decimal
}

impl<'a> Columns<'a> {
    /// The words that are numbers in a shape.
    pub(super) fn numbers(&self, shape: &Shape) -> &'a [Token] {
        &self.tokens[usize::from(shape.behind_first)..]
    }

    /// Whether it is enough for the beginning of a dump.
    pub(super) fn begins_a_dump(&self) -> bool {
        let digits: usize = self.tokens.iter().map(Token::width).sum();
        let bytes = if traits(self.tokens) & NOT_BINARY == 0 { digits / 8 } else { digits.div_ceil(3) };
        self.named || self.tokens.len() > 1 && bytes >= LEAST_BYTES
    }

    /// All that they may mean, beside the sizes of decimal words that are read already.
    pub(super) fn shapes(&self, line: &[u8], known: &[Shape]) -> Vec<Shape> {
        let mut shapes = Vec::new();
        for behind_first in [false, true] {
            if behind_first && !self.first_may_be_an_offset {
                continue;
            }
            let tokens = &self.tokens[usize::from(behind_first)..];
            for (base, size) in readings(tokens, known) {
                let little = matches!(size, 2 | 4 | 8).then_some(Order::Little);
                let orders = [Order::Big].into_iter().chain(little);
                shapes.extend(orders.map(|order| Shape { base, size, order, behind_first }));
            }
        }
        shapes.retain(|shape| shape.reads(line, self.numbers(shape)));
        shapes
    }
}

fn traits(tokens: &[Token]) -> u8 {
    tokens.iter().fold(0, |all, token| all | token.traits)
}

/// Bases and sizes that words may have.
fn readings(tokens: &[Token], known: &[Shape]) -> Vec<(Base, usize)> {
    let mut readings = Vec::new();
    let traits = traits(tokens);
    let width = tokens.iter().map(Token::width).max().unwrap_or_default();
    let prefixed = tokens.iter().any(|token| token.prefixed);
    let even = |token: &Token| token.width().is_multiple_of(2) || token.width() == 1;
    if tokens.iter().all(even) || tokens.iter().all(|token| token.prefixed) {
        readings.push((Base::Hex, width.div_ceil(2)));
    }
    if traits & NOT_BINARY == 0 && width.is_multiple_of(8) {
        readings.push((Base::Binary, width / 8));
    }
    if traits & NOT_OCTAL == 0 && !prefixed {
        readings.extend(octal_size(width).map(|size| (Base::Octal, size)));
    }
    if traits & NOT_DECIMAL == 0 && !prefixed && width <= DECIMAL_DIGITS {
        let least = decimal_size(width);
        let is_read =
            |size: &usize| known.iter().any(|shape| shape.base == Base::Decimal && shape.size == *size);
        let sizes = [1, 2, 4, 8].into_iter().filter(|size| *size == least || *size > least && is_read(size));
        readings.extend(sizes.map(|size| (Base::Decimal, size)));
    }
    readings
}

/// The size of a word by its octal digits, the first of which may be the zero of C.
fn octal_size(digits: usize) -> Option<usize> {
    match digits {
        1..=4 => Some(1),
        5..=7 => Some(2),
        10..=12 => Some(4),
        21..=23 => Some(8),
        _ => None,
    }
}

/// The size of a word by its decimal digits.
fn decimal_size(digits: usize) -> usize {
    match digits {
        ..=3 => 1,
        4..=5 => 2,
        6..=10 => 4,
        _ => 8,
    }
}
