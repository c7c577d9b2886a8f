//! Translates what the rooms below say into refusals: the one place where the broker chooses words.

use super::{
    records::RecordError,
    refusal::{Code, Refusal},
};
use crate::{
    audit::AuditError,
    policy::{Denial, DenyCode},
    run::RunError,
    token::TokenError,
    vault::VaultError,
};

pub(super) fn from_vault(error: VaultError) -> Refusal {
    let message = error.to_string();
    match error {
        VaultError::NoVault(_) => {
            Refusal::new(Code::VaultLocked, message, "ask the operator to run: authy-mcp init")
        }
        VaultError::WrongKey(_) | VaultError::NoKeyring(_) => {
            Refusal::new(Code::VaultLocked, message, "ask the operator to run: authy-mcp doctor")
        }
        VaultError::Busy => Refusal::new(Code::Busy, message, "call again in a moment"),
        VaultError::Damaged { .. } => {
            Refusal::new(Code::Damaged, message, "ask the operator to run: authy-mcp admin verify")
        }
        VaultError::Unconfirmed { fingerprint, .. } => Refusal {
            operator_command: Some(format!("authy-mcp admin verify --accept {fingerprint}")),
            ..Refusal::new(
                Code::Damaged,
                message,
                format!(
                    "ask the operator to look at it, and to accept it if it is right: authy-mcp admin verify --accept {fingerprint}"
                ),
            )
        },
        VaultError::NotFound { .. } | VaultError::NotCovered(_) => not_available(),
        VaultError::Io { .. } => Refusal::new(
            Code::Busy,
            message,
            "ask the operator to free space, or to mend permissions: authy-mcp doctor",
        ),
        _ => Refusal::new(Code::Damaged, message, "ask the operator to run: authy-mcp doctor"),
    }
}

fn not_available() -> Refusal {
    Refusal::new(
        Code::NotAvailable,
        "a secret that was asked for is not available to this session",
        "call list_allowed to see what is",
    )
}

pub(super) fn locked() -> Refusal {
    Refusal::new(
        Code::VaultLocked,
        "the vault is locked and nobody can be asked here",
        "ask the operator to type: authy-mcp unlock (or to start the server with --passphrase-file FILE)",
    )
}

pub(super) fn from_record(error: RecordError) -> Refusal {
    match error {
        RecordError::Vault(error) => from_vault(error),
        unreadable @ RecordError::Unreadable { .. } => {
            Refusal::new(Code::Damaged, unreadable.to_string(), "ask the operator to run: authy-mcp doctor")
        }
    }
}

pub(super) fn from_token(error: TokenError) -> Refusal {
    let code = match error {
        TokenError::Expired => Code::TokenExpired,
        TokenError::Invalid | TokenError::Revoked => Code::TokenInvalid,
    };
    Refusal::new(
        code,
        error.to_string(),
        "ask the operator for a new one: authy-mcp admin token issue --scope SCOPE, or authy-mcp config CLIENT --scope SCOPE --write",
    )
}

pub(super) fn from_audit(error: AuditError) -> Refusal {
    let hint = match error {
        AuditError::Busy => "call again in a moment",
        AuditError::Io { .. } => {
            "nothing is revealed while the audit log can't be written; ask the operator to run: authy-mcp doctor"
        }
        AuditError::Damaged { .. } => {
            "nothing is revealed over a damaged audit log; ask the operator to run: authy-mcp admin audit verify"
        }
    };
    let code = if matches!(error, AuditError::Busy) { Code::Busy } else { Code::AuditUnavailable };
    Refusal::new(code, error.to_string(), hint)
}

pub(super) fn from_denial(denial: Denial) -> Refusal {
    let code = match denial.code {
        DenyCode::NotAvailable => Code::NotAvailable,
        DenyCode::CommandNotAllowed => Code::CommandNotAllowed,
        DenyCode::SecretsRequired => Code::SecretsRequired,
        DenyCode::SecretInArgv => Code::SecretInArgv,
        DenyCode::EnvNotAllowed => Code::EnvNotAllowed,
        DenyCode::CwdNotAllowed => Code::CwdNotAllowed,
        DenyCode::StdinNotAllowed => Code::StdinNotAllowed,
        DenyCode::ProgramNotFound => Code::ProgramNotFound,
        DenyCode::ApprovalRequired => Code::ApprovalRequired,
        DenyCode::SandboxUnavailable => Code::SandboxUnavailable,
        DenyCode::BadArgument => Code::BadArgument,
    };
    let operator_command = match code {
        Code::CommandNotAllowed => Some("authy-mcp admin allow --last".to_owned()),
        _ => None,
    };
    Refusal {
        rule: denial.rule,
        allowed: denial.allowed,
        operator_command,
        ..Refusal::new(code, denial.message, denial.hint)
    }
}

pub(super) fn from_run(error: RunError) -> Refusal {
    let message = error.to_string();
    match error {
        RunError::Cwd => Refusal::new(
            Code::CwdNotAllowed,
            message,
            "leave cwd out, or name a directory inside the default_cwd that list_allowed shows",
        ),
        RunError::ProgramNotFound => Refusal::new(
            Code::ProgramNotFound,
            message,
            "ask the operator to apply the policy again: programs are looked up then",
        ),
        RunError::ProgramChanged => Refusal::new(
            Code::ProgramChanged,
            message,
            "ask the operator to look at the program, and to apply the policy again if it may be used",
        ),
        RunError::NulInValue(_) => Refusal::new(
            Code::BadArgument,
            message,
            "ask the operator to deliver it as a file: deliver = \"file\"",
        ),
        RunError::OutOfReach(_) => Refusal::new(
            Code::SandboxUnavailable,
            message,
            "ask the operator to leave it out of the policy's read and write",
        ),
        RunError::NoSuchPlace(_) => Refusal::new(
            Code::SandboxUnavailable,
            message,
            "ask the operator to make it, or to leave it out of the policy's write",
        ),
        RunError::CantHide(_) => Refusal::new(
            Code::SandboxUnavailable,
            message,
            "ask the operator to run: authy-mcp doctor, which says how to get namespaces, or to write to less",
        ),
        RunError::NotContained(_) => {
            Refusal::new(Code::SandboxUnavailable, message, "ask the operator to run: authy-mcp doctor")
        }
        RunError::Io { .. } => {
            Refusal::new(Code::ProgramNotFound, message, "ask the operator to run: authy-mcp doctor")
        }
    }
}
