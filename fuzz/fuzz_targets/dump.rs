//! Dumps: chunks make no difference, whatever the columns are; what a dump of some layout shows of a value is masked; and
//! reading costs no more than the lines allow.

#![no_main]

use std::{fmt::Write as _, sync::LazyLock};

use authy_mcp::testing::{
    names::SecretName,
    redact::{NeedleSet, Needles},
    value::SecretValue,
};
use libfuzzer_sys::fuzz_target;

const VALUE: &[u8] = b"Orchid-saddle/Walnut+granite 7 Copper.Velvet";
/// What dumps are made of.
const PIECES: [&str; 24] = [
    "00000010: ", "0000020 ", "\n", " ", "  ", "\t", "65", "6563", "65636574", "0x63", "163", "062563", "115 ", "01100101 ",
    "   e", "  \\n", "|", "*\n", "│", "[pod/app] ", "\x1b[32m", "- ", ",", "<buf+16>:",
];

static SET: LazyLock<NeedleSet> = LazyLock::new(|| {
    let name = SecretName::parse("a").unwrap();
    NeedleSet::new(&[Needles::of(&name, &SecretValue::new(VALUE.to_vec()))])
});

// The first byte says how long the chunks are, the next three which layout the value is dumped in; what is left are
// pieces of dumps, or bytes as they are from 24 on.
fuzz_target!(|data: &[u8]| {
    let [chunk, size, base, words, rest @ ..] = data else { return };
    let mut all = dump(1 << (size % 4), *base, 2 + usize::from(words % 15)).into_bytes();
    for byte in rest {
        match PIECES.get(usize::from(*byte)) {
            Some(piece) => all.extend_from_slice(piece.as_bytes()),
            None => all.push(*byte),
        }
    }
    let whole = redact(all.chunks(all.len()));
    let pieces = redact(all.chunks(usize::from(*chunk).max(1)));
    assert!(whole == pieces, "{:?}\n{:?}", String::from_utf8_lossy(&whole), String::from_utf8_lossy(&pieces));
    let text = String::from_utf8_lossy(&whole);
    assert!(text.contains("[redacted:a]"), "{text}");
});

/// The value behind some text, so many bytes a word and words a line.
fn dump(size: usize, base: u8, words: usize) -> String {
    let text = [b"Some text in front of it: ".as_slice(), VALUE, b", and some behind.      "].concat();
    let mut out = String::new();
    for (n, row) in text.chunks(size * words).enumerate() {
        write!(out, "{:08x}:", n * size * words).unwrap();
        for word in row.chunks(size) {
            let number = word.iter().chain(&[0; 8]).take(size).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            let bits = 8 * size;
            match base % 4 {
                0 => write!(out, " {number:0width$x}", width = bits / 4),
                1 => write!(out, " {number:0width$o}", width = bits.div_ceil(3)),
                2 => write!(out, " {number:>width$}", width = [3, 5, 10, 20][size.ilog2() as usize]),
                _ => write!(out, " {number:0bits$b}"),
            }
            .unwrap();
        }
        out.push('\n');
    }
    out
}

fn redact<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut redactor = SET.redactor();
    let mut out = Vec::new();
    chunks.for_each(|chunk| redactor.push(chunk, &mut out));
    redactor.finish(&mut out);
    out
}
