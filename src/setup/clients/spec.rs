//! What a client is: its word, where its configuration is, what an entry looks like there, what of it no run sees.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// What a client must start: absolute paths, no secret.
#[derive(Debug, Clone)]
pub struct Entry {
    /// This binary.
    pub command: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The home, where it is not the default.
    pub home: Option<PathBuf>,
}

/// A client: a file beside this one, and a row of [`super::Clients::all`].
#[derive(Debug)]
pub struct ClientSpec {
    /// The word on the command line.
    pub word: &'static str,
    /// Its configuration; `None` where a person knows the place, and nothing is written.
    pub(super) file: Option<Spot>,
    /// The form of that file.
    pub(super) form: Form,
    /// What else of it holds tokens or says what to start: with its configuration hidden from runs.
    pub(super) hides: &'static [Spot],
    /// What it starts or trusts unasked in a project, relative to it: servers, hooks, commands. No run writes it.
    pub(super) control: &'static [&'static str],
}

/// Where a file or directory of a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    /// Below the user's home.
    Home(&'static str),
    /// Below a project.
    Project(&'static str),
}

/// The form of a client's configuration.
#[derive(Debug)]
pub(super) enum Form {
    /// JSON: an object of servers under a key.
    Json {
        /// The key.
        key: &'static str,
        /// What stands below it, under our name.
        shape: fn(&Entry) -> Value,
    },
    /// TOML: a table of servers under a key.
    Toml {
        /// The key.
        key: &'static str,
    },
    /// YAML, which can't be changed without losing comments: written by hand.
    Yaml(fn(&Entry) -> String),
}

impl Spot {
    pub(super) fn at(self, home: &Path, project: &Path) -> PathBuf {
        match self {
            Self::Home(path) => home.join(path),
            Self::Project(path) => project.join(path),
        }
    }
}

impl ClientSpec {
    /// Where its configuration is, given the user's home and the project.
    pub fn file(&self, home: &Path, project: &Path) -> Option<PathBuf> {
        self.file.map(|spot| spot.at(home, project))
    }

    /// The name of its example.
    pub(super) fn example(&self) -> String {
        let ending = match self.form {
            Form::Json { .. } => "json",
            Form::Toml { .. } => "toml",
            Form::Yaml(_) => "yaml",
        };
        format!("{}.{ending}", self.word)
    }

    /// All that no run sees of it, directories before what is in them.
    pub(super) fn hidden(&self) -> impl Iterator<Item = Spot> {
        self.hides.iter().copied().chain(self.file)
    }
}
