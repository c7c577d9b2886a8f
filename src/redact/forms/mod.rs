//! The forms that a value takes in output: tables, a line a kind.
//!
//! A form is looked for in one of two ways. *As it stands*, byte by byte. Or *squeezed*: only its letters
//! and digits, case folded, in a stream that is read the same way; there one form stands for every
//! separator, line width, escape sequence and prefix character between its symbols.

mod numbers;
mod squeezed;
mod texts;
mod written;

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
};

use zeroize::Zeroizing;

use squeezed::{SQUEEZED, SQUEEZED_LINES};
use texts::{Part, texts};

/// An encoded form shorter than this is no needle: it would be found by chance.
const MIN_ENCODED: usize = 6;
/// A squeezed form is looked for when hitting it by chance takes a guess of at least so many bits.
const MIN_BITS: usize = 40;
/// A text longer than this has the plain forms only: its many others would be a burden, and a dump of it
/// is found by its lines.
const MAX_MANY_FORMS: usize = 512;
/// The length of the pieces of a random text that are looked for by themselves.
const PIECE: usize = 16;

/// One form of a value.
pub(super) struct Form {
    /// What kind of form, for counts.
    pub kind: &'static str,
    /// The bytes to look for.
    pub bytes: Zeroizing<Vec<u8>>,
    /// How they are looked for.
    pub sight: Sight,
}

/// How a form is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Sight {
    /// As it stands.
    Exact,
    /// By its letters and digits; what else it holds must stand between them.
    Spelled,
    /// By its letters and digits alone.
    Squeezed,
}

/// Works out the forms of one text, all of a kind.
type Encoder = fn(&[u8]) -> Vec<Vec<u8>>;

/// Every kind of form that is looked for as it stands; each is applied to the whole value, to its
/// unquoted inside, and to each of its lines.
const WRITTEN: &[(&str, Encoder)] = &[
    ("base64", written::base64_forms),
    ("hex", written::hex_forms),
    ("percent", written::percent_forms),
    ("json", written::json_forms),
    ("xml", written::xml_forms),
    ("shell", written::shell_forms),
];

/// Forms of punctuation, looked for as they stand; of short texts only.
const DENSE: &[(&str, Encoder)] =
    &[("base85", numbers::base85_forms), ("uuencode", numbers::uu_forms), ("rot", numbers::rot47_forms)];

/// All forms of a value, longest kinds of text first, no form twice.
pub(super) fn forms(value: &[u8]) -> Vec<Form> {
    let mut forms = Collected::default();
    for part in texts(value) {
        forms.text(&part);
    }
    forms.list
}

#[derive(Default)]
struct Collected {
    list: Vec<Form>,
    /// The forms of each hash, so that no copy of them is kept.
    known: HashMap<u64, Vec<usize>>,
    hashes: RandomState,
}

impl Collected {
    fn text(&mut self, part: &Part) {
        let text = part.bytes.as_slice();
        self.add(part.kind, text.to_vec(), Sight::Exact);
        self.add(part.kind, text.to_vec(), Sight::Spelled);
        for (kind, encode) in WRITTEN {
            let spelled = if matches!(*kind, "base64" | "hex") { Sight::Squeezed } else { Sight::Spelled };
            for encoded in encode(text) {
                self.encoded(kind, encoded.clone(), text);
                self.add(kind, encoded, spelled);
            }
        }
        if text.len() > MAX_MANY_FORMS {
            return;
        }
        for (kind, encode) in DENSE {
            for encoded in encode(text) {
                self.encoded(kind, encoded.clone(), text);
                self.add(kind, encoded, Sight::Squeezed);
            }
        }
        let lines_too = if part.whole { SQUEEZED } else { &[] };
        for (kind, encode) in SQUEEZED_LINES.iter().chain(lines_too) {
            for encoded in encode(text) {
                self.add(kind, encoded, Sight::Squeezed);
            }
        }
        if part.whole {
            self.pieces(text);
        }
    }

    /// What stands as it is must be long enough, and no text of its own.
    fn encoded(&mut self, kind: &'static str, bytes: Vec<u8>, text: &[u8]) {
        if bytes.len() >= MIN_ENCODED && bytes != text {
            self.add(kind, bytes, Sight::Exact);
        }
    }

    /// Every sixteen symbols in a row of a text that looks random: a value that is cut, or split into
    /// long pieces, is masked as far as it goes.
    fn pieces(&mut self, text: &[u8]) {
        let symbols: Vec<u8> = text.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
        if symbols.len() * 10 < text.len() * 7 {
            return;
        }
        for piece in symbols.windows(PIECE).filter(|piece| looks_random(piece)) {
            self.add("part", piece.to_vec(), Sight::Squeezed);
        }
    }

    fn add(&mut self, kind: &'static str, bytes: Vec<u8>, sight: Sight) {
        let bytes = Zeroizing::new(bytes);
        let bytes = match sight {
            Sight::Exact => bytes,
            Sight::Spelled | Sight::Squeezed if !hard_to_guess(&squeeze(&bytes)) => return,
            Sight::Spelled => bytes,
            Sight::Squeezed => squeeze(&bytes),
        };
        let alike = self.known.entry(self.hashes.hash_one((sight, &*bytes))).or_default();
        let known = |at: &usize| self.list[*at].sight == sight && self.list[*at].bytes == bytes;
        if !bytes.is_empty() && !alike.iter().any(known) {
            alike.push(self.list.len());
            self.list.push(Form { kind, bytes, sight });
        }
    }
}

/// Letters and digits, case folded: what the squeezed view of a stream consists of.
pub(super) fn squeeze(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut symbols = Zeroizing::new(Vec::with_capacity(bytes.len()));
    symbols.extend(bytes.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase));
    symbols
}

/// Whether a squeezed form is too long to be hit by chance: by the alphabet that it is drawn from.
fn hard_to_guess(symbols: &[u8]) -> bool {
    let digits = symbols.iter().filter(|symbol| symbol.is_ascii_digit()).count();
    let tenths = match symbols.len() - digits {
        0 => 33,
        _ if symbols.iter().all(u8::is_ascii_hexdigit) => 40,
        _ if digits == 0 => 40,
        _ => 51,
    };
    symbols.len() * tenths >= MIN_BITS * 10
}

/// Whether letters, capitals and digits change places as they do in a key and not in a word or a path.
fn looks_random(symbols: &[u8]) -> bool {
    let class = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
    symbols.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count() >= 5
        && symbols.iter().any(u8::is_ascii_digit)
}
