//! The policy document: TOML in, checked types out, with the line of what is wrong.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::ScopeName;

/// A policy as it was written, parsed.
#[derive(Debug, Clone)]
pub struct Document {
    /// The scope's name.
    pub scope: ScopeName,
    /// What the operator wrote of it.
    pub description: Option<String>,
    /// Limits, defaults filled in.
    pub limits: Limits,
    // … the policy room fills in the rest (env, sandbox, allow, deny), with spans for messages.
}

/// Limits of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Of one run.
    pub timeout: Duration,
    /// Bytes a stream.
    pub output: usize,
    /// Runs a minute.
    pub runs_per_minute: u32,
    /// Runs at once.
    pub concurrent_runs: u32,
    /// The longest that a token may live.
    pub token_ttl: Duration,
}

/// Which HOME a child has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HomeMode {
    /// An empty private directory, gone after the run.
    #[default]
    Private,
    /// The user's.
    User,
}

/// What a document's programs and paths were when it was applied; stored beside its text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The operator's home, for `~`.
    pub home: PathBuf,
    /// A pattern's program as written → its absolute path.
    pub programs: BTreeMap<String, PathBuf>,
    /// SHA-256, in hex, of the programs of rules with `pin = true`, by absolute path.
    pub digests: BTreeMap<PathBuf, String>,
    /// Where programs were looked for, in order (also those of `commands = "any"`).
    pub search: Vec<PathBuf>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Weak, but applied.
    Warning,
    /// Refused.
    Error,
}

/// Something wrong or weak in a document, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Refused or only weak.
    pub severity: Severity,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: String,
}

/// A document that can't be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the policy has {} error(s), the first at line {}", .0.len(), .0.first().map_or(0, |f| f.line))]
pub struct DocumentError(pub Vec<Finding>);

impl Document {
    /// Parses a document.
    ///
    /// # Errors
    /// All the findings of severity error, each with line and column.
    pub fn parse(_text: &str) -> Result<Self, DocumentError> {
        todo!()
    }
}
