//! How the vault is changed: the audit announces it, then the vault has it, then what remembers the vault, and only
//! then is anybody told. The order matters: whatever is cut off or put back in between shows at the next opening.
//!
//! What an operation does to an opened vault is gathered there; it is made by the event that is put on record
//! behind it, and by nothing else.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;

use super::{Anchors, HeldVault, Opened, documents, keys::VaultKeys, refusal::Refusal};
use crate::{
    audit::{self, AuditLog, Change, Intent, IntentFacts, Note, OnRecord, OutcomeFacts, Unsettled},
    names::{RunId, TokenId},
    policy::Allowed,
    vault::{Standing, Turn, VaultError},
};

/// Whoever puts on record what no principal did.
const OURSELVES: &str = "authy-mcp";

impl Opened {
    /// Opens vault and audit, holds each against the other and against what is remembered, and finishes what a
    /// process that was killed had announced.
    pub(crate) fn new(home: &Path, keys: Arc<VaultKeys>, turn: Turn) -> Result<Self, Refusal> {
        let vault = keys.open_vault(home, turn)?;
        Self::with(home, keys, HeldVault::alone(vault))
    }

    /// The same with a vault that is opened already.
    pub(crate) fn with(home: &Path, keys: Arc<VaultKeys>, vault: HeldVault) -> Result<Self, Refusal> {
        let head = keys.freshness.head(&vault);
        let audit = keys.kept.log(&home.join("audit"), || keys.audit(), head, vault.chain())?;
        Self::over(home, keys, vault, audit)
    }

    pub(crate) fn over(
        home: &Path,
        keys: Arc<VaultKeys>,
        mut vault: HeldVault,
        audit: impl Into<Arc<AuditLog>>,
    ) -> Result<Self, Refusal> {
        let audit = audit.into();
        let announced = audit.last_change()?;
        let standing = keys.freshness.standing(&vault, announced)?;
        vault.hold();
        let mut open = Self { keys, vault, audit };
        match standing {
            Standing::Well | Standing::Unannounced => {}
            Standing::Unsaid(epoch) => open.complete(epoch)?,
            Standing::Interrupted(change) => open.redo(&home.join("audit"), change)?,
        }
        Ok(open)
    }

    /// The time for everything that ends: it does not run backwards.
    pub(crate) fn now(&self) -> Timestamp {
        self.keys.freshness.now()
    }

    /// Puts something on record, and makes the change that was gathered, if there is one.
    pub(crate) fn record(&mut self, note: Note) -> Result<(), Refusal> {
        self.begin()?;
        let change = self.vault.gathered();
        // Announced before it is made: where the vault is put back behind this change, the audit still says that there was
        // one; and a revocation that is cut off in between is found announced, and made at the next opening.
        self.audit.record(note, change)?;
        self.make(change)
    }

    /// Puts on record what nobody asked for, if it changes anything.
    pub(crate) fn record_gathered(&mut self, action: &str, target: String) -> Result<(), Refusal> {
        match self.vault.gathered() {
            Some(_) => self.record(note(action, target, "by itself".to_owned())),
            None => Ok(()),
        }
    }

    /// Puts something on record that announces the vault as it is.
    pub(crate) fn record_present(&mut self, note: Note) -> Result<(), Refusal> {
        let change = self.vault.gathered().unwrap_or_else(|| self.vault.present());
        self.audit.record(note, Some(change))?;
        self.make(self.vault.gathered())?;
        self.complete(change.epoch)
    }

    /// Puts an intent on record, and makes the change that goes with it: the uses that it spends.
    pub(crate) fn record_intent<T: OnRecord>(
        &mut self,
        allowed: Allowed<T>,
        run: RunId,
        facts: IntentFacts,
    ) -> Result<Intent<T>, Refusal> {
        self.begin()?;
        let change = self.vault.gathered();
        let intent = self.audit.record_intent(allowed, run, facts, change)?;
        let kept = if change.is_some() { self.make(change) } else { self.anchor() };
        let Err(refusal) = kept else { return Ok(intent) };
        self.audit.record_outcome(intent, OutcomeFacts::failed_to_start())?;
        Err(refusal)
    }

    /// Writes an intent, which is to be settled before anything is revealed. Where what remembers the audit has it at
    /// once, or a use goes with it, it is on the disk already.
    pub(crate) fn write_intent<T: OnRecord>(
        &mut self,
        allowed: Allowed<T>,
        run: RunId,
        facts: IntentFacts,
        anchors: Anchors,
    ) -> Result<Unsettled<T>, Refusal> {
        if anchors == Anchors::AtOnce || self.vault.gathered().is_some() {
            return self.record_intent(allowed, run, facts).map(Unsettled::from);
        }
        Ok(self.audit.write_intent(allowed, run, facts)?)
    }

