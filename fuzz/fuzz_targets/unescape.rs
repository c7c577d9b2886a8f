//! Escapes: a value whose characters are written in any of their ways, once or twice, is masked; chunks make no
//! difference; and text around escapes that hold nothing stays.

#![no_main]

use std::sync::LazyLock;

use authy_mcp::testing::{
    names::SecretName,
    redact::{NeedleSet, Needles},
    value::SecretValue,
};
use libfuzzer_sys::fuzz_target;

const VALUE: &str = "tok_9fQ2xT7v/Lm4Z\"kW8+hN3=ü€Yb1";

static SET: LazyLock<NeedleSet> = LazyLock::new(|| {
    let values = [VALUE, "!!Zx81vw Lq7&'$`\\", "käse-9Xq-брод"];
    let needles: Vec<Needles> = values
        .iter()
        .zip(["a", "b", "c"])
        .map(|(value, name)| {
            Needles::of(&SecretName::parse(name).unwrap(), &SecretValue::new(value.as_bytes().to_vec()))
        })
        .collect();
    NeedleSet::new(&needles)
});

// The first byte says how long the chunks are, the second how often the value is written; the next 64 how each of its
// characters is. What is left is text, before which it stands.
fuzz_target!(|data: &[u8]| {
    let [chunk, times, rest @ ..] = data else { return };
    let (hows, text) = rest.split_at(rest.len().min(64));
    let mut value = VALUE.to_owned();
    for _ in 0..times % 3 {
        value = value.chars().zip(hows.iter().chain([&0]).cycle()).map(|(char, how)| written(char, *how)).collect();
    }
    let all = [b"<", value.as_bytes(), b">", text].concat();
    let whole = redact(all.chunks(all.len()));
    let pieces = redact(all.chunks(usize::from(*chunk).max(1)));
    assert!(whole == pieces, "{:?}\n{:?}", String::from_utf8_lossy(&whole), String::from_utf8_lossy(&pieces));
    assert!(whole.starts_with(b"<[redacted:a]"), "{:?}", String::from_utf8_lossy(&whole));
});

/// A character in one of its writings; what introduces an escape is never left as it is.
fn written(char: char, how: u8) -> String {
    let bytes = |before: &str| -> String {
        char.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("{before}{byte:02X}")).collect()
    };
    match how % 12 {
        0 => bytes("%"),
        1 => bytes("\\x"),
        2 => format!("\\u{:04x}", u32::from(char)),
        3 => format!("&#{};", u32::from(char)),
        4 => format!("&#x{:X};", u32::from(char)),
        5 => format!("\\u{{{:x}}}", u32::from(char)),
        6 => format!("\\x{{{:x}}}", u32::from(char)),
        7 => format!("\\U{:08X}", u32::from(char)),
        8 => format!("%u{:04X}", u32::from(char)),
        9 => char.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:03o}")).collect(),
        _ if matches!(char, '\\' | '%' | '&' | '"' | '\'' | '`' | '=') => format!("\\{char}"),
        _ => char.to_string(),
    }
}

fn redact<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut redactor = SET.redactor();
    let mut out = Vec::new();
    chunks.for_each(|chunk| redactor.push(chunk, &mut out));
    redactor.finish(&mut out);
    out
}
