//! The secret parts of a value: what of a document, a URL or a settings file is used by itself, and so printed by itself.
//!
//! A value is taken apart once. Each reader of a table is asked whether the text is of its format and gives its leaves;
//! a leaf is a part if its key says that it is a secret or it looks like one (`look.rs`); and each leaf is decoded once
//! and taken apart again. A line or a word is a part only if it would pass as a value itself: `apiVersion: v1`, `end` or
//! a boundary of PEM is none. Pure, and bounded in depth, parts and bytes.

mod armour;
mod body;
mod columns;
mod decode;
mod documents;
mod fields;
mod fuzzing;
mod keys;
mod leaf;
mod look;
mod masked;
mod private;
mod prose;
mod settings;
mod tokens;
mod tree;
mod url;
mod xml;

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
};

use zeroize::Zeroizing;

use super::strength::is_guessable;
use decode::{DECODERS, Decoded};
#[doc(hidden)]
pub use fuzzing::taken_apart;
pub(super) use leaf::Extent;
use leaf::{Content, Leaf, Read, Reader, Sense, inside};
pub(super) use look::looks_random;
pub(crate) use masked::{Masked, MaskedPart, masked};
use private::Container;

/// A value shorter than this is no needle: masking it would mask everything. The vault takes one only
/// with `--allow-weak`, and says so.
const SHORTEST_VALUE: usize = 4;
/// A structure inside of a structure: a manifest, a field in base64, a settings file, a URL, a parameter, percent-encoding
/// are six, and each may be decoded before it is read.
const DEEPEST: usize = 12;
/// Each part has a hundred forms and more; a bundle of settings has some dozens, a key of 16,384 bits 200 lines.
const MOST_PARTS: usize = 512;
/// Bytes that are looked at, all levels together: four times the largest value, and of a short one no more than every level
/// of it twice, and a little.
const MOST_WORK: usize = 4 * crate::value::MAX_VALUE_BYTES;
const WORK_A_BYTE: usize = 2 * (DEEPEST + 1);
const WORK_ONCE: usize = 1 << 10;

/// So many bytes of a key tell that it is hard to guess.
const ENOUGH: usize = 64;

/// What the value itself is called.
const WHOLE: &str = "the whole value";

/// A text that is looked for.
pub(super) struct Part {
    /// Where in the value it stands.
    pub(super) place: String,
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) extent: Extent,
    /// Whether a piece of it is a secret, too: it is no document, of which pieces stand in others of its kind.
    pub(super) in_pieces: bool,
}

/// The parts of a value.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) list: Vec<Part>,
    /// Whether there was more than is looked for.
    cut_short: bool,
    known: HashMap<u64, Vec<usize>>,
    hashes: RandomState,
    work: usize,
    most_work: usize,
}

/// Formats, in the order in which a text is tried for them: what begins in a way of its own, then what a look at every
/// line decides, then what nearly every text may be.
const READERS: &[Reader] = &[
    documents::json,
    xml::xml,
    armour::armour,
    tokens::jwt,
    tokens::scheme,
    url::urls,
    columns::netrc,
    columns::cookies,
    columns::pgpass,
    columns::table,
    documents::toml,
    documents::yaml,
    fields::fields,
    columns::pairs,
    settings::settings,
    tokens::words,
    prose::prose,
];

/// What taking a text apart has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// It has no structure.
    Whole,
    /// It has one, and no secret in it.
    ToNothing,
    /// It is public.
    Public,
    /// There are parts in it.
    ToParts,
}

/// Takes a value apart; none of it if it is too short.
pub(super) fn parts(value: &[u8]) -> Parts {
    let most_work = MOST_WORK.min(WORK_ONCE + WORK_A_BYTE * value.len());
    let mut parts = Parts { most_work, ..Parts::default() };
    if value.len() < SHORTEST_VALUE {
        return parts;
    }
    let trimmed = value.trim_ascii();
    let inside = unquoted(trimmed).unwrap_or(trimmed);
    let texts = [
        (WHOLE, value),
        ("the value without space around it", trimmed),
        ("the value without its quotes", inside),
    ];
    for (place, text) in texts.iter().filter(|(_, text)| text.len() >= SHORTEST_VALUE) {
        parts.add(place, text, Extent::Whole, Came::ToNothing);
    }
    let own = parts.list.len();
    if let Some(Container::Private(numbers)) = private::read(value) {
        numbers.into_iter().for_each(|number| parts.leaf(&body::of("key", number), "", "", 0));
        return parts;
    }
    let Ok(text) = std::str::from_utf8(inside) else { return parts };
    if parts.take(text, "", Sense::Likely, 0) == Came::Whole {
        parts.list[..own].iter_mut().for_each(|part| part.in_pieces = true);
    }
    parts
}

