//! Upkeep: automatic backups, made by whoever has the vault unlocked, and what of a broker is not well.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Broker, blocking, lineage, refuse};
use crate::vault::{self, Reuse, Vault, VaultError};

/// How old the newest backup may be where something has changed since.
const EVERY: Duration = Duration::from_secs(3600);

/// How a broker's home is looked after.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upkeep {
    /// Automatic backups that are kept.
    pub backups: usize,
    /// When the newest was made (RFC 3339).
    pub newest_backup: Option<String>,
    /// What is not well, in words; nothing where all is.
    pub problems: Vec<String>,
}

impl Broker {
    /// Makes an automatic backup where one is due. What goes wrong is logged, and told by [`Self::upkeep`].
    pub async fn keep_backup(self: &Arc<Self>) {
        let broker = Arc::clone(self);
        let done = blocking(move || {
            let home = &broker.settings.home;
            back_up(home, || {
                let keys = broker.keyring.keys()?.ok_or_else(|| VaultError::NoVault(home.clone()))?;
                Vault::open(home, &keys.vault, super::WAIT)
            })
        });
        let problem = match done.await {
            Ok(Some(records)) => {
                tracing::info!(records, "an automatic backup was made and read back");
                None
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, "no automatic backup could be made; those before are kept");
                Some(format!("the last automatic backup failed: {error}"))
            }
        };
        *self.backup_problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Removes what has ended: tokens, what sessions that are gone gave up, revocations that name nothing any more.
    pub async fn forget_ended(self: &Arc<Self>) {
        let broker = Arc::clone(self);
        let done = blocking(move || {
            let mut open = broker.open()?;
            let home = &broker.settings.home;
            lineage::sweep(&mut open.vault, home, Timestamp::now()).map_err(refuse::from_record)
        });
        match done.await {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "tokens that had ended were removed"),
            Err(refusal) => tracing::warn!(code = ?refusal.code, "what has ended could not be removed yet"),
        }
    }

    /// How the home is looked after.
    pub fn upkeep(&self) -> Upkeep {
        let backups = vault::backups(&self.settings.home);
        let failed = self.backup_problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let unanchored = self.anchoring_failed.load(Ordering::Acquire);
        let unanchored = unanchored.then(|| "the audit's head could not be anchored yet".to_owned());
        Upkeep {
            backups: backups.kept,
            newest_backup: backups.newest.map(|newest| newest.to_string()),
            problems: failed.into_iter().chain(unanchored).collect(),
        }
    }
}

/// Makes a backup where the newest is older than that, and the vault has changed since. The vault is held
/// only while what is new is read. One that rests on a damaged one before is made anew, whole.
pub(super) fn back_up(
    home: &std::path::Path,
    open: impl Fn() -> Result<Vault, VaultError>,
) -> Result<Option<u64>, VaultError> {
    let now = Timestamp::now();
    let newest = vault::backups(home).newest.map(|newest| now.duration_since(newest));
    let fresh = newest.and_then(|age| Duration::try_from(age).ok()).is_some_and(|age| age < EVERY);
    if fresh {
        return Ok(None);
    }
    let keep = |reuse| match open()?.snapshot(reuse)? {
        None => Ok(None),
        Some(snapshot) => snapshot.keep(now),
    };
    match keep(Reuse::Unchanged) {
        Err(VaultError::Damaged { what }) => {
            tracing::warn!(%what, "an automatic backup is damaged; a whole one is made beside it");
            keep(Reuse::Nothing)
        }
        done => done,
    }
}
