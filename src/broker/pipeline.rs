//! One run, from its request to the redacted result: admitted, driven to its end, put on record.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Answer, Broker, Caller, Refused,
    admit::Admitted,
    api::{RunParams, RunResult},
    asked::{Asked, Streams},
    blocking, masked,
    needles::RunNeedles,
    outcome::{About, ended_facts, outcome_facts},
    prepare::{sealed, values_before},
    recount::Done,
    refusal::Refusal,
    surroundings::{Ready, Running},
    trace::{Step, Trace},
    watch::Watched,
};
use crate::{
    audit::{AuditLog, Intent, OutcomeFacts},
    names::{EnvName, SecretName},
    policy::{OutputMode, RunTerms},
    redact::{MaskLedger, NeedleSet, Redacted},
    run::{Ended, Piece, RunError, RunOutcome},
    value::SecretValue,
    vault::Vault,
};

/// Behind a run that took so long the vault is looked at once more: opening it would double what a short one costs.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// So many bytes are looked through among the tasks that serve.
const SHORT: usize = 2048;

/// A run that has ended, its outcome on record.
pub(super) struct Driven<D: Done> {
    /// What is told of it, masked.
    pub(super) told: D::Told,
    pub(super) ended: Ended,
    needles: NeedleSet,
}

/// What came of a run on the caller's own streams.
pub(crate) struct Attached {
    /// How it ended.
    pub ending: RunOutcome,
    /// What became of control files that it wrote, a line each.
    pub notes: Vec<Redacted<String>>,
}

impl Attached {
    fn before_it_began(ending: RunOutcome) -> Self {
        Self { ending, notes: Vec::new() }
    }
}

impl Broker {
    /// Runs a command with secrets. `progress` gets redacted output as it comes; `cancel`, or dropping
    /// the future, ends the run and its whole tree; either way its outcome is recorded.
    ///
    /// # Errors
    /// A refusal.
    pub(crate) async fn run_with_secrets(
        self: &Arc<Self>,
        caller: &Caller,
        params: RunParams,
        progress: Option<mpsc::Sender<Piece>>,
        cancel: CancellationToken,
    ) -> Result<Answer<RunResult>, Refused> {
        let broker = Arc::clone(self);
        let caller = caller.clone();
        let ended = cancel.child_token();
        let guard = ended.clone().drop_guard();
        let task = self.tasks.spawn(async move { broker.run(caller, params, progress, ended).await });
        let result = match task.await {
            Ok(result) => result,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        };
        drop(guard);
        result
    }

    /// Runs a command on the caller's own standard streams, for people and in front of other servers.
    /// It starts in the caller's directory `default_cwd`, where the policy lets runs start there. A program that is
    /// given no secret itself may be an agent: `hand` names the session that is for it. A signal that comes before
    /// the program is there ends the run, which then never was one.
    ///
    /// # Errors
    /// A refusal.
    pub(crate) async fn run_attached(
        self: &Arc<Self>,
        caller: &Caller,
        params: RunParams,
        default_cwd: PathBuf,
        hand: impl FnOnce() -> Option<(EnvName, String)> + Send,
    ) -> Result<Attached, Refused> {
        let entered = self.enter(&caller.credential).await.map_err(|refusal| self.refused(refusal))?;
        let runner = Arc::clone(&self.around.runner);
        let mut signals = runner
            .signals()
            .map_err(|error| self.refused(Refusal::from(RunError::io("take signals", error))))?;
        let cancel = CancellationToken::new();
        let asked = Asked {
            caller: caller.clone(),
            params,
            streams: Streams::Attached,
            default_cwd: Some(default_cwd),
        };
        let admitting = self.admitting(entered, asked, cancel.clone());
        let mut admitted = match signals.beside(&cancel, admitting).await {
            Ok(admitted) => admitted,
            Err(refused) => {
                let signal = signals.ended_by().map(|number| RunOutcome::Signaled(number.into()));
                return signal.map(Attached::before_it_began).ok_or(refused);
            }
        };
        let is_agent = !admitted.launch.gives_values();
        if let Some((name, socket)) = is_agent.then(hand).flatten() {
            admitted.launch.agent_session(name, socket.into());
        }
        let driven = self.drive(admitted, |ready| runner.attached(ready, signals)).await?;
        Ok(Attached { ending: driven.ended.ending, notes: driven.told })
    }

    async fn run(
        self: Arc<Self>,
        caller: Caller,
        params: RunParams,
        progress: Option<mpsc::Sender<Piece>>,
        cancel: CancellationToken,
    ) -> Result<Answer<RunResult>, Refused> {
        let entered = self.enter(&caller.credential).await.map_err(|refusal| self.refused(refusal))?;
        let asked = Asked { caller, params, streams: Streams::Captured, default_cwd: None };
        let admitted = self.admitting(entered, asked, cancel.clone()).await;
        let admitted = admitted.inspect_err(|_| self.sum_denials_soon())?;
        let progress = progress.filter(|_| admitted.intent.terms().output == OutputMode::Redacted);
        let closing = self.closing.clone();
        let start = |ready: Ready| {
            let over = either(either(cancel, closing), ready.over);
            self.around.runner.captured(Ready { over, ..ready }, progress)
        };
        let Driven { told, needles, .. } = self.drive(admitted, start).await?;
        Ok(Answer { body: told, needles })
    }

