//! What was acknowledged, kept beside the engine in the plainest form there is: a base with everything,
//! and every batch since.
//!
//! ```text
//! base-DIGEST   SHA-256 of the rest ‖ one batch with everything
//! journal       SHA-256 of its base ‖ { length ‖ SHA-256 ‖ batch }*      each on the disk before it counts
//! state         "clean BOOT LENGTH": written when the engine was closed, gone while it is open
//! ```
//! Where the engine was not closed (its process was killed, the machine lost power), nothing of its own
//! files is relied on: they are made anew from here. sled 0.34 alone does not stand being killed often:
//! after some hundred SIGKILLs under load its log had a checksum that didn't hold.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::{Batch, StoreError};
use crate::files;

const DIGEST: usize = 32;
/// A journal that is longer, and longer than half of its base, makes way for a new base.
const LONG: u64 = 1 << 20;

/// Everything, by key.
pub(super) type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// The journal of one database, open for appending.
pub(super) struct Journal {
    dir: PathBuf,
    file: File,
    length: u64,
    base_length: u64,
}

/// How the engine was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EngineState {
    /// Closed, since this machine was started.
    Closed,
    /// In the middle of something, or before the machine was started: its files are not to be relied on.
    Open,
}

impl Journal {
    /// Makes the journal of an empty database.
    pub(super) fn create(dir: &Path) -> Result<Self, StoreError> {
        Self::over(dir, &Pairs::new())
    }

    /// Opens the journal that is there, and says how the engine was left; nothing where there is none.
    pub(super) fn open(dir: &Path) -> Result<Option<(Self, EngineState)>, StoreError> {
        let mut options = OpenOptions::new();
        let flags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();
        let opened = options.read(true).write(true).custom_flags(flags).open(path(dir));
        let mut file = match files::regular(opened) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable("journal", error)),
        };
        let length = file.metadata().map_err(|error| failed("read its journal", error))?.len();
        let mut base = [0; DIGEST];
        file.read_exact(&mut base).map_err(|_| damaged("journal is cut"))?;
        let base_length = fs::metadata(base_path(dir, &base))
            .map_err(|_| damaged("the base of its journal is gone, or journal was changed"))?
            .len();
        let state = match files::read_regular(&dir.join(STATE), STATE_MOST) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(unreadable(STATE, error)),
            read => read.ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default(),
        };
        let left = if state == clean(length) {
            EngineState::Closed
        } else if state.starts_with(&clean_begins()) && state.ends_with('\n') {
            return Err(damaged("journal is shorter or longer than it was left"));
        } else {
            EngineState::Open
        };
        Ok(Some((Self { dir: dir.to_owned(), file, length, base_length }, left)))
    }

    /// Everything that was acknowledged. An unfinished batch at the end was not: it is dropped where the
    /// engine was left open, and damage where it was not.
    pub(super) fn load(&mut self, left: EngineState) -> Result<Pairs, StoreError> {
        let mut bytes = Vec::new();
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.read_to_end(&mut bytes))
            .map_err(|error| failed("read its journal", error))?;
        let (base, mut rest) = bytes.split_at_checked(DIGEST).ok_or_else(|| damaged("journal is cut"))?;
        let name = base_path(&self.dir, base);
        let base = files::read_regular(&name, u64::MAX - 1)
            .map_err(|error| unreadable("the base of its journal", error))?;
        let (digest, everything) =
            base.split_at_checked(DIGEST).ok_or_else(|| damaged("the base of its journal is cut"))?;
        if Sha256::digest(everything).as_slice() != digest || base_path(&self.dir, digest) != name {
            return Err(damaged("the base of its journal was changed"));
        }
        let mut pairs = Pairs::new();
        replay(&mut pairs, decode(everything).ok_or_else(|| damaged("the base of its journal is cut"))?);
        let mut whole = DIGEST as u64;
        while !rest.is_empty() {
            match record(rest) {
                Ok((batch, behind)) => {
                    replay(&mut pairs, batch);
                    whole += (rest.len() - behind.len()) as u64;
                    rest = behind;
                }
                Err(Torn::Cut) if left == EngineState::Open => break,
                Err(Torn::Cut) => return Err(damaged("journal is cut")),
                Err(Torn::Changed) => return Err(damaged("journal was changed")),
            }
        }
        if whole < self.length {
            self.truncate(whole)?;
        }
        Ok(pairs)
    }

    /// Puts a batch on the disk. Returns the length before it, for [`Journal::truncate`].
    pub(super) fn append(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        let payload = encode(batch.0.iter().map(|(key, value)| (key.as_slice(), value.as_deref())));
        let mut bytes = Vec::with_capacity(payload.len() + 4 + DIGEST);
        bytes
            .extend(u32::try_from(payload.len()).map_err(|_| damaged("a batch is too large"))?.to_be_bytes());
        bytes.extend(Sha256::digest(&payload));
        bytes.extend(payload);
        let before = self.length;
        let written = self
            .file
            .seek(SeekFrom::Start(before))
            .and_then(|_| self.file.write_all(&bytes))
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.truncate(before)?;
            return Err(failed("write its journal", error));
        }
        self.length += bytes.len() as u64;
        Ok(before)
    }

    /// Takes back what was appended.
    pub(super) fn truncate(&mut self, length: u64) -> Result<(), StoreError> {
        self.file
            .set_len(length)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| failed("take back a batch", error))?;
        self.length = length;
        Ok(())
    }

    /// Whether a new base is due.
    pub(super) fn is_long(&self) -> bool {
        self.length > LONG.max(self.base_length / 2)
    }

    /// A new base of everything, and an empty journal over it. A kill in between leaves the old ones.
    pub(super) fn over(dir: &Path, pairs: &Pairs) -> Result<Self, StoreError> {
        let everything = encode(pairs.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice()))));
        let digest = Sha256::digest(&everything);
        let base = base_path(dir, &digest);
        let write = |path: &Path, bytes: &[u8]| {
            files::write_private(path, bytes).map_err(|error| failed("write the base of its journal", error))
        };
        write(&base, &[digest.as_slice(), &everything].concat())?;
        write(&path(dir), &digest)?;
        let old = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        for old in old.filter(|old| *old != base && name_begins(old, "base-")) {
            // One that stays is in nobody's way.
            let _ = fs::remove_file(old);
        }
        let (journal, _) = Self::open(dir)?.ok_or_else(|| damaged("journal is gone"))?;
        Ok(journal)
    }

    /// From here on the engine is open.
    pub(super) fn engine_opens(&self) -> Result<(), StoreError> {
        match fs::remove_file(self.dir.join(STATE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("open it", error)),
            _ => Ok(()),
        }
    }

    /// The engine was closed, and its files say what the journal says.
    pub(super) fn engine_closed(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(self.dir.join(STATE))?.write_all(clean(self.length).as_bytes())
    }
}

