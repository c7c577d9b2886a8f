//! What went wrong, in words for the operator: every error of the rooms below is told here, with what to type next.

use serde::Serialize;

use crate::{
    audit::AuditError,
    broker::{
        records::RecordError,
        refusal::{Code, Refusal},
        refuse,
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

impl Failure {
    /// A failure of a kind, with what to do next.
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        let hints = if hint.is_empty() { Vec::new() } else { vec![hint] };
        Self { kind, message: message.into(), hints, findings: Vec::new() }
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
            format!("the policy has {count} error{}", if count == 1 { "" } else { "s" }),
            "fix the errors above and apply again; nothing was changed",
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
        if let VaultError::Unconfirmed { fingerprint, .. } = &error {
            let hint = accept_hint(fingerprint);
            return Failure::new(FailureKind::Damaged, error.to_string(), hint);
        }
        let message = error.to_string();
        if let VaultError::Io { source, .. } = &error {
            return Failure::new(FailureKind::Failed, message, refuse::remedy(source, "the home"));
        }
        let (kind, hint) = match error {
            VaultError::NoVault(_) => (FailureKind::NotFound, "authy-mcp init"),
            VaultError::AlreadyThere(_) => {
                (FailureKind::Denied, "use it, or set AUTHY_MCP_HOME to another directory")
            }
            VaultError::WrongKey(_) => {
                (FailureKind::Locked, "authy-mcp doctor shows how this vault is unlocked")
            }
            VaultError::NoKeyring(_) => (
                FailureKind::Locked,
                "unlock the desktop's keyring, or choose another way: authy-mcp init --unlock identity-file",
            ),
            VaultError::Busy => (FailureKind::Busy, "wait for the other command to end, and type it again"),
            VaultError::Damaged { .. } => (
                FailureKind::Damaged,
                "authy-mcp admin verify names all of it; authy-mcp admin restore DIR brings a backup back",
            ),
            VaultError::NotFound { .. } => (FailureKind::NotFound, "authy-mcp admin list"),
            VaultError::TooLarge => {
                (FailureKind::Usage, "keep large files encrypted elsewhere, and their key here")
            }
            _ => (FailureKind::Failed, "authy-mcp doctor"),
        };
        Failure::new(kind, message, hint)
    }
}

/// How a person says that a vault is right as it is.
fn accept_hint(fingerprint: &str) -> String {
    format!(
        "if this is the vault as you left it: authy-mcp admin verify --accept {fingerprint}; if not: authy-mcp admin restore DIR"
    )
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
                message,
                "free space, or fix the permissions of the home's audit directory; nothing was changed",
            ),
            AuditError::Damaged { .. } => Failure::new(
                FailureKind::Damaged,
                message,
                "authy-mcp admin audit verify names all of it; authy-mcp admin audit restart keeps it aside and begins anew",
            ),
        }
    }
}

/// What a refusal means to an operator.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.code {
            Code::VaultLocked => FailureKind::Locked,
            Code::Busy => FailureKind::Busy,
            Code::Damaged => FailureKind::Damaged,
            Code::AuditUnavailable if refusal.hint == refuse::DAMAGED_AUDIT => FailureKind::Damaged,
            _ => FailureKind::Failed,
        };
        // The operator is who reads this.
        let hint = refusal.hint.replace("ask the operator to run: ", "").replace("ask the operator to ", "");
        let hint = refusal.operator_command.map_or(hint, |command| {
            format!("if the vault is as you left it: {command}; if not: authy-mcp admin restore DIR")
        });
        Failure::new(kind, refusal.message, hint)
    }
}
