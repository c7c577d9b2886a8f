//! What a run left behind: every file that it made or changed where it may write, searched for its secrets. A
//! later program, outside of the sandbox, could read a value there.
//!
//! What can't be searched is taken to hold a secret. On the way it is noted what else of it others will run
//! ([`super::control`]).

use std::{
    cell::Cell,
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Dir, FileType, OFlags, SeekFrom};

use super::{
    control::{Control, Trace, WrittenFile, name_of_a_repository},
    place::{Found, Moment, Written, open_beneath, stat, unlock},
};
use crate::{policy::OnFileHit, redact::NeedleSet};

const CHUNK: usize = 256 * 1024;
/// The longest list of attributes, and the longest attribute, of Linux (`XATTR_LIST_MAX`, xattr(7)).
const LONGEST_ATTRIBUTE: usize = 65536;
/// What stands for a hole of a file: no needle reaches across it.
const HOLE: [u8; 64] = [0; 64];

/// What a script begins with (execve(2)).
const SCRIPT: &[u8] = b"#!";

/// A file that a run wrote, and that holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHit {
    /// Where it is, or was.
    pub path: PathBuf,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a file that holds a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The run had made it, and it was removed.
    Removed,
    /// It was left: it was there before the run, or the policy says so, or it can't be removed.
    Left,
}

/// What a run left behind.
#[derive(Debug, Default)]
pub struct LeftBehind {
    /// What holds a secret.
    pub hits: Vec<FileHit>,
    /// What others will run, or run from.
    pub written: Vec<WrittenFile>,
    /// How many more of those there were.
    pub more: usize,
}

/// Searches everything in these places that changed since a moment.
pub(super) fn search(
    places: &[Written],
    since: Moment,
    needles: &NeedleSet,
    on_hit: OnFileHit,
    control: &Control,
) -> LeftBehind {
    let mut looked = LeftBehind::default();
    for (number, place) in places.iter().enumerate() {
        let Some(trace) = control.trace(number, since) else { continue };
        let mut search =
            Search { place, since, needles, on_hit, hits: Vec::new(), trace, script: Cell::new(false) };
        search.all();
        looked.hits.append(&mut search.hits);
        let (mut written, more) = control.settle(place, search.trace);
        looked.written.append(&mut written);
        looked.more += more;
    }
    looked.hits.sort_by(|a, b| a.path.cmp(&b.path));
    looked.hits.dedup();
    looked.written.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
    looked.written.dedup_by(|a, b| a.path == b.path);
    looked.written.sort_by(|a, b| (a.kind, &a.fate, &a.path).cmp(&(b.kind, &b.fate, &b.path)));
    looked
}

struct Search<'a> {
    place: &'a Written,
    since: Moment,
    needles: &'a NeedleSet,
    on_hit: OnFileHit,
    hits: Vec<FileHit>,
    trace: Trace<'a>,
    /// Whether the last file that was read begins as scripts do.
    script: Cell<bool>,
}

