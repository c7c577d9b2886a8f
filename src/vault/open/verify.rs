//! Reads and compares all that a vault holds.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Vault;
use crate::vault::{
    Backups, VaultError,
    index::{self, Entry},
};

/// What `verify` found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyReport {
    /// Records that were read and compared.
    pub records: u64,
    /// The vault's epoch: it grows with every change.
    pub epoch: u64,
    /// Everything that is wrong, each with its place.
    pub damage: Vec<String>,
    /// The automatic backups.
    pub backups: Backups,
}

impl Vault {
    /// Reads and compares everything.
    ///
    /// # Errors
    /// [`VaultError`] where it can't even be started.
    pub fn verify(&self) -> Result<VerifyReport, VaultError> {
        let mut report = VerifyReport { epoch: self.root.epoch, ..VerifyReport::default() };
        if let Err(error) = self.store.check() {
            report.damage.push(VaultError::from(error).to_string());
        }
        let mut known = BTreeSet::new();
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

    fn verify_entry(&self, entry: &Entry, known: &mut BTreeSet<Vec<u8>>, report: &mut VerifyReport) {
        let id = index::record_id(&self.key.names, &entry.kind, &entry.name);
        for version in &entry.versions {
            known.insert(index::record_key(&id, version.version));
            match self.record(entry, Some(version.version)) {
                Ok(_) => report.records += 1,
                Err(error) => report.damage.push(error.to_string()),
            }
        }
    }
}
