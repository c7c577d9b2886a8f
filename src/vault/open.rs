//! An open vault: every operation on it. A read costs the root, one page and one record; a change, the
//! record, its page and the root, in one batch.
//!
//! A vault that is [held](Vault::hold) gathers changes and reads them back, and writes nothing until
//! [`Vault::make`]: the audit announces what they make of the root before they are made.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::{
    DocumentKind, HomeInfo, Pinned, SecretInfo, SecretMeta, VaultError, VaultKey, VerifyReport, VersionInfo,
    envelope::{self, Envelope},
    freshness::files as beside,
    home,
    index::{self, Entry, Page, Root, Version},
    stamp::{FileStamp, epoch_stamp},
};
use crate::{
    audit::{self, Head, Intent},
    files,
    names::SecretName,
    policy::{SecretFacts, Terms},
    store::{Batch, SledStore, Store, StoreError},
    value::{MAX_VALUE_BYTES, SecretValue},
};

/// Versions of a secret that are kept.
pub(super) const KEPT_VERSIONS: usize = 10;
const SECRET: &str = "secret";
/// From so many names on all pages are read, once each.
const MANY: usize = 256;

/// An open vault: the database is ours until this is dropped.
pub struct Vault {
    pub(super) store: Box<dyn Store>,
    pub(super) home: PathBuf,
    pub(super) info: HomeInfo,
    pub(super) key: Keys,
    /// As it will be once what is gathered is made.
    pub(super) root: Root,
    /// As it is in the database.
    written: Root,
    gathered: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    writes: Writes,
    /// Whether the description is to be written anew with what is gathered.
    described_anew: bool,
    // Released last.
    _lock: Option<File>,
}

/// When a change is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    AtOnce,
    /// Once the audit has announced it.
    Held,
}

/// Which files of the home must be those that the vault knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    Known,
    /// A person accepts those that are there.
    Accepted,
}

/// The identity, borrowed no longer than it takes to derive and encrypt: the vault has its own.
pub(super) struct Keys {
    pub vault: VaultKey,
    pub names: Zeroizing<[u8; 32]>,
}

impl Keys {
    pub(super) fn of(key: &VaultKey) -> Self {
        Self { vault: key.duplicate(), names: key.derive("names") }
    }
}

