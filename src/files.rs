//! Private files: 0600 in 0700, whatever the umask; whole or not at all.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{fs::OFlags, io::Errno};
use serde::{Deserialize, Serialize};

/// What no file of a home may be: a link leads elsewhere, and a FIFO hangs whoever opens it.
const PLAIN: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);

/// A file as it looks: which one, how long, and when it was last changed, which no process of the same user sets
/// (`ctime`): one that was put back looks another way, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileStamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl FileStamp {
    /// How a file looks now; nothing where that can't be seen.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self { inode: meta.ino(), length: meta.len(), changed: (meta.ctime(), meta.ctime_nsec()) })
    }
}

/// Makes a directory that only its owner can enter, and the ones above it.
///
/// # Errors
/// Of the operating system.
pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))
}

/// Makes a private directory where there is none; one that is there keeps its permissions.
///
/// # Errors
/// Of the operating system.
pub(crate) fn create_private_dir_if_missing(dir: &Path) -> io::Result<()> {
    create_missing(dir)
}

/// Writes a file that only its owner can read, durably: readers see the old content or the new.
///
/// # Errors
/// Of the operating system.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    create_missing(dir)?;
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(dir)?.sync_all()
}

/// The same, and leaves it to chance when it is durable: a loss of power may leave the old content, the new one, or
/// nothing.
///
/// # Errors
/// Of the operating system.
pub(crate) fn replace_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Writes a private file that must not be there yet.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`], or of the operating system.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        create_missing(dir)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Writes a private file that must not be there yet, and leaves it to the caller to make it durable.
///
/// # Errors
/// As [`create_private`].
pub(crate) fn create_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}

/// Opens a file of ours for reading, and nothing but a regular one: a FIFO in its place would hang whoever
/// reads it with the vault's lock held, a device never ends, and a link leads elsewhere.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] where it is something else, or of the operating system.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    regular(options.read(true).custom_flags(flags(PLAIN)).open(path))
}

/// Opens a file of ours that is there to be written in place: as [`open_regular`].
///
/// # Errors
/// As [`open_regular`].
pub(crate) fn open_to_change(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    regular(options.read(true).write(true).custom_flags(flags(PLAIN)).open(path))
}

/// Opens what a person names for reading, through links: a regular file or a pipe. A device may have no end, and is not
/// even opened.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] where it is something else, or of the operating system.
pub(crate) fn open_given(path: &Path) -> io::Result<File> {
    let fits = |found: fs::Metadata| {
        let kind = found.file_type();
        let other = || io::Error::new(io::ErrorKind::InvalidData, "it is neither a regular file nor a pipe");
        (kind.is_file() || kind.is_fifo()).then_some(()).ok_or_else(other)
    };
    fits(fs::metadata(path)?)?;
    let file = File::open(path)?;
    fits(file.metadata()?)?;
    Ok(file)
}

/// Reads a regular file of at most so many bytes.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] where it is something else or larger, or of the operating system.
pub(crate) fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_at_most(&open_regular(path)?, most)
}

/// Reads an open file of at most so many bytes.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] where it is larger, or of the operating system.
pub(crate) fn read_at_most(file: &File, most: u64) -> io::Result<Vec<u8>> {
    // In one read, unless it grows meanwhile.
    let length = file.metadata()?.len().min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is larger than {most} bytes")));
    }
    Ok(bytes)
}

/// What was opened, if it is a regular file.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] where it is something else, or what opening it said.
pub(crate) fn regular(opened: io::Result<File>) -> io::Result<File> {
    let other = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, what.to_owned()));
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => other("it is not a regular file"),
        Err(error) if is(&error, Errno::LOOP) => other("it is a link"),
        Err(error) if is(&error, Errno::NXIO) || is(&error, Errno::ISDIR) => {
            other("it is not a regular file")
        }
        Err(error) => Err(error),
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Whether others than the owner can read or write a file.
///
/// # Errors
/// Of the operating system.
pub(crate) fn is_open_to_others(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

/// Takes a lock file's lock, waiting for another holder up to `wait`.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when the wait is over, or of the operating system.
pub(crate) fn lock(path: &Path, wait: Duration) -> io::Result<File> {
    let until = Instant::now() + wait;
    let mut file = open_or_make(path)?;
    loop {
        match file.try_lock() {
            // Whoever exchanged the directory meanwhile has put another lock there.
            Ok(()) if is_at(&file, path) => return Ok(file),
            Ok(()) => file = open_or_make(path)?,
            Err(fs::TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(fs::TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Opens a file of ours to be written in place, and makes an empty one where there is none: as [`open_regular`].
///
/// # Errors
/// As [`open_regular`].
pub(crate) fn open_or_make(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags(PLAIN));
    regular(options.open(path))
}

/// Whether an open file is the one that is at a path now.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(found)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (held.dev(), held.ino()) == (found.dev(), found.ino())
}

/// Takes a lock file's lock in turn: whoever waits has a turn before whoever comes back at once. A busy
/// daemon would starve a command that is typed once otherwise.
///
/// # Errors
/// As [`lock`].
pub(crate) fn lock_in_turn(path: &Path, wait: Duration) -> io::Result<File> {
    let until = Instant::now() + wait;
    let turn = lock(&path.with_extension("turn"), wait)?;
    let locked = lock(path, until.saturating_duration_since(Instant::now()));
    drop(turn);
    locked
}

/// Copies a directory with all that is in it, privately.
///
/// # Errors
/// Of the operating system.
pub(crate) fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    create_private_dir(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
        if path.is_dir() {
            copy_dir(&path, &target)?;
        } else {
            create_private(&target, &read_regular(&path, u64::MAX - 1)?)?;
        }
    }
    Ok(())
}

/// Has a directory, whose files nobody changes any more, in another place, too: a link as a link, and files by
/// hard links. Where there is none, none is made.
///
/// # Errors
/// Of the operating system.
pub(crate) fn carry_dir(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(from) else { return Ok(()) };
    if found.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if !found.is_dir() {
        return fs::hard_link(from, to);
    }
    create_private_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        carry_dir(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Every file below a directory.
///
/// # Errors
/// Of the operating system.
pub(crate) fn files_below(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

/// A directory that is there keeps its permissions: it may be the operator's own.
fn create_missing(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() { Ok(()) } else { create_private_dir(dir) }
}
