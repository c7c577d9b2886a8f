//! sled 0.34, held so that an acknowledged write is on the disk and a damaged file is an error.
//!
//! Without a flush a SIGKILL loses acknowledged writes, and sled's own flush ends in `sync_file_range`, which
//! says nothing of the disk's cache. Measured (`tests/load/crash.py`): with
//! both, after some hundred SIGKILLs its log could not be opened again. So a write counts once it is in
//! the journal, and an engine that was not closed is made anew from there. Flipped bytes panic inside
//! `open`: panics of the engine are caught here, on a thread of their own while opening, so that an endless
//! recovery is an error too.

use std::{
    cell::Cell,
    fs, io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Once, mpsc},
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    Batch, Store, StoreError,
    journal::{EngineState, Journal, Pairs},
};
use crate::files;

/// The longest that opening may take: a recovery that doesn't end is damage.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// The longest that a write, or closing, may take.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// What must be free on the disk before anything is written, in bytes.
const ROOM: u64 = 768 << 10;
/// sled's page cache, in bytes.
const CACHE: u64 = 16 << 20;

/// A sled database in a directory of its own, and its journal.
pub(crate) struct SledStore {
    db: Option<sled::Db>,
    kept: Mutex<JournalGuard>,
    dir: PathBuf,
}

/// The journal, and whether the engine still says what it says.
struct JournalGuard {
    journal: Journal,
    agree: bool,
}

impl SledStore {
    /// Opens the database, or makes an empty one. One that was not closed is made anew from its journal.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another process has it, [`StoreError::Damaged`].
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let engine = dir.join("db");
        let (mut journal, left) = match Journal::open(dir)? {
            Some(found) => found,
            None if engine.exists() => {
                return Err(StoreError::Damaged { what: "its journal is gone".to_owned() });
            }
            None => (Journal::create(dir)?, EngineState::Open),
        };
        if left == EngineState::Closed && engine.is_dir() {
            journal.engine_opens()?;
            let db = open_engine(&engine)?;
            return Ok(Self::over(db, journal, dir));
        }
        let pairs = journal.load(left)?;
        room_for(dir, pairs.values().map(Vec::len).sum())?;
        journal.engine_opens()?;
        let failed = |source| StoreError::Io { what: "make the database anew".to_owned(), source };
        match fs::remove_dir_all(&engine) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        files::create_private_dir(&engine).map_err(failed)?;
        let db = open_engine(&engine)?;
        let mut everything = sled::Batch::default();
        for (key, value) in pairs {
            everything.insert(key, value);
        }
        translate("make the database anew", quietly(|| db.apply_batch(everything)))?;
        Ok(Self::over(db, journal, dir))
    }

    fn over(db: sled::Db, journal: Journal, dir: &Path) -> Self {
        Self { db: Some(db), kept: Mutex::new(JournalGuard { journal, agree: true }), dir: dir.to_owned() }
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("taken by drop only")
    }
}

fn open_engine(dir: &Path) -> Result<sled::Db, StoreError> {
    let config = sled::Config::new().path(dir).cache_capacity(CACHE).flush_every_ms(None);
    let opened = bounded(OPEN_WITHIN, move || config.open())
        .ok_or_else(|| StoreError::Damaged { what: "opening it does not end".to_owned() })?;
    translate("open the database", opened)
}

/// Lets the engine work on a thread of its own, and waits only so long: where its disk is full, or its files
/// make no sense, it may never come back. Nothing then; what it does in the end is nobody's any more.
fn bounded<T: Send + 'static>(
    within: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<thread::Result<T>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        // Nobody waits any more where this fails.
        let _ = send.send(quietly(work));
    });
    receive.recv_timeout(within).ok()
}