/// A change to one secret or document: a new version, or none any more.
pub(super) enum Change {
    Put { kind: &'static str, name: String, value: Zeroizing<Vec<u8>>, meta: SecretMeta },
    Remove { kind: &'static str, name: String },
}

impl Vault {
    /// Opens the vault of a home, waiting for another process up to `wait`, and compares root and
    /// epoch.
    ///
    /// # Errors
    /// [`VaultError::Busy`] when the wait is over, [`VaultError::Damaged`], [`VaultError::WrongKey`].
    pub fn open(home: &Path, key: &VaultKey, wait: Duration) -> Result<Self, VaultError> {
        Self::open_with(home, key, wait, Files::Known)
    }

    pub(super) fn open_with(
        home: &Path,
        key: &VaultKey,
        wait: Duration,
        files: Files,
    ) -> Result<Self, VaultError> {
        home::checked(home, key)?;
        let until = Instant::now() + wait;
        let lock = lock(home, wait)?;
        // What was there before another let go of the lock may not be there any more.
        let info = home::checked(home, key)?;
        let dir = home::database(home);
        if !dir.is_dir() {
            return Err(VaultError::damaged("vault/ is gone"));
        }
        let store = open_store(&dir, until)?;
        let vault = Self::over(Box::new(store), home, info, key, Some(lock))?;
        if files == Files::Known {
            beside::check(home, &vault.root.files, &vault.info)?;
        }
        Ok(vault)
    }

    pub(super) fn over(
        store: Box<dyn Store>,
        home: &Path,
        info: HomeInfo,
        key: &VaultKey,
        lock: Option<File>,
    ) -> Result<Self, VaultError> {
        let root = index::read_root(&*store, key)?;
        if root.vault_id != info.vault_id {
            return Err(VaultError::damaged("vault/ is of another vault than home.json"));
        }
        index::check_epoch(home, key, &root)?;
        Ok(Self {
            store,
            home: home.to_owned(),
            info,
            key: Keys::of(key),
            written: root.clone(),
            root,
            gathered: BTreeMap::new(),
            writes: Writes::AtOnce,
            described_anew: false,
            _lock: lock,
        })
    }

    /// Makes the empty database of a new home.
    pub(super) fn create(home: &Path, info: &HomeInfo, key: &VaultKey) -> Result<(), VaultError> {
        let root = Root {
            vault_id: info.vault_id.clone(),
            epoch: 1,
            writes: 1,
            pages: BTreeMap::new(),
            files: beside::present(home, Some(&home::encode(info, key)))?,
            chain: 0,
            unpinned: None,
            time: None,
            anchor: None,
        };
        Self::create_at(home, info, key, &root).map(drop)
    }

    pub(super) fn create_at(
        home: &Path,
        info: &HomeInfo,
        key: &VaultKey,
        root: &Root,
    ) -> Result<Self, VaultError> {
        let lock = lock(home, Duration::ZERO)?;
        let dir = home::database(home);
        files::create_private_dir(&dir).map_err(|error| VaultError::io("make vault/", error))?;
        let store = SledStore::open(&dir)?;
        store.apply(Batch(vec![(index::ROOT.to_vec(), Some(index::sign_root(key, root)))]))?;
        close_permissions(&dir)?;
        index::write_epoch(home, key, root)?;
        Self::over(Box::new(store), home, info.clone(), key, Some(lock))
    }

    /// From here on changes are gathered, and made by [`Vault::make`].
    pub fn hold(&mut self) {
        self.writes = Writes::Held;
    }

    /// The change that was gathered; nothing where none was.
    pub fn gathered(&self) -> Option<audit::Change> {
        (self.root.epoch != self.written.epoch).then(|| self.root.change())
    }

    /// The state that the database has, as it was announced.
    pub fn present(&self) -> audit::Change {
        self.written.change()
    }

    /// Lets go of what was gathered.
    pub fn discard(&mut self) {
        self.gathered.clear();
        self.root = self.written.clone();
    }

    /// Makes what was gathered, in one batch, and anchors the audit's head with it.
    ///
    /// # Errors
    /// [`VaultError`]: nothing of it is made.
    pub fn make(&mut self, head: Head, now: Timestamp) -> Result<(), VaultError> {
        self.root.anchor = Some(head);
        self.root.time = Some(now);
        self.flush()?;
        if std::mem::take(&mut self.described_anew) {
            home::write(&self.home, &self.info, &self.key.vault)?;
        }
        Ok(())
    }

    /// Takes over the files beside the vault as they are: its description and what unlocks it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn accept_files(&mut self) -> Result<(), VaultError> {
        let files = beside::present(&self.home, None)?;
        let root = Root { files, ..self.root.clone() };
        self.write(Batch::default(), root)
    }

    /// Gathers that the description says another thing of what remembers the vault. It is written behind the root, which
    /// takes both until the next change.
    pub(super) fn plan_pin(&mut self, pin: Pinned) -> Result<(), VaultError> {
        self.info.pin = Some(pin);
        self.described_anew = true;
        let encoded = home::encode(&self.info, &self.key.vault);
        let mut root = self.root.clone();
        root.files = beside::present(&self.home, None)?;
        root.files.entry(home::FILE.to_owned()).or_default().push(index::digest(&encoded));
        self.write(Batch::default(), root)
    }

    /// Gathers that the audit's chain begins anew: heads before it are of another.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn begin_chain(&mut self) -> Result<(), VaultError> {
        let root = Root { chain: self.root.chain + 1, anchor: None, ..self.root.clone() };
        self.write(Batch::default(), root)
    }

    /// Closes the database, and goes on keeping others from it.
    pub(super) fn into_lock(self) -> Option<File> {
        let Self { store, _lock: lock, .. } = self;
        drop(store);
        lock
    }

    /// A digest of all that the vault holds, its audit anchor and the like aside: those move with every run.
    pub fn content(&self) -> [u8; 32] {
        let pages = serde_json::to_vec(&(&self.written.vault_id, &self.written.pages));
        index::raw_digest(&pages.expect("a root has string keys only"))
    }

    /// How the vault looks from outside; it looks another way after each change.
    pub fn stamp(&self) -> Option<FileStamp> {
        epoch_stamp(&self.home)
    }

    /// The home's description, as the vault was opened with it.
    pub fn info(&self) -> &HomeInfo {
        &self.info
    }

    /// The vault's epoch: it grows with every change.
    pub fn epoch(&self) -> u64 {
        self.root.epoch
    }

