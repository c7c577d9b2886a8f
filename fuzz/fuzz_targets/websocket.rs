//! WebSockets: how bytes arrive makes no difference, what comes out is frames again, and a message is scrubbed, or
//! replaced in, as a whole, however it is cut into frames.

#![no_main]

use std::sync::LazyLock;

use authy_mcp::testing::{
    names::SecretName,
    proxy::Proxy,
    redact::Needles,
    value::SecretValue,
};
use libfuzzer_sys::fuzz_target;

const VALUE: &[u8] = b"sk-live/9fQ2xT7vLm4Z+kW8";
const PLACEHOLDER: &str = "ph_0123456789";
/// Differs inside of JSON.
const REPLACEMENT: (&str, &[u8]) = (PLACEHOLDER, b"a\"b");
static PROXY: LazyLock<Proxy> = LazyLock::new(|| {
    let needles = Needles::of(&SecretName::parse("a").unwrap(), &SecretValue::new(VALUE.to_vec()));
    Proxy::new(vec![needles]).expect("a proxy without a network")
});

/// Who sends, and so who gets.
#[derive(Clone, Copy, PartialEq)]
enum Sender {
    Host,
    Program,
}

// The first byte says who sends and whether frames or a message follow, the second how the bytes come.
fuzz_target!(|data: &[u8]| {
    let [kind, chunk, rest @ ..] = data else { return };
    let from = if kind & 1 == 0 { Sender::Host } else { Sender::Program };
    let chunk = usize::from(*chunk) + 1;
    if kind & 2 == 0 {
        let whole = relay(from, rest, rest.len().max(1));
        assert_eq!(relay(from, rest, chunk), whole);
    } else {
        one_message(from, kind & 4 != 0, chunk, rest);
    }
});

/// Bytes from 128 on stand for what is looked for; the frames of the message have these many bytes.
fn one_message(from: Sender, text: bool, length: usize, bytes: &[u8]) {
    let special = if from == Sender::Host { VALUE } else { PLACEHOLDER.as_bytes() };
    let message: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| if *byte < 128 { std::slice::from_ref(byte) } else { special })
        .copied()
        .collect();
    let opcode = if text { 1 } else { 2 };
    let pieces: Vec<&[u8]> = if message.is_empty() { vec![&[]] } else { message.chunks(length).collect() };
    let mut frames = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let last = if number + 1 == pieces.len() { 0x80 } else { 0 };
        frames.push(last | if number == 0 { opcode } else { 0 });
        let mask = if from == Sender::Program { 0x80 } else { 0 };
        frames.push(mask | if piece.len() < 126 { piece.len() as u8 } else { 126 });
        if piece.len() >= 126 {
            frames.extend((piece.len() as u16).to_be_bytes());
        }
        if from == Sender::Program {
            frames.extend(length.to_be_bytes().last_chunk::<4>().expect("eight bytes"));
        }
        let key = length.to_be_bytes();
        let mask =
            |(at, byte): (usize, &u8)| if from == Sender::Program { byte ^ key[4 + at % 4] } else { *byte };
        frames.extend(piece.iter().enumerate().map(mask));
    }
    let expected = match from {
        Sender::Host => scrubbed(&message),
        Sender::Program if text => replaced(&message),
        Sender::Program => message,
    };
    let out = relay(from, &frames, frames.len());
    assert!(out.iter().skip(1).all(|(_, opcode, _)| *opcode == 0));
    assert_eq!(out.first().map(|(_, opcode, _)| *opcode), Some(opcode));
    assert!(out.last().is_some_and(|(last, _, _)| *last));
    assert_eq!(out.into_iter().flat_map(|(_, _, payload)| payload).collect::<Vec<u8>>(), expected);
}

fn scrubbed(message: &[u8]) -> Vec<u8> {
    let out = PROXY.scrubbed(message);
    assert!(out.len() == message.len() && !out.windows(VALUE.len()).any(|window| window == VALUE));
    out
}

fn replaced(message: &[u8]) -> Vec<u8> {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(message).is_ok();
    let text = std::str::from_utf8(message).expect("ASCII");
    text.replace(PLACEHOLDER, if is_json { "a\\\"b" } else { "a\"b" }).into_bytes()
}

/// What becomes of frames that come in such chunks: whether a frame is its message's last, its opcode, its payload.
fn relay(from: Sender, bytes: &[u8], chunk: usize) -> Vec<(bool, u8, Vec<u8>)> {
    let chunks: Vec<&[u8]> = bytes.chunks(chunk).collect();
    let out = match from {
        Sender::Host => PROXY.to_program(&chunks),
        Sender::Program => PROXY.to_host(Some(REPLACEMENT), &chunks),
    };
    let (mut rest, mut frames) = (out.as_slice(), Vec::new());
    let mut open = false;
    while !rest.is_empty() {
        let (last, opcode, length) = (rest[0] & 0x80 != 0, rest[0] & 0x0f, rest[1] & 0x7f);
        assert!(rest[0] & 0x70 == 0 && (rest[1] & 0x80 != 0) == (from == Sender::Program));
        let (length, at) = match length {
            127 => (u64::from_be_bytes(*rest[2..].first_chunk().expect("a length")) as usize, 10),
            126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
            short => (usize::from(short), 2),
        };
        let mask = if from == Sender::Program { *rest[at..].first_chunk().expect("a mask") } else { [0; 4] };
        let at = if from == Sender::Program { at + 4 } else { at };
        let payload =
            rest[at..at + length].iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
        if opcode >= 8 {
            assert!(last && length <= 125);
        } else {
            assert_eq!(open, opcode == 0);
            open = !last;
        }
        frames.push((last, opcode, payload));
        rest = &rest[at + length..];
    }
    frames
}
