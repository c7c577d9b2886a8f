//! The engine of one machine: a journal, and sorted runs under it.
//!
//! ```text
//! current        which journal and which runs           replaced whole
//! journal-N      what was put and exchanged since       only appended to
//! run-N          objects by id, never changed
//! index/         the writer's index of the runs, in sled  made anew where it was not closed
//! ```
//! Journal and runs are the truth. Whoever reads needs neither the index nor a lock: the files that `current` names are
//! read as they stand. One process writes; who that is, the vault's lock says.

mod current;
mod index;
mod journal;
mod run;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use super::{Object, ObjectId, Rest, Store, StoreError};
use crate::files::FileStamp;
use current::Current;
use index::{Index, Place};
pub use journal::fuzz;
use journal::{Access, Content, Journal, Step, Tail};
use run::{Found, Run, Source};

/// A longer journal becomes a run.
const LONG: u64 = 1 << 20;
/// How often a reader looks again where files are exchanged under it.
const TRIES: usize = 20;

/// The store of a directory.
pub(crate) struct LocalStore {
    dir: PathBuf,
    access: Access,
    state: Mutex<State>,
}

struct State {
    current: Current,
    /// How `current` looked when it was read.
    looked: Option<FileStamp>,
    /// How `current` and the journal looked when they were let go of.
    left: Option<[FileStamp; 2]>,
    journal: Journal,
    /// From the oldest to the newest.
    runs: Vec<Run>,
    index: Indexed,
    /// Nobody has it open: nothing is to be written.
    at_rest: bool,
    /// A write failed: what is on the disk is not known before it is opened anew.
    failed: bool,
}

/// The writer's index. Opened by who makes a run: it would cost every small change more than it saves.
enum Indexed {
    NotYet,
    Open(Index),
    /// It could not be made, or could not keep up: runs are looked up by themselves.
    GivenUp,
}

impl LocalStore {
    /// Makes an empty store in a directory.
    fn create(dir: &Path) -> Result<(), StoreError> {
        Journal::create(&current::journal(dir, 1), 1, &BTreeMap::new())?;
        Current { journal: 1, runs: Vec::new() }.write(dir)
    }

    /// The two files that differ after every exchange; nothing where there is no store.
    pub(crate) fn files(dir: &Path) -> Option<[PathBuf; 2]> {
        let current = Current::read(dir).ok()??;
        Some([current::path(dir), current::journal(dir, current.journal)])
    }

    /// Opens a store for reading, beside whoever writes it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn read(dir: &Path) -> Result<Self, StoreError> {
        let (state, _) = State::open(dir, Access::Read)?;
        Ok(Self { dir: dir.to_owned(), access: Access::Read, state: Mutex::new(state) })
    }

    /// Opens a store for writing, or makes one in an empty directory. The caller sees to it that nobody else does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn write(dir: &Path) -> Result<Self, StoreError> {
        if fs::read_dir(dir).map_err(StoreError::io("read its directory"))?.next().is_none() {
            Self::create(dir)?;
        }
        let (mut state, tail) = State::open(dir, Access::Write)?;
        if tail == Tail::Cut {
            state.journal.cut_tail()?;
        }
        state.clear_away(dir);
        Ok(Self { dir: dir.to_owned(), access: Access::Write, state: Mutex::new(state) })
    }

    /// Reads anew where the files are not those that were let go of: another process has written, or something was put
    /// in their place.
    ///
    /// # Errors
    /// [`StoreError`]: it has to be opened anew.
    pub(crate) fn renew(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.failed {
            return Err(StoreError::damaged("an earlier write failed"));
        }
        let found = look(&self.dir, &state.current);
        if found.is_none() || found != state.left {
            let (anew, tail) = State::open(&self.dir, Access::Write)?;
            *state = anew;
            if tail == Tail::Cut {
                state.journal.cut_tail()?;
            }
        }
        state.at_rest = false;
        Ok(())
    }

    fn writing(&self) -> Result<parking_lot::MutexGuard<'_, State>, StoreError> {
        let denied = |why: &str| std::io::Error::new(std::io::ErrorKind::PermissionDenied, why.to_owned());
        if self.access == Access::Read {
            return Err(StoreError::io("write")(denied("it is open for reading")));
        }
        let state = self.state.lock();
        if state.failed || state.at_rest {
            return Err(StoreError::io("write")(denied(
                "it is not open any more, or an earlier write failed",
            )));
        }
        Ok(state)
    }

    /// What is there now: a reader looks whether the writer went on.
    fn present(&self) -> Result<parking_lot::MutexGuard<'_, State>, StoreError> {
        let mut state = self.state.lock();
        if self.access == Access::Read {
            state.look_again(&self.dir)?;
        }
        Ok(state)
    }
}

