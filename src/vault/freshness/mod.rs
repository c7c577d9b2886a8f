//! Freshness: what is authenticated may still be old. A vault that was put back is noticed by what remembers
//! how far it was.
//!
//! Three memories, each with its own way of being lost: this process, as long as it lives ([`Freshness`]); the
//! audit, which announces each change before it is made; and the [pin], outside of the home. What enters
//! are roots whose MAC holds. Nothing here decides for a person: what is missing is said, and accepted by the
//! vault's fingerprint.

pub(super) mod files;
mod pin;
mod standing;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

use jiff::{SignedDuration, Timestamp};

use super::{
    HomeInfo, Pinned, Vault, VaultError, VaultKey,
    cache::Cache,
    home, index,
    open::{Files, Turn},
};
use crate::{
    audit::{Announced, Change, Head},
    clock::{Clock, SystemClock},
    store::{Engine, LocalStore, Order},
};
use pin::{Found, Pin};
use standing::Known;
pub(crate) use standing::Standing;

/// How far the clock may be behind what was recorded before that is worth a word: other processes write, too.
const BEHIND: SignedDuration = SignedDuration::from_secs(5);

/// What a process that holds the keys of a vault remembers of it.
pub(crate) struct Freshness {
    engine: Engine,
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    seen: Option<Mark>,
    /// Time went on from here, as it was seen then.
    latest: Option<(Timestamp, Instant)>,
    /// The change that the pin has.
    pinned: u64,
    /// What the pin said when the vault was opened. Who writes it holds the vault's lock.
    found: Option<Found>,
    trouble: Option<String>,
}

/// How far a vault was.
#[derive(Debug, Clone, Copy)]
struct Mark {
    change: Change,
    writes: u64,
    chain: u64,
    head: Head,
}

/// What of a vault is remembered here, as far as it can be told before anything is unlocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Memory {
    /// There is a pin, and it is as far as the vault says that it is.
    Kept(PathBuf),
    /// None was ever made.
    Never,
    /// One was made, and is gone, older than the vault, or of another: in words.
    Lacking(String),
}

/// Whether a vault that a person accepts is remembered from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// By a pin.
    Pinned,
    /// By nothing outside of the home.
    Unpinned,
}

impl Default for Freshness {
    fn default() -> Self {
        Self::new(Engine::default(), Arc::new(SystemClock))
    }
}

impl Freshness {
    /// One that remembers nothing yet: of a vault that this engine opens, by this clock.
    pub(crate) fn new(engine: Engine, clock: Arc<dyn Clock>) -> Self {
        Self { engine, cache: Arc::default(), clock, inner: Mutex::default() }
    }

    /// Opens the vault of a home, and holds it against what is remembered: by this process, and by the pin.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] where it was put back, [`VaultError::Unconfirmed`] where nothing says that it
    /// was not, or as [`Vault::open_with`] has them.
    pub(crate) fn open(&self, home: &Path, key: &VaultKey, turn: Turn) -> Result<Vault, VaultError> {
        let vault = Vault::open_with(home, key, turn, Files::Known, &self.engine, &self.cache)?;
        self.check(&vault)?;
        Ok(vault)
    }

    /// Opens a vault that a person accepts as it is: the files beside it, and that no pin is there.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] where it is older than what remembers it: that is for a restore to move on from.
    pub(crate) fn open_accepted(&self, home: &Path, key: &VaultKey, turn: Turn) -> Result<Vault, VaultError> {
        let vault = Vault::open_with(home, key, turn, Files::Accepted, &self.engine, &self.cache)?;
        match self.check(&vault) {
            Err(VaultError::Unconfirmed { .. }) | Ok(()) => Ok(vault),
            Err(error) => Err(error),
        }
    }

