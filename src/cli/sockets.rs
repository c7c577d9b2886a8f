//! Where daemons listen.

use std::path::{Path, PathBuf};

use super::Globals;
use crate::{
    daemon::{self, Socket, Trust},
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
