//! Java's own stores of keys, JKS and JCEKS (`sun.security.provider.JavaKeyStore`): each key encrypted by itself,
//! certificates in the open.

use memchr::memmem;

use super::{
    asn1::{self, SEQUENCE},
    cursor::Cursor,
    number::Number,
};

const MAGIC: [&[u8]; 2] = [b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce"];
/// The class of an array of bytes (Java Object Serialization, section 6.4), and a reference to it.
const ARRAY_OF_BYTES: &[u8] = b"\x75\x72\x00\x02[B\xac\xf3\x17\xf8\x06\x08\x54\xe0\x02\x00\x00\x78\x70";
const SAME_CLASS: &[u8] = b"\x75\x71\x00\x7e";

pub(super) fn private(bytes: &[u8]) -> Option<Vec<Number>> {
    MAGIC.iter().any(|magic| bytes.starts_with(magic)).then_some(())?;
    let mut store = Cursor::of(bytes);
    store.take(4)?;
    let version = store.number(4)?;
    let entries = store.number(4)?;
    let mut numbers = Vec::new();
    for _ in 0..entries {
        let kind = store.number(4)?;
        // The alias, and when it was made.
        store.counted(2)?;
        store.take(8)?;
        match kind {
            1 => numbers.extend(key(&mut store, version)?),
            2 => certificate(&mut store, version)?,
            // A secret key is an object that Java has serialised, which has no length.
            3 => {
                numbers.extend(sealed(&store));
                break;
            }
            _ => return None,
        }
    }
    Some(numbers)
}

fn key(store: &mut Cursor<'_>, version: usize) -> Option<Vec<Number>> {
    let at = store.counted(4)?;
    let encrypted = store.inside(at.clone()).only(SEQUENCE).and_then(asn1::encrypted);
    for _ in 0..store.number(4)? {
        certificate(store, version)?;
    }
    Some(encrypted.unwrap_or_else(|| Number::at("encrypted key", store.all, at).into_iter().collect()))
}

fn certificate(store: &mut Cursor<'_>, version: usize) -> Option<()> {
    if version > 1 {
        store.counted(2)?;
    }
    store.counted(4).map(drop)
}

/// The ciphertexts of secret keys: an object of Java holds it as its second array of bytes, behind the parameters.
fn sealed(store: &Cursor<'_>) -> Vec<Number> {
    let starts = memmem::find_iter(store.bytes(store.rest()), ARRAY_OF_BYTES);
    let objects = starts.map(|at| store.rest().start + at + ARRAY_OF_BYTES.len());
    objects.filter_map(|at| ciphertext(store.inside(at..store.rest().end))).collect()
}

fn ciphertext(mut object: Cursor<'_>) -> Option<Number> {
    object.counted(4)?;
    object.skip(SAME_CLASS)?;
    object.take(2)?;
    let at = object.counted(4)?;
    Number::at("encrypted key", object.all, at)
}
