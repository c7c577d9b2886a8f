//! What a contained run sees of the file system: a list of places, worked out before anything is set up.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    home,
    place::{PathRule, Seen},
    plan::SandboxBackend,
};
use crate::{
    policy::{CWD, SandboxTerms},
    system,
};

/// Where a program and its libraries lie beside a directory of `[env] path` that is called `bin`.
const BESIDE_BIN: [&str; 4] = ["lib", "lib64", "libexec", "pyvenv.cfg"];

/// Why a run can't be shown what its policy names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// A path of the policy is part of the vault.
    #[error("{} belongs to the vault, which no run sees", .0.display())]
    OutOfReach(PathBuf),
    /// A path to be written isn't there.
    #[error("{} isn't there, or can't be made", .0.display())]
    NoSuchPlace(PathBuf),
    /// Something that no run sees lies where it may write, and there are no mounts to cover it.
    #[error("{} is where the run may write, and can't be kept from it without namespaces", .0.display())]
    CantHide(PathBuf),
}

/// What the view is made of.
pub(crate) struct Wanted<'a> {
    pub terms: &'a SandboxTerms,
    /// The directories of `[env] path`.
    pub path: &'a [PathBuf],
    /// Where the run starts, unless in a private directory; canonical.
    pub cwd: Option<&'a Path>,
    /// The user's home, where the policy gives it: what of it may be shown is.
    pub home: Option<&'a Path>,
    /// The user's home, whether the policy gives it or not.
    pub user_home: &'a Path,
    /// The program as it is started.
    pub program: &'a Path,
    /// Files of which a copy is seen, and their SHA-256: what is started is what was digested.
    pub copies: &'a [(PathBuf, [u8; 32])],
    /// Whether there are namespaces.
    pub shape: SandboxBackend,
    /// Credentials, clients' configurations: not seen unless the policy names them.
    pub hidden: &'a [PathBuf],
    /// Settings of the home with a login in them: not seen where it is shown, unless the policy names them.
    pub settings: &'a [PathBuf],
    /// The same in a project, whose directory is shown whole: it is worked in while runs last.
    pub covered: &'a [PathBuf],
    /// What of the system others may not read: not seen unless it is a place of the run.
    pub closed: &'a [PathBuf],
    /// The vault and the daemon's sockets: never seen.
    pub never: &'a [PathBuf],
    /// Sockets that the run is given.
    pub given: &'a [PathBuf],
}

/// Works out the places, shallow ones first, so that a deeper one lies on top of what holds it.
///
/// # Errors
/// [`ViewError::OutOfReach`] for a path of the policy that is part of the vault; [`ViewError::NoSuchPlace`] for
/// one to be written that isn't there and can't be made; [`ViewError::CantHide`] for something to be hidden in a
/// place that may be written, where there are no mounts.
pub(crate) fn places(wanted: &Wanted<'_>) -> Result<Vec<PathRule>, ViewError> {
    let mut view = View { places: BTreeMap::new(), wanted };
    view.read_only(wanted.path.iter().cloned())?;
    for beside in wanted.path.iter().flat_map(|dir| beside_programs(dir)) {
        view.beside(beside)?;
    }
    if let Some(home) = wanted.home {
        view.home(home)?;
    }
    view.read_only(wanted.cwd.iter().map(|cwd| cwd.to_path_buf()))?;
    let named = |paths: &[PathBuf]| -> Vec<PathBuf> {
        paths.iter().filter_map(|path| in_cwd(path, wanted.cwd)).collect()
    };
    let (read, write) = (named(&wanted.terms.read), named(&wanted.terms.write));
    view.read_only(read.iter().cloned())?;
    for path in &write {
        view.writable(path)?;
    }
    view.program();
    if let Some(home) = wanted.home {
        view.places.entry(home.to_owned()).or_insert(Seen::Parts);
    }
    view.hide(&read, &write)?;
    view.put(wanted.given.iter().cloned(), &Seen::Read);
    for (path, sha256) in wanted.copies {
        view.places.insert(path.clone(), Seen::Copy(*sha256));
    }
    Ok(view.places.into_iter().map(|(path, seen)| PathRule { path, seen, inode: None }).collect())
}

/// What a run is shown to be read beside the system's directories, where it is known without looking.
pub(crate) fn read_only(
    terms: &SandboxTerms,
    path: &[PathBuf],
    cwd: Option<&Path>,
    home: Option<&Path>,
    program: &Path,
) -> Vec<PathBuf> {
    let mut places = path.to_vec();
    places.extend(path.iter().flat_map(|dir| beside_programs(dir)));
    places.extend(terms.read.iter().filter_map(|path| in_cwd(path, cwd)));
    places.extend(home.into_iter().chain(cwd).map(Path::to_path_buf));
    places.extend((!system::is_read(program)).then(|| program.to_owned()));
    places
}

