//! The client's side: the same service, wherever the broker is.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    LocalError, Socket, Trust,
    connection::{self, Connection},
    idle::Idle,
    proof::{self, LocalKey},
    server,
    wire::{Answered, Cancel, Looked, Posted, Status, WireCredential},
};
use crate::{
    broker::{
        Answer, Broker, Call, CallKind, Caller, Credential, Manner, Meanwhile, Pending, PublicKeys, Refused,
        Reply, Service, caller_by_signature,
        gate::{Bounds, Gates, Pass},
        refusal::{Code, Refusal},
    },
    redact::{LedgerPage, MaskLedger, NeedleSet},
    run::Piece,
};

/// How often a start is tried: the first may have been killed, or another server's was faster.
const STARTS: u32 = 8;
/// How long a daemon that said it listens is looked for.
const LISTENS_WITHIN: Duration = Duration::from_secs(1);
/// How long the daemon of another server is, where ours ended at once.
const ANOTHER_WITHIN: Duration = Duration::from_millis(250);
/// How long a daemon may take to look at the vault.
const LOOKS_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked for meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// After a start that failed, how long calls are served here before another is tried.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Starts a daemon, where no person is needed for it.
pub(crate) type Starter = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// A service that asks the daemon where there is one, starts one where it can, and else asks the broker
/// of this process.
pub(crate) struct Client {
    socket: Socket,
    here: Arc<Broker>,
    start: Option<Starter>,
    failed: Mutex<Option<Instant>>,
    key: OnceCell<Option<LocalKey>>,
    running: TaskTracker,
    closing: CancellationToken,
    gates: Gates,
    idle: Arc<Idle>,
    tokens: parking_lot::Mutex<Option<Learned>>,
    learning: Mutex<()>,
}

/// The daemon's token keys, and when it said so.
struct Learned {
    at: Instant,
    keys: Option<PublicKeys>,
}

/// For how long the daemon is not asked again for them: a flood of what is no token costs one question in that time.
const LEARN_EVERY: Duration = Duration::from_secs(1);

impl Client {
    /// A client of the daemon at a socket; `here` serves where there is none, unless the person named the
    /// socket: then that daemon is meant.
    pub(crate) fn new(socket: Socket, here: Arc<Broker>, start: Option<Starter>) -> Self {
        Self {
            socket,
            here,
            start,
            failed: Mutex::default(),
            key: OnceCell::new(),
            running: TaskTracker::new(),
            closing: CancellationToken::new(),
            gates: Gates::new(Bounds::OF_A_SERVER),
            idle: Arc::default(),
            tokens: parking_lot::Mutex::default(),
            learning: Mutex::default(),
        }
    }

    /// What the daemon says of itself.
    ///
    /// # Errors
    /// [`LocalError::Nobody`] where there is none.
    pub(crate) async fn status(socket: &Socket) -> Result<Status, LocalError> {
        Connection::answered(socket).await.map(|(_, status)| status)
    }

    /// Tells the daemon to end what runs and to wipe its keys.
    ///
    /// # Errors
    /// [`LocalError`].
    pub(crate) async fn lock(socket: &Socket) -> Result<(), LocalError> {
        let (mut connection, _) = Connection::answered(socket).await?;
        connection.post("/v1/lock", &(), None).await.map(drop)
    }

    /// Has the daemon look at the vault now: what it has seen can't be put back under it. Says what is wrong with the
    /// vault, as far as the daemon knows.
    ///
    /// # Errors
    /// [`LocalError::Nobody`] where there is none.
    pub(crate) async fn look(socket: &Socket) -> Result<Option<String>, LocalError> {
        let looked = async {
            let response = Connection::open(socket).await?.post("/v1/look", &(), None).await?;
            connection::read::<Looked>(response).await
        };
        match tokio::time::timeout(LOOKS_WITHIN, looked).await {
            Ok(looked) => Ok(looked?.problem),
            Err(_) => Err(LocalError::Broken("it does not answer".to_owned())),
        }
    }

