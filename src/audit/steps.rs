//! How each event moves what the chain has said.

use super::{
    event::{Body, Event, Own},
    state::{OPEN_RUNS, OpenRun, State},
};

impl State {
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
