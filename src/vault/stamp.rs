//! Whether a vault was changed, told by its files alone: cheap enough to ask before every request of a run.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::home;

/// How the files of a vault that every change writes look at a moment. Two that are the same are of one state; two
/// that differ may be, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp([File; 2]);

/// A file: which one, how long, and when it was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct File {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// How the vault of a home looks now; nothing where that can't be seen.
    pub fn of(dir: &Path) -> Option<Self> {
        Some(Self([File::of(&dir.join("vault.epoch"))?, File::of(&home::database(dir).join("journal"))?]))
    }
}

impl File {
    fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self { inode: meta.ino(), length: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) })
    }
}