    fn check(&self, vault: &Vault) -> Result<(), VaultError> {
        let (root, change, moment) = (&vault.root, vault.present(), self.clock.instant());
        let mut inner = self.inner();
        inner.is_not_before(root)?;
        let pin = found(vault);
        inner.found = Some(pin.clone());
        if let Found::Pin(pin) = &pin {
            inner.pinned = pin.epoch;
            inner.note_time(pin.time, moment);
        }
        inner.note_time(root.standing.time.unwrap_or(Timestamp::UNIX_EPOCH), moment);
        judge(vault, &pin, Known::PerhapsCompleted)?;
        let head = furthest(inner.seen, &pin, vault).unwrap_or_default();
        inner.seen = Some(Mark { change, writes: root.standing.writes, chain: root.chain, head });
        Ok(())
    }

    /// The furthest head of the audit that anything remembers: a log that ends before it was cut.
    pub(crate) fn head(&self, vault: &Vault) -> Option<Head> {
        let inner = self.inner();
        furthest(inner.seen, &inner.found(vault), vault)
    }

    /// Holds the vault against the changes that the audit has announced, and the pin against both.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] where one of them was put back, [`VaultError::Unconfirmed`].
    pub(crate) fn standing(
        &self,
        vault: &Vault,
        announced: Option<Announced>,
    ) -> Result<Standing, VaultError> {
        let standing = standing::of(&vault.root, announced)?;
        let known = if standing == Standing::Well { Known::Completed } else { Known::PerhapsCompleted };
        judge(vault, &self.inner().found(vault), known)?;
        Ok(standing)
    }

    /// Has a vault that the first version made be remembered, with the change that is gathered.
    ///
    /// # Errors
    /// [`VaultError`].
    pub(crate) fn begin_pin(&self, vault: &mut Vault) -> Result<(), VaultError> {
        if vault.info.pin.is_some() || vault.gathered().is_none() || pin::usable().is_err() {
            return Ok(());
        }
        let pinned = pin_of(&vault.info, &vault.home, &vault.key.vault);
        vault.plan_pin(pinned)
    }

    /// Gathers what a person accepts: the files that are there, and how the vault is remembered from here on.
    ///
    /// # Errors
    /// [`VaultError`]; of the place of pins, where there is none that can be written.
    pub(crate) fn accept(&self, vault: &mut Vault, accepted: Accepted) -> Result<(), VaultError> {
        vault.accept_files()?;
        // What was recorded with a clock that was ahead holds no longer.
        vault.root.standing.time = None;
        self.inner().latest = None;
        match accepted {
            Accepted::Unpinned => vault.plan_pin(Pinned::None),
            Accepted::Pinned => {
                pin::usable()
                    .map_err(|what| VaultError::io(what, std::io::ErrorKind::PermissionDenied.into()))?;
                vault.root.standing.unpinned = None;
                vault.plan_pin(pin_of(&vault.info, &vault.home, &vault.key.vault))
            }
        }
    }

