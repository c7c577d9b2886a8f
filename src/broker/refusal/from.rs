//! Translates what the rooms below say into refusals: the one place where the broker chooses words.

use std::io;

use super::{Code, Refusal};
use crate::{
    audit::AuditError,
    broker::documents::RecordError,
    delivery::DeliveryError,
    policy::{Denial, DenyCode},
    run::RunError,
    sandbox::ViewError,
    token::TokenError,
    vault::VaultError,
};

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        let message = error.to_string();
        match error {
            VaultError::NoVault(_) => {
                Refusal::new(Code::VaultLocked, message, "ask the operator to run: authy-mcp init")
            }
            VaultError::WrongKey(_) | VaultError::NoKeyring(_) => {
                Refusal::new(Code::VaultLocked, message, "ask the operator to run: authy-mcp doctor")
            }
            VaultError::OlderFormat { .. } => Refusal {
                operator_command: Some("authy-mcp admin verify".to_owned()),
                ..Refusal::new(
                    Code::VaultLocked,
                    message,
                    "ask the operator to run: authy-mcp admin verify, which upgrades the vault",
                )
            },
            VaultError::NewerFormat { .. } => Refusal::new(
                Code::VaultLocked,
                message,
                "ask the operator to install that version of authy-mcp here",
            ),
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
            VaultError::Io { source, .. } => unusable(Code::AuditUnavailable, message, &source, "the home"),
            _ => Refusal::new(Code::Damaged, message, "ask the operator to run: authy-mcp doctor"),
        }
    }
}

impl From<DeliveryError> for Refusal {
    fn from(error: DeliveryError) -> Self {
        let message = error.to_string();
        let of_sandbox = |hint: &str| Self::new(Code::SandboxUnavailable, message.as_str(), hint);
        match &error {
            DeliveryError::Guessable { secret, rule } => Self {
                rule: rule.clone(),
                ..Self::new(
                    Code::CommandNotAllowed,
                    message.as_str(),
                    format!(
                        "ask the operator to set a longer value (authy-mcp admin set {secret} --generate), or to write guessable = true in the rule"
                    ),
                )
            },
            DeliveryError::TooManyListeners => {
                Self::new(Code::BadArgument, message.as_str(), "use fewer secrets at a time")
            }
            DeliveryError::NoWay(_) => of_sandbox("ask the operator to apply the policy again"),
            DeliveryError::NoProxy => of_sandbox(
                "ask the operator to run: authy-mcp doctor, and to look at [sandbox] mode and network",
            ),
            DeliveryError::Value(_) => {
                of_sandbox("ask the operator to set a longer value, or to deliver it as env")
            }
            DeliveryError::Roots(_) => {
                of_sandbox("ask the operator to apply the policy again, with a good extra_ca")
            }
            DeliveryError::Proxy(_) => {
                of_sandbox("try again; if it stays so, ask the operator to run: authy-mcp doctor")
            }
        }
    }
}

fn not_available() -> Refusal {
    Refusal::new(
        Code::NotAvailable,
        "a secret that was asked for is not available to this session",
        "call list_allowed to see what is",
    )
}

pub(crate) fn locked() -> Refusal {
    Refusal::new(
        Code::VaultLocked,
        "the vault is locked and nobody can be asked here",
        "ask the operator to type: authy-mcp unlock (or to start the server with --passphrase-file FILE)",
    )
}

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Vault(error) => Refusal::from(error),
            unreadable @ RecordError::Unreadable { .. } => Refusal::new(
                Code::Damaged,
                unreadable.to_string(),
                "ask the operator to run: authy-mcp doctor",
            ),
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
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
}

/// What to do about a log that is damaged, and not only out of reach.
pub(crate) const DAMAGED_AUDIT: &str =
    "nothing is revealed over a damaged audit log; ask the operator to run: authy-mcp admin audit verify";

impl From<AuditError> for Refusal {
    fn from(error: AuditError) -> Self {
        let message = error.to_string();
        match error {
            AuditError::Busy => Refusal::new(Code::Busy, message, "call again in a moment"),
            AuditError::Io { source, .. } => unusable(Code::AuditUnavailable, message, &source, "the home"),
            AuditError::Damaged { .. } => Refusal::new(Code::AuditUnavailable, message, DAMAGED_AUDIT),
        }
    }
}

/// What the operating system refuses. What it lacks for a moment is not the fault of whoever called, nor of the place.
fn unusable(code: Code, message: String, error: &io::Error, place: &str) -> Refusal {
    match lacking(error) {
        Some(lack) => {
            let hint = format!("call again in a moment; if it stays so, ask the operator to {lack}");
            Refusal::new(Code::Busy, message, hint)
        }
        None => Refusal::new(code, message, format!("ask the operator to {}", remedy(error, place))),
    }
}

