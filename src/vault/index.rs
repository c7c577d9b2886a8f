//! The index: which records there are, in encrypted pages under one root.
//!
//! ```text
//! "index"           MAC ‖ { vault_id, epoch, pages: { bucket → SHA-256 of the page }, files, chain, … }
//! "b" bucket        age( { entries: { "kind name" → Entry } } )       bucket: first byte of the record's id
//! "r" id version    age( Envelope )                                   id: HMAC(kind, name), 16 bytes
//! vault.epoch       MAC ‖ { vault_id, epoch, writes }, beside the database, written after it
//! ```
//! The root's MAC covers every page, a page covers every record of its bucket, and the epoch beside the
//! database says how far the root must have come: what is swapped, replayed, missing or cut shows.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{SecretMeta, VaultError, VaultKey, key::mac};
use crate::{
    audit::{Change, Head},
    files,
    store::{Store, StoreError},
};

/// What the root says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Root {
    pub vault_id: String,
    /// Grows by one with every change of what the vault holds: what the audit announces.
    pub epoch: u64,
    /// Grows by one with every write, an anchor's, too; 0 where the first version wrote it, which announced
    /// nothing.
    #[serde(default)]
    pub writes: u64,
    /// Bucket → SHA-256 of its page, in hex.
    pub pages: BTreeMap<u8, String>,
    /// `home.json` and what is in `unlock/` → SHA-256, in hex; two while one is being replaced.
    #[serde(default)]
    pub files: BTreeMap<String, Vec<String>>,
    /// How often the audit's chain was begun anew: heads of different chains can't be compared.
    #[serde(default)]
    pub chain: u64,
    /// The last change that is remembered outside of the home, where that could not be written since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpinned: Option<u64>,
    /// When this was written: time does not run backwards from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    pub anchor: Option<Head>,
}

impl Root {
    /// What an audit event announces: the epoch, and the digest of all that the vault holds. Where the audit
    /// stands is not in it: anchoring would need an announcement, which would need an anchor.
    pub(super) fn change(&self) -> Change {
        let content = (&self.vault_id, self.epoch, &self.pages, &self.files, self.chain);
        let json = serde_json::to_vec(&content).expect("string keys only");
        Change { epoch: self.epoch, root: Sha256::digest(json).into() }
    }
}

/// One bucket's entries, by "kind name".
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Page {
    pub entries: BTreeMap<String, Entry>,
}

/// What the index knows of one secret or document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub kind: String,
    pub name: String,
    #[serde(default)]
    pub meta: SecretMeta,
    pub since: Timestamp,
    /// Kept versions, oldest first; the last is the current one.
    pub versions: Vec<Version>,
}

/// What the index knows of one version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Version {
    pub version: u64,
    pub created: Timestamp,
    /// SHA-256 of the record, in hex.
    pub digest: String,
}

impl Entry {
    pub(super) fn current(&self) -> Option<&Version> {
        self.versions.last()
    }
}

#[derive(Serialize, Deserialize)]
struct Epoch {
    vault_id: String,
    epoch: u64,
    #[serde(default)]
    writes: u64,
}

/// More than this was not written by us.
const EPOCH_MOST: u64 = 4096;

pub(super) const ROOT: &[u8] = b"index";

/// The id of a record: names can't be told from it without the identity.
pub(super) fn record_id(names: &[u8; 32], kind: &str, name: &str) -> [u8; 16] {
    let full = mac(names, &[kind.as_bytes(), name.as_bytes()]);
    full[..16].try_into().expect("a MAC is longer")
}

pub(super) fn record_key(id: &[u8; 16], version: u64) -> Vec<u8> {
    [b"r".as_slice(), id, &version.to_be_bytes()].concat()
}

pub(super) fn page_key(bucket: u8) -> Vec<u8> {
    vec![b'b', bucket]
}

pub(super) fn entry_key(kind: &str, name: &str) -> String {
    format!("{kind} {name}")
}

pub(super) fn digest(bytes: &[u8]) -> String {
    hex::encode(raw_digest(bytes))
}

