//! A person accepts a vault that nothing remembers, by its fingerprint.

use std::{path::Path, sync::Arc};

use super::{
    Admin,
    failure::{Failure, FailureKind},
};
use crate::{
    audit::AuditLog,
    broker::{HeldVault, Opened, Surroundings, keys::VaultKeys},
    vault::{self, Accepted, Files, Standing, UnlockMethod},
};

impl Admin {
    /// Accepts the vault of a home as it is: what unlocks it, and that nothing outside of the home remembers it. A vault
    /// that its own audit, or a pin, knows a later state of is none to accept.
    ///
    /// # Errors
    /// [`Failure`]; of kind denied where the fingerprint is another's.
    pub(crate) fn accept(
        around: &Surroundings,
        home: &Path,
        opener: &UnlockMethod,
        fingerprint: &str,
        accepted: Accepted,
    ) -> Result<Self, Failure> {
        let key = vault::unlock(home, opener)?;
        if key.fingerprint() != fingerprint {
            return Err(Failure::new(
                FailureKind::Denied,
                format!("this is the vault {}, not {fingerprint}", key.fingerprint()),
                "authy-mcp admin verify --accept FINGERPRINT, with the fingerprint of the vault that you expect",
            ));
        }
        let upgraded = Self::upgrade(around, home, &key, Files::Accepted)?;
        let admin = Self { upgraded, ..Self::with_key(around, home, key) };
        let VaultKeys { freshness, vault: key, .. } = &*admin.keys;
        let mut vault = freshness.open_accepted(home, key, super::FIRST)?;
        let head = freshness.head(&vault);
        let audit = AuditLog::open(&admin.audit_dir(), admin.keys.audit(), head)?;
        let announced = audit.last_change()?;
        match freshness.standing(&vault, announced) {
            Err(vault::VaultError::Unconfirmed { .. })
            | Ok(Standing::Well | Standing::Unsaid(_) | Standing::Unannounced | Standing::Interrupted(_)) => {
            }
            Err(error) => return Err(Failure::from(error)),
        }
        vault.hold();
        freshness.accept(&mut vault, accepted)?;
        let mut open =
            Opened { keys: Arc::clone(&admin.keys), vault: HeldVault::alone(vault), audit: audit.into() };
        let how = if accepted == Accepted::Pinned { "remembered from here on" } else { "without a pin" };
        let note = admin.note("accept", fingerprint.to_owned(), Some(how.to_owned()));
        open.record(note)?;
        drop(open);
        Ok(admin)
    }
}
