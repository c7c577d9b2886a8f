//! Whether a vault was changed, told by its files alone: cheap enough to ask before every request of a run.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::home;
use crate::store::LocalStore;

/// How the files of a vault that every change writes look at a moment. Two that are the same are of one state; two
/// that differ may be, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp([FileStamp; 2]);

/// A file: which one, how long, and when it was last changed, which no process of the same user sets (`ctime`): one
/// that was put back looks another way, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// How the vault of a home looks now; nothing where that can't be seen.
    pub(crate) fn of(dir: &Path) -> Option<Self> {
        let [current, journal] = LocalStore::files(&home::database(dir))?;
        Some(Self([FileStamp::of(&current)?, FileStamp::of(&journal)?]))
    }
}

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self { inode: meta.ino(), length: meta.len(), changed: (meta.ctime(), meta.ctime_nsec()) })
    }
}

/// How a home's description looks: another way where it has got another vault.
pub(crate) fn description_stamp(dir: &Path) -> Option<FileStamp> {
    FileStamp::of(&dir.join(home::FILE))
}
