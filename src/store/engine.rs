//! What opens a store: the one place that names the engine of this version, and knows whose turn it is there.
//!
//! One process writes. With a daemon that is the daemon, which keeps the store from its start to its end and is reached
//! over its socket, by its own word in the lock file ([`turn`]); without one it is whoever has the lock.

use std::{
    fs::File,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{ArcMutexGuard, Mutex, RawMutex};

use super::{
    LocalStore, Order, Rest, Store, StoreError,
    socket::{Dial, Errand, Line, Proof, SocketStore},
    turn,
};
use crate::files;

/// How long the lock is waited for before it is looked again whether a daemon has it by now.
const SLICE: Duration = Duration::from_millis(50);

/// How long the end of a daemon waits for whoever has its store.
const LETS_GO_WITHIN: Duration = Duration::from_secs(5);

/// Where a store is, and the lock that says whose turn it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The directory of the store.
    pub dir: PathBuf,
    /// The lock file.
    pub lock: PathBuf,
}

/// Who asks for a store.
pub(crate) struct Asks<'a> {
    /// Before or behind whom.
    pub order: Order,
    /// For how long.
    pub wait: Duration,
    /// What a daemon and whoever asks show each other that both know.
    pub proof: &'a Proof<'a>,
}

/// What opens the store of a vault, each time that the vault is opened.
#[derive(Clone)]
pub(crate) struct Engine(Arc<Inner>);

struct Inner {
    open: Box<Open>,
    /// Reaches a daemon that keeps the store.
    dial: Option<Arc<dyn Dial>>,
    /// Where this process listens, while it keeps the store.
    keeps: Mutex<Option<PathBuf>>,
    kept: Arc<Mutex<Kept>>,
}

type Open = dyn Fn(&Path) -> Result<Arc<dyn Store>, StoreError> + Send + Sync;

/// What a process that keeps the store has of it between two openings.
#[derive(Default)]
struct Kept {
    store: Option<Arc<dyn Store>>,
    lock: Option<File>,
}

type KeptGuard = ArcMutexGuard<RawMutex, Kept>;

/// A turn at a store.
pub(crate) struct Entry {
    engine: Engine,
    place: Place,
    hold: Hold,
}

/// What keeps everybody else from a store; released when this is dropped.
pub(crate) struct Hold(Held);

enum Held {
    /// The lock, and the line to a daemon that let go of it.
    Lock { _lock: File, _line: Option<Box<dyn Line>> },
    /// The lock is kept.
    Kept { engine: Engine, guard: Option<KeptGuard> },
    /// The daemon's turn, which is over when the line is closed.
    Daemon(Option<Box<dyn Line>>),
}

/// A store while a vault is open over it; it rests when this is dropped.
pub(crate) struct Lent {
    store: OpenStore,
    // Released last.
    hold: Hold,
}

/// A store that rests when nobody has it open any more.
struct OpenStore {
    store: Arc<dyn Store>,
    rest: Rest,
}

/// The engine of this version: the files of the directory. What was read of them is kept from one time to the next, and
/// read on where others have written since.
impl Default for Engine {
    fn default() -> Self {
        Self::with(Box::new(local()), None)
    }
}

fn local() -> impl Fn(&Path) -> Result<Arc<dyn Store>, StoreError> + Send + Sync {
    let last: Mutex<Option<(PathBuf, Arc<LocalStore>)>> = Mutex::default();
    move |dir| {
        let mut last = last.lock();
        if let Some((of, store)) = last.take()
            && of == dir
            && store.renew().is_ok()
        {
            *last = Some((of, Arc::clone(&store)));
            return Ok(store);
        }
        let store = Arc::new(LocalStore::write(dir)?);
        *last = Some((dir.to_owned(), Arc::clone(&store)));
        Ok(store)
    }
}

impl Engine {
    /// An engine of one's own, which is given the vault's directory for a database.
    #[cfg(test)]
    pub(crate) fn new(
        open: impl Fn(&Path) -> Result<Arc<dyn Store>, StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self::with(Box::new(open), None)
    }

    /// The engine of this version, and where a daemon keeps it, the daemon's.
    pub(crate) fn beside_a_daemon(dial: Arc<dyn Dial>) -> Self {
        Self::with(Box::new(local()), Some(dial))
    }

    fn with(open: Box<Open>, dial: Option<Arc<dyn Dial>>) -> Self {
        Self(Arc::new(Inner { open, dial, keeps: Mutex::default(), kept: Arc::default() }))
    }

    /// The store of a directory, whose turn it is at once.
    #[cfg(test)]
    pub(crate) fn lent(&self, dir: &Path) -> Lent {
        let place = Place { dir: dir.to_owned(), lock: dir.with_extension("lock") };
        let nobody = || zeroize::Zeroizing::new([0; 32]);
        let asks = Asks { order: Order::Behind, wait: Duration::ZERO, proof: &nobody };
        self.enter(place, &asks).and_then(Entry::open).unwrap()
    }

    /// Keeps the store from the next opening on, whatever home that is of: others find this process at its socket.
    pub(crate) fn keep(&self, socket: &Path) {
        *self.0.keeps.lock() = Some(socket.to_owned());
    }

    /// Keeps it no longer: waits a while for whoever has it open. Others may have it from here on, a fresh daemon, too.
    pub(crate) fn let_go(&self) {
        // The guard first: who opens it in between would meet its own lock, and ask itself for a turn.
        let kept = self.0.kept.try_lock_for(LETS_GO_WITHIN);
        *self.0.keeps.lock() = None;
        // Where somebody has it for so long, it is released behind that.
        if let Some(mut kept) = kept {
            kept.release();
        }
    }

