//! What the chain has said so far and what must be known without reading it again: which runs are
//! open, and which change of the vault was announced last.
//!
//! It is carried by each checkpoint, by the first event of each segment, and by `head.json`; so
//! nothing that asks for it reads more than the last lines, however long the log is.

use serde::{Deserialize, Serialize};

use super::change::{Announced, Change};
use crate::names::{RunId, ScopeName};

/// So many open runs are carried. One more is counted: it is found by walking the log, which a crash
/// with that many runs is worth.
pub(super) const OPEN_RUNS: usize = 256;

/// A run that has an intent and no outcome yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenRun {
    pub run: RunId,
    pub scope: ScopeName,
    /// The process that sees to it: `PID@STARTED`.
    pub by: String,
}

/// What the chain has said up to its head.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Whether all of this is known. A head of the first version says nothing of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenRun>,
    /// How many more are open than are carried.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_open: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) announced: Option<Change>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) completed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Change>,
    /// The last segment that was archived, and all before it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub archived: u64,
}

impl State {
    /// The state of a chain that has no event yet.
    pub(super) fn empty() -> Self {
        Self { whole: true, ..Self::default() }
    }

    /// The last change that was announced.
    pub(super) fn last_change(&self) -> Option<Announced> {
        let change = self.announced?;
        Some(Announced { change, before: self.before, completed: self.completed })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
