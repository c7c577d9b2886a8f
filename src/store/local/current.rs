//! `current`: which files are the store.
//!
//! ```text
//! authy-mcp store 2
//! journal 7
//! run 3
//! run 6
//! ```
//! Runs from the oldest to the newest. It is replaced whole, and never written in place: who reads it has one state or
//! the next. What it does not name is nobody's.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::super::StoreError;
use crate::files;

const NAME: &str = "current";
const FIRST_LINE: &str = "authy-mcp store 2";
/// More than this was not written by us: runs are merged long before.
const MOST: u64 = 4096;

/// The numbers of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Current {
    pub journal: u64,
    pub runs: Vec<u64>,
}

impl Current {
    /// What is said; nothing where there is no store.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, StoreError> {
        let bytes = match files::read_regular(&path(dir), MOST) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::unreadable(NAME, error)),
        };
        let text = String::from_utf8(bytes).unwrap_or_default();
        Self::parse(&text).map(Some).ok_or_else(|| StoreError::damaged("current is cut or changed"))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.lines();
        (lines.next()? == FIRST_LINE).then_some(())?;
        let journal = lines.next()?.strip_prefix("journal ")?.parse().ok()?;
        let runs = lines.map(|line| line.strip_prefix("run ")?.parse().ok()).collect::<Option<_>>()?;
        Some(Self { journal, runs })
    }

    /// Puts it in the place of the one before, durably.
    pub(super) fn write(&self, dir: &Path) -> Result<(), StoreError> {
        let runs: String = self.runs.iter().map(|run| format!("run {run}\n")).collect();
        let text = format!("{FIRST_LINE}\njournal {}\n{runs}", self.journal);
        files::write_private(&path(dir), text.as_bytes()).map_err(StoreError::io("write current"))
    }

    /// Whether a file of the directory is one of the store's that is not named here.
    pub(super) fn leaves_out(&self, name: &str) -> bool {
        let number = |prefix: &str| name.strip_prefix(prefix)?.parse::<u64>().ok();
        number("journal-").is_some_and(|journal| journal != self.journal)
            || number("run-").is_some_and(|run| !self.runs.contains(&run))
    }
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

pub(super) fn journal(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal-{number}"))
}

pub(super) fn run(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("run-{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_or_made_up_is_no_current() {
        let dir = tempfile::tempdir().unwrap();
        let current = Current { journal: 7, runs: vec![3, 6] };
        current.write(dir.path()).unwrap();
        assert_eq!(Current::read(dir.path()).unwrap(), Some(current.clone()));
        let text = std::fs::read_to_string(path(dir.path())).unwrap();
        for end in 0..text.len() {
            let cut = Current::parse(&text[..end]);
            assert!(cut.is_none_or(|cut| cut.journal == 7), "cut at {end}");
        }
        for made_up in ["", "\n", "authy-mcp store 3\njournal 1\n", "authy-mcp store 2\njournal x\n"] {
            assert_eq!(Current::parse(made_up), None, "{made_up:?}");
        }
        assert!(current.leaves_out("run-5") && current.leaves_out("journal-6"));
        assert!(
            !current.leaves_out("run-3") && !current.leaves_out("journal-7") && !current.leaves_out("index")
        );
    }
}
