//! What control files lie where a run may write, before it starts: found by a bounded search, closed where there are mounts,
//! kept where there are none.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
};

use rustix::fs::{Dir, FileType, Mode, OFlags};

use super::{
    super::place::{Written, open_beneath, stat},
    git_config::{NamedBy, named_files, work_tree},
    keep::{Budget, Kept, text},
    names::{ControlNames, Opened, holds_packages},
};
use crate::system;

/// So many directories of a place are searched, those near its top first, repositories and what is in them included: a few
/// thousandths of a second. What lies beyond is looked at when the run has ended, and told of.
const MOST_DIRECTORIES: usize = 512;
/// The deepest of them.
const DEEPEST: usize = 8;
/// So many files that include one another does git read (`MAX_INCLUDE_DEPTH` in `config.c`).
const DEEPEST_INCLUDE: usize = 10;
/// So many control files are closed: each costs a mount.
const MOST_CLOSED: usize = 128;
/// The longest configuration of a repository that is compared by its keys; a longer one is closed as a whole.
pub(super) const LONGEST_TEXT: usize = 1024 * 1024;
/// The longest path that names where a working tree is (`PATH_MAX` in limits.h), with its line's end.
const LONGEST_PATH: usize = 4096 + 1;

/// What of a repository decides where it lies and what it starts, and is compared by what it says: these can't be closed,
/// since git replaces or removes them (gitrepository-layout(5)).
pub(super) const TEXTS: [&str; 6] =
    ["config", "config.worktree", "commondir", "info/attributes", "info/exclude", "info/grafts"];

/// What git knows a repository by.
pub(super) const NAMES_OF_A_REPOSITORY: [&str; 4] = ["HEAD", "objects", "refs", "commondir"];

/// What can be done about a control file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::run) enum Means {
    /// It is mounted on itself, read-only.
    Mounts,
    /// It is remembered.
    Memory,
}

/// A place as it was.
#[derive(Debug, Default)]
pub(in crate::run) struct PlaceBefore {
    /// What the policy opens.
    pub(super) opened: Opened,
    /// Directories whose every entry is known.
    seen: HashSet<PathBuf>,
    /// Directories in those, and what tells each from another one of its name.
    directories: HashMap<PathBuf, (u64, u64)>,
    pub(super) control: BTreeMap<PathBuf, Existing>,
    pub(super) repositories: BTreeMap<PathBuf, Repository>,
    /// Control files by what names them: a configuration, a link.
    named: HashSet<PathBuf>,
    /// Directories that were not gone into, and repositories in which there are more than were looked at.
    unfinished: HashSet<PathBuf>,
}

/// A control file that was there.
#[derive(Debug)]
pub(super) struct Existing {
    /// How it is called, relative to its project.
    pub name: PathBuf,
    pub inode: (u64, u64),
    /// Of the directory that it lay in.
    pub dir: (u64, u64),
    pub guard: Guard,
}

/// What keeps a control file as it is.
#[derive(Debug)]
pub(super) enum Guard {
    /// Nothing: what is changed is told of.
    None,
    /// A mount.
    Closed,
    /// Its content, to be put back.
    Kept(Kept),
}

/// A repository that was there.
#[derive(Debug)]
pub(super) struct Repository {
    pub inode: (u64, u64),
    /// What [`TEXTS`] said; nothing for one that was not there.
    pub texts: BTreeMap<&'static str, Option<Vec<u8>>>,
    pub names: HashSet<OsString>,
}

impl PlaceBefore {
    /// Searches a place that may be written; first of all on the way to where the run starts.
    pub(in crate::run) fn look(
        place: &Written,
        cwd: Option<&Path>,
        names: &ControlNames,
        opened: &Opened,
        means: Means,
        budget: &mut Budget,
    ) -> Self {
        let mut search = Search::new(place, names, opened, means, budget);
        let start = cwd.and_then(|cwd| cwd.strip_prefix(&place.path).ok());
        for dir in start.into_iter().flat_map(Path::ancestors).filter(|dir| *dir != Path::new("")) {
            search.waiting.push_front((dir.to_owned(), dir.components().count()));
        }
        search.all();
        search.found.opened = opened.clone();
        let top = stat(place.opened.as_fd(), Path::new(""));
        search.found.directories.extend(top.map(|found| (PathBuf::new(), found.inode)));
        search.found
    }

