//! `admin restore`: a backup takes the place of the vault, and nothing that was taken away comes back with it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    Admin,
    failure::{Failure, FailureKind},
};
use crate::{
    audit::{self, Announced, AuditError, AuditLog, Note},
    broker::{
        Surroundings,
        documents::{self, RecordError},
    },
    names::{ScopeName, TokenId},
    policy::{self, Effect},
    token::Revocations,
    vault::{
        Audit, Backup, Before, DocumentKind, HomeInfo, Restoring, Standing, UnlockMethod, UnlockMethodKind,
        Vault,
    },
};

/// Whether a backup of another vault, or one that is unlocked more easily, may take the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnotherVault {
    /// It is refused.
    Refuse,
    /// It is taken, as the operator insists.
    Allow,
}

/// What a restore did.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct RestoreReport {
    /// Records that the backup had.
    pub records: u64,
    /// Where what was there is kept.
    pub kept: Option<PathBuf>,
    /// What policies let their scopes do that they did not before.
    pub widens: Vec<String>,
    /// Tokens that are void from now on.
    pub void_tokens: Vec<TokenId>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// What is said of a backup before anything is unlocked: that it is of another vault, or opened more easily.
pub(crate) fn differences(home: Option<&HomeInfo>, backup: &HomeInfo) -> Vec<String> {
    let Some(home) = home else { return Vec::new() };
    let mut said = Vec::new();
    if home.fingerprint != backup.fingerprint {
        said.push(format!(
            "the backup is of another vault: {}, and this is {}",
            backup.fingerprint, home.fingerprint
        ));
    }
    if strength(backup.unlock) < strength(home.unlock) {
        said.push(format!(
            "the backup is unlocked by {}, which is weaker than {}",
            way(backup.unlock),
            way(home.unlock)
        ));
    }
    said
}

fn strength(kind: UnlockMethodKind) -> u8 {
    match kind {
        UnlockMethodKind::IdentityFile => 0,
        UnlockMethodKind::Keyring => 1,
        UnlockMethodKind::Passphrase => 2,
    }
}

fn way(kind: UnlockMethodKind) -> &'static str {
    match kind {
        UnlockMethodKind::IdentityFile => "an identity file",
        UnlockMethodKind::Keyring => "the keyring",
        UnlockMethodKind::Passphrase => "a passphrase",
    }
}

impl Admin {
    /// Rebuilds the home from a backup; what was there is kept aside. The restored vault is newer than all that remembers
    /// the one before: revocations, spent uses and narrowings of both hold, tokens that the backup doesn't know are void.
    ///
    /// # Errors
    /// [`Failure`]: the home is as it was.
    pub(crate) fn restore(
        around: &Surroundings,
        home: &Path,
        dir: &Path,
        opener: &UnlockMethod,
        another: AnotherVault,
    ) -> Result<RestoreReport, Failure> {
        let backup = Backup::read(dir, opener)?;
        let before = Before::look(home, &backup, &around.engine)?;
        let differences = differences(before.info(), backup.info());
        if let (AnotherVault::Refuse, Some(first)) = (another, differences.first()) {
            return Err(Failure::new(
                FailureKind::Denied,
                first.clone(),
                "if that is what you want: authy-mcp admin restore DIR --another-vault",
            ));
        }
        let admin = Self::with_key(around, home, backup.identity());
        let mut report =
            RestoreReport { records: backup.records(), notes: differences, ..RestoreReport::default() };
        let found = admin.look_at_audit(&before)?;
        if found.audit == Audit::Anew && before.info().is_some() {
            report.notes.push(
                "a new audit log begins: the one before can't be gone on with, and is kept with what was there"
                    .to_owned(),
            );
        }
        let now = before.now();
        let mut restoring = Restoring::build(home, backup, before, found.announced, found.audit)?;
        let (old, fresh) = restoring.vaults();
        match old {
            Some(old) => merge(old, fresh, now, &mut report)?,
            None => report.notes.push("what the vault let its scopes do before can't be told".to_owned()),
        }
        if found.trust == Trust::Nothing {
            void_all(fresh, now, &mut report)?;
        }
        let note = admin.note("restore", dir.display().to_string(), None);
        admin.announce(&mut restoring, note, found.audit, now)?;
        report.kept = restoring.put_in_place()?.kept;
        // The restore is done: what remembers the vault is told by whoever opens it first, which is us but for haste.
        if let Err(failure) = admin.open() {
            report.notes.push(format!("the vault is in place, and could not be opened yet: {failure}"));
        }
        Ok(report)
    }