fn unquoted(value: &[u8]) -> Option<&[u8]> {
    match value {
        [open @ (b'"' | b'\''), inside @ .., close] if open == close && !has_quote(inside, *open) => {
            Some(inside)
        }
        _ => None,
    }
}

/// Whether a quote stands inside: then those at the ends belong to two texts, as in a row of a table.
fn has_quote(inside: &[u8], quote: u8) -> bool {
    (0..inside.len()).any(|at| inside[at] == quote && (at == 0 || inside[at - 1] != b'\\'))
}

impl Parts {
    /// Takes a text apart, whose leaves and what they decode to become parts.
    fn take(&mut self, text: &str, place: &str, sense: Sense, depth: usize) -> Came {
        let text = text.trim();
        if text.len() < look::SHORTEST {
            return Came::Whole;
        }
        if depth > DEEPEST || self.work + text.len() > self.most_work || self.list.len() >= MOST_PARTS {
            self.cut_short = true;
            return Came::Whole;
        }
        self.work += text.len();
        match READERS.iter().find_map(|read| read(text, sense)) {
            Some(Read::Public) => Came::Public,
            Some(Read::Leaves(leaves)) => {
                let before = self.list.len();
                leaves.into_iter().for_each(|leaf| self.leaf(&leaf, text, place, depth));
                if self.list.len() > before { Came::ToParts } else { Came::ToNothing }
            }
            None => self.decode(text, place, sense, depth),
        }
    }

    fn leaf(&mut self, leaf: &Leaf, of: &str, outer: &str, depth: usize) {
        let place = inside(outer, &leaf.place);
        let written = match &leaf.content {
            Content::Text(text) => text,
            Content::Bytes(bytes) => return self.bytes(&place, bytes, leaf.extent),
        };
        // A line of a key stands for nothing but itself; and what is no shorter than what it was read from is the same in
        // other words, which would be taken for it again at every level.
        let line = leaf.extent != Extent::Whole && leaf.sense == Sense::Secret;
        let alone = line || written.trim().len() >= of.len();
        let came = if alone { Came::Whole } else { self.take(written, &place, leaf.sense, depth + 1) };
        let text = written.trim();
        // What has a secret in it is one as a whole, as a URL is; not so a text in which one stands, as `Bearer …`.
        let holds = came == Came::ToParts && leaf.extent == Extent::Whole;
        let is_part = match holds {
            true if text.contains(char::is_whitespace) => leaf.sense == Sense::Secret,
            true => true,
            false => look::is_part(leaf.sense, leaf.extent, text),
        };
        if came != Came::Public && is_part {
            self.add(&place, text.as_bytes(), leaf.extent, came);
        }
    }

    /// Bytes of a key; what is easily guessed is a key for tests.
    fn bytes(&mut self, place: &str, bytes: &[u8], extent: Extent) {
        if bytes.len() >= private::SHORTEST && !is_guessable(&bytes[..bytes.len().min(ENOUGH)]) {
            self.add(place, bytes, extent, Came::ToNothing);
        }
    }

    /// What a text stands for in each encoding that it may be in.
    fn decode(&mut self, text: &str, place: &str, sense: Sense, depth: usize) -> Came {
        let mut came = Came::Whole;
        for decoder in DECODERS {
            let place = inside(place, decoder.name);
            match (decoder.decode)(text) {
                Some(Decoded::Text(decoded)) => {
                    let inner = self.take(&decoded, &place, sense, depth + 1);
                    if inner != Came::Public && look::is_part(sense, Extent::Whole, &decoded) {
                        self.add(&place, decoded.trim().as_bytes(), Extent::Whole, inner);
                    }
                    came = if inner == Came::Whole { came } else { inner };
                }
                Some(Decoded::Bytes(key)) if look::is_part(sense, Extent::Whole, text) => {
                    self.add(&place, &key, Extent::Whole, Came::ToNothing);
                }
                _ => {}
            }
        }
        came
    }

    /// Notes a part, unless it is known.
    fn add(&mut self, place: &str, bytes: &[u8], extent: Extent, came: Came) {
        let in_pieces = came == Came::Whole && extent != Extent::KeyLine;
        let alike = self.known.entry(self.hashes.hash_one(bytes)).or_default();
        if let Some(at) = alike.iter().copied().find(|at| *self.list[*at].bytes == bytes) {
            let part = &mut self.list[at];
            part.in_pieces |= in_pieces;
            part.extent = part.extent.max(extent);
        } else if self.list.len() < MOST_PARTS {
            alike.push(self.list.len());
            let bytes = Zeroizing::new(bytes.to_vec());
            self.list.push(Part { place: place.to_owned(), bytes, extent, in_pieces });
        } else {
            self.cut_short = true;
        }
    }
}
