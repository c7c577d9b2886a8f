//! Lines that are framed alike: a value in pieces is masked but for the first few characters, chunks make no difference.

#![no_main]

use std::sync::LazyLock;

use authy_mcp::testing::{
    names::SecretName,
    redact::{NeedleSet, Needles},
    value::SecretValue,
};
use libfuzzer_sys::fuzz_target;

const VALUE: &str = "Orchid-saddle/Walnut+granite 7 Copper.Velvet";

static SET: LazyLock<NeedleSet> = LazyLock::new(|| {
    let name = SecretName::parse("a").unwrap();
    NeedleSet::new(&[Needles::of(&name, &SecretValue::new(VALUE.as_bytes().to_vec()))])
});

// The first byte says how long the chunks are, the second how long the pieces, the third which frame they stand in; what is
// left are lines around them, a piece of the value for each byte from 128 on.
fuzz_target!(|data: &[u8]| {
    let [chunk, length, frame, rest @ ..] = data else { return };
    let length = 4 + usize::from(length % 32);
    let mut all = Vec::new();
    for (n, piece) in VALUE.as_bytes().chunks(length).enumerate() {
        all.extend_from_slice(framed(*frame, n, std::str::from_utf8(piece).unwrap()).as_bytes());
    }
    let framed_lines = all.len();
    for byte in rest {
        match usize::from(*byte).checked_sub(128) {
            Some(at) => all.extend_from_slice(&VALUE.as_bytes()[at % VALUE.len()..]),
            None => all.push(*byte),
        }
    }
    let whole = redact(all.chunks(all.len()));
    let pieces = redact(all.chunks(usize::from(*chunk).max(1)));
    assert!(whole == pieces, "{:?}\n{:?}", String::from_utf8_lossy(&whole), String::from_utf8_lossy(&pieces));
    let alone = redact(all[..framed_lines].chunks(framed_lines));
    let text = String::from_utf8_lossy(&alone);
    assert!(text.contains("[redacted:a]"), "{text}");
});

fn framed(frame: u8, n: usize, piece: &str) -> String {
    match frame % 6 {
        0 => format!("{:>6}\t{piece}\n", n + 8),
        1 => format!("2026-11-25T10:02:{:02}Z INFO  [worker-3] {piece}\n", n + 8),
        2 => format!("{{\"log\":\"{piece}\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-25T10:02:{:02}Z\"}}\n", n + 8),
        3 => format!("| {:<8} | {piece:<40} | {:<8} |\n", ["api key", ""][n.min(1)], ["", "prod"][n % 2]),
        4 => format!("│ {:<8} │ {piece:<40} │\n", ["api key", ""][n.min(1)]),
        _ => format!("[pod/app-7f9c/web] {piece}\n"),
    }
}

fn redact<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut redactor = SET.redactor();
    let mut out = Vec::new();
    chunks.for_each(|chunk| redactor.push(chunk, &mut out));
    redactor.finish(&mut out);
    out
}
