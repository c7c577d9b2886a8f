//! Backups: the identity's files and one `.age` file a record, which stock age opens.

use std::{collections::BTreeMap, fs, io, path::Path};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    HomeInfo, UnlockMethod, VaultError, VaultKey,
    envelope::Envelope,
    home,
    index::{self, Entry, Version},
    open::{Records, Vault},
    unlock,
};
use crate::files;

pub(super) const MANIFEST: &str = "manifest";
pub(super) const RECORDS: &str = "records";

/// What a backup has: a record that is missing or was exchanged shows.
#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    pub vault_id: String,
    pub epoch: u64,
    /// File below `records/` → SHA-256, in hex.
    pub records: BTreeMap<String, String>,
    /// The length of the longest: nothing longer is read.
    #[serde(default = "longest")]
    pub longest: u64,
    /// When an automatic one was made: under a later date it is a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Timestamp>,
}

/// Where a manifest does not say: far more than the largest value makes.
fn longest() -> u64 {
    64 << 20
}

/// More than this was not written by us: a million records have less.
pub(super) const MANIFEST_MOST: u64 = 256 << 20;

impl Vault {
    /// Writes the identity files and one `.age` file a record into an empty directory; returns how
    /// many records.
    ///
    /// # Errors
    /// [`VaultError::AlreadyThere`] where the directory has something in it.
    pub fn backup(&self, dir: &Path) -> Result<u64, VaultError> {
        if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(VaultError::AlreadyThere(dir.to_owned()));
        }
        let key = &self.key.vault;
        files::create_private_dir(dir)
            .map_err(|error| VaultError::io(format!("make {}", dir.display()), error))?;
        home::write(dir, &self.info, key)?;
        for (name, bytes) in unlock::identity_files(&self.home, &self.info, key)? {
            write(dir, &name, &bytes)?;
        }
        let mut manifest = Manifest {
            vault_id: self.info.vault_id.clone(),
            epoch: self.root.epoch,
            records: BTreeMap::new(),
            longest: 0,
            made: None,
        };
        for entry in self.all_entries()? {
            let id = index::record_id(&self.key.names, &entry.kind, &entry.name);
            for version in &entry.versions {
                let (cipher, _) = self.record(&entry, Some(version.version))?;
                let name = format!("{}-{}.age", hex::encode(id), version.version);
                write(dir, &format!("{RECORDS}/{name}"), &cipher)?;
                manifest.longest = manifest.longest.max(cipher.len() as u64);
                manifest.records.insert(name, index::digest(&cipher));
            }
        }
        write(dir, MANIFEST, &index::signed(key, "manifest", &manifest))?;
        Ok(manifest.records.len() as u64)
    }
}

/// A backup that was opened, read whole, and held against its manifest.
pub(crate) struct Backup {
    pub(super) info: HomeInfo,
    pub(super) key: VaultKey,
    pub(super) epoch: u64,
    pub(super) records: Vec<(Envelope, Vec<u8>)>,
    pub(super) identity: Vec<(String, Vec<u8>)>,
}

impl Backup {
    /// Reads what [`Vault::backup`] wrote.
    ///
    /// # Errors
    /// [`VaultError`], naming what of it is missing, cut or changed.
    pub(crate) fn read(dir: &Path, opener: &UnlockMethod) -> Result<Self, VaultError> {
        let key = open(dir, opener)?;
        // Records are the same in every format of a home.
        let info = HomeInfo { format: home::FORMAT, ..home::checked(dir, &key)? };
        let manifest = manifest(dir, &info, &key)?;
        let records = read_records(dir, &info, &key, &manifest)?;
        let identity = unlock::identity_files(dir, &info, &key)?;
        Ok(Self { info, key, epoch: manifest.epoch, records, identity })
    }

    /// The identity of its vault.
    pub(crate) fn identity(&self) -> VaultKey {
        self.key.duplicate()
    }

    /// How many records it has.
    pub(crate) fn records(&self) -> u64 {
        self.records.len() as u64
    }

    /// What it says of its home.
    pub(crate) fn info(&self) -> &HomeInfo {
        &self.info
    }
}

fn open(backup: &Path, opener: &UnlockMethod) -> Result<VaultKey, VaultError> {
    match unlock::unlock(backup, opener) {
        Err(VaultError::NoVault(dir)) => {
            Err(VaultError::damaged(format!("{} is not a backup: it has no home.json", dir.display())))
        }
        other => other,
    }
}

/// The manifest of a backup, if it is one of this vault.
pub(super) fn manifest(dir: &Path, info: &HomeInfo, key: &VaultKey) -> Result<Manifest, VaultError> {
    let bytes = read(dir, MANIFEST, MANIFEST_MOST)?;
    index::open_signed(key, "manifest", &bytes)
        .filter(|manifest: &Manifest| manifest.vault_id == info.vault_id)
        .ok_or_else(|| VaultError::damaged("the backup's manifest is cut or changed"))
}

/// Only regular files, and none longer than any can be: a backup may come from anywhere.
fn read(dir: &Path, name: &str, most: u64) -> Result<Vec<u8>, VaultError> {
    files::read_regular(&dir.join(name), most).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => VaultError::damaged(format!("the backup's {name} is missing")),
        _ => VaultError::unreadable(&format!("the backup's {name}"), error),
    })
}

fn read_records(
    dir: &Path,
    info: &HomeInfo,
    key: &VaultKey,
    manifest: &Manifest,
) -> Result<Vec<(Envelope, Vec<u8>)>, VaultError> {
    let mut records = Vec::new();
    for (name, digest) in &manifest.records {
        let bad = || VaultError::damaged(format!("the backup's {RECORDS}/{name} is cut or changed"));
        let cipher = read(dir, &format!("{RECORDS}/{name}"), manifest.longest)?;
        if index::digest(&cipher) != *digest {
            return Err(bad());
        }
        let envelope =
            Envelope::open(key, &cipher).filter(|e| e.vault_id == info.vault_id).ok_or_else(bad)?;
        records.push((envelope, cipher));
    }
    Ok(records)
}

impl Vault {
    /// Puts records back as they were: their versions, their times, their very bytes.
    pub(super) fn fill(&mut self, records: Vec<(Envelope, Vec<u8>)>) -> Result<(), VaultError> {
        let mut entries: BTreeMap<String, Option<Entry>> = BTreeMap::new();
        let mut made = Records::default();
        for (envelope, cipher) in records {
            let key = index::entry_key(&envelope.kind, &envelope.name);
            let entry = entries.entry(key).or_default().get_or_insert_with(|| Entry {
                kind: envelope.kind.clone(),
                name: envelope.name.clone(),
                meta: envelope.meta.clone(),
                since: envelope.since,
                versions: Vec::new(),
            });
            let newest = entry.versions.iter().all(|v| v.version < envelope.version);
            if newest {
                entry.meta = envelope.meta.clone();
            }
            let record = self.record_of(&cipher);
            entry.versions.push(Version {
                version: envelope.version,
                created: envelope.created,
                id: record.id(),
                digest: index::digest(&cipher),
            });
            entry.versions.sort_by_key(|v| v.version);
            made.made.push(record);
        }
        self.commit_entries(entries, made)
    }
}

pub(super) fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), VaultError> {
    let path = dir.join(name);
    files::create_private(&path, bytes)
        .map_err(|error| VaultError::io(format!("write {}", path.display()), error))
}
