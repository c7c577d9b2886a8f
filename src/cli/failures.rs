//! What the rooms say that only the command line knows, in words for a person: each error is told here, with what to
//! type next. What the operator's rooms say is told in `operator/failure.rs`.

use std::{error::Error, io, path::Path};

use crate::{
    daemon::LocalError,
    mcp::{ServeError, client::ClientError},
    operator::{Failure, FailureKind},
    setup::ConfigError,
    supervise::RunAsError,
};

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = "set AUTHY_MCP_HOME to an absolute path, and HOME";
        Failure::new(FailureKind::Failed, error.to_string(), hint)
    }
}

impl From<LocalError> for Failure {
    fn from(error: LocalError) -> Self {
        let (kind, hint) = match &error {
            LocalError::Taken => {
                let failure = Failure::new(FailureKind::Busy, error.to_string(), "authy-mcp status shows it");
                return failure.or("authy-mcp lock ends it");
            }
            LocalError::Nobody => (FailureKind::Locked, "authy-mcp unlock"),
            LocalError::Impostor(_) => (FailureKind::Denied, "authy-mcp unlock puts a daemon of yours there"),
            LocalError::NotOurs(_) => {
                (FailureKind::Denied, "remove it, or set XDG_RUNTIME_DIR to a directory of yours")
            }
            LocalError::NoGroup(_) => (FailureKind::NotFound, "getent group shows those that there are"),
            LocalError::Version { .. } => (FailureKind::Failed, "authy-mcp lock, then authy-mcp unlock"),
            LocalError::Crowded => (FailureKind::Busy, "try again in a moment"),
            LocalError::Broken(_) | LocalError::Io(_) => (FailureKind::Failed, "authy-mcp status"),
        };
        Failure::new(kind, error.to_string(), hint)
    }
}

impl From<RunAsError> for Failure {
    fn from(error: RunAsError) -> Self {
        let hint = "docs/tier-3.md has the unit that sets it up";
        Failure::new(FailureKind::Denied, error.to_string(), hint)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let message = match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        let hint = match error {
            ServeError::Connection(_) => "start it from an MCP client: authy-mcp config CLIENT --scope SCOPE",
            ServeError::Listen { .. } => "choose another port",
            ServeError::Exposed(_) => "listen on 127.0.0.1, or insist with --expose and put TLS in front",
        };
        Failure::new(FailureKind::Failed, message, hint)
    }
}

/// The demo's own client has no other user.
impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let hint = "please report this, with what was printed above";
        Failure::new(FailureKind::Failed, error.to_string(), hint)
    }
}

/// What makes a process unreadable or takes it apart from this one, and failed.
pub(super) fn hardening(error: &io::Error) -> Failure {
    Failure::new(
        FailureKind::Failed,
        format!("could not make this process non-dumpable: {error}"),
        "authy-mcp doctor",
    )
}

/// A file that a person named.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let kind =
        if error.kind() == io::ErrorKind::NotFound { FailureKind::NotFound } else { FailureKind::Failed };
    Failure::new(kind, format!("{} can't be read: {error}", path.display()), "name a file that you may read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_daemon_says() {
        use FailureKind::{Busy, Denied, Failed, Locked, NotFound};
        let path = || "/s".into();
        let rows = [
            (LocalError::Nobody, Locked, &["authy-mcp unlock"][..]),
            (LocalError::Taken, Busy, &["authy-mcp status shows it", "authy-mcp lock ends it"]),
            (LocalError::Impostor(path()), Denied, &["authy-mcp unlock puts a daemon of yours there"]),
            (
                LocalError::NotOurs(path()),
                Denied,
                &["remove it, or set XDG_RUNTIME_DIR to a directory of yours"],
            ),
            (LocalError::NoGroup("g".to_owned()), NotFound, &["getent group shows those that there are"]),
            (LocalError::Version { theirs: 1 }, Failed, &["authy-mcp lock, then authy-mcp unlock"]),
            (LocalError::Crowded, Busy, &["try again in a moment"]),
            (LocalError::Broken("x".to_owned()), Failed, &["authy-mcp status"]),
            (LocalError::Io(io::ErrorKind::TimedOut.into()), Failed, &["authy-mcp status"]),
        ];
        for (error, kind, hints) in rows {
            let message = error.to_string();
            let failure = Failure::from(error);
            assert_eq!((failure.kind, failure.message), (kind, message));
            assert_eq!(failure.hints, hints);
        }
    }

    #[test]
    fn what_a_server_says_is_told_with_its_cause() {
        let source = io::Error::from_raw_os_error(98);
        let failure = Failure::from(ServeError::Listen { addr: ([127, 0, 0, 1], 9).into(), source });
        assert!(failure.message.contains("127.0.0.1:9") && failure.message.contains("in use"), "{failure:?}");
        assert_eq!(failure.hints, ["choose another port"]);
    }
}
