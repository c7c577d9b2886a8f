//! What went wrong, in words for the operator: every error of the rooms below is told here, with what to type next.

use serde::Serialize;

use crate::{
    audit::AuditError,
    broker::{
        documents::RecordError,
        refusal::{self, Code, Refusal},
    },
    names::{ScopeName, SecretName},
    policy::Finding,
    vault::VaultError,
};

/// What went wrong, for an exit code and the next thing to type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
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
pub(crate) struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// What happened; never a value.
    pub message: String,
    /// What to do next, in the order in which to try it; a line each.
    pub hints: Vec<String>,
    /// Places in a document that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Says what is damaged.
const VERIFY: &str = "authy-mcp admin verify names all of it";
/// What else there is where a vault is not right.
const OR_RESTORE: &str = "if not: authy-mcp admin restore DIR";
/// Undoes damage.
const RESTORE: &str = "authy-mcp admin restore DIR brings a backup back";

impl Failure {
    /// A failure of a kind, with what to do next.
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        let hints = if hint.is_empty() { Vec::new() } else { vec![hint] };
        Self { kind, message: message.into(), hints, findings: Vec::new() }
    }

    /// Something does not hold, and all of it can be looked at before a backup is brought back.
    pub(crate) fn damaged(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Damaged, message, VERIFY).or(RESTORE)
    }

    /// The same from who reads and compares all of it: to type that again would say nothing else.
    #[must_use]
    pub(crate) fn of_verify(mut self) -> Self {
        self.hints.retain(|hint| hint != VERIFY);
        self
    }

    /// Nothing outside of its home remembers a vault: only a person knows whether it is right.
    pub(crate) fn unremembered(message: impl Into<String>, fingerprint: &str) -> Self {
        let accept = format!("authy-mcp admin verify --accept {fingerprint}");
        Self::new(FailureKind::Damaged, message, as_it_was_left(&accept)).or(OR_RESTORE)
    }

    /// A refusal of a run, for who started it at a terminal: with what is allowed, and how more would be.
    pub(crate) fn of_a_run(refusal: &Refusal) -> Self {
        let failure = Self::new(FailureKind::Denied, refusal.message.clone(), refusal.hint.clone());
        let allowed = refusal.allowed.iter().map(|pattern| {
            let command = shlex::try_join(pattern.iter().map(String::as_str)).unwrap_or_default();
            format!("allowed: {command}")
        });
        let to_allow = refusal.operator_command.iter().map(|command| format!("to allow it: {command}"));
        allowed.chain(to_allow).fold(failure, Self::or)
    }

    /// What happened and what to do, where there is one line for both.
    pub(crate) fn in_a_line(&self) -> String {
        std::iter::once(&self.message).chain(&self.hints).map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    /// The same with more to do.
    #[must_use]
    pub(crate) fn or(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

pub(super) fn with_findings(findings: Vec<Finding>) -> Failure {
    let count = findings.len();
    Failure {
        findings,
        ..Failure::new(
            FailureKind::Usage,
            format!("the policy has {count} error{}; nothing was changed", if count == 1 { "" } else { "s" }),
            "fix the errors above and apply again",
        )
    }
}

pub(super) fn no_secret(name: &SecretName) -> Failure {
    Failure::new(FailureKind::NotFound, format!("there is no secret called {name}"), "authy-mcp admin list")
}

pub(super) fn no_policy(scope: &ScopeName) -> Failure {
    Failure::new(
        FailureKind::NotFound,
        format!("the scope {scope} has no policy"),
        format!("authy-mcp admin allow {scope} --secret NAME -- PROGRAM ARGUMENT"),
    )
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let message = error.to_string();
        let (kind, hint) = match error {
            VaultError::Damaged { .. } => return Failure::damaged(message),
            VaultError::Unconfirmed { fingerprint, .. } => {
                return Failure::unremembered(message, &fingerprint);
            }
            VaultError::Io { source, .. } => {
                return Failure::new(FailureKind::Failed, message, refusal::remedy(&source, "the home"));
            }
            VaultError::NoVault(_) => (FailureKind::NotFound, "authy-mcp init"),
            VaultError::AlreadyThere(_) => {
                (FailureKind::Denied, "use it, or set AUTHY_MCP_HOME to another directory")
            }
            VaultError::WrongKey(_) => {
                (FailureKind::Locked, "authy-mcp doctor shows how this vault is unlocked")
            }
            VaultError::NoKeyring(_) if cfg!(not(feature = "keyring")) => (
                FailureKind::Locked,
                "install authy-mcp with its default features, or choose another way: authy-mcp init --unlock identity-file",
            ),
            VaultError::NoKeyring(_) => (
                FailureKind::Locked,
                "unlock the desktop's keyring, or choose another way: authy-mcp init --unlock identity-file",
            ),
            VaultError::OlderFormat { .. } => {
                (FailureKind::Locked, "authy-mcp admin verify upgrades it, and keeps what was there")
            }
            VaultError::NewerFormat { .. } => (FailureKind::Failed, "install that version of authy-mcp here"),
            VaultError::Busy => (FailureKind::Busy, "wait for the other command to end, and type it again"),
            VaultError::NotFound { .. } => (FailureKind::NotFound, "authy-mcp admin list"),
            VaultError::TooLarge => {
                (FailureKind::Usage, "keep large files encrypted elsewhere, and their key here")
            }
            _ => (FailureKind::Failed, "authy-mcp doctor"),
        };
        Failure::new(kind, message, hint)
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Vault(error) => error.into(),
            unreadable @ RecordError::Unreadable { .. } => Failure::new(
                FailureKind::Damaged,
                unreadable.to_string(),
                "authy-mcp admin policy apply FILE writes it anew",
            ),
        }
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        let message = error.to_string();
        match error {
            AuditError::Busy => Failure::new(FailureKind::Busy, message, "type it again in a moment"),
            AuditError::Io { .. } => Failure::new(
                FailureKind::Failed,
                format!("{message}; nothing was changed"),
                "free space, or fix the permissions of the home's audit directory",
            ),
            AuditError::Damaged { .. } => damaged_audit(message),
        }
    }
}

fn as_it_was_left(command: &str) -> String {
    format!("if the vault is as you left it: {command}")
}

fn damaged_audit(message: String) -> Failure {
    Failure::new(FailureKind::Damaged, message, "authy-mcp admin audit verify names all of it")
        .or("authy-mcp admin audit restart keeps it aside and begins anew")
}

/// What a refusal means to an operator.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.code {
            Code::VaultLocked => FailureKind::Locked,
            Code::Busy => FailureKind::Busy,
            Code::Damaged => FailureKind::Damaged,
            Code::AuditUnavailable if refusal.hint == refusal::DAMAGED_AUDIT => {
                return damaged_audit(refusal.message);
            }
            _ => FailureKind::Failed,
        };
        if let Some(command) = refusal.operator_command {
            return Failure::new(kind, refusal.message, as_it_was_left(&command)).or(OR_RESTORE);
        }
        // The operator is who reads this.
        let hint = refusal.hint.replace("ask the operator to run: ", "").replace("ask the operator to ", "");
        Failure::new(kind, refusal.message, hint)
    }
}
