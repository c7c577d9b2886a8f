//! What a broker is asked and what it answers, as it goes over the wire: the shapes of the MCP
//! tools and of the daemon's API.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    policy::{DeliveryMode, Limit, OutputMode, Promise, SandboxMode, Stdin},
    run::WrittenKind,
};

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Asks for nothing: the scope comes from the credential.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListAllowedParams {}

/// What this session may use and run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ListAllowed {
    /// The scope of this session.
    pub scope: String,
    /// When the credential ends (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Where a run starts when the call names no directory; a private empty one where this is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_cwd: Option<String>,
    /// What may be used together: secrets, and the commands that may use them.
    pub rules: Vec<RuleEntry>,
    /// Limits of every run.
    pub limits: LimitsEntry,
    /// How much of the sandbox must stand (`required`, `best-effort`, `off`), which network a run has, and what it
    /// may write.
    pub sandbox: String,
}

/// One rule, its globs shown as the names they stand for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RuleEntry {
    /// The rule's id, or its number.
    pub id: String,
    /// The secrets that it covers.
    pub secrets: Vec<SecretEntry>,
    /// Patterns, one element an argument (`*` is a glob inside one, `**` any rest), or `"any"`.
    pub commands: Commands,
    /// Where sealed secrets may go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// How a value gets to the program.
    pub deliver: DeliveryMode,
    /// What may be promised of it.
    pub promise: Promise,
    /// Why no more may be promised, or on whose word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise_why: Option<String>,
    /// `text` where a call may give standard input; it may not where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Stdin>,
    /// How much of the sandbox must stand for this rule, where it is not what `sandbox` says for the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxMode>,
    /// What of the output is returned.
    pub output: OutputMode,
    /// Whether a person is asked: `never`, `once`, `always`.
    #[schemars(with = "String")]
    pub approval: Approval,
    /// A call that is allowed as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Example>,
}

/// Whether a person is asked before a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Approval {
    /// Nobody is: the policy alone decides.
    Never,
}

/// A secret's name and how a program finds it; never anything of its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SecretEntry {
    /// Its name.
    pub name: String,
    /// What the operator wrote of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The variable that carries the value (or, for files, the path).
    pub env: String,
}

/// Command patterns of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Commands {
    /// Any command: the word `any`.
    Any(AnyCommand),
    /// These patterns.
    Patterns(Vec<Vec<String>>),
}

/// The word `any`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum AnyCommand {
    /// Every program with every argument.
    #[serde(rename = "any")]
    Any,
}

/// Arguments for `run_with_secrets` that are allowed as they stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Example {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The secrets.
    pub secrets: Vec<String>,
}

/// Limits of every run of the scope.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct LimitsEntry {
    /// The longest that a run may take.
    pub timeout_seconds: u64,
    /// Bytes of each stream that are returned.
    pub output_bytes: usize,
    /// Runs a minute.
    pub runs_per_minute: u32,
    /// Runs at once.
    pub concurrent_runs: u32,
    /// Processes and threads of one run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Bytes of memory of one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Bytes that one run may put into its private directories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
}

/// One execution to be done.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunParams {
    /// The program and its arguments, one element each: `["npm", "test"]`. No shell is added and
    /// `$NAME` is not expanded.
    pub command: Vec<String>,
    /// The secrets to use, by name as `list_allowed` shows them. May be left out where exactly one
    /// rule fits and names its secrets in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<String>>,
    /// An absolute directory to start in, inside one that the policy names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Text for standard input, where the rule takes it (`stdin` in `list_allowed`); closed where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Variables to set; only those that the policy lets a call set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// The longest to wait, in seconds; cut to the scope's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// By itself; a non-zero exit code is the program's own result.
    Exited,
    /// By a signal.
    Signaled,
    /// It took longer than allowed.
    TimedOut,
    /// The caller cancelled it.
    Cancelled,
    /// What allowed it was taken back while it ran: a token that was revoked or ended, a lock, another policy.
    Revoked,
    /// It came to the end of what it may use, and was ended with all that it had started: `limit` says of what.
    ResourceLimit,
    /// It never ran.
    FailedToStart,
}

impl Outcome {
    /// The word for it in JSON and in the audit.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Signaled => "signaled",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Revoked => "revoked",
            Self::ResourceLimit => "resource_limit",
            Self::FailedToStart => "failed_to_start",
        }
    }
}

