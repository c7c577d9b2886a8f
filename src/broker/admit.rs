//! Admission of a run: from the credential to the intent on the disk. Read [`Broker::admit_in`] and [`Broker::commit`]
//! as the threat model.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    Anchors, Broker, Caller, Credential, Opened, Refused, Way,
    api::RunParams,
    asked::{Asked, Setup, Streams},
    blocking,
    consent::Pending,
    entry::{Entered, Slot},
    gate::Pass,
    ground, limits,
    live::{self, Live},
    needles::RunNeedles,
    outcome::outcome_facts,
    prepare::{self, Prepared},
    refusal::{Code, Refusal},
    session::Session,
    trace::{Step, Trace},
    watch::Watched,
};
use crate::{
    audit::{AuditLog, Intent, IntentFacts, Unsettled},
    delivery::Services,
    names::{RunId, SecretName},
    policy::{Allowed, Asker, OperatorProof, Promise, Request, RunTerms},
    redact::NeedleSet,
    run::{Launch, RunOutcome},
    supervise::Process,
    vault::{SealedSecret, Stamp},
};

/// The most secrets that a call may name.
const MOST_NAMES: usize = 256;

/// How often somebody is asked for one call, where each time the policy was another when they had answered.
const MOST_TIMES_ASKED: u32 = 3;

/// A run that may start: everything that it needs, and what it must be recorded under.
pub(super) struct Admitted {
    pub(super) intent: Intent<RunTerms>,
    pub(super) launch: Launch,
    pub(super) needles: RunNeedles,
    pub(super) promise: Promise,
    pub(super) services: Services,
    pub(super) audit: Arc<AuditLog>,
    pub(super) trace: Trace,
    pub(super) watched: Watched,
    pub(super) _place: limits::RunPermit,
}

/// A call on its way to being admitted.
struct Call {
    asked: Asked,
    pass: Pass,
    cancel: CancellationToken,
    trace: Trace,
    run: RunId,
    agreed: Agreed,
    times_asked: u32,
}

/// What was answered by whoever has to agree.
enum Agreed {
    No(Refusal),
    NotAsked,
    To(Pending),
}

/// What one opening of the vault came to.
enum Phase {
    /// Somebody has to agree first.
    Pending(Box<Call>, Pending),
    Admitted(Box<Admitted>),
}

enum Decided {
    Pending(Pending),
    Committed(Box<Committed>, Box<Live>),
}

/// On record, once that is settled. The vault is not needed any more: what is to be revealed is here, as it is stored.
struct Committed {
    unsettled: Unsettled<RunTerms>,
    sealed: Vec<SealedSecret>,
    setup: Setup,
    place: limits::RunPermit,
}

/// A run whose values are known here.
struct Revealed {
    intent: Intent<RunTerms>,
    prepared: Prepared,
    watched: Watched,
    place: limits::RunPermit,
}

/// What is known of a caller when a refusal is recorded.
#[derive(Default)]
pub(super) struct Who {
    pub(super) principal: Option<String>,
    pub(super) scope: Option<String>,
}

impl Broker {
    /// Admits a run. It is decided what the call may do; where somebody has to agree to that, they are waited for while
    /// nobody holds the vault; then it is opened again, all of it is decided again as things are by then, and what was
    /// agreed to, and nothing else, is put on record and revealed. Where nobody has to agree, nothing lies between
    /// decision and commit, and one opening is for both.
    pub(super) async fn admitting(
        self: &Arc<Self>,
        entered: Entered,
        asked: Asked,
        cancel: CancellationToken,
    ) -> Result<Admitted, Refused> {
        let Entered { pass, mut turn, caller } = entered;
        let (trace, run) = (Trace::begin(), RunId::random());
        let mut call = Call { asked, pass, cancel, trace, run, agreed: Agreed::NotAsked, times_asked: 0 };
        loop {
            let broker = Arc::clone(self);
            let (back, pending) = match blocking(move || broker.admit(turn, call)).await? {
                Phase::Admitted(admitted) => {
                    if self.settings.anchors == Anchors::Follow {
                        self.anchor_soon();
                    }
                    return Ok(*admitted);
                }
                Phase::Pending(call, pending) => (*call, pending),
            };
            call = back;
            call.times_asked += 1;
            call.agreed = match self.consent.answer(&pending, &call.cancel).await {
                Ok(()) => Agreed::To(pending),
                Err(refusal) => Agreed::No(refusal),
            };
            turn = self.turn_again(&caller).await.map_err(|refusal| self.refused(refusal))?;
        }
    }

