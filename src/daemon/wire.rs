//! The shapes that go over the socket.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    broker::{Bearer, Bound, Credential, LocalSession, PublicKeys, Upkeep, Way, refusal::Refusal},
    names::{GrantId, ScopeName},
    supervise::Process,
};

/// The version of this API. A client and a daemon of two versions say so instead of guessing.
pub(crate) const PROTOCOL: u32 = 1;
/// The header that carries it.
pub(super) const PROTOCOL_HEADER: &str = "authy-mcp-protocol";
/// What a connection is upgraded to that is a turn at the vault.
pub(super) const PROTOCOL_NAME: &str = "authy-mcp-engine";
/// The header of a nonce that the daemon gave out.
pub(super) const NONCE_HEADER: &str = "authy-mcp-nonce";
/// The header of the proof that goes with it.
pub(super) const PROOF_HEADER: &str = "authy-mcp-proof";

/// A credential on its way.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireCredential {
    /// A bearer token.
    Token(Zeroizing<String>),
    /// A scope, named by whoever can prove the identity.
    Scope { scope: ScopeName, instance: GrantId },
    /// The scope of the run whose process tree the caller belongs to.
    Tree { instance: GrantId },
    /// None, why, and what to do.
    Missing { why: String, hint: String },
}

impl WireCredential {
    #[expect(clippy::disallowed_methods, reason = "a bearer token is shown to the daemon")]
    pub(super) fn of(credential: &Credential) -> Self {
        match credential {
            Credential::Token(bearer) => Self::Token(Zeroizing::new(bearer.text.expose_secret().to_owned())),
            Credential::LocalScope(local) => {
                Self::Scope { scope: local.scope.clone(), instance: local.instance.clone() }
            }
            Credential::Tree(instance) => Self::Tree { instance: instance.clone() },
            Credential::Missing { why, hint } => Self::Missing { why: why.clone(), hint: hint.clone() },
        }
    }

    /// What the broker is given; a scope only for a caller that may name one. `session` is what the caller calls
    /// its own, `peer` the process that calls.
    pub(super) fn into_credential(self, session: Option<GrantId>, peer: Option<Process>) -> Credential {
        match self {
            Self::Token(token) => Credential::Token(Bearer {
                text: Arc::new(SecretString::from(token.as_str())),
                // A server that speaks HTTP says nothing of who is behind it.
                shown_by: peer.filter(|_| session.is_some()),
                session,
            }),
            Self::Scope { scope, instance } => {
                Credential::LocalScope(LocalSession { scope, instance, process: peer, bound: Bound::Process })
            }
            Self::Tree { instance } => Credential::Tree(instance),
            Self::Missing { why, hint } => Credential::Missing { why, hint },
        }
    }
}

/// A call as it is posted.
#[derive(Serialize, Deserialize)]
pub(super) struct Posted {
    pub credential: WireCredential,
    /// The session of the process that shows a token: two that show the same one are two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<GrantId>,
    /// The tool's arguments.
    #[serde(default)]
    pub params: Value,
    /// The environment of the server through which it came.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// By which way it came.
    #[serde(default)]
    pub way: Way,
    /// A name for it, by which it can be cancelled.
    #[serde(default)]
    pub call: String,
    /// Whether output is wanted as it comes.
    #[serde(default)]
    pub progress: bool,
}

/// The answer to a call, masked.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answered {
    /// What was asked for.
    Answer(Value),
    /// A refusal.
    Refused(Refusal),
    /// A piece of a run's output; more lines follow.
    Piece { fd: u8, text: String },
}

/// Cancels a run.
#[derive(Serialize, Deserialize)]
pub(super) struct Cancel {
    pub call: String,
}

/// Asks the daemon for proof, and for a nonce.
#[derive(Serialize, Deserialize)]
pub(super) struct Challenge {
    pub nonce: String,
}

/// The daemon's proof over both nonces, and the nonce over which the client's next request proves itself.
#[derive(Serialize, Deserialize)]
pub(super) struct Challenged {
    pub nonce: String,
    pub proof: String,
    /// Whether requests behind that one, on this connection, are proven over the same nonce and their number. An older daemon
    /// wants to be asked for each.
    #[serde(default)]
    pub numbered: bool,
}

/// What a daemon says of itself to whoever may reach its socket. No name of a secret or a scope.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Version of this API.
    pub protocol: u32,
    /// Version of the program.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// The home.
    pub home: PathBuf,
    /// The vault's fingerprint.
    pub vault: String,
    /// Since when it is unlocked (RFC 3339).
    pub unlocked_since: String,
    /// It locks after so many seconds without a call.
    pub idle_lock_seconds: u64,
    /// It locks then, whatever happens (RFC 3339).
    pub locks_at: String,
    /// Whether its pages were locked into memory when the keys came.
    pub memory_locked: bool,
    /// Calls so far.
    pub calls: u64,
    /// Of these, refused.
    pub denials: u64,
    /// Runs so far.
    pub runs: u64,
    /// Runs at this moment.
    pub running: u64,
    /// Latencies of the last calls that ran nothing, in milliseconds.
    pub latency_ms: Latencies,
    /// What the last runs took beside their programs, in milliseconds.
    #[serde(default)]
    pub overhead_ms: Latencies,
    /// Refused calls, by their codes.
    #[serde(default)]
    pub denials_by_code: BTreeMap<String, u64>,
    /// For how long it has the keys.
    #[serde(default)]
    pub uptime_seconds: u64,
    /// Whether members of a group may call, too.
    #[serde(default)]
    pub open_to_group: Option<u32>,
    /// Whether all is well; where not, `upkeep` says what isn't.
    #[serde(default)]
    pub health: Health,
    /// Backups, and what is not well.
    #[serde(default)]
    pub upkeep: Upkeep,
    /// The public half of its token keys: a server tells with it what is no token, and asks nobody.
    #[serde(default)]
    pub token_keys: Option<PublicKeys>,
}

/// Whether a daemon is well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    /// All is well.
    #[default]
    Ok,
    /// It serves, and something needs a person.
    Degraded,
}

/// Percentiles, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latencies {
    /// Half of the calls took no longer.
    pub p50: f64,
    /// Of a hundred calls, one took longer.
    pub p99: f64,
}

/// How the vault looks to the daemon, which remembers how far it was.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Looked {
    /// Why it can't be used, where it can't: that it was put back, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
