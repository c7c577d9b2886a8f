//! The operator's path: the same pipeline, with what only the person who can unlock may do.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use serde::Serialize;

use crate::{
    name::{ScopeName, SecretName, TokenId},
    policy::{Change, Document, Explanation, Finding, NewRule, Request},
    value::SecretValue,
    vault::{Opener, SecretInfo, SecretMeta, UnlockKind, VerifyReport, VersionInfo},
};

/// What went wrong, for an exit code and the next thing to type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Exit code 1.
    Failed,
    /// Exit code 2: the request itself is wrong.
    Usage,
    /// Exit code 3.
    Locked,
    /// Exit code 4.
    Denied,
    /// Exit code 5.
    NotFound,
    /// Exit code 6.
    Busy,
    /// Exit code 7.
    Damaged,
}

/// A failed operation: what happened, and what to do next.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// What happened; never a value.
    pub message: String,
    /// What to type next.
    pub hint: String,
    /// Places in a document that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Whether values that can't be kept out of output are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeakValues {
    /// They are refused.
    Refuse,
    /// They are taken, as the operator insists.
    Allow,
}

/// Operations of the person who can unlock the vault. Each opens the vault, acts, records, closes.
pub struct Admin {}

/// A policy that was read, resolved and compared, and not yet applied.
pub struct PolicyPlan {
    /// The document.
    pub document: Document,
    /// Its text.
    pub text: String,
    /// What it changes; empty where it changes nothing.
    pub changes: Vec<Change>,
    /// What is weak in it.
    pub warnings: Vec<Finding>,
    pub(super) resolved: crate::policy::Resolved,
}

/// What a token is to be.
#[derive(Debug, Clone)]
pub struct TokenOrder {
    /// Bound to this scope, which must have a policy.
    pub scope: ScopeName,
    /// How long; the scope's limit where absent.
    pub ttl: Option<Duration>,
    /// How many runs.
    pub max_uses: Option<u32>,
    /// The principal; made up where absent.
    pub subject: Option<String>,
}

/// A token as the vault knows it, without the token.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct TokenInfo {
    /// Its identity.
    pub id: TokenId,
    /// The scope it is bound to.
    pub scope: ScopeName,
    /// The principal.
    pub subject: String,
    /// When it was issued (seconds).
    pub issued_at: i64,
    /// When it ends (seconds).
    pub expires_at: i64,
    /// How many runs it is good for.
    pub max_uses: Option<u32>,
    /// How many it was used for.
    pub uses: u32,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// What the audit's check found.
#[derive(Debug, Clone, Serialize)]
pub struct AuditReport {
    /// Events in the chain.
    pub events: u64,
    /// Checkpoints whose signature holds.
    pub checkpoints: u64,
    /// Runs with an intent and no outcome.
    pub pending: Vec<String>,
    /// Everything that is wrong.
    pub damage: Vec<String>,
}

/// Which events are asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// At most so many, the last ones.
    pub last: Option<usize>,
    /// Only this run.
    pub run: Option<String>,
    /// Only this scope.
    pub scope: Option<String>,
    /// Only this kind (`intent`, `outcome`, `denied`, `admin`, …).
    pub kind: Option<String>,
}

/// A refused call, for `admin allow --last`.
#[derive(Debug, Clone, Serialize)]
pub struct LastDenial {
    /// When (RFC 3339).
    pub time: String,
    /// The scope that refused.
    pub scope: ScopeName,
    /// The refusal's code.
    pub code: String,
    /// The command, redacted and bounded.
    pub argv: Vec<String>,
    /// The secrets asked for.
    pub secrets: Vec<String>,
}