/// The engine does not take a full disk well: it is not let near the end of one.
fn room_for(dir: &Path, bytes: usize) -> Result<(), StoreError> {
    let failed = |source| StoreError::Io { what: "write the database".to_owned(), source };
    let disk = rustix::fs::statvfs(dir).map_err(|error| failed(error.into()))?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM + 2 * bytes as u64 {
        return Err(failed(io::Error::new(io::ErrorKind::StorageFull, "the disk is full, or nearly so")));
    }
    Ok(())
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        translate("read the database", quietly(|| self.db().get(key).map(|found| found.map(|v| v.to_vec()))))
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let pairs = || {
            self.db().scan_prefix(prefix).map(|pair| pair.map(|(k, v)| (k.to_vec(), v.to_vec()))).collect()
        };
        translate("read the database", quietly(pairs))
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        room_for(&self.dir, batch.0.iter().map(|(_, value)| value.as_ref().map_or(0, Vec::len)).sum())?;
        let mut kept = self.kept.lock();
        let before = kept.journal.append(&batch)?;
        let mut changes = sled::Batch::default();
        for (key, value) in batch.0 {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        let db = self.db().clone();
        let applied = match bounded(ENDS_WITHIN, move || db.apply_batch(changes)) {
            Some(done) => translate("write the database", done),
            None => Err(StoreError::Damaged { what: "writing it does not end".to_owned() }),
        };
        if applied.is_err() {
            // Whichever of the two has it now: the engine is made anew from the journal.
            kept.agree = false;
            kept.journal.truncate(before)?;
        }
        applied
    }

    fn check(&self) -> Result<(), StoreError> {
        let found: Pairs = self.scan(b"")?.into_iter().collect();
        let mut kept = self.kept.lock();
        if kept.agree && kept.journal.load(EngineState::Closed)? != found {
            return Err(StoreError::Damaged { what: "the database and its journal differ".to_owned() });
        }
        Ok(())
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        let kept = self.kept.get_mut();
        let Some(db) = self.db.take() else { return };
        let pairs = || db.scan_prefix(b"").map(|pair| pair.map(|(k, v)| (k.to_vec(), v.to_vec()))).collect();
        if kept.agree && kept.journal.is_long() {
            // Where this can't be done the journal grows on, and the next one tries again.
            if let Ok(pairs) = translate("read the database", quietly(pairs))
                && let Ok(journal) = Journal::over(&self.dir, &pairs)
            {
                kept.journal = journal;
            }
        }
        let closed = bounded(ENDS_WITHIN, move || db.flush().map(drop));
        if kept.agree && matches!(closed, Some(Ok(Ok(())))) {
            // Without this the next to open it makes it anew, which is as right.
            let _ = kept.journal.engine_closed();
        }
    }
}

/// The engine panics, too, where it gets no memory or no thread: that says nothing of its files.
fn lack(panic: &(dyn std::any::Any + Send)) -> Option<io::Error> {
    let said =
        panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied())?;
    let lacks = ["kind: WouldBlock", "kind: OutOfMemory", "os error 11)", "os error 12)"];
    lacks.iter().any(|lack| said.contains(lack)).then(|| io::ErrorKind::OutOfMemory.into())
}

fn translate<T>(what: &str, done: thread::Result<sled::Result<T>>) -> Result<T, StoreError> {
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(source))) if is_lock(&source) => Err(StoreError::Busy),
        Ok(Err(sled::Error::Io(source))) if source.kind() != io::ErrorKind::Other => {
            Err(StoreError::Io { what: what.to_owned(), source })
        }
        Ok(Err(sled::Error::Io(_))) => {
            Err(StoreError::Damaged { what: format!("can't {what}: a file is cut or unreadable") })
        }
        Ok(Err(sled::Error::Corruption { .. })) => {
            Err(StoreError::Damaged { what: format!("can't {what}: a checksum does not hold") })
        }
        Ok(Err(_)) => {
            Err(StoreError::Damaged { what: format!("can't {what}: its files contradict each other") })
        }
        Err(panic) => match lack(&*panic) {
            Some(source) => Err(StoreError::Io { what: what.to_owned(), source }),
            None => Err(StoreError::Damaged { what: format!("can't {what}: its files make no sense") }),
        },
    }
}

fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs the engine; a panic of its comes back as an error, and is not printed.
fn quietly<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    QUIET.set(outer);
    done
}
