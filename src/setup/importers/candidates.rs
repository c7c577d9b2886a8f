//! What a reader finds in a file, and what holds for it whatever form the file has.

use std::{collections::BTreeMap, path::Path};

use zeroize::Zeroizing;

use crate::names::{EnvName, NameError, SecretName};

/// A form of files that secrets are taken over from: a file beside this one, and a row of [`super::Importers::all`].
pub(crate) struct Importer {
    /// Whether a file is of this form, by its name.
    pub(super) takes: fn(&Path) -> bool,
    /// Reads all of it or nothing, and expands nothing.
    pub(super) read: fn(&str) -> Result<Candidates, ReadError>,
}

/// What may be a secret.
pub struct Candidate {
    /// Where it begins, from 1.
    pub line: usize,
    /// The variable that it is for.
    pub name: EnvName,
    /// Its value.
    pub value: Zeroizing<String>,
}

/// What is in a file, in its order, each name once.
#[derive(Default)]
pub struct Candidates {
    found: Vec<Candidate>,
    known: BTreeMap<EnvName, usize>,
}

/// What can't be read, by line; never the line itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ReadError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl Importer {
    /// Reads a whole file.
    ///
    /// # Errors
    /// [`ReadError`]: nothing of it is taken over.
    pub(crate) fn read(&self, text: &str) -> Result<Candidates, ReadError> {
        (self.read)(text)
    }
}

impl Candidates {
    /// Takes one more. A name may come again with the same value, and with no other: which of the two is meant is not
    /// for a reader to guess.
    pub(super) fn add(&mut self, candidate: Candidate) -> Result<(), ReadError> {
        let Candidate { line, name, value } = &candidate;
        let error = |what| Err(ReadError { line: *line, what });
        if value.contains('\0') {
            return error(format!("the value of {name} has a NUL byte, which no variable can hold"));
        }
        match self.known.get(name).and_then(|at| self.found.get(*at)) {
            Some(first) if *first.value == **value => Ok(()),
            Some(first) => error(format!("{name} has another value on line {}", first.line)),
            None => {
                self.known.insert(name.clone(), self.found.len());
                self.found.push(candidate);
                Ok(())
            }
        }
    }
}

impl IntoIterator for Candidates {
    type Item = Candidate;
    type IntoIter = std::vec::IntoIter<Candidate>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

impl Candidate {
    /// What the vault calls it, below a prefix.
    ///
    /// # Errors
    /// [`NameError`]: with this prefix it is no name.
    pub(crate) fn secret(&self, prefix: &str) -> Result<SecretName, NameError> {
        SecretName::parse(&format!("{prefix}{}", self.name))
    }
}
