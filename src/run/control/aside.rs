//! Moving something out of the way of those who would run it: beside where it lay, never over anything, and not a byte of
//! it is lost.

use std::{
    ffi::OsString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Mode, RenameFlags, renameat_with};

use super::{super::place::stat, keep::parent};

/// What it is called from then on: no program takes a file of such a name for its own.
const MOVED: &str = "authy-mcp-moved";
/// A name of Linux is no longer (limits.h), and what is added to it fits behind so much.
const LONGEST_NAME: usize = 180;
/// So many of one name a run.
const MOST: u32 = 64;

/// Moves what lies at a path, which is a control file or lies in one (`unit`), to beside that; where it is then.
pub(super) fn move_aside(place: BorrowedFd<'_>, path: &Path, unit: &Path, run: &str) -> io::Result<PathBuf> {
    let (from, name) = parent(place, path)?;
    let (to, _) = parent(place, unit)?;
    for number in 1..=MOST {
        let new = new_name(path, unit, run, number);
        match writing(&[&from, &to], || rename(&from, name, &to, Path::new(&new))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(unit.with_file_name(new)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Puts what `make` makes in the place of what lies at a path, in one step; where that is then, if anything lay there.
/// Whatever fails on the way, and if this process is killed, what lay there still does.
pub(super) fn put(
    place: BorrowedFd<'_>,
    path: &Path,
    run: &str,
    make: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<Option<PathBuf>> {
    let (dir, _) = parent(place, path)?;
    for number in 1..=MOST {
        let beside = path.with_file_name(new_name(path, path, run, number));
        let done = match writing(&[&dir], || make(&beside)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => Err(error),
            Ok(()) => writing(&[&dir], || exchange(place, path, &beside, run)),
        };
        if done.is_err() {
            let _ = rustix::fs::unlinkat(&dir, last(&beside), AtFlags::empty());
        }
        return done;
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Lets what lies beside a path take its place.
fn exchange(place: BorrowedFd<'_>, path: &Path, beside: &Path, run: &str) -> io::Result<Option<PathBuf>> {
    let (dir, name) = parent(place, path)?;
    match renameat_with(&dir, last(beside), &dir, name, RenameFlags::EXCHANGE) {
        Err(rustix::io::Errno::NOENT) => rename(&dir, last(beside), &dir, name).map(|()| None),
        // Not every file system can exchange two names (rename(2), RENAME_EXCHANGE).
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            one_after_the_other(place, path, beside, run).map(Some)
        }
        done => Ok(done.map(|()| Some(beside.to_owned()))?),
    }
}

fn one_after_the_other(place: BorrowedFd<'_>, path: &Path, beside: &Path, run: &str) -> io::Result<PathBuf> {
    let (dir, name) = parent(place, path)?;
    let aside = move_aside(place, path, path, run)?;
    let done = rename(&dir, last(beside), &dir, name);
    if done.is_err() {
        rename(&dir, last(&aside), &dir, name)?;
    }
    done.map(|()| aside)
}

fn last(path: &Path) -> &Path {
    Path::new(path.file_name().unwrap_or_default())
}

/// `.vscode.authy-mcp-moved-RUN`, or of what lay in it `.vscode-tasks.json.authy-mcp-moved-RUN`.
fn new_name(path: &Path, unit: &Path, run: &str, number: u32) -> OsString {
    let mut name = unit.file_name().unwrap_or_default().to_owned();
    for part in path.strip_prefix(unit).unwrap_or(Path::new("")) {
        name.push("-");
        name.push(part);
    }
    if name.len() > LONGEST_NAME {
        name = OsString::from("control-file");
    }
    name.push(format!(".{MOVED}-{run}"));
    if number > 1 {
        name.push(format!("-{number}"));
    }
    name
}

fn rename(from: &OwnedFd, name: &Path, to: &OwnedFd, new: &Path) -> io::Result<()> {
    match renameat_with(from, name, to, new, RenameFlags::NOREPLACE) {
        // Not every file system can promise to replace nothing (rename(2), RENAME_NOREPLACE).
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => match stat(to.as_fd(), new) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => Ok(rustix::fs::renameat(from, name, to, new)?),
        },
        done => Ok(done?),
    }
}

/// Does something in directories that the run may have closed to their owner, and leaves their modes as they are.
pub(super) fn writing<T>(dirs: &[&OwnedFd], work: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match work() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        done => return done,
    }
    let modes: Vec<Mode> = dirs
        .iter()
        .map(|dir| stat(dir.as_fd(), Path::new("")).map(|found| found.mode))
        .collect::<Result<_, _>>()?;
    for (dir, mode) in dirs.iter().zip(&modes) {
        set_mode(dir, *mode | Mode::RWXU)?;
    }
    let done = work();
    for (dir, mode) in dirs.iter().zip(&modes) {
        set_mode(dir, *mode)?;
    }
    done
}

fn set_mode(dir: &OwnedFd, mode: Mode) -> io::Result<()> {
    Ok(rustix::fs::fchmod(dir, mode & Mode::from_raw_mode(0o7777))?)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use rustix::fs::OFlags;

    use super::{super::super::place::open_beneath, *};

    /// What lies in a directory, by name.
    fn there(dir: &Path) -> Vec<(String, String)> {
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            (entry.file_name().into_string().unwrap(), text)
        };
        let mut there: Vec<_> = fs::read_dir(dir).unwrap().map(entry).collect();
        there.sort();
        there
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_left_where_it_would_run() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("hooks")).unwrap();
        let place = open_beneath(rustix::fs::CWD, dir.path(), OFlags::RDONLY)
            .unwrap_or_else(|_| fs::File::open(dir.path()).unwrap().into());
        let aside = |path: &str, unit: &str| {
            move_aside(place.as_fd(), Path::new(path), Path::new(unit), "r_1")
                .map(|path| path.display().to_string())
        };
        for (number, suffix) in [("one", ""), ("two", "-2"), ("three", "-3")] {
            fs::write(at(".envrc"), number).unwrap();
            let expected = format!(".envrc.authy-mcp-moved-r_1{suffix}");
            assert_eq!(aside(".envrc", ".envrc").unwrap(), expected);
            assert_eq!(fs::read_to_string(at(&expected)).unwrap(), number);
        }
        // Of a directory that is run as a whole, a file is moved out of it.
        fs::write(at("hooks/pre-push"), "four").unwrap();
        assert_eq!(aside("hooks/pre-push", "hooks").unwrap(), "hooks-pre-push.authy-mcp-moved-r_1");
        assert_eq!(there(&at("hooks")), []);
        let long = "x".repeat(240);
        fs::write(at("hooks").join(&long), "five").unwrap();
        assert_eq!(aside(&format!("hooks/{long}"), "hooks").unwrap(), "control-file.authy-mcp-moved-r_1");
        assert!(aside("nothing", "nothing").is_err());
    }

    #[test]
    fn what_takes_a_place_does_so_at_once_and_nothing_is_lost_if_it_fails() {
        let dir = tempfile::tempdir().unwrap();
        let place: OwnedFd = fs::File::open(dir.path()).unwrap().into();
        let (place, path) = (place.as_fd(), Path::new("config"));
        let write = |beside: &Path| fs::write(dir.path().join(beside), "ours");
        let theirs = |name: &str| (name.to_owned(), "theirs".to_owned());
        let ours = ("config".to_owned(), "ours".to_owned());
        let fails = |beside: &Path| write(beside).and(Err(io::ErrorKind::StorageFull.into()));
        assert_eq!(put(place, path, "r_1", write).unwrap(), None);
        assert_eq!(there(dir.path()), std::slice::from_ref(&ours));
        fs::write(dir.path().join("config"), "theirs").unwrap();
        assert!(put(place, path, "r_1", fails).is_err());
        assert_eq!(there(dir.path()), [theirs("config")], "as it was");
        // What is to take the place is gone meanwhile.
        let gone = |beside: &Path| write(beside).and_then(|()| fs::remove_file(dir.path().join(beside)));
        assert!(put(place, path, "r_1", gone).is_err());
        assert!(one_after_the_other(place, path, Path::new("gone"), "r_1").is_err());
        assert_eq!(there(dir.path()), [theirs("config")], "as it was");
        let aside = "config.authy-mcp-moved-r_1";
        assert_eq!(put(place, path, "r_1", write).unwrap().unwrap(), Path::new(aside));
        assert_eq!(there(dir.path()), [ours.clone(), theirs(aside)]);
        // Where names can't be exchanged.
        write(Path::new("beside")).unwrap();
        let aside = one_after_the_other(place, path, Path::new("beside"), "r_2").unwrap();
        assert_eq!(aside, Path::new("config.authy-mcp-moved-r_2"));
        assert_eq!(there(dir.path())[0], ours);
    }

    #[test]
    fn a_directory_that_was_closed_is_closed_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let shut = dir.path().join("shut");
        fs::create_dir(&shut).unwrap();
        fs::write(shut.join(".envrc"), "x").unwrap();
        fs::set_permissions(&shut, fs::Permissions::from_mode(0o555)).unwrap();
        let place: OwnedFd = fs::File::open(dir.path()).unwrap().into();
        let moved = move_aside(place.as_fd(), Path::new("shut/.envrc"), Path::new("shut/.envrc"), "r_1");
        assert_eq!(moved.unwrap(), Path::new("shut/.envrc.authy-mcp-moved-r_1"));
        assert_eq!(fs::metadata(&shut).unwrap().permissions().mode() & 0o777, 0o555);
    }
}
