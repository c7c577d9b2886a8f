//! Keys of OpenSSH (its `PROTOCOL.key`) and of PuTTY: fields with a length before each (RFC 4251, section 5).

use std::ops::Range;

use super::{cursor::Cursor, number::Number, remainder::completed};

const MAGIC: &[u8] = b"openssh-key-v1\0";

/// The length of a field is four bytes.
const LENGTH: usize = 4;
/// A private key of Ed25519 has the public one behind the seed.
const SEED: usize = 32;

pub(super) fn private(bytes: &[u8]) -> Option<Vec<Number>> {
    let mut file = Cursor::of(bytes);
    file.skip(MAGIC)?;
    let cipher = file.counted(LENGTH)?;
    file.counted(LENGTH)?;
    file.counted(LENGTH)?;
    let keys = file.number(LENGTH)?;
    (keys == 1).then_some(())?;
    file.counted(LENGTH)?;
    let section = file.counted(LENGTH)?;
    if bytes[cipher] != *b"none" {
        return Some(Number::at("encrypted key", bytes, section).into_iter().collect());
    }
    let mut fields = file.inside(section);
    // Twice the same number: how a passphrase is checked.
    fields.take(2 * LENGTH)?;
    let kind = fields.counted(LENGTH)?;
    of_kind(&file.all[kind], fields)
}

/// The fields behind the name of an algorithm: which of them are private.
fn of_kind(kind: &[u8], mut fields: Cursor<'_>) -> Option<Vec<Number>> {
    let (public, private): (usize, &[&'static str]) = match kind {
        b"ssh-rsa" => (2, &["private exponent", "coefficient", "prime 1", "prime 2"]),
        b"ssh-dss" => (4, &["private number"]),
        b"ssh-ed25519" | b"ssh-ed448" => (1, &["private number"]),
        _ if kind.starts_with(b"ecdsa-") => (2, &["private number"]),
        // A security key's handle: public key and application before it, and one byte of flags.
        _ if kind.starts_with(b"sk-") => return handle(kind, fields),
        _ => return Some(Number::at("private number", fields.all, fields.rest()).into_iter().collect()),
    };
    for _ in 0..public {
        fields.counted(LENGTH)?;
    }
    let mut numbers = Vec::new();
    for name in private {
        let at = fields.counted(LENGTH)?;
        numbers.extend(Number::at(name, fields.all, seed(kind, at)));
    }
    Some(completed(numbers))
}

fn seed(kind: &[u8], at: Range<usize>) -> Range<usize> {
    if kind == b"ssh-ed25519" && at.len() == 2 * SEED { at.start..at.start + SEED } else { at }
}

fn handle(kind: &[u8], mut fields: Cursor<'_>) -> Option<Vec<Number>> {
    let public = if kind.starts_with(b"sk-ecdsa") { 3 } else { 2 };
    for _ in 0..public {
        fields.counted(LENGTH)?;
    }
    fields.take(1)?;
    let at = fields.counted(LENGTH)?;
    Some(Number::at("key handle", fields.all, at).into_iter().collect())
}

/// The private lines of a PuTTY key, decoded: all of it if it is encrypted.
pub(in crate::redact::parts) fn putty(kind: &str, encrypted: bool, bytes: &[u8]) -> Vec<Number> {
    let names: &[&'static str] = match kind {
        "ssh-rsa" => &["private exponent", "prime 1", "prime 2", "coefficient"],
        _ => &["private number"],
    };
    let mut fields = Cursor::of(bytes);
    let mut numbers = Vec::new();
    for name in names.iter().filter(|_| !encrypted) {
        let at = fields.counted(LENGTH);
        numbers.extend(at.and_then(|at| Number::at(name, bytes, at)));
    }
    if numbers.is_empty() {
        numbers.extend(Number::at("encrypted key", bytes, 0..bytes.len()));
    }
    completed(numbers)
}
