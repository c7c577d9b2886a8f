//! Control files as they were before a run, where nothing can close them: kept in memory, put back afterwards.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{Dir, FileType, Mode, OFlags};

use super::super::place::{open_beneath, stat};

/// All that is kept of one run's places: configuration is small, and what is not is told of instead.
pub(super) const MOST_KEPT: usize = 4 * 1024 * 1024;
/// So many files and directories of theirs: a file that is empty costs no less to be read.
const MOST_ITEMS: usize = 8 * 1024;
/// So many files of one control file that is a directory: hooks, workflows and commands are few.
const MOST_FILES: usize = 256;
/// The deepest that is looked for them.
const DEEPEST: usize = 6;

/// What may still be kept.
pub(super) struct Budget {
    bytes: usize,
    items: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: MOST_KEPT, items: MOST_ITEMS }
    }
}

impl Budget {
    /// The text of a file beneath a place, up to a limit, if it may still be kept.
    pub(super) fn text(&mut self, place: BorrowedFd<'_>, path: &Path, most: usize) -> io::Result<Vec<u8>> {
        let (text, _) = text(place, path, most.min(self.bytes))?;
        self.bytes -= text.len();
        Ok(text)
    }

    fn item(&mut self, place: BorrowedFd<'_>, path: &Path) -> io::Result<Item> {
        self.items = self.items.checked_sub(1).ok_or(io::ErrorKind::QuotaExceeded)?;
        let item = item(place, path, self.bytes)?;
        if let Item::File(bytes, _) = &item {
            self.bytes -= bytes.len();
        }
        Ok(item)
    }
}

/// A control file as it was, by paths in it; its own is empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(BTreeMap<PathBuf, Item>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Dir,
    File(Vec<u8>, Mode),
    Link(PathBuf),
}

impl Kept {
    /// Reads a control file beneath a place; nothing where it is too much, or can't be read.
    pub(super) fn take(place: BorrowedFd<'_>, unit: &Path, budget: &mut Budget) -> Option<Self> {
        let mut kept = Self::default();
        let mut waiting = vec![PathBuf::new()];
        while let Some(inner) = waiting.pop() {
            let item = budget.item(place, &within(unit, &inner)).ok()?;
            if kept.0.len() > MOST_FILES || inner.components().count() > DEEPEST {
                return None;
            }
            if item == Item::Dir {
                waiting.extend(names(place, &within(unit, &inner)).ok()?.map(|name| inner.join(name)));
            }
            kept.0.insert(inner, item);
        }
        Some(kept)
    }

    /// Whether what lies there now is what was kept.
    pub(super) fn is_there(&self, place: BorrowedFd<'_>, unit: &Path) -> bool {
        // As much again may have been added, which is then another one.
        let now = Self::take(place, unit, &mut Budget::default());
        now.is_some_and(|now| now.0 == self.0)
    }

    /// Writes it anew, where nothing of its name lies.
    pub(super) fn put_back(&self, place: BorrowedFd<'_>, unit: &Path) -> io::Result<()> {
        for (inner, item) in &self.0 {
            let path = within(unit, inner);
            let (dir, name) = parent(place, &path)?;
            match item {
                Item::Dir => rustix::fs::mkdirat(&dir, name, Mode::from_raw_mode(0o755))?,
                Item::Link(target) => rustix::fs::symlinkat(target, &dir, name)?,
                Item::File(bytes, mode) => create(dir.as_fd(), name, bytes, *mode)?,
            }
        }
        Ok(())
    }
}

/// A path in a control file, which is that itself where the path is empty.
fn within(unit: &Path, inner: &Path) -> PathBuf {
    if inner == Path::new("") { unit.to_owned() } else { unit.join(inner) }
}

/// Makes a file that is not there yet. What takes another one's place is on the disk by then.
pub(super) fn create(dir: BorrowedFd<'_>, name: &Path, bytes: &[u8], mode: Mode) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600))?;
    rustix::fs::fchmod(&made, mode & Mode::from_raw_mode(0o7777))?;
    let mut made = File::from(made);
    made.write_all(bytes)?;
    made.sync_all()
}

