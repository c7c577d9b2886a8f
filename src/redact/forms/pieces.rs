//! Pieces: what is left of a random value, or of a key, that a program cuts.

use zeroize::Zeroizing;

use super::{
    super::{
        parts::{Extent, Part, looks_random},
        strength::{Profile, common},
    },
    kinds::base64_at,
    numbers::{HEX, joined},
};

/// The length of the pieces of a random text that are looked for by themselves.
const PIECE: usize = 16;
/// Of the symbols of a piece of a key so many are different; nearly all random pieces have more.
const VARIED: usize = 8;
/// Of one value there are so many pieces at most: as many as a key of 4096 bits in PEM has in its lines.
pub(super) const MOST_PIECES: usize = 2560;
/// How hard a piece is to guess is told by so many symbols around it: of a long text the estimate stops early.
const STRETCH: usize = 256;

/// The length of the pieces of a number, in bytes: at each alignment of base64 it decides sixteen symbols.
const NUMBER_PIECE: usize = 13;
/// All numbers of a value have so many pieces, each in five writings.
const MOST_NUMBER_PIECES: usize = 128;

/// Symbols of a text that are looked for by themselves, and the bits of a guess that hits them.
pub(super) struct Piece {
    pub(super) symbols: Zeroizing<Vec<u8>>,
    pub(super) bits: f64,
}

/// Which pieces of a text tell something.
#[derive(Clone, Copy)]
enum Of {
    /// Those that look random.
    AnyText,
    /// Nearly all: it is known to be private.
    Key,
}

/// How far from each other the pieces of all keys of a value stand: what has many keys has as many pieces of each.
#[derive(Default)]
pub(super) struct Steps {
    /// In symbols of their bodies.
    pub(super) body: usize,
    /// In bytes of their numbers.
    pub(super) number: usize,
}

impl Steps {
    pub(super) fn of(parts: &[Part]) -> Self {
        let step = |extent: Extent, most: usize| {
            let of_kind = parts.iter().filter(|part| part.extent == extent);
            of_kind.map(|part| part.bytes.len()).sum::<usize>().div_ceil(most).max(1)
        };
        Self { body: step(Extent::Body, MOST_PIECES), number: step(Extent::Number, MOST_NUMBER_PIECES) }
    }
}

/// Pieces of a text that look random: as many as there is room for, evenly.
pub(super) fn of_random(text: &[u8], room: usize) -> Vec<Piece> {
    let windows = (text.len() + 1).saturating_sub(PIECE);
    let mut pieces = if room == 0 { Vec::new() } else { of_text(text, Of::AnyText, windows.div_ceil(room)) };
    pieces.truncate(room);
    pieces
}

/// Pieces of the body of a key.
pub(super) fn of_body(text: &[u8], step: usize) -> Vec<Piece> {
    of_text(text, Of::Key, step)
}

/// Every sixteen symbols in a row, so that a value that is cut, or split into long pieces, is masked as far as it goes;
/// of a long text those that stand so many symbols from each other. What every key of its kind has in common is no piece
/// of this one.
fn of_text(text: &[u8], of: Of, step: usize) -> Vec<Piece> {
    let places: Vec<usize> = (0..text.len()).filter(|at| text[*at].is_ascii_alphanumeric()).collect();
    if places.len() * 10 < text.len() * 7 || places.len() < PIECE {
        return Vec::new();
    }
    let common = common(text);
    let mut pieces = Vec::new();
    for from in (0..=places.len() - PIECE).step_by(STRETCH) {
        let stretch = &places[from..places.len().min(from + STRETCH + PIECE - 1)];
        let first = stretch[0];
        let profile = Profile::of(&text[first..=stretch[stretch.len() - 1]]);
        for piece in stretch.windows(PIECE).step_by(step) {
            let (start, end) = (piece[0], piece[PIECE - 1] + 1);
            let symbols = Zeroizing::new(piece.iter().map(|at| text[*at]).collect::<Vec<u8>>());
            let known = common.iter().any(|range| range.start < end && start < range.end);
            if of.tells(&symbols) && !known {
                pieces.push(Piece { symbols, bits: profile.folded_between(start - first, end - first) });
            }
        }
    }
    pieces
}

impl Of {
    fn tells(self, symbols: &[u8]) -> bool {
        match self {
            Self::AnyText => looks_random(symbols),
            Self::Key => {
                let folded = |at: usize| symbols[at].to_ascii_lowercase();
                let new =
                    (0..symbols.len()).filter(|at| (0..*at).all(|before| folded(before) != folded(*at)));
                new.count() >= VARIED
            }
        }
    }
}

/// Pieces of a number, `step` bytes from each other: its bytes, and what is looked for by letters and digits. A key that
/// is a text (a passphrase in a JWK, a password in a store) has none: a piece of it may be words.
pub(super) fn of_number(
    number: &[u8],
    step: usize,
) -> impl Iterator<Item = (&[u8], [Zeroizing<Vec<u8>>; 4])> {
    let is_text = |piece: &&[u8]| std::str::from_utf8(piece).is_ok();
    number.windows(NUMBER_PIECE).step_by(step).filter(move |piece| !is_text(piece)).map(|piece| {
        let [one, two, three] = [0, 1, 2].map(|before| base64_at(piece, before));
        (piece, [one, two, three, joined(piece, "", HEX)].map(Zeroizing::new))
    })
}
