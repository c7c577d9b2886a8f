//! A reserve of disk for operators: who fills the disk by an agent must not thereby keep its token from
//! being revoked.
//!
//! A file of some megabytes whose blocks are taken. An operator's change that finds less room than that
//! frees it first and takes what is left of it again when it is done; what an agent does never frees it.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// The file's name.
const NAME: &str = "reserve";
/// How much is kept free: a change of the vault, its events and its pin need a part of it.
const BYTES: u64 = 4 * 1024 * 1024;
/// A small file system gives this part of itself at most.
const PART: u64 = 8;
/// It is taken in such steps.
const STEP: u64 = 64 * 1024;

/// Room for an operator's change: the reserve is free while this is held, where there is less room than that.
#[must_use]
pub struct Room(PathBuf);

impl Room {
    /// Makes room, for changes of a home whose audit is in this directory.
    pub fn make(audit_dir: &Path) -> Self {
        if statvfs(audit_dir).is_ok_and(|found| found.f_bavail.saturating_mul(found.f_frsize) < BYTES) {
            give_up(audit_dir);
        }
        Self(audit_dir.to_owned())
    }
}

impl Drop for Room {
    /// Takes the reserve again, or what there is of room for it. That there is none is no reason to fail.
    fn drop(&mut self) {
        if let Err(error) = take(&self.0) {
            tracing::debug!(%error, "no reserve of disk for operators");
        }
    }
}

/// Frees the reserve; whether anything was freed.
pub(super) fn give_up(audit_dir: &Path) -> bool {
    let path = audit_dir.join(NAME);
    fs::metadata(&path).is_ok_and(|found| found.blocks() > 0) && fs::remove_file(path).is_ok()
}

fn take(audit_dir: &Path) -> io::Result<()> {
    let path = audit_dir.join(NAME);
    let found = statvfs(audit_dir)?;
    let most = BYTES.min(found.f_blocks.saturating_mul(found.f_frsize) / PART);
    let taken = fs::metadata(&path).map_or(0, |found| found.blocks() * 512);
    let room = taken + found.f_bavail.saturating_mul(found.f_frsize);
    let wanted = most.min(room) / STEP * STEP;
    if taken >= wanted {
        return Ok(());
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, wanted) {
        Ok(()) => Ok(()),
        Err(error) => {
            // A file that looks like a reserve and has no blocks is none.
            fs::remove_file(path)?;
            Err(error.into())
        }
    }
}
