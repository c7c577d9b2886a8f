//! What a kind of form is.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

/// Works out the forms of one text, all of a kind.
pub(super) type Encoder = fn(&[u8]) -> Vec<Vec<u8>>;

/// A kind of form: what it is called, how it is made, how many bytes of the text some of its forms leave out at
/// either end, and what is left of what has to be guessed where only letters and digits of it count.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) encode: Encoder,
    pub(super) ends: usize,
    pub(super) keeps: Keeps,
}

/// What of a text somebody has to guess who wants to hit a squeezed form of it.
#[derive(Clone, Copy)]
pub(super) enum Keeps {
    /// All: the form is made of letters and digits, and none of them stands for two things.
    All,
    /// Letters and digits, whatever their case.
    Letters,
    /// So many hundredths of the bits: case, or signs, of the encoding are lost.
    Share(u32),
}

pub(super) const fn kind(name: &'static str, encode: Encoder, ends: usize, keeps: Keeps) -> Kind {
    Kind { name, encode, ends, keeps }
}

/// Of six bits a letter loses one, and a sign is none.
pub(super) const BASE64: Keeps = Keeps::Share(80);

/// The characters of base64 (RFC 4648, section 4) that a text alone decides behind `before` other bytes.
pub(super) fn base64_at(text: &[u8], before: usize) -> Vec<u8> {
    let bytes = [vec![0; before].as_slice(), text].concat();
    let encoded = STANDARD_NO_PAD.encode(&bytes).into_bytes();
    let first = (8 * before).div_ceil(6);
    let decided = 8 * bytes.len() / 6;
    encoded.get(first..decided).unwrap_or_default().to_vec()
}
