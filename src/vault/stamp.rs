//! Whether a vault was changed, told by its files alone: cheap enough to ask before every request of a run.

use std::path::Path;

use super::home;
use crate::{files::FileStamp, store::LocalStore};

/// How the files of a vault that every change writes look at a moment. Two that are the same are of one state; two
/// that differ may be, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp([FileStamp; 2]);

impl Stamp {
    /// How the vault of a home looks now; nothing where that can't be seen.
    pub(crate) fn of(dir: &Path) -> Option<Self> {
        let [current, journal] = LocalStore::files(&home::database(dir))?;
        Some(Self([FileStamp::of(&current)?, FileStamp::of(&journal)?]))
    }
}

/// How a home's description looks: another way where it has got another vault.
pub(crate) fn description_stamp(dir: &Path) -> Option<FileStamp> {
    FileStamp::of(&dir.join(home::FILE))
}