    /// What is to be mounted on itself: (path, whether it may be written). A repository may, and can't be moved away then.
    pub(in crate::run) fn mounts(&self) -> impl Iterator<Item = (&Path, bool)> {
        let closed = self.control.iter().filter(|(_, existing)| matches!(existing.guard, Guard::Closed));
        let closed = closed.map(|(path, _)| (path.as_path(), false));
        let holds = |git: &Path| {
            self.control
                .iter()
                .any(|(path, existing)| matches!(existing.guard, Guard::Closed) && path.parent() == Some(git))
        };
        let held = self.repositories.keys().map(PathBuf::as_path);
        let held = held.filter(move |git| *git != Path::new("") && holds(git)).map(|git| (git, true));
        closed.chain(held)
    }

    /// Whether every entry of a directory is known.
    pub(super) fn knows(&self, dir: &Path) -> bool {
        self.seen.contains(dir)
    }

    /// Whether a directory was there and not gone into: nobody knows what it was.
    pub(super) fn passed(&self, dir: &Path) -> bool {
        self.unfinished.contains(dir)
    }

    /// Whether this directory was there: one of its name may lie there by now. Of what is not gone into nobody knows.
    pub(super) fn knew(&self, dir: &Path, inode: (u64, u64)) -> bool {
        self.directories.get(dir) == Some(&inode)
    }

    /// Where a directory was, by what it is.
    pub(super) fn path_of(&self, inode: (u64, u64)) -> Option<&Path> {
        self.directories.iter().find(|(_, was)| **was == inode).map(|(path, _)| path.as_path())
    }

    /// Whether it is known that there was nothing at a path of a place as it was later.
    pub(super) fn lacked(&self, later: &Self, path: &Path) -> bool {
        for dir in path.ancestors() {
            if let Some(was) = later.directories.get(dir).and_then(|inode| self.path_of(*inode)) {
                return dir != path && self.knows(was);
            }
        }
        false
    }

    /// The control file that a configuration names, or a link, and that a path is or lies in.
    pub(super) fn named(&self, path: &Path) -> Option<PathBuf> {
        path.ancestors().find(|part| self.named.contains(*part)).map(Path::to_path_buf)
    }

    /// Whether a path lies in a repository of which each one in it is known.
    pub(super) fn has_all_in_a_repository(&self, path: &Path) -> bool {
        let mut above = path.ancestors().skip(1);
        let innermost = above.find(|dir| self.repositories.contains_key(*dir));
        innermost.is_some_and(|git| !self.unfinished.contains(git))
    }

    /// A repository by where it was, or by what it is: it may lie elsewhere by now.
    pub(super) fn repository(&self, git: &Path, inode: (u64, u64)) -> Option<&Repository> {
        self.repositories.get(git).filter(|was| was.inode == inode).or_else(|| self.repository_of(inode))
    }

    /// A repository by what it is.
    pub(super) fn repository_of(&self, inode: (u64, u64)) -> Option<&Repository> {
        self.repositories.values().find(|was| was.inode == inode)
    }
}

/// An entry of a directory.
struct Entry {
    name: OsString,
    kind: FileType,
    /// Of a directory: what tells it from another one of its name.
    inode: (u64, u64),
}

struct Search<'a> {
    place: BorrowedFd<'a>,
    path: &'a Path,
    names: &'a ControlNames,
    opened: &'a Opened,
    means: Means,
    waiting: VecDeque<(PathBuf, usize)>,
    budget: &'a mut Budget,
    /// How many directories were looked at.
    looked: usize,
    closed: usize,
    found: PlaceBefore,
}

impl<'a> Search<'a> {
    fn new(
        place: &'a Written,
        names: &'a ControlNames,
        opened: &'a Opened,
        means: Means,
        budget: &'a mut Budget,
    ) -> Self {
        let waiting = VecDeque::from([(PathBuf::new(), 0)]);
        Self {
            place: place.opened.as_fd(),
            path: &place.path,
            names,
            opened,
            means,
            waiting,
            budget,
            looked: 0,
            closed: 0,
            found: PlaceBefore::default(),
        }
    }