impl Search<'_> {
    fn all(&mut self) {
        let Ok(found) = stat(self.place.opened.as_fd(), Path::new("")) else { return };
        if !found.kind.is_dir() {
            let holds = || reopen(&self.place.opened).map(File::from).map_or(true, |file| self.held(file));
            if found.changed >= self.since && holds() {
                self.report(Path::new(""), Fate::Left);
            }
            return;
        }
        let mut waiting = vec![(PathBuf::new(), found)];
        while let Some((dir, found)) = waiting.pop() {
            match self.open_dir(&dir, &found) {
                Ok(opened) => self.entries(&dir, &opened, &mut waiting),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // Too deep to be reached, or closed by the run. What was closed before, the run didn't write to.
                Err(_) if found.changed >= self.since => self.report(&dir, Fate::Left),
                Err(_) => {}
            }
        }
    }

    fn entries(&mut self, dir: &Path, opened: &OwnedFd, waiting: &mut Vec<(PathBuf, Found)>) {
        let Ok(entries) = Dir::read_from(opened) else { return self.report(dir, Fate::Left) };
        let mut names: Vec<OsString> = Vec::new();
        self.trace.enter(dir);
        for entry in entries {
            let Ok(entry) = entry else { return self.report(dir, Fate::Left) };
            let name = Path::new(std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()));
            if name == Path::new(".") || name == Path::new("..") {
                continue;
            }
            // What is gone meanwhile is no more there for a later program either.
            let Ok(found) = stat(opened.as_fd(), name) else { continue };
            let path = dir.join(name);
            self.script.set(false);
            if found.changed >= self.since && self.holds(opened.as_fd(), name, &found) {
                let fate = self.dispose(opened.as_fd(), name, &found);
                self.report(&path, fate);
            }
            self.trace.entry(&path, &found, self.script.get());
            if name_of_a_repository(name.as_os_str()).is_some() {
                names.push(name.as_os_str().to_owned());
            }
            if found.kind.is_dir() {
                waiting.push((path, found));
            }
        }
        self.trace.leave(dir, names.iter().map(OsString::as_os_str));
    }

    /// A directory that the run made and closed is opened again.
    fn open_dir(&self, dir: &Path, found: &Found) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let place = self.place.opened.as_fd();
        match open_beneath(place, dir, flags) {
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied && found.is_made_since(self.since) =>
            {
                unlock(place, dir)?;
                open_beneath(place, dir, flags)
            }
            opened => opened,
        }
    }

    /// Whether a needle is in a name, in what a link leads to, in what a file holds, or in its attributes.
    fn holds(&self, dir: BorrowedFd<'_>, name: &Path, found: &Found) -> bool {
        let has = |bytes: &[u8]| self.needles.finds(bytes).total() > 0;
        if has(name.as_os_str().as_bytes()) {
            return true;
        }
        match found.kind {
            FileType::Symlink => {
                rustix::fs::readlinkat(dir, name, Vec::new()).is_ok_and(|target| has(target.as_bytes()))
            }
            FileType::RegularFile => match open_beneath(dir, name, OFlags::RDONLY) {
                Ok(opened) => {
                    // A pipe that was put in its place meanwhile holds nothing.
                    let still = stat(opened.as_fd(), Path::new("")).is_ok_and(|now| now.kind.is_file());
                    still && self.held(File::from(opened))
                }
                Err(error) => error.kind() != io::ErrorKind::NotFound,
            },
            FileType::Directory => open_beneath(dir, name, OFlags::RDONLY)
                .is_ok_and(|opened| self.attributes_hold(opened.as_fd()).unwrap_or(true)),
            _ => false,
        }
    }

    /// What can't be read is taken to hold a secret.
    fn held(&self, mut file: File) -> bool {
        self.file_holds(&mut file).unwrap_or(true)
    }

    fn file_holds(&self, file: &mut File) -> io::Result<bool> {
        Ok(self.attributes_hold(file.as_fd())? || self.text_holds(file)?)
    }

    /// Reads what is there; a file may have holes of any size.
    fn text_holds(&self, file: &mut File) -> io::Result<bool> {
        let mut finder = self.needles.finder();
        let mut chunk = vec![0; CHUNK];
        let mut at = 0;
        loop {
            let data = match rustix::fs::seek(&*file, SeekFrom::Data(at)) {
                Ok(data) => data,
                // Behind the last data, or a file system that knows of no holes.
                Err(rustix::io::Errno::NXIO) => return Ok(finder.finish().total() > 0),
                Err(_) => rustix::fs::seek(&*file, SeekFrom::Start(at))?,
            };
            if data > at {
                finder.push(&HOLE);
            }
            let length = file.read(&mut chunk)?;
            if length == 0 {
                return Ok(finder.finish().total() > 0);
            }
            if at == 0 && chunk.starts_with(SCRIPT) {
                self.script.set(true);
            }
            finder.push(&chunk[..length]);
            at = data + length as u64;
        }
    }

    fn attributes_hold(&self, file: BorrowedFd<'_>) -> io::Result<bool> {
        let mut names = vec![0; LONGEST_ATTRIBUTE];
        let length = match rustix::fs::flistxattr(file, &mut names) {
            Ok(length) => length,
            Err(rustix::io::Errno::NOTSUP) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if length == 0 {
            return Ok(false);
        }
        let mut value = vec![0; LONGEST_ATTRIBUTE];
        for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            // What can't be read is the system's, no user's (xattr(7)).
            let length = rustix::fs::fgetxattr(file, name, &mut value).unwrap_or_default();
            if self.needles.finds(name).total() + self.needles.finds(&value[..length]).total() > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes what the run itself made. What was there before, whoever wrote it since, is somebody's.
    fn dispose(&self, dir: BorrowedFd<'_>, name: &Path, found: &Found) -> Fate {
        if self.on_hit == OnFileHit::Report || !found.is_made_since(self.since) || found.kind.is_dir() {
            return Fate::Left;
        }
        let same = stat(dir, name).is_ok_and(|now| now.inode == found.inode);
        if same && rustix::fs::unlinkat(dir, name, AtFlags::empty()).is_ok() {
            Fate::Removed
        } else {
            Fate::Left
        }
    }

    fn report(&mut self, path: &Path, fate: Fate) {
        let path = if path == Path::new("") { self.place.path.clone() } else { self.place.path.join(path) };
        self.hits.push(FileHit { path, fate });
    }
}

/// The place itself again, at its beginning.
fn reopen(opened: &OwnedFd) -> io::Result<OwnedFd> {
    let again = opened.try_clone()?;
    rustix::fs::seek(&again, SeekFrom::Start(0))?;
    Ok(again)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
        sync::Arc,
        time::Duration,
    };

    use rustix::fs::Mode;

    use super::{
        super::control::{ControlNames, Means},
        *,
    };
    use crate::{names::SecretName, redact::Needles, value::SecretValue};

    const VALUE: &str = "sk-scan-7Qm2vXz9LrT4";

    fn needles() -> NeedleSet {
        let name = SecretName::parse("a/key").unwrap();
        NeedleSet::new([&Needles::of(&name, &SecretValue::new(VALUE.as_bytes().to_vec()))])
    }

    /// What comes of a run that does this in a place where a file of the user's lies already.
    fn after(run: impl FnOnce(&Path)) -> Vec<(String, Fate)> {
        let dir = tempfile::tempdir().unwrap();
        let place = fs::canonicalize(dir.path()).unwrap();
        fs::write(place.join("users"), "x").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let (written, since) = ([Written::open(&place).unwrap().unwrap()], Moment::now());
        let control =
            Control::look(&written, None, &Arc::new(ControlNames::default()), &[], "r_1", Means::Mounts);
        run(&place);
        let hits = search(&written, since, &needles(), OnFileHit::Remove, &control).hits;
        for hit in &hits {
            let found = fs::symlink_metadata(&hit.path).map_err(|error| error.kind());
            let gone = matches!(found, Err(io::ErrorKind::NotFound));
            assert_eq!(hit.fate == Fate::Removed, gone, "{hit:?}");
        }
        let name = |path: &Path| path.strip_prefix(&place).unwrap_or(path).display().to_string();
        hits.into_iter().map(|hit| (name(&hit.path), hit.fate)).collect()
    }

    fn removed(name: &str) -> Vec<(String, Fate)> {
        vec![(name.to_owned(), Fate::Removed)]
    }

    #[test]
    fn what_the_run_made_is_removed_and_what_is_the_users_is_left() {
        assert_eq!(after(|place| fs::write(place.join("made"), VALUE).unwrap()), removed("made"));
        let left = [("users".to_owned(), Fate::Left)];
        assert_eq!(after(|place| fs::write(place.join("users"), VALUE).unwrap()), left);
        assert_eq!(after(|place| fs::write(place.join("made"), "clean").unwrap()), []);
        assert_eq!(after(|place| symlink(VALUE, place.join("link")).unwrap()), removed("link"));
        assert_eq!(after(|place| fs::write(place.join(VALUE), "").unwrap()), removed(VALUE));
    }

    #[test]
    fn a_second_name_keeps_nothing() {
        let hits = after(|place| {
            fs::write(place.join("one"), VALUE).unwrap();
            fs::hard_link(place.join("one"), place.join("two")).unwrap();
        });
        assert_eq!(hits, [removed("one"), removed("two")].concat());
    }

    #[test]
    fn attributes_are_searched() {
        let set = |path: &Path| {
            rustix::fs::setxattr(path, "user.x", VALUE.as_bytes(), rustix::fs::XattrFlags::empty())
        };
        let probe = tempfile::NamedTempFile::new().unwrap();
        if set(probe.path()).is_err() {
            eprintln!("skipped: files have no attributes here");
            return;
        }
        let hits = after(|place| {
            fs::write(place.join("made"), "").unwrap();
            set(&place.join("made")).unwrap();
            set(&place.join("users")).unwrap();
        });
        assert_eq!(hits, [removed("made"), vec![("users".to_owned(), Fate::Left)]].concat());
    }

    #[test]
    fn closed_and_deep_directories_are_searched_or_said() {
        let hits = after(|place| {
            fs::create_dir(place.join("closed")).unwrap();
            fs::write(place.join("closed/value"), VALUE).unwrap();
            fs::set_permissions(place.join("closed/value"), fs::Permissions::from_mode(0o000)).unwrap();
            fs::set_permissions(place.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        });
        assert_eq!(hits, removed("closed/value"));
        let deep = "d".repeat(200);
        let hits = after(|place| {
            let mut at = open_beneath(rustix::fs::CWD, place, OFlags::RDONLY)
                .or_else(|_| fs::File::open(place).map(OwnedFd::from));
            for _ in 0..40 {
                let dir = at.unwrap();
                rustix::fs::mkdirat(&dir, &*deep, Mode::RWXU).unwrap();
                at = open_beneath(dir.as_fd(), Path::new(&deep), OFlags::RDONLY);
            }
        });
        let (path, fate) = hits.first().unwrap();
        assert!(hits.len() == 1 && *fate == Fate::Left && path.len() > 3000, "{hits:?}");
    }

    #[test]
    fn a_hollow_file_takes_no_time_and_a_pipe_is_not_waited_for() {
        use std::io::{Seek, Write};
        let hits = after(|place| {
            let mut file = File::create(place.join("hollow")).unwrap();
            file.seek(io::SeekFrom::Start(1 << 42)).unwrap();
            file.write_all(VALUE.as_bytes()).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, place.join("pipe"), Mode::RWXU).unwrap();
        });
        assert_eq!(hits, removed("hollow"));
    }

    #[test]
    fn a_place_that_is_exchanged_for_a_link_leads_nowhere() {
        let elsewhere = tempfile::tempdir().unwrap();
        let hits = after(|place| {
            fs::write(elsewhere.path().join("theirs"), VALUE).unwrap();
            fs::create_dir(place.join("sub")).unwrap();
            fs::write(place.join("sub/value"), VALUE).unwrap();
            symlink(elsewhere.path(), place.join("link")).unwrap();
            let aside = place.with_extension("aside");
            fs::rename(place, &aside).unwrap();
            symlink(elsewhere.path(), place).unwrap();
            // What was written is where the place is now, and is found there.
        });
        assert_eq!(hits.iter().map(|(_, fate)| *fate).collect::<Vec<_>>(), [Fate::Removed]);
        assert!(elsewhere.path().join("theirs").exists());
    }
}
