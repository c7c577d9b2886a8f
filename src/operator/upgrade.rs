//! A home of an earlier format becomes one of this: built beside it, announced, and put in its place, as a restore is.

use std::path::{Path, PathBuf};

use super::{Admin, failure::Failure};
use crate::{
    audit::AuditLog,
    broker::Surroundings,
    vault::{Audit, Before, Files, Restoring, VaultKey},
};

impl Admin {
    /// Upgrades the home, where it is of an earlier format; says where what was there is kept. Killed at any moment it
    /// leaves the home as it was, or upgraded.
    ///
    /// # Errors
    /// [`Failure`]: the home is as it was.
    pub(super) fn upgrade(
        around: &Surroundings,
        home: &Path,
        key: &VaultKey,
        files: Files,
    ) -> Result<Option<PathBuf>, Failure> {
        let Some(mut before) = Before::to_upgrade(home, key, files, &around.engine)? else { return Ok(None) };
        let admin = Self::with_key(around, home, key.duplicate());
        let log = AuditLog::open(&admin.audit_dir(), admin.keys.audit(), before.head())?;
        let announced = log.last_change()?;
        drop(log);
        let backup = before.content(announced)?;
        let now = before.now();
        let mut restoring = Restoring::build(home, backup, before, announced, Audit::Continued)?;
        let note = admin.note("upgrade", "format 2".to_owned(), None);
        admin.announce(&mut restoring, note, Audit::Continued, now)?;
        Ok(restoring.put_in_place()?.kept)
    }
}
