//! An open vault: every operation on it. A read costs the root, the way down the tree and one record; a change, the
//! record and the way down, made anew, and the root, exchanged.
//!
//! A vault that is [held](Vault::hold) gathers changes and reads them back, and writes nothing until
//! [`Vault::make`]: the audit announces what they make of the root before they are made.

mod documents;
mod records;
mod secrets;
mod verify;

pub(super) use records::Records;
pub(crate) use secrets::SealedSecret;
pub(crate) use verify::VerifyReport;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{
    HomeInfo, Pinned, VaultError, VaultKey,
    cache::Cache,
    freshness::files as beside,
    home,
    index::{self, Root, Standing, Stored},
    object::Author,
    stamp::Stamp,
};
use crate::{
    audit::{self, Head},
    files,
    store::{Asks, Engine, Hold, Lent, Object, ObjectId, Order, Proof},
};

/// An open vault: the database is ours until this is dropped.
pub struct Vault {
    cache: Arc<Cache>,
    pub(super) store: Lent,
    pub(super) home: PathBuf,
    pub(super) info: HomeInfo,
    pub(super) key: DerivedKeys,
    /// As it will be once what is gathered is made.
    pub(super) root: Root,
    /// As it is in the store.
    written: Root,
    stored: Stored,
    /// Objects that are to be put.
    gathered: HashMap<ObjectId, Object>,
    /// Objects that are let go once the root names them no more.
    dropped: Vec<ObjectId>,
    writes: Writes,
    /// Whether the description is to be written anew with what is gathered.
    described_anew: bool,
}

/// When a change is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    AtOnce,
    /// Once the audit has announced it.
    Held,
}

/// A turn at a vault that is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    /// Before or behind whom.
    pub order: Order,
    /// For how long.
    pub wait: Duration,
}

impl Turn {
    pub(super) fn asks<'a>(&self, proof: &'a Proof<'a>) -> Asks<'a> {
        Asks { order: self.order, wait: self.wait, proof }
    }
}

/// Which files of the home must be those that the vault knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    Known,
    /// A person accepts those that are there.
    Accepted,
}

/// The identity, borrowed no longer than it takes to derive and encrypt: the vault has its own.
pub(super) struct DerivedKeys {
    pub vault: VaultKey,
    pub names: Zeroizing<[u8; 32]>,
    pub author: Arc<Author>,
}

impl DerivedKeys {
    fn of(key: &VaultKey, cache: &Cache) -> Self {
        Self { vault: key.duplicate(), names: key.derive("names"), author: cache.author(key) }
    }
}

impl Vault {
    /// Opens the vault of a home, waiting for its turn, and compares root and epoch.
    ///
    /// # Errors
    /// [`VaultError::Busy`] when the wait is over, [`VaultError::Damaged`], [`VaultError::WrongKey`].
    pub(super) fn open_with(
        home: &Path,
        key: &VaultKey,
        turn: Turn,
        files: Files,
        engine: &Engine,
        cache: &Arc<Cache>,
    ) -> Result<Self, VaultError> {
        home::checked(home, key)?;
        let proof = || key.of_the_local_api();
        let entry = engine.enter(home::place(home), &turn.asks(&proof))?;
        // What was there before another let go of the lock may not be there any more.
        let info = home::of_this_format(home::checked(home, key)?)?;
        if !home::database(home).is_dir() {
            return Err(VaultError::damaged("store/ is gone"));
        }
        let vault = Self::over(entry.open()?, home, info, key, cache)?;
        if files == Files::Known {
            beside::check(home, &vault.root.files, &vault.info)?;
        }
        Ok(vault)
    }

    pub(super) fn over(
        store: Lent,
        home: &Path,
        info: HomeInfo,
        key: &VaultKey,
        cache: &Arc<Cache>,
    ) -> Result<Self, VaultError> {
        let (root, stored) = index::read_root(&*store, key, &cache.root)?;
        if root.vault_id != info.vault_id {
            return Err(VaultError::damaged("store/ is of another vault than home.json"));
        }
        Ok(Self {
            cache: Arc::clone(cache),
            store,
            home: home.to_owned(),
            info,
            key: DerivedKeys::of(key, cache),
            written: root.clone(),
            root,
            stored,
            gathered: HashMap::new(),
            dropped: Vec::new(),
            writes: Writes::AtOnce,
            described_anew: false,
        })
    }

    /// Makes the empty store of a new home.
    pub(super) fn create(
        home: &Path,
        info: &HomeInfo,
        key: &VaultKey,
        engine: &Engine,
    ) -> Result<(), VaultError> {
        let files = beside::present(home, Some(&home::encode(info, key)))?;
        let root = Root { epoch: 1, files, ..Self::empty_root(info, key) };
        Self::create_at(home, info, key, &root, engine).map(drop)
    }

    /// The root of a vault that holds nothing.
    pub(super) fn empty_root(info: &HomeInfo, key: &VaultKey) -> Root {
        let author = Author::of(key);
        Root {
            format: index::FORMAT,
            vault_id: info.vault_id.clone(),
            epoch: 0,
            top: None,
            files: BTreeMap::new(),
            chain: 0,
            key: index::digest(key.recipient().as_bytes())[..16].to_owned(),
            author: author.id(),
            authors: BTreeMap::from([(author.id(), author.public())]),
            standing: Standing { writes: 1, ..Standing::default() },
        }
    }

