//! Takes a run's private directory away, whatever the run made of it: values lie there. Directories that were closed
//! are opened, and a tree of any depth is taken apart at its top, so that neither path nor stack grows with it.
//! No link is followed.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, renameat, unlinkat};

/// A private directory; gone when this is dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn make() -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("authy-mcp-run-").permissions(fs::Permissions::from_mode(0o700));
        Ok(Self(builder.tempdir()?.keep()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The supervisor was here before, as a rule; there is nobody to tell.
        let _ = discard(&self.0);
    }
}

/// Removes a directory and all that is in it.
///
/// # Errors
/// Of the operating system; as much as can be is gone.
pub(crate) fn discard(dir: &Path) -> io::Result<()> {
    let top = open(CWD, dir)?;
    let mut moved = 0_u64;
    let mut failed = None;
    loop {
        let names = names(&top)?;
        let mut less = false;
        for name in &names {
            match take_away(&top, name, &mut moved) {
                Ok(()) => less = true,
                Err(error) => failed = Some(error),
            }
        }
        if names.is_empty() {
            return fs::remove_dir(dir);
        }
        if !less {
            return Err(failed.unwrap_or_else(|| io::ErrorKind::DirectoryNotEmpty.into()));
        }
    }
}

/// Removes what has this name; directories in it move up first, unless they are empty.
fn take_away(top: &OwnedFd, name: &CString, moved: &mut u64) -> io::Result<()> {
    if unlink(top, name).is_ok() {
        return Ok(());
    }
    let dir = open(top, name)?;
    for inner in names(&dir)? {
        if unlink(&dir, &inner).is_ok() {
            continue;
        }
        // To be moved, a directory must let its owner write to it.
        unlock(&dir, &inner)?;
        *moved += 1;
        renameat(&dir, &inner, top, format!(".{moved}"))?;
    }
    Ok(unlinkat(top, name, AtFlags::REMOVEDIR)?)
}

/// Removes a file, or a directory that is empty: most are.
fn unlink(dir: &OwnedFd, name: &CString) -> rustix::io::Result<()> {
    unlinkat(dir, name, AtFlags::empty()).or_else(|_| unlinkat(dir, name, AtFlags::REMOVEDIR))
}

fn names(dir: &OwnedFd) -> io::Result<Vec<CString>> {
    let entries = Dir::read_from(dir)?.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    let names = entries.collect::<Result<Vec<_>, _>>()?;
    Ok(names.into_iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")).collect())
}

/// Opens a directory of ours, which lets us do anything in it from then on.
fn open(at: impl std::os::fd::AsFd, name: impl rustix::path::Arg + Copy) -> io::Result<OwnedFd> {
    unlock(&at, name)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, name, flags, Mode::empty())?)
}

fn unlock(at: impl std::os::fd::AsFd, name: impl rustix::path::Arg) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(at, name, flags, Mode::empty())?;
    fs::set_permissions(format!("/dev/fd/{}", opened.as_raw_fd()), fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_run_makes_stays() {
        let outside = tempfile::tempdir().unwrap();
        let kept = outside.path().join("kept");
        fs::write(&kept, "x").unwrap();
        let scratch = Scratch::make().unwrap();
        let path = scratch.path().to_owned();
        // A directory of the machine's must not lose what it holds, nor its mode.
        fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(outside.path(), path.join("link")).unwrap();
        fs::create_dir(path.join("closed")).unwrap();
        fs::write(path.join("closed/value"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), path.join("closed/link")).unwrap();
        for (dir, mode) in [("closed/inner", 0), ("closed", 0)] {
            fs::create_dir_all(path.join(dir)).unwrap();
            fs::set_permissions(path.join(dir), fs::Permissions::from_mode(mode)).unwrap();
        }
        // Deeper than a path may be long, and than descriptors may be open.
        let mut deep = open(CWD, path.as_path()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&deep, "d", Mode::from_raw_mode(0o500)).unwrap();
            deep = open(&deep, "d").unwrap();
        }
        drop(deep);
        drop(scratch);
        assert!(!path.exists());
        assert!(kept.exists());
        assert_eq!(fs::metadata(outside.path()).unwrap().permissions().mode() & 0o777, 0o755);
    }
}
