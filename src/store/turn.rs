//! Whose turn it is at a store of this machine: lock files, of which the system lets go when a process ends.
//!
//! ```text
//! lock          whoever has the store; a daemon that keeps it writes here where it listens
//! lock.turn     whoever waits for it: who has waited has it before who comes back at once
//! lock.first    a person's command that waits: whoever gives way waits as long
//! ```

use std::{
    fs::File,
    io::{self, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::StoreError;
use crate::files;

/// A longer pointer is no path of a socket.
const POINTER_MOST: u64 = 4096;

/// Who goes first where several wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// What a person types.
    First,
    /// Everybody else gives way to that.
    Behind,
    /// What a person types, and whoever keeps the store lets go of it: all of it is exchanged.
    Alone,
}

/// Takes the lock.
///
/// # Errors
/// [`StoreError::Busy`] when the wait is over.
pub(super) fn take(lock: &Path, order: Order, wait: Duration) -> Result<File, StoreError> {
    let until = Instant::now() + wait;
    let first = lock.with_extension("first");
    let locked = match order {
        // Nobody has ever stood there, as in a home that was just restored.
        Order::Behind if !first.exists() => files::lock_in_turn(lock, wait),
        // Nothing is held by that: whoever is past it is served before.
        Order::Behind => {
            files::lock(&first, wait).map(drop).and_then(|()| files::lock_in_turn(lock, left(until)))
        }
        Order::First | Order::Alone => files::lock(&first, wait).and_then(|first| {
            let locked = files::lock_in_turn(lock, left(until));
            drop(first);
            locked
        }),
    };
    locked.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => StoreError::Busy,
        _ => StoreError::io("lock the vault")(error),
    })
}

pub(super) fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

/// Where whoever keeps the store listens, by its own word: it has to prove itself there.
pub(super) fn pointer(lock: &Path) -> Option<PathBuf> {
    let bytes = files::read_regular(lock, POINTER_MOST).ok()?;
    (!bytes.is_empty()).then(|| PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

/// Says where whoever has the lock listens; or that it does no longer.
///
/// # Errors
/// Of the operating system.
pub(super) fn point(mut lock: &File, socket: Option<&Path>) -> io::Result<()> {
    lock.set_len(0)?;
    socket.map_or(Ok(()), |socket| lock.write_all(socket.as_os_str().as_bytes()))
}
