//! What the rooms below say, in words for the operator: a row is an error, its kind (and so its exit code), and what
//! its hint has to name.

use std::{io, path::PathBuf};

use super::secret;
use crate::{
    audit::AuditError,
    broker::{
        documents::RecordError,
        refusal::{self, Code, Refusal},
    },
    operator::{Failure, FailureKind},
    vault::VaultError,
};

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

#[track_caller]
fn hold(failure: &Failure, kind: FailureKind, hint: &str) {
    assert_eq!(failure.kind, kind, "{failure:?}");
    let line = failure.hints.join("\n");
    assert!(line.contains(hint), "{hint:?}: {failure:?}");
    assert!(!line.contains("; "), "a hint is one thing to do: {failure:?}");
    assert!(!line.contains("ask the operator"), "whoever reads this is the operator: {failure:?}");
    assert!(!failure.message.is_empty() && !failure.message.ends_with('.'), "{failure:?}");
}

#[test]
fn what_the_vault_says() {
    use FailureKind::{Busy, Damaged, Denied, Failed, Locked, NotFound, Usage};
    let home = || PathBuf::from("/h");
    let io = |number| VaultError::Io { what: "open".to_owned(), source: errno(number) };
    let rows = [
        (VaultError::NoVault(home()), NotFound, "authy-mcp init"),
        (VaultError::AlreadyThere(home()), Denied, "AUTHY_MCP_HOME"),
        (VaultError::WrongKey("no".to_owned()), Locked, "authy-mcp doctor"),
        (VaultError::NoKeyring("no".to_owned()), Locked, "--unlock identity-file"),
        (VaultError::Busy, Busy, "type it again"),
        (VaultError::Damaged { what: "x".to_owned() }, Damaged, "authy-mcp admin restore DIR"),
        (
            VaultError::Unconfirmed { what: "x".to_owned(), fingerprint: "ab12".to_owned() },
            Damaged,
            "authy-mcp admin verify --accept ab12",
        ),
        (VaultError::NotFound { what: "secret", name: "a".to_owned() }, NotFound, "authy-mcp admin list"),
        (VaultError::NotCovered(secret("a")), Failed, "authy-mcp doctor"),
        (VaultError::TooLarge, Usage, "keep large files"),
        (io(13), Failed, "give this user access to the home"),
        (io(28), Failed, "free space for the home"),
        (io(30), Failed, "make the home writable"),
        (io(24), Failed, "ulimit -n"),
        (io(5), Failed, "authy-mcp doctor"),
    ];
    for (error, kind, hint) in rows {
        hold(&Failure::from(error), kind, hint);
    }
}

#[test]
fn what_the_records_and_the_audit_say() {
    let unreadable = RecordError::Unreadable { what: "policy", name: "s".to_owned() };
    hold(&Failure::from(unreadable), FailureKind::Damaged, "authy-mcp admin policy apply FILE");
    hold(&Failure::from(RecordError::Vault(VaultError::Busy)), FailureKind::Busy, "type it again");
    let io = AuditError::Io { what: "append".to_owned(), source: errno(28) };
    hold(&Failure::from(AuditError::Busy), FailureKind::Busy, "type it again");
    hold(&Failure::from(io), FailureKind::Failed, "free space");
    let damaged = AuditError::Damaged { seq: 7, what: "x".to_owned() };
    hold(&Failure::from(damaged), FailureKind::Damaged, "authy-mcp admin audit verify");
}

#[test]
fn what_the_broker_refuses() {
    use FailureKind::{Busy, Damaged, Failed, Locked};
    let no = |code, hint: &str| Refusal::new(code, "what happened", hint);
    let rows = [
        (refusal::locked(), Locked, "authy-mcp unlock"),
        (no(Code::Busy, "call again in a moment"), Busy, "call again"),
        (
            no(Code::Damaged, "ask the operator to run: authy-mcp admin verify"),
            Damaged,
            "authy-mcp admin verify",
        ),
        (no(Code::AuditUnavailable, refusal::DAMAGED_AUDIT), Damaged, "authy-mcp admin audit verify"),
        (no(Code::AuditUnavailable, "ask the operator to free space"), Failed, "free space"),
        (no(Code::NotAvailable, "call list_allowed"), Failed, "list_allowed"),
        (
            Refusal {
                operator_command: Some("authy-mcp admin verify --accept ab".to_owned()),
                ..no(Code::Damaged, "h")
            },
            Damaged,
            "if the vault is as you left it: authy-mcp admin verify --accept ab\nif not: authy-mcp admin restore DIR",
        ),
    ];
    for (refusal, kind, hint) in rows {
        hold(&Failure::from(refusal), kind, hint);
    }
}

#[test]
fn a_refusal_of_a_run_is_told_with_all_that_helps() {
    let no = Refusal {
        allowed: vec![vec!["npm".to_owned(), "run *".to_owned()]],
        operator_command: Some("authy-mcp admin allow --last".to_owned()),
        ..Refusal::new(Code::CommandNotAllowed, "no rule allows this command", "copy an example")
    };
    let failure = Failure::of_a_run(&no);
    assert_eq!((failure.kind, &*failure.message), (FailureKind::Denied, "no rule allows this command"));
    assert_eq!(
        failure.hints,
        ["copy an example", "allowed: npm 'run *'", "to allow it: authy-mcp admin allow --last"]
    );
}