struct View<'a> {
    /// By path: a place comes before what lies in it.
    places: BTreeMap<PathBuf, Seen>,
    wanted: &'a Wanted<'a>,
}

impl View<'_> {
    fn read_only(&mut self, paths: impl Iterator<Item = PathBuf>) -> Result<(), ViewError> {
        for path in paths {
            self.within_reach(&path)?;
            if path.exists() {
                self.places.entry(path).or_insert(Seen::Read);
            }
        }
        Ok(())
    }

    /// Of the home only what is listed. A link among that is shown with the file that it leads to, if that is in the
    /// home and not hidden.
    fn home(&mut self, home: &Path) -> Result<(), ViewError> {
        for path in home::listed(home) {
            let Ok(target) = fs::read_link(&path) else {
                self.read_only(std::iter::once(path))?;
                continue;
            };
            let unseen = self.wanted.hidden.iter().chain(self.wanted.settings).chain(self.wanted.never);
            let real = fs::canonicalize(&path).ok().filter(|real| real.starts_with(home) && real.is_file());
            if let Some(real) = real.filter(|real| !unseen.into_iter().any(|unseen| real.starts_with(unseen)))
            {
                self.places.entry(path).or_insert(Seen::Link(target));
                self.read_only(std::iter::once(real))?;
            }
        }
        Ok(())
    }

    /// What belongs to a directory of programs. A link there stays one, as `lib64` of a virtual environment is: it leads
    /// where it leads inside, and nothing is shown by way of it.
    fn beside(&mut self, path: PathBuf) -> Result<(), ViewError> {
        match fs::read_link(&path) {
            Ok(target) => {
                self.within_reach(&path)?;
                self.places.entry(path).or_insert(Seen::Link(target));
                Ok(())
            }
            Err(_) => self.read_only(std::iter::once(path)),
        }
    }

    /// The last part of the path may be missing, and is made: what a build writes is not there before it.
    fn writable(&mut self, path: &Path) -> Result<(), ViewError> {
        self.within_reach(path)?;
        if fs::symlink_metadata(path).is_err() && make_dir(path).is_err() {
            return Err(ViewError::NoSuchPlace(path.to_owned()));
        }
        self.places.insert(path.to_owned(), Seen::Write);
        Ok(())
    }

    fn within_reach(&self, path: &Path) -> Result<(), ViewError> {
        let inside = self.wanted.never.iter().any(|never| path.starts_with(never));
        if inside { Err(ViewError::OutOfReach(path.to_owned())) } else { Ok(()) }
    }

    fn put(&mut self, paths: impl Iterator<Item = PathBuf>, seen: &Seen) {
        for path in paths {
            self.places.insert(path, seen.clone());
        }
    }

    /// A program outside of all that is seen is seen by itself, under its own name.
    fn program(&mut self) {
        let program = self.wanted.program;
        let closed = || self.wanted.closed.iter().any(|closed| program.starts_with(closed));
        if !system::is_read(program) || closed() {
            self.places.entry(program.to_owned()).or_insert(Seen::Read);
        }
    }

    /// What is hidden is hidden also where a link leads to it, and if it comes to be later; what the policy names
    /// is not.
    fn hide(&mut self, read: &[PathBuf], write: &[PathBuf]) -> Result<(), ViewError> {
        // Most of it isn't there, which one look tells: there is nothing to be followed then.
        let real = |path: &PathBuf| {
            fs::symlink_metadata(path).is_ok().then(|| fs::canonicalize(path).ok()).flatten()
        };
        let follow = |path: &PathBuf| [Some(path.clone()), real(path)].into_iter().flatten();
        let unnamed = |hidden: &PathBuf| !read.iter().chain(write).any(|path| path == hidden);
        let wanted = self.wanted;
        let covered = wanted.covered.iter().flat_map(follow).filter(unnamed).filter(|path| path.exists());
        let credentials = wanted.hidden.iter().chain(self.settings(read)).flat_map(follow).filter(unnamed);
        let closed = wanted.closed.iter().filter(|path| !self.places.contains_key(*path)).cloned();
        let of_home = self.unlisted().into_iter().filter(unnamed);
        let never = wanted.never.iter().flat_map(follow);
        let hidden: BTreeSet<PathBuf> = credentials.chain(closed).chain(of_home).chain(never).collect();
        let shown = |path: &PathBuf| {
            system::is_read(path)
                || self.places.iter().any(|(place, how)| *how != Seen::Hidden && path.starts_with(place))
        };
        let found: Vec<PathBuf> = hidden.iter().cloned().chain(covered).filter(shown).collect();
        if wanted.shape == SandboxBackend::Namespaces {
            self.part(&hidden);
        } else {
            let writable = |path: &&PathBuf| {
                self.places.iter().any(|(place, how)| *how == Seen::Write && path.starts_with(place))
            };
            if let Some(path) = found.iter().find(writable) {
                return Err(ViewError::CantHide(path.clone()));
            }
        }
        self.put(found.into_iter(), &Seen::Hidden);
        Ok(())
    }

    /// What begins with a dot in a home that is shown as it is, and is not listed. Where the run starts is a place
    /// that was chosen, whatever its name.
    fn unlisted(&self) -> Vec<PathBuf> {
        if !self.shows_the_home() {
            return Vec::new();
        }
        let unlisted = home::unlisted(self.wanted.user_home).into_iter();
        unlisted.filter(|path| !self.places.contains_key(path)).collect()
    }

    /// What a policy may know nothing of: that where a run starts, or a directory of programs, holds the home.
    fn shows_the_home(&self) -> bool {
        let holds = |place: &Path| self.wanted.user_home.starts_with(place);
        self.places.iter().any(|(place, how)| *how == Seen::Read && holds(place))
    }

    /// Settings with a login, where what is listed of the home is shown, or all of it.
    fn settings(&self, read: &[PathBuf]) -> &[PathBuf] {
        let named = read.iter().any(|path| self.wanted.user_home.starts_with(path));
        let shown = self.wanted.home.is_some() || named || self.shows_the_home();
        if shown { self.wanted.settings } else { &[] }
    }

    /// Shows directories that have something hidden in them part by part.
    fn part(&mut self, hidden: &BTreeSet<PathBuf>) {
        let read = self.places.iter().filter(|(_, how)| **how == Seen::Read).map(|(path, _)| path.clone());
        let mut waiting: Vec<PathBuf> = read.collect();
        while let Some(dir) = waiting.pop() {
            let has_hidden = hidden.iter().any(|path| path.starts_with(&dir) && *path != dir);
            // Where more of it is shown whole, a mount on what is hidden has to do.
            let whole = system::is_read(&dir)
                || dir.ancestors().skip(1).any(|above| self.places.get(above) == Some(&Seen::Write));
            let Some(entries) = fs::read_dir(&dir).ok().filter(|_| has_hidden && !whole) else { continue };
            self.places.insert(dir, Seen::Parts);
            for entry in entries.flatten() {
                let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
                if hidden.contains(&path) || self.places.contains_key(&path) {
                    continue;
                }
                let target = kind.is_symlink().then(|| fs::read_link(&path).ok()).flatten();
                match target {
                    Some(target) => drop(self.places.insert(path, Seen::Link(target))),
                    None if kind.is_dir() => {
                        self.places.insert(path.clone(), Seen::Part);
                        waiting.push(path);
                    }
                    None if kind.is_file() => drop(self.places.insert(path, Seen::Part)),
                    // Sockets and pipes lead to other processes.
                    None => {}
                }
            }
        }
    }
}

