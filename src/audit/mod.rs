//! The audit: what happened, in an order that can't be changed unnoticed.
//!
//! JSON lines with a sequence number, the hash of the line before, a MAC each, and Ed25519-signed
//! checkpoints. An intent is durable before a value is revealed, an outcome is recorded after. What
//! enters: names, digests, counts. Never a value or a part of one.
//!
//! ```text
//! audit/log.jsonl        the segment that is written to:
//!                        {"seq":1,"time":…,"event":…,…,"prev":SHA-256 of the line before,"mac":HMAC of the line}
//! audit/log.000001.jsonl closed segments, each of about 64 MiB and ended by a signed checkpoint; the next
//!                        one's first event (`segment`) names it, and the chain goes through
//! audit/head.json        the last line's number, hash, place and length, open runs and the last announced
//!                        change of the vault, with a MAC: written after each durable line (`head`)
//! audit/reserve          disk for operators' events, see `reserve`
//! audit/unsynced         is there while a sync of log.jsonl has failed: it gets no more events
//! audit/lock             held for each append
//! ```
//! The first version's log is one `log.jsonl` of any length; it is read on and becomes the first segment.
//! `audit archive` moves closed segments away and says so in the chain (`archived`); nothing else removes one.
//! The vault anchors the head, so that a log that was cut together with its head is noticed.
//! Nothing reads the log but through a check of MAC and chain (`read`, `verify`), except for what a person
//! is told before there is a key (`said`); every event goes through one bound (`bounds`).

mod append;
mod archive;
mod bodies;
mod bounds;
mod chain;
mod change;
mod denials;
mod entry;
mod event;
mod group;
mod head;
mod log;
mod read;
mod reserve;
mod said;
mod segments;
mod settle;
mod state;
mod steps;
mod verify;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    names::{RunId, ScopeName, SecretName},
    policy::Terms,
};

pub(crate) use archive::archive;
pub(crate) use change::{Announced, Change};
pub(crate) use denials::Denials;
pub use event::Note;
pub(crate) use event::{IntentFacts, OnRecord, OutcomeFacts};
pub(crate) use group::Unsettled;
pub use log::AuditLog;
pub use read::{Filter, Found, events, last_denial};
pub(crate) use read::{LastDenial, announcement};
pub(crate) use reserve::Room;
pub use said::said_last_change;
pub use verify::verify;
pub(crate) use verify::{Report, restart};

/// A permission whose use is on record: what [`crate::vault::Vault::reveal`] asks for.
///
/// Made by [`AuditLog::record_intent`] once the event is durable, consumed by
/// [`AuditLog::record_outcome`]; there is no other way to one. It is of what was allowed: one to look at a value is
/// not taken for a run's.
///
/// ```
/// # use authy_mcp::testing::{audit::Intent, policy::RunTerms};
/// fn program(intent: &Intent<RunTerms>) -> &RunTerms {
///     intent.terms()
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use authy_mcp::testing::{audit::Intent, policy::{RevealTerms, RunTerms}};
/// fn program(intent: &Intent<RevealTerms>) -> &RunTerms {
///     intent.terms()
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Intent<T> {
    run_id: RunId,
    scope: ScopeName,
    terms: Box<T>,
}

impl<T> Intent<T> {
    /// The run that this is the intent of.
    pub fn run_id(&self) -> &RunId {
        &self.run_id
    }

    /// The scope that decided.
    pub fn scope(&self) -> &ScopeName {
        &self.scope
    }

    /// What was allowed.
    pub fn terms(&self) -> &T {
        &self.terms
    }
}

impl<T: Terms> Intent<T> {
    /// Whether a secret is among those that were allowed.
    pub fn covers(&self, name: &SecretName) -> bool {
        self.terms.secrets().any(|secret| secret == name)
    }

    /// The version of a secret that was allowed; `None` for its present one.
    pub fn version_of(&self, name: &SecretName) -> Option<u64> {
        self.terms.version_of(name)
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
    pub mac: Zeroizing<[u8; 32]>,
    /// Ed25519 seed for checkpoints.
    pub sign: Zeroizing<[u8; 32]>,
}

impl AuditKeys {
    fn again(&self) -> Self {
        Self { mac: self.mac.clone(), sign: self.sign.clone() }
    }
}

/// What can go wrong with the log. No variant carries a value.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// It can't be written or read.
    #[error("the audit log can't be used: {what}: {source}")]
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

impl AuditError {
    fn io(what: &str, source: std::io::Error) -> Self {
        Self::Io { what: what.to_owned(), source }
    }

    fn damaged(seq: u64, what: impl Into<String>) -> Self {
        Self::Damaged { seq, what: what.into() }
    }
}

#[cfg(test)]
mod tests;