    fn admit(self: &Arc<Self>, turn: Slot, mut call: Call) -> Result<Phase, Refused> {
        let mut open = self.open_in(turn).map_err(|refusal| {
            call.trace.refused(&refusal);
            self.refused(refusal)
        })?;
        call.trace.step(Step::Open);
        // The vault may have taken a while: from here on there is nothing to wait for.
        if call.cancel.is_cancelled() {
            let refusal = Refusal::cancelled();
            call.trace.refused(&refusal);
            return Err(self.refused(refusal));
        }
        let before = Stamp::of(&self.settings.home);
        let mut who = Who::default();
        let decided = self.admit_in(&mut open, &mut who, &mut call);
        let audit = Arc::clone(&open.audit);
        let revealed = match decided {
            Ok(Decided::Pending(pending)) => return Ok(Phase::Pending(Box::new(call), pending)),
            Ok(Decided::Committed(committed, live)) => {
                // While the vault is held: what takes its right from here on is looked for, and found.
                let watched = self.watch_over(*live, before);
                // Others decide while this one waits for the disk, and wait there with it.
                drop(open);
                self.reveal(*committed, watched, &audit, &mut call)
            }
            Err(refusal) => Err(refusal),
        };
        match revealed {
            Ok(Revealed { intent, prepared, watched, place }) => {
                let Prepared { launch, needles, promise, services } = prepared;
                Ok(Phase::Admitted(Box::new(Admitted {
                    intent,
                    launch,
                    needles,
                    promise,
                    services,
                    audit,
                    trace: call.trace,
                    watched,
                    _place: place,
                })))
            }
            Err(refusal) => {
                call.pass.was_refused();
                call.trace.refused(&refusal);
                Err(self.refused(self.record_denial(&audit, who, &call.asked.params, refusal)))
            }
        }
    }

    /// On the disk, with the use that it takes, before any value is revealed: a process that is killed in between leaves a
    /// run on record that never was, and no value that was used unseen. A use is taken at most once for that reason.
    fn reveal(
        self: &Arc<Self>,
        committed: Committed,
        watched: Watched,
        audit: &AuditLog,
        call: &mut Call,
    ) -> Result<Revealed, Refusal> {
        let Committed { unsettled, sealed, setup, place } = committed;
        let intent = audit.settle(unsettled)?;
        call.trace.allowed(intent.run_id(), intent.terms());
        call.trace.step(Step::Audit);
        // The vault was given back meanwhile: what was taken since is not revealed.
        let prepared =
            self.stands_yet(&watched).and_then(|()| self.prepare(&sealed, &intent, &call.asked, setup));
        call.trace.step(Step::Reveal);
        match prepared {
            Ok(prepared) => Ok(Revealed { intent, prepared, watched, place }),
            Err(refusal) => {
                let (refusal, ledger) = self.told_of_failure(refusal, &NeedleSet::empty());
                let facts = outcome_facts(RunOutcome::FailedToStart, Duration::ZERO, &ledger);
                audit.record_outcome(intent, facts)?;
                Err(refusal)
            }
        }
    }