    /// Sets secrets, all or none; each gets a new version. Metadata that is `None` keeps what was there.
    ///
    /// # Errors
    /// [`VaultError::TooLarge`] before anything is written, or what the database says.
    pub fn set_secrets(
        &mut self,
        changes: Vec<(SecretName, SecretValue, SecretMeta)>,
        now: Timestamp,
    ) -> Result<Vec<SecretInfo>, VaultError> {
        if changes.iter().any(|(_, value, _)| value.len() > MAX_VALUE_BYTES) {
            return Err(VaultError::TooLarge);
        }
        let names: Vec<SecretName> = changes.iter().map(|(name, _, _)| name.clone()).collect();
        let puts = changes.into_iter().map(|(name, value, meta)| put_secret(&name, &value, meta)).collect();
        self.commit(puts, now)?;
        if names.len() > MANY {
            // Every page once, not one for each name.
            let wanted: BTreeSet<&SecretName> = names.iter().collect();
            let all = self.list_secrets()?;
            return Ok(all.into_iter().filter(|info| wanted.contains(&info.name)).collect());
        }
        names.iter().map(|name| self.secret(name)?.ok_or_else(|| not_found(SECRET, name.as_str()))).collect()
    }

    /// All secrets, by name, values aside: reads the pages, decrypts no record.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn list_secrets(&self) -> Result<Vec<SecretInfo>, VaultError> {
        let mut all: Vec<SecretInfo> = self.entries(SECRET)?.iter().filter_map(info_of).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// One secret, value aside.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn secret(&self, name: &SecretName) -> Result<Option<SecretInfo>, VaultError> {
        Ok(self.entry(SECRET, name.as_str())?.as_ref().and_then(info_of))
    }

    /// What a decision needs of those names that exist. Costs one page a name, there or not.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn facts(&self, names: &[SecretName]) -> Result<Vec<SecretFacts>, VaultError> {
        let found = names.iter().map(|name| self.secret(name)).collect::<Result<Vec<_>, _>>()?;
        let facts = found.into_iter().flatten();
        Ok(facts
            .map(|s| SecretFacts { name: s.name, env: s.meta.env, description: s.meta.description })
            .collect())
    }

    /// Removes a secret and its versions.
    ///
    /// # Errors
    /// [`VaultError::NotFound`].
    pub fn remove_secret(&mut self, name: &SecretName) -> Result<(), VaultError> {
        self.remove(SECRET, name.as_str())
    }

    /// The versions that are kept (the last ten), oldest first.
    ///
    /// # Errors
    /// [`VaultError::NotFound`].
    pub fn history(&self, name: &SecretName) -> Result<Vec<VersionInfo>, VaultError> {
        let entry = self.entry(SECRET, name.as_str())?.ok_or_else(|| not_found(SECRET, name.as_str()))?;
        let current = entry.current().map(|version| version.version);
        let info = |v: &Version| VersionInfo {
            version: v.version,
            created: v.created,
            current: Some(v.version) == current,
        };
        Ok(entry.versions.iter().map(info).collect())
    }

    /// Makes an older version's value the newest version.
    ///
    /// # Errors
    /// [`VaultError::NotFound`].
    pub fn rollback(
        &mut self,
        name: &SecretName,
        version: u64,
        now: Timestamp,
    ) -> Result<SecretInfo, VaultError> {
        let entry = self.entry(SECRET, name.as_str())?.ok_or_else(|| not_found(SECRET, name.as_str()))?;
        let (_, value) = self.record(&entry, Some(version))?;
        let meta = entry.meta.clone();
        self.commit(vec![Change::Put { kind: SECRET, name: name.to_string(), value, meta }], now)?;
        self.secret(name)?.ok_or_else(|| not_found(SECRET, name.as_str()))
    }

    /// The value of a secret, for an intent that is on record and covers it: the only way to one.
    ///
    /// ```compile_fail,E0061
    /// # use authy_mcp::{names::SecretName, vault::Vault};
    /// fn peek(vault: &Vault, name: &SecretName) {
    ///     let _ = vault.reveal(name); // no intent, no value
    /// }
    /// ```
    ///
    /// # Errors
    /// [`VaultError::NotCovered`], [`VaultError::NotFound`], [`VaultError::Damaged`] naming the record.
    pub fn reveal<T: Terms>(&self, name: &SecretName, intent: &Intent<T>) -> Result<SecretValue, VaultError> {
        if !intent.covers(name) {
            return Err(VaultError::NotCovered(name.clone()));
        }
        let version = intent.version_of(name);
        let entry = self.entry(SECRET, name.as_str())?.ok_or_else(|| not_found(SECRET, name.as_str()))?;
        let (_, value) = self.record(&entry, version)?;
        Ok(SecretValue::from_zeroizing(value))
    }

    /// The value that a secret had before its present one, for an intent that covers it: what rotation has
    /// replaced may still open doors, and is masked beside the present one.
    ///
    /// # Errors
    /// As [`Vault::reveal`] has them.
    pub fn reveal_previous<T: Terms>(
        &self,
        name: &SecretName,
        intent: &Intent<T>,
    ) -> Result<Option<SecretValue>, VaultError> {
        if !intent.covers(name) {
            return Err(VaultError::NotCovered(name.clone()));
        }
        let entry = self.entry(SECRET, name.as_str())?.ok_or_else(|| not_found(SECRET, name.as_str()))?;
        let current = entry.current().map(|version| version.version);
        let before = entry.versions.iter().map(|v| v.version).filter(|v| Some(*v) < current).max();
        let Some(version) = before else { return Ok(None) };
        let (_, value) = self.record(&entry, Some(version))?;
        Ok(Some(SecretValue::from_zeroizing(value)))
    }

    /// What is thought of a secret's present value, which stays here: no intent is needed for a number.
    ///
    /// # Errors
    /// As [`Vault::reveal`] has them; nothing where there is no such secret.
    pub fn judge(&self, name: &SecretName, by: fn(&[u8]) -> u32) -> Result<Option<u32>, VaultError> {
        let Some(entry) = self.entry(SECRET, name.as_str())? else { return Ok(None) };
        let (_, value) = self.record(&entry, None)?;
        Ok(Some(by(&value)))
    }

    /// A document's bytes.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn document(&self, kind: DocumentKind, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let Some(entry) = self.entry(kind.word(), name)? else { return Ok(None) };
        self.record(&entry, None).map(|(_, value)| Some(value))
    }

    /// The names of the documents of a kind.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn documents(&self, kind: DocumentKind) -> Result<Vec<String>, VaultError> {
        let mut names: Vec<String> = self.entries(kind.word())?.into_iter().map(|entry| entry.name).collect();
        names.sort();
        Ok(names)
    }

    /// Writes a document.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_document(
        &mut self,
        kind: DocumentKind,
        name: &str,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let value = Zeroizing::new(bytes.to_vec());
        self.commit(
            vec![Change::Put {
                kind: kind.word(),
                name: name.to_owned(),
                value,
                meta: SecretMeta::default(),
            }],
            now,
        )
    }

    /// Removes a document.
    ///
    /// # Errors
    /// [`VaultError::NotFound`].
    pub fn remove_document(&mut self, kind: DocumentKind, name: &str) -> Result<(), VaultError> {
        self.remove(kind.word(), name)
    }

    /// The audit head that was last anchored.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn audit_anchor(&self) -> Result<Option<Head>, VaultError> {
        Ok(self.root.anchor)
    }

    /// Anchors the audit's head. That is no change: nothing is announced for it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn anchor_audit(&mut self, head: Head, now: Timestamp) -> Result<(), VaultError> {
        if self.root.anchor == Some(head) {
            return Ok(());
        }
        self.make(head, now)
    }

    /// Notes that the last change could not be remembered outside of the home, or that it is again.
    pub(super) fn note_pin(&mut self, unpinned: Option<u64>) -> Result<(), VaultError> {
        if self.root.unpinned == unpinned {
            return Ok(());
        }
        self.root.unpinned = unpinned;
        self.flush()
    }

    /// Reads and compares everything.
    ///
    /// # Errors
    /// [`VaultError`] where it can't even be started.
    pub fn verify(&self) -> Result<VerifyReport, VaultError> {
        let mut report = VerifyReport { epoch: self.root.epoch, ..VerifyReport::default() };
        if let Err(error) = self.store.check() {
            report.damage.push(VaultError::from(error).to_string());
        }
        let mut known = std::collections::BTreeSet::new();
        for bucket in self.root.pages.keys() {
            match self.page(*bucket) {
                Err(error) => report.damage.push(error.to_string()),
                Ok(page) => {
                    page.entries.values().for_each(|entry| self.verify_entry(entry, &mut known, &mut report))
                }
            }
        }
        let stored = self.store.scan(b"r")?;
        let orphans = stored.iter().filter(|(key, _)| !known.contains(key)).count();
        if orphans > 0 && report.damage.is_empty() {
            report.damage.push(format!("vault/: {orphans} record(s) that no index page names"));
        }
        Ok(report)
    }

    fn verify_entry(
        &self,
        entry: &Entry,
        known: &mut std::collections::BTreeSet<Vec<u8>>,
        report: &mut VerifyReport,
    ) {
        let id = index::record_id(&self.key.names, &entry.kind, &entry.name);
        for version in &entry.versions {
            known.insert(index::record_key(&id, version.version));
            match self.record(entry, Some(version.version)) {
                Ok(_) => report.records += 1,
                Err(error) => report.damage.push(error.to_string()),
            }
        }
    }

    pub(super) fn page(&self, bucket: u8) -> Result<Page, VaultError> {
        index::read_page(|key| self.read(key), &self.key.vault, &self.root, bucket)
    }

    /// What is stored, or was gathered and will be.
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.gathered.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.store.get(key),
        }
    }

    fn entry(&self, kind: &str, name: &str) -> Result<Option<Entry>, VaultError> {
        let id = index::record_id(&self.key.names, kind, name);
        Ok(self.page(id[0])?.entries.remove(&index::entry_key(kind, name)))
    }

    pub(super) fn entries(&self, kind: &str) -> Result<Vec<Entry>, VaultError> {
        let mut all = Vec::new();
        for bucket in self.root.pages.keys() {
            all.extend(self.page(*bucket)?.entries.into_values().filter(|entry| entry.kind == kind));
        }
        Ok(all)
    }

    /// A record's bytes as they are stored, and its value: compared with the index and with its envelope.
    pub(super) fn record(
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

    fn remove(&mut self, kind: &'static str, name: &str) -> Result<(), VaultError> {
        if self.entry(kind, name)?.is_none() {
            return Err(not_found(kind, name));
        }
        self.commit(vec![Change::Remove { kind, name: name.to_owned() }], Timestamp::UNIX_EPOCH)
    }

    /// Makes changes, all in one batch: records, their pages, the root.
    pub(super) fn commit(&mut self, changes: Vec<Change>, now: Timestamp) -> Result<(), VaultError> {
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
    pub(super) fn commit_pages(
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

    /// Gathers a batch with the root that goes with it, and makes it unless it is to be announced first.
    fn write(&mut self, batch: Batch, root: Root) -> Result<(), VaultError> {
        self.root = Root { epoch: self.written.epoch + 1, ..root };
        if self.root.files.is_empty() {
            // The first version's root knew of no file.
            self.root.files = beside::present(&self.home, None)?;
        }
        self.gathered.extend(batch.0);
        match self.writes {
            Writes::AtOnce => self.flush(),
            Writes::Held => Ok(()),
        }
    }

    /// Writes what was gathered; acknowledged once the epoch beside it says so.
    fn flush(&mut self) -> Result<(), VaultError> {
        // Records, their pages and the root in one batch: there is never a root that names what is not there. The epoch comes
        // behind it: cut off in between, the root is ahead, which `index::check_epoch` takes; the other way round a whole
        // vault would look like one that was put back.
        let mut batch = Batch(std::mem::take(&mut self.gathered).into_iter().collect());
        self.root.writes += 1;
        batch.0.push((index::ROOT.to_vec(), Some(index::sign_root(&self.key.vault, &self.root))));
        if let Err(error) = self.store.apply(batch) {
            self.root = self.written.clone();
            return Err(error.into());
        }
        self.written = self.root.clone();
        index::write_epoch(&self.home, &self.key.vault, &self.root)
    }
}

impl DocumentKind {
    fn word(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Token => "token",
            Self::Revocation => "revocation",
            Self::Grant => "grant",
            Self::Issued => "issued",
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a value is encrypted into its record")]
fn put_secret(name: &SecretName, value: &SecretValue, meta: SecretMeta) -> Change {
    let value = Zeroizing::new(value.expose_secret().to_vec());
    Change::Put { kind: SECRET, name: name.to_string(), value, meta }
}

fn info_of(entry: &Entry) -> Option<SecretInfo> {
    let current = entry.current()?;
    Some(SecretInfo {
        name: SecretName::parse(&entry.name).ok()?,
        version: current.version,
        meta: entry.meta.clone(),
        created: entry.since,
        updated: current.created,
    })
}

fn not_found(what: &'static str, name: &str) -> VaultError {
    VaultError::NotFound { what, name: name.to_owned() }
}

pub(super) fn lock(home: &Path, wait: Duration) -> Result<File, VaultError> {
    files::lock_in_turn(&home::lock_file(home), wait).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => VaultError::Busy,
        _ => VaultError::io("lock the vault", error),
    })
}

/// The engine's own lock may outlast the process that had ours by a moment.
fn open_store(dir: &Path, until: Instant) -> Result<SledStore, VaultError> {
    loop {
        match SledStore::open(dir) {
            Err(StoreError::Busy) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            opened => return Ok(opened?),
        }
    }
}

/// sled makes its files by the umask; the directory is closed to others, and the files are, too.
fn close_permissions(dir: &Path) -> Result<(), VaultError> {
    use std::os::unix::fs::PermissionsExt;
    let closed = |error| VaultError::io("close the database's files to others", error);
    for file in files::files_below(dir).map_err(closed)? {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).map_err(closed)?;
    }
    Ok(())
}