    fn all(&mut self) {
        while let Some((dir, depth)) = self.waiting.pop_front() {
            if self.is_spent() {
                self.found.unfinished.insert(dir);
                continue;
            }
            if self.found.seen.contains(&dir) || self.found.repositories.contains_key(&dir) {
                continue;
            }
            if let Some(entries) = self.entries(&dir) {
                self.directory(dir, depth, entries);
            }
        }
    }

    fn is_spent(&self) -> bool {
        self.looked >= MOST_DIRECTORIES
    }

    /// The entries of a directory; nothing where one can't be read, or it is none, or one more than is looked at.
    fn entries(&mut self, dir: &Path) -> Option<Vec<Entry>> {
        if self.is_spent() {
            return None;
        }
        let opened = open_beneath(self.place, dir, OFlags::RDONLY | OFlags::DIRECTORY).ok()?;
        self.looked += 1;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&opened).ok()? {
            let entry = entry.ok()?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let mut kind = entry.file_type();
            let mut inode = (0, 0);
            if matches!(kind, FileType::Unknown | FileType::Directory) {
                let found = stat(opened.as_fd(), Path::new(name)).ok()?;
                (kind, inode) = (found.kind, found.inode);
            }
            entries.push(Entry { name: name.to_owned(), kind, inode });
        }
        Some(entries)
    }

    fn directory(&mut self, dir: PathBuf, depth: usize, entries: Vec<Entry>) {
        if is_repository(entries.iter().map(|entry| entry.name.as_os_str())) {
            return self.repository(&dir, entries);
        }
        for Entry { name, kind, inode } in entries {
            let path = dir.join(&name);
            if kind.is_dir() {
                self.found.directories.insert(path.clone(), inode);
            }
            match self.names.ends(&path).map(Path::to_path_buf) {
                Some(git) if git == Path::new(system::GIT) && kind.is_dir() => match self.entries(&path) {
                    Some(entries) => self.repository(&path, entries),
                    None => drop(self.found.unfinished.replace(path)),
                },
                Some(control) => self.control(&path, &control),
                None if kind.is_dir() && !holds_packages(&path) => match depth < DEEPEST {
                    true => self.waiting.push_back((path, depth + 1)),
                    false => drop(self.found.unfinished.replace(path)),
                },
                None => {}
            }
        }
        self.found.seen.insert(dir);
    }

    /// A control file, if it is there and the policy does not open it.
    fn control(&mut self, path: &Path, name: &Path) {
        if self.opened.whole(name) || self.found.control.contains_key(path) {
            return;
        }
        let (Some(found), Some(dir)) = (self.stat(path), self.stat(path.parent().unwrap_or(Path::new(""))))
        else {
            return;
        };
        if found.0.is_symlink() {
            self.target(path);
        }
        let guard = match self.means {
            _ if self.opened.part_of(name) => Guard::None,
            Means::Mounts if !found.0.is_symlink() && self.closed < MOST_CLOSED => {
                self.closed += 1;
                Guard::Closed
            }
            Means::Mounts | Means::Memory => {
                Kept::take(self.place, path, self.budget).map_or(Guard::None, Guard::Kept)
            }
        };
        let (name, inode, dir) = (name.to_owned(), found.1, dir.1);
        self.found.control.insert(path.to_owned(), Existing { name, inode, dir, guard });
    }

    fn stat(&self, path: &Path) -> Option<(FileType, (u64, u64))> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let dir = open_beneath(self.place, parent, OFlags::RDONLY | OFlags::DIRECTORY).ok()?;
        let found = stat(dir.as_fd(), Path::new(path.file_name().unwrap_or_default())).ok()?;
        Some((found.kind, found.inode))
    }

    /// What a link leads to is what it stands for.
    fn target(&mut self, link: &Path) {
        let target = rustix::fs::readlinkat(self.place, link, Vec::new());
        let dir = link.parent().unwrap_or(Path::new(""));
        if let Some(path) = target.ok().and_then(|target| beneath(dir, OsStr::from_bytes(target.as_bytes())))
        {
            self.named(path);
        }
    }

    fn named(&mut self, path: PathBuf) {
        if self.found.named.insert(path.clone()) {
            let name = path.file_name().unwrap_or_default();
            self.control(&path, Path::new(name));
        }
    }

    /// A repository: its hooks are closed, its configuration is remembered, and so are those of its submodules and of its
    /// other working trees.
    fn repository(&mut self, git: &Path, entries: Vec<Entry>) {
        if self.opened.whole(Path::new(system::GIT)) {
            return;
        }
        let Some((_, inode)) = self.stat(git) else { return };
        let names: HashSet<OsString> = entries.into_iter().map(|entry| entry.name).collect();
        let mut texts = BTreeMap::new();
        for name in TEXTS {
            let path = git.join(name);
            match self.budget.text(self.place, &path, LONGEST_TEXT) {
                Ok(text) => drop(texts.insert(name, Some(text))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => drop(texts.insert(name, None)),
                Err(_) => self.control(&path, &in_git(name)),
            }
        }
        let shares = names.contains(OsStr::new("commondir"));
        if !shares {
            let hooks = in_git(system::GIT_HOOKS);
            if self.means == Means::Mounts
                && !names.contains(OsStr::new(system::GIT_HOOKS))
                && !self.opened.part_of(&hooks)
            {
                // As git itself lays it down: there has to be something to mount on.
                let _ =
                    rustix::fs::mkdirat(self.place, git.join(system::GIT_HOOKS), Mode::from_raw_mode(0o755));
            }
            self.control(&git.join(system::GIT_HOOKS), &hooks);
        }
        self.files_of(git, texts.get("config").and_then(Option::as_deref).unwrap_or_default());
        self.found.repositories.insert(git.to_owned(), Repository { inode, texts, names });
        self.below(git, &git.join("worktrees"), 2);
        self.below(git, &git.join("modules"), 6);
    }

    /// Repositories in a repository: a submodule's lies as deep as its name has parts.
    fn below(&mut self, git: &Path, dir: &Path, depth: usize) {
        if self.is_spent() {
            self.found.unfinished.insert(git.to_owned());
        }
        for Entry { name, kind, .. } in self.entries(dir).into_iter().flatten() {
            let path = dir.join(name);
            if !kind.is_dir() {
                continue;
            }
            if self.found.repositories.len() >= MOST_CLOSED || depth == 0 {
                self.found.unfinished.insert(git.to_owned());
                return;
            }
            match self.entries(&path) {
                Some(entries) if is_repository(entries.iter().map(|entry| entry.name.as_os_str())) => {
                    self.repository(&path, entries);
                }
                _ => self.below(git, &path, depth - 1),
            }
        }
    }

    /// Files that a configuration names.
    fn files_of(&mut self, git: &Path, config: &[u8]) {
        let mut works = vec![git.parent().unwrap_or(Path::new("")).to_path_buf()];
        works.extend(work_tree(config).and_then(|tree| self.leads(git, &tree)));
        works.extend(self.other_trees(git));
        let mut waiting = vec![(git.to_path_buf(), config.to_vec(), 0)];
        while let Some((dir, config, depth)) = waiting.pop() {
            for (by, path) in named_files(&config) {
                match by {
                    NamedBy::HooksPath => {
                        let hooks: Vec<_> = works.iter().filter_map(|work| self.leads(work, &path)).collect();
                        hooks.into_iter().for_each(|hooks| self.named(hooks));
                    }
                    NamedBy::Include => {
                        let Some(file) = self.leads(&dir, &path) else { continue };
                        if depth < DEEPEST_INCLUDE && !self.found.named.contains(&file) {
                            let more = self.budget.text(self.place, &file, LONGEST_TEXT);
                            let dir = file.parent().unwrap_or(Path::new("")).to_path_buf();
                            waiting.extend(more.map(|more| (dir, more, depth + 1)));
                        }
                        self.named(file);
                    }
                }
            }
        }
    }

    /// Where a path that a configuration in a directory names leads, if into the place.
    fn leads(&self, dir: &Path, path: &[u8]) -> Option<PathBuf> {
        let path = Path::new(OsStr::from_bytes(path));
        match path.strip_prefix(self.path) {
            Ok(inner) => beneath(Path::new(""), inner.as_os_str()),
            Err(_) => beneath(dir, path.as_os_str()),
        }
    }

    /// Where the other working trees of a repository are: each is named by a file, as its `.git`.
    fn other_trees(&mut self, git: &Path) -> Vec<PathBuf> {
        let worktrees = git.join("worktrees");
        let Some(trees) = self.entries(&worktrees) else { return Vec::new() };
        let most = MOST_CLOSED.min(MOST_DIRECTORIES - self.looked);
        self.looked += trees.len().min(most);
        let tree = |entry: Entry| {
            let (named, _) =
                text(self.place, &worktrees.join(&entry.name).join("gitdir"), LONGEST_PATH).ok()?;
            let file = self.leads(&worktrees.join(entry.name), named.trim_ascii())?;
            file.parent().map(Path::to_path_buf)
        };
        trees.into_iter().take(most).filter_map(tree).collect()
    }
}

