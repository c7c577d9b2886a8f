//! The body of a key that is written out: base64 or hex, in lines or in one. What of it is private are parts: each
//! line, all of it whatever lines it is printed in, and the numbers that it stands for.

use std::ops::Range;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use super::{
    leaf::{self, Leaf},
    private::{self, Container, Number},
};

/// A line of a body shorter than this tells nothing beside the others: the end of a body.
const SHORTEST_LINE: usize = 8;
/// Of what a line has beside public bytes, so much makes all of it a part: no public key has that.
const TELLING: usize = 16;
/// A line of public bytes is one of this key where it stands as one; a shorter one may end a public key, too.
const FULL_LINE: usize = 48;
/// What the label of a key has whose public key has the same lines (RFC 9580, section 5.5.1).
const SAME_LINES: &str = "pgp";
/// Between two private numbers stand no more bytes than a length and a tag.
const BETWEEN: usize = 8;

/// How bytes are written.
#[derive(Clone, Copy)]
pub(super) enum Writing {
    Base64,
    Hex,
}

impl Writing {
    /// The bytes that symbols without anything between them stand for.
    pub(super) fn decode(self, symbols: &str) -> Option<Zeroizing<Vec<u8>>> {
        const ANY: GeneralPurposeConfig = GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true);
        let bytes = match self {
            Self::Hex => hex::decode(symbols).ok()?,
            Self::Base64 => {
                let url_safe = symbols.contains(['-', '_']);
                let alphabet = if url_safe { alphabet::URL_SAFE } else { alphabet::STANDARD };
                GeneralPurpose::new(&alphabet, ANY).decode(symbols).ok()?
            }
        };
        Some(Zeroizing::new(bytes))
    }

    /// The symbols that bytes decide alone.
    fn symbols_of(self, bytes: &Range<usize>) -> Range<usize> {
        match self {
            Self::Hex => 2 * bytes.start..2 * bytes.end,
            Self::Base64 => (8 * bytes.start).div_ceil(6)..8 * bytes.end / 6,
        }
    }
}

/// What a body is.
pub(super) enum Kept {
    Private,
    Public,
    /// No container that is known.
    Unknown,
}

/// Reads a body, and gives what is private in it to the leaves. Of one that is not known nothing is.
pub(super) fn read(leaves: &mut Vec<Leaf>, label: &str, lines: &[&str], writing: Writing) -> Kept {
    let symbols = Zeroizing::new(lines.concat());
    let Some(bytes) = writing.decode(&symbols) else { return Kept::Unknown };
    match private::read(&bytes) {
        None => Kept::Unknown,
        Some(Container::Public) => Kept::Public,
        Some(Container::Private(numbers)) => {
            let stretches = stretches(&numbers).into_iter().map(|stretch| {
                let found = writing.symbols_of(&stretch);
                if stretch.end == bytes.len() { found.start..symbols.len() } else { found }
            });
            parts(leaves, label, lines, &stretches.collect::<Vec<_>>());
            leaves.extend(numbers.into_iter().map(|number| of(label, number)));
            Kept::Private
        }
    }
}

/// The leaf of a number.
pub(super) fn of(label: &str, number: Number) -> Leaf {
    let leaf = if number.with_public { Leaf::bytes } else { Leaf::number };
    leaf(leaf::inside(label, number.name), number.bytes)
}

/// Where private bytes stand, those of neighbouring numbers together.
fn stretches(numbers: &[Number]) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> =
        numbers.iter().map(|number| number.at.clone()).filter(|at| !at.is_empty()).collect();
    places.sort_by_key(|at| at.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for at in places {
        match joined.last_mut() {
            Some(last) if at.start <= last.end + BETWEEN => last.end = last.end.max(at.end),
            _ => joined.push(at),
        }
    }
    joined
}

/// Everything of a body of which only the label tells that it is private.
pub(super) fn all(leaves: &mut Vec<Leaf>, label: &str, lines: &[&str]) {
    let symbols: usize = lines.iter().map(|line| line.len()).sum();
    parts(leaves, label, lines, std::slice::from_ref(&(0..symbols)));
}

/// Stretches of a body, as a whole and in its lines.
fn parts(leaves: &mut Vec<Leaf>, label: &str, lines: &[&str], stretches: &[Range<usize>]) {
    let symbols = Zeroizing::new(lines.concat());
    let mut at = 0;
    for (number, line) in (1..).zip(lines) {
        let within = |place: usize| place.saturating_sub(at).min(line.len());
        let inside = stretches.iter().map(|stretch| within(stretch.start)..within(stretch.end));
        let private = inside.max_by_key(Range::len).unwrap_or_default();
        at += line.len();
        if private.len() >= SHORTEST_LINE {
            let told = if private.len() >= TELLING { *line } else { &line[private] };
            leaves.push(Leaf::key_line(format!("{label}, line {number}"), told));
        } else if line.len() >= FULL_LINE && !label.starts_with(SAME_LINES) {
            leaves.push(Leaf::public_line(format!("{label}, line {number} by itself"), line));
        }
    }
    let bodies =
        stretches.iter().map(|stretch| Leaf::body(format!("{label}, body"), &symbols[stretch.clone()]));
    leaves.extend(bodies);
}
