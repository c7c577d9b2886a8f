//! What a text stands for: each encoding that tools undo by themselves, once; what comes of it is taken apart again.

use zeroize::Zeroizing;

use super::{body::Writing, private::bech32};

/// What an encoding decodes to.
pub(super) enum Decoded {
    Text(Zeroizing<String>),
    /// The bytes of a key.
    Bytes(Zeroizing<Vec<u8>>),
}

/// An encoding: what it is called, and how it is undone.
pub(super) struct Decoder {
    pub(super) name: &'static str,
    pub(super) decode: fn(&str) -> Option<Decoded>,
}

pub(super) const DECODERS: &[Decoder] = &[
    Decoder { name: "base64", decode: base64 },
    Decoder { name: "hex", decode: hex },
    Decoder { name: "bech32", decode: |text| bech32::secret(text).map(Decoded::Bytes) },
    Decoder { name: "percent-decoded", decode: percent },
    Decoder { name: "unescaped", decode: escapes },
    Decoder { name: "unescaped", decode: entities },
];

/// Less is decoded to a word by chance: eight letters are base64, too.
const SHORTEST_BASE64: usize = 8;
const SHORTEST_HEX: usize = 12;
/// Bytes that are no text are a key from 128 bits on, and no longer than a key of RSA with 16,384 bits.
const KEY: std::ops::RangeInclusive<usize> = 16..=8192;

fn base64(text: &str) -> Option<Decoded> {
    let symbols = Zeroizing::new(text.split_ascii_whitespace().collect::<String>());
    let url_safe = symbols.contains(['-', '_']);
    let marked = |c: char| c.is_ascii_alphanumeric() || "+/=-_".contains(c);
    if symbols.len() < SHORTEST_BASE64 || symbols.len() % 4 == 1 || !symbols.chars().all(marked) {
        return None;
    }
    let bytes = Writing::Base64.decode(&symbols)?;
    // Any letters and digits decode to bytes of a key: only what shows that it is base64 counts as one.
    let shown = !url_safe && symbols.contains(['+', '/', '=']) && symbols.len().is_multiple_of(4);
    text_or_key(bytes, shown)
}

fn hex(text: &str) -> Option<Decoded> {
    let symbols = text.strip_prefix("0x").unwrap_or(text);
    if symbols.len() < SHORTEST_HEX {
        return None;
    }
    text_or_key(Writing::Hex.decode(symbols)?, true)
}

fn text_or_key(bytes: Zeroizing<Vec<u8>>, may_be_key: bool) -> Option<Decoded> {
    let printable = |c: char| !c.is_control() || "\n\r\t".contains(c);
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.chars().all(printable) => Some(Decoded::Text(Zeroizing::new(text.to_owned()))),
        _ if may_be_key && KEY.contains(&bytes.len()) => Some(Decoded::Bytes(bytes)),
        _ => None,
    }
}

/// Percent-encoding (RFC 3986, section 2.1).
fn percent(text: &str) -> Option<Decoded> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let pair = behind.get(..2).and_then(|pair| hex::decode(pair).ok());
        match (first, pair) {
            (b'%', Some(byte)) => {
                out.extend(byte);
                rest = &behind[2..];
            }
            _ => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    changed(text, std::str::from_utf8(&out).ok()?)
}

fn changed(text: &str, decoded: &str) -> Option<Decoded> {
    (text != decoded).then(|| Decoded::Text(Zeroizing::new(decoded.to_owned())))
}

/// Escapes of JSON (RFC 8259, section 7) and of what is like it.
fn escapes(text: &str) -> Option<Decoded> {
    if !text.contains('\\') {
        return None;
    }
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        out.push_str(before);
        let kind = behind.chars().next()?;
        let hex =
            |length: usize| behind.get(1..=length).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let (meant, length) = match kind {
            'n' => (Some('\n'), 1),
            'r' => (Some('\r'), 1),
            't' => (Some('\t'), 1),
            'u' => (hex(4).and_then(char::from_u32), 5),
            'x' => (hex(2).and_then(char::from_u32), 3),
            other if !other.is_alphanumeric() => (Some(other), other.len_utf8()),
            _ => (None, 0),
        };
        match meant {
            Some(meant) => out.push(meant),
            None => out.push('\\'),
        }
        rest = if meant.is_some() { &behind[length..] } else { behind };
    }
    out.push_str(rest);
    changed(text, &out)
}

/// Entities of XML.
fn entities(text: &str) -> Option<Decoded> {
    if !text.contains('&') || !text.contains(';') {
        return None;
    }
    changed(text, &quick_xml::escape::unescape(text).ok()?)
}