/// Which of the names that make a directory a repository this one is, on a file system that may not tell capitals apart.
pub(in crate::run) fn name_of_a_repository(name: &OsStr) -> Option<usize> {
    NAMES_OF_A_REPOSITORY.iter().position(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a directory with these entries is taken for a repository by git (`is_git_directory` in `setup.c`).
pub(super) fn is_repository<'a>(names: impl Iterator<Item = &'a OsStr>) -> bool {
    let mut has = [false; NAMES_OF_A_REPOSITORY.len()];
    for known in names.filter_map(name_of_a_repository) {
        has[known] = true;
    }
    let [head, objects, refs, common] = has;
    head && (objects && refs || common)
}

/// What a policy calls something in a repository, wherever that lies.
pub(super) fn in_git(name: &str) -> PathBuf {
    Path::new(system::GIT).join(name)
}

/// Where a relative path leads from a directory of a place, if it stays in that.
pub(super) fn beneath(dir: &Path, path: &OsStr) -> Option<PathBuf> {
    let mut found = dir.to_path_buf();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => found.push(name),
            Component::CurDir => {}
            Component::ParentDir if found.pop() => {}
            _ => return None,
        }
    }
    Some(found).filter(|found| *found != Path::new(""))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::keep::MOST_KEPT, *};

    fn look(dir: &Path, cwd: Option<&Path>, opened: &[&str], means: Means) -> PlaceBefore {
        let place = Written::open(&fs::canonicalize(dir).unwrap()).unwrap().unwrap();
        let opened = Opened(opened.iter().map(PathBuf::from).collect());
        PlaceBefore::look(&place, cwd, &ControlNames::default(), &opened, means, &mut Budget::default())
    }

    fn repository(dir: &Path, config: &str) {
        for name in ["objects", "refs"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        fs::write(dir.join("HEAD"), "ref: refs/heads/x").unwrap();
        fs::write(dir.join("config"), config).unwrap();
    }

    fn mounts(before: &PlaceBefore) -> Vec<(String, bool)> {
        let mut mounts: Vec<_> =
            before.mounts().map(|(path, writable)| (path.display().to_string(), writable)).collect();
        mounts.sort();
        mounts
    }

    #[test]
    fn what_is_there_is_closed_and_repositories_are_held() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        repository(&at(".git"), "[core]\n\thooksPath = tools/hooks\n[include]\n\tpath = ../more\n");
        repository(&at(".git/modules/a/b"), "");
        repository(&at("bare"), "");
        for name in [".idea", "sub/.cargo", "tools/hooks", "node_modules/x/.idea"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for name in [".envrc", "more", "sub/.cargo/config.toml", "sub/.gitlab-ci.yml", "sub/.bashrc"] {
            fs::write(at(name), "x").unwrap();
        }
        let found = mounts(&look(dir.path(), None, &[".idea"], Means::Mounts));
        let closed = [
            ".envrc",
            ".git/hooks",
            ".git/modules/a/b/hooks",
            "bare/hooks",
            "more",
            "sub/.cargo/config.toml",
            "sub/.gitlab-ci.yml",
            "tools/hooks",
        ];
        let held = [".git", ".git/modules/a/b", "bare"];
        let mut expected: Vec<(String, bool)> = closed
            .iter()
            .map(|name| ((*name).to_owned(), false))
            .chain(held.map(|name| (name.to_owned(), true)))
            .collect();
        expected.sort();
        assert_eq!(found, expected);
        assert!(at(".git/hooks").is_dir(), "as git itself makes it");
        assert!(mounts(&look(dir.path(), None, &[], Means::Memory)).is_empty());
        let open = mounts(&look(dir.path(), None, &[".git"], Means::Mounts));
        assert!(open.iter().all(|(path, _)| !path.contains(".git/") && path != ".git"), "{open:?}");
    }

    #[test]
    fn what_a_configuration_names_is_closed_wherever_it_names_it_from() {
        let dir = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        let at = |name: &str| dir.join(name);
        let config = format!("[include]\n\tpath = ../one\n\tpath = {}\n", at("absolute").display());
        repository(&at("a/.git"), &config);
        repository(&at("b/.git"), &format!("[core]\n\thooksPath = {}/tools\n", dir.display()));
        repository(&at("c"), "[core]\n\tworktree = ../tree\n\thooksPath = hooks-of-it\n");
        for name in ["tools", "tree/hooks-of-it", "a/own", "beside/own", "a/.git/worktrees/w"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("a/one"), "[include]\n\tpath = more/two\n").unwrap();
        fs::create_dir(at("a/more")).unwrap();
        fs::write(at("a/more/two"), "[core]\n\thooksPath = own\n[include]\n\tpath = two\n").unwrap();
        fs::write(at("absolute"), "x").unwrap();
        fs::write(at("a/.git/worktrees/w/gitdir"), format!("{}\n", at("beside/.git").display())).unwrap();
        let found = mounts(&look(&dir, None, &[], Means::Mounts));
        for name in ["absolute", "a/one", "a/more/two", "a/own", "beside/own", "tools", "tree/hooks-of-it"] {
            assert!(found.contains(&(name.to_owned(), false)), "{name}: {found:?}");
        }
    }

    #[test]
    fn a_repository_is_one_in_capitals_too() {
        let is = |names: &[&str]| is_repository(names.iter().map(OsStr::new));
        assert!(is(&["head", "OBJECTS", "Refs"]) && is(&["HEAD", "CommonDir"]) && !is(&["HEAD", "objects"]));
    }

    #[test]
    fn repositories_are_bounded_and_so_is_what_is_kept_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        for number in 0..MOST_DIRECTORIES + 50 {
            let git = dir.join(format!("{number:04}"));
            repository(&git, "");
            fs::create_dir(git.join("info")).unwrap();
            fs::File::create(git.join("info/exclude")).unwrap().set_len(LONGEST_TEXT as u64).unwrap();
        }
        for means in [Means::Mounts, Means::Memory] {
            let before = look(&dir, None, &[], means);
            assert_eq!(before.repositories.len(), MOST_DIRECTORIES - 1, "{means:?}: beside the place itself");
            let kept = before.repositories.values().flat_map(|git| git.texts.values().flatten());
            assert_eq!(kept.map(Vec::len).sum::<usize>(), MOST_KEPT, "{means:?}");
            let mut all = (0..MOST_DIRECTORIES + 50).map(|number| PathBuf::from(format!("{number:04}")));
            assert!(
                all.all(|git| before.repositories.contains_key(&git) || before.passed(&git)),
                "{means:?}"
            );
        }
    }

    #[test]
    fn in_a_repository_of_which_not_all_was_looked_at_nobody_knows() {
        let dir = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        repository(&dir.join(".git"), "");
        repository(&dir.join(".git/modules/a"), "");
        for number in 0..=MOST_CLOSED {
            repository(&dir.join(format!(".git/modules/a/modules/{number}")), "");
        }
        let before = look(&dir, None, &[], Means::Memory);
        assert!(!before.has_all_in_a_repository(Path::new(".git/modules/a/modules/new")));
        let inner = before.repositories.keys().find(|git| git.starts_with(".git/modules/a/modules")).unwrap();
        assert!(before.has_all_in_a_repository(&inner.join("modules/new")));
    }

    #[test]
    fn the_search_is_bounded_and_begins_where_the_run_does() {
        let dir = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        for number in 0..MOST_DIRECTORIES + 50 {
            fs::create_dir(dir.join(format!("{number:04}"))).unwrap();
        }
        let last = dir.join("last/of/all");
        fs::create_dir_all(&last).unwrap();
        fs::write(last.join(".envrc"), "x").unwrap();
        let before = look(&dir, Some(&last), &[], Means::Mounts);
        assert_eq!(before.seen.len(), MOST_DIRECTORIES);
        assert_eq!(mounts(&before), [("last/of/all/.envrc".to_owned(), false)]);
        let mut deep = dir.join("deep");
        for _ in 0..=DEEPEST {
            deep.push("d");
        }
        fs::create_dir_all(&deep).unwrap();
        assert!(!look(&dir, None, &[], Means::Mounts).knows(deep.strip_prefix(&dir).unwrap()));
    }
}
