//! One run, from the credential to the redacted result. Read [`Broker::admit_in`] as the threat model.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Answer, Broker, Caller, Credential, Opened, Refused, Way, api,
    api::{RunParams, RunResult},
    blocking, contain,
    entry::Entered,
    ground, guessable, limits,
    needles::{RunNeedles, Shared},
    recount::Done,
    refusal::{Code, Refusal},
    session::Session,
    trace::{Step, Trace},
    watch::{self, Live, Watched},
};
use crate::{
    audit::{AuditLog, Intent, IntentFacts, OutcomeFacts},
    delivery::{Deliveries, ForRun, Hands, Outfit, Revealed, Services},
    names::{EnvName, RunId, SecretName},
    policy::{Asker, Delivered, ExitCodes, OperatorProof, OutputMode, Promise, Request, RunTerms, Timed},
    redact::{Counts, NeedleSet},
    run::{self, Ended, Ending, Launch, Materials, OnListening, Piece, RunError, RunOutput, Start},
    sandbox::Plan,
    supervise,
    supervise::Process,
    value::SecretValue,
    vault::{Stamp, Vault},
};

/// Between SIGTERM and SIGKILL (docs/policy.md, `limits.timeout`).
const GRACE: Duration = Duration::from_secs(10);
/// Behind a run that took so long the vault is looked at once more: opening it would double what a short one costs.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The most secrets that a call may name.
const MOST_NAMES: usize = 256;

/// To what a duration is rounded up where only success or failure is told.
const STATUS_TICK_MS: u64 = 1000;
/// What is told of a signal where only success or failure is: a program chooses which one ends it.
const REDUCED_SIGNAL: &str = "SIGKILL";

/// The program and its interpreters, each with its digest.
type Chain = Vec<(PathBuf, [u8; 32])>;

/// Where a run's streams go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Streams {
    /// Into the result; such a run has a timeout.
    Captured,
    /// To a person's terminal, or another server's client.
    Attached,
}

impl Streams {
    /// What holds such a run to its time.
    fn timed(self) -> Timed {
        match self {
            Self::Captured => Timed::Yes,
            Self::Attached => Timed::No,
        }
    }
}

/// What a caller asks for.
struct Asked {
    caller: Caller,
    params: RunParams,
    /// Where the run's streams go.
    streams: Streams,
    /// Where it starts if the call names no directory, and the policy lets runs start there.
    near: Option<PathBuf>,
}

/// What was found out of the machine for a run, before anything is spent or revealed.
struct Setup {
    plan: Plan,
    chain: Chain,
}

/// A run that may start: everything that it needs, and what it must be recorded under.
struct Admitted {
    intent: Intent<RunTerms>,
    launch: Launch,
    needles: RunNeedles,
    promise: Promise,
    services: Services,
    audit: AuditLog,
    trace: Trace,
    watched: Watched,
    _place: limits::Place,
}

/// A run that has ended, its outcome on record.
struct Driven<D> {
    done: D,
    run_id: RunId,
    terms: RunTerms,
    promise: Promise,
    needles: RunNeedles,
}

/// What the child gets, and what is masked in what it says.
struct Prepared {
    launch: Launch,
    needles: RunNeedles,
    promise: Promise,
    services: Services,
}

/// What is known of a caller when a refusal is recorded.
#[derive(Default)]
struct Who {
    principal: Option<String>,
    scope: Option<String>,
}

