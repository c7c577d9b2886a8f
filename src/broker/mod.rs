//! The broker: the one place where a request becomes an action.
//!
//! A request enters with its credential; the session is rebuilt from that credential each time. What
//! leaves is an answer with the needles of the scope beside it, so that the edge can mask every byte
//! of it. Nobody but the broker sees policy, vault and audit at once.

mod admit;
mod answer;
pub(crate) mod api;
mod asked;
mod call;
pub(crate) mod chain;
pub(crate) mod changes;
pub(crate) mod consent;
mod contain;
mod credential;
mod denied;
pub(crate) mod documents;
pub(crate) mod entry;
pub(crate) mod gate;
mod grants;
pub(crate) mod ground;
pub(crate) mod guessable;
pub(crate) mod holder;
mod kept;
pub(crate) mod keys;
mod left;
mod lend;
mod limits;
pub(crate) mod lineage;
mod listing;
mod live;
mod logins;
mod masked;
mod needles;
mod opened;
mod outcome;
pub(crate) mod pinned;
mod pipeline;
mod prepare;
pub(crate) mod recount;
pub(crate) mod refusal;
pub(crate) mod resolve;
mod service;
mod serving;
mod session;
mod settings;
mod standing;
pub(crate) mod surroundings;
mod trace;
mod turns;
pub(crate) mod upkeep;
mod watch;

