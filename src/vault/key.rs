//! The vault's identity, and the keys that are derived from it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use age::x25519::{Identity, Recipient};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::VaultError;

/// The unlocked identity, and every key that is derived from it.
pub struct VaultKey(Arc<Unlocked>);

struct Unlocked {
    identity: Identity,
    recipient: Recipient,
    fingerprint: String,
    /// By what they are for, derived once: each is as secret as the identity, and stays no longer.
    derived: Mutex<BTreeMap<String, Zeroizing<[u8; 32]>>>,
}

impl VaultKey {
    pub(super) fn new(identity: Identity) -> Self {
        let recipient = identity.to_public();
        let fingerprint = fingerprint(&recipient.to_string());
        Self(Arc::new(Unlocked { identity, recipient, fingerprint, derived: Mutex::default() }))
    }

    /// The same key, for a vault that is opened with it.
    pub(crate) fn duplicate(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// The key for one purpose.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut derived = self.0.derived.lock();
        if let Some(key) = derived.get(purpose) {
            return key.clone();
        }
        let key = self.derive_anew(purpose);
        derived.insert(purpose.to_owned(), key.clone());
        key
    }

    /// Derives a 32-byte key for one purpose (HKDF-SHA-256, RFC 5869, over the identity's text).
    #[expect(clippy::disallowed_methods, reason = "keys are derived from the identity here")]
    fn derive_anew(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let text = self.0.identity.to_string();
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(b"authy-mcp/v1"), text.expose_secret().as_bytes())
            .expand(purpose.as_bytes(), &mut *key)
            .expect("32 bytes are few enough for HKDF");
        key
    }

    /// What a daemon and its operators show each other that both know.
    pub(crate) fn of_the_local_api(&self) -> Zeroizing<[u8; 32]> {
        self.derive("local-api")
    }

    /// The vault's fingerprint: 80 bits of the hash of its recipient, in groups of four.
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// The recipient, as age has it.
    pub(super) fn recipient(&self) -> String {
        self.0.recipient.to_string()
    }

    pub(super) fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        age::encrypt(&self.0.recipient, plain)
            .map_err(|error| VaultError::io("encrypt a record", std::io::Error::other(error)))
    }

    /// Decrypts; `None` where the bytes are no age file to this identity, or were changed.
    pub(super) fn decrypt(&self, cipher: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        age::decrypt(&self.0.identity, cipher).ok().map(Zeroizing::new)
    }

    pub(super) fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.derive(purpose), parts)
    }

    /// The identity as a stock age identity file has it.
    #[expect(clippy::disallowed_methods, reason = "the identity is written to where the operator keeps it")]
    pub fn identity_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "# public key: {}\n{}\n",
            self.0.recipient,
            self.0.identity.to_string().expose_secret()
        ))
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultKey({})", self.0.fingerprint)
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
