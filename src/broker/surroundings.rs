//! What of the machine a broker is given: how late it is, where vaults are kept, and what starts programs. A test gives
//! it others.

use std::{pin::Pin, sync::Arc};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, SystemClock},
    redact::NeedleSet,
    run::{self, Ended, Launch, OnListening, Piece, RunError, RunOutput, Signals},
    vault::{Engine, Freshness},
};

/// What a broker stands on.
#[derive(Clone)]
pub(crate) struct Surroundings {
    /// By which everything ends, and is counted.
    pub clock: Arc<dyn Clock>,
    /// What opens the vault's database.
    pub engine: Engine,
    /// What starts the runs that were admitted.
    pub runner: Arc<dyn Runner>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), engine: Engine::default(), runner: Arc::new(Supervised) }
    }
}

impl Surroundings {
    /// A memory of vaults that are opened here.
    pub(crate) fn freshness(&self) -> Freshness {
        Freshness::new(self.engine.clone(), Arc::clone(&self.clock))
    }
}

/// A run that is about to be started.
pub(crate) struct Ready {
    /// What is started.
    pub launch: Launch,
    /// What is masked in what it says.
    pub needles: NeedleSet,
    /// Takes the sockets of what serves it.
    pub listening: Option<OnListening>,
    /// Ends it.
    pub over: CancellationToken,
}

/// What a run comes to.
pub(crate) type Running<T> = Pin<Box<dyn Future<Output = Result<T, RunError>> + Send>>;

/// What starts a run, and follows it to its end.
pub(crate) trait Runner: Send + Sync {
    /// With its output captured.
    fn captured(&self, ready: Ready, progress: Option<mpsc::Sender<Piece>>) -> Running<RunOutput>;

    /// Takes the signals to this process, for a run on its streams.
    ///
    /// # Errors
    /// Of the operating system.
    fn signals(&self) -> std::io::Result<Signals>;

    /// On the streams of this process.
    fn attached(&self, ready: Ready, signals: Signals) -> Running<Ended>;
}

/// Below a supervisor.
struct Supervised;

impl Runner for Supervised {
    fn captured(&self, ready: Ready, progress: Option<mpsc::Sender<Piece>>) -> Running<RunOutput> {
        let Ready { launch, needles, listening, over } = ready;
        Box::pin(run::execute(launch, needles, progress, over, listening))
    }

    fn signals(&self) -> std::io::Result<Signals> {
        Signals::take()
    }

    fn attached(&self, ready: Ready, signals: Signals) -> Running<Ended> {
        let Ready { launch, needles, listening, over } = ready;
        Box::pin(run::pass_through(launch, needles, listening, signals, over))
    }
}