    /// Has the audit's head be remembered: by the pin where there is one, which the vault follows with its next
    /// write, and else by the vault.
    pub(crate) fn anchor(&mut self) -> Result<(), Refusal> {
        let (head, now) = (self.audit.head_on_disk()?, self.now());
        if !self.keys.freshness.is_pinned(&self.vault) {
            self.vault.anchor_audit(head, now)?;
        }
        self.remember()
    }

    /// Has the audit's head be remembered by the vault, too.
    pub(crate) fn anchor_in_vault(&mut self) -> Result<(), Refusal> {
        let (head, now) = (self.audit.head_on_disk()?, self.now());
        self.vault.anchor_audit(head, now)?;
        self.remember()
    }

    /// A vault of the first version is remembered from its next change on.
    fn begin(&mut self) -> Result<(), Refusal> {
        // A process that was stopped for longer than its turn lasts says nothing of a vault that has gone on.
        if !self.vault.is_present()? {
            return Err(Refusal::from(VaultError::Busy));
        }
        let freshness = Arc::clone(&self.keys.freshness);
        freshness.begin_pin(&mut self.vault).map_err(Refusal::from)
    }

    /// Makes what was announced. Where that fails the audit says so: the vault is as it was.
    fn make(&mut self, change: Option<Change>) -> Result<(), Refusal> {
        let Some(change) = change else { return Ok(()) };
        let now = self.now();
        // Others of this process may have put outcomes behind the announcement, which are not on the disk yet.
        let head = self.audit.head_on_disk().map_err(Refusal::from);
        let made = head.and_then(|head| self.vault.make(head, now).map_err(Refusal::from));
        if let Err(refusal) = made {
            self.vault.discard();
            // Where the engine can't say that the root is the one before, it may have been made all the same, or others have
            // gone on: the next to open the vault finds it announced, and finishes it or says that it was lost.
            if matches!(self.vault.is_present(), Ok(true)) {
                let note = lost(format!("change {}", change.epoch), refusal.message.clone());
                let _ = self.record_present(note);
            }
            return Err(refusal);
        }
        self.complete(change.epoch)
    }

    /// The pin, and then the word that all of it was done: without that word the pin may be one behind.
    fn complete(&mut self, epoch: u64) -> Result<(), Refusal> {
        // The pin before the acknowledgement: what a person is told is done is remembered outside of the home. Where that
        // can't be written the vault notes it, and says so.
        self.remember()?;
        self.audit.record_changed(epoch).map_err(Refusal::from)
    }

    fn remember(&mut self) -> Result<(), Refusal> {
        let head = self.audit.head_on_disk()?;
        let freshness = Arc::clone(&self.keys.freshness);
        freshness.remember(&mut self.vault, head).map_err(Refusal::from)
    }

    /// A change that was announced and never made: a revocation is made now, and everything else is named.
    fn redo(&mut self, dir: &Path, change: Change) -> Result<(), Refusal> {
        let event = audit::announcement(dir, &self.keys.audit(), change)?.unwrap_or_default();
        let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (action, target) = (text("action"), text("target"));
        if self.revoke_again(&action, &target)? {
            let detail = format!("announced as change {} and cut off: done now", change.epoch);
            return self.record(note(&action, target, detail));
        }
        let what = if action.is_empty() { text("event") } else { action };
        tracing::warn!(what, target, "a change was announced and never made");
        self.record_present(lost(
            format!("{what} {target}").trim().to_owned(),
            format!("change {}", change.epoch),
        ))
    }

    fn revoke_again(&mut self, action: &str, target: &str) -> Result<bool, Refusal> {
        let now = self.now();
        let mut revoked = documents::revocations(&self.vault)?;
        match (action, TokenId::parse(target)) {
            ("token_revoke", Ok(id)) => drop(revoked.tokens.insert(id, now)),
            ("subject_revoke", _) => {
                revoked.not_before.insert(target.to_owned(), now.as_second().saturating_add(1));
            }
            _ => return Ok(false),
        }
        documents::put_revocations(&mut self.vault, &revoked, now)?;
        Ok(true)
    }
}

fn lost(target: String, detail: String) -> Note {
    note("change_lost", target, detail)
}

fn note(action: &str, target: String, detail: String) -> Note {
    Note::Admin { principal: OURSELVES.to_owned(), action: action.to_owned(), target, detail: Some(detail) }
}
