//! What becomes of control files that a run made or changed: out of the way, or as they were, or told of.

use std::{
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::{
    super::place::{Found, Written, open_beneath, stat},
    aside::{move_aside, put},
    before::{Existing, Guard},
    keep::{Kept, parent},
    names::{Opened, WrittenKind, is_unpacked},
    trace::{Touched, Trace},
};
use crate::system;

/// Fewer than a result names, so that those of several repositories are.
const MOST_TOLD: usize = 8;

/// A file that a run wrote, and that others will run or run from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// Where it was written.
    pub path: PathBuf,
    /// What it is.
    pub kind: WrittenKind,
    /// What became of it.
    pub fate: WrittenFate,
}

/// What became of a written file; first what somebody has to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WrittenFate {
    /// It is there, and should not be: it can't be moved.
    Stuck,
    /// It is there.
    Left,
    /// It was moved there.
    Moved(PathBuf),
    /// It is as it was before the run; what the run had made of it is there, and these of its keys were taken back.
    Undone(PathBuf, Vec<String>),
}

/// One place, once everything in it was searched.
pub(super) struct Settling<'a> {
    pub place: &'a Written,
    pub trace: Trace<'a>,
    pub opened: &'a Opened,
    /// The run, for names.
    pub run: &'a str,
    pub files: Vec<WrittenFile>,
}

