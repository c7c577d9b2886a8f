//! The vault's identity, and the keys that are derived from it.

use std::fmt;

use age::x25519::{Identity, Recipient};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::VaultError;

/// The unlocked identity, and every key that is derived from it.
pub struct VaultKey {
    identity: Identity,
    recipient: Recipient,
    fingerprint: String,
}

impl VaultKey {
    pub(super) fn new(identity: Identity) -> Self {
        let recipient = identity.to_public();
        let fingerprint = fingerprint(&recipient.to_string());
        Self { identity, recipient, fingerprint }
    }

    /// The same key, for a vault that is opened with it.
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            identity: self.identity.clone(),
            recipient: self.recipient.clone(),
            fingerprint: self.fingerprint.clone(),
        }
    }

    /// Derives a 32-byte key for one purpose (HKDF-SHA-256, RFC 5869, over the identity's text).
    #[expect(clippy::disallowed_methods, reason = "keys are derived from the identity here")]
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let text = self.identity.to_string();
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(b"authy-mcp/v1"), text.expose_secret().as_bytes())
            .expand(purpose.as_bytes(), &mut *key)
            .expect("32 bytes are few enough for HKDF");
        key
    }

    /// The vault's fingerprint: 80 bits of the hash of its recipient, in groups of four.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The recipient, as age has it.
    pub(super) fn recipient(&self) -> String {
        self.recipient.to_string()
    }

    pub(super) fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        age::encrypt(&self.recipient, plain)
            .map_err(|error| VaultError::io("encrypt a record", std::io::Error::other(error)))
    }

    /// Decrypts; `None` where the bytes are no age file to this identity, or were changed.
    pub(super) fn decrypt(&self, cipher: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        age::decrypt(&self.identity, cipher).ok().map(Zeroizing::new)
    }

    pub(super) fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.derive(purpose), parts)
    }

    /// The identity as a stock age identity file has it.
    #[expect(clippy::disallowed_methods, reason = "the identity is written to where the operator keeps it")]
    pub fn identity_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "# public key: {}\n{}\n",
            self.recipient,
            self.identity.to_string().expose_secret()
        ))
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultKey({})", self.fingerprint)
    }
}

/// HMAC-SHA-256 over parts, each behind its length, so that no two lists of parts are one message.
pub(super) fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn fingerprint(recipient: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let hash = Sha256::digest(recipient.as_bytes());
    let text: String = hash.iter().take(16).map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect();
    [&text[..4], &text[4..8], &text[8..12], &text[12..]].join("-")
}
