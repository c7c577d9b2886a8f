//! A daemon's life: one a home, until it is locked, retired, idle for too long, or too old.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use jiff::{SignedDuration, Timestamp};
use tokio::{net::UnixListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    Listener, LocalError, OpenTo, lend,
    peer::Doorway,
    server::{self, AuthMode, ServerState},
    socket,
    stats::Stats,
    wire::{Health, PROTOCOL, Status},
};
use crate::{
    broker::{Broker, gate::Gates},
    files, listen,
};

/// How often a daemon looks at itself.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often it is seen whether a backup is due.
const BACKUPS_EVERY: Duration = Duration::from_secs(600);

/// How long the last answers may take to be read.
const DRAIN: Duration = Duration::from_secs(5);

/// How long a daemon keeps the keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    /// Without a call.
    pub idle: Duration,
    /// Whatever happens.
    pub longest: Duration,
}

impl Lifetime {
    /// As long as the run that gives a session.
    pub(crate) const OF_A_RUN: Self = Self { idle: Duration::MAX, longest: Duration::MAX };
}

/// How a daemon is hosted.
pub(crate) struct HostSettings {
    /// Where it listens.
    pub socket: PathBuf,
    /// On a socket of its own, or on one that it was handed.
    pub listener: Listener,
    /// Whose lock file says that the home has a daemon: the same wherever that listens.
    pub lock: PathBuf,
    /// Who may call.
    pub open_to: OpenTo,
    /// The home, which it does not outlive.
    pub home: PathBuf,
    /// The vault's fingerprint.
    pub vault: String,
    /// What it hosts.
    pub broker: Arc<Broker>,
    /// Whose calls are taken.
    pub admits: AuthMode,
    /// How long.
    pub life: Lifetime,
    /// How long the daemon before it may take to make room.
    pub take_over: Duration,
    /// Whether its pages were locked into memory.
    pub memory_locked: bool,
}

/// Why a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Somebody locked it, or it was told to stop.
    Locked,
    /// A fresh one took over.
    Retired,
    /// Nobody called for too long.
    Idle,
    /// Its time was over.
    TooOld,
    /// Its home, or its socket, is gone.
    Orphaned,
}

/// A daemon that listens.
pub(crate) struct Host {
    listener: UnixListener,
    lock: Mutex<Option<File>>,
    room: Arc<ServerState>,
    post: Post,
    life: Lifetime,
    begun: Instant,
}

/// Where a daemon listens, and the home that it is of: it outlives neither.
struct Post {
    socket: PathBuf,
    kept: SocketOwner,
    inode: u64,
    home: PathBuf,
}

/// Who removes the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SocketOwner {
    Ours,
    /// A service manager, which listens on when the daemon has ended.
    ByTheManager,
}

impl Host {
    /// Takes the home's lock and listens. A socket that a dead daemon left is replaced.
    ///
    /// # Errors
    /// [`LocalError::Taken`], [`LocalError::NotOurs`], [`LocalError::Io`].
    ///
    /// # Panics
    /// Outside of a runtime.
    pub(crate) fn bind(settings: HostSettings) -> Result<Self, LocalError> {
        let lock = lock(&settings.lock, settings.take_over)?;
        let about = About::of(&settings);
        let socket = settings.socket;
        let (listener, kept) = match settings.listener {
            Listener::Fresh => (socket::listen(&socket, settings.open_to)?, SocketOwner::Ours),
            Listener::Handed(listener) => (listener, SocketOwner::ByTheManager),
        };
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let inode = fs::metadata(&socket)?.ino();
        let room = ServerState {
            broker: settings.broker,
            admits: settings.admits,
            open_to: settings.open_to,
            stats: Stats::new(),
            about: Box::new(move |stats| about.status(stats)),
            retire: CancellationToken::new(),
            lock: CancellationToken::new(),
            nonces: super::proof::Nonces::default(),
            calls: Mutex::default(),
            large: Gates::new(server::LARGE_AT_ONCE),
            lines: Gates::new(lend::LINES_AT_ONCE),
        };
        Ok(Self {
            listener,
            lock: Mutex::new(Some(lock)),
            room: Arc::new(room),
            post: Post { socket, kept, inode, home: settings.home },
            life: settings.life,
            begun: Instant::now(),
        })
    }

    /// Serves until it is over; what runs then is finished (retired) or ended (all else), and on record.
    ///
    /// # Errors
    /// [`LocalError::Io`].
    pub(crate) async fn serve(self, stop: CancellationToken) -> Result<Ended, LocalError> {
        let Self { listener, lock, room, post, life, begun } = self;
        let closing = CancellationToken::new();
        let app = server::router(Arc::clone(&room));
        let bounds = server::BOUNDS.within_descriptors();
        let serving = tokio::spawn(listen::serve(Doorway(listener), bounds, app, closing.clone()));
        let keeper = keep_backups(&room);
        let ended = until_over(&room, &post, life, begun, &stop).await;
        keeper.abort();
        if ended != Ended::Retired {
            room.broker.revoke_runs();
        }
        // Before a fresh daemon may listen, which keeps the vault from then on.
        room.broker.let_go().await;
        // The socket goes while the lock is held: a fresh daemon, which takes the lock first, keeps its own. Another may
        // listen from here on.
        post.leave();
        drop(lock.lock().take());
        closing.cancel();
        let finished = finish(&room, ended, serving).await;
        if matches!(room.admits, AuthMode::Tree { .. }) {
            let _ = fs::remove_file(post.socket.with_extension("lock"));
        }
        finished.map(|()| ended)
    }
}