impl Settling<'_> {
    /// Settles what was met, but for what lies in repositories.
    pub(super) fn control_files(&mut self) {
        for (unit, existing) in &self.trace.before.control {
            if let Guard::Kept(kept) = &existing.guard {
                self.put_back(unit, kept);
            }
        }
        for (unit, touched) in std::mem::take(&mut self.trace.touched) {
            self.touched(&unit, &touched);
        }
    }

    /// What is no control file is told of.
    pub(super) fn others(&mut self) {
        for (path, kind) in std::mem::take(&mut self.trace.others) {
            if !self.trace.repositories.iter().any(|git| *git != Path::new("") && path.starts_with(git)) {
                self.report(&path, kind, WrittenFate::Left);
            }
        }
    }

    fn put_back(&mut self, unit: &Path, kept: &Kept) {
        let place = self.at();
        if kept.is_there(place, unit) || self.parent_is_gone(unit) {
            return;
        }
        let fate = match put(place, unit, self.run, |beside| kept.put_back(place, beside)) {
            Ok(aside) => {
                let aside = aside.map(|path| self.place.path.join(path));
                WrittenFate::Undone(aside.unwrap_or_default(), Vec::new())
            }
            Err(_) => WrittenFate::Stuck,
        };
        self.report(unit, WrittenKind::Control, fate);
    }

    /// A directory that is gone took its control files with it.
    fn parent_is_gone(&self, unit: &Path) -> bool {
        open_beneath(self.at(), unit.parent().unwrap_or(Path::new("")), OFlags::RDONLY | OFlags::DIRECTORY)
            .is_err_and(|error| {
                use std::io::ErrorKind::{NotADirectory, NotFound};
                matches!(error.kind(), NotFound | NotADirectory)
            })
    }

    fn touched(&mut self, unit: &Path, touched: &Touched) {
        if self.opened.whole(&touched.name) {
            return self.inner(unit, touched);
        }
        let Some(found) = self.stat(unit) else { return };
        match self.trace.before.control.get(unit) {
            Some(existing) => self.existing(unit, touched, existing, &found),
            None if self.came_along(unit, &found) => self.tell(unit),
            // A file that names a repository: what it names is looked at where it lies.
            None if touched.name == Path::new(system::GIT) => self.tell(unit),
            None if self.is_known_to_be_new(unit) && !self.is_anothers_work(unit) => self.aside(unit, unit),
            None => self.inner(unit, touched),
        }
    }

    fn existing(&mut self, unit: &Path, touched: &Touched, existing: &Existing, found: &Found) {
        match existing.guard {
            // Who changed it was somebody else, unless it is another one in a directory that is another one.
            Guard::Closed => {
                let dir = self.stat(unit.parent().unwrap_or(Path::new("")));
                if existing.inode != found.inode && dir.is_some_and(|dir| dir.inode != existing.dir) {
                    self.aside(unit, unit);
                }
            }
            Guard::Kept(_) => {}
            Guard::None => self.inner(unit, touched),
        }
    }

    /// Of one of which not all is known, what the run made is moved away, and what it changed is told.
    fn inner(&mut self, unit: &Path, touched: &Touched) {
        let anothers = self.is_anothers_work(unit);
        let mut told = Vec::new();
        for (path, made) in &touched.inner {
            let Some(found) = self.stat(path) else { continue };
            let opened = self.opened.opens(path, unit, &touched.name);
            if found.kind.is_dir() {
                continue;
            } else if opened || !made || anothers {
                told.push(path.clone());
            } else {
                self.aside(path, unit);
            }
        }
        if touched.is_all {
            self.tell_each(&told, unit);
        } else if anothers || self.opened.whole(&touched.name) {
            self.tell(unit);
        } else {
            // What lies there was not all looked at, and not all of it is the run's.
            self.report(unit, WrittenKind::Control, WrittenFate::Stuck);
        }
    }

    /// Whether it lay in a directory that was moved, and is as it was.
    fn came_along(&self, unit: &Path, found: &Found) -> bool {
        self.trace.before.control.values().any(|existing| {
            existing.inode == found.inode
                && match &existing.guard {
                    Guard::Closed => true,
                    Guard::Kept(kept) => kept.is_there(self.at(), unit),
                    Guard::None => false,
                }
        })
    }

    fn is_known_to_be_new(&self, unit: &Path) -> bool {
        let dir = unit.parent().unwrap_or(Path::new(""));
        self.trace.before.knows(dir)
            || self.trace.is_new(dir)
            || self.stat(unit).is_some_and(|found| found.is_made_since(self.trace.since))
    }

    /// Whether it belongs to what the run fetched: a package, or a repository in a directory that was not there.
    fn is_anothers_work(&self, unit: &Path) -> bool {
        is_unpacked(unit)
            || unit.ancestors().skip(1).any(|dir| {
                let git = dir.join(system::GIT);
                self.trace.made.contains(dir) && self.trace.repositories.contains(&git)
            })
    }

    pub(super) fn aside(&mut self, path: &Path, unit: &Path) {
        let fate = match move_aside(self.at(), path, unit, self.run) {
            Ok(moved) => WrittenFate::Moved(self.place.path.join(moved)),
            Err(_) => WrittenFate::Stuck,
        };
        self.report(path, WrittenKind::Control, fate);
    }

    /// So many are told of by what they lie in: one repository can't fill a list in which others are looked for.
    pub(super) fn tell_each(&mut self, paths: &[PathBuf], within: &Path) {
        if paths.len() > MOST_TOLD {
            return self.tell(within);
        }
        for path in paths {
            self.tell(path);
        }
    }

    pub(super) fn tell(&mut self, path: &Path) {
        self.report(path, WrittenKind::Control, WrittenFate::Left);
    }

    pub(super) fn report(&mut self, path: &Path, kind: WrittenKind, fate: WrittenFate) {
        let path = if path == Path::new("") { self.place.path.clone() } else { self.place.path.join(path) };
        self.files.push(WrittenFile { path, kind, fate });
    }

    pub(super) fn at(&self) -> BorrowedFd<'_> {
        self.place.opened.as_fd()
    }

    pub(super) fn has_changed(&self, path: &Path) -> bool {
        self.stat(path).is_some_and(|found| found.changed >= self.trace.since)
    }

    pub(super) fn stat(&self, path: &Path) -> Option<Found> {
        if path == Path::new("") {
            return stat(self.at(), path).ok();
        }
        let (dir, name) = parent(self.at(), path).ok()?;
        stat(dir.as_fd(), name).ok()
    }
}