impl Store for LocalStore {
    fn get(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        let mut state = self.state.lock();
        match state.get(id)? {
            None if self.access == Access::Read => {
                // It may have been put, or moved to another run, since.
                state.look_again(&self.dir)?;
                state.get(id)
            }
            found => Ok(found),
        }
    }

    fn put(&self, objects: &[Object]) -> Result<(), StoreError> {
        let mut state = self.writing()?;
        let mut steps = Vec::new();
        for object in objects {
            if !state.has(&object.id())? {
                steps.push(Step::Object(object.id(), object.bytes()));
            }
        }
        if steps.is_empty() { Ok(()) } else { state.append(&steps) }
    }

    fn value(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.present()?.journal.content.values.get(key).cloned())
    }

    fn values(&self, prefix: &str) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let state = self.present()?;
        let from = state.journal.content.values.range(prefix.to_owned()..);
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn exchange(&self, key: &str, expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<(), StoreError> {
        let mut state = self.writing()?;
        if state.journal.content.values.get(key).map(Vec::as_slice) != expected {
            return Err(StoreError::Conflict { key: key.to_owned() });
        }
        let step = match new {
            Some(new) => Step::Value(key, new),
            None => Step::NoValue(key),
        };
        let before = state.journal.end;
        state.append(&[step])?;
        // Everything that was put before is in the same file, and on the disk with this; or in a run, which is.
        state.journal.sync().inspect_err(|_| {
            state.failed = true;
            // Not acknowledged: whoever reads beside us shall not see it any longer than can be helped.
            state.journal.take_back(before);
        })
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        Ok(self.present()?.present_ids()?.into_iter().collect())
    }

    fn remove(&self, ids: &[ObjectId]) -> Result<(), StoreError> {
        let mut state = self.writing()?;
        if ids.is_empty() {
            return Ok(());
        }
        let steps: Vec<_> = ids.iter().copied().map(Step::Removed).collect();
        state.append(&steps)
    }

    /// A long journal becomes a run, which what is acknowledged has not waited for; the index is closed, which sled lets
    /// one process have.
    fn rest(&self, how: Rest) {
        let mut state = self.state.lock();
        // Once: whoever let go of it has no lock any more, and others may have written since.
        let rested = std::mem::replace(&mut state.at_rest, true);
        let is_open = matches!(state.index, Indexed::Open(_));
        if self.access == Access::Read || state.failed || (rested && !is_open) {
            return;
        }
        if !rested
            && state.journal.end > LONG
            && let Err(error) = state.turn_over(&self.dir)
        {
            tracing::warn!(%error, "the journal could not be made a run");
            // `current` may name the new files already: what is here is not written to any more.
            state.failed = true;
            state.index = Indexed::GivenUp;
            return;
        }
        if how == Rest::LetGo
            && let Indexed::Open(index) = std::mem::replace(&mut state.index, Indexed::NotYet)
        {
            index.close(&state.in_words());
        }
        state.left = look(&self.dir, &state.current);
    }

    fn check(&self) -> Result<(), StoreError> {
        let state = self.present()?;
        for run in &state.runs {
            run.entries()?;
        }
        for id in state.present_ids()? {
            let bytes =
                state.get(&id)?.ok_or_else(|| StoreError::damaged(format!("the object {id:?} is gone")))?;
            if ObjectId::of(&bytes) != id {
                return Err(StoreError::damaged(format!("the object {id:?} was changed")));
            }
        }
        Ok(())
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        self.rest(Rest::LetGo);
    }
}

