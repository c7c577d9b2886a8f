//! An open vault: every operation on it. A read costs the root, one page and one record; a change, the
//! record, its page and the root, in one batch.
//!
//! A vault that is [held](Vault::hold) gathers changes and reads them back, and writes nothing until
//! [`Vault::make`]: the audit announces what they make of the root before they are made.

mod documents;
mod records;
mod secrets;
mod verify;

pub(crate) use verify::VerifyReport;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{
    HomeInfo, Pinned, VaultError, VaultKey,
    freshness::files as beside,
    home,
    index::{self, Root},
    stamp::{FileStamp, epoch_stamp},
};
use crate::{
    audit::{self, Head},
    files,
    store::{Batch, Engine, Store, StoreError},
};

/// An open vault: the database is ours until this is dropped.
pub struct Vault {
    pub(super) store: Box<dyn Store>,
    pub(super) home: PathBuf,
    pub(super) info: HomeInfo,
    pub(super) key: DerivedKeys,
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
pub(super) struct DerivedKeys {
    pub vault: VaultKey,
    pub names: Zeroizing<[u8; 32]>,
}

impl DerivedKeys {
    pub(super) fn of(key: &VaultKey) -> Self {
        Self { vault: key.duplicate(), names: key.derive("names") }
    }
}

impl Vault {
    /// Opens the vault of a home, waiting for another process up to `wait`, and compares root and
    /// epoch.
    ///
    /// # Errors
    /// [`VaultError::Busy`] when the wait is over, [`VaultError::Damaged`], [`VaultError::WrongKey`].
    pub fn open(home: &Path, key: &VaultKey, wait: Duration) -> Result<Self, VaultError> {
        Self::open_with(home, key, wait, Files::Known, &Engine::default())
    }

    pub(super) fn open_with(
        home: &Path,
        key: &VaultKey,
        wait: Duration,
        files: Files,
        engine: &Engine,
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
        let store = open_store(engine, &dir, until)?;
        let vault = Self::over(store, home, info, key, Some(lock))?;
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
            key: DerivedKeys::of(key),
            written: root.clone(),
            root,
            gathered: BTreeMap::new(),
            writes: Writes::AtOnce,
            described_anew: false,
            _lock: lock,
        })
    }

    /// Makes the empty database of a new home.
    pub(super) fn create(
        home: &Path,
        info: &HomeInfo,
        key: &VaultKey,
        engine: &Engine,
    ) -> Result<(), VaultError> {
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
        Self::create_at(home, info, key, &root, engine).map(drop)
    }

    pub(super) fn create_at(
        home: &Path,
        info: &HomeInfo,
        key: &VaultKey,
        root: &Root,
        engine: &Engine,
    ) -> Result<Self, VaultError> {
        let lock = lock(home, Duration::ZERO)?;
        let dir = home::database(home);
        files::create_private_dir(&dir).map_err(|error| VaultError::io("make vault/", error))?;
        let store = engine.open(&dir)?;
        store.apply(Batch(vec![(index::ROOT.to_vec(), Some(index::sign_root(key, root)))]))?;
        close_permissions(&dir)?;
        index::write_epoch(home, key, root)?;
        Self::over(store, home, info.clone(), key, Some(lock))
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

pub(super) fn lock(home: &Path, wait: Duration) -> Result<File, VaultError> {
    files::lock_in_turn(&home::lock_file(home), wait).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => VaultError::Busy,
        _ => VaultError::io("lock the vault", error),
    })
}

/// The engine's own lock may outlast the process that had ours by a moment.
fn open_store(engine: &Engine, dir: &Path, until: Instant) -> Result<Box<dyn Store>, VaultError> {
    loop {
        match engine.open(dir) {
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