    /// The whole way, in order: who calls, what the policy says, whether all agree, then the commit.
    fn admit_in(&self, open: &mut Opened, who: &mut Who, call: &mut Call) -> Result<Decided, Refusal> {
        let now = open.now();
        let credential = &call.asked.caller.credential;
        let session = Session::authenticate(&open.vault, &open.keys, credential, now)?;
        who.principal = Some(session.principal.clone());
        who.scope = Some(session.scope.to_string());
        call.trace.scope(&session.scope);

        let request = self.request(&call.asked, &session)?;
        let allowed = live::decide(&open.vault, &session.policy, &request)?;
        call.trace.step(Step::Policy);

        let terms = allowed.terms();
        if let Agreed::No(refusal) = &call.agreed {
            return Err(refusal.clone());
        }
        if self.consent.is_needed(terms) {
            let pending = Pending::of(&call.run, &session.scope, &session.principal, &request, terms);
            match &call.agreed {
                Agreed::To(before) if before.is_as(&pending) => {}
                _ if call.times_asked < MOST_TIMES_ASKED => return Ok(Decided::Pending(pending)),
                _ => return Err(keeps_changing()),
            }
        }
        self.commit(open, call, session, &request, allowed)
    }

    /// Takes a decision that was made in this same opening to the disk, and then to the values.
    fn commit(
        &self,
        open: &mut Opened,
        call: &mut Call,
        mut session: Session,
        request: &Request,
        allowed: Allowed<RunTerms>,
    ) -> Result<Decided, Refusal> {
        let asked = &call.asked;
        let terms = allowed.terms();
        ground::confine(terms)?;
        // Whatever can refuse without a value does so before anything is spent or put on record; limits before uses, so
        // that a call which is too much costs none.
        let setup = Setup { plan: self.plan(terms, asked.streams)?, chain: self.chain(terms)? };
        let sealed = prepare::sealed(&open.vault, terms)?;
        let place = self.limits.enter(&session.scope, terms, self.around.clock.instant())?;
        let now = open.now();
        session.consume_use(&mut open.vault, now)?;
        let (credential, timed) = (&asked.caller.credential, asked.streams.timed());
        let live = Live::new(&open.keys, credential, &session, request, terms, timed);

        // In its place in the log while the vault is held: a revocation comes behind it there if it comes behind it here.
        let facts = intent_facts(&session, terms, request, &setup);
        let unsettled = open.write_intent(allowed, call.run.clone(), facts, self.settings.anchors)?;
        Ok(Decided::Committed(Box::new(Committed { unsettled, sealed, setup, place }), Box::new(live)))
    }

    fn request(&self, asked: &Asked, session: &Session) -> Result<Request, Refusal> {
        let params = &asked.params;
        let secrets = params.secrets.as_ref().map(|names| parse_names(names)).transpose()?;
        let default_cwd = asked.default_cwd.clone().filter(|dir| session.policy.may_start_in(dir));
        let mut request = Request {
            asker: asker(&asked.caller, asked.streams),
            command: params.command.clone(),
            secrets,
            cwd: params.cwd.clone().map(PathBuf::from).or(default_cwd),
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
    fn record_denial(&self, audit: &AuditLog, who: Who, params: &RunParams, refusal: Refusal) -> Refusal {
        let note =
            super::denied::note(who.principal, who.scope, &refusal, params, &self.needles.everything());
        let notes = self.denials.take(note, self.around.clock.instant());
        match audit.record_all(notes) {
            Ok(()) => refusal,
            Err(error) => Refusal::from(error),
        }
    }
}

fn keeps_changing() -> Refusal {
    Refusal::new(
        Code::Busy,
        "the policy changed each time that somebody had agreed to this run",
        "call again in a moment",
    )
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

#[cfg(test)]
impl Broker {
    /// Admits a run and leaves it at that: its terms, for the tests of rooms that can change a vault.
    pub(crate) async fn admitted_terms(
        self: &Arc<Self>,
        caller: Caller,
        params: RunParams,
    ) -> Result<RunTerms, Refusal> {
        let entered = self.enter(&caller.credential).await?;
        let asked = Asked { caller, params, streams: Streams::Captured, default_cwd: None };
        let admitted = self.admitting(entered, asked, CancellationToken::new()).await;
        admitted.map(|admitted| admitted.intent.terms().clone()).map_err(|refused| refused.body)
    }
}