    /// What every run is once it may start, wherever its streams go: its proxy beside it, what is looked for once
    /// more behind it, and its outcome on record.
    pub(super) async fn drive<D: Done>(
        self: &Arc<Self>,
        admitted: Admitted,
        start: impl FnOnce(Ready) -> Running<D>,
    ) -> Result<Driven<D>, Refused> {
        let Admitted { intent, launch, needles, promise, services, audit, mut trace, watched, _place } =
            admitted;
        self.keep_watching();
        let (run_id, terms) = (intent.run_id().clone(), intent.terms().clone());
        let about = About { run_id, terms, promise, sandbox: launch.contained_by().to_string() };
        let (listening, served) = self.serve_run(services, &intent, &audit, &watched.live);
        let (needles_now, over) = (needles.set.clone(), watched.live.over());
        let running = start(Ready { launch, needles: needles_now, listening, over });
        let mut done = running.instrument(trace.span()).await;
        if let Ok(done) = &mut done {
            let ended = done.ended_mut();
            ended.ending = ended_as(ended.ending, &watched);
        }
        let recorded = served.end().await;
        let took = done.as_ref().map_or(Duration::ZERO, |done| done.ended().duration);
        let (intent, RunNeedles { set: needles, .. }) = self.needles_behind(intent, needles, took).await;
        let told = match done {
            Ok(done) => Ok(told(done, about, &needles).await),
            Err(error) => Err(self.told_of_failure(Refusal::from(error), &needles)),
        };
        let facts = match &told {
            Ok((_, ended)) => ended_facts(ended, &self.needles.everything()),
            Err((_, ledger)) => outcome_facts(RunOutcome::FailedToStart, Duration::ZERO, ledger),
        };
        trace.ran(&facts.outcome, told.as_ref().ok().map(|(_, ended)| ended.setup), took);
        let concluded = self.conclude(audit, intent, facts, trace).await;
        concluded.and(recorded).map_err(|refusal| self.refused(refusal))?;
        let (told, ended) = told.map_err(|(refusal, _)| self.refused(refusal))?;
        Ok(Driven { told, ended, needles })
    }

    /// What is told of a run that is on record and could not be started, masked, and what was masked in it.
    pub(super) fn told_of_failure(&self, mut refusal: Refusal, needles: &NeedleSet) -> (Refusal, MaskLedger) {
        let mut ledger = MaskLedger::default();
        for needles in [needles, &self.needles_for_anyone()] {
            masked::mask_refusal(&mut refusal, needles, &mut ledger);
        }
        (refusal, ledger)
    }

    /// Puts the outcome on record; nothing of the run is returned where that fails.
    async fn conclude(
        self: &Arc<Self>,
        audit: Arc<AuditLog>,
        intent: Intent<RunTerms>,
        facts: OutcomeFacts,
        mut trace: Trace,
    ) -> Result<(), Refusal> {
        blocking(move || audit.record_outcome(intent, facts)).await?;
        trace.step(Step::Conclude);
        self.anchor_soon();
        Ok(())
    }

    /// The present values of a run's secrets, and those before them.
    fn values_of(
        vault: &Vault,
        intent: &Intent<RunTerms>,
    ) -> Result<Vec<(SecretName, SecretValue)>, Refusal> {
        let sealed = sealed(vault, intent.terms())?;
        let mut values = values_before(&sealed, intent)?;
        for secret in &sealed {
            values.push((secret.name().clone(), secret.reveal(intent)?));
        }
        Ok(values)
    }

    /// What is looked for, once more behind a run that took a while: a secret may have been rotated meanwhile,
    /// and the program may have its new value from elsewhere. Where the vault can't be read any more, what was
    /// known before has to do.
    async fn needles_behind(
        self: &Arc<Self>,
        intent: Intent<RunTerms>,
        mut needles: RunNeedles,
        took: Duration,
    ) -> (Intent<RunTerms>, RunNeedles) {
        if took < LOOK_AGAIN_AFTER {
            return (intent, needles);
        }
        let broker = Arc::clone(self);
        blocking(move || {
            if let Ok(values) = broker.open().and_then(|open| Self::values_of(&open.vault, &intent)) {
                broker.needles.again(&mut needles, values.iter().map(|(name, value)| (name, value)));
            }
            (intent, needles)
        })
        .await
    }
}

/// What is told of a run. What is short is masked at once: that is less than what another thread would cost.
async fn told<D: Done>(done: D, about: About, needles: &NeedleSet) -> (D::Told, Ended) {
    if done.length() <= SHORT {
        return done.told(&about, needles);
    }
    let needles = needles.clone();
    blocking(move || done.told(&about, &needles)).await
}

/// A run that was ended when its right was gone was ended by that; one that ended by itself did so.
fn ended_as(ending: RunOutcome, watched: &Watched) -> RunOutcome {
    match ending {
        RunOutcome::Cancelled if watched.is_over() => RunOutcome::Revoked,
        ending => ending,
    }
}

/// A token that is cancelled when either is.
fn either(one: CancellationToken, other: CancellationToken) -> CancellationToken {
    let both = one.child_token();
    if other.is_cancelled() {
        both.cancel();
        return both;
    }
    let watched = both.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = other.cancelled() => watched.cancel(),
            () = watched.cancelled() => {}
        }
    });
    both
}
