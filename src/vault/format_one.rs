//! A home of format 1, for the upgrade: read whole, and held against everything that format 1 held it against.
//!
//! ```text
//! "index"        MAC ‖ { vault_id, epoch, writes, pages: { bucket → SHA-256 of the page }, files, chain, … }
//! "b" bucket     age( { entries: { "kind name" → entry } } )
//! "r" id version age( Envelope )
//! vault.epoch    MAC ‖ { vault_id, epoch, writes }
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    HomeInfo, VaultError, VaultKey,
    backup::Backup,
    envelope::{self, Envelope},
    freshness::{self, State, files as beside},
    home, index,
    open::Files,
    unlock,
};
use crate::{
    audit::{Announced, Change, Head},
    files,
    store::{StoreError, format_one},
};

/// More than this was not written by us.
const EPOCH_MOST: u64 = 4096;

#[derive(Deserialize)]
struct Root {
    vault_id: String,
    epoch: u64,
    #[serde(default)]
    writes: u64,
    pages: BTreeMap<u8, String>,
    #[serde(default)]
    files: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    chain: u64,
    #[serde(default)]
    time: Option<Timestamp>,
    #[serde(default)]
    unpinned: Option<u64>,
    anchor: Option<Head>,
}

#[derive(Deserialize)]
struct Epoch {
    vault_id: String,
    epoch: u64,
    #[serde(default)]
    writes: u64,
}

#[derive(Deserialize)]
struct Page {
    entries: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    kind: String,
    name: String,
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
    digest: String,
}

impl Root {
    /// As the audit of then announced it.
    fn change(&self) -> Change {
        let content = (&self.vault_id, self.epoch, &self.pages, &self.files, self.chain);
        let json = serde_json::to_vec(&content).expect("string keys only");
        Change { epoch: self.epoch, root: Sha256::digest(json).into() }
    }
}

/// A vault of format 1, as far as what replaces it must know.
pub(crate) struct FormatOne {
    root: Root,
    info: HomeInfo,
    key: VaultKey,
    home: PathBuf,
    records: Vec<(Envelope, Vec<u8>)>,
}

/// How far a vault of format 1 was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Far {
    pub epoch: u64,
    pub chain: u64,
    pub head: Option<Head>,
    pub time: Option<Timestamp>,
}

impl FormatOne {
    /// Reads it. The caller has its lock.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] naming what is.
    pub(super) fn read(
        home: &Path,
        info: HomeInfo,
        key: &VaultKey,
        files: Files,
    ) -> Result<Self, VaultError> {
        let pairs = format_one::read(&home::database_one(home)).map_err(|error| match error {
            StoreError::Damaged { what } => VaultError::damaged(format!("vault/: {what}")),
            other => other.into(),
        })?;
        let bad = |what: &str| VaultError::damaged(format!("vault/: {what}"));
        let root = pairs.get(b"index".as_slice()).ok_or_else(|| bad("the root is missing"))?;
        let root: Root = index::open_signed(key, "root", root)
            .filter(|root: &Root| root.vault_id == info.vault_id)
            .ok_or_else(|| bad("the root is cut, forged, or of another vault"))?;
        check_epoch(home, key, &root)?;
        let change = root.change();
        let state = State { info: &info, home, change, unpinned: root.unpinned };
        let remembered =
            beside::check(home, &root.files, &info).and_then(|()| freshness::judge_format_one(&state, key));
        match remembered {
            // A person has said that it is right.
            Err(VaultError::Unconfirmed { .. }) if files == Files::Accepted => {}
            held => held?,
        }
        let mut records = Vec::new();
        for (bucket, digest) in &root.pages {
            let cipher =
                pairs.get([b'b', *bucket].as_slice()).filter(|cipher| index::digest(cipher) == *digest);
            let plain = cipher.and_then(|cipher| key.decrypt(cipher));
            let page = plain.and_then(|plain| serde_json::from_slice::<Page>(&plain).ok());
            let page =
                page.ok_or_else(|| bad(&format!("index page {bucket:02x} is missing or was changed")))?;
            for entry in page.entries.into_values() {
                records.extend(read_entry(&pairs, key, &info, &entry)?);
            }
        }
        let key = key.duplicate();
        Ok(Self { root, info, key, home: home.to_owned(), records })
    }