pub(super) fn raw_digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(super) fn read_root(store: &dyn Store, key: &VaultKey) -> Result<Root, VaultError> {
    let bytes = store.get(ROOT)?.ok_or_else(|| VaultError::damaged("vault/: the root is missing"))?;
    open_signed(key, "root", &bytes)
        .ok_or_else(|| VaultError::damaged("vault/: the root is cut, forged, or of another vault"))
}

pub(super) fn sign_root(key: &VaultKey, root: &Root) -> Vec<u8> {
    signed(key, "root", root)
}

pub(super) fn read_page(
    get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
    key: &VaultKey,
    root: &Root,
    bucket: u8,
) -> Result<Page, VaultError> {
    let Some(expected) = root.pages.get(&bucket) else { return Ok(Page::default()) };
    let bad = |what| VaultError::damaged(format!("vault/: index page {bucket:02x} {what}"));
    let bytes = get(&page_key(bucket))?.ok_or_else(|| bad("is missing"))?;
    if digest(&bytes) != *expected {
        return Err(bad("was swapped, replayed or changed"));
    }
    let plain = key.decrypt(&bytes).ok_or_else(|| bad("can't be decrypted"))?;
    serde_json::from_slice(&plain).map_err(|_| bad("can't be read"))
}

pub(super) fn seal_page(key: &VaultKey, page: &Page) -> Result<Vec<u8>, VaultError> {
    key.encrypt(&serde_json::to_vec(page).expect("a page has string keys only"))
}

/// Compares the root with the epoch beside the database; a crash between the two leaves the root ahead.
pub(super) fn check_epoch(home: &Path, key: &VaultKey, root: &Root) -> Result<(), VaultError> {
    let bytes = match files::read_regular(&epoch_file(home), EPOCH_MOST) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(VaultError::damaged("vault.epoch is gone"));
        }
        Err(error) => return Err(VaultError::unreadable("vault.epoch", error)),
    };
    let epoch: Epoch = open_signed(key, "epoch", &bytes)
        .ok_or_else(|| VaultError::damaged("vault.epoch is cut or changed"))?;
    if epoch.vault_id != root.vault_id {
        return Err(VaultError::damaged("vault.epoch is of another vault"));
    }
    if root.epoch < epoch.epoch {
        let lost = epoch.epoch - root.epoch;
        return Err(VaultError::damaged(format!(
            "vault/: the database was cut or put back: its last {lost} change(s) are gone (epoch {} of {})",
            root.epoch, epoch.epoch
        )));
    }
    if root.epoch == epoch.epoch && root.writes < epoch.writes {
        return Err(VaultError::damaged(
            "vault/: the database was cut or put back: it is not the one that was written last",
        ));
    }
    Ok(())
}

/// What `vault.epoch` says of itself, before anything can be held against a key.
pub(super) fn said_epoch(home: &Path) -> Option<u64> {
    let bytes = files::read_regular(&epoch_file(home), EPOCH_MOST).ok()?;
    let (_, json) = bytes.split_at_checked(65)?;
    serde_json::from_slice::<Epoch>(json).ok().map(|epoch| epoch.epoch)
}

pub(super) fn write_epoch(home: &Path, key: &VaultKey, root: &Root) -> Result<(), VaultError> {
    let epoch = Epoch { vault_id: root.vault_id.clone(), epoch: root.epoch, writes: root.writes };
    files::write_private(&epoch_file(home), &signed(key, "epoch", &epoch))
        .map_err(|error| VaultError::io("write vault.epoch", error))
}

pub(super) fn epoch_file(home: &Path) -> PathBuf {
    home.join("vault.epoch")
}

pub(super) fn signed<T: Serialize>(key: &VaultKey, purpose: &str, content: &T) -> Vec<u8> {
    let json = serde_json::to_vec(content).expect("string keys only");
    let tag = key.mac(purpose, &[&json]);
    [hex::encode(tag).as_bytes(), b"\n", &json].concat()
}

pub(super) fn open_signed<T: DeserializeOwned>(key: &VaultKey, purpose: &str, bytes: &[u8]) -> Option<T> {
    let (tag, json) = bytes.split_at_checked(64)?;
    let json = json.strip_prefix(b"\n")?;
    let right = hex::encode(key.mac(purpose, &[json]));
    bool::from(tag.ct_eq(right.as_bytes())).then(|| serde_json::from_slice(json).ok()).flatten()
}
