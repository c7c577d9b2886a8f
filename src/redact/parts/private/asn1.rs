//! Keys in DER: PKCS#1, PKCS#8, SEC1 and their kin, and what is public.

use super::{cursor::Cursor, number::Number};

/// Tags of X.690.
pub(super) const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// A tag of the context that has others in it.
pub(super) const CONTEXT: u8 = 0xa0;

/// How deep a key of a kind that is not known is looked into.
const DEEPEST: usize = 4;

pub(super) fn private(bytes: &[u8]) -> Option<Vec<Number>> {
    key(Cursor::of(bytes))
}

/// A key in any of its forms; nothing if there is no private number in it.
pub(super) fn key(bytes: Cursor<'_>) -> Option<Vec<Number>> {
    let key = bytes.only(SEQUENCE)?;
    let numbers = rsa(key.clone())
        .or_else(|| dsa(key.clone()))
        .or_else(|| pkcs8(key.clone()))
        .or_else(|| sec1(key.clone()))
        .or_else(|| encrypted(key))?;
    (!numbers.is_empty()).then_some(numbers)
}

/// PKCS#1 (RFC 8017, A.1.2): version, modulus, public exponent, and what follows is private.
fn rsa(mut key: Cursor<'_>) -> Option<Vec<Number>> {
    const NAMES: [&str; 6] =
        ["private exponent", "prime 1", "prime 2", "exponent 1", "exponent 2", "coefficient"];
    let version = key.expect(INTEGER)?;
    (version.len() == 1).then_some(())?;
    key.expect(INTEGER)?;
    key.expect(INTEGER)?;
    let mut numbers = Vec::new();
    for name in NAMES {
        let at = key.expect(INTEGER)?;
        numbers.extend(Number::at(name, key.all, at));
    }
    // Keys of more than two primes have these.
    let others = key.enter(SEQUENCE);
    numbers.extend(others.and_then(|others| leaves(others, 0)).into_iter().flatten());
    Some(numbers)
}

/// What OpenSSL writes of DSA: version, p, q, g, y, and x.
fn dsa(mut key: Cursor<'_>) -> Option<Vec<Number>> {
    (0..5).try_for_each(|_| key.expect(INTEGER).map(drop))?;
    let at = key.expect(INTEGER)?;
    key.is_empty().then_some(())?;
    Some(Number::at("private number", key.all, at).into_iter().collect())
}

/// PKCS#8 (RFC 5958): version, algorithm, the key in its own form, and what may follow is public.
fn pkcs8(mut key: Cursor<'_>) -> Option<Vec<Number>> {
    key.expect(INTEGER)?;
    key.enter(SEQUENCE)?.expect(OBJECT)?;
    let at = key.expect(OCTETS)?;
    let own = key.inside(at.clone());
    let known = own.clone().only(SEQUENCE).and_then(|own| rsa(own.clone()).or_else(|| sec1(own)));
    let any = || leaves(own, 0).filter(|numbers| !numbers.is_empty());
    // Of a form that is not DER everything.
    let all = || Number::at("private number", key.all, at).into_iter().collect();
    Some(known.or_else(any).unwrap_or_else(all))
}

/// SEC1 (RFC 5915): version, the number; curve and point behind it are public.
fn sec1(mut key: Cursor<'_>) -> Option<Vec<Number>> {
    let version = key.expect(INTEGER)?;
    (key.bytes(version) == [1]).then_some(())?;
    let at = key.expect(OCTETS)?;
    Some(Number::at("private number", key.all, at).into_iter().collect())
}

/// `EncryptedPrivateKeyInfo` (RFC 5958, section 3). An algorithm and bytes are many things, a digest among them: it is
/// known by its algorithms.
pub(super) fn encrypted(mut key: Cursor<'_>) -> Option<Vec<Number>> {
    /// 1.2.840.113549.1.5, 1.2.840.113549.1.12.1 and 1.3.6.1.4.1.42.2: PKCS#5, PKCS#12 and Java's own.
    const BY_PASSPHRASE: [&[u8]; 3] = [
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x05",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01",
        b"\x2b\x06\x01\x04\x01\x2a\x02",
    ];
    let algorithm = key.enter(SEQUENCE)?.expect(OBJECT)?;
    let algorithm = key.bytes(algorithm);
    BY_PASSPHRASE.iter().any(|known| algorithm.starts_with(known)).then_some(())?;
    let at = key.expect(OCTETS)?;
    key.is_empty().then_some(())?;
    Some(Number::at("encrypted key", key.all, at).into_iter().collect())
}

/// All numbers and strings of bytes of a key whose form is not known: of the Edwards curves (RFC 8410), of lattices.
fn leaves(mut key: Cursor<'_>, depth: usize) -> Option<Vec<Number>> {
    let mut numbers = Vec::new();
    while !key.is_empty() {
        match key.element()? {
            (INTEGER | OCTETS | 0x80, at) => numbers.extend(Number::at("private number", key.all, at)),
            (SEQUENCE | CONTEXT.., at) if depth < DEEPEST => {
                numbers.extend(leaves(key.inside(at), depth + 1)?);
            }
            _ => {}
        }
    }
    Some(numbers)
}

/// A certificate, a request for one, or a public key (RFC 5280, 2986, 8017).
pub(super) fn is_public(bytes: &[u8]) -> bool {
    let Some(mut outer) = Cursor::of(bytes).only(SEQUENCE) else { return false };
    let second = |mut of: Cursor<'_>| Some((of.element()?.0, of.element()?.0, of.is_empty()));
    match second(outer.clone()) {
        Some((SEQUENCE, BIT_STRING, true) | (INTEGER, INTEGER, true)) => true,
        Some((SEQUENCE, SEQUENCE, false)) => {
            let signed = outer.enter(SEQUENCE).is_some() && outer.enter(SEQUENCE).is_some();
            signed && outer.expect(BIT_STRING).is_some() && outer.is_empty()
        }
        _ => false,
    }
}
