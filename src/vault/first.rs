//! Who goes first at the vault's lock.

use std::{fs::File, io, path::Path, time::Duration};

use super::{VaultError, home};
use crate::files;

/// Goes before everybody who gives way, for as long as what is returned is kept: for what a person types, until the
/// vault is open.
///
/// # Errors
/// [`VaultError::Busy`] where another person stands there for so long.
pub(crate) fn stand_first(home: &Path, wait: Duration) -> Result<Option<File>, VaultError> {
    if !home.is_dir() {
        return Ok(None);
    }
    files::lock(&first(home), wait).map(Some).map_err(cant_lock)
}

/// Waits as long as somebody stands first. Nothing is held by that: whoever is past it is served before.
///
/// # Errors
/// [`VaultError::Busy`] when the wait is over.
pub(crate) fn give_way(home: &Path, wait: Duration) -> Result<(), VaultError> {
    let first = first(home);
    // Nobody has ever stood there, as in a home that was just restored.
    if !first.exists() {
        return Ok(());
    }
    files::lock(&first, wait).map(drop).map_err(cant_lock)
}

fn first(home: &Path) -> std::path::PathBuf {
    home::lock_file(home).with_extension("first")
}

fn cant_lock(error: io::Error) -> VaultError {
    match error.kind() {
        io::ErrorKind::WouldBlock => VaultError::Busy,
        _ => VaultError::io("lock the vault", error),
    }
}
