//! Runs that overlap: what one of them has made of a place meanwhile is not what was there.
//!
//! A second run that starts while a first one's change stands would take that for the user's, and write it anew once the
//! first one's end has taken it back. So what a run knows is held for as long as it lasts, and a later one takes over
//! what lay there before either.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{
    before::{Existing, Guard, PlaceBefore, Repository, in_git},
    names::Opened,
};
use crate::system;

/// What each run of this process knows, oldest first.
static LIVE: Mutex<Vec<Weak<[PlaceBefore]>>> = Mutex::new(Vec::new());

/// Looks at a run's places. One run looks at a time: between looking and being known of, it has not started yet.
pub(super) fn look(look: impl FnOnce() -> Vec<PlaceBefore>) -> Arc<[PlaceBefore]> {
    let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    live.retain(|run| run.strong_count() > 0);
    let runs: Vec<Arc<[PlaceBefore]>> = live.iter().filter_map(Weak::upgrade).collect();
    let older: Vec<&PlaceBefore> = runs.iter().flat_map(|run| run.iter()).collect();
    let mut found = look();
    for place in &mut found {
        repositories(place, &older);
        control_files(place, &older);
    }
    let found: Arc<[PlaceBefore]> = found.into();
    live.push(Arc::downgrade(&found));
    found
}

/// A repository says what it said at first; one that came meanwhile was not there.
fn repositories(place: &mut PlaceBefore, older: &[&PlaceBefore]) {
    let mut all = std::mem::take(&mut place.repositories);
    all.retain(|git, found| {
        let was = older.iter().find_map(|run| Some((run, run.repository_of(found.inode)?)));
        if let Some((run, was)) = was {
            take_over(found, was, &run.opened);
        }
        was.is_some() || !came_meanwhile(place, git, Path::new(system::GIT), older)
    });
    place.repositories = all;
}

fn take_over(found: &mut Repository, was: &Repository, opened: &Opened) {
    found.names.clone_from(&was.names);
    for (name, text) in &was.texts {
        if !opened.whole(&in_git(name)) {
            found.texts.insert(name, text.clone());
        }
    }
}

/// The same of what is kept to be put back. What mounts close is closed to the later run, whatever it is.
fn control_files(place: &mut PlaceBefore, older: &[&PlaceBefore]) {
    let mut all = std::mem::take(&mut place.control);
    all.retain(|unit, found| {
        !matches!(found.guard, Guard::Kept(_))
            || older.iter().any(|run| run.control.iter().any(|(path, was)| is_one(path, was, unit, found)))
            || !came_meanwhile(place, unit, &found.name, older)
    });
    let kept = kept(place, older);
    all.extend(kept);
    place.control = all;
}

fn is_one(path: &Path, was: &Existing, unit: &Path, found: &Existing) -> bool {
    was.dir == found.dir && path.file_name() == unit.file_name()
}

/// What older runs keep in directories of this place, if the run that came first keeps it.
fn kept(place: &PlaceBefore, older: &[&PlaceBefore]) -> BTreeMap<PathBuf, Existing> {
    let mut all = BTreeMap::new();
    for run in older.iter().rev() {
        for (path, was) in &run.control {
            let Guard::Kept(kept) = &was.guard else { continue };
            let (Some(dir), Some(name)) = (place.path_of(was.dir), path.file_name()) else { continue };
            let guard = Guard::Kept(kept.clone());
            let existing = Existing { inode: was.inode, dir: was.dir, name: was.name.clone(), guard };
            all.insert(dir.join(name), existing);
        }
    }
    all
}

/// Whether an older run knows that there was nothing, and may not have made it itself.
fn came_meanwhile(place: &PlaceBefore, path: &Path, name: &Path, older: &[&PlaceBefore]) -> bool {
    older.iter().any(|run| !run.opened.whole(name) && run.lacked(place, path))
}