/// What to do where something is used up that others may give back.
fn lacking(error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind::{OutOfMemory, ResourceBusy, WouldBlock};
    /// Too many open files, in this process or in all (errno(3)).
    const DESCRIPTORS: [Option<i32>; 2] = [Some(24), Some(23)];
    match error.kind() {
        _ if DESCRIPTORS.contains(&error.raw_os_error()) => Some("raise the limit on open files: ulimit -n"),
        OutOfMemory | WouldBlock | ResourceBusy => {
            Some("end other programs, or raise the limits: ulimit -v, ulimit -u")
        }
        _ => None,
    }
}

/// What to do about a place that can't be used.
pub(crate) fn remedy(error: &io::Error, place: &str) -> String {
    use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    if let Some(lack) = lacking(error) {
        return lack.to_owned();
    }
    match error.kind() {
        ReadOnlyFilesystem => format!("make {place} writable: it is on a read-only file system"),
        StorageFull | QuotaExceeded => format!("free space for {place}: df -h"),
        FileTooLarge => "raise the limit on file sizes: ulimit -f unlimited".to_owned(),
        PermissionDenied => format!("give this user access to {place}: ls -ld shows whose it is"),
        _ => "run: authy-mcp doctor".to_owned(),
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        let code = match denial.code {
            DenyCode::NotAvailable => Code::NotAvailable,
            DenyCode::CommandNotAllowed => Code::CommandNotAllowed,
            DenyCode::SecretsRequired => Code::SecretsRequired,
            DenyCode::SecretInArgv => Code::SecretInArgv,
            DenyCode::EnvNotAllowed => Code::EnvNotAllowed,
            DenyCode::CwdNotAllowed => Code::CwdNotAllowed,
            DenyCode::StdinNotAllowed => Code::StdinNotAllowed,
            DenyCode::ProgramNotFound => Code::ProgramNotFound,
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
}

impl From<RunError> for Refusal {
    fn from(error: RunError) -> Self {
        let message = error.to_string();
        match error {
            RunError::Cwd => Refusal::new(
                Code::CwdNotAllowed,
                message,
                "leave cwd out, or name a directory inside the default_cwd that list_allowed shows",
            ),
            RunError::CwdInControlFile(_) => Refusal::new(
                Code::CwdNotAllowed,
                message,
                "start beside it, or ask the operator to open it by write_control in the policy's [sandbox]",
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
            RunError::View(ViewError::OutOfReach(_)) => Refusal::new(
                Code::SandboxUnavailable,
                message,
                "ask the operator to leave it out of the policy's read and write",
            ),
            RunError::View(ViewError::NoSuchPlace(_)) => Refusal::new(
                Code::SandboxUnavailable,
                message,
                "ask the operator to make it, or to leave it out of the policy's write",
            ),
            RunError::View(ViewError::CantHide(_)) => Refusal::new(
                Code::SandboxUnavailable,
                message,
                "ask the operator to run: authy-mcp doctor, which says how to get namespaces, or to write to less",
            ),
            RunError::NotContained(_) => {
                Refusal::new(Code::SandboxUnavailable, message, "ask the operator to run: authy-mcp doctor")
            }
            RunError::Io { source, .. } => {
                let message = format!("{message}: {source}");
                unusable(
                    Code::SandboxUnavailable,
                    message,
                    &source,
                    "the directory for temporary files (TMPDIR, else /tmp)",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the number of the operating system's error (errno(3)).
    #[test]
    fn what_the_machine_refuses_is_told_from_what_is_missing() {
        let table = [
            (30, Code::SandboxUnavailable, "read-only"),
            (28, Code::SandboxUnavailable, "free space"),
            (122, Code::SandboxUnavailable, "free space"),
            (27, Code::SandboxUnavailable, "ulimit -f"),
            (13, Code::SandboxUnavailable, "access"),
            (24, Code::Busy, "ulimit -n"),
            (23, Code::Busy, "ulimit -n"),
            (11, Code::Busy, "again"),
            (12, Code::Busy, "again"),
            (5, Code::SandboxUnavailable, "doctor"),
        ];
        for (errno, code, hint) in table {
            let error = || io::Error::from_raw_os_error(errno);
            let refused = Refusal::from(RunError::io("make its private directory", error()));
            assert_eq!(refused.code, code, "{errno}: {refused:?}");
            assert!(refused.hint.contains(hint), "{errno}: {refused:?}");
            assert!(refused.message.contains("make its private directory: "), "{refused:?}");
            let refused = Refusal::from(VaultError::io("lock the vault", error()));
            let home = if code == Code::Busy { Code::Busy } else { Code::AuditUnavailable };
            assert_eq!(refused.code, home, "{errno}: {refused:?}");
            let refused = Refusal::from(AuditError::Io { what: "write".to_owned(), source: error() });
            assert_eq!(refused.code, home, "{errno}: {refused:?}");
        }
    }
}