impl Broker {
    /// Runs a command with secrets. `progress` gets redacted output as it comes; `cancel`, or dropping
    /// the future, ends the run and its whole tree; either way its outcome is recorded.
    ///
    /// # Errors
    /// A refusal.
    pub async fn run_with_secrets(
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
    /// It starts in the caller's directory `near`, where the policy lets runs start there. A program that is
    /// given no secret itself may be an agent: `hand` names the session that is for it. A signal that comes before
    /// the program is there ends the run, which then never was one.
    ///
    /// # Errors
    /// A refusal.
    pub async fn run_attached(
        self: &Arc<Self>,
        caller: &Caller,
        params: RunParams,
        near: PathBuf,
        hand: impl FnOnce() -> Option<(EnvName, String)> + Send,
    ) -> Result<Ending, Refused> {
        let entered = self.enter(&caller.credential).await.map_err(|refusal| self.refused(refusal))?;
        let mut signals = run::Signals::take()
            .map_err(|error| self.refused(Refusal::from(RunError::io("take signals", error))))?;
        let cancel = CancellationToken::new();
        let asked = Asked { caller: caller.clone(), params, streams: Streams::Attached, near: Some(near) };
        let admitting = self.admitting(entered, asked, cancel.clone());
        let mut admitted = match signals.beside(&cancel, admitting).await {
            Ok(admitted) => admitted,
            Err(refused) => {
                let signal = signals.ended_by().map(|number| Ending::Signaled(number.into()));
                return signal.ok_or(refused);
            }
        };
        let is_agent = !admitted.launch.gives_values();
        if let Some((name, socket)) = is_agent.then(hand).flatten() {
            admitted.launch.hand(name, socket.into());
        }
        let start =
            |launch, needles, listening, over| run::pass_through(launch, needles, listening, signals, over);
        Ok(self.drive(admitted, start).await?.done.ending)
    }

    async fn run(
        self: Arc<Self>,
        caller: Caller,
        params: RunParams,
        progress: Option<mpsc::Sender<Piece>>,
        cancel: CancellationToken,
    ) -> Result<Answer<RunResult>, Refused> {
        let entered = self.enter(&caller.credential).await.map_err(|refusal| self.refused(refusal))?;
        let asked = Asked { caller, params, streams: Streams::Captured, near: None };
        let admitted = self.admitting(entered, asked, cancel.clone()).await;
        let admitted = admitted.inspect_err(|_| self.sum_denials_soon())?;
        let sandbox = admitted.launch.contained_by().to_string();
        let progress = progress.filter(|_| admitted.intent.terms().output == OutputMode::Redacted);
        let closing = self.closing.clone();
        let start = |launch, needles, listening, over| {
            let ended = either(either(cancel, closing), over);
            run::execute(launch, needles, progress, ended, listening)
        };
        let Driven { done, run_id, terms, promise, needles } = self.drive(admitted, start).await?;
        let mut body = result(done, &terms, &run_id, sandbox);
        if promise != body.promise {
            body.promise = promise;
            body.promise_why = Some(guessable::WHY.to_owned());
        }
        Ok(Answer { body, needles: needles.set })
    }

    /// What every run is once it may start, wherever its streams go: its proxy beside it, what is looked for once
    /// more behind it, and its outcome on record.
    async fn drive<D: Done, R: Future<Output = Result<D, RunError>> + Send>(
        self: &Arc<Self>,
        admitted: Admitted,
        start: impl FnOnce(Launch, NeedleSet, Option<OnListening>, CancellationToken) -> R,
    ) -> Result<Driven<D>, Refused> {
        let Admitted { intent, launch, needles, promise, services, audit, mut trace, watched, _place } =
            admitted;
        self.keep_watching();
        let audit = Arc::new(audit);
        let (listening, served) = self.serve_run(services, &intent, &audit, &watched.live);
        let running = start(launch, needles.set.clone(), listening, watched.live.over());
        let mut done = running.instrument(trace.span()).await;
        if let Ok(done) = &mut done {
            let ended = done.ended_mut();
            ended.ending = ended_as(ended.ending, &watched);
        }
        let recorded = served.end().await;
        let took = done.as_ref().map_or(Duration::ZERO, |done| done.ended().duration);
        let (intent, needles) = self.needles_behind(intent, needles, took).await;
        let set = needles.set.clone();
        let done = blocking(move || done.map(|done| done.masked_again(&set))).await;
        let facts = match &done {
            Ok(done) => ended_facts(done.ended(), &self.needles.everything()),
            Err(_) => outcome_facts(Ending::FailedToStart, Duration::ZERO, &Counts::default()),
        };
        trace.ran(&facts.outcome, done.as_ref().ok().map(|done| done.ended().setup), took);
        let (run_id, terms) = (intent.run_id().clone(), intent.terms().clone());
        let concluded = self.conclude(audit, intent, facts, trace).await;
        concluded.and(recorded).map_err(|refusal| self.refused(refusal))?;
        let done = done.map_err(|error| self.refused(Refusal::from(error)))?;
        Ok(Driven { done, run_id, terms, promise, needles })
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

    async fn admitting(
        self: &Arc<Self>,
        entered: Entered,
        asked: Asked,
        cancel: CancellationToken,
    ) -> Result<Admitted, Refused> {
        let broker = Arc::clone(self);
        blocking(move || broker.admit(entered, &asked, &cancel)).await
    }

    fn admit(
        self: &Arc<Self>,
        entered: Entered,
        asked: &Asked,
        cancel: &CancellationToken,
    ) -> Result<Admitted, Refused> {
        let mut trace = Trace::begin();
        let Entered { pass, turn } = entered;
        let mut open = self.open_in(turn).map_err(|refusal| {
            trace.refused(&refusal);
            self.refused(refusal)
        })?;
        trace.step(Step::Open);
        // The vault may have taken a while: from here on there is nothing to wait for.
        if cancel.is_cancelled() {
            let refusal = Refusal::cancelled();
            trace.refused(&refusal);
            return Err(self.refused(refusal));
        }
        let before = Stamp::of(&self.settings.home);
        let mut who = Who::default();
        let admitted = self.admit_in(&mut open, &mut who, &mut trace, asked);
        match admitted {
            Ok((intent, live, Prepared { launch, needles, promise, services }, place)) => {
                let watched = self.watch_over(live, before);
                let audit = open.audit;
                Ok(Admitted {
                    intent,
                    launch,
                    needles,
                    promise,
                    services,
                    audit,
                    trace,
                    watched,
                    _place: place,
                })
            }
            Err(refusal) => {
                pass.was_refused();
                trace.refused(&refusal);
                Err(self.refused(self.record_denial(&mut open, who, &asked.params, refusal)))
            }
        }
    }

    fn admit_in(
        &self,
        open: &mut Opened,
        who: &mut Who,
        trace: &mut Trace,
        asked: &Asked,
    ) -> Result<(Intent<RunTerms>, Live, Prepared, limits::Place), Refusal> {
        let now = open.now();
        let credential = &asked.caller.credential;
        let mut session = Session::authenticate(&open.vault, &open.keys, credential, now)?;
        who.principal = Some(session.principal.clone());
        who.scope = Some(session.scope.to_string());
        trace.scope(&session.scope);

        let request = self.request(asked, &session)?;
        let allowed = watch::decide(&open.vault, &session.policy, &request)?;
        trace.step(Step::Policy);

        let terms = allowed.terms();
        ground::confine(terms)?;
        // Whatever can refuse without a value does so before anything is spent or put on record; limits before uses, so
        // that a call which is too much costs none.
        let setup = Setup { plan: self.plan(terms)?, chain: self.chain(terms)? };
        let place = self.limits.enter(&session.scope, terms, Instant::now())?;
        session.spend(&mut open.vault, now)?;
        let live = Live::new(&open.keys, credential, &session, &request, terms, asked.streams.timed());

        // On the disk, with the use that it takes, before any value is revealed: a process that is killed in between leaves a
        // run on record that never was, and no value that was used unseen. A use is taken at most once for that reason.
        let facts = intent_facts(&session, terms, &request, &setup);
        let intent = open.record_intent(allowed, RunId::random(), facts)?;
        trace.allowed(intent.run_id(), intent.terms());
        trace.step(Step::Audit);
        let prepared = self.prepare(open, &intent, asked, setup);
        trace.step(Step::Reveal);
        match prepared {
            Ok(prepared) => Ok((intent, live, prepared, place)),
            Err(refusal) => {
                let facts = outcome_facts(Ending::FailedToStart, Duration::ZERO, &Counts::default());
                open.audit.record_outcome(intent, facts)?;
                Err(refusal)
            }
        }
    }

    /// Reveals what the intent covers, and puts together what the child gets.
    fn prepare(
        &self,
        open: &mut Opened,
        intent: &Intent<RunTerms>,
        asked: &Asked,
        Setup { plan, chain }: Setup,
    ) -> Result<Prepared, Refusal> {
        let terms = intent.terms();
        let sorted = Deliveries::all().sort(revealed(&open.vault, intent)?)?;
        let before = values_before(&open.vault, intent)?;
        let promise = sorted.judge(terms)?;
        let known = before.iter().map(|(name, value)| (name, value));
        let known = sorted.in_hands(Hands::Ours).chain(known);
        let shared = Shared::of(terms, &plan, &self.settings.user_home);
        let given = sorted.in_hands(Hands::Program);
        let mut needles = self.needles.for_run(intent.scope(), given, known, shared);
        let run = ForRun { terms, plan: &plan, known: &needles.each, timed: asked.streams.timed() };
        let materials = Materials { env: environment(terms, &asked.caller), ..Materials::default() };
        let outfit = sorted.deliver(materials, &run)?;
        let start = self.start(intent.run_id().clone(), terms, &asked.params, &outfit);
        let (materials, placeholders, services) = outfit.into_parts();
        needles.mask_too(placeholders);
        let launch = Launch::new(self.sandbox(plan, terms), chain, start, materials);
        Ok(Prepared { launch, needles, promise, services })
    }

    /// The present values of a run's secrets, and those before them.
    fn values_of(
        vault: &Vault,
        intent: &Intent<RunTerms>,
    ) -> Result<Vec<(SecretName, SecretValue)>, Refusal> {
        let mut values = values_before(vault, intent)?;
        for secret in &intent.terms().secrets {
            let value = vault.reveal(&secret.name, intent)?;
            values.push((secret.name.clone(), value));
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

    fn start(&self, run_id: RunId, terms: &RunTerms, params: &RunParams, outfit: &Outfit) -> Start {
        let argv0 = params.command.first().cloned().unwrap_or_default();
        let arguments = terms.args.iter().map(|argument| outfit.resolved(argument));
        Start {
            run_id,
            supervisors: Arc::clone(&self.supervisors),
            program: terms.program.clone(),
            pin: terms.pin,
            argv: std::iter::once(argv0).chain(arguments).collect(),
            path: terms.path.clone(),
            home: terms.home,
            user_home: self.settings.user_home.clone(),
            cwd: terms.cwd.clone(),
            stdin: params.stdin.as_deref().map(|text| outfit.resolved(text).into_bytes()),
            timeout: terms.timeout,
            grace: GRACE,
            output_limit: terms.output_limit,
        }
    }

    fn request(&self, asked: &Asked, session: &Session) -> Result<Request, Refusal> {
        let params = &asked.params;
        let secrets = params.secrets.as_ref().map(|names| parse_names(names)).transpose()?;
        let near = asked.near.clone().filter(|dir| session.policy.may_start_in(dir));
        let mut request = Request {
            asker: asker(&asked.caller, asked.streams),
            command: params.command.clone(),
            secrets,
            cwd: params.cwd.clone().map(PathBuf::from).or(near),
            stdin: params.stdin.clone(),
            env: params.env.clone().unwrap_or_default(),
            timeout: params.timeout_seconds.map(Duration::from_secs),
            resolved_program: None,
        };
        request.resolved_program = super::resolve::program_of(&session.policy, &request);
        Ok(request)
    }

    /// Records a refusal, its command redacted and bounded. Where even that can't be recorded, the
    /// caller is told so instead.
    fn record_denial(&self, open: &mut Opened, who: Who, params: &RunParams, refusal: Refusal) -> Refusal {
        let note =
            super::denied::note(who.principal, who.scope, &refusal, params, &self.needles.everything());
        let notes = self.denials.take(note, Instant::now());
        match open.audit.record_all(notes) {
            Ok(()) => refusal,
            Err(error) => Refusal::from(error),
        }
    }
}

/// The values of a run's secrets, each with its way.
fn revealed(vault: &Vault, intent: &Intent<RunTerms>) -> Result<Vec<Revealed>, Refusal> {
    let reveal = |secret: &Delivered| {
        let value = vault.reveal(&secret.name, intent)?;
        let Delivered { name, env, how } = secret.clone();
        Ok(Revealed { name, env, how, value })
    };
    intent.terms().secrets.iter().map(reveal).collect()
}

/// The values that a run's secrets had before their present ones: a program may have one from elsewhere.
fn values_before(
    vault: &Vault,
    intent: &Intent<RunTerms>,
) -> Result<Vec<(SecretName, SecretValue)>, Refusal> {
    let mut values = Vec::new();
    for secret in &intent.terms().secrets {
        let before = vault.reveal_previous(&secret.name, intent)?;
        values.extend(before.map(|value| (secret.name.clone(), value)));
    }
    Ok(values)
}

/// Who asks, as far as it was proven. A run on this process's own streams, of a scope that was named without a token, is
/// one for which this process was given what opens the vault; what came over a socket never is.
fn asker(caller: &Caller, streams: Streams) -> Asker {
    match (streams, &caller.credential, caller.way) {
        (Streams::Attached, Credential::LocalScope(_), _) => {
            Asker::Operator(OperatorProof::of_an_opened_vault())
        }
        (Streams::Attached, _, _) | (Streams::Captured, _, Way::Run) => Asker::TokenHolder,
        (Streams::Captured, _, Way::Tool) => Asker::Tool,
    }
}

fn intent_facts(session: &Session, terms: &RunTerms, request: &Request, setup: &Setup) -> IntentFacts {
    let mut digests = setup.chain.iter();
    IntentFacts {
        by: Process::this().map(|process| process.to_string()),
        principal: session.principal.clone(),
        token: session.token_id().map(ToString::to_string),
        program_sha256: digests.next().map(|(_, digest)| hex::encode(digest)),
        interpreters: digests
            .map(|(path, digest)| format!("{} {}", path.display(), hex::encode(digest)))
            .collect(),
        argv_sha256: Some(argv_digest(&request.command)),
        cwd: cwd_text(terms),
        sandbox: setup.plan.layers.clone(),
    }
}

/// Names are added, never subtracted: what the policy passes, what it sets, what it lets a call set.
fn environment(terms: &RunTerms, caller: &Caller) -> BTreeMap<EnvName, std::ffi::OsString> {
    let passed = terms.pass_env.names().filter_map(|name| {
        let value = caller.environment.get(name.as_str())?;
        // Whoever starts a server chooses its environment: a text that the policy does not bound stays outside.
        terms.pass_env.fits(name, value).then(|| (name.clone(), value.clone()))
    });
    let set = terms.set_env.iter().chain(&terms.agent_env).map(|(name, text)| (name.clone(), text.clone()));
    passed.chain(set).map(|(name, text)| (name, text.into())).collect()
}

pub(crate) fn parse_names(names: &[String]) -> Result<Vec<SecretName>, Refusal> {
    // Each costs a look into the vault, which nobody else has meanwhile.
    if names.len() > MOST_NAMES {
        return Err(Refusal::new(
            Code::BadArgument,
            format!("secrets has {} names, and a call may have {MOST_NAMES}", names.len()),
            "call list_allowed and name the secrets that the command needs",
        ));
    }
    let mut seen = BTreeSet::new();
    let mut parsed = Vec::new();
    for name in names {
        let name = SecretName::parse(name).map_err(|error| {
            Refusal::new(Code::BadArgument, error.to_string(), "call list_allowed and copy a name from it")
        })?;
        if seen.insert(name.clone()) {
            parsed.push(name);
        }
    }
    Ok(parsed)
}

fn argv_digest(argv: &[String]) -> String {
    let mut hash = Sha256::new();
    for argument in argv {
        hash.update(argument);
        hash.update([0]);
    }
    hex::encode(hash.finalize())
}

fn cwd_text(terms: &RunTerms) -> Option<String> {
    match &terms.cwd {
        crate::policy::CwdTerm::Private => None,
        crate::policy::CwdTerm::Within { dir, .. } => Some(dir.display().to_string()),
    }
}

fn outcome_facts(ending: Ending, duration: Duration, counts: &Counts) -> OutcomeFacts {
    let (outcome, _, _) = ending_parts(ending);
    OutcomeFacts {
        outcome: outcome.word().to_owned(),
        exit_code: match ending {
            Ending::Exited(code) => Some(code),
            _ => None,
        },
        duration_ms: millis(duration),
        file_hits: Vec::new(),
        redactions: counts.0.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
    }
}

/// The same of a run that ran; in what is kept of its files is no value either.
fn ended_facts(ended: &Ended, needles: &NeedleSet) -> OutcomeFacts {
    OutcomeFacts {
        file_hits: contain::lines(&ended.file_hits, needles),
        ..outcome_facts(ended.ending, ended.duration, &ended.counts)
    }
}

fn ending_parts(ending: Ending) -> (api::Outcome, Option<i32>, Option<String>) {
    match ending {
        Ending::Exited(code) => (api::Outcome::Exited, Some(code), None),
        Ending::Signaled(signal) => (api::Outcome::Signaled, None, Some(supervise::signal_name(signal))),
        Ending::TimedOut => (api::Outcome::TimedOut, None, None),
        Ending::Cancelled => (api::Outcome::Cancelled, None, None),
        Ending::Revoked => (api::Outcome::Revoked, None, None),
        Ending::FailedToStart => (api::Outcome::FailedToStart, None, None),
    }
}

/// A run that was ended when its right was gone was ended by that; one that ended by itself did so.
fn ended_as(ending: Ending, watched: &Watched) -> Ending {
    match ending {
        Ending::Cancelled if watched.is_over() => Ending::Revoked,
        ending => ending,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What of a run's output is returned, as its output mode has it.
fn result(output: RunOutput, terms: &RunTerms, run_id: &RunId, sandbox: String) -> RunResult {
    let (outcome, exit_code, signal) = ending_parts(output.ended.ending);
    let masked = output.ended.counts.total();
    let mut result = RunResult {
        outcome,
        exit_code,
        signal,
        stdout: String::new(),
        stderr: String::new(),
        stdout_truncated: false,
        stderr_truncated: false,
        withheld: false,
        redactions: None,
        not_looked_into: output.not_looked_into.iter().map(api::NotLookedIntoEntry::of).collect(),
        file_hits: contain::entries(&output.ended.file_hits),
        promise: terms.promise,
        promise_why: terms.promise_why.clone(),
        run_id: run_id.to_string(),
        duration_ms: millis(output.ended.duration),
        timeout_seconds: terms.timeout.as_secs().max(1),
        sandbox,
    };
    if terms.exit_code == ExitCodes::Reduced || terms.output == OutputMode::Status {
        result.exit_code = result.exit_code.map(|code| i32::from(code != 0));
        result.signal = result.signal.map(|_| REDUCED_SIGNAL.to_owned());
    }
    match terms.output {
        // How long it took, to the tick, says more than success or failure.
        OutputMode::Status => result.duration_ms = result.duration_ms.next_multiple_of(STATUS_TICK_MS),
        // What was not looked into may hold anything.
        OutputMode::Withhold if masked > 0 || !result.not_looked_into.is_empty() => result.withheld = true,
        OutputMode::Redacted | OutputMode::Withhold => {
            result.stdout = output.stdout.text.into_inner();
            result.stderr = output.stderr.text.into_inner();
            result.stdout_truncated = output.stdout.truncated;
            result.stderr_truncated = output.stderr.truncated;
            result.redactions = Some(masked).filter(|count| *count > 0);
        }
    }
    result
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