    /// Makes room for a fresh daemon: the one that listens proves itself, finishes what runs, and ends.
    ///
    /// # Errors
    /// [`LocalError::Nobody`], [`LocalError::Impostor`].
    pub(crate) async fn retire(socket: &Socket, key: &LocalKey) -> Result<(), LocalError> {
        let mut connection = Connection::open(socket).await?;
        let nonce = connection.prove(key, socket).await?;
        connection.post("/v1/retire", &(), Some((key, &nonce))).await.map(drop)
    }

    /// Whether whoever listens knows the vault's identity.
    ///
    /// # Errors
    /// [`LocalError::Nobody`], [`LocalError::Impostor`].
    pub(crate) async fn prove(socket: &Socket, key: &LocalKey) -> Result<(), LocalError> {
        Connection::open(socket).await?.prove(key, socket).await.map(drop)
    }

    /// A connection to the daemon, started if need be; `None` where this process serves by itself.
    async fn connect(&self) -> Result<Option<Connection>, LocalError> {
        let found = self.find().await;
        let keys = match &found {
            Ok(Some((_, status))) => status.token_keys.clone(),
            _ => None,
        };
        *self.tokens.lock() = Some(Learned { at: Instant::now(), keys });
        found.map(|found| found.map(|(connection, _)| connection))
    }

    async fn find(&self) -> Result<Option<(Connection, Status)>, LocalError> {
        match Connection::answered(&self.socket).await {
            Ok(found) => return Ok(Some(found)),
            Err(LocalError::Nobody) if self.socket.trust == Trust::OwnUser => {}
            Err(error) => return Err(error),
        }
        let Some(start) = &self.start else { return Ok(None) };
        let mut failed = self.failed.lock().await;
        if failed.is_some_and(|when| when.elapsed() < TRY_AGAIN) {
            return Ok(None);
        }
        for _ in 0..STARTS {
            // One that is started beside another ends by itself, so starting once more is never wrong.
            let start = Arc::clone(start);
            let started = tokio::task::spawn_blocking(move || start()).await;
            let started = started.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
            let until = Instant::now() + if started.is_ok() { LISTENS_WITHIN } else { ANOTHER_WITHIN };
            if let Err(why) = started {
                tracing::debug!(%why, "a daemon could not be started");
            }
            while Instant::now() < until {
                match Connection::answered(&self.socket).await {
                    Ok(found) => return Ok(Some(found)),
                    Err(LocalError::Nobody) => tokio::time::sleep(LOOK_EVERY).await,
                    Err(error) => return Err(error),
                }
            }
        }
        tracing::warn!("no daemon can be started; this process serves by itself");
        *failed = Some(Instant::now());
        Ok(None)
    }

    /// Whose a credential is, by the daemon's public keys; where there is no daemon, as this process has it.
    async fn caller(&self, caller: &Caller) -> Result<String, Refused> {
        let Credential::Token(bearer) = &caller.credential else {
            return Ok(format!("process {}", std::process::id()));
        };
        let Some(keys) = self.token_keys().await.map_err(|error| refused(refusal(&error)))? else {
            return self.here.know(caller).await;
        };
        caller_by_signature(&keys, &bearer.text).map_err(refused)
    }

    async fn token_keys(&self) -> Result<Option<PublicKeys>, LocalError> {
        if let Some(keys) = self.learned() {
            return Ok(Some(keys));
        }
        // One asks for all who wait here.
        let _learning = self.learning.lock().await;
        match self.learned() {
            Some(keys) => Ok(Some(keys)),
            None => Ok(self.connect().await?.and_then(|connection| {
                self.idle.give(connection);
                self.learned()
            })),
        }
    }

    fn learned(&self) -> Option<PublicKeys> {
        let tokens = self.tokens.lock();
        tokens.as_ref().filter(|learned| learned.at.elapsed() < LEARN_EVERY)?.keys.clone()
    }

    /// Lets a call towards the daemon, if this caller has not too many on their way.
    async fn enter(&self, caller: &Caller) -> Result<Pass, Refused> {
        let name = self.caller(caller).await?;
        let pass = self.gates.enter(&name).map_err(refused)?;
        pass.begins().await;
        Ok(pass)
    }

