//! Events, and the line that each becomes.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{AuditKeys, Head, change::Change, state::State};
use crate::{
    names::{RunId, ScopeName},
    policy::{RevealTerms, RunTerms, Terms},
};

/// What is known of a run before it starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IntentFacts {
    /// Who: `token:SUBJECT`, `local:UID#INSTANCE`, `operator:UID`.
    pub principal: String,
    /// The token's `jti`, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// SHA-256 of the program, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_sha256: Option<String>,
    /// SHA-256 over the arguments, each followed by a NUL, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv_sha256: Option<String>,
    /// The interpreters that run it, each by path and SHA-256 in hex.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interpreters: Vec<String>,
    /// Where it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// The process that sees to it, as `PID@STARTED`: where that has ended, so has the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The sandbox layers that are active.
    pub sandbox: Vec<String>,
}

/// How a run, or a look at a value, ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutcomeFacts {
    /// `exited`, `signaled`, `timed_out`, `cancelled`, `resource_limit`, `failed_to_start`, `revealed`, …
    pub outcome: String,
    /// The program's exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What a run came to the end of, where it was ended for that: `processes`, `memory`, `disk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Files that it wrote and that hold a secret, each with what became of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub file_hits: Vec<String>,
    /// Written files that others may run or run from, by kind, and what became of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub written: BTreeMap<String, u64>,
    /// Redactions by kind (`raw`, `base64`, …).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub redactions: BTreeMap<String, u64>,
}

impl OutcomeFacts {
    /// Of a run that never was.
    pub(crate) fn failed_to_start() -> Self {
        Self {
            outcome: "failed_to_start".to_owned(),
            exit_code: None,
            limit: None,
            duration_ms: 0,
            file_hits: Vec::new(),
            written: BTreeMap::new(),
            redactions: BTreeMap::new(),
        }
    }
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// The refusal's code.
        code: String,
        /// The rule that decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// The command as asked for, redacted and bounded, for `admin allow --last`.
        argv: Vec<String>,
        /// The secrets asked for.
        secrets: Vec<String>,
        /// Whether the command or the names are not all of it. Becomes the event's own mark.
        #[serde(skip)]
        cut: bool,
    },
    /// Refusals of one principal that have no event each: those between the first and the last of a kind.
    DenialsSummed {
        /// Who.
        principal: String,
        /// How many.
        number: u64,
        /// From when on.
        since: Timestamp,
        /// Until when.
        until: Timestamp,
        /// How many by code.
        codes: BTreeMap<String, u64>,
    },
    /// A run asked for something by its egress proxy. Never contents.
    Request {
        /// The run.
        run: RunId,
        /// The host and port.
        host: String,
        /// The method; `CONNECT` for a tunnel.
        method: String,
        /// The path without its query, redacted and bounded.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        path: String,
        /// The answer's status.
        status: u16,
        /// Why the proxy refused, where it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
        /// Which secrets went with it, by name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        secrets: Vec<String>,
        /// Bytes of the request's body.
        sent: u64,
        /// Bytes of the answer's body.
        received: u64,
        /// How often a value was taken out of the answer.
        scrubs: u64,
    },
    /// A run made more requests than have an event each.
    MoreRequests {
        /// The run.
        run: RunId,
        /// How many more.
        number: u64,
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

/// Everything that a line can say.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Event {
    Own(Own),
    Note(Note),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Own {
    Intent {
        run: RunId,
        scope: ScopeName,
        #[serde(flatten)]
        facts: IntentFacts,
        #[serde(flatten)]
        what: Allowance,
    },
    Outcome {
        run: RunId,
        scope: ScopeName,
        #[serde(flatten)]
        facts: OutcomeFacts,
    },
    /// Signed with a key that is derived from the identity: whoever has the public key can check it.
    Checkpoint {
        covers: u64,
        hash: String,
        key: String,
        signature: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<Box<State>>,
    },
    /// The first event of each segment but the first: it goes on from the one that was closed.
    Segment {
        number: u64,
        /// The closed segment's name; its last line's hash is this event's `prev`.
        closed: String,
        /// Whether it was closed because it could not be synced, and so without a checkpoint.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unsynced: bool,
        state: Box<State>,
    },
    /// Closed segments were moved away; all up to `through` are, now.
    Archived { through: u64, to: String, files: Vec<ArchivedFile> },
    /// A change that was announced before was made.
    Changed { epoch: u64 },
    /// A line that was never finished, and so never acknowledged, was dropped.
    Recovered { dropped_bytes: u64 },
    /// A damaged log was kept aside, and a new one begun.
    Restarted { kept: String, sha256: String, bytes: u64 },
}

/// A segment that was moved away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ArchivedFile {
    pub file: String,
    /// Its first event, and its last.
    pub first: u64,
    pub last: u64,
    /// Of the whole file, as `sha256sum` prints it.
    pub sha256: String,
}

