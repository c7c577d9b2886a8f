//! What a run wrote that others will run, as it is met while everything that changed is searched.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsStr,
    path::{Path, PathBuf},
};

use rustix::fs::Mode;

use super::{
    super::place::{Found, Moment},
    before::{PlaceBefore, is_repository},
    names::{
        ControlNames, WrittenKind, is_checked, is_configuration, is_in_program_dir, is_run_by_python,
        is_unpacked,
    },
};
use crate::system;

/// More is counted, and not kept: nobody reads so many.
const MOST_NOTED: usize = 4096;

/// What was met in one place.
pub(in crate::run) struct Trace<'a> {
    pub(super) before: &'a PlaceBefore,
    pub(super) names: &'a ControlNames,
    pub(super) since: Moment,
    /// Directories that the run made.
    pub(super) made: HashSet<PathBuf>,
    /// Directories that came from elsewhere, and what lies in them.
    arrived: HashSet<PathBuf>,
    /// Whether the directory that is looked at is one of either.
    here_is_new: bool,
    pub(super) touched: BTreeMap<PathBuf, Touched>,
    pub(super) repositories: Vec<PathBuf>,
    /// Directories that are called as a repository is, and lack what makes one: it can be added later.
    pub(super) would_be: Vec<PathBuf>,
    pub(super) others: Vec<(PathBuf, WrittenKind)>,
    pub(super) more: usize,
}

/// What changed of a control file.
pub(super) struct Touched {
    /// How it is called, relative to its project.
    pub name: PathBuf,
    /// What changed in it, and whether the run made that.
    pub inner: Vec<(PathBuf, bool)>,
    /// Whether that is all that changed in it.
    pub is_all: bool,
}

impl<'a> Trace<'a> {
    pub(super) fn new(before: &'a PlaceBefore, names: &'a ControlNames, since: Moment) -> Self {
        Self {
            before,
            names,
            since,
            made: HashSet::new(),
            arrived: HashSet::new(),
            here_is_new: false,
            touched: BTreeMap::new(),
            repositories: Vec::new(),
            would_be: Vec::new(),
            others: Vec::new(),
            more: 0,
        }
    }

    /// A directory is about to be gone through.
    pub(in crate::run) fn enter(&mut self, dir: &Path) {
        self.here_is_new = self.is_new(dir);
    }

    /// A directory has these entries.
    pub(in crate::run) fn leave<'b>(&mut self, dir: &Path, names: impl Iterator<Item = &'b OsStr>) {
        if is_repository(names) {
            self.repositories.push(dir.to_owned());
        } else if dir.file_name().is_some_and(|name| name.eq_ignore_ascii_case(system::GIT)) {
            self.would_be.push(dir.to_owned());
        }
    }

    /// An entry of that directory, which changed or did not; `script` where it begins as scripts do.
    pub(in crate::run) fn entry(&mut self, path: &Path, found: &Found, script: bool) {
        let changed = found.changed >= self.since;
        if !changed && !self.here_is_new {
            return;
        }
        let made = found.is_made_since(self.since);
        if found.kind.is_dir() {
            self.directory(path, made, found.inode);
        }
        match self.unit(path) {
            Some((unit, name)) if name == Path::new(system::GIT) && (unit != path || found.kind.is_dir()) => {
            }
            Some((unit, name)) => {
                let new = || Touched { name, inner: Vec::new(), is_all: true };
                let touched = self.touched.entry(unit).or_insert_with(new);
                if touched.inner.len() < MOST_NOTED {
                    touched.inner.push((path.to_owned(), made));
                } else {
                    touched.is_all = false;
                }
            }
            None => self.other(path, found, script),
        }
    }

    /// A directory that was not there is one that the run made, or moved here, if over another one's name.
    fn directory(&mut self, path: &Path, made: bool, inode: (u64, u64)) {
        let parent = path.parent().unwrap_or(Path::new(""));
        if made {
            self.made.insert(path.to_owned());
        } else if self.here_is_new || self.before.knows(parent) && !self.before.knew(path, inode) {
            self.arrived.insert(path.to_owned());
        }
    }

    /// Whether a directory was not where it is.
    pub(super) fn is_new(&self, dir: &Path) -> bool {
        self.made.contains(dir) || self.arrived.contains(dir)
    }

    fn unit(&self, path: &Path) -> Option<(PathBuf, PathBuf)> {
        let by_name = self.names.holding(path).map(|(unit, name)| (unit.to_owned(), name.to_owned()));
        by_name.or_else(|| {
            let unit = self.before.named(path)?;
            let name = PathBuf::from(unit.file_name()?);
            Some((unit, name))
        })
    }

    /// What is no control file, and run all the same.
    fn other(&mut self, path: &Path, found: &Found, script: bool) {
        let placed = is_in_program_dir(path);
        let name = path.file_name().unwrap_or_default();
        let named = is_configuration(name) && !is_unpacked(path) || is_run_by_python(path);
        let executable =
            script || found.mode.intersects(Mode::XUSR | Mode::XGRP | Mode::XOTH) && !found.kind.is_symlink();
        let kind = match found.kind {
            kind if !kind.is_file() && !kind.is_symlink() => return,
            _ if named => WrittenKind::Config,
            _ if placed || executable && !is_checked(path) => WrittenKind::Program,
            _ => return,
        };
        if self.others.len() < MOST_NOTED {
            self.others.push((path.to_owned(), kind));
        } else {
            self.more += 1;
        }
    }
}
