//! Where daemons listen, and what their answers mean to a person.

use std::path::{Path, PathBuf};

use super::Globals;
use crate::{
    daemon::{self, LocalError, Socket, Trust},
    operator::{Failure, FailureKind},
    setup,
};

/// Where this home's daemon listens: where the person says, and else at its own place.
pub(super) fn socket(globals: &Globals, home: &Path) -> Socket {
    match named_socket(globals) {
        Some(path) => Socket { path, trust: Trust::Owner },
        None => Socket::own(own_socket(home)),
    }
}

/// The socket that the person named.
pub(super) fn named_socket(globals: &Globals) -> Option<PathBuf> {
    let named = globals.socket.clone().or_else(setup::socket)?;
    Some(std::path::absolute(&named).unwrap_or(named))
}

pub(super) fn own_socket(home: &Path) -> PathBuf {
    daemon::socket_path(setup::runtime_dir().as_deref(), home)
}

pub(super) fn local(error: &LocalError) -> Failure {
    let (kind, hint) = match error {
        LocalError::Nobody => (FailureKind::Locked, "authy-mcp unlock"),
        LocalError::Taken => (FailureKind::Busy, "authy-mcp status shows it; authy-mcp lock ends it"),
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