    /// Opens the audit of the home before, so that nothing is exchanged for one that can't go on.
    fn look_at_audit(&self, before: &Before) -> Result<Found, Failure> {
        let anew = Found { announced: None, audit: Audit::Anew, trust: Trust::Nothing };
        let dir = self.audit_dir();
        if !before.is_of(self.keys.vault.fingerprint()) || !dir.is_dir() {
            return Ok(anew);
        }
        let log = AuditLog::open(&dir, self.keys.audit(), before.head());
        let announced = match log.and_then(|log| log.last_change()) {
            Ok(announced) => announced,
            Err(AuditError::Damaged { .. }) if before.vault().is_none() => return Ok(anew),
            Err(error) => return Err(Failure::from(error)),
        };
        let standing = before.vault().map(|vault| self.keys.freshness.standing(vault, announced));
        let trust = match standing {
            Some(Ok(Standing::Well | Standing::Unsaid(_) | Standing::Unannounced)) => Trust::Revocations,
            Some(Ok(Standing::Interrupted(_)) | Err(_)) | None => Trust::Nothing,
        };
        Ok(Found { announced, audit: Audit::Continued, trust })
    }

    /// Announces the new vault in the audit that goes with it, and makes it, out of sight still.
    pub(super) fn announce(
        &self,
        restoring: &mut Restoring,
        note: Note,
        audit: Audit,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let dir = restoring.dir().join("audit");
        if audit == Audit::Anew && dir.is_dir() {
            audit::restart(&dir, self.keys.audit())?;
        }
        let log = AuditLog::open(&dir, self.keys.audit(), None)?;
        let vault = restoring.vaults().1;
        log.record(note, vault.gathered())?;
        vault.make(log.head(), now).map_err(Failure::from)
    }
}

/// What was found of the audit before.
struct Found {
    announced: Option<Announced>,
    audit: Audit,
    trust: Trust,
}

/// What the vault before can be trusted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// It knows everything that was ever revoked.
    Revocations,
    /// It can't be opened, or may have been put back itself.
    Nothing,
}

/// Takes over from the vault before whatever takes something away.
fn merge(
    old: &Vault,
    fresh: &mut Vault,
    now: Timestamp,
    report: &mut RestoreReport,
) -> Result<(), RecordError> {
    let mut revoked = documents::revocations(fresh)?;
    let Revocations { tokens, not_before, .. } = documents::revocations(old)?;
    revoked.tokens.extend(tokens);
    for (subject, first) in not_before {
        let known = revoked.not_before.entry(subject).or_insert(first);
        *known = first.max(*known);
    }
    let (before, restored) = (token_ids(old)?, token_ids(fresh)?);
    for id in before.symmetric_difference(&restored) {
        // Issued since, or ended and forgotten since.
        void(&mut revoked, id, now, report);
    }
    for id in before.intersection(&restored) {
        let uses = documents::token(old, id)?.map_or(0, |token| token.info.uses);
        if let Some(mut token) = documents::token(fresh, id)?.filter(|token| token.info.uses < uses) {
            token.info.uses = uses;
            documents::put_token(fresh, &token, now)?;
        }
    }
    documents::put_revocations(fresh, &revoked, now)?;
    for principal in old.documents(DocumentKind::Grant)? {
        let mut all = documents::narrowings(fresh, &principal)?;
        for narrowing in documents::narrowings(old, &principal)? {
            all.retain(|known| known.id != narrowing.id);
            all.push(narrowing);
        }
        documents::put_narrowings(fresh, &principal, &all, now)?;
    }
    widened(old, fresh, report)
}

fn void(revoked: &mut Revocations, id: &TokenId, now: Timestamp, report: &mut RestoreReport) {
    if revoked.tokens.insert(id.clone(), now).is_none() {
        report.void_tokens.push(id.clone());
    }
}

/// Nothing says which tokens were revoked since: none of them is good.
fn void_all(fresh: &mut Vault, now: Timestamp, report: &mut RestoreReport) -> Result<(), RecordError> {
    let mut revoked = documents::revocations(fresh)?;
    for id in token_ids(fresh)? {
        void(&mut revoked, &id, now, report);
    }
    documents::put_revocations(fresh, &revoked, now)
}

fn token_ids(vault: &Vault) -> Result<BTreeSet<TokenId>, RecordError> {
    let names = vault.documents(DocumentKind::Token)?;
    Ok(names.iter().filter_map(|name| TokenId::parse(name).ok()).collect())
}

/// Says what the backup's policies let their scopes do that those before did not.
fn widened(old: &Vault, fresh: &Vault, report: &mut RestoreReport) -> Result<(), RecordError> {
    for name in fresh.documents(DocumentKind::Policy)? {
        let Ok(scope) = ScopeName::parse(&name) else { continue };
        let Some(restored) = documents::policy(fresh, &scope)? else { continue };
        let before = documents::policy(old, &scope)?.and_then(|stored| stored.document().ok());
        // One that this version can't read allows nothing.
        let Ok(document) = restored.document() else { continue };
        let changes = policy::changes(before.as_ref(), &document);
        report.widens.extend(
            changes.iter().filter(|c| c.effect == Effect::Widens).map(|c| format!("{scope}: {}", c.text)),
        );
    }
    Ok(())
}
