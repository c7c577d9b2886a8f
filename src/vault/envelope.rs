//! The envelope of a record: what is inside each `.age` file, so that a record says itself what it is.
//!
//! age binds nothing to a file but its bytes; whoever knows the recipient can write one. The envelope
//! names vault, kind, name and version, and is compared on every read.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{SecretMeta, VaultError, VaultKey};

/// The format of envelopes, whatever the home's.
pub(super) const FORMAT: u32 = 1;

/// One record, decrypted. The JSON is what stock `age -d` prints.
#[derive(Serialize, Deserialize)]
pub(super) struct Envelope {
    pub format: u32,
    pub vault_id: String,
    pub kind: String,
    pub name: String,
    pub version: u64,
    /// When the first version was set.
    pub since: Timestamp,
    /// When this one was.
    pub created: Timestamp,
    #[serde(default)]
    pub meta: SecretMeta,
    /// The value, in base64 (RFC 4648, section 4).
    pub value: Zeroizing<String>,
}

impl Envelope {
    pub(super) fn seal(&self, key: &VaultKey) -> Result<Vec<u8>, VaultError> {
        let json = Zeroizing::new(serde_json::to_vec(self).expect("an envelope has string keys only"));
        key.encrypt(&json)
    }

    pub(super) fn open(key: &VaultKey, cipher: &[u8]) -> Option<Self> {
        Self::parse(&key.decrypt(cipher)?)
    }

    fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    pub(super) fn value(&self) -> Option<Zeroizing<Vec<u8>>> {
        STANDARD.decode(self.value.as_bytes()).ok().map(Zeroizing::new)
    }
}

/// The text of a value inside an envelope.
pub(super) fn encode(value: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(value))
}

/// Reads an envelope that was decrypted, whatever it is; for the fuzz target `envelope`.
///
/// # Panics
/// Where an envelope that was read doesn't say the same once it is written and read again.
#[doc(hidden)]
pub fn fuzz(json: &[u8]) {
    let Some(envelope) = Envelope::parse(json) else { return };
    let value = envelope.value();
    let written = serde_json::to_vec(&envelope).expect("an envelope has string keys only");
    let again = Envelope::parse(&written).expect("what was written can be read");
    assert!(again.value() == value && again.name == envelope.name && again.version == envelope.version);
}
