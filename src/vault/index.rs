//! The root: what the vault holds, in one value; and what is signed in the vault's name.
//!
//! ```text
//! "root"             MAC ‖ signature ‖ Root                       exchanged by every change
//! "ledger/standing"  MAC ‖ { key, seq, value: Standing }          exchanged by what is no change: the audit's anchor
//! object             head ‖ age( node of the tree )               names its children and records by their digests
//! object             head ‖ age( Envelope )
//! ```
//! The root's MAC covers the tree's top, a node covers the nodes and records below it: what is swapped, replayed,
//! missing or cut shows. A ledger's MAC covers its key and sequence. How far the root must have come, what remembers the
//! vault says (`freshness`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    SecretMeta, VaultError, VaultKey,
    object::{self, Author},
};
use crate::{
    audit::{Change, Head},
    store::{ObjectId, Store},
};

/// The format of homes that this version makes.
pub(super) const FORMAT: u32 = 2;
/// The key of the root in a store.
pub(super) const ROOT: &str = "root";
/// The key of the standing.
pub(super) const STANDING: &str = "ledger/standing";

/// What the root says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Root {
    pub format: u32,
    pub vault_id: String,
    /// Grows by one with every change of what the vault holds: what the audit announces.
    pub epoch: u64,
    /// The top of the tree; nothing where there is no entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<ObjectId>,
    /// `home.json` and what is in `unlock/` → SHA-256, in hex; two while one is being replaced.
    pub files: BTreeMap<String, Vec<String>>,
    /// How often the audit's chain was begun anew: heads of different chains can't be compared.
    #[serde(default)]
    pub chain: u64,
    /// Which key opens what the tree names, and who wrote this: ids.
    pub key: String,
    pub author: String,
    /// Whose objects and roots count: id → public key (Ed25519, hex).
    pub authors: BTreeMap<String, String>,
    /// As it was when this was written.
    pub standing: Standing,
}

/// What moves on without a change of the vault.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Grows by one with every exchange, the root's, too.
    pub writes: u64,
    /// The last change that is remembered outside of the home, where that could not be written since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpinned: Option<u64>,
    /// When this was written: time does not run backwards from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Head>,
}

/// A value of the ledger.
#[derive(Serialize, Deserialize)]
struct Ledger {
    key: String,
    seq: u64,
    value: Standing,
}

impl Root {
    /// What an audit event announces: the epoch, and the digest of all that the vault holds. Where the audit
    /// stands is not in it: anchoring would need an announcement, which would need an anchor.
    pub(super) fn change(&self) -> Change {
        let content = (&self.vault_id, self.epoch, &self.top, &self.files, self.chain);
        let json = serde_json::to_vec(&content).expect("string keys only");
        Change { epoch: self.epoch, root: Sha256::digest(json).into() }
    }
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
    /// The object.
    pub id: ObjectId,
    /// SHA-256 of the age file in it, in hex: what a backup has.
    pub digest: String,
}

impl Entry {
    pub(super) fn current(&self) -> Option<&Version> {
        self.versions.last()
    }
}

