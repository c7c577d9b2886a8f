//! What the chain has said so far and what must be known without reading it again: which runs are
//! open, and which change of the vault was announced last.
//!
//! It is carried by each checkpoint, by the first event of each segment, and by `head.json`; so
//! nothing that asks for it reads more than the last lines, however long the log is.

use serde::{Deserialize, Serialize};

use super::event::{Body, Event, Own};
use crate::names::{RunId, ScopeName};

/// So many open runs are carried. One more is counted: it is found by walking the log, which a crash
/// with that many runs is worth.
const OPEN_RUNS: usize = 256;

/// A change of the vault, announced before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The epoch that it makes.
    pub epoch: u64,
    /// The digest of the root that it makes.
    #[serde(with = "hex::serde")]
    pub root: [u8; 32],
}

/// The last change of the vault that the log announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// The change.
    pub change: Change,
    /// The last one before it that was completed: what a change that was announced and never made has
    /// left in place.
    pub before: Option<Change>,
    /// Whether the log says that it was made.
    pub completed: bool,
}

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
    announced: Option<Change>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    completed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Change>,
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

    /// Takes an event up.
    pub(super) fn step(&mut self, body: &Body) {
        if let Some(change) = body.change {
            if self.completed {
                self.before = self.announced;
            }
            self.announced = Some(change);
            self.completed = false;
        }
        match &body.event {
            Event::Own(Own::Intent { run, scope, facts, .. }) => {
                if let Some(by) = &facts.by {
                    self.begin(OpenRun { run: run.clone(), scope: scope.clone(), by: by.clone() });
                }
            }
            Event::Own(Own::Outcome { run, .. }) => self.open.retain(|open| open.run != *run),
            Event::Own(Own::Changed { epoch }) => {
                self.completed |= self.announced.is_some_and(|change| change.epoch == *epoch);
            }
            Event::Own(Own::Archived { through, .. }) => self.archived = *through,
            Event::Own(Own::Checkpoint { state: Some(state), .. } | Own::Segment { state, .. })
                if !self.whole =>
            {
                self.clone_from(state)
            }
            _ => {}
        }
    }

    /// What a walk over the whole log has found open.
    pub(super) fn found_open(&mut self, runs: Vec<OpenRun>) {
        self.open = Vec::new();
        self.more_open = 0;
        runs.into_iter().for_each(|run| self.begin(run));
        self.whole = true;
    }

    fn begin(&mut self, run: OpenRun) {
        if self.open.len() < OPEN_RUNS {
            self.open.push(run);
        } else {
            self.more_open += 1;
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