    pub(super) fn create_at(
        home: &Path,
        info: &HomeInfo,
        key: &VaultKey,
        root: &Root,
        engine: &Engine,
    ) -> Result<Self, VaultError> {
        let place = home::place(home);
        let (turn, proof) = (Turn { order: Order::Behind, wait: Duration::ZERO }, || key.of_the_local_api());
        files::create_private_dir(&place.dir).map_err(|error| VaultError::io("make store/", error))?;
        let store = engine.enter(place, &turn.asks(&proof))?.open()?;
        index::write_root(&*store, key, root, &mut Stored::default())?;
        Self::over(store, home, info.clone(), key, &Arc::default())
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

    /// Whether the root that was opened is still the one in the store.
    ///
    /// # Errors
    /// [`VaultError`] where the engine can't say.
    pub fn is_present(&self) -> Result<bool, VaultError> {
        Ok(self.store.value(index::ROOT)? == self.stored.root)
    }

    /// Lets go of what was gathered.
    pub fn discard(&mut self) {
        self.gathered.clear();
        self.dropped.clear();
        self.root = self.written.clone();
    }

    /// Makes what was gathered, in one batch, and anchors the audit's head with it.
    ///
    /// # Errors
    /// [`VaultError`]: nothing of it is made.
    pub fn make(&mut self, head: Head, now: Timestamp) -> Result<(), VaultError> {
        self.root.standing.anchor = Some(head);
        self.root.standing.time = Some(now);
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
        self.write(root)
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
        self.write(root)
    }

    /// Gathers that the audit's chain begins anew: heads before it are of another.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn begin_chain(&mut self) -> Result<(), VaultError> {
        let standing = Standing { anchor: None, ..self.root.standing.clone() };
        let root = Root { chain: self.root.chain + 1, standing, ..self.root.clone() };
        self.write(root)
    }

    /// Closes the database, and goes on keeping others from it.
    pub(super) fn into_hold(self) -> Hold {
        self.store.into_hold()
    }

    /// A digest of all that the vault holds, its audit anchor and the like aside: those move with every run.
    pub fn content(&self) -> [u8; 32] {
        let content = serde_json::to_vec(&(&self.written.vault_id, &self.written.top));
        index::raw_digest(&content.expect("a root has string keys only"))
    }

    /// How the vault looks from outside; it looks another way after each change.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.home)
    }

    /// The home's description, as the vault was opened with it.
    pub fn info(&self) -> &HomeInfo {
        &self.info
    }

    /// The vault's epoch: it grows with every change.
    pub fn epoch(&self) -> u64 {
        self.root.epoch
    }

    /// Which of the audit's chains is the vault's.
    pub(crate) fn chain(&self) -> u64 {
        self.root.chain
    }

    /// The audit head that was last anchored.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn audit_anchor(&self) -> Result<Option<Head>, VaultError> {
        Ok(self.root.standing.anchor)
    }

    /// Anchors the audit's head. That is no change: nothing is announced for it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn anchor_audit(&mut self, head: Head, now: Timestamp) -> Result<(), VaultError> {
        if self.root.standing.anchor == Some(head) {
            return Ok(());
        }
        self.make(head, now)
    }

    /// Notes that the last change could not be remembered outside of the home, or that it is again.
    pub(super) fn note_pin(&mut self, unpinned: Option<u64>) -> Result<(), VaultError> {
        if self.root.standing.unpinned == unpinned {
            return Ok(());
        }
        self.root.standing.unpinned = unpinned;
        self.flush()
    }

    /// Gathers a root, and makes it unless it is to be announced first.
    pub(super) fn write(&mut self, root: Root) -> Result<(), VaultError> {
        self.root = Root { epoch: self.written.epoch + 1, ..root };
        match self.writes {
            Writes::AtOnce => self.flush(),
            Writes::Held => Ok(()),
        }
    }

    /// Writes what was gathered.
    fn flush(&mut self) -> Result<(), VaultError> {
        let written = self.exchange();
        if written.is_err() {
            self.discard();
            return written;
        }
        self.written = self.root.clone();
        let dropped = std::mem::take(&mut self.dropped);
        // Nobody's any more; where they can't be let go they are in nobody's way.
        if let Err(error) = self.store.remove(&dropped) {
            tracing::warn!(%error, "what was replaced stays in the store");
        }
        Ok(())
    }

    /// Objects before the root that names them: there is never a root that names what is not there. What is no change is
    /// exchanged beside the root.
    fn exchange(&mut self) -> Result<(), VaultError> {
        self.root.standing.writes += 1;
        let key = &self.key.vault;
        if self.root.epoch == self.written.epoch {
            return index::write_standing(&*self.store, key, &self.root.standing, &mut self.stored);
        }
        let objects: Vec<Object> = std::mem::take(&mut self.gathered).into_values().collect();
        self.store.put(&objects)?;
        index::write_root(&*self.store, key, &self.root, &mut self.stored)
    }
}

/// Keeps everybody else from a home whose vault can't be opened, or need not be.
pub(super) fn hold(home: &Path, key: &VaultKey, turn: Turn, engine: &Engine) -> Result<Hold, VaultError> {
    let proof = || key.of_the_local_api();
    Ok(engine.enter(home::place(home), &turn.asks(&proof))?.into_hold())
}
