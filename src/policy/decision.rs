//! Requests, and what a policy makes of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    limits::{Counting, RunLimits},
    sealed::{EgressAllowlist, Seal},
    typed::PathGlob,
    variables::Variables,
    words::{DeliveryMode, ExitCodes, HomeMode, Network, OnFileHit, OutputMode, SandboxMode},
};
use crate::names::{EnvName, ScopeName, SecretName};

/// What an agent asks to run. Every field is hostile.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// The program and its arguments; never empty once it is here.
    pub command: Vec<String>,
    /// The secrets asked for; `None` where the call left them out.
    pub secrets: Option<Vec<SecretName>>,
    /// The working directory asked for, absolute and as written.
    pub cwd: Option<PathBuf>,
    /// Text for standard input that came with it.
    pub stdin: Option<String>,
    /// Who asks.
    pub asker: Asker,
    /// Variables that the call sets.
    pub env: BTreeMap<String, String>,
    /// The timeout asked for; cut to the limit.
    pub timeout: Option<Duration>,
    /// Where the program lies on this machine, looked up along the policy's search path: used by
    /// rules that allow any command.
    pub resolved_program: Option<PathBuf>,
}

/// An operator's wish to see a value.
#[derive(Debug, Clone)]
pub(crate) struct RevealRequest {
    /// The one secret.
    pub secret: SecretName,
    /// A version other than the current one.
    pub version: Option<u64>,
}

/// What the vault knows of a secret, value aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFacts {
    /// Its name.
    pub name: SecretName,
    /// The variable that `admin set --env` gave it.
    pub env: Option<EnvName>,
    /// What the operator wrote of it.
    pub description: Option<String>,
}

/// What a policy answers: permission with its terms, or a denial with its rule.
#[derive(Debug)]
#[must_use]
pub(crate) enum Decision<T> {
    /// No.
    Deny(Denial),
    /// Yes, on these terms.
    Allow(Allowed<T>),
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    /// What kind of no.
    pub code: DenyCode,
    /// The rule that decided, unless saying so would tell that a secret exists.
    pub rule: Option<String>,
    /// What happened, in a sentence for the model; built from parsed, quoted names only.
    pub message: String,
    /// What to do next.
    pub hint: String,
    /// Command patterns that would be allowed, as written.
    pub allowed: Vec<Vec<String>>,
}

/// Either what was found, or why not.
pub(super) type Step<T> = Result<T, Box<Denial>>;

/// No, for that reason, whatever rule it is by.
pub(super) fn denial(code: DenyCode, message: impl Into<String>, hint: impl Into<String>) -> Box<Denial> {
    Box::new(Denial { code, rule: None, message: message.into(), hint: hint.into(), allowed: Vec::new() })
}

/// The kinds of no that a policy says (a subset of the codes of the MCP surface).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DenyCode {
    /// A secret outside the scope, or none of that name: the same words for both.
    NotAvailable,
    /// No rule allows this program with these arguments.
    CommandNotAllowed,
    /// The call must name its secrets.
    SecretsRequired,
    /// A secret's reference stands in argv where the delivery doesn't allow it.
    SecretInArgv,
    /// A variable that the call may not set.
    EnvNotAllowed,
    /// A directory where runs may not start.
    CwdNotAllowed,
    /// Standard input, where the rule has none.
    StdinNotAllowed,
    /// The program isn't there.
    ProgramNotFound,
    /// The policy asks for what this build can't enforce.
    SandboxUnavailable,
    /// The request itself is malformed.
    BadArgument,
}

/// What can be allowed: it says which secrets it covers, and in which version.
pub trait Terms {
    /// The secrets that are covered.
    fn secrets(&self) -> impl Iterator<Item = &SecretName>;

    /// The version of a covered secret; `None` for its present one.
    fn version_of(&self, name: &SecretName) -> Option<u64>;
}

