//! What of a value is looked for: itself, what is inside its quotes, its lines, and the secret inside of a
//! connection string or a JSON document.

use serde_json::Value;
use zeroize::Zeroizing;

use crate::redact::weak::is_found_everywhere;

/// A value shorter than this is no needle: masking it would mask everything. The vault takes one only
/// with `--allow-weak`, and says so.
const MIN_VALUE: usize = 4;
/// A line of a multi-line value shorter than this is no needle.
const MIN_LINE: usize = 3;
/// Beside a line of at least `LONG_LINE` bytes, one shorter than this tells nothing: the end of a PEM body.
const MIN_LINE_BESIDE_LONG: usize = 8;
const LONG_LINE: usize = 32;
/// A string inside a JSON document shorter than this is a setting.
const MIN_LEAF: usize = 16;

/// A text that is looked for.
pub(super) struct Part {
    pub(super) kind: &'static str,
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Whether it is a secret of its own, or one of many lines.
    pub(super) whole: bool,
}

/// The texts of a value; none of one that is too short.
pub(super) fn variants(value: &[u8]) -> Vec<Part> {
    let mut variants = Vec::new();
    if value.len() < MIN_VALUE {
        return variants;
    }
    whole(&mut variants, value);
    let trimmed = value.trim_ascii();
    for inside in [Some(trimmed), unquoted(trimmed)].into_iter().flatten() {
        if inside.len() < value.len() && inside.len() >= MIN_VALUE {
            whole(&mut variants, inside);
        }
    }
    match serde_json::from_slice::<Value>(trimmed) {
        Ok(document @ (Value::Object(_) | Value::Array(_))) => leaves(&mut variants, &document),
        _ => lines(&mut variants, value),
    }
    if let Some(password) = password(trimmed) {
        whole(&mut variants, password);
        whole(&mut variants, &percent_decoded(password));
    }
    variants
}

fn whole(variants: &mut Vec<Part>, bytes: &[u8]) {
    variants.push(Part { kind: "raw", bytes: Zeroizing::new(bytes.to_vec()), whole: true });
}

fn unquoted(value: &[u8]) -> Option<&[u8]> {
    match value {
        [b'"', inside @ .., b'"'] | [b'\'', inside @ .., b'\''] => Some(inside),
        _ => None,
    }
}

/// Lines, without PEM's boundaries (RFC 7468, section 2), which stand in every file of its kind.
fn lines(variants: &mut Vec<Part>, value: &[u8]) {
    let lines: Vec<&[u8]> = value.split(|b| matches!(b, b'\r' | b'\n')).map(<[u8]>::trim_ascii).collect();
    if lines.len() < 2 {
        return;
    }
    let long = lines.iter().any(|line| line.len() >= LONG_LINE);
    let shortest = if long { MIN_LINE_BESIDE_LONG } else { MIN_LINE };
    for line in lines.into_iter().filter(|line| line.len() >= shortest && !line.starts_with(b"-----")) {
        variants.push(Part { kind: "line", bytes: Zeroizing::new(line.to_vec()), whole: false });
    }
}

/// The strings of a JSON document that are secrets by their length and look; a service account's key.
fn leaves(variants: &mut Vec<Part>, document: &Value) {
    match document {
        Value::Array(items) => items.iter().for_each(|item| leaves(variants, item)),
        Value::Object(fields) => fields.values().for_each(|field| leaves(variants, field)),
        Value::String(text) if text.len() >= MIN_LEAF => {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            let plain = text.contains("://") || text.contains('@') || text.contains(' ') || digits < 3;
            if text.contains('\n') {
                whole(variants, text.as_bytes());
                lines(variants, text.as_bytes());
            } else if !plain {
                whole(variants, text.as_bytes());
            }
        }
        _ => {}
    }
}

/// The password of a URL (RFC 3986, section 3.2.1), if it is a secret of its own.
fn password(value: &[u8]) -> Option<&[u8]> {
    let text = std::str::from_utf8(value).ok()?;
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (userinfo, _) = authority.rsplit_once('@')?;
    let (_, password) = userinfo.split_once(':')?;
    (!is_found_everywhere(password.as_bytes())).then_some(password.as_bytes())
}

fn percent_decoded(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
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
    out
}
