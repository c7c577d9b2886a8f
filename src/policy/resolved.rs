//! What a document's text was resolved to on the machine where it was applied: stored beside the text.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::services::Services;

/// What a document's programs and paths were when it was applied; stored beside its text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resolved {
    /// The operator's home, for `~`.
    pub home: PathBuf,
    /// A pattern's program as written → its absolute path.
    pub programs: BTreeMap<String, PathBuf>,
    /// SHA-256, in hex, of the programs of rules with `pin = true`, by absolute path.
    pub digests: BTreeMap<PathBuf, String>,
    /// The certificates of `[sandbox] extra_ca`, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_ca: Option<String>,
    /// Whether a rule that seals a value that can be guessed has to say so: not in what was applied before any
    /// did.
    #[serde(default)]
    pub values_judged: bool,
    /// The services that its rules name, as they were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: Services,
    /// Where programs were looked for, in order (also those of `commands = "any"`).
    pub search: Vec<PathBuf>,
    /// What else the rules with `pin = true` hold; `None` where they were applied before that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
    /// The operator's word on rules with `reviewed = true`, by what the rules say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reviews: BTreeMap<String, Review>,
}

/// What rules with `pin = true` hold beside their programs, each with its SHA-256 in hex.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pinned {
    /// The interpreters that ran the programs.
    pub interpreters: BTreeMap<PathBuf, String>,
    /// Files that arguments name in full, as they are written in the policy.
    pub files: BTreeMap<String, String>,
}

/// The operator's own word on a rule, as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Review {
    /// Who gave it.
    pub by: String,
    /// When (RFC 3339).
    pub at: String,
    /// The programs of which it was said.
    pub programs: BTreeMap<PathBuf, ProgramMark>,
}

/// By what a program is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProgramMark {
    /// SHA-256, in hex.
    pub sha256: String,
    /// Inode, size and times: where these are the same, the file need not be read again.
    pub stamp: String,
}