    /// What a call is proven with, where it names a scope.
    async fn key_for(&self, call: &Posted) -> Result<Option<&LocalKey>, Refusal> {
        if !matches!(call.credential, WireCredential::Scope { .. }) {
            return Ok(None);
        }
        let here = Arc::clone(&self.here);
        let key = self.key.get_or_init(|| async move {
            tokio::task::spawn_blocking(move || here.local_key()).await.ok().flatten().map(LocalKey::new)
        });
        key.await.as_ref().map(Some).ok_or_else(server::scope_alone)
    }

    /// Asks over a connection that is there already. Nothing where there is none, or where it ended in this moment: what is
    /// asked so can be asked again.
    async fn ask_at_once(&self, path: &str, posted: &Posted) -> Option<Result<Value, Refusal>> {
        let mut connection = self.idle.take(&self.socket).await?;
        let key = match self.key_for(posted).await {
            Ok(key) => key,
            Err(refusal) => return Some(Err(refusal)),
        };
        let response = connection.call(path, posted, key, &self.socket).await.ok()?;
        let answered = whole(connection::read(response).await.ok()?);
        self.keep(connection, &answered);
        Some(answered)
    }

    /// Asks for what is answered as a whole.
    async fn ask(&self, mut connection: Connection, path: &str, posted: Posted) -> Result<Value, Refusal> {
        let key = self.key_for(&posted).await?;
        let response = connection.call(path, &posted, key, &self.socket).await;
        let response = response.map_err(|error| refusal(&gone(error)))?;
        let answered = whole(connection::read(response).await.map_err(|error| refusal(&error))?);
        self.keep(connection, &answered);
        answered
    }

    /// Keeps a connection for the next call, unless what was proven on it may be what was not believed: then the daemon
    /// knows of no first proof, and would refuse all that follow it.
    fn keep<T>(&self, connection: Connection, answered: &Result<T, Refusal>) {
        if !is_of_the_proof(answered) {
            self.idle.give(connection);
        }
    }

    /// Has something run over a connection that is there already. Nothing where there is none, or where the daemon has
    /// certainly not heard of it: what may run is never asked for twice.
    async fn run_at_once(
        &self,
        path: &str,
        posted: &Posted,
        meanwhile: &Meanwhile,
    ) -> Option<Result<Value, Refusal>> {
        let mut connection = self.idle.take(&self.socket).await?;
        let key = match self.key_for(posted).await {
            Ok(key) => key,
            Err(refusal) => return Some(Err(refusal)),
        };
        if meanwhile.cancel.is_cancelled() {
            self.idle.give(connection);
            return Some(Err(Refusal::cancelled()));
        }
        match connection.call(path, posted, key, &self.socket).await {
            Ok(response) => Some(self.follow(connection, response, &posted.call, meanwhile).await),
            Err(LocalError::Nobody) => None,
            Err(error) => Some(Err(refusal(&error))),
        }
    }

    /// Has something run that is answered after pieces on the way.
    async fn run(
        &self,
        mut connection: Connection,
        path: &str,
        posted: &Posted,
        meanwhile: &Meanwhile,
    ) -> Result<Value, Refusal> {
        let key = self.key_for(posted).await?;
        let response = connection.call(path, posted, key, &self.socket).await;
        let response = response.map_err(|error| refusal(&gone(error)))?;
        self.follow(connection, response, &posted.call, meanwhile).await
    }