/// A permission *and* its terms: made by [`super::Policy::decide`] and [`super::Policy::decide_reveal`] only,
/// consumed by the audit. The type says what was allowed: a look at a value starts no run.
///
/// ```
/// # use authy_mcp::testing::policy::{Allowed, RunTerms};
/// fn start(_: Allowed<RunTerms>) {}
/// fn asked(allowed: Allowed<RunTerms>) {
///     start(allowed);
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use authy_mcp::testing::policy::{Allowed, RevealTerms, RunTerms};
/// fn start(_: Allowed<RunTerms>) {}
/// fn asked(allowed: Allowed<RevealTerms>) {
///     start(allowed);
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Allowed<T> {
    pub(super) scope: ScopeName,
    pub(super) terms: Box<T>,
}

impl<T> Allowed<T> {
    /// The scope that decided.
    pub fn scope(&self) -> &ScopeName {
        &self.scope
    }

    /// What it is allowed to.
    pub fn terms(&self) -> &T {
        &self.terms
    }

    /// Takes the terms out, for the witness that the audit makes of them.
    pub(crate) fn into_parts(self) -> (ScopeName, Box<T>) {
        (self.scope, self.terms)
    }
}

/// One look at a value, by the operator.
#[derive(Debug, Clone)]
pub struct RevealTerms {
    /// The one secret.
    pub secret: SecretName,
    /// A version other than the present one.
    pub version: Option<u64>,
}

impl Terms for RevealTerms {
    fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        std::iter::once(&self.secret)
    }

    fn version_of(&self, name: &SecretName) -> Option<u64> {
        self.version.filter(|_| self.secret == *name)
    }
}

impl Terms for RunTerms {
    fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        self.secrets.iter().map(|secret| &secret.name)
    }

    fn version_of(&self, _: &SecretName) -> Option<u64> {
        None
    }
}

/// How a run is to be done.
#[derive(Debug, Clone)]
pub struct RunTerms {
    /// The rules that decided, by id or `#N`.
    pub rules: Vec<String>,
    /// The program, absolute.
    pub program: PathBuf,
    /// The arguments after the program.
    pub args: Vec<String>,
    /// What is delivered, and how.
    pub secrets: Vec<Delivered>,
    /// Variables that the rules set; `{file:NAME}` not yet replaced.
    pub set_env: BTreeMap<EnvName, String>,
    /// Variables to take from the server's environment, with the texts that they may have.
    pub pass_env: Variables,
    /// Variables that the call set and may set.
    pub agent_env: BTreeMap<EnvName, String>,
    /// Directories before the system's in `PATH`.
    pub path: Vec<PathBuf>,
    /// Which HOME the child has.
    pub home: HomeMode,
    /// Where it starts.
    pub cwd: CwdTerm,
    /// The longest it may take.
    pub timeout: Duration,
    /// Bytes a stream that are returned.
    pub output_limit: usize,
    /// What of the output is returned.
    pub output: OutputMode,
    /// What may be promised of this run.
    pub promise: Promise,
    /// Why it is that, in a line.
    pub promise_why: Option<String>,
    /// SHA-256 of the program, where the rule pins it.
    pub pin: Option<[u8; 32]>,
    /// What else must be as it was pinned.
    pub pinned: PinnedRun,
    /// The paths that the call named by a type, with what each must fit once links are followed.
    pub paths: Vec<(PathGlob, String)>,
    /// Who asked.
    pub asker: Asker,
    /// The sandbox that the policy asks for.
    pub sandbox: SandboxTerms,
    /// What is told of an exit code.
    pub exit_code: ExitCodes,
    /// The secrets of which a rule says that they may be sealed although they can be guessed.
    pub guessable: BTreeSet<SecretName>,
    /// Whether a rule has to say that: not in a policy that was applied before any did.
    pub values_judged: bool,
    /// What the run's proxy reaches beside their hosts.
    pub reach: EgressAllowlist,
    /// Runs a minute, for the scope.
    pub runs_per_minute: u32,
    /// Runs at once, for the scope.
    pub concurrent_runs: u32,
}

/// What of a pinned command must be as it was, beside the program itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinnedRun {
    /// The interpreters that ran it when it was pinned, with their SHA-256 in hex; `None` where they were not
    /// recorded.
    pub interpreters: Option<BTreeMap<PathBuf, String>>,
    /// The files that its arguments name in full, as they are written there, with theirs.
    pub files: Vec<(String, String)>,
}