/// What was allowed, as the log has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[doc(hidden)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Allowance {
    Run {
        rules: Vec<String>,
        program: String,
        /// `name:delivery:VARIABLE`.
        secrets: Vec<String>,
        promise: crate::policy::Promise,
        output: crate::policy::OutputMode,
    },
    Reveal {
        secrets: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
}

/// Terms that an intent can be recorded for.
pub trait OnRecord: Terms {
    /// What the log says of them.
    #[doc(hidden)]
    fn allowance(&self) -> Allowance;
}

impl OnRecord for RevealTerms {
    fn allowance(&self) -> Allowance {
        Allowance::Reveal { secrets: vec![self.secret.to_string()], version: self.version }
    }
}

impl OnRecord for RunTerms {
    fn allowance(&self) -> Allowance {
        let secrets = self.secrets.iter();
        Allowance::Run {
            rules: self.rules.clone(),
            program: self.program.display().to_string(),
            secrets: secrets.map(|s| format!("{}:{}:{}", s.name, s.how.deliver().as_str(), s.env)).collect(),
            promise: self.promise,
            output: self.output,
        }
    }
}

/// One line less its MAC.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Body {
    pub seq: u64,
    /// RFC 3339, UTC.
    pub time: Timestamp,
    #[serde(flatten)]
    pub event: Event,
    /// The change of the vault that is made behind this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// Whether something in it was too long and is not whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    pub prev: String,
}

/// Writes the line of an event, without its line feed.
pub(super) fn line(keys: &AuditKeys, body: &Body) -> Vec<u8> {
    let mut line = serde_json::to_vec(body).expect("events have string keys only");
    let mac = hex::encode(mac(keys, &line));
    line.truncate(line.len() - 1);
    line.extend_from_slice(format!(",\"mac\":\"{mac}\"}}").as_bytes());
    line
}

/// Reads a line back: its body if the MAC holds, or what is wrong.
pub(super) fn read(keys: &AuditKeys, line: &[u8]) -> Result<Body, &'static str> {
    serde_json::from_slice(&authentic(keys, line)?).map_err(|_| "the line can't be read by this version")
}

/// A line's JSON without its MAC, if that holds.
pub(super) fn authentic(keys: &AuditKeys, line: &[u8]) -> Result<Vec<u8>, &'static str> {
    const TAIL: usize = ",\"mac\":\"\"}".len() + 64;
    let cut = line.len().checked_sub(TAIL).ok_or("the line is cut")?;
    let (front, tail) = line.split_at(cut);
    let tag = tail
        .strip_prefix(b",\"mac\":\"")
        .and_then(|t| t.strip_suffix(b"\"}"))
        .ok_or("the line has no MAC")?;
    let body = [front, b"}"].concat();
    if !bool::from(tag.ct_eq(hex::encode(mac(keys, &body)).as_bytes())) {
        return Err("the line was changed: its MAC does not hold");
    }
    Ok(body)
}

pub(super) fn hash(line: &[u8]) -> [u8; 32] {
    Sha256::digest(line).into()
}

pub(super) fn checkpoint(keys: &AuditKeys, head: Head, state: &State) -> Event {
    let key = SigningKey::from_bytes(&keys.sign);
    let signature = key.sign(&checkpoint_message(head));
    Event::Own(Own::Checkpoint {
        covers: head.seq,
        hash: hex::encode(head.hash),
        key: hex::encode(key.verifying_key().as_bytes()),
        signature: hex::encode(signature.to_bytes()),
        state: state.whole.then(|| Box::new(state.clone())),
    })
}

/// Whether a checkpoint's signature is by our key and covers this head.
pub(super) fn checkpoint_holds(keys: &AuditKeys, head: Head, key: &str, signature: &str) -> bool {
    let ours: VerifyingKey = SigningKey::from_bytes(&keys.sign).verifying_key();
    let parsed = hex::decode(signature).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
    key == hex::encode(ours.as_bytes())
        && parsed.is_some_and(|signature| ours.verify_strict(&checkpoint_message(head), &signature).is_ok())
}

fn checkpoint_message(head: Head) -> Vec<u8> {
    format!("authy-mcp audit checkpoint v1\n{}\n{}\n", head.seq, hex::encode(head.hash)).into_bytes()
}

pub(super) fn mac(keys: &AuditKeys, bytes: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(&*keys.mac).expect("HMAC takes keys of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}