impl Post {
    /// Whether the socket is the one that this daemon made.
    fn is_listed(&self) -> bool {
        fs::metadata(&self.socket).is_ok_and(|found| found.ino() == self.inode)
    }

    fn is_there(&self) -> bool {
        self.is_listed() && self.home.join("home.json").exists()
    }

    /// Removes the socket, where that is for the daemon to do.
    fn leave(&self) {
        if self.kept == SocketOwner::Ours && self.is_listed() {
            let _ = fs::remove_file(&self.socket);
        }
    }
}

/// Waits for what ends a daemon first.
async fn until_over(
    room: &ServerState,
    post: &Post,
    life: Lifetime,
    begun: Instant,
    stop: &CancellationToken,
) -> Ended {
    loop {
        tokio::select! {
            () = room.lock.cancelled() => return Ended::Locked,
            () = stop.cancelled() => return Ended::Locked,
            () = room.retire.cancelled() => return Ended::Retired,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if room.stats.idle() > life.idle {
            return Ended::Idle;
        }
        if begun.elapsed() > life.longest {
            return Ended::TooOld;
        }
        if !post.is_there() {
            return Ended::Orphaned;
        }
    }
}

/// Ends what runs, or lets it end where a fresh daemon took over; then lets the last answers be read.
async fn finish(room: &ServerState, ended: Ended, mut serving: JoinHandle<()>) -> Result<(), LocalError> {
    if ended != Ended::Retired {
        room.broker.revoke_runs();
        room.broker.close().await;
    }
    while room.stats.idle() == Duration::ZERO && !serving.is_finished() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // Answers are on their way; a client that keeps its connection open doesn't keep the keys here.
    let served = tokio::time::timeout(DRAIN, &mut serving).await;
    serving.abort();
    room.broker.close().await;
    match served {
        Ok(Err(error)) => Err(LocalError::Broken(error.to_string())),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

/// A daemon of a home sees to its backups; the host of a run's session doesn't.
fn keep_backups(room: &Arc<ServerState>) -> JoinHandle<()> {
    let room = Arc::clone(room);
    tokio::spawn(async move {
        if !matches!(room.admits, AuthMode::Proven(_)) {
            return;
        }
        loop {
            room.broker.keep_backup().await;
            room.broker.forget_ended().await;
            tokio::time::sleep(BACKUPS_EVERY).await;
        }
    })
}

fn lock(path: &Path, wait: Duration) -> Result<File, LocalError> {
    socket::ours_to_write(path.parent().unwrap_or(Path::new("/")))?;
    files::lock(path, wait).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => LocalError::Taken,
        _ => LocalError::Io(error),
    })
}

/// What a daemon says of itself.
struct About {
    broker: Arc<Broker>,
    vault: String,
    life: Lifetime,
    open_to: OpenTo,
    memory_locked: bool,
    since: Timestamp,
    begun: Instant,
}

impl About {
    fn of(settings: &HostSettings) -> Self {
        Self {
            broker: Arc::clone(&settings.broker),
            vault: settings.vault.clone(),
            life: settings.life,
            open_to: settings.open_to,
            memory_locked: settings.memory_locked,
            since: Timestamp::now(),
            begun: Instant::now(),
        }
    }

    fn status(&self, stats: &Stats) -> Status {
        use std::sync::atomic::Ordering::Relaxed;
        let upkeep = self.broker.upkeep();
        Status {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            home: self.broker.home().to_owned(),
            vault: self.vault.clone(),
            unlocked_since: self.since.to_string(),
            idle_lock_seconds: self.life.idle.as_secs(),
            locks_at: self.locks_at().to_string(),
            memory_locked: self.memory_locked,
            calls: stats.calls.load(Relaxed),
            denials: stats.denials.load(Relaxed),
            runs: stats.runs.load(Relaxed),
            running: stats.running.load(Relaxed),
            latency_ms: stats.latencies(),
            overhead_ms: stats.overheads(),
            denials_by_code: stats.codes(),
            uptime_seconds: self.begun.elapsed().as_secs(),
            open_to_group: match self.open_to {
                OpenTo::OwnUser => None,
                OpenTo::Group(group) => Some(group),
            },
            health: if upkeep.problems.is_empty() { Health::Ok } else { Health::Degraded },
            upkeep,
            token_keys: self.broker.token_keys(),
        }
    }

    /// At the latest.
    fn locks_at(&self) -> Timestamp {
        let longest = SignedDuration::try_from(self.life.longest).ok();
        longest.and_then(|longest| self.since.checked_add(longest).ok()).unwrap_or(Timestamp::MAX)
    }
}
