//! What a run tells the log: its id, its scope, the rules that let it, and what each step took. Names and
//! times, never a value, an argument or a line of output.

use std::time::{Duration, Instant};

use tracing::{Span, field::Empty};

use super::refusal::Refusal;
use crate::{
    names::{RunId, ScopeName},
    policy::RunTerms,
};

/// The span of one run, from its request to its outcome on record; the log shows it when it ends.
pub(crate) struct Trace {
    span: Span,
    since: Instant,
}

/// Steps of a run, each timed from the end of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The vault and the audit log are opened.
    Open,
    /// The session is rebuilt, and the policy decides.
    Policy,
    /// The intent is on the disk.
    Audit,
    /// The values are decrypted, and what the program gets is put together.
    Reveal,
    /// The program, with its sandbox, is started; what it took by itself is [`Trace::ran`]'s.
    Spawn,
    /// The outcome is on the disk.
    Conclude,
}

impl Step {
    fn field(self) -> &'static str {
        match self {
            Self::Open => "open_us",
            Self::Policy => "policy_us",
            Self::Audit => "audit_us",
            Self::Reveal => "reveal_us",
            Self::Spawn => "spawn_us",
            Self::Conclude => "conclude_us",
        }
    }
}

impl Trace {
    pub(crate) fn begin() -> Self {
        let span = tracing::info_span!(
            "run",
            run = Empty,
            scope = Empty,
            rules = Empty,
            open_us = Empty,
            policy_us = Empty,
            audit_us = Empty,
            reveal_us = Empty,
            spawn_us = Empty,
            program_us = Empty,
            conclude_us = Empty,
            outcome = Empty,
            refused = Empty,
        );
        Self { span, since: Instant::now() }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// A step has ended.
    pub(crate) fn step(&mut self, step: Step) {
        self.took(step, self.since.elapsed());
        self.since = Instant::now();
    }

    fn took(&self, step: Step, time: Duration) {
        self.span.record(step.field(), u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn scope(&self, scope: &ScopeName) {
        self.span.record("scope", scope.as_str());
    }

    pub(crate) fn allowed(&self, run: &RunId, terms: &RunTerms) {
        self.span.record("run", run.to_string());
        self.span.record("rules", terms.rules.join(" "));
    }

    /// The program has ended; of all that time so much went by until it was started, where that is known.
    pub(crate) fn ran(&mut self, outcome: &str, setup: Option<Duration>, whole: Duration) {
        if let Some(setup) = setup {
            self.took(Step::Spawn, setup);
        }
        let program = whole.saturating_sub(setup.unwrap_or_default()).as_micros();
        self.span.record("program_us", u64::try_from(program).unwrap_or(u64::MAX));
        self.span.record("outcome", outcome);
        self.since = Instant::now();
    }

    pub(crate) fn refused(&self, refusal: &Refusal) {
        self.span.record("refused", refusal.code.as_str());
    }
}
