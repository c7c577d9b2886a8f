//! A no, for whoever asked: a code for programs, words for the model, a hint for what to do next.

mod from;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use from::{DAMAGED_AUDIT, locked, remedy};

/// The codes of the MCP surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    /// A secret outside the scope, or none of that name.
    NotAvailable,
    /// No rule allows this command.
    CommandNotAllowed,
    /// The call must name its secrets.
    SecretsRequired,
    /// A secret stands in argv where the delivery doesn't allow it.
    SecretInArgv,
    /// A variable that a call may not set.
    EnvNotAllowed,
    /// A directory where runs may not start.
    CwdNotAllowed,
    /// Standard input, where the rule takes none from a call.
    StdinNotAllowed,
    /// The program isn't there.
    ProgramNotFound,
    /// The program isn't what was pinned.
    ProgramChanged,
    /// Too many runs.
    RateLimited,
    /// A person must approve.
    ApprovalRequired,
    /// A person said no.
    DeniedByPerson,
    /// The vault is locked, or there is none.
    VaultLocked,
    /// The credential has expired.
    TokenExpired,
    /// The credential is not valid here.
    TokenInvalid,
    /// What the policy asks of the sandbox can't be had.
    SandboxUnavailable,
    /// Nothing is revealed while the audit can't be written.
    AuditUnavailable,
    /// Another process holds the vault.
    Busy,
    /// The vault or the audit is damaged.
    Damaged,
    /// An argument is malformed.
    BadArgument,
}

impl Code {
    /// The word for it in JSON and in the audit.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotAvailable => "not_available",
            Self::CommandNotAllowed => "command_not_allowed",
            Self::SecretsRequired => "secrets_required",
            Self::SecretInArgv => "secret_in_argv",
            Self::EnvNotAllowed => "env_not_allowed",
            Self::CwdNotAllowed => "cwd_not_allowed",
            Self::StdinNotAllowed => "stdin_not_allowed",
            Self::ProgramNotFound => "program_not_found",
            Self::ProgramChanged => "program_changed",
            Self::RateLimited => "rate_limited",
            Self::ApprovalRequired => "approval_required",
            Self::DeniedByPerson => "denied_by_person",
            Self::VaultLocked => "vault_locked",
            Self::TokenExpired => "token_expired",
            Self::TokenInvalid => "token_invalid",
            Self::SandboxUnavailable => "sandbox_unavailable",
            Self::AuditUnavailable => "audit_unavailable",
            Self::Busy => "busy",
            Self::Damaged => "damaged",
            Self::BadArgument => "bad_argument",
        }
    }
}

/// A refusal. Built from parsed, quoted names only; never from a value or a child's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Refusal {
    /// What kind of no.
    pub code: Code,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: String,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Command patterns that are allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<Vec<String>>,
    /// What the operator can type to change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_command: Option<String>,
}

impl Refusal {
    /// A refusal with a code, a message and a hint.
    pub(crate) fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
            rule: None,
            allowed: Vec::new(),
            operator_command: None,
        }
    }
    /// The caller took its call back before anything was decided: nothing of it is on record.
    pub(crate) fn cancelled() -> Self {
        let message = "the call was cancelled before anything was started";
        Self::new(Code::Busy, message, "call again, if it is still wanted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::Outcome;

    #[test]
    fn words_are_those_of_the_wire() {
        let codes = [
            Code::NotAvailable,
            Code::CommandNotAllowed,
            Code::SecretsRequired,
            Code::SecretInArgv,
            Code::EnvNotAllowed,
            Code::CwdNotAllowed,
            Code::StdinNotAllowed,
            Code::ProgramNotFound,
            Code::ProgramChanged,
            Code::RateLimited,
            Code::ApprovalRequired,
            Code::DeniedByPerson,
            Code::VaultLocked,
            Code::TokenExpired,
            Code::TokenInvalid,
            Code::SandboxUnavailable,
            Code::AuditUnavailable,
            Code::Busy,
            Code::Damaged,
            Code::BadArgument,
        ];
        for code in codes {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
        let outcomes = [
            Outcome::Exited,
            Outcome::Signaled,
            Outcome::TimedOut,
            Outcome::Cancelled,
            Outcome::Revoked,
            Outcome::ResourceLimit,
            Outcome::FailedToStart,
        ];
        for outcome in outcomes {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
    }
}
