//! What an operator does with the audit log.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Admin, AuditFilter, AuditFound, AuditReport, LastDenial,
    failure::{Failure, FailureKind},
};
use crate::{
    audit::{self, AuditLog, Head},
    broker::{HeldVault, Opened},
    vault::VaultError,
};

impl Admin {
    /// Reads events of the audit, oldest first, and hands each to `each`, and whatever does not hold.
    /// Returns the last event's number.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn audit_read(
        &self,
        filter: &AuditFilter,
        each: &mut dyn FnMut(AuditFound),
    ) -> Result<u64, Failure> {
        if let (Some(refused), None) = (&self.refused, filter.after) {
            each(AuditFound::Damage { damaged: refused.message.clone() });
        }
        let anchor = match self.audit_anchor() {
            Ok(anchor) => anchor,
            Err(VaultError::Busy) => return Err(Failure::from(VaultError::Busy)),
            // What is in the log must be readable above all when the vault is not.
            Err(error) => {
                let damaged = format!("whether the log was cut can't be told: {error}");
                each(AuditFound::Damage { damaged });
                None
            }
        };
        audit::events(&self.audit_dir(), &self.keys.audit(), anchor, filter, each).map_err(Failure::from)
    }

    /// The last event's time (RFC 3339), if it holds.
    pub(super) fn last_event(&self) -> Result<Option<String>, Failure> {
        let mut time = None;
        let filter = AuditFilter { last: Some(1), ..AuditFilter::default() };
        self.audit_read(&filter, &mut |found| {
            if let AuditFound::Event(event) = found {
                time = event.get("time").and_then(|time| time.as_str()).map(str::to_owned);
            }
        })?;
        Ok(time)
    }

    /// Walks the whole chain.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn audit_verify(&self) -> Result<AuditReport, Failure> {
        // What is in the log must be readable above all when the vault is not.
        let (vault, damage) = self.vault_or_damage()?;
        let head = vault.as_ref().and_then(|vault| self.keys.freshness.head(vault));
        let mut report = audit::verify(&self.audit_dir(), &self.keys.audit(), head)?;
        drop(vault);
        report.damage.extend(damage);
        if report.damage.is_empty() || self.refused.is_some() {
            report.damage.extend(self.put_back());
        }
        Ok(report)
    }

    /// What vault, audit and pin say against each other.
    pub(super) fn put_back(&self) -> Option<String> {
        match self.open() {
            Err(failure) if failure.kind == FailureKind::Damaged => Some(failure.message),
            _ => None,
        }
    }

    /// Keeps a damaged log aside, whole, and begins a new chain that says so.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn audit_restart(&self) -> Result<PathBuf, Failure> {
        let mut vault = self.vault_alone()?;
        vault.hold();
        let (kept, _) = audit::restart(&self.audit_dir(), self.keys.audit())?;
        let audit = AuditLog::open(&self.audit_dir(), self.keys.audit(), None)?;
        vault.begin_chain()?;
        let mut open =
            Opened { keys: Arc::clone(&self.keys), vault: HeldVault::alone(vault), audit: audit.into() };
        let note = self.note("audit_restart", kept.display().to_string(), None);
        open.record(note)?;
        drop(open);
        Ok(kept)
    }

    /// Moves the closed segments into a directory, the one that is written to as well if it is `close`d
    /// first. Returns the files' names there.
    ///
    /// # Errors
    /// [`Failure`]; a log that does not hold is left as it is.
    pub(crate) fn audit_archive(&self, to: &Path, close: Close) -> Result<Vec<PathBuf>, Failure> {
        if let Some(first) = self.audit_verify()?.damage.first() {
            return Err(Failure::new(
                FailureKind::Damaged,
                format!("the audit log does not hold, and is not archived: {first}"),
                "authy-mcp admin audit verify",
            ));
        }
        let mut open = self.open()?;
        if close == Close::TheCurrentToo {
            open.audit.close_segment_now()?;
        }
        let moved = audit::archive(&open.audit, to)?;
        open.anchor_in_vault()?;
        if moved.is_empty() {
            return Err(Failure::new(
                FailureKind::NotFound,
                "no segment of the audit log is closed yet: each is at 64 MiB",
                "to close the present one and archive it: authy-mcp admin audit archive --close DIR",
            ));
        }
        Ok(moved)
    }

    /// The latest refusal of a scope, if the log holds up to it.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn last_denial(&self) -> Result<LastDenial, Failure> {
        let anchor = self.audit_anchor()?;
        let last = audit::last_denial(&self.audit_dir(), &self.keys.audit(), anchor)?;
        last.ok_or_else(|| {
            Failure::new(
                FailureKind::NotFound,
                "no call was refused lately",
                "authy-mcp admin allow SCOPE --secret NAME -- PROGRAM ARGUMENT",
            )
        })
    }

    fn audit_anchor(&self) -> Result<Option<Head>, VaultError> {
        let vault = self.keys.open_vault(&self.home, super::FIRST)?;
        Ok(self.keys.freshness.head(&vault))
    }
}

/// Which segments are archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// Those that are closed.
    Nothing,
    /// The one that is written to, too.
    TheCurrentToo,
}
