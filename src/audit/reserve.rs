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

use rustix::fs::{FallocateFlags, StatVfs, fallocate, statvfs};

/// The file's name.
const NAME: &str = "reserve";
/// How much is kept free: opening the vault, a change of it, its events and its pin need a part of it. The
/// database writes by itself when it is opened, and grows by steps of half a megabyte.
const BYTES: u64 = 4 * 1024 * 1024;
/// A small file system gives so many eighths of itself at most: 3 MiB of 8 MiB.
const EIGHTHS: u64 = 3;
/// It is taken in such steps.
const STEP: u64 = 64 * 1024;

/// Room for an operator's change: the reserve is free while this is held, where there is less room than that.
#[must_use]
pub(crate) struct Room(PathBuf);

impl Room {
    /// Makes room, for changes of a home whose audit is in this directory.
    pub(crate) fn make(audit_dir: &Path) -> Self {
        if statvfs(audit_dir).is_ok_and(|found| free(&found) < most(&found)) {
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

fn free(of: &StatVfs) -> u64 {
    of.f_bavail.saturating_mul(of.f_frsize)
}

fn most(of: &StatVfs) -> u64 {
    BYTES.min(of.f_blocks.saturating_mul(of.f_frsize) / 8 * EIGHTHS)
}

fn take(audit_dir: &Path) -> io::Result<()> {
    let path = audit_dir.join(NAME);
    let wanted = most(&statvfs(audit_dir)?) / STEP * STEP;
    let mut taken = fs::metadata(&path).map_or(0, |found| found.blocks() * 512) / STEP * STEP;
    if taken >= wanted {
        return Ok(());
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    // Step by step: whoever fills the disk meanwhile leaves less, and not nothing.
    while taken < wanted {
        if let Err(error) = fallocate(&file, FallocateFlags::empty(), taken, STEP) {
            // A file that looks like a reserve and has no blocks is none.
            return if taken == 0 { fs::remove_file(path).and(Err(error.into())) } else { Ok(()) };
        }
        taken += STEP;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In whole steps: a file system may count a block of its own to a file.
    fn taken(dir: &Path) -> u64 {
        fs::metadata(dir.join(NAME)).unwrap().blocks() * 512 / STEP * STEP
    }

    #[test]
    fn it_is_taken_whole_and_once_given_up_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!give_up(dir.path()), "there was one before");
        take(dir.path()).unwrap();
        let whole = taken(dir.path());
        assert_eq!(whole, most(&statvfs(dir.path()).unwrap()) / STEP * STEP);
        take(dir.path()).unwrap();
        assert_eq!(taken(dir.path()), whole, "it grows with each change");
        assert!(give_up(dir.path()) && !dir.path().join(NAME).exists());
        drop(Room(dir.path().to_owned()));
        assert_eq!(taken(dir.path()), whole);
    }

    #[test]
    fn a_part_of_it_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::create(dir.path().join(NAME)).unwrap();
        fallocate(&file, FallocateFlags::empty(), 0, 3 * STEP).unwrap();
        take(dir.path()).unwrap();
        assert_eq!(taken(dir.path()), most(&statvfs(dir.path()).unwrap()) / STEP * STEP);
    }

    #[test]
    fn eight_megabytes_give_three() {
        let of = |bytes: u64| {
            let mut found = statvfs(Path::new("/")).unwrap();
            (found.f_blocks, found.f_frsize) = (bytes / 4096, 4096);
            most(&found)
        };
        assert_eq!(of(8 << 20), 3 << 20);
        assert_eq!(of(1 << 40), BYTES);
        assert_eq!(of(2 << 20), 768 << 10);
    }
}
