//! The operator's path: the same pipeline, with what only the person who can unlock may do.

mod accept;
mod backups;
mod failure;
mod log;
mod policies;
pub(crate) mod restore;
mod secrets;
mod tokens;
mod upgrade;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::SecretString;

use crate::broker::{HeldVault, Opened, Surroundings, keys::VaultKeys};
use crate::{
    audit::{Note, Room},
    vault::{self, Files, Pin, UnlockMethod, UnlockMethodKind, Vault, VaultKey},
};

/// Operations of the person who can unlock the vault. Each opens the vault, acts, records, closes.
pub(crate) struct Admin {
    pub(super) home: PathBuf,
    pub(super) keys: Arc<VaultKeys>,
    pub(super) principal: String,
    told: Option<Box<dyn Fn() + Send + Sync>>,
    /// Why a daemon that remembers the vault refuses it.
    refused: Option<Failure>,
    upgraded: Option<PathBuf>,
}

pub(crate) use failure::{Failure, FailureKind};
pub(crate) use log::Close;
pub(crate) use policies::{PolicyPlan, RulePromise};
pub(crate) use secrets::WeakValues;
pub(crate) use tokens::{NarrowingEntry, TokenDetail, TokenEntry, TokenOrder, TokenState};

pub(crate) use crate::audit::{
    Filter as AuditFilter, Found as AuditFound, LastDenial, Report as AuditReport,
};
pub(crate) use crate::broker::TokenInfo;