    /// Reads what comes of a run, and has it ended where that is wanted.
    async fn follow(
        &self,
        connection: Connection,
        response: hyper::Response<hyper::body::Incoming>,
        call: &str,
        Meanwhile { progress, cancel }: &Meanwhile,
    ) -> Result<Value, Refusal> {
        let (mut body, mut held) = (response.into_body(), Vec::new());
        let mut told = false;
        let answered = loop {
            let next = tokio::select! {
                next = connection::line(&mut body, &mut held) => next,
                () = either(cancel, &self.closing), if !told => {
                    told = true;
                    // Where that can't be said, the connection's end says it.
                    self.cancel(call).await.map_err(|error| refusal(&error))?;
                    continue;
                }
            };
            match next.map_err(|error| refusal(&error))? {
                Some(Answered::Piece { fd, text }) => {
                    // Masked and entered by the daemon, which knows what to mask.
                    let page = LedgerPage::of(fd);
                    let text = NeedleSet::empty().mask(&text, page, &mut MaskLedger::of_no_run());
                    if let Some(progress) = progress {
                        let _ = progress.try_send(Piece { fd, text });
                    }
                }
                Some(Answered::Answer(answer)) => break Ok(answer),
                Some(Answered::Refused(refusal)) => break Err(refusal),
                None => {
                    return Err(refusal(&LocalError::Broken("it ended before the run did".to_owned())));
                }
            }
        };
        if is_of_the_proof(&answered) {
            return answered;
        }
        let idle = Arc::clone(&self.idle);
        // Its end comes a moment later, and is nothing to wait for.
        tokio::spawn(async move {
            if held.is_empty() && connection::is_over(&mut body).await {
                idle.give(connection);
            }
        });
        answered
    }

    /// A call that the daemon answers.
    async fn there(
        &self,
        connection: Connection,
        caller: &Caller,
        call: Call,
        meanwhile: &Meanwhile,
    ) -> Result<Answer<Reply>, Refusal> {
        let kind = call.kind();
        let body = match kind.manner() {
            Manner::Whole => self.ask(connection, kind.path(), posted(caller, call.params())).await?,
            Manner::Streamed => {
                self.run(connection, kind.path(), &posted_run(caller, &call, meanwhile), meanwhile).await?
            }
        };
        kind.reply(body).map(masked).ok_or_else(server::unreadable)
    }

    /// What changes nothing, and what runs: asked over a connection that is there already.
    async fn at_once(
        &self,
        caller: &Caller,
        call: &Call,
        meanwhile: &Meanwhile,
    ) -> Option<Result<Answer<Reply>, Refusal>> {
        let kind = call.kind();
        let answered = match kind.manner() {
            Manner::Whole if kind == CallKind::ListAllowed => {
                self.ask_at_once(kind.path(), &posted(caller, call.params())).await?
            }
            Manner::Whole => return None,
            Manner::Streamed => {
                self.run_at_once(kind.path(), &posted_run(caller, call, meanwhile), meanwhile).await?
            }
        };
        Some(answered.and_then(|body| kind.reply(body).map(masked).ok_or_else(server::unreadable)))
    }

    async fn cancel(&self, call: &str) -> Result<(), LocalError> {
        let mut connection = Connection::open(&self.socket).await?;
        connection.post("/v1/cancel", &Cancel { call: call.to_owned() }, None).await.map(drop)
    }
}

async fn either(one: &CancellationToken, other: &CancellationToken) {
    tokio::select! {
        () = one.cancelled() => {}
        () = other.cancelled() => {}
    }
}

impl Service for Client {
    fn know<'a>(&'a self, caller: &'a Caller) -> Pending<'a, Result<String, Refused>> {
        Box::pin(self.caller(caller))
    }

    fn check<'a>(&'a self, caller: &'a Caller) -> Pending<'a, Result<(), Refused>> {
        Box::pin(async move {
            let pass = self.enter(caller).await?;
            let (path, asked) = ("/v1/check", posted(caller, Value::Null));
            if let Some(answered) = self.ask_at_once(path, &asked).await {
                return answered.map(drop).map_err(refused).inspect_err(|_| pass.was_refused());
            }
            let done = match self.connect().await {
                Ok(Some(connection)) => self.ask(connection, path, asked).await.map(drop).map_err(refused),
                Ok(None) => self.here.check(caller).await,
                Err(error) => Err(refused(refusal(&error))),
            };
            done.inspect_err(|_| pass.was_refused())
        })
    }

