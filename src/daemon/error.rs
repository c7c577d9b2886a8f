//! Why a daemon was not reached, or could not listen.

use std::{io, path::PathBuf};

use super::wire::PROTOCOL;

/// Why the daemon's API can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// Nobody listens.
    #[error("no daemon is running")]
    Nobody,
    /// Whoever listens does not know this vault's identity.
    #[error("what listens at {} is not this vault's daemon", .0.display())]
    Impostor(PathBuf),
    /// It speaks another version.
    #[error("the daemon speaks version {theirs} of its API, and this program version {}", PROTOCOL)]
    Version {
        /// Its version.
        theirs: u32,
    },
    /// Another daemon has this home.
    #[error("a daemon is running for this home already")]
    Taken,
    /// The runtime directory belongs to somebody else.
    #[error("{} belongs to another user, or others can enter it", .0.display())]
    NotOurs(PathBuf),
    /// The system knows no such group.
    #[error("there is no group called {0}")]
    NoGroup(String),
    /// It has as many connections of this process as it takes.
    #[error("too many calls to the daemon are in flight")]
    Crowded,
    /// It broke off, or said what this program can't read.
    #[error("the daemon broke off: {0}")]
    Broken(String),
    /// The operating system.
    #[error("the daemon's socket can't be used: {0}")]
    Io(#[from] io::Error),
}