/// What came of a run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RunResult {
    /// How it ended.
    pub outcome: Outcome,
    /// For `resource_limit`, what it came to the end of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// The program's exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal's name, as `SIGKILL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Standard output, secrets masked as `[redacted:NAME]`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// Standard error, masked likewise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// Whether the middle of standard output was left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stdout_truncated: bool,
    /// Whether the middle of standard error was left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stderr_truncated: bool,
    /// Whether the output is held back because it had a secret in it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub withheld: bool,
    /// How many times a secret was masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redactions: Option<u64>,
    /// Compressed data and archives in the output that were not looked into: they may hold a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_looked_into: Vec<NotLookedIntoEntry>,
    /// Files that the run wrote and that hold a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub file_hits: Vec<FileHitEntry>,
    /// Written files that others may run, or run from, later and outside of any sandbox; control files first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<WrittenEntry>,
    /// What else there is to know: control files that were moved or put back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What may be promised of this run.
    pub promise: Promise,
    /// Why no more may be promised, or on whose word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise_why: Option<String>,
    /// The run's identity, as the audit has it.
    pub run_id: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The timeout that was in force, in seconds.
    pub timeout_seconds: u64,
    /// The sandbox layers that were active; `off` where there were none.
    pub sandbox: String,
}

/// A part of a stream that was not looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct NotLookedIntoEntry {
    /// `stdout` or `stderr`; `result` where it is a name or a note.
    pub stream: String,
    /// How it is compressed or packed, such as `gzip` or `xz`.
    pub kind: String,
    /// How much of it was read until it was given up.
    pub bytes: u64,
}

/// A file that a run wrote and that holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct FileHitEntry {
    /// Where it is, or was.
    pub path: String,
    /// Whether it was removed; otherwise it is still there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub removed: bool,
}

/// A file that a run wrote, and that others may run or run from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct WrittenEntry {
    /// Where it was written.
    pub path: String,
    /// `program` for programs and scripts, `config` for what tools read and run from, `control` for what other programs
    /// run or trust unasked.
    pub kind: WrittenKind,
}

/// What a token is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// Fewer secrets or commands from now on: for this server process over stdio, for everybody who shows the token
    /// over HTTP, until an operator lifts it.
    NarrowMe,
    /// A credential for a helper of the caller's, never worth more than the caller's own is at that moment.
    Subagent,
    /// More than the scope gives: put on record, always denied, answered with the operator's command.
    More,
}

/// A token that is wanted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenParams {
    /// What for.
    pub purpose: Purpose,
    /// Only these secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<String>>,
    /// Only these command patterns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<Vec<String>>>,
    /// How long, in seconds; cut to what the caller has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// How many runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<u32>,
    /// Why, in a sentence that a person will read.
    pub reason: String,
}

/// What became of the wish for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenStatus {
    /// Done.
    Granted,
    /// A person will decide.
    Pending,
    /// No.
    Denied,
}

/// The answer to a wish for a token.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TokenAnswer {
    /// What became of it.
    pub status: TokenStatus,
    /// The grant's identity.
    pub grant_id: String,
    /// The secrets that remain.
    pub secrets: Vec<String>,
    /// When it ends (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// How many runs it is good for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<u32>,
    /// A file that holds the new credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
    /// The new credential itself, only where the policy says `delegate = true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What to do now.
    pub next: String,
}

#[cfg(test)]
impl RunResult {
    /// A run of which there is nothing to say, for tests: it ended well and wrote nothing.
    pub(crate) fn of_nothing() -> Self {
        Self {
            outcome: Outcome::Exited,
            limit: None,
            exit_code: Some(0),
            signal: None,
            stdout: String::new(),
            stderr: String::new(),
            stdout_truncated: false,
            stderr_truncated: false,
            withheld: false,
            redactions: None,
            not_looked_into: Vec::new(),
            file_hits: Vec::new(),
            written: Vec::new(),
            notes: Vec::new(),
            promise: Promise::BestEffort,
            promise_why: None,
            run_id: "r_1".to_owned(),
            duration_ms: 1250,
            timeout_seconds: 60,
            sandbox: "off".to_owned(),
        }
    }
}