/// The directory that a path beneath a place lies in, open, and its name there.
pub(super) fn parent<'a>(place: BorrowedFd<'_>, path: &'a Path) -> io::Result<(OwnedFd, &'a Path)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let dir =
        open_beneath(place, path.parent().unwrap_or(Path::new("")), OFlags::RDONLY | OFlags::DIRECTORY)?;
    Ok((dir, Path::new(name)))
}

/// The text of a file beneath a place, up to a limit.
pub(super) fn text(place: BorrowedFd<'_>, path: &Path, most: usize) -> io::Result<(Vec<u8>, Mode)> {
    let opened = open_beneath(place, path, OFlags::RDONLY)?;
    let found = stat(opened.as_fd(), Path::new(""))?;
    if found.kind != FileType::RegularFile {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // One that is hollow takes no room of its disk, and would of this memory.
    if found.size > most as u64 {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::new();
    File::from(opened).take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok((bytes, found.mode)) }
}

/// The names in a directory beneath a place.
pub(super) fn names(place: BorrowedFd<'_>, dir: &Path) -> io::Result<impl Iterator<Item = PathBuf>> {
    use std::os::unix::ffi::OsStrExt;
    let opened = open_beneath(place, dir, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut names = Vec::new();
    for entry in Dir::read_from(opened)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(PathBuf::from(std::ffi::OsStr::from_bytes(name)));
        }
    }
    Ok(names.into_iter())
}

fn item(place: BorrowedFd<'_>, path: &Path, most: usize) -> io::Result<Item> {
    let (dir, name) = parent(place, path)?;
    match stat(dir.as_fd(), name)?.kind {
        FileType::Directory => Ok(Item::Dir),
        FileType::RegularFile => text(place, path, most).map(|(bytes, mode)| Item::File(bytes, mode)),
        FileType::Symlink => {
            use std::os::unix::ffi::OsStringExt;
            let target = rustix::fs::readlinkat(&dir, name, Vec::new())?.into_bytes();
            Ok(Item::Link(std::ffi::OsString::from_vec(target).into()))
        }
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    #[test]
    fn what_was_kept_is_put_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("hooks/more")).unwrap();
        fs::write(at("hooks/more/run"), "one").unwrap();
        fs::set_permissions(at("hooks/more/run"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("elsewhere", at("hooks/link")).unwrap();
        let place: OwnedFd = fs::File::open(dir.path()).unwrap().into();
        let (place, unit) = (place.as_fd(), Path::new("hooks"));
        let kept = Kept::take(place, unit, &mut Budget::default()).unwrap();
        assert!(kept.is_there(place, unit));
        fs::write(at("hooks/more/run"), "two").unwrap();
        assert!(!kept.is_there(place, unit), "another content");
        fs::rename(at("hooks"), at("aside")).unwrap();
        kept.put_back(place, unit).unwrap();
        assert!(kept.is_there(place, unit));
        assert_eq!(fs::metadata(at("hooks/more/run")).unwrap().permissions().mode() & 0o777, 0o755);
        fs::write(at("hooks/new"), "").unwrap();
        assert!(!kept.is_there(place, unit), "one more");
    }

    #[test]
    fn what_is_too_much_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("large"), "x".repeat(100)).unwrap();
        let place: OwnedFd = fs::File::open(dir.path()).unwrap().into();
        let take =
            |bytes| Kept::take(place.as_fd(), Path::new("large"), &mut Budget { bytes, items: 1 }).is_some();
        assert!(take(100) && !take(99));
        let mut budget = Budget::default();
        budget.text(place.as_fd(), Path::new("large"), 100).unwrap();
        assert_eq!(budget.bytes, MOST_KEPT - 100);
        let mut spent = Budget { items: 0, ..Budget::default() };
        assert!(Kept::take(place.as_fd(), Path::new("large"), &mut spent).is_none());
    }
}
