//! PKCS#12 (RFC 7292): a store of keys and certificates, nearly always encrypted.

use super::{
    asn1::{self, CONTEXT, INTEGER, OBJECT, OCTETS, SEQUENCE},
    cursor::Cursor,
    number::Number,
};

/// 1.2.840.113549.1.7.1 and .6: what is in the open, and what is encrypted with a passphrase.
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const ENCRYPTED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06";
/// 1.2.840.113549.1.12.10.1: bags; 1 and 2 are a key, 5 another secret.
const BAGS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01";

pub(super) fn private(bytes: &[u8]) -> Option<Vec<Number>> {
    let mut store = Cursor::of(bytes).only(SEQUENCE)?;
    let version = store.expect(INTEGER)?;
    (store.bytes(version) == [3]).then_some(())?;
    let safes = data(store.enter(SEQUENCE)?)?;
    let mut safes = safes.only(SEQUENCE)?;
    let mut numbers = Vec::new();
    while let Some(safe) = safes.enter(SEQUENCE) {
        match data(safe.clone()) {
            Some(open) => numbers.extend(bags(open)?),
            None => numbers.extend(encrypted(safe)),
        }
    }
    Some(numbers)
}

/// The bytes of a content that is not encrypted.
fn data(mut content: Cursor<'_>) -> Option<Cursor<'_>> {
    let kind = content.expect(OBJECT)?;
    (content.bytes(kind) == DATA).then_some(())?;
    content.enter(CONTEXT)?.enter(OCTETS)
}

/// Which of keys and certificates is in it nobody sees: all of it counts.
fn encrypted(mut content: Cursor<'_>) -> Option<Number> {
    let kind = content.expect(OBJECT)?;
    (content.bytes(kind) == ENCRYPTED).then_some(())?;
    let mut encrypted = content.enter(CONTEXT)?.enter(SEQUENCE)?;
    encrypted.expect(INTEGER)?;
    let mut inner = encrypted.enter(SEQUENCE)?;
    inner.expect(OBJECT)?;
    inner.expect(SEQUENCE)?;
    let (_, at) = inner.element()?;
    Number::at("encrypted contents", content.all, at)
}

fn bags(safe: Cursor<'_>) -> Option<Vec<Number>> {
    let mut bags = safe.only(SEQUENCE)?;
    let mut numbers = Vec::new();
    while let Some(mut bag) = bags.enter(SEQUENCE) {
        let kind = bag.expect(OBJECT)?;
        let content = bag.enter(CONTEXT)?;
        match bag.bytes(kind).strip_prefix(BAGS)? {
            [1 | 2] => numbers.extend(asn1::key(content)?),
            [5] => numbers.extend(secret(content)?),
            _ => {}
        }
    }
    Some(numbers)
}

/// A secret of a kind of its own (section 4.2.5): in Java's stores it is encrypted as a key is.
fn secret(content: Cursor<'_>) -> Option<Vec<Number>> {
    let mut secret = content.only(SEQUENCE)?;
    secret.expect(OBJECT)?;
    let value = secret.enter(CONTEXT)?.enter(OCTETS)?;
    let whole = || Number::at("secret contents", value.all, value.rest()).into_iter().collect();
    Some(asn1::key(value.clone()).unwrap_or_else(whole))
}
