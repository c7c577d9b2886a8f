//! The audit: what happened, in an order that can't be changed unnoticed.
//!
//! JSON lines with a sequence number, the hash of the line before, a MAC each, and Ed25519-signed
//! checkpoints. An intent is durable before a value is revealed, an outcome is recorded after. What
//! enters: names, digests, counts. Never a value or a part of one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{
    name::{RunId, ScopeName, SecretName},
    policy::{Allowed, Terms},
};

/// A permission whose use is on record: what [`crate::vault::Vault::reveal`] asks for.
///
/// Made by [`AuditLog::record_intent`] once the event is durable, consumed by
/// [`AuditLog::record_outcome`]; there is no other way to one.
#[derive(Debug)]
#[must_use]
pub struct Intent {
    run_id: RunId,
    scope: ScopeName,
    terms: Terms,
}

impl Intent {
    /// The run that this is the intent of.
    pub fn run_id(&self) -> &RunId {
        &self.run_id
    }
    /// The scope that decided.
    pub fn scope(&self) -> &ScopeName {
        &self.scope
    }
    /// What was allowed.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }
    /// Whether a secret is among those that were allowed.
    pub fn covers(&self, _name: &SecretName) -> bool {
        todo!()
    }
}

/// The end of the chain: what is anchored in the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Head {
    /// The last event's sequence number; 0 where there is none.
    pub seq: u64,
    /// SHA-256 of the last line, without its line feed.
    #[serde(with = "hex::serde")]
    pub hash: [u8; 32],
}

/// The keys of the audit, derived from the vault identity.
pub struct AuditKeys {
    /// HMAC-SHA-256 of each event.
    pub mac: zeroize::Zeroizing<[u8; 32]>,
    /// Ed25519 seed for checkpoints.
    pub sign: zeroize::Zeroizing<[u8; 32]>,
}

/// What is known of a run before it starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IntentFacts {
    /// Who: `token:SUBJECT`, `local:UID`, `operator:UID`.
    pub principal: String,
    /// The token's `jti`, where there is one.
    pub token: Option<String>,
    /// SHA-256 of the program, in hex.
    pub program_sha256: Option<String>,
    /// SHA-256 over the arguments, each followed by a NUL, in hex.
    pub argv_sha256: Option<String>,
    /// Where it starts.
    pub cwd: Option<String>,
    /// The sandbox layers that are active.
    pub sandbox: Vec<String>,
}

/// How a run, or a look at a value, ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutcomeFacts {
    /// `exited`, `signaled`, `timed_out`, `cancelled`, `failed_to_start`, `revealed`, …
    pub outcome: String,
    /// The program's exit code.
    pub exit_code: Option<i32>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Redactions by kind (`raw`, `base64`, …).
    pub redactions: std::collections::BTreeMap<String, u64>,
}

/// An event that is neither intent nor outcome.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Note {
    /// A call was refused.
    Denied {
        /// Who.
        principal: String,
        /// Under which scope, if it got that far.
        scope: Option<String>,
        /// The refusal's code.
        code: String,
        /// The rule that decided.
        rule: Option<String>,
        /// The command as asked for, redacted and bounded, for `admin allow --last`.
        argv: Vec<String>,
        /// The secrets asked for.
        secrets: Vec<String>,
    },
    /// An operator changed something (`set`, `rm`, `rollback`, `policy_apply`, `token_issue`, …).
    Admin {
        /// Who.
        principal: String,
        /// What was done.
        action: String,
        /// To what.
        target: String,
        /// A version, a digest, a lifetime.
        detail: Option<String>,
    },
}

/// What can go wrong with the log. No variant carries a value.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// It can't be written or read.
    #[error("the audit log can't be used: {what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// It was edited, reordered or cut.
    #[error("the audit log is damaged at event {seq}: {what}")]
    Damaged {
        /// Where.
        seq: u64,
        /// What is wrong.
        what: String,
    },
    /// Somebody else holds it.
    #[error("the audit log is in use")]
    Busy,
}

/// The log of one home. Several processes may hold one each: every append takes the file's lock,
/// reads the tail it has not seen and goes on from there.
pub struct AuditLog {}

impl AuditLog {
    /// Opens or makes the log in a directory (0700), and reconciles it with the head that the vault
    /// has anchored: a log that ends before it was cut.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(_dir: &Path, _keys: AuditKeys, _anchor: Option<Head>) -> Result<Self, AuditError> {
        todo!()
    }
    /// Puts an intent on record and returns the witness, once it is on the disk.
    ///
    /// # Errors
    /// [`AuditError`]: then nothing is revealed.
    pub fn record_intent(
        &self,
        _allowed: Allowed,
        _run_id: RunId,
        _facts: IntentFacts,
    ) -> Result<Intent, AuditError> {
        todo!()
    }
    /// Puts an outcome on record.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn record_outcome(&self, _intent: Intent, _facts: OutcomeFacts) -> Result<(), AuditError> {
        todo!()
    }
    /// Puts anything else on record.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn record(&self, _note: Note) -> Result<(), AuditError> {
        todo!()
    }
    /// The end of the chain as this process last saw or wrote it.
    pub fn head(&self) -> Head {
        todo!()
    }
}