    /// Remembers how far the vault and its audit are: here, and by the pin where there is one. Where that can't
    /// be written the vault itself notes it, and [`Freshness::trouble`] says it.
    ///
    /// # Errors
    /// [`VaultError`] where the vault can't note it.
    pub(crate) fn remember(&self, vault: &mut Vault, head: Head) -> Result<(), VaultError> {
        let now = self.now();
        let mut inner = self.inner();
        inner.found = None;
        let change = vault.present();
        inner.seen = Some(Mark { change, writes: vault.root.standing.writes, chain: vault.root.chain, head });
        inner.note_time(now, self.clock.instant());
        let Some(Pinned::Made { instance, file }) = vault.info.pin.clone() else { return Ok(()) };
        let pin = Pin {
            seq: 0,
            vault_id: vault.info.vault_id.clone(),
            epoch: change.epoch,
            root: change.root,
            chain: vault.root.chain,
            head,
            time: now,
            instance,
            home: real(&vault.home),
        };
        let unpinned = match pin::write(&file, &pin, &vault.key.vault) {
            Ok(()) => {
                inner.pinned = change.epoch;
                inner.trouble = None;
                None
            }
            Err(error) => {
                let place = pin::place().map(|place| place.join(&file)).unwrap_or_default();
                let trouble = format!(
                    "nothing outside of the home remembers its last change: {} can't be written: {error}",
                    place.display()
                );
                if inner.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!("{trouble}");
                }
                inner.trouble = Some(trouble);
                Some(vault.root.standing.unpinned.unwrap_or(inner.pinned))
            }
        };
        vault.note_pin(unpinned)?;
        if let Some(seen) = &mut inner.seen {
            seen.writes = vault.root.standing.writes;
        }
        Ok(())
    }

    /// Whether a root is no earlier one than what this process has seen.
    pub(super) fn knows_no_later(&self, root: &index::Root) -> Result<(), VaultError> {
        self.inner().is_not_before(root)
    }

    /// Notes what another process has made of the vault through this one: it can't be put back from here on.
    pub(super) fn saw(&self, root: &index::Root) {
        let mut inner = self.inner();
        let head =
            inner.seen.filter(|seen| seen.chain == root.chain).map(|seen| seen.head).unwrap_or_default();
        let (change, writes, chain) = (root.change(), root.standing.writes, root.chain);
        inner.seen = Some(Mark { change, writes, chain, head });
    }

    /// Whether a pin of this vault can take what is to be remembered.
    pub(crate) fn is_pinned(&self, vault: &Vault) -> bool {
        matches!(vault.info.pin, Some(Pinned::Made { .. })) && self.inner().trouble.is_none()
    }

    /// What can't be remembered, in words.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.inner().trouble.clone()
    }

    /// The time for everything that ends: the clock's, or what was recorded last where the clock is behind that.
    /// A clock that was put back makes nothing good again.
    pub(crate) fn now(&self) -> Timestamp {
        let clock = self.clock.now();
        match self.inner().latest(self.clock.instant()) {
            Some(latest) if latest > clock => latest,
            _ => clock,
        }
    }

    pub(super) fn known_root(&self) -> &index::KnownRoot {
        &self.cache.root
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The clock as it is, whatever was recorded.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// How far the clock is behind what was recorded, where that is worth a word.
    pub(crate) fn clock_is_behind(&self) -> Option<SignedDuration> {
        let behind = self.inner().latest(self.clock.instant())?.duration_since(self.clock.now());
        Some(behind).filter(|behind| *behind > BEHIND)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

impl Inner {
    /// Whether a root is no earlier one than what this process has seen.
    fn is_not_before(&self, root: &index::Root) -> Result<(), VaultError> {
        let Some(seen) = self.seen else { return Ok(()) };
        let change = root.change();
        let before = "the database was put back";
        if change.epoch < seen.change.epoch {
            return Err(put_back(before, "this process has seen", seen.change.epoch, change.epoch));
        }
        if change.epoch == seen.change.epoch && change.root != seen.change.root {
            return Err(VaultError::damaged(format!(
                "store/: its change {} is not the one that this process has seen",
                change.epoch
            )));
        }
        // Only of one change: one that moved on, as a restore does, counts its writes anew.
        if change.epoch == seen.change.epoch && root.standing.writes < seen.writes {
            return Err(VaultError::damaged(
                "store/: the database was put back: this process has seen a later one",
            ));
        }
        Ok(())
    }

    /// What the pin said when the vault was opened, and else what it says.
    fn found(&self, vault: &Vault) -> Found {
        self.found.clone().unwrap_or_else(|| found(vault))
    }

    /// Time goes on by itself: else nothing would end while the clock is behind.
    fn latest(&self, moment: Instant) -> Option<Timestamp> {
        let (time, seen) = self.latest?;
        let since = SignedDuration::try_from(moment.saturating_duration_since(seen)).ok()?;
        time.checked_add(since).ok()
    }

    fn note_time(&mut self, time: Timestamp, moment: Instant) {
        if self.latest(moment).is_none_or(|latest| latest < time) {
            self.latest = Some((time, moment));
        }
    }
}

/// What of a home's vault is remembered here, as it says itself: for a person, before the passphrase.
pub(crate) fn memory(home: &Path, info: &HomeInfo) -> Memory {
    let Some(Pinned::Made { file, .. }) = &info.pin else { return Memory::Never };
    match pin::said(file, &info.vault_id) {
        Found::Missing => Memory::Lacking("nothing remembers this vault here".to_owned()),
        Found::Bad(what) => Memory::Lacking(format!("what should remember this vault here does not: {what}")),
        Found::Pin(pin) => match said_epoch(home) {
            _ if is_copy(&pin, home, &info.vault_id) => Memory::Lacking(copy_of(&pin)),
            Some(epoch) if pin.epoch < epoch => Memory::Lacking(format!(
                "what is remembered of this vault here is older than it: change {} of {epoch}",
                pin.epoch
            )),
            _ => Memory::Kept(pin::place().map(|place| place.join(file)).unwrap_or_default()),
        },
    }
}

fn said_epoch(home: &Path) -> Option<u64> {
    index::said_epoch(&LocalStore::read(&home::database(home)).ok()?)
}

/// How a new vault is remembered: `None` inside where nothing can be written, with the reason.
pub(super) fn pin_for(vault_id: &str) -> Result<Pinned, String> {
    pin::usable()?;
    Ok(Pinned::Made { instance: home::random_hex(8), file: vault_id.to_owned() })
}

/// The first pin of a new vault.
pub(super) fn begin(home: &Path, info: &HomeInfo, key: &VaultKey, engine: &Engine) -> Result<(), VaultError> {
    if !matches!(info.pin, Some(Pinned::Made { .. })) {
        return Ok(());
    }
    let fresh = Freshness::new(engine.clone(), Arc::new(SystemClock));
    let turn = Turn { order: Order::First, wait: Duration::from_secs(5) };
    let mut vault = Vault::open_with(home, key, turn, Files::Known, engine, &fresh.cache)?;
    fresh.remember(&mut vault, Head::default())
}

/// What remembers a vault outside of any home, of this key: its last change, its audit's chain and head.
pub(super) struct Remembered {
    pub epoch: u64,
    pub chain: u64,
    pub head: Option<Head>,
    pub time: Option<Timestamp>,
}

/// What pins remember of a vault, for a restore that moves on from there.
pub(super) fn remembered(info: &HomeInfo, key: &VaultKey) -> Remembered {
    let own = match &info.pin {
        Some(Pinned::Made { file, .. }) => file.clone(),
        Some(Pinned::None) | None => info.vault_id.clone(),
    };
    match pin::read(&own, &info.vault_id, key) {
        Found::Pin(pin) => {
            Remembered { epoch: pin.epoch, chain: pin.chain, head: Some(pin.head), time: Some(pin.time) }
        }
        Found::Missing | Found::Bad(_) => Remembered { epoch: 0, chain: 0, head: None, time: None },
    }
}

/// How a restored home is remembered: as the one before it was, and else as its backup was.
pub(super) fn pin_restored(
    before: Option<&HomeInfo>,
    info: &HomeInfo,
    home: &Path,
    key: &VaultKey,
) -> Pinned {
    match before.and_then(|before| before.pin.clone()) {
        Some(pin) => pin,
        None if info.pin == Some(Pinned::None) || pin::usable().is_err() => Pinned::None,
        None => pin_of(info, home, key),
    }
}

/// The pin of a home that has none: beside another's where this is a copy of that.
fn pin_of(info: &HomeInfo, home: &Path, key: &VaultKey) -> Pinned {
    let other = match pin::read(&info.vault_id, &info.vault_id, key) {
        Found::Pin(pin) => is_copy(&pin, home, &info.vault_id),
        Found::Missing | Found::Bad(_) => false,
    };
    let instance = home::random_hex(8);
    let file = if other { format!("{}.{instance}", info.vault_id) } else { info.vault_id.clone() };
    Pinned::Made { instance, file }
}

fn found(vault: &Vault) -> Found {
    find(&vault.info, &vault.home, &vault.key.vault)
}

fn find(info: &HomeInfo, home: &Path, key: &VaultKey) -> Found {
    let id = &info.vault_id;
    if let Some(Pinned::Made { file, .. }) = &info.pin {
        return pin::read(file, id, key);
    }
    // A description from before there was a pin may have been put back: one of this home counts.
    match pin::read(id, id, key) {
        Found::Pin(pin) if is_copy(&pin, home, id) => Found::Missing,
        found => found,
    }
}

fn furthest(seen: Option<Mark>, pin: &Found, vault: &Vault) -> Option<Head> {
    let chain = vault.root.chain;
    let seen = seen.filter(|seen| seen.chain == chain).map(|seen| seen.head);
    let pinned = match pin {
        Found::Pin(pin) if pin.chain == chain => Some(pin.head),
        _ => None,
    };
    seen.into_iter().chain(pinned).chain(vault.root.standing.anchor).max_by_key(|head| head.seq)
}

/// Holds a vault against its pin.
fn judge(vault: &Vault, found: &Found, known: Known) -> Result<(), VaultError> {
    let (info, home, change) = (&vault.info, vault.home.as_path(), vault.present());
    judge_state(&State { info, home, change, unpinned: vault.root.standing.unpinned }, found, known)
}

/// What is held against a pin.
pub(super) struct State<'a> {
    pub info: &'a HomeInfo,
    pub home: &'a Path,
    pub change: Change,
    /// The last change that is remembered, where later ones could not be.
    pub unpinned: Option<u64>,
}

/// Holds a home of format 1 against its pin.
pub(super) fn judge_format_one(state: &State<'_>, key: &VaultKey) -> Result<(), VaultError> {
    let found = find(state.info, state.home, key);
    judge_state(state, &found, Known::PerhapsCompleted)
}

fn judge_state(state: &State<'_>, found: &Found, known: Known) -> Result<(), VaultError> {
    let State { info, home, change, unpinned } = state;
    let unconfirmed = |what: String| VaultError::Unconfirmed { what, fingerprint: info.fingerprint.clone() };
    let made = matches!(info.pin, Some(Pinned::Made { .. }));
    match found {
        Found::Pin(pin) => {
            if is_copy(pin, home, &info.vault_id) {
                return Err(unconfirmed(copy_of(pin)));
            }
            if pin.epoch > change.epoch {
                return Err(put_back(
                    "the vault was put back",
                    "outside of the home is remembered",
                    pin.epoch,
                    change.epoch,
                ));
            }
            if pin.epoch == change.epoch && pin.root != change.root {
                return Err(VaultError::damaged(format!(
                    "store/: its change {} is not the one that is remembered outside of the home",
                    change.epoch
                )));
            }
            let least = match (*unpinned, known) {
                _ if !made => 0,
                (Some(last), _) => last,
                (None, Known::Completed) => change.epoch,
                (None, Known::PerhapsCompleted) => change.epoch.saturating_sub(1),
            };
            if pin.epoch < least {
                return Err(unconfirmed(format!(
                    "what is remembered of it outside of the home is older than it: change {} of {}",
                    pin.epoch, change.epoch
                )));
            }
            Ok(())
        }
        _ if !made || unpinned.is_some() => Ok(()),
        Found::Missing => Err(unconfirmed("nothing outside of the home remembers it any more".to_owned())),
        Found::Bad(what) => Err(unconfirmed(what.clone())),
    }
}

/// Whether a pin is of another home of the same vault, which is still there.
fn is_copy(pin: &Pin, home: &Path, vault_id: &str) -> bool {
    pin.home != home
        && real(&pin.home) != real(home)
        && home::home_info(&pin.home).is_ok_and(|info| info.vault_id == vault_id)
}

fn copy_of(pin: &Pin) -> String {
    format!("this is a copy of the home in {}, or that is one of this", pin.home.display())
}

fn real(home: &Path) -> PathBuf {
    fs::canonicalize(home).unwrap_or_else(|_| home.to_owned())
}

fn put_back(what: &str, who: &str, known: u64, found: u64) -> VaultError {
    VaultError::damaged(format!("store/: {what}: {who} change {known}, and it is at change {found}"))
}
