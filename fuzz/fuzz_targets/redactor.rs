//! The redactor: chunks make no difference, and no written form that stands in the text is left.

#![no_main]

use std::sync::LazyLock;

use authy_mcp::testing::{
    names::SecretName,
    redact::{NeedleSet, Needles},
    value::SecretValue,
};
use libfuzzer_sys::fuzz_target;

static NEEDLES: LazyLock<Vec<Needles>> = LazyLock::new(|| {
    let values: [&[u8]; 3] = [b"sk-live/9fQ2xT7vLm4Z+kW8", b"!!Zx81vw Lq7!!", b"ab12"];
    let named = values.iter().zip(["a", "b", "c"]);
    named
        .map(|(value, name)| {
            Needles::of(&SecretName::parse(name).unwrap(), &SecretValue::new(value.to_vec()))
        })
        .collect()
});
static SET: LazyLock<NeedleSet> = LazyLock::new(|| NeedleSet::new(NEEDLES.iter()));

// The first byte says how long the chunks are; bytes from 128 on stand for whole forms.
fuzz_target!(|data: &[u8]| {
    let Some((chunk, rest)) = data.split_first() else { return };
    let forms: Vec<&[u8]> = NEEDLES.iter().flat_map(Needles::literal).collect();
    let mut text = Vec::new();
    for byte in rest {
        match byte.checked_sub(128) {
            Some(number) => text.extend_from_slice(forms[usize::from(number) % forms.len()]),
            None => text.push(*byte),
        }
    }
    let whole = redact(text.chunks(text.len().max(1)));
    let pieces = redact(text.chunks(usize::from(*chunk).max(1)));
    assert!(whole == pieces, "{:?}\n{:?}", String::from_utf8_lossy(&whole), String::from_utf8_lossy(&pieces));
    let value: &[u8] = b"sk-live/9fQ2xT7vLm4Z+kW8";
    assert!(!whole.windows(value.len()).any(|window| window == value));
    let stands_there = forms.iter().any(|form| text.windows(form.len()).any(|window| window == *form));
    assert!(!stands_there || SET.finds(&text).total() > 0);
});

fn redact<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut redactor = SET.redactor();
    let mut out = Vec::new();
    chunks.for_each(|chunk| redactor.push(chunk, &mut out));
    redactor.finish(&mut out);
    out
}