/// Makes a directory, following no link on the way to it.
fn make_dir(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    #[cfg(target_os = "linux")]
    let parent = super::linux::open_without_links(parent)?;
    #[cfg(not(target_os = "linux"))]
    let parent = fs::File::open(fs::canonicalize(parent)?)?;
    Ok(rustix::fs::mkdirat(parent, name, rustix::fs::Mode::from_raw_mode(0o755))?)
}

fn beside_programs(dir: &Path) -> Vec<PathBuf> {
    match (dir.file_name().and_then(|name| name.to_str()), dir.parent()) {
        (Some("bin"), Some(prefix)) => BESIDE_BIN.map(|name| prefix.join(name)).to_vec(),
        _ => Vec::new(),
    }
}

/// A path that begins with `{cwd}` needs one.
fn in_cwd(path: &Path, cwd: Option<&Path>) -> Option<PathBuf> {
    match path.strip_prefix(CWD) {
        Ok(rest) if rest.as_os_str().is_empty() => cwd.map(Path::to_path_buf),
        Ok(rest) => cwd.map(|cwd| cwd.join(rest)),
        Err(_) => Some(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_seen_and_what_is_hidden_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(dir.path()).unwrap();
        for sub in [".ssh", ".aws", "site/src", "vault", "tool/bin", "tool/lib"] {
            fs::create_dir_all(home.join(sub)).unwrap();
        }
        std::os::unix::fs::symlink("lib", home.join("tool/lib64")).unwrap();
        let terms = SandboxTerms {
            read: vec![home.clone(), home.join(".ssh/known"), home.join("missing")],
            write: vec!["{cwd}/dist".into()],
            ..SandboxTerms::default()
        };
        fs::write(home.join(".ssh/known"), "x").unwrap();
        let (path, cwd) = ([home.join("tool/bin")], home.join("site"));
        let hidden = [home.join(".ssh"), home.join(".aws")];
        let never = [home.join("vault")];
        let mut wanted = Wanted {
            terms: &terms,
            path: &path,
            cwd: Some(&cwd),
            home: None,
            user_home: &home,
            program: Path::new("/usr/bin/true"),
            copies: &[],
            shape: SandboxBackend::Namespaces,
            hidden: &hidden,
            settings: &[],
            covered: &[],
            closed: &[],
            never: &never,
            given: &[],
        };
        let seen = |places: &[PathRule], path: &str| {
            places.iter().find(|place| place.path == home.join(path)).map(|place| place.seen.clone())
        };
        let found = places(&wanted).unwrap();
        assert_eq!(seen(&found, "site/dist"), Some(Seen::Write), "made, since it was missing");
        assert_eq!(seen(&found, "tool/lib"), Some(Seen::Read));
        assert_eq!(seen(&found, "tool/lib64"), Some(Seen::Link("lib".into())));
        assert_eq!(seen(&found, ".aws"), Some(Seen::Hidden));
        assert_eq!(seen(&found, ".ssh"), Some(Seen::Hidden));
        assert_eq!(seen(&found, ".ssh/known"), Some(Seen::Read), "the policy names it");
        assert_eq!(seen(&found, "vault"), Some(Seen::Hidden));
        assert_eq!(seen(&found, "missing"), None);
        let itself = found.iter().find(|place| place.path == home).unwrap();
        assert_eq!(itself.seen, Seen::Parts, "what is hidden could be put there anew");
        assert_eq!(seen(&found, "tool"), Some(Seen::Part));
        let order: Vec<_> = found.iter().map(|place| &place.path).collect();
        assert!(order.is_sorted(), "{order:?}");

        let reaching = SandboxTerms { read: vec![home.join("vault/x")], ..SandboxTerms::default() };
        wanted.terms = &reaching;
        assert!(matches!(places(&wanted), Err(ViewError::OutOfReach(_))));
        let deep = SandboxTerms { write: vec![home.join("a/b/c")], ..SandboxTerms::default() };
        wanted.terms = &deep;
        assert!(matches!(places(&wanted), Err(ViewError::NoSuchPlace(_))));
    }

    #[test]
    fn settings_with_a_login_are_hidden_however_the_home_comes_to_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let above = fs::canonicalize(dir.path()).unwrap();
        let home = above.join("ann");
        fs::create_dir_all(home.join("bin")).unwrap();
        let settings = [home.join(".gitconfig")];
        fs::write(&settings[0], "x").unwrap();
        let nothing = || SandboxTerms::default();
        let reading = |path: &Path| SandboxTerms { read: vec![path.to_owned()], ..nothing() };
        let writing = |terms: SandboxTerms| SandboxTerms { write: vec![home.clone()], ..terms };
        let (all, none) = (Some(home.as_path()), None);
        let bin = home.join("bin");
        for (what, terms, path, cwd, given, hidden) in [
            ("the policy gives it", nothing(), none, none, all, true),
            ("it is named", reading(&home), none, none, none, true),
            ("what holds it is named", reading(&above), none, none, none, true),
            ("the run starts in it", nothing(), none, all, none, true),
            ("the run starts above it", nothing(), none, Some(above.as_path()), none, true),
            ("programs lie in it", nothing(), all, none, none, true),
            ("it is named and may be written", writing(reading(&home)), none, none, none, true),
            ("it may be written", writing(nothing()), none, none, none, false),
            ("the run starts where it may write", writing(nothing()), none, all, none, false),
            ("they are named", reading(&settings[0]), none, all, none, false),
            ("it is not shown", nothing(), Some(bin.as_path()), Some(bin.as_path()), none, false),
        ] {
            let path: Vec<PathBuf> = path.into_iter().map(Path::to_owned).collect();
            let wanted = Wanted {
                terms: &terms,
                path: &path,
                cwd,
                home: given,
                user_home: &home,
                program: Path::new("/usr/bin/true"),
                copies: &[],
                shape: SandboxBackend::Namespaces,
                hidden: &[],
                settings: &settings,
                covered: &[],
                closed: &[],
                never: &[],
                given: &[],
            };
            let found = places(&wanted).unwrap();
            let seen = found.iter().find(|place| place.path == settings[0]).map(|place| &place.seen);
            assert_eq!(seen == Some(&Seen::Hidden), hidden, "{what}: {found:?}");
        }
    }
}