/// The id of a record: names can't be told from it without the identity. Files of a backup are called so.
pub(super) fn record_id(names: &[u8; 32], kind: &str, name: &str) -> [u8; 16] {
    let full = super::key::mac(names, &[kind.as_bytes(), name.as_bytes()]);
    full[..16].try_into().expect("a MAC is longer")
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

/// Whether this is the key of a value that this version keeps.
pub(super) fn is_known(key: &str) -> bool {
    [ROOT, STANDING].contains(&key)
}

/// The present root and standing, as they are stored: what an exchange expects.
#[derive(Debug, Clone, Default)]
pub(super) struct Stored {
    pub root: Option<Vec<u8>>,
    pub standing: Option<Vec<u8>>,
}

/// The root that was last found right, by every byte of it: one that was changed, or put back, is held against its MAC
/// and signature again.
#[derive(Default)]
pub(super) struct KnownRoot(Mutex<Option<(Vec<u8>, Root)>>);

impl KnownRoot {
    /// What these very bytes were found to say, or what opens them.
    fn or_opened(&self, bytes: &[u8], open: impl FnOnce() -> Option<Root>) -> Option<Root> {
        let mut known = self.0.lock();
        if let Some((before, root)) = &*known
            && before == bytes
        {
            return Some(root.clone());
        }
        let root = open()?;
        *known = Some((bytes.to_vec(), root.clone()));
        Some(root)
    }
}

/// Reads the root, with the standing of whichever of the two was written last.
pub(super) fn read_root(
    store: &dyn Store,
    key: &VaultKey,
    known: &KnownRoot,
) -> Result<(Root, Stored), VaultError> {
    // All at once: a store may be behind a socket.
    let mut values = store.values("")?;
    let root = values.remove(ROOT).ok_or_else(|| VaultError::damaged("store/: the root is missing"))?;
    let forged = || VaultError::damaged("store/: the root is cut, forged, or of another vault");
    let mut read = known.or_opened(&root, || open_root(key, &root)).ok_or_else(forged)?;
    let standing = values.remove(STANDING);
    if let Some(bytes) = &standing {
        let bad = || VaultError::damaged("store/: the ledger's standing is cut, forged, or of another vault");
        let ledger: Ledger = open_signed(key, STANDING, bytes).ok_or_else(bad)?;
        if ledger.key != STANDING || ledger.seq != ledger.value.writes {
            return Err(bad());
        }
        if ledger.seq > read.standing.writes {
            read.standing = ledger.value;
        }
    }
    Ok((read, Stored { root: Some(root), standing }))
}

/// Exchanges the root.
pub(super) fn write_root(
    store: &dyn Store,
    key: &VaultKey,
    root: &Root,
    stored: &mut Stored,
) -> Result<(), VaultError> {
    let bytes = sign_root(key, root);
    store.exchange(ROOT, stored.root.as_deref(), Some(&bytes))?;
    stored.root = Some(bytes);
    Ok(())
}

/// Exchanges the standing alone.
pub(super) fn write_standing(
    store: &dyn Store,
    key: &VaultKey,
    standing: &Standing,
    stored: &mut Stored,
) -> Result<(), VaultError> {
    let bytes = sign_standing(key, standing);
    store.exchange(STANDING, stored.standing.as_deref(), Some(&bytes))?;
    stored.standing = Some(bytes);
    Ok(())
}

pub(super) fn sign_standing(key: &VaultKey, standing: &Standing) -> Vec<u8> {
    let ledger = Ledger { key: STANDING.to_owned(), seq: standing.writes, value: standing.clone() };
    signed(key, STANDING, &ledger)
}

/// MAC ‖ signature ‖ JSON, a line each.
pub(super) fn sign_root(key: &VaultKey, root: &Root) -> Vec<u8> {
    let json = serde_json::to_vec(root).expect("string keys only");
    let signature = Author::of(key).sign(&root.vault_id, &json);
    let rest = [hex::encode(signature).as_bytes(), b"\n", &json].concat();
    let tag = key.mac(ROOT, &[&rest]);
    [hex::encode(tag).as_bytes(), b"\n", &rest].concat()
}

fn open_root(key: &VaultKey, bytes: &[u8]) -> Option<Root> {
    let (tag, rest) = bytes.split_at_checked(64)?;
    let rest = rest.strip_prefix(b"\n")?;
    let right = hex::encode(key.mac(ROOT, &[rest]));
    bool::from(tag.ct_eq(right.as_bytes())).then_some(())?;
    let (signature, json) = rest.split_at_checked(128)?;
    let json = json.strip_prefix(b"\n")?;
    let root: Root = serde_json::from_slice(json).ok()?;
    let author = root.authors.get(&root.author)?;
    // On one machine the only author is whoever holds the identity.
    let ours = *author == Author::of(key).public();
    let signature = hex::decode(signature).ok()?;
    (ours && object::verifies(author, &root.vault_id, json, &signature)).then_some(root)
}

/// What a root says of its epoch, before anything can be held against a key.
pub(super) fn said_epoch(store: &dyn Store) -> Option<u64> {
    #[derive(Deserialize)]
    struct Said {
        epoch: u64,
    }
    let bytes = store.value(ROOT).ok()??;
    let json = bytes.get(65 + 129..)?;
    serde_json::from_slice::<Said>(json).ok().map(|said| said.epoch)
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

/// Whether a value may be exchanged for the present one: made by this vault's identity, of this vault, and the very next.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn admits(
    key: &VaultKey,
    known: &KnownRoot,
    vault_id: &str,
    present: &Root,
    name: &str,
    new: Option<&[u8]>,
) -> Result<(), &'static str> {
    let new = new.ok_or("it would be removed")?;
    match name {
        ROOT => {
            // Known from here on: it is read once more when it is the present one.
            let root = known.or_opened(new, || open_root(key, new));
            let root = root.ok_or("the root is not of this vault's identity")?;
            let right = root.vault_id == vault_id
                && root.format == FORMAT
                && root.epoch == present.epoch + 1
                && root.standing.writes == present.standing.writes + 1;
            right.then_some(()).ok_or("the root is not the one after the present")
        }
        STANDING => {
            let ledger: Ledger =
                open_signed(key, STANDING, new).ok_or("the standing is not of this vault's identity")?;
            let right = ledger.key == STANDING
                && ledger.seq == ledger.value.writes
                && ledger.seq == present.standing.writes + 1;
            right.then_some(()).ok_or("the standing is not the one after the present")
        }
        _ => Err("there is no value of this name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_known_by_every_byte_of_it() {
        let key = VaultKey::new(age::x25519::Identity::generate());
        let author = Author::of(&key);
        let root = Root {
            format: FORMAT,
            vault_id: "v".into(),
            epoch: 1,
            top: None,
            files: BTreeMap::new(),
            chain: 0,
            key: "k".into(),
            author: author.id(),
            authors: BTreeMap::from([(author.id(), author.public())]),
            standing: Standing::default(),
        };
        let (bytes, known) = (sign_root(&key, &root), KnownRoot::default());
        let open = |bytes: &[u8]| known.or_opened(bytes, || open_root(&key, bytes)).map(|root| root.epoch);
        assert_eq!(open(&bytes), Some(1));
        assert_eq!(known.or_opened(&bytes, || None).map(|root| root.epoch), Some(1), "it is known");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(open(&changed), None, "byte {at}");
        }
        assert_eq!(open(&sign_root(&key, &Root { epoch: 2, ..root.clone() })), Some(2));
        assert_eq!(open(&bytes[..bytes.len() - 1]), None);
        let standing = Standing { writes: root.standing.writes + 1, ..root.standing.clone() };
        let next = sign_root(&key, &Root { epoch: 2, standing, ..root.clone() });
        admits(&key, &known, "v", &root, ROOT, Some(&next)).unwrap();
        assert_eq!(
            known.or_opened(&next, || None).map(|root| root.epoch),
            Some(2),
            "what was admitted is known"
        );
    }
}