const STATE: &str = "state";
/// A longer one was not written by us.
const STATE_MOST: u64 = 4096;

fn path(dir: &Path) -> PathBuf {
    dir.join("journal")
}

fn base_path(dir: &Path, digest: &[u8]) -> PathBuf {
    dir.join(format!("base-{}", hex::encode(digest)))
}

fn name_begins(path: &Path, with: &str) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(with))
}

fn clean_begins() -> String {
    // What was not synced may be gone after a start of the machine (random(4)).
    let boot = fs::read_to_string(crate::system::BOOT_ID).unwrap_or_default();
    format!("clean {} ", boot.trim())
}

fn clean(length: u64) -> String {
    format!("{}{length}\n", clean_begins())
}

/// What is wrong with a record.
enum Torn {
    /// It ends before its end.
    Cut,
    /// Its digest doesn't hold.
    Changed,
}

fn record(bytes: &[u8]) -> Result<(Batch, &[u8]), Torn> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(Torn::Cut)?;
    let (digest, rest) = rest.split_at_checked(DIGEST).ok_or(Torn::Cut)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Torn::Changed)?;
    let (payload, behind) = rest.split_at_checked(length).ok_or(Torn::Cut)?;
    if Sha256::digest(payload).as_slice() != digest {
        // The last one may have been on its way when the power went.
        return Err(if behind.is_empty() { Torn::Cut } else { Torn::Changed });
    }
    Ok((decode(payload).ok_or(Torn::Changed)?, behind))
}

fn replay(pairs: &mut Pairs, batch: Batch) {
    for (key, value) in batch.0 {
        match value {
            Some(value) => drop(pairs.insert(key, value)),
            None => drop(pairs.remove(&key)),
        }
    }
}

