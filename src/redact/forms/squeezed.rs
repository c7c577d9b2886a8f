//! Forms that are looked for squeezed: encodings of which only letters and digits count.
//!
//! So `73 65`, `73:65`, `xxd -p` and a wrapped dump are one form, and base64
//! of any width another. What the encoder puts between bytes and is a letter or digit itself (`0x`, `u00`)
//! makes a form of its own.

use super::{
    kinds::{BASE64, Keeps, Kind, base64_at, kind},
    numbers::{
        BITS, DECIMAL, DECIMAL_PADDED, HEX, OCTAL, OCTAL_PLAIN, base32_forms, base58_forms, integer_forms,
        joined, word_forms,
    },
};

/// Applied to values and to each line of a value.
pub(super) const SQUEEZED_LINES: &[Kind] = &[
    kind("reversed", |text| vec![reversed(text)], 0, Keeps::Letters),
    kind("reversed", |text| vec![base64_at(text, 0).into_iter().rev().collect()], 1, BASE64),
    kind("hex", hex_forms, 1, Keeps::All),
    kind("octal", |text| vec![joined(text, "", OCTAL)], 0, Keeps::All),
    kind("decimal", |text| vec![joined(text, "", DECIMAL), joined(text, "", DECIMAL_PADDED)], 0, Keeps::All),
    // Words of eight bytes, from every byte on that one may begin at.
    kind("words", word_forms, 7, Keeps::All),
];

/// Applied to values, and to numbers of any length.
pub(super) const INTEGERS: &[Kind] = &[kind("integer", integer_forms, 0, Keeps::All)];

/// Applied to values only.
pub(super) const SQUEEZED: &[Kind] = &[
    kind("base64", base64_of_encodings, 2, BASE64),
    kind("base32", base32_forms, 1, Keeps::All),
    kind("base58", base58_forms, 0, Keeps::Share(80)),
    kind("octal", |text| vec![joined(text, "0o", OCTAL_PLAIN), joined(text, "", OCTAL_PLAIN)], 0, Keeps::All),
    kind("binary", |text| vec![joined(text, "", BITS), joined(text, "0b", BITS)], 0, Keeps::All),
    kind("rot", |text| vec![rotated(text), mirrored(text)], 0, Keeps::Letters),
    kind("utf-16", wide_forms, 0, Keeps::All),
    kind("spread", spread_forms, 0, Keeps::Letters),
];

/// Plain; as `0x41`, `U+0041`; of the encodings of a value. Where hex digits stand behind what begins an escape, as in
/// `\x41`, the escape is undone.
fn hex_forms(text: &[u8]) -> Vec<Vec<u8>> {
    let mut forms: Vec<Vec<u8>> = ["", "0x", "u00"].map(|before| joined(text, before, HEX)).into();
    if !text.is_ascii() {
        // `\xc3` is undone as well; but what stands between two bytes may be anything only beside letters and digits.
        forms.push(joined(text, "x", HEX));
    }
    forms.push(joined(text, "", HEX).into_iter().rev().collect());
    forms.extend((0..3).map(|before| joined(&base64_at(text, before), "", HEX)));
    forms
}

fn reversed(text: &[u8]) -> Vec<u8> {
    text.iter().rev().copied().collect()
}

/// Each letter thirteen further.
fn rotated(text: &[u8]) -> Vec<u8> {
    let turn = |byte: u8, first: u8| first + (byte - first + 13) % 26;
    let rotate = |byte: &u8| match byte {
        b'a'..=b'z' => turn(*byte, b'a'),
        b'A'..=b'Z' => turn(*byte, b'A'),
        _ => *byte,
    };
    text.iter().map(rotate).collect()
}

/// The alphabet turned around, as atbash does.
fn mirrored(text: &[u8]) -> Vec<u8> {
    let mirror = |byte: &u8| match byte {
        b'a'..=b'z' => b'a' + (b'z' - byte),
        b'A'..=b'Z' => b'A' + (b'Z' - byte),
        _ => *byte,
    };
    text.iter().map(mirror).collect()
}

/// Base64 of base64, of hex, of the reversed text, of UTF-16: at every alignment.
fn base64_of_encodings(text: &[u8]) -> Vec<Vec<u8>> {
    let mut inner: Vec<Vec<u8>> = (0..3).map(|before| base64_at(text, before)).collect();
    inner.extend([
        joined(text, "", HEX),
        joined(text, "", HEX).to_ascii_uppercase(),
        reversed(text),
        wide(text, 1),
    ]);
    inner.iter().flat_map(|inner| (0..3).map(|before| base64_at(inner, before))).collect()
}

/// Zero bytes between a text's: what UTF-16 and UTF-32 of either order have in common.
fn wide(text: &[u8], zeros: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * (zeros + 1));
    for (index, byte) in text.iter().enumerate() {
        if index > 0 {
            out.resize(out.len() + zeros, 0);
        }
        out.push(*byte);
    }
    out
}

fn wide_forms(text: &[u8]) -> Vec<Vec<u8>> {
    [1, 3].map(|zeros| joined(&wide(text, zeros), "", HEX)).into()
}

/// Every character twice; every character with its place in the row before it, from 0 and from 1.
fn spread_forms(text: &[u8]) -> Vec<Vec<u8>> {
    let doubled = text.iter().flat_map(|byte| [*byte, *byte]).collect();
    let numbered = |from: usize| -> Vec<u8> {
        let numbered = text.iter().enumerate();
        numbered.flat_map(|(at, byte)| [(at + from).to_string().as_bytes(), &[*byte]].concat()).collect()
    };
    vec![doubled, numbered(0), numbered(1)]
}
