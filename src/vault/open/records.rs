//! Records, and the tree that names them: read and compared, and changed together.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::Vault;
use crate::{
    store::{Object, ObjectId},
    vault::{
        SecretMeta, VaultError, VaultKey,
        envelope::{self, Envelope},
        freshness::files as beside,
        index::{self, Entry, Root, Version},
        object,
        tree::{self, Node, Nodes},
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

impl Nodes for Vault {
    fn read(&self, id: &ObjectId) -> Result<Arc<Node>, VaultError> {
        self.cache.node(id, || self.decrypt_node(id))
    }

    fn seal(&self, node: Node, text: &[u8]) -> Result<Object, VaultError> {
        let object = object::seal(&self.key.vault, &self.key.author, &self.root.vault_id, text)?;
        self.cache.keep(object.id(), Arc::new(node));
        Ok(object)
    }
}

impl Vault {
    pub(super) fn decrypt_node(&self, id: &ObjectId) -> Result<Node, VaultError> {
        let bad = |what: &str| VaultError::damaged(format!("store/: the index node {id:?} {what}"));
        let bytes = self.object(id)?.ok_or_else(|| bad("is missing"))?;
        if ObjectId::of(&bytes) != *id {
            return Err(bad("was swapped or changed"));
        }
        let age = object::open(&bytes).ok_or_else(|| bad("is no object of a vault"))?.age;
        let plain = self.key.vault.decrypt(age).ok_or_else(|| bad("can't be decrypted"))?;
        serde_json::from_slice(&plain).map_err(|_| bad("can't be read"))
    }

    /// What is stored, or was gathered and will be.
    fn object(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, VaultError> {
        match self.gathered.get(id) {
            Some(object) => Ok(Some(object.bytes().to_vec())),
            None => Ok(self.store.get(id)?),
        }
    }

    pub(super) fn entry(&self, kind: &str, name: &str) -> Result<Option<Entry>, VaultError> {
        tree::find(self, self.root.top, &index::entry_key(kind, name))
    }

    /// All entries of a kind, by name.
    pub(in crate::vault) fn entries(&self, kind: &str) -> Result<Vec<Entry>, VaultError> {
        self.scan(&index::entry_key(kind, ""))
    }

    /// All entries.
    pub(in crate::vault) fn all_entries(&self) -> Result<Vec<Entry>, VaultError> {
        self.scan("")
    }

    fn scan(&self, prefix: &str) -> Result<Vec<Entry>, VaultError> {
        let mut all = Vec::new();
        tree::scan(self, self.root.top, prefix, &mut |entry| all.push(entry))?;
        Ok(all)
    }

    /// A record's age file, and its value: compared with the index and with its envelope.
    pub(in crate::vault) fn record(
        &self,
        entry: &Entry,
        version: Option<u64>,
    ) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), VaultError> {
        let record = self.stored(entry, version)?;
        let value = record.value(&self.key.vault)?;
        Ok((record.cipher, value))
    }

    /// A record as it is stored, compared with the index.
    pub(super) fn stored(&self, entry: &Entry, version: Option<u64>) -> Result<StoredRecord, VaultError> {
        let bad = |what: &str| VaultError::damaged(format!("the {} {} {what}", entry.kind, entry.name));
        let wanted = match version {
            None => entry.current(),
            Some(number) => entry.versions.iter().find(|v| v.version == number),
        };
        let wanted = wanted.ok_or_else(|| not_found("version", &entry.name))?;
        let bytes = self.object(&wanted.id)?.ok_or_else(|| bad("is missing"))?;
        if ObjectId::of(&bytes) != wanted.id {
            return Err(bad("was swapped, replayed or changed"));
        }
        let cipher = object::open(&bytes).ok_or_else(|| bad("is no object of a vault"))?.age.to_vec();
        Ok(StoredRecord {
            vault_id: self.root.vault_id.clone(),
            kind: entry.kind.clone(),
            name: entry.name.clone(),
            version: wanted.version,
            cipher,
        })
    }

    pub(super) fn remove(&mut self, kind: &'static str, name: &str) -> Result<(), VaultError> {
        if self.entry(kind, name)?.is_none() {
            return Err(not_found(kind, name));
        }
        self.commit(vec![Change::Remove { kind, name: name.to_owned() }], Timestamp::UNIX_EPOCH)
    }

    /// Makes changes, all or none of them.
    pub(in crate::vault) fn commit(
        &mut self,
        changes: Vec<Change>,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let mut entries: BTreeMap<String, Option<Entry>> = BTreeMap::new();
        let mut records = Records::default();
        for change in changes {
            let (Change::Put { kind, name, .. } | Change::Remove { kind, name }) = &change;
            let key = index::entry_key(kind, name);
            let before = match entries.remove(&key) {
                Some(entry) => entry,
                None => tree::find(self, self.root.top, &key)?,
            };
            let after = match change {
                Change::Remove { .. } => {
                    records.dropped.extend(before.iter().flat_map(|entry| &entry.versions).map(|v| v.id));
                    None
                }
                Change::Put { kind, name, value, meta } => {
                    let mut entry = before.unwrap_or_else(|| Entry {
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
                    self.add_version(&mut entry, &value, now, &mut records)?;
                    Some(entry)
                }
            };
            entries.insert(key, after);
        }
        self.commit_entries(entries, records)
    }

    /// Gathers entries, the records that go with them, and the root that names them.
    pub(in crate::vault) fn commit_entries(
        &mut self,
        entries: BTreeMap<String, Option<Entry>>,
        records: Records,
    ) -> Result<(), VaultError> {
        let mut files = self.root.files.clone();
        beside::settle(&self.home, &mut files)?;
        let edited = tree::edit(self, self.root.top, entries)?;
        for id in records.dropped.into_iter().chain(edited.dropped) {
            // What was never stored is not let go, but left away.
            if self.gathered.remove(&id).is_none() {
                self.dropped.push(id);
            }
        }
        self.gathered.extend(records.made.into_iter().chain(edited.made).map(|object| (object.id(), object)));
        self.write(Root { top: edited.top, files, ..self.root.clone() })
    }

    fn add_version(
        &self,
        entry: &mut Entry,
        value: &[u8],
        now: Timestamp,
        records: &mut Records,
    ) -> Result<(), VaultError> {
        let version = entry.current().map_or(0, |v| v.version) + 1;
        let envelope = Envelope {
            format: envelope::FORMAT,
            vault_id: self.root.vault_id.clone(),
            kind: entry.kind.clone(),
            name: entry.name.clone(),
            version,
            since: entry.since,
            created: now,
            meta: entry.meta.clone(),
            value: envelope::encode(value),
        };
        let cipher = envelope.seal(&self.key.vault)?;
        let record = self.record_of(&cipher);
        entry.versions.push(Version {
            version,
            created: now,
            id: record.id(),
            digest: index::digest(&cipher),
        });
        records.made.push(record);
        let kept = if entry.kind == SECRET { KEPT_VERSIONS } else { 1 };
        let over = entry.versions.len().saturating_sub(kept);
        records.dropped.extend(entry.versions.drain(..over).map(|old| old.id));
        Ok(())
    }

    /// The object of an age file.
    pub(in crate::vault) fn record_of(&self, cipher: &[u8]) -> Object {
        object::wrap(&self.key.vault, &self.key.author, &self.root.vault_id, cipher)
    }
}

/// A record's age file, with what its envelope has to say.
pub(super) struct StoredRecord {
    vault_id: String,
    kind: String,
    name: String,
    version: u64,
    cipher: Vec<u8>,
}

impl StoredRecord {
    /// Its value, compared with its envelope.
    pub(super) fn value(&self, key: &VaultKey) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let bad = |what: &str| VaultError::damaged(format!("the {} {} {what}", self.kind, self.name));
        let envelope = Envelope::open(key, &self.cipher).ok_or_else(|| bad("can't be decrypted"))?;
        let same = envelope.format == envelope::FORMAT
            && envelope.vault_id == self.vault_id
            && envelope.kind == self.kind
            && envelope.name == self.name
            && envelope.version == self.version;
        if !same {
            return Err(bad("says that it is another"));
        }
        envelope.value().ok_or_else(|| bad("can't be read"))
    }
}

/// Records that a change makes, and those that it lets go.
#[derive(Default)]
pub(in crate::vault) struct Records {
    pub made: Vec<Object>,
    pub dropped: Vec<ObjectId>,
}

pub(super) fn not_found(what: &'static str, name: &str) -> VaultError {
    VaultError::NotFound { what, name: name.to_owned() }
}