impl Admin {
    /// Makes a home with an empty vault, and records that.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn init(
        home: &Path,
        kind: UnlockMethodKind,
        opener: &UnlockMethod,
        pin: Pin,
    ) -> Result<Self, Failure> {
        Self::init_in(&Surroundings::default(), home, kind, opener, pin)
    }

    fn init_in(
        around: &Surroundings,
        home: &Path,
        kind: UnlockMethodKind,
        opener: &UnlockMethod,
        pin: Pin,
    ) -> Result<Self, Failure> {
        let key = vault::init(home, kind, opener, pin, &around.engine)?;
        let admin = Self::with_keys(home, Arc::new(VaultKeys::new(key, around)));
        let note = admin.note("init", home.display().to_string(), None);
        admin.open()?.record_present(note)?;
        Ok(admin)
    }

    /// Unlocks the vault of a home.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn unlock(home: &Path, opener: &UnlockMethod) -> Result<Self, Failure> {
        let key = vault::unlock(home, opener)?;
        let upgraded = Self::upgrade(home, &key, Files::Known)?;
        Ok(Self { upgraded, ..Self::with_key(home, key) })
    }

    /// Unlocks the vault to look at it: it is left as it is, of whatever format.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn look(home: &Path, opener: &UnlockMethod) -> Result<Self, Failure> {
        Ok(Self::with_key(home, vault::unlock(home, opener)?))
    }

    /// Where the home of before is kept, if unlocking it has upgraded it.
    pub(crate) fn upgraded(&self) -> Option<&Path> {
        self.upgraded.as_deref()
    }

    pub(super) fn with_key(home: &Path, key: VaultKey) -> Self {
        Self::with_keys(home, Arc::new(VaultKeys::new(key, &Surroundings::default())))
    }

    fn with_keys(home: &Path, keys: Arc<VaultKeys>) -> Self {
        let principal = format!("operator:{}", rustix::process::getuid().as_raw());
        Self { home: home.to_owned(), keys, principal, told: None, refused: None, upgraded: None }
    }

    /// Has a daemon be told of each change before that is acknowledged: what it has seen can't be put back.
    pub(crate) fn tell(&mut self, told: impl Fn() + Send + Sync + 'static) {
        self.told = Some(Box::new(told));
    }

    /// Has nothing be done but say what is there and what is wrong: a daemon refuses the vault.
    pub(crate) fn refuse(&mut self, why: Failure) {
        self.refused = Some(why);
    }

    /// What of this vault is not remembered outside of its home as it should be, and whether the clock is right.
    pub(crate) fn warnings(&self) -> Vec<String> {
        crate::broker::upkeep::warnings(&self.keys.freshness)
    }

    /// The identity, for the daemon that is to have it.
    pub(crate) fn identity(&self) -> SecretString {
        SecretString::from(self.keys.vault.identity_text().as_str())
    }

    /// A key by which a daemon and its operator show each other that both know the identity.
    pub(crate) fn local_key(&self) -> zeroize::Zeroizing<[u8; 32]> {
        self.keys.vault.derive(crate::broker::LOCAL_API)
    }

    /// How often the vault was changed, and when anything last happened in it.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn last_use(&self) -> Result<(u64, Option<String>), Failure> {
        let epoch = self.vault()?.epoch();
        Ok((epoch, self.last_event()?))
    }

    /// Puts on record that the vault was unlocked into a daemon.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn note_unlock(&self) -> Result<(), Failure> {
        self.act("unlock", self.home.display().to_string(), || Ok(()))
    }

    /// The home.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    fn vault(&self) -> Result<HeldVault, Failure> {
        Ok(self.open()?.vault)
    }

    /// The vault without its audit, or what it is damaged by.
    fn vault_or_damage(&self) -> Result<(Option<Vault>, Option<String>), Failure> {
        match self.vault_alone() {
            Ok(vault) => Ok((Some(vault), None)),
            Err(failure) if failure.kind == FailureKind::Damaged => Ok((None, Some(failure.in_a_line()))),
            Err(failure) => Err(failure),
        }
    }

    /// The vault without its audit, which may be what is to be mended.
    fn vault_alone(&self) -> Result<Vault, Failure> {
        let _first = vault::stand_first(&self.home, crate::broker::WAIT)?;
        self.keys.open_vault(&self.home).map_err(Failure::from)
    }

    /// Opens the vault before every agent's call that waits for it.
    pub(super) fn open(&self) -> Result<Opened, Failure> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let _first = vault::stand_first(&self.home, crate::broker::WAIT)?;
        Opened::new(&self.home, Arc::clone(&self.keys)).map_err(Failure::from)
    }

    pub(super) fn audit_dir(&self) -> PathBuf {
        self.home.join("audit")
    }

    pub(super) fn note(&self, action: &str, target: String, detail: Option<String>) -> Note {
        Note::Admin { principal: self.principal.clone(), action: action.to_owned(), target, detail }
    }

    /// Works a change out, puts it on record, and makes it: what can't be recorded isn't done.
    fn change<T>(
        &self,
        action: &str,
        target: String,
        detail: Option<String>,
        make: impl FnOnce(&mut Opened) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // Before the vault is opened, which writes by itself.
        let room = Room::make(&self.audit_dir());
        let mut open = self.open()?;
        match make(&mut open) {
            Ok(made) => {
                open.record(self.note(action, target, detail))?;
                // A backup is none of what the reserve is for.
                drop(room);
                self.done(open);
                self.keep_backup();
                Ok(made)
            }
            Err(failure) => {
                open.vault.discard();
                self.failed(&mut open, action, target, &failure)?;
                Err(failure)
            }
        }
    }

    /// Puts on record what changes nothing in the vault, and does it.
    fn act<T>(
        &self,
        action: &str,
        target: String,
        make: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut open = self.open()?;
        open.record(self.note(action, target.clone(), None))?;
        open.anchor_in_vault()?;
        drop(open);
        let made = make();
        if let Err(failure) = &made {
            self.failed(&mut self.open()?, action, target, failure)?;
        }
        made
    }

    fn failed(&self, open: &mut Opened, action: &str, target: String, why: &Failure) -> Result<(), Failure> {
        open.record(self.note(&format!("{action}_failed"), target, Some(why.message.clone())))?;
        open.anchor_in_vault().map_err(Failure::from)
    }

    /// A change is made and remembered; a daemon has seen it before anybody is told.
    pub(super) fn done(&self, open: Opened) {
        drop(open);
        if let Some(told) = &self.told {
            told();
        }
    }
}

#[cfg(test)]
mod agreed;
#[cfg(test)]
mod editions;
#[cfg(test)]
mod tests;
