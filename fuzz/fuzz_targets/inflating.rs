//! Compressed data: what is looked into costs no more than its budget, chunks make no difference, what is given out are bytes
//! of the input and masks, and a whole container with a value is masked, or said not to be looked into.

#![no_main]

use std::{
    io::{Read as _, Write as _},
    sync::LazyLock,
};

use authy_mcp::testing::{
    names::SecretName,
    redact::{NeedleSet, Needles},
    value::SecretValue,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write};
use libfuzzer_sys::fuzz_target;

const VALUE: &[u8] = b"sk-live/9fQ2xT7vLm4Z+kW8";
const MASK: &[u8] = b"[redacted:a]";

static SET: LazyLock<NeedleSet> = LazyLock::new(|| {
    let name = SecretName::parse("a").expect("a name");
    NeedleSet::new([&Needles::of(&name, &SecretValue::new(VALUE.to_vec()))])
});

// How long the chunks are; layers of container and writing; how the outermost is changed, and where. The rest is data, in
// containers with the value behind it, else as it stands.
fuzz_target!(|data: &[u8]| {
    let [chunk, layers, change, at, rest @ ..] = data else { return };
    let mut text = rest.to_vec();
    if *layers > 0 {
        text.extend_from_slice(VALUE);
        for layer in 0..=layers % 3 {
            text = written(layers >> 2 ^ layer, &packed(layers >> 4 ^ layer, &text));
        }
    }
    let whole_container = *layers > 0 && change % 4 == 0;
    let place = usize::from(*at) * text.len() / 256;
    match change % 4 {
        1 => text.truncate(place),
        2 if place < text.len() => text[place] ^= change,
        3 => text.extend_from_within(place..),
        _ => {}
    }
    let (whole, said) = redact(&text, text.len().max(1));
    let (pieces, _) = redact(&text, usize::from(*chunk).max(1));
    assert!(whole == pieces, "{:?}\n{:?}", String::from_utf8_lossy(&whole), String::from_utf8_lossy(&pieces));
    assert!(is_of(&whole, &text), "{:?} of {:?}", whole, text);
    assert!(!whole_container || said || whole != text, "{text:?}");
});

fn packed(how: u8, data: &[u8]) -> Vec<u8> {
    match how % 4 {
        0 => {
            let mut gzip = write::GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(data).expect("memory");
            gzip.finish().expect("memory")
        }
        1 => {
            let mut zlib = write::ZlibEncoder::new(Vec::new(), Compression::fast());
            zlib.write_all(data).expect("memory");
            zlib.finish().expect("memory")
        }
        2 => {
            let mut bzip2 = Vec::new();
            let mut encoder = bzip2::read::BzEncoder::new(data, bzip2::Compression::fast());
            encoder.read_to_end(&mut bzip2).expect("memory");
            bzip2
        }
        _ => ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest),
    }
}

fn written(how: u8, data: &[u8]) -> Vec<u8> {
    match how % 4 {
        0 => STANDARD.encode(data).into_bytes(),
        1 => STANDARD.encode(data).into_bytes().chunks(76).flat_map(|line| [line, b"\n"].concat()).collect(),
        2 => data.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect(),
        _ => data.to_vec(),
    }
}

/// What is given out, and whether something was not looked into.
fn redact(text: &[u8], chunk: usize) -> (Vec<u8>, bool) {
    let mut redactor = SET.redactor();
    let mut out = Vec::new();
    for chunk in text.chunks(chunk) {
        redactor.push(chunk, &mut out);
        let (cost, most) = redactor.cost();
        assert!(cost <= most, "{cost} is more than {most}");
    }
    redactor.finish(&mut out);
    (out, !redactor.not_looked_into().is_empty())
}

/// Whether an output is its input with masks in the place of some bytes.
fn is_of(out: &[u8], text: &[u8]) -> bool {
    let mut rest = text;
    let mut begins = true;
    let mut left = out;
    loop {
        let next = left.windows(MASK.len()).position(|window| window == MASK);
        let piece = &left[..next.unwrap_or(left.len())];
        let found = match (begins, next) {
            (true, _) => rest.starts_with(piece).then_some(0),
            (false, None) => rest.len().checked_sub(piece.len()).filter(|at| rest[*at..] == *piece),
            (false, Some(_)) if piece.is_empty() => Some(0),
            (false, Some(_)) => rest.windows(piece.len()).position(|window| window == piece),
        };
        let Some(at) = found else { return false };
        rest = &rest[at + piece.len()..];
        let Some(next) = next else { return begins || rest.is_empty() };
        left = &left[next + MASK.len()..];
        begins = false;
    }
}
