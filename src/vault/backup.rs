//! Backup and restore: the identity's files and one `.age` file a record, which stock age opens.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    HomeInfo, Opener, UnlockKind, VaultError, VaultKey,
    envelope::Envelope,
    home,
    index::{self, Entry, Page, Version},
    open::Vault,
    unlock,
};
use crate::{
    audit::Head,
    store::{Batch, files},
};

pub(super) const MANIFEST: &str = "manifest";
pub(super) const RECORDS: &str = "records";

/// What a backup has: a record that is missing or was exchanged shows.
#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    pub vault_id: String,
    pub epoch: u64,
    /// File below `records/` → SHA-256, in hex.
    pub records: BTreeMap<String, String>,
}

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
        };
        for bucket in self.root.pages.keys() {
            for entry in self.page(*bucket)?.entries.values() {
                let id = index::record_id(&self.key.names, &entry.kind, &entry.name);
                for version in &entry.versions {
                    let (cipher, _) = self.record(entry, Some(version.version))?;
                    let name = format!("{}-{}.age", hex::encode(id), version.version);
                    write(dir, &format!("{RECORDS}/{name}"), &cipher)?;
                    manifest.records.insert(name, index::digest(&cipher));
                }
            }
        }
        write(dir, MANIFEST, &index::signed(key, "manifest", &manifest))?;
        Ok(manifest.records.len() as u64)
    }
}

/// Rebuilds a home from what [`Vault::backup`] wrote; a home that is there is kept aside, whole, and its
/// audit log and token files go on in the new one. Returns how many records.
///
/// # Errors
/// [`VaultError`]: the home is as it was.
pub fn restore(home: &Path, backup: &Path, opener: &Opener) -> Result<u64, VaultError> {
    let key = unlock_backup(backup, opener)?;
    let mut info = home::checked(backup, &key)?;
    let (manifest, records) = read_records(backup, &info, &key)?;
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
    let fresh = beside(home, &format!("restoring-{stamp}"));
    files::create_private_dir(&fresh).map_err(|error| VaultError::io("make the new home", error))?;
    let (epoch, anchor) = before(home, &key);
    let built = rebuild(&fresh, home, &mut info, &key, backup, records, (epoch.max(manifest.epoch), anchor));
    if let Err(error) = built.and_then(|()| swap(home, &fresh, &stamp)) {
        // What was half built is nobody's; the old home has not been touched.
        let _ = fs::remove_dir_all(&fresh);
        return Err(error);
    }
    Ok(manifest.records.len() as u64)
}

fn unlock_backup(backup: &Path, opener: &Opener) -> Result<VaultKey, VaultError> {
    match unlock::unlock(backup, opener) {
        Err(VaultError::NoVault(dir)) => {
            Err(VaultError::damaged(format!("{} is no backup: it has no home.json", dir.display())))
        }
        other => other,
    }
}

fn read_records(
    backup: &Path,
    info: &HomeInfo,
    key: &VaultKey,
) -> Result<(Manifest, Vec<(Envelope, Vec<u8>)>), VaultError> {
    let read = |name: &str| {
        fs::read(backup.join(name)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => VaultError::damaged(format!("the backup's {name} is missing")),
            _ => VaultError::io(format!("read the backup's {name}"), error),
        })
    };
    let manifest: Manifest = index::open_signed(key, "manifest", &read(MANIFEST)?)
        .filter(|manifest: &Manifest| manifest.vault_id == info.vault_id)
        .ok_or_else(|| VaultError::damaged("the backup's manifest is cut or changed"))?;
    let mut records = Vec::new();
    for (name, digest) in &manifest.records {
        let bad = || VaultError::damaged(format!("the backup's {RECORDS}/{name} is cut or changed"));
        let cipher = read(&format!("{RECORDS}/{name}"))?;
        if index::digest(&cipher) != *digest {
            return Err(bad());
        }
        let envelope =
            Envelope::open(key, &cipher).filter(|e| e.vault_id == info.vault_id).ok_or_else(bad)?;
        records.push((envelope, cipher));
    }
    Ok((manifest, records))
}

/// How far the vault that is there has come, if that can still be told.
fn before(home: &Path, key: &VaultKey) -> (u64, Option<Head>) {
    match Vault::open(home, key, Duration::from_secs(5)) {
        Ok(vault) => (vault.root.epoch, vault.root.anchor),
        Err(_) => (0, None),
    }
}

fn rebuild(
    fresh: &Path,
    home: &Path,
    info: &mut HomeInfo,
    key: &VaultKey,
    backup: &Path,
    records: Vec<(Envelope, Vec<u8>)>,
    (epoch, anchor): (u64, Option<Head>),
) -> Result<(), VaultError> {
    let kept_elsewhere =
        info.identity_file.as_ref().is_some_and(|path| !path.starts_with(home) && path.exists());
    for (name, bytes) in unlock::identity_files(backup, info, key)? {
        if !kept_elsewhere {
            write(fresh, &name, &bytes)?;
        }
    }
    if info.unlock == UnlockKind::IdentityFile && !kept_elsewhere {
        info.identity_file = Some(home.join("identity.txt"));
    }
    home::write(fresh, info, key)?;
    let mut vault = Vault::create_at(fresh, info, key, epoch + 1, anchor)?;
    vault.fill(records)?;
    drop(vault);
    for kept in ["audit", "tokens"] {
        let from = home.join(kept);
        if from.is_dir() {
            files::copy_dir(&from, &fresh.join(kept))
                .map_err(|error| VaultError::io(format!("keep {kept}/"), error))?;
        }
    }
    files::carry_dir(&home.join("backups"), &fresh.join("backups"))
        .map_err(|error| VaultError::io("keep backups/", error))
}

impl Vault {
    /// Puts records back as they were: their versions, their times, their very bytes.
    fn fill(&mut self, records: Vec<(Envelope, Vec<u8>)>) -> Result<(), VaultError> {
        let mut pages: BTreeMap<u8, Page> = BTreeMap::new();
        let mut batch = Batch::default();
        for (envelope, cipher) in records {
            let id = index::record_id(&self.key.names, &envelope.kind, &envelope.name);
            let page = pages.entry(id[0]).or_default();
            let key = index::entry_key(&envelope.kind, &envelope.name);
            let entry = page.entries.entry(key).or_insert_with(|| Entry {
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
            entry.versions.push(Version {
                version: envelope.version,
                created: envelope.created,
                digest: index::digest(&cipher),
            });
            entry.versions.sort_by_key(|v| v.version);
            batch.0.push((index::record_key(&id, envelope.version), Some(cipher)));
        }
        self.commit_pages(pages, batch)
    }
}

fn swap(home: &Path, fresh: &Path, stamp: &str) -> Result<(), VaultError> {
    let failed =
        |error| VaultError::io(format!("put the new home in place (it is at {})", fresh.display()), error);
    if home.exists() {
        fs::rename(home, beside(home, &format!("replaced-{stamp}"))).map_err(failed)?;
    }
    fs::rename(fresh, home).map_err(failed)
}

fn beside(home: &Path, suffix: &str) -> PathBuf {
    let mut name = home.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{suffix}"));
    home.with_file_name(name)
}

pub(super) fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), VaultError> {
    let path = dir.join(name);
    files::create_private(&path, bytes)
        .map_err(|error| VaultError::io(format!("write {}", path.display()), error))
}