impl Admin {
    /// Makes a home with an empty vault, and records that.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn init(_home: &Path, _kind: UnlockKind, _opener: &Opener) -> Result<Self, Failure> {
        todo!()
    }
    /// Unlocks the vault of a home.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn unlock(_home: &Path, _opener: &Opener) -> Result<Self, Failure> {
        todo!()
    }
    /// The home.
    pub fn home(&self) -> &Path {
        todo!()
    }
    /// Sets secrets, all or none.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn set(
        &self,
        _changes: Vec<(SecretName, SecretValue, SecretMeta)>,
        _weak: WeakValues,
    ) -> Result<Vec<SecretInfo>, Failure> {
        todo!()
    }
    /// All secrets, values aside.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn list(&self) -> Result<Vec<SecretInfo>, Failure> {
        todo!()
    }
    /// One secret, value aside.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn get(&self, _name: &SecretName) -> Result<SecretInfo, Failure> {
        todo!()
    }
    /// A value, for the operator's own eyes: decided, recorded, then revealed.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn reveal(&self, _name: &SecretName, _version: Option<u64>) -> Result<SecretValue, Failure> {
        todo!()
    }
    /// Removes a secret and its versions.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn remove(&self, _name: &SecretName) -> Result<(), Failure> {
        todo!()
    }
    /// Its versions.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn history(&self, _name: &SecretName) -> Result<Vec<VersionInfo>, Failure> {
        todo!()
    }
    /// Makes an older version the newest.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn rollback(&self, _name: &SecretName, _version: u64) -> Result<SecretInfo, Failure> {
        todo!()
    }
    /// Scopes that have a policy.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn scopes(&self) -> Result<Vec<ScopeName>, Failure> {
        todo!()
    }
    /// A scope's policy as it was applied.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn policy_text(&self, _scope: &ScopeName) -> Result<String, Failure> {
        todo!()
    }
    /// Reads a document, resolves its programs along `operator_path`, and compares it with what is
    /// applied. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] with findings.
    pub fn plan_policy(&self, _text: &str, _machine: &Machine) -> Result<PolicyPlan, Failure> {
        todo!()
    }
    /// The document that a new rule makes of a scope's policy.
    ///
    /// # Errors
    /// [`Failure`] with findings.
    pub fn plan_rule(
        &self,
        _scope: &ScopeName,
        _rule: &NewRule,
        _machine: &Machine,
    ) -> Result<PolicyPlan, Failure> {
        todo!()
    }
    /// Applies what was planned; fails if another policy was applied in between.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn apply_policy(&self, _plan: PolicyPlan) -> Result<(), Failure> {
        todo!()
    }
    /// Removes a scope's policy.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn remove_policy(&self, _scope: &ScopeName) -> Result<(), Failure> {
        todo!()
    }
    /// Would this scope let one run this?
    ///
    /// # Errors
    /// [`Failure`].
    pub fn explain(&self, _scope: &ScopeName, _request: &Request) -> Result<Explanation, Failure> {
        todo!()
    }
    /// Issues a token.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn issue_token(&self, _order: &TokenOrder) -> Result<(SecretString, TokenInfo), Failure> {
        todo!()
    }
    /// Every token that was issued and has not ended.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn tokens(&self) -> Result<Vec<TokenInfo>, Failure> {
        todo!()
    }
    /// Revokes a token.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn revoke_token(&self, _id: &TokenId) -> Result<(), Failure> {
        todo!()
    }
    /// Events of the audit, each as the JSON line that is in the log.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn audit_events(&self, _filter: &AuditFilter) -> Result<Vec<serde_json::Value>, Failure> {
        todo!()
    }
    /// Walks the whole chain.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn audit_verify(&self) -> Result<AuditReport, Failure> {
        todo!()
    }
    /// Keeps a damaged log aside, whole, and begins a new chain that says so.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn audit_restart(&self) -> Result<PathBuf, Failure> {
        todo!()
    }
    /// The latest refusal.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn last_denial(&self) -> Result<LastDenial, Failure> {
        todo!()
    }
    /// Writes a backup that stock age opens.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn backup(&self, _dir: &Path) -> Result<u64, Failure> {
        todo!()
    }
    /// Rebuilds the home from a backup; what was there is kept aside.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn restore(_home: &Path, _backup: &Path, _opener: &Opener) -> Result<u64, Failure> {
        todo!()
    }
    /// Reads and compares everything in the vault.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn verify(&self) -> Result<VerifyReport, Failure> {
        todo!()
    }
}

/// What of this machine a policy is resolved against.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The user's home, for `~`.
    pub user_home: PathBuf,
    /// The operator's PATH.
    pub path: Vec<PathBuf>,
    /// The operator's working directory, below which no program is taken.
    pub cwd: PathBuf,
}