/// `{ key length ‖ key ‖ 0, or 1 ‖ value length ‖ value }*`, lengths in four bytes.
pub(super) fn encode<'a>(changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |part: &[u8]| {
        let length = u32::try_from(part.len()).expect("keys and values are far smaller than 4 GiB");
        bytes.extend(length.to_be_bytes());
        bytes.extend(part);
    };
    for (key, value) in changes {
        put(key);
        put(&[u8::from(value.is_some())]);
        if let Some(value) = value {
            put(value);
        }
    }
    bytes
}

pub(super) fn decode(mut bytes: &[u8]) -> Option<Batch> {
    let mut changes = Vec::new();
    while !bytes.is_empty() {
        let key = part(&mut bytes)?.to_vec();
        let value = match part(&mut bytes)? {
            [0] => None,
            [1] => Some(part(&mut bytes)?.to_vec()),
            _ => return None,
        };
        changes.push((key, value));
    }
    Some(Batch(changes))
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *bytes = rest;
    Some(part)
}

fn failed(what: &str, source: io::Error) -> StoreError {
    StoreError::Io { what: what.to_owned(), source }
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged { what: what.to_owned() }
}

/// Something else in a file's place is damage, not a disk's fault.
fn unreadable(what: &str, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::InvalidData => damaged(&format!("{what} can't be read: {error}")),
        _ => failed(&format!("read {what}"), error),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(changes: &[(u8, Option<u8>)]) -> Batch {
        Batch(changes.iter().map(|(key, value)| (vec![*key], value.map(|value| vec![value; 40]))).collect())
    }

    proptest! {
        #[test]
        fn what_was_appended_is_loaded_wherever_it_is_cut(
            batches in prop::collection::vec(prop::collection::vec((0..6u8, prop::option::of(0..9u8)), 1..4), 0..6),
            cut in 0..2000u64,
            new_base in any::<bool>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut journal = Journal::create(dir.path()).unwrap();
            let mut states = vec![Pairs::new()];
            let mut ends = vec![journal.length];
            for changes in &batches {
                journal.append(&batch(changes)).unwrap();
                let mut next = states.last().unwrap().clone();
                replay(&mut next, batch(changes));
                states.push(next);
                ends.push(journal.length);
            }
            let last = states.last().unwrap().clone();
            if new_base {
                journal = Journal::over(dir.path(), &last).unwrap();
                prop_assert_eq!(journal.load(EngineState::Closed).unwrap(), last);
                return Ok(());
            }
            prop_assert_eq!(&journal.load(EngineState::Closed).unwrap(), &last);
            let cut = cut.clamp(DIGEST as u64, journal.length);
            journal.file.set_len(cut).unwrap();
            let (mut journal, left) = Journal::open(dir.path()).unwrap().unwrap();
            prop_assert_eq!(left, EngineState::Open);
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            prop_assert_eq!(&journal.load(EngineState::Open).unwrap(), &states[whole]);
            prop_assert_eq!(journal.length, ends[whole]);
        }
    }

    #[test]
    fn how_it_was_left_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path()).unwrap();
        let left = || Journal::open(dir.path()).map(|found| found.unwrap().1);
        assert_eq!(left().unwrap(), EngineState::Open);
        journal.append(&batch(&[(1, Some(1))])).unwrap();
        journal.engine_closed().unwrap();
        assert_eq!(left().unwrap(), EngineState::Closed);
        let whole = fs::read(path(dir.path())).unwrap();
        fs::write(path(dir.path()), &whole[..whole.len() - 1]).unwrap();
        assert!(matches!(left(), Err(StoreError::Damaged { .. })), "cut while nobody had it open");
        fs::write(path(dir.path()), &whole).unwrap();
        fs::write(dir.path().join(STATE), "clean another-start 100\n").unwrap();
        assert_eq!(left().unwrap(), EngineState::Open, "of an earlier start of the machine");
        journal.engine_opens().unwrap();
        assert_eq!(left().unwrap(), EngineState::Open);
    }

    #[test]
    fn what_was_changed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path()).unwrap();
        for n in 0..3 {
            journal.append(&batch(&[(n, Some(n))])).unwrap();
        }
        let whole = fs::read(path(dir.path())).unwrap();
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            fs::write(path(dir.path()), &bad).unwrap();
            let read = Journal::open(dir.path()).and_then(|found| found.unwrap().0.load(EngineState::Closed));
            assert!(matches!(read, Err(StoreError::Damaged { .. })), "byte {at}");
        }
    }
}
