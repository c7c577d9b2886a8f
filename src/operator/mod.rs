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
    vault::{self, Files, Order, Pin, UnlockMethod, UnlockMethodKind, Vault, VaultKey},
};

/// What a person types comes before what agents ask for.
const FIRST: vault::Turn = vault::Turn { order: Order::First, wait: crate::broker::WAIT };

/// Operations of the person who can unlock the vault. Each opens the vault, acts, records, closes.
pub(crate) struct Admin {
    pub(super) home: PathBuf,
    pub(super) keys: Arc<VaultKeys>,
    pub(super) principal: String,
    /// Why a daemon that remembers the vault refuses it.
    refused: Option<Failure>,
    upgraded: Option<PathBuf>,
}

pub(crate) use failure::{Failure, FailureKind};
pub(crate) use log::Close;
pub(crate) use policies::{PolicyPlan, RulePromise};
pub(crate) use secrets::{WeakValues, masked_parts};
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
    pub(crate) fn unlock(around: &Surroundings, home: &Path, opener: &UnlockMethod) -> Result<Self, Failure> {
        let key = vault::unlock(home, opener)?;
        let upgraded = Self::upgrade(around, home, &key, Files::Known)?;
        Ok(Self { upgraded, ..Self::with_key(around, home, key) })
    }

    /// Unlocks the vault to look at it: it is left as it is, of whatever format.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn look(around: &Surroundings, home: &Path, opener: &UnlockMethod) -> Result<Self, Failure> {
        Ok(Self::with_key(around, home, vault::unlock(home, opener)?))
    }

    /// Where the home of before is kept, if unlocking it has upgraded it.
    pub(crate) fn upgraded(&self) -> Option<&Path> {
        self.upgraded.as_deref()
    }

    pub(super) fn with_key(around: &Surroundings, home: &Path, key: VaultKey) -> Self {
        Self::with_keys(home, Arc::new(VaultKeys::new(key, around)))
    }

    fn with_keys(home: &Path, keys: Arc<VaultKeys>) -> Self {
        let principal = format!("operator:{}", rustix::process::getuid().as_raw());
        Self { home: home.to_owned(), keys, principal, refused: None, upgraded: None }
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
        self.keys.vault.of_the_local_api()
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
        self.keys.open_vault(&self.home, FIRST).map_err(Failure::from)
    }

    /// Opens the vault before every agent's call that waits for it.
    pub(super) fn open(&self) -> Result<Opened, Failure> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        Opened::new(&self.home, Arc::clone(&self.keys), FIRST).map_err(Failure::from)
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
                drop(open);
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
}

#[cfg(test)]
mod agreed;
#[cfg(test)]
mod editions;
#[cfg(test)]
mod tests;