    /// Lets go of what is kept until what is returned is dropped.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the wait is over.
    pub(crate) fn leave(&self, wait: Duration) -> Result<Left, StoreError> {
        let mut guard = self.guard(wait)?;
        guard.release();
        Ok(Left { _guard: guard })
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the wait is over.
    pub(crate) fn enter(&self, place: Place, asks: &Asks<'_>) -> Result<Entry, StoreError> {
        let socket = self.0.keeps.lock().clone();
        let hold = match socket {
            Some(socket) => self.kept(&place, asks, &socket)?,
            None => self.among_others(&place, asks)?,
        };
        Ok(Entry { engine: self.clone(), place, hold })
    }

    fn guard(&self, wait: Duration) -> Result<KeptGuard, StoreError> {
        Mutex::try_lock_arc_for(&self.0.kept, wait).ok_or(StoreError::Busy)
    }

    fn kept(&self, place: &Place, asks: &Asks<'_>, socket: &Path) -> Result<Hold, StoreError> {
        let until = Instant::now() + asks.wait;
        let mut guard = self.guard(asks.wait)?;
        // A home that was exchanged has another lock.
        if !guard.lock.as_ref().is_some_and(|lock| files::is_at(lock, &place.lock)) {
            guard.release();
            let lock = match turn::take(&place.lock, Order::Behind, Duration::ZERO) {
                // Another daemon of this home keeps it, which started where clients have another environment.
                Err(StoreError::Busy) if turn::pointer(&place.lock).is_some_and(|other| other != socket) => {
                    drop(guard);
                    return self.among_others(place, asks);
                }
                Err(StoreError::Busy) => turn::take(&place.lock, Order::Behind, turn::left(until))?,
                taken => taken?,
            };
            turn::point(&lock, Some(socket)).map_err(StoreError::io("write the vault's lock file"))?;
            guard.lock = Some(lock);
        }
        Ok(Hold(Held::Kept { engine: self.clone(), guard: Some(guard) }))
    }

    fn among_others(&self, place: &Place, asks: &Asks<'_>) -> Result<Hold, StoreError> {
        let until = Instant::now() + asks.wait;
        let (mut slice, mut line, mut last) = (Duration::ZERO, None, false);
        loop {
            match turn::take(&place.lock, asks.order, slice) {
                Err(StoreError::Busy) => {}
                locked => return Ok(Hold(Held::Lock { _lock: locked?, _line: line })),
            }
            if last {
                return Err(StoreError::Busy);
            }
            if line.is_none() {
                line = self.dial(place, asks, until)?;
            }
            match line {
                Some(line) if asks.order != Order::Alone => return Ok(Hold(Held::Daemon(Some(line)))),
                found => line = found,
            }
            // Once more at the end: it may have been let go of in the last moment.
            last = Instant::now() >= until;
            slice = if last { SLICE } else { SLICE.min(turn::left(until)) };
        }
    }

    /// Asks whoever keeps the store, where somebody does.
    fn dial(
        &self,
        place: &Place,
        asks: &Asks<'_>,
        until: Instant,
    ) -> Result<Option<Box<dyn Line>>, StoreError> {
        let Some((dial, socket)) = self.0.dial.as_ref().zip(turn::pointer(&place.lock)) else {
            return Ok(None);
        };
        let errand = match asks.order {
            Order::First => Errand::Turn { first: true },
            Order::Behind => Errand::Turn { first: false },
            Order::Alone => Errand::Leave,
        };
        dial.dial(&socket, errand, asks.proof, turn::left(until))
    }
}

/// Nobody of this process has the store while this is kept.
pub(crate) struct Left {
    _guard: KeptGuard,
}

impl Kept {
    /// The store before the lock, which others wait for.
    fn release(&mut self) {
        if let Some(store) = self.store.take() {
            store.rest(Rest::LetGo);
        }
        if let Some(lock) = self.lock.take() {
            // Whoever reads it before the lock is theirs finds nobody there, and waits.
            let _ = turn::point(&lock, None);
        }
    }
}

impl Entry {
    /// Keeps others from the store, which is not opened.
    pub(crate) fn into_hold(self) -> Hold {
        self.hold
    }

    /// Opens the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn open(self) -> Result<Lent, StoreError> {
        let Self { engine, place, mut hold } = self;
        let open = || (engine.0.open)(&place.dir);
        let (store, rest): (Arc<dyn Store>, Rest) = match &mut hold.0 {
            Held::Lock { .. } => (open()?, Rest::LetGo),
            Held::Daemon(line) => {
                let line = line.take().ok_or(StoreError::Busy)?;
                (Arc::new(SocketStore::over(line)), Rest::LetGo)
            }
            Held::Kept { guard, .. } => {
                let store = open()?;
                if let Some(kept) = guard {
                    kept.store = Some(Arc::clone(&store));
                }
                (store, Rest::Kept)
            }
        };
        Ok(Lent { store: OpenStore { store, rest }, hold })
    }
}

impl Lent {
    /// Goes on keeping others from the store, which is closed.
    pub(crate) fn into_hold(self) -> Hold {
        let Self { store, hold } = self;
        drop(store);
        hold
    }
}

impl Deref for Lent {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.store.store
    }
}

impl Drop for OpenStore {
    fn drop(&mut self) {
        self.store.rest(self.rest);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Self::Kept { engine, guard } = self else { return };
        let keeps = engine.0.keeps.lock().is_some();
        if let Some(mut kept) = guard.take().filter(|_| !keeps) {
            kept.release();
        }
    }
}
