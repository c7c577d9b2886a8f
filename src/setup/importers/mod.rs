//! Files that secrets are taken over from. A form is a file and a row of [`Importers::all`], which says what stands in a
//! file and nothing else: what is a secret, what it is called and what a file may not have is the same for all.

mod candidates;
pub mod env_file;
mod judge;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use candidates::{Candidate, Candidates, ReadError};
pub(crate) use judge::no_secret;

pub(crate) use candidates::Importer;

/// The importers that there are.
#[derive(Clone, Copy)]
pub(crate) struct Importers(&'static [Importer]);

impl Importers {
    /// A row each; the first that takes a file reads it.
    pub(crate) fn all() -> Self {
        Self(&[env_file::IMPORTER])
    }

    /// Who reads a file.
    pub(crate) fn of(self, file: &Path) -> Option<&'static Importer> {
        self.0.iter().find(|importer| (importer.takes)(file))
    }
}