impl State {
    fn open(dir: &Path, access: Access) -> Result<(Self, Tail), StoreError> {
        for _ in 0..TRIES {
            let looked = FileStamp::of(&current::path(dir));
            let current = Current::read(dir)?.ok_or_else(|| StoreError::damaged("current is gone"))?;
            match Self::of(dir, access, &current, looked) {
                // Whoever wrote it went on to other files meanwhile.
                Err(StoreError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound
                        && Current::read(dir)?.as_ref() != Some(&current) => {}
                Err(StoreError::Io { what, source }) if source.kind() == std::io::ErrorKind::NotFound => {
                    return Err(StoreError::damaged(format!("{what}: it is gone")));
                }
                opened => return opened,
            }
        }
        Err(StoreError::Busy)
    }

    fn of(
        dir: &Path,
        access: Access,
        current: &Current,
        looked: Option<FileStamp>,
    ) -> Result<(Self, Tail), StoreError> {
        let number = current.journal;
        let (journal, tail) = Journal::open(&current::journal(dir, number), number, access)?;
        let runs = current.runs.iter().map(|run| Run::open(&current::run(dir, *run), *run));
        let runs = runs.collect::<Result<_, _>>()?;
        let state = Self {
            current: current.clone(),
            looked,
            journal,
            runs,
            left: None,
            index: Indexed::NotYet,
            at_rest: false,
            failed: false,
        };
        Ok((state, tail))
    }

    /// What was written since, by another process.
    fn look_again(&mut self, dir: &Path) -> Result<(), StoreError> {
        if FileStamp::of(&current::path(dir)) != self.looked {
            (*self, _) = Self::open(dir, Access::Read)?;
        } else if self.journal.length()? > self.journal.end {
            self.journal.read_on()?;
        }
        Ok(())
    }

    fn append(&mut self, steps: &[Step<'_>]) -> Result<(), StoreError> {
        let appended = self.journal.append(steps);
        self.failed |= appended.is_err();
        appended
    }

    fn get(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(bytes) = self.journal.get(id)? {
            return Ok(Some(bytes));
        }
        let Some((run, at, length)) = self.find(id)? else { return Ok(None) };
        self.runs.iter().find(|open| open.number() == run).map(|open| open.read(at, length)).transpose()
    }

    fn has(&self, id: &ObjectId) -> Result<bool, StoreError> {
        let content = &self.journal.content;
        if content.objects.contains_key(id) || content.removed.contains(id) {
            return Ok(content.objects.contains_key(id));
        }
        // One that the index lacks is put once more, which is no harm.
        if let Indexed::Open(index) = &self.index
            && let Ok(found) = index.get(id)
        {
            return Ok(found.is_some());
        }
        Ok(self.find(id)?.is_some())
    }

    /// Where in the runs an object is.
    fn find(&self, id: &ObjectId) -> Result<Option<(u64, u64, u32)>, StoreError> {
        if let Indexed::Open(index) = &self.index
            && let Ok(Some(Place { run, at, length })) = index.get(id)
        {
            return Ok(Some((run, at, length)));
        }
        for run in self.runs.iter().rev() {
            match run.find(id)? {
                Some(Found::At(at, length)) => return Ok(Some((run.number(), at, length))),
                Some(Found::Gone) => return Ok(None),
                None => {}
            }
        }
        Ok(None)
    }

    /// Every object that is there.
    fn present_ids(&self) -> Result<BTreeSet<ObjectId>, StoreError> {
        let mut ids: BTreeSet<_> = self.run_places()?.into_keys().collect();
        let Content { objects, removed, .. } = &self.journal.content;
        ids.retain(|id| !removed.contains(id));
        ids.extend(objects.keys());
        Ok(ids)
    }

    /// Where the objects of the runs are.
    fn run_places(&self) -> Result<BTreeMap<ObjectId, Place>, StoreError> {
        let mut places = BTreeMap::new();
        for run in &self.runs {
            for (id, found) in run.entries()? {
                match found {
                    Found::At(at, length) => drop(places.insert(id, Place { run: run.number(), at, length })),
                    Found::Gone => drop(places.remove(&id)),
                }
            }
        }
        Ok(places)
    }

    fn open_index(&mut self, dir: &Path) {
        if matches!(self.index, Indexed::NotYet) {
            // An index does without what is damaged.
            let everything = || self.run_places().unwrap_or_default().into_iter().collect();
            let opened = Index::open(dir, &self.in_words(), everything);
            self.index = opened.map_or(Indexed::GivenUp, Indexed::Open);
        }
    }

    /// Has the index take over what the newest run has, and forget what was let go.
    fn index_newest(&mut self, let_go: &HashSet<ObjectId>) {
        let (Indexed::Open(index), Some(newest)) = (&self.index, self.runs.last()) else { return };
        let (mut puts, mut gone) = (Vec::new(), let_go.clone());
        for (id, found) in newest.entries().unwrap_or_default() {
            match found {
                Found::At(at, length) => puts.push((id, Place { run: newest.number(), at, length })),
                Found::Gone => drop(gone.insert(id)),
            }
        }
        if !index.exchange(&puts, &gone) {
            self.index = Indexed::GivenUp;
        }
    }

    /// What an index is an index of.
    fn in_words(&self) -> String {
        format!("{:?}", self.current.runs)
    }

    /// Files that `current` does not name: of a writer that was killed, or of before the last one went on.
    fn clear_away(&self, dir: &Path) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| self.current.leaves_out(name)) {
                // One that stays is in nobody's way.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The journal becomes a run, with as many of the newest runs as are no longer than twice what they are merged
    /// with: so there are few runs, and each object is copied seldom.
    fn turn_over(&mut self, dir: &Path) -> Result<(), StoreError> {
        let number = self.current.journal + 1;
        let mut kept = self.runs.len();
        let mut length = self.journal.end;
        while kept > 0 && self.runs[kept - 1].length < 2 * length {
            kept -= 1;
            length += self.runs[kept].length;
        }
        // Of the runs as they are: what it is then told is what changes.
        self.open_index(dir);
        run::write(&current::run(dir, number), self.merged(kept)?)?;
        let journal = Journal::create(&current::journal(dir, number), number, &self.journal.content.values)?;
        let mut runs = self.current.runs[..kept].to_vec();
        runs.push(number);
        let current = Current { journal: number, runs };
        // Run and journal are on the disk, and their names with `current`, which is written in the same directory.
        current.write(dir)?;
        let opened = Run::open(&current::run(dir, number), number)?;
        self.runs.truncate(kept);
        self.runs.push(opened);
        let before = std::mem::replace(&mut self.journal, journal);
        self.current = current;
        self.looked = FileStamp::of(&current::path(dir));
        self.clear_away(dir);
        self.index_newest(&before.content.removed);
        Ok(())
    }

    /// The journal's objects and those of the runs from `kept` on; what was let go is passed on only where older runs
    /// may have it.
    fn merged(&self, kept: usize) -> Result<BTreeMap<ObjectId, Option<Source<'_>>>, StoreError> {
        let mut objects: BTreeMap<ObjectId, Option<Source<'_>>> = BTreeMap::new();
        for run in &self.runs[kept..] {
            for (id, found) in run.entries()? {
                let source = match found {
                    Found::At(at, length) => Some(Box::new(move || run.read(at, length)) as Source<'_>),
                    Found::Gone => None,
                };
                objects.insert(id, source);
            }
        }
        let Content { objects: here, removed, .. } = &self.journal.content;
        objects.extend(removed.iter().map(|id| (*id, None)));
        for id in here.keys() {
            let id = *id;
            let read = move || {
                self.journal
                    .get(&id)?
                    .ok_or_else(|| StoreError::damaged(format!("the object {id:?} is gone")))
            };
            objects.insert(id, Some(Box::new(read)));
        }
        if kept == 0 {
            objects.retain(|_, source| source.is_some());
        }
        Ok(objects)
    }
}

/// How the files look that every exchange writes.
fn look(dir: &Path, current: &Current) -> Option<[FileStamp; 2]> {
    Some([FileStamp::of(&current::path(dir))?, FileStamp::of(&current::journal(dir, current.journal))?])
}
