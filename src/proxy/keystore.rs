//! A file of roots as Java reads it: a key store of the type JKS with certificates alone, which every version of Java takes
//! without a password. (It takes PKCS#12 so only where each certificate has an attribute of Java's own.)

use ring::digest;

/// What a store begins with, and its version (`sun.security.provider.JavaKeyStore`).
const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
/// An entry that is a certificate to be trusted.
const TRUSTED: u32 = 2;
/// What is digested with the content: the password that every store of roots has, and words of the format's own.
const PASSWORD: &str = "changeit";
const WHITENER: &[u8] = b"Mighty Aphrodite";

/// Certificates (DER) as a store.
pub(super) fn java(certificates: &[&[u8]]) -> Vec<u8> {
    let mut store = Vec::new();
    store.extend(MAGIC.to_be_bytes());
    store.extend(VERSION.to_be_bytes());
    store.extend(length(certificates.len()));
    for (index, certificate) in certificates.iter().enumerate() {
        store.extend(TRUSTED.to_be_bytes());
        text(&mut store, &format!("root-{index}"));
        // When it was put there: nobody asks.
        store.extend(0_u64.to_be_bytes());
        text(&mut store, "X.509");
        store.extend(length(certificate.len()));
        store.extend_from_slice(certificate);
    }
    // SHA-1 is the format's; it tells a store that was cut, and nobody relies on it against an attacker.
    let mut digest = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    let password: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for part in [&password, WHITENER, &store] {
        digest.update(part);
    }
    store.extend_from_slice(digest.finish().as_ref());
    store
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// A text with its length in front (`java.io.DataOutput.writeUTF`, which for ASCII is this).
fn text(store: &mut Vec<u8>, text: &str) {
    store.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    store.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_as_java_writes_it() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(&key).unwrap();
        let der: &[u8] = certificate.der();
        let store = java(&[der, der]);
        let mut entry = vec![0, 0, 0, 2, 0, 6];
        entry.extend_from_slice(b"root-1\0\0\0\0\0\0\0\0\0\x05X.509\0\0");
        entry.extend(u16::try_from(der.len()).unwrap().to_be_bytes());
        entry.extend_from_slice(der);
        assert_eq!(store[..12], [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 2]);
        let digested = store.len() - 20;
        assert_eq!(store[digested - entry.len()..digested], entry);
        // What `keytool` writes into a store without entries.
        assert_eq!(hex::encode(&java(&[])[12..]), EMPTY);
    }

    const EMPTY: &str = "e2686e45fb43dfa4d992dd41ceb6b21c6330d792";
}
