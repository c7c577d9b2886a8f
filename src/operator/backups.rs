//! Backups, and whether all that there is can be read.

use std::path::Path;

use super::{Admin, failure::Failure};
use crate::{
    broker::HeldVault,
    vault::{self, VerifyReport},
};

impl Admin {
    /// Writes a backup that stock age opens.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn backup(&self, dir: &Path) -> Result<u64, Failure> {
        self.act("backup", dir.display().to_string(), || self.vault()?.backup(dir).map_err(Failure::from))
    }

    /// Reads and compares everything in the vault.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn verify(&self) -> Result<VerifyReport, Failure> {
        let vault = self.vault_alone().map_err(|failure| self.refused.clone().unwrap_or(failure))?;
        let mut report = vault.verify()?;
        drop(vault);
        report.damage.extend(self.put_back());
        report.backups = vault::verify_backups(&self.home, &self.keys.vault);
        report.damage.extend(report.backups.damage.clone());
        Ok(report)
    }

    /// Makes an automatic backup where one is due. The change that it follows is made, whatever becomes of it.
    pub(super) fn keep_backup(&self) {
        let open = || self.keys.open_vault(&self.home, super::FIRST).map(HeldVault::alone);
        if let Err(error) = crate::broker::upkeep::back_up(&self.home, &self.keys.vault, open) {
            tracing::warn!(%error, "the change is made, but no automatic backup could be; those before are kept");
        }
    }
}