/// Where a run starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CwdTerm {
    /// A private empty directory, gone after the run.
    Private,
    /// This directory, which must still lie in one of the roots once links are followed.
    Within {
        /// The directory.
        dir: PathBuf,
        /// The policy's directories.
        roots: Vec<PathBuf>,
    },
}

/// One secret of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Which.
    pub name: SecretName,
    /// The variable that carries the value, or the path for `file`.
    pub env: EnvName,
    /// How it gets there.
    pub how: How,
}

/// How a secret of a run gets to where it is used, with all that the way needs.
///
/// ```compile_fail,E0308
/// # use authy_mcp::testing::policy::How;
/// fn way() -> How {
///     How::Sealed // to which hosts?
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// In an environment variable.
    Env,
    /// In a private file, whose path is in the variable.
    File,
    /// By the proxy, which puts the value in where this says; the variable has a placeholder.
    Sealed(Box<Seal>),
}

impl How {
    /// The word for it in a policy.
    pub fn deliver(&self) -> DeliveryMode {
        match self {
            Self::Env => DeliveryMode::Env,
            Self::File => DeliveryMode::File,
            Self::Sealed(_) => DeliveryMode::Sealed,
        }
    }

    /// How a sealed one may be used.
    pub fn seal(&self) -> Option<&Seal> {
        match self {
            Self::Sealed(seal) => Some(seal),
            Self::Env | Self::File => None,
        }
    }
}

/// Who asks, as far as it was proven. What is not for tools is decided here, not by whoever passes the call on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Asker {
    /// A tool call over MCP: every argument may be an attacker's.
    #[default]
    Tool,
    /// `authy-mcp run` with a token: a terminal proves nobody.
    TokenHolder,
    /// `authy-mcp run` in a process that was given what opens the vault.
    Operator(OperatorProof),
}

/// Shows that what opens the vault was given to this process, for this run: the passphrase, or the file or keyring of
/// a vault that has no passphrase. A token, a terminal and a place in a process tree are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatorProof(());

impl OperatorProof {
    /// To be called by what opened the vault in this process for a run on this process's own streams, and by
    /// nobody that answers for another process.
    pub(crate) fn of_an_opened_vault() -> Self {
        Self(())
    }
}

/// What a rule's delivery and commands let one promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// None but best effort: redaction is a net, never a boundary.
    BestEffort,
    /// What the operator says of the command, and nobody computed; output is redacted on top.
    ReviewedByOperator,
    /// What the reviewed command does with the value; output is redacted on top.
    Reviewed,
    /// The child never has the value.
    Sealed,
}

/// A promise, and in a line why it is no more, or on whose word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Promised {
    /// What may be promised.
    pub promise: Promise,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Promised {
    pub(super) fn best_effort(why: impl Into<String>) -> Self {
        Self { promise: Promise::BestEffort, why: Some(why.into()) }
    }
}

/// Shows that a policy says of a run that nothing contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaidOff(());

impl SandboxTerms {
    /// Whether the policy says `mode = "off"`.
    pub fn said_off(&self) -> Option<SaidOff> {
        (self.mode == SandboxMode::Off).then_some(SaidOff(()))
    }
}

/// What a run may reach and use. Paths are absolute, or begin with `{cwd}`, where the run starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxTerms {
    /// How much of it must stand.
    pub mode: SandboxMode,
    /// Which network.
    pub network: Network,
    /// What may be read, beside the system's own directories.
    pub read: Vec<PathBuf>,
    /// What may be written, beside private directories.
    pub write: Vec<PathBuf>,
    /// What becomes of written files that hold a secret.
    pub on_file_hit: OnFileHit,
    /// Control files that may be written, too, relative to a project.
    pub write_control: Vec<PathBuf>,
    /// What of the machine it may use.
    pub limits: RunLimits,
    /// Whether something has to count its processes.
    pub counting: Counting,
}
