//! Upkeep: automatic backups, made by whoever has the vault unlocked, and what of a broker is not well.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Broker, HeldVault, blocking, lineage, refusal::Refusal};
use crate::audit;
use crate::vault::{self, Freshness, Memory, Reuse, VaultError, VaultKey};

/// How old the newest backup may be where something has changed since.
const EVERY: Duration = Duration::from_secs(3600);

/// How a broker's home is looked after.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upkeep {
    /// Automatic backups that are kept.
    pub backups: usize,
    /// When the newest was made (RFC 3339).
    pub newest_backup: Option<String>,
    /// What remembers the vault's last change outside of its home, in words.
    #[serde(default)]
    pub remembered: String,
    /// What is not well, in words; nothing where all is.
    pub problems: Vec<String>,
}

impl Broker {
    /// Makes an automatic backup where one is due. What goes wrong is logged, and told by [`Self::upkeep`].
    pub(crate) async fn keep_backup(self: &Arc<Self>) {
        let broker = Arc::clone(self);
        let done = blocking(move || {
            let home = &broker.settings.home;
            let keys = broker.keyring.keys()?.ok_or_else(|| VaultError::NoVault(home.clone()))?;
            back_up(home, &keys.vault, || broker.own_vault(&keys))
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
        *self.backup_problem.lock() = problem;
    }

    /// Removes what has ended: tokens, what sessions that are gone gave up, revocations that name nothing any more.
    pub(crate) async fn forget_ended(self: &Arc<Self>) {
        let broker = Arc::clone(self);
        let done = blocking(move || {
            let mut open = broker.open()?;
            let home = &broker.settings.home;
            let now = open.now();
            let swept = lineage::sweep(&mut open.vault, home, now)?;
            open.record_gathered("forget_ended", format!("{swept} tokens"))?;
            Ok::<usize, Refusal>(swept)
        });
        match done.await {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "tokens that had ended were removed"),
            Err(refusal) => tracing::warn!(code = ?refusal.code, "what has ended could not be removed yet"),
        }
    }

    /// How the home is looked after.
    pub(crate) fn upkeep(&self) -> Upkeep {
        let backups = vault::backups(&self.settings.home);
        let failed = self.backup_problem.lock().clone();
        let unanchored = self.anchoring_failed.load(Ordering::Acquire);
        let unanchored = unanchored.then(|| "the audit's head could not be anchored yet".to_owned());
        let keys = self.keyring.keys().ok().flatten();
        let warnings = keys.map_or_else(Vec::new, |keys| warnings(&keys.freshness));
        Upkeep {
            backups: backups.kept,
            newest_backup: backups.newest.map(|newest| newest.to_string()),
            remembered: remembered(&self.settings.home),
            problems: failed.into_iter().chain(unanchored).chain(warnings).collect(),
        }
    }
}

/// What is not remembered as it should be, and whether the clock is behind.
pub(crate) fn warnings(freshness: &Freshness) -> Vec<String> {
    let clock = freshness.clock_is_behind().map(|behind| {
        format!(
            "the clock is {} s behind what was recorded last: what ends goes by the later time; set the clock",
            behind.as_secs()
        )
    });
    freshness.trouble().into_iter().chain(clock).collect()
}

/// What remembers the last change of a home's vault outside of it, in words.
pub(crate) fn remembered(home: &Path) -> String {
    match vault::home_info(home).map(|info| vault::memory(home, &info)) {
        Ok(Memory::Kept(pin)) => format!("the last change is remembered outside of the home, in {}", pin.display()),
        Ok(Memory::Never) => "nothing outside of the home remembers the last change: a vault that was put back while no daemon runs is not noticed".to_owned(),
        Ok(Memory::Lacking(what)) => what,
        Err(error) => error.to_string(),
    }
}

/// The vault's last change as its audit log has it, which nothing was held against yet: for the question whether a vault
/// is right, before it is unlocked.
pub(crate) fn said_last_change(home: &Path) -> Option<String> {
    audit::said_last_change(&home.join("audit"))
}

/// Makes a backup where the newest is older than that, and the vault has changed since. The vault is held
/// only while what is new is read. One that rests on a damaged one before is made anew, whole.
pub(crate) fn back_up(
    home: &Path,
    key: &VaultKey,
    open: impl Fn() -> Result<HeldVault, VaultError>,
) -> Result<Option<u64>, VaultError> {
    let now = Timestamp::now();
    let newest = vault::newest_backup(home, key, now).map(|newest| now.duration_since(newest));
    let fresh = newest.and_then(|age| Duration::try_from(age).ok()).is_some_and(|age| age < EVERY);
    if fresh {
        return Ok(None);
    }
    let keep = |reuse| {
        // Given back before anything is written: what a `match` looks at lives as long as its arms.
        let snapshot = open()?.snapshot(reuse)?;
        snapshot.map_or(Ok(None), |snapshot| snapshot.keep(now))
    };
    match keep(Reuse::Unchanged) {
        Err(VaultError::Damaged { what }) => {
            tracing::warn!(%what, "an automatic backup is damaged; a whole one is made beside it");
            keep(Reuse::Nothing)
        }
        done => done,
    }
}
