//! Records, and the index pages that name them: read and compared, and changed together.

use std::collections::BTreeMap;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::Vault;
use crate::{
    store::{Batch, StoreError},
    vault::{
        SecretMeta, VaultError,
        envelope::{self, Envelope},
        freshness::files as beside,
        home,
        index::{self, Entry, Page, Version},
    },
};

/// Versions of a secret that are kept.
pub(in crate::vault) const KEPT_VERSIONS: usize = 10;

pub(super) const SECRET: &str = "secret";

/// A change to one secret or document: a new version, or none any more.
pub(in crate::vault) enum Change {
    Put { kind: &'static str, name: String, value: Zeroizing<Vec<u8>>, meta: SecretMeta },
    Remove { kind: &'static str, name: String },
}

impl Vault {
    pub(in crate::vault) fn page(&self, bucket: u8) -> Result<Page, VaultError> {
        index::read_page(|key| self.read(key), &self.key.vault, &self.root, bucket)
    }

    /// What is stored, or was gathered and will be.
    pub(super) fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.gathered.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.store.get(key),
        }
    }

    pub(super) fn entry(&self, kind: &str, name: &str) -> Result<Option<Entry>, VaultError> {
        let id = index::record_id(&self.key.names, kind, name);
        Ok(self.page(id[0])?.entries.remove(&index::entry_key(kind, name)))
    }

    pub(in crate::vault) fn entries(&self, kind: &str) -> Result<Vec<Entry>, VaultError> {
        let mut all = Vec::new();
        for bucket in self.root.pages.keys() {
            all.extend(self.page(*bucket)?.entries.into_values().filter(|entry| entry.kind == kind));
        }
        Ok(all)
    }

    /// A record's bytes as they are stored, and its value: compared with the index and with its envelope.
    pub(in crate::vault) fn record(
        &self,
        entry: &Entry,
        version: Option<u64>,
    ) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), VaultError> {
        let bad = |what: &str| VaultError::damaged(format!("the {} {} {what}", entry.kind, entry.name));
        let wanted = match version {
            None => entry.current(),
            Some(number) => entry.versions.iter().find(|v| v.version == number),
        };
        let wanted = wanted.ok_or_else(|| not_found("version", &entry.name))?;
        let id = index::record_id(&self.key.names, &entry.kind, &entry.name);
        let cipher = self.read(&index::record_key(&id, wanted.version))?.ok_or_else(|| bad("is missing"))?;
        if index::digest(&cipher) != wanted.digest {
            return Err(bad("was swapped, replayed or changed"));
        }
        let envelope = Envelope::open(&self.key.vault, &cipher).ok_or_else(|| bad("can't be decrypted"))?;
        let same = envelope.format == home::FORMAT
            && envelope.vault_id == self.root.vault_id
            && envelope.kind == entry.kind
            && envelope.name == entry.name
            && envelope.version == wanted.version;
        if !same {
            return Err(bad("says that it is another"));
        }
        let value = envelope.value().ok_or_else(|| bad("can't be read"))?;
        Ok((cipher, value))
    }

    pub(super) fn remove(&mut self, kind: &'static str, name: &str) -> Result<(), VaultError> {
        if self.entry(kind, name)?.is_none() {
            return Err(not_found(kind, name));
        }
        self.commit(vec![Change::Remove { kind, name: name.to_owned() }], Timestamp::UNIX_EPOCH)
    }

    /// Makes changes, all in one batch: records, their pages, the root.
    pub(in crate::vault) fn commit(
        &mut self,
        changes: Vec<Change>,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let mut pages: BTreeMap<u8, Page> = BTreeMap::new();
        let mut batch = Batch::default();
        for change in changes {
            let (Change::Put { kind, name, .. } | Change::Remove { kind, name }) = &change;
            let id = index::record_id(&self.key.names, kind, name);
            let page = match pages.entry(id[0]) {
                std::collections::btree_map::Entry::Occupied(page) => page.into_mut(),
                std::collections::btree_map::Entry::Vacant(free) => free.insert(self.page(id[0])?),
            };
            self.change_page(page, &id, change, now, &mut batch)?;
        }
        self.commit_pages(pages, batch)
    }

    /// Writes pages and the records that go with them.
    pub(in crate::vault) fn commit_pages(
        &mut self,
        pages: BTreeMap<u8, Page>,
        mut batch: Batch,
    ) -> Result<(), VaultError> {
        let mut root = self.root.clone();
        beside::settle(&self.home, &mut root.files)?;
        for (bucket, page) in pages {
            let sealed = index::seal_page(&self.key.vault, &page)?;
            root.pages.insert(bucket, index::digest(&sealed));
            batch.0.push((index::page_key(bucket), Some(sealed)));
        }
        self.write(batch, root)
    }

    fn change_page(
        &self,
        page: &mut Page,
        id: &[u8; 16],
        change: Change,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), VaultError> {
        match change {
            Change::Remove { kind, name } => {
                if let Some(entry) = page.entries.remove(&index::entry_key(kind, &name)) {
                    batch.0.extend(entry.versions.iter().map(|v| (index::record_key(id, v.version), None)));
                }
                Ok(())
            }
            Change::Put { kind, name, value, meta } => {
                let entry = page.entries.entry(index::entry_key(kind, &name)).or_insert_with(|| Entry {
                    kind: kind.to_owned(),
                    name,
                    meta: SecretMeta::default(),
                    since: now,
                    versions: Vec::new(),
                });
                entry.meta = SecretMeta {
                    description: meta.description.or(entry.meta.description.take()),
                    env: meta.env.or(entry.meta.env.take()),
                };
                self.add_version(entry, id, &value, now, batch)
            }
        }
    }

    fn add_version(
        &self,
        entry: &mut Entry,
        id: &[u8; 16],
        value: &[u8],
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), VaultError> {
        let version = entry.current().map_or(0, |v| v.version) + 1;
        let envelope = Envelope {
            format: home::FORMAT,
            vault_id: self.root.vault_id.clone(),
            kind: entry.kind.clone(),
            name: entry.name.clone(),
            version,
            since: entry.since,
            created: now,
            meta: entry.meta.clone(),
            value: envelope::encode(value),
        };
        let sealed = envelope.seal(&self.key.vault)?;
        entry.versions.push(Version { version, created: now, digest: index::digest(&sealed) });
        batch.0.push((index::record_key(id, version), Some(sealed)));
        let kept = if entry.kind == SECRET { KEPT_VERSIONS } else { 1 };
        let over = entry.versions.len().saturating_sub(kept);
        for old in entry.versions.drain(..over) {
            batch.0.push((index::record_key(id, old.version), None));
        }
        Ok(())
    }
}

pub(super) fn not_found(what: &'static str, name: &str) -> VaultError {
    VaultError::NotFound { what, name: name.to_owned() }
}
