//! What a run made of repositories: configuration without what starts programs, hooks out of the way or told of.

use std::{
    collections::{BTreeSet, HashSet},
    ffi::{OsStr, OsString},
    io,
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::fs::Mode;

use super::{
    aside::{move_aside, put},
    before::{Guard, LONGEST_TEXT, Repository, TEXTS, beneath, in_git},
    git_config,
    keep::{create, names, parent, text},
    names::WrittenKind,
    settle::{Settling, WrittenFate},
};
use crate::system;

/// What a written text of a repository comes to.
enum Verdict {
    Stays,
    /// Not known as it was: it is told of.
    Told,
    /// It says this from now on, or nothing; these of its keys were taken back.
    Becomes(Option<Vec<u8>>, Vec<String>),
}

/// What becomes of hooks.
enum Become {
    Told,
    Moved,
}

/// How much is known of a repository from before.
enum Known<'a> {
    /// The run made it.
    Made,
    /// It lies where this one was.
    Instead(&'a Repository),
    Was(&'a Repository),
    /// It was beyond what was searched.
    Not,
}

impl Settling<'_> {
    /// Settles every repository in the place: what is one now, what was one, and what is called so. One whose `HEAD` is
    /// away at the run's end is one again once that is back.
    pub(super) fn repositories(&mut self) {
        if self.opened.whole(Path::new(system::GIT)) {
            return;
        }
        let found = self.trace.repositories.iter().chain(&self.trace.would_be);
        let all: BTreeSet<PathBuf> = found.chain(self.trace.before.repositories.keys()).cloned().collect();
        for git in all {
            self.repository(&git);
        }
    }

    fn repository(&mut self, git: &Path) {
        let before = self.trace.before;
        let (Some(found), Ok(entries)) = (self.stat(git), names(self.at(), git)) else { return };
        let entries: HashSet<OsString> = entries.map(PathBuf::into_os_string).collect();
        let known = match before.repository(git, found.inode) {
            Some(was) => Known::Was(was),
            None => match before.repositories.get(git) {
                Some(was) => Known::Instead(was),
                None if self.is_new_at(git) => Known::Made,
                None => Known::Not,
            },
        };
        for name in TEXTS {
            if !self.opened.whole(&in_git(name)) {
                self.text(git, name, &known);
            }
        }
        if !self.opened.whole(&in_git(system::GIT_HOOKS)) {
            self.hooks(git, &known);
        }
        self.strange(git, &entries, &known);
    }

    fn is_new_at(&self, git: &Path) -> bool {
        let dir = git.parent().unwrap_or(Path::new(""));
        let before = self.trace.before;
        git == Path::new("")
            || self.trace.is_new(git)
            || self.trace.is_new(dir)
            || before.knows(dir) && !before.passed(git)
            // Of a repository's own, as `.git/modules/x`, where that one is known.
            || before.has_all_in_a_repository(git)
    }

    fn text(&mut self, git: &Path, name: &'static str, known: &Known<'_>) {
        let path = git.join(name);
        match self.verdict(git, name, known) {
            Verdict::Stays => {}
            Verdict::Told => self.tell(&path),
            Verdict::Becomes(text, keys) => match self.replace(&path, text.as_deref()) {
                Ok(aside) if text.is_some() => {
                    self.report(&path, WrittenKind::Control, WrittenFate::Undone(aside, keys));
                }
                Ok(aside) => self.report(&path, WrittenKind::Control, WrittenFate::Moved(aside)),
                Err(_) => self.report(&path, WrittenKind::Control, WrittenFate::Stuck),
            },
        }
    }

    fn verdict(&self, git: &Path, name: &str, known: &Known<'_>) -> Verdict {
        let path = git.join(name);
        let changed = self.has_changed(&path);
        let before = match known {
            Known::Was(was) | Known::Instead(was) => match was.texts.get(name) {
                Some(before) => before.as_deref(),
                None => match (self.guard(&path), known) {
                    (Some(Guard::Kept(_)), _) | (Some(Guard::Closed), Known::Was(_)) => {
                        return Verdict::Stays;
                    }
                    (_, Known::Instead(_)) => None,
                    _ if changed => return Verdict::Told,
                    _ => return Verdict::Stays,
                },
            },
            // Whenever it was written: it may have become one by what was missing.
            Known::Made => None,
            Known::Not if changed || self.has_become_one(git, name) => return Verdict::Told,
            Known::Not => return Verdict::Stays,
        };
        let now = match text(self.at(), &path, LONGEST_TEXT) {
            Ok((now, _)) => now,
            Err(error) if error.kind() == io::ErrorKind::NotFound && before.is_none() => {
                return Verdict::Stays;
            }
            Err(_) => return Verdict::Becomes(before.map(<[u8]>::to_vec), Vec::new()),
        };
        if before == Some(now.as_slice()) {
            return Verdict::Stays;
        }
        let restored = || Verdict::Becomes(before.map(<[u8]>::to_vec), Vec::new());
        if name.starts_with("info/") {
            // In a repository of the run's own they name nothing that is started.
            return if matches!(known, Known::Made) { Verdict::Stays } else { restored() };
        }
        if name != "commondir" {
            return match git_config::undo(before.unwrap_or_default(), &now, &|path| is_submodules(git, path))
            {
                None => Verdict::Stays,
                Some(undone) => Verdict::Becomes(Some(undone.text), undone.keys),
            };
        }
        // A working tree beside the first: what it shares is in the repository that it lies in.
        let beside = git.parent().and_then(Path::file_name) == Some(OsStr::new("worktrees"));
        if before.is_none() && beside && now.trim_ascii() == b"../.." {
            return Verdict::Stays;
        }
        restored()
    }

    /// Whether a repository that nobody knew may have become one just now, and what it says starts something.
    fn has_become_one(&self, git: &Path, name: &str) -> bool {
        name.starts_with("config")
            && self.has_changed(&git.join("HEAD"))
            && text(self.at(), &git.join(name), LONGEST_TEXT)
                .is_ok_and(|(now, _)| git_config::undo(b"", &now, &|_| false).is_some())
    }

    /// Moves what lies there away, if anything does, with a text in its place if there is one; where it was moved to.
    fn replace(&self, path: &Path, text: Option<&[u8]>) -> io::Result<PathBuf> {
        let mode = self.stat(path).map(|found| found.mode);
        let Some(text) = text else {
            return move_aside(self.at(), path, path, self.run).map(|aside| self.place.path.join(aside));
        };
        let mode = mode.unwrap_or(Mode::from_raw_mode(0o644)) & Mode::from_raw_mode(0o666);
        let aside = put(self.at(), path, self.run, |beside| {
            let (dir, name) = parent(self.at(), beside)?;
            create(dir.as_fd(), name, text, mode | Mode::RUSR | Mode::WUSR)
        });
        Ok(aside?.map_or_else(PathBuf::new, |aside| self.place.path.join(aside)))
    }

    /// Hooks. Where they are closed, or were put back, there is nothing more to do.
    fn hooks(&mut self, git: &Path, known: &Known<'_>) {
        let dir = git.join(system::GIT_HOOKS);
        let fate = match (self.guard(&dir), known) {
            (Some(Guard::Kept(_)), _) | (Some(Guard::Closed), Known::Was(_)) => return,
            (_, Known::Made | Known::Not) | (Some(Guard::None), _) => Become::Told,
            (_, Known::Instead(_)) | (None, Known::Was(_)) => Become::Moved,
        };
        let all = matches!(known, Known::Made | Known::Instead(_));
        let mut hooks = self.hooks_in(&dir);
        hooks.retain(|hook| all || self.has_changed(hook));
        match fate {
            Become::Told => self.tell_each(&hooks, &dir),
            Become::Moved => hooks.iter().for_each(|hook| self.aside(hook, &dir)),
        }
    }

    fn guard(&self, path: &Path) -> Option<&Guard> {
        self.trace.before.control.get(path).map(|existing| &existing.guard)
    }

    /// The hooks that git would run.
    fn hooks_in(&self, dir: &Path) -> Vec<PathBuf> {
        let Some(found) = self.stat(dir) else { return Vec::new() };
        let inert = |hook: &PathBuf| hook.as_os_str().as_bytes().ends_with(system::GIT_INERT_HOOK.as_bytes());
        match names(self.at(), dir) {
            Ok(hooks) if found.kind.is_dir() => {
                hooks.filter(|hook| !inert(hook)).map(|hook| dir.join(hook)).collect()
            }
            // A link to hooks that lie elsewhere.
            _ => vec![dir.to_owned()],
        }
    }

    /// What git itself does not lay down there.
    fn strange(&mut self, git: &Path, entries: &HashSet<OsString>, known: &Known<'_>) {
        let is_new = |name: &OsString| match known {
            Known::Was(was) => !was.names.contains(name),
            Known::Made | Known::Instead(_) => true,
            Known::Not => self.has_changed(&git.join(name)),
        };
        let is_gits = |name: &OsStr| {
            let name = name.as_bytes();
            name.ends_with(b".lock") || system::GIT_OWN.iter().any(|own| name.starts_with(own.as_bytes()))
        };
        let strange = entries.iter().filter(|name| !is_gits(name) && is_new(name));
        let strange: Vec<PathBuf> = strange.map(|name| git.join(name)).collect();
        self.tell_each(&strange, git);
    }
}

/// Whether a path leads from a submodule's repository to the tree that it is part of.
fn is_submodules(git: &Path, tree: &[u8]) -> bool {
    let of = git.ancestors().find(|part| part.file_name() == Some(OsStr::new(system::GIT)));
    let (Some(of), Some(tree)) = (of.filter(|of| *of != git), beneath(git, OsStr::from_bytes(tree))) else {
        return false;
    };
    of.parent().is_some_and(|top| tree.starts_with(top) && tree != top) && !tree.starts_with(of)
}