use std::{
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use crate::token::PublicKeys;
use crate::{
    audit::Denials,
    redact::NeedleSet,
    run::Supervisors,
    sandbox::{Closed, SandboxCapabilities},
    supervise::Process,
    vault::Stamp,
};
pub(crate) use answer::{Answer, Refused};
pub(crate) use call::{Call, CallKind, Manner, Reply};
use consent::{Consent, PolicyAlone};
pub(crate) use credential::{Bearer, Bound, Credential, LocalSession};
pub(crate) use documents::TokenInfo;
pub(crate) use entry::caller_by_signature;
use keys::KeyRing;
pub(crate) use keys::WAIT;
pub(crate) use opened::{HeldVault, Opened};
pub(crate) use pipeline::Attached;
use refusal::Refusal;
pub(crate) use resolve::ResolveContext;
pub(crate) use service::{Caller, Meanwhile, Pending, Service, Way};
pub(crate) use settings::{Anchors, Hidden, Settings};
pub(crate) use surroundings::Surroundings;
pub(crate) use upkeep::{Upkeep, remembered, said_last_change};

/// When an audit event is anchored that was not at once: within a second, what that takes included.
const ANCHOR_AFTER: Duration = Duration::from_millis(800);

/// The broker of one home, in this process.
pub(crate) struct Broker {
    settings: BrokerPaths,
    around: Surroundings,
    keyring: KeyRing,
    consent: Arc<dyn Consent>,
    needles: needles::ScopeNeedles,
    gates: gate::Gates,
    turns: turns::Turns,
    standing: standing::Standing,
    limits: limits::Limiter,
    digests: resolve::Digests,
    denials: Denials,
    summing: AtomicBool,
    unanchored: AtomicBool,
    anchoring_failed: AtomicBool,
    backup_problem: Mutex<Option<String>>,
    tasks: TaskTracker,
    closing: CancellationToken,
    supervisors: Arc<Supervisors>,
    machine: OnceLock<SandboxCapabilities>,
    closed: Closed,
    watch: live::Watch,
}

/// The settings less the opener, which the key ring took.
struct BrokerPaths {
    home: PathBuf,
    user_home: PathBuf,
    hidden: Hidden,
    anchors: Anchors,
}

impl Broker {
    /// Makes a broker; nothing is opened yet.
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        Self::with_consent(settings, Arc::new(PolicyAlone))
    }

    /// One whose runs somebody has to agree to.
    pub(crate) fn with_consent(settings: Settings, consent: Arc<dyn Consent>) -> Arc<Self> {
        Arc::new(Self {
            consent,
            keyring: KeyRing::new(&settings.home, settings.opener, settings.around.clone()),
            around: settings.around,
            settings: BrokerPaths {
                home: settings.home,
                user_home: settings.user_home,
                hidden: settings.hidden,
                anchors: settings.anchors,
            },
            supervisors: Supervisors::new(
                settings.supervisor,
                settings.run_as,
                settings.nursery,
                settings.spares,
                settings.descriptors,
            ),
            machine: OnceLock::new(),
            closed: Closed::default(),
            watch: live::Watch::default(),
            needles: needles::ScopeNeedles::default(),
            gates: gate::Gates::new(gate::Bounds::OF_THE_VAULT),
            turns: turns::Turns::default(),
            standing: standing::Standing::default(),
            limits: limits::Limiter::default(),
            digests: resolve::Digests::default(),
            denials: Denials::default(),
            summing: AtomicBool::new(false),
            unanchored: AtomicBool::new(false),
            anchoring_failed: AtomicBool::new(false),
            backup_problem: Mutex::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        })
    }

    /// What must be masked in anything that goes to a caller outside an answer (protocol errors,
    /// argument errors): everything that any scope was given and that nobody can guess.
    pub(crate) fn needles_for_anyone(&self) -> NeedleSet {
        self.needles.anyone()
    }

    /// Whether a credential is good at this moment, for the doors: by its signature, then by what the vault last
    /// said of it. A good credential without a policy is good: its calls are refused one by one.
    ///
    /// # Errors
    /// A refusal.
    pub(crate) async fn check_credential(self: &Arc<Self>, credential: &Credential) -> Result<(), Refused> {
        self.stands(credential).await.map_err(|refusal| self.refused(refusal))
    }

    /// Ends every run, waits for their trees to be gone and their outcomes recorded, and anchors the
    /// audit.
    pub(crate) async fn close(self: &Arc<Self>) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let broker = Arc::clone(self);
        blocking(move || broker.anchor_and_checkpoint()).await;
    }

    /// The same after a single run, whose intent is remembered already: the log is signed by whoever serves, and anchored
    /// by the next change.
    pub(crate) async fn close_after_run(self: &Arc<Self>) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let broker = Arc::clone(self);
        blocking(move || broker.record_refusals()).await;
    }

    /// The home.
    pub(crate) fn home(&self) -> &std::path::Path {
        &self.settings.home
    }

    /// Puts on record what a broker that was killed left without an outcome; the runs themselves ended
    /// with it.
    pub(crate) async fn report_interrupted(self: &Arc<Self>) {
        let broker = Arc::clone(self);
        let ended = |by: &str| by.parse::<Process>().is_ok_and(|process| !process.is_alive());
        let done = blocking(move || {
            let mut open = broker.open()?;
            let reported = open.audit.report_interrupted(ended)?;
            open.anchor_in_vault()?;
            Ok::<u64, Refusal>(reported)
        });
        match done.await {
            Ok(0) => {}
            Ok(reported) => tracing::warn!(reported, "runs were interrupted"),
            Err(refusal) => tracing::warn!(code = ?refusal.code, "interrupted runs could not be reported"),
        }
    }

    /// A key by which two processes show each other that both know the vault's identity; `None` where
    /// this one does not.
    pub(crate) fn local_key(&self) -> Option<zeroize::Zeroizing<[u8; 32]>> {
        self.keyring.keys().ok().flatten().map(|keys| keys.vault.of_the_local_api())
    }

    /// Looks at the vault, and so remembers how far it has come: whoever changed it says that it did. Says what is wrong
    /// with it, where it was put back or damaged.
    pub(crate) async fn look(self: &Arc<Self>) -> Option<String> {
        let broker = Arc::clone(self);
        let refusal = blocking(move || broker.open().map(drop)).await.err()?;
        tracing::warn!(code = ?refusal.code, "the vault was looked at, and can't be used");
        matches!(refusal.code, refusal::Code::Damaged | refusal::Code::AuditUnavailable)
            .then_some(refusal.message)
    }

    /// Opens the vault for the broker's own work, in its turn.
    fn open(&self) -> Result<Opened, Refusal> {
        self.open_in(self.own_turn()?)
    }

    /// What this machine gives to contain a run; looked at once.
    pub(crate) fn machine(&self) -> &SandboxCapabilities {
        self.machine.get_or_init(|| self.supervisors.machine())
    }

    fn refused(&self, refusal: Refusal) -> Refused {
        Box::new(Answer { body: refusal, needles: self.needles.anyone() })
    }

    /// Anchors the audit's head a moment from now, unless somebody does before.
    fn anchor_soon(self: &Arc<Self>) {
        if self.unanchored.swap(true, Ordering::AcqRel) {
            return;
        }
        let broker = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(ANCHOR_AFTER) => {}
                () = broker.closing.cancelled() => return,
            }
            blocking(move || broker.anchor_now()).await;
        });
    }

    fn anchor_now(&self) {
        if !self.unanchored.swap(false, Ordering::AcqRel) {
            return;
        }
        let anchored = self.open().and_then(|mut open| {
            let before = Stamp::of(&self.settings.home);
            let anchored = open.anchor_in_vault();
            self.changed_nothing_of_rights(before);
            anchored
        });
        self.anchoring_failed.store(anchored.is_err(), Ordering::Release);
        if let Err(refusal) = anchored {
            self.unanchored.store(true, Ordering::Release);
            tracing::warn!(code = ?refusal.code, "the audit's head could not be anchored yet");
        }
    }

    /// Puts on record the refusals that were summed up, if there were any.
    fn record_refusals(&self) {
        let summed = self.denials.all();
        if summed.is_empty() {
            return;
        }
        let done = self.open().and_then(|open| open.audit.record_all(summed).map_err(Refusal::from));
        if let Err(refusal) = done {
            tracing::warn!(code = ?refusal.code, "refusals could not be put on record");
        }
    }

    fn anchor_and_checkpoint(&self) {
        let Ok(mut open) = self.open() else { return };
        let summed = open.audit.record_all(self.denials.all());
        let done = summed.and_then(|()| open.audit.checkpoint()).map_err(Refusal::from);
        let done = done.and_then(|()| open.anchor_in_vault());
        if let Err(refusal) = done {
            tracing::warn!(code = ?refusal.code, "the audit could not be closed with a checkpoint");
        }
    }
}

/// Runs what blocks (disk, key stretching) away from the tasks that serve.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
