//! sled 0.34, held so that an acknowledged write is on the disk and a damaged file is an error.
//!
//! Measured by the design: without a flush a SIGKILL loses acknowledged writes; sled's own flush ends
//! in `sync_file_range`, which says nothing of the disk's cache, so every file is synced besides; and
//! flipped bytes panic inside `open`. Panics of the engine are caught here, on a thread of their own
//! while opening, so that an endless recovery is an error too.

use std::{
    cell::Cell,
    fs::File,
    io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Once, mpsc},
    thread,
    time::Duration,
};

use super::{Batch, Store, StoreError};

/// The longest that opening may take: a recovery that doesn't end is damage.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// sled's page cache, in bytes.
const CACHE: u64 = 16 << 20;

/// A sled database in a directory of its own.
pub struct SledStore {
    db: Option<sled::Db>,
    dir: PathBuf,
}

impl SledStore {
    /// Opens the database, or makes an empty one.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another process has it, [`StoreError::Damaged`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let config = sled::Config::new().path(dir).cache_capacity(CACHE).flush_every_ms(None);
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            // Nobody waits any more where this fails; the database is closed again by its drop.
            let _ = send.send(quietly(|| config.open()));
        });
        let opened = receive
            .recv_timeout(OPEN_WITHIN)
            .map_err(|_| StoreError::Damaged { what: "opening it does not end".to_owned() })?;
        Ok(Self { db: Some(translate("open the database", opened)?), dir: dir.to_owned() })
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("taken by drop only")
    }

    /// Waits until what was flushed is on the disk itself: the log, the large values, their directory.
    fn sync_files(&self) -> io::Result<()> {
        for dir in [self.dir.clone(), self.dir.join("blobs")] {
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            for entry in entries {
                let path = entry?.path();
                match File::open(&path) {
                    Ok(file) if path.is_file() => file.sync_all()?,
                    // A snapshot that sled replaced in between.
                    Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                    Ok(_) => {}
                }
            }
            File::open(&dir)?.sync_all()?;
        }
        Ok(())
    }
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
        let mut changes = sled::Batch::default();
        for (key, value) in batch.0 {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        let write = || self.db().apply_batch(changes).and_then(|()| self.db().flush().map(drop));
        translate("write the database", quietly(write))?;
        self.sync_files().map_err(|source| StoreError::Io { what: "write the database".to_owned(), source })
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        let db = self.db.take();
        // What was acknowledged is on the disk already; a panic of the engine on its way out is nobody's.
        let _ = quietly(move || drop(db));
    }
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
        Err(_) => Err(StoreError::Damaged { what: format!("can't {what}: its files make no sense") }),
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
