//! The writer's index of the runs, in sled 0.34: where each of their objects is. What the journal has is in memory.
//!
//! It is never the truth. It is made anew from the runs where it was not closed, is of another state, or can't
//! be read; and where it can't be made, the writer finds its objects in the runs themselves, as readers do. Measured:
//! after some hundred SIGKILLs under load sled's log could not be opened again; flipped bytes panic inside of `open`,
//! or it does not end. So panics are caught, and opening and closing are done on threads of their own, and bounded.

use std::{
    cell::Cell,
    collections::HashSet,
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Once, mpsc},
    thread,
    time::Duration,
};

use super::super::ObjectId;
use crate::files;

/// The longest that opening, filling or closing may take.
const WITHIN: Duration = Duration::from_secs(20);
/// What must be free on the disk before it is filled, in bytes.
const ROOM: u64 = 768 << 10;
/// sled's page cache, in bytes.
const CACHE: u64 = 8 << 20;
/// A longer state was not written by us.
const STATE_MOST: u64 = 4096;

/// Where an object is: in which run, the offset and the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub run: u64,
    pub at: u64,
    pub length: u32,
}

/// The index, while it can be relied on.
pub(super) struct Index {
    db: Option<sled::Db>,
    dir: PathBuf,
}

impl Index {
    /// Opens the index if it was closed in this state (in words), and else makes it anew of what there is. Nothing where
    /// neither can be done.
    pub(super) fn open(
        dir: &Path,
        state: &str,
        everything: impl FnOnce() -> Vec<(ObjectId, Place)>,
    ) -> Option<Self> {
        let left = files::read_regular(&state_file(dir), STATE_MOST).unwrap_or_default();
        let _ = fs::remove_file(state_file(dir));
        if left == clean(state).as_bytes()
            && let Some(db) = open_engine(&engine(dir))
        {
            return Some(Self { db: Some(db), dir: dir.to_owned() });
        }
        Self::make(dir, &everything())
    }

    fn make(dir: &Path, everything: &[(ObjectId, Place)]) -> Option<Self> {
        let engine = engine(dir);
        match fs::remove_dir_all(&engine) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return None,
            _ => {}
        }
        has_room(dir, everything.len()).then_some(())?;
        files::create_private_dir(&engine).ok()?;
        let index = Self { db: Some(open_engine(&engine)?), dir: dir.to_owned() };
        close_to_others(&engine).ok()?;
        index.exchange(everything, &HashSet::new()).then_some(index)
    }

    /// Takes places over, and forgets what is gone. Whether it could: an index that could not is not to be used any more.
    pub(super) fn exchange(&self, places: &[(ObjectId, Place)], gone: &HashSet<ObjectId>) -> bool {
        let mut batch = sled::Batch::default();
        gone.iter().for_each(|id| batch.remove(&id.0));
        for (id, place) in places {
            batch.insert(&id.0, encode(*place));
        }
        self.apply(batch)
    }

    fn apply(&self, batch: sled::Batch) -> bool {
        let Some(db) = self.db.clone().filter(|_| has_room(&self.dir, 0)) else { return false };
        matches!(bounded(move || db.apply_batch(batch)), Some(Ok(Ok(()))))
    }

    /// Where an object is; an error where the engine can't say.
    pub(super) fn get(&self, id: &ObjectId) -> Result<Option<Place>, ()> {
        let db = self.db.as_ref().ok_or(())?;
        match quietly(|| db.get(id.0)) {
            Ok(Ok(Some(bytes))) => decode(&bytes).map(Some).ok_or(()),
            Ok(Ok(None)) => Ok(None),
            _ => Err(()),
        }
    }

    /// Closes it in this state, so that the next writer need not make it anew.
    pub(super) fn close(mut self, state: &str) {
        let Some(db) = self.db.take() else { return };
        let flushed = bounded(move || db.flush().map(drop));
        if !matches!(flushed, Some(Ok(Ok(())))) {
            return;
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        // Without it the next one makes the index anew, which is as right.
        let _ =
            options.open(state_file(&self.dir)).and_then(|mut file| file.write_all(clean(state).as_bytes()));
    }
}

impl Drop for Index {
    /// An index that is given up: what the engine still does as it ends is waited for no longer than anything else.
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            bounded(move || drop(db));
        }
    }
}

/// sled does not take a full disk well: it is not let near the end of one.
fn has_room(dir: &Path, entries: usize) -> bool {
    let Ok(disk) = rustix::fs::statvfs(dir) else { return false };
    disk.f_bavail.saturating_mul(disk.f_frsize) > ROOM + 256 * entries as u64
}

/// sled makes its files by the umask; the directory is closed to others, and the files are, too.
fn close_to_others(engine: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let close = |file: &PathBuf| fs::set_permissions(file, fs::Permissions::from_mode(0o600));
    files::files_below(engine)?.iter().try_for_each(close)
}

fn engine(dir: &Path) -> PathBuf {
    dir.join("index")
}

fn state_file(dir: &Path) -> PathBuf {
    dir.join("index.state")
}

fn clean(state: &str) -> String {
    // What was not synced may be gone after a start of the machine (random(4)).
    let boot = fs::read_to_string(crate::system::BOOT_ID).unwrap_or_default();
    format!("clean {} {state}\n", boot.trim())
}

fn encode(Place { run, at, length }: Place) -> Vec<u8> {
    [run.to_be_bytes().as_slice(), &at.to_be_bytes(), &length.to_be_bytes()].concat()
}

fn decode(bytes: &[u8]) -> Option<Place> {
    let (run, rest) = bytes.split_first_chunk()?;
    let (at, rest) = rest.split_first_chunk()?;
    let length = u32::from_be_bytes(rest.try_into().ok()?);
    Some(Place { run: u64::from_be_bytes(*run), at: u64::from_be_bytes(*at), length })
}

fn open_engine(dir: &Path) -> Option<sled::Db> {
    let config = sled::Config::new().path(dir).cache_capacity(CACHE).flush_every_ms(None);
    bounded(move || config.open())?.ok()?.ok()
}

/// Lets the engine work on a thread of its own, and waits only so long: where its disk is full, or its files make no
/// sense, it may never come back. Nothing then; what it does in the end is nobody's any more.
fn bounded<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<thread::Result<T>> {
    let (send, receive) = mpsc::channel();
    thread::Builder::new()
        .spawn(move || {
            // Nobody waits any more where this fails.
            let _ = send.send(quietly(work));
        })
        .ok()?;
    receive.recv_timeout(WITHIN).ok()
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