    fn call<'a>(
        &'a self,
        caller: &'a Caller,
        call: Call,
        meanwhile: Meanwhile,
    ) -> Pending<'a, Result<Answer<Reply>, Refused>> {
        let manner = call.kind().manner();
        let answered = async move {
            let pass = self.enter(caller).await?;
            if let Some(answered) = self.at_once(caller, &call, &meanwhile).await {
                return answered.map_err(refused).inspect_err(|_| pass.was_refused());
            }
            let done = match self.connect().await {
                // Starting a daemon takes a while.
                Ok(_) if meanwhile.cancel.is_cancelled() => Err(refused(Refusal::cancelled())),
                Ok(Some(connection)) => {
                    self.there(connection, caller, call, &meanwhile).await.map_err(refused)
                }
                Ok(None) => self.here.call(caller, call, meanwhile).await,
                Err(error) => Err(refused(refusal(&error))),
            };
            done.inspect_err(|_| pass.was_refused())
        };
        match manner {
            Manner::Whole => Box::pin(answered),
            // What runs is ended, and waited for, when this server ends.
            Manner::Streamed => Box::pin(self.running.track_future(answered)),
        }
    }

    fn needles_for_anyone(&self) -> NeedleSet {
        self.here.needles_for_anyone()
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            self.closing.cancel();
            self.running.close();
            self.running.wait().await;
            self.here.close().await;
        })
    }
}

fn is_of_the_proof<T>(answered: &Result<T, Refusal>) -> bool {
    answered.as_ref().is_err_and(|refusal| refusal.code == Code::TokenInvalid)
}

/// What was answered as a whole.
fn whole(answered: Answered) -> Result<Value, Refusal> {
    match answered {
        Answered::Answer(body) => Ok(body),
        Answered::Refused(refusal) => Err(refusal),
        Answered::Piece { .. } => Err(refusal(&LocalError::Broken("a piece of nothing".to_owned()))),
    }
}

fn posted(caller: &Caller, params: Value) -> Posted {
    let session = match &caller.credential {
        Credential::Token(bearer) => bearer.session.clone(),
        _ => None,
    };
    Posted {
        credential: WireCredential::of(&caller.credential),
        session,
        params,
        environment: BTreeMap::new(),
        way: caller.way,
        call: String::new(),
        progress: false,
    }
}

fn posted_run(caller: &Caller, call: &Call, meanwhile: &Meanwhile) -> Posted {
    let environment = (*caller.environment).clone();
    let progress = meanwhile.progress.is_some();
    Posted { environment, call: proof::nonce(), progress, ..posted(caller, call.params()) }
}

/// An answer of the daemon's, in which everything is masked already.
fn masked<T>(body: T) -> Answer<T> {
    Answer { body, needles: NeedleSet::empty() }
}

fn refused(refusal: Refusal) -> Refused {
    Box::new(masked(refusal))
}

/// A daemon that has answered already and is gone now was there: another may be with the next call.
fn gone(error: LocalError) -> LocalError {
    match error {
        LocalError::Nobody => LocalError::Broken("it ended before it was asked".to_owned()),
        error => error,
    }
}

fn refusal(error: &LocalError) -> Refusal {
    let (code, hint) = match error {
        LocalError::Nobody => (Code::VaultLocked, "ask the operator to type: authy-mcp unlock"),
        LocalError::Version { .. } => {
            (Code::VaultLocked, "ask the operator to type: authy-mcp lock, then authy-mcp unlock")
        }
        LocalError::Impostor(_) | LocalError::NotOurs(_) | LocalError::Taken | LocalError::NoGroup(_) => (
            Code::VaultLocked,
            "ask the operator to type: authy-mcp unlock, which puts a daemon of its own there",
        ),
        LocalError::Crowded => (Code::RateLimited, "wait for some of them to end, then call again"),
        LocalError::Broken(_) | LocalError::Io(_) => {
            (Code::Busy, "call again; what came of a run that was under way is in authy-mcp admin audit show")
        }
    };
    Refusal::new(code, error.to_string(), hint)
}
