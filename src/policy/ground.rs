//! What lies on the machine under a policy's promises, as it was found by others.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// What was found on the machine, for the paths of [`super::Policy::ground_in_question`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Ground {
    /// Path → where it really is, and whether only the system's administrator can change it or put another there.
    pub paths: BTreeMap<PathBuf, Found>,
    /// Programs that are no longer what the operator reviewed.
    pub changed: BTreeSet<PathBuf>,
}

/// What was found at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Links resolved.
    pub real: PathBuf,
    /// Who can change it.
    pub hold: Hold,
}

/// Who can change a file, or what lies in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The administrator alone, and that is nobody who calls or who runs this.
    Administrators,
    /// Somebody else, or nobody knows.
    Anybodys,
}

impl Ground {
    pub(super) fn holds(&self, path: &Path) -> bool {
        self.paths.get(path).is_some_and(|found| found.hold == Hold::Administrators)
    }
}