    /// Holds it against the changes that the audit has announced: only what was announced last is right, or the one
    /// before it while nothing says that the last was made.
    ///
    /// # Errors
    /// [`VaultError::Damaged`].
    pub(super) fn stands(&self, announced: Option<Announced>) -> Result<(), VaultError> {
        let root = &self.root;
        let change = root.change();
        let right = match announced {
            // The very first version announced nothing, and a vault that was just made has not yet.
            None => root.writes == 0 || (root.epoch == 1 && root.anchor.is_none()),
            Some(announced) if announced.change == change => true,
            Some(announced) => {
                let before = announced.before.map_or(root.writes == 0, |before| before == change);
                before && !announced.completed
            }
        };
        if right {
            return Ok(());
        }
        Err(VaultError::damaged(format!(
            "vault/: the vault and its audit log don't agree: one of them was put back (change {} of {})",
            change.epoch,
            announced.map_or(0, |announced| announced.change.epoch)
        )))
    }

    pub(super) fn far(&self) -> Far {
        let Root { epoch, chain, time, anchor, .. } = &self.root;
        Far { epoch: *epoch, chain: *chain, head: *anchor, time: *time }
    }

    /// The same as a backup of it would have it, in the format of this version.
    ///
    /// # Errors
    /// [`VaultError`] where the files that unlock it can't be read.
    pub(super) fn into_backup(self) -> Result<Backup, VaultError> {
        let info = HomeInfo { format: home::FORMAT, ..self.info };
        let identity = unlock::identity_files(&self.home, &info, &self.key)?;
        Ok(Backup { info, key: self.key, epoch: self.root.epoch, records: self.records, identity })
    }
}

fn read_entry(
    pairs: &BTreeMap<Vec<u8>, Vec<u8>>,
    key: &VaultKey,
    info: &HomeInfo,
    entry: &Entry,
) -> Result<Vec<(Envelope, Vec<u8>)>, VaultError> {
    let bad = || VaultError::damaged(format!("the {} {} is missing, or was changed", entry.kind, entry.name));
    let id = index::record_id(&key.derive("names"), &entry.kind, &entry.name);
    let read = |version: &Version| {
        let at = [b"r".as_slice(), &id, &version.version.to_be_bytes()].concat();
        let cipher = pairs.get(&at).filter(|cipher| index::digest(cipher) == version.digest)?;
        let envelope = Envelope::open(key, cipher)?;
        let same = envelope.format == envelope::FORMAT
            && envelope.vault_id == info.vault_id
            && envelope.kind == entry.kind
            && envelope.name == entry.name
            && envelope.version == version.version;
        same.then(|| (envelope, cipher.clone()))
    };
    entry.versions.iter().map(|version| read(version).ok_or_else(bad)).collect()
}

fn check_epoch(home: &Path, key: &VaultKey, root: &Root) -> Result<(), VaultError> {
    let bytes = files::read_regular(&home.join("vault.epoch"), EPOCH_MOST)
        .map_err(|error| VaultError::damaged(format!("vault.epoch can't be read: {error}")))?;
    let epoch: Epoch = index::open_signed(key, "epoch", &bytes)
        .filter(|epoch: &Epoch| epoch.vault_id == root.vault_id)
        .ok_or_else(|| VaultError::damaged("vault.epoch is cut or changed, or of another vault"))?;
    if (root.epoch, root.writes) < (epoch.epoch, epoch.writes) {
        return Err(VaultError::damaged("vault/: the database was cut or put back"));
    }
    Ok(())
}
