//! How often and how many at once: a scope's limits, over the runs of this process.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{
    broker::refusal::{Code, Refusal},
    names::ScopeName,
    policy::RunTerms,
};

const WINDOW: Duration = Duration::from_secs(60);

/// The runs of every scope.
#[derive(Default)]
pub(crate) struct Limiter {
    scopes: Arc<Mutex<HashMap<ScopeName, Scope>>>,
}

#[derive(Default)]
struct Scope {
    started: VecDeque<Instant>,
    running: u32,
}

/// A place among the concurrent runs of a scope; given back when dropped.
pub(crate) struct RunPermit {
    scopes: Arc<Mutex<HashMap<ScopeName, Scope>>>,
    scope: ScopeName,
}

impl Limiter {
    /// Takes a place, or refuses and says when to come again.
    pub(crate) fn enter(
        &self,
        scope: &ScopeName,
        terms: &RunTerms,
        now: Instant,
    ) -> Result<RunPermit, Refusal> {
        let mut scopes = self.scopes.lock();
        let state = scopes.entry(scope.clone()).or_default();
        state.started.retain(|start| now.duration_since(*start) < WINDOW);
        if state.running >= terms.concurrent_runs {
            return Err(refuse(
                format!("{} runs of this scope are going on, which is its limit", state.running),
                "wait for one of them to end, then call again",
            ));
        }
        if state.started.len() >= terms.runs_per_minute as usize {
            let wait = state
                .started
                .front()
                .map_or(WINDOW, |first| WINDOW.saturating_sub(now.duration_since(*first)));
            return Err(refuse(
                format!(
                    "{} runs of this scope began within a minute, which is its limit",
                    state.started.len()
                ),
                format!("call again in {} s", wait.as_secs() + 1),
            ));
        }
        state.started.push_back(now);
        state.running += 1;
        Ok(RunPermit { scopes: Arc::clone(&self.scopes), scope: scope.clone() })
    }
}

impl Drop for RunPermit {
    fn drop(&mut self) {
        let mut scopes = self.scopes.lock();
        if let Some(state) = scopes.get_mut(&self.scope) {
            state.running = state.running.saturating_sub(1);
        }
    }
}

fn refuse(message: String, hint: impl Into<String>) -> Refusal {
    Refusal::new(Code::RateLimited, message, hint)
}
