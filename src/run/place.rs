//! Places where a run may write, as they are looked at before and after it: with all rights of this process, while others
//! may write there. Nothing is opened by a path that could lead elsewhere meanwhile. Each place is opened before the run
//! starts, everything in it through that descriptor, beneath it, and following no link.

use std::{
    fs, io,
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    time::{ClockId, clock_gettime},
};

/// A moment by the clock that stamps files: they are never older than it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl Moment {
    pub(super) fn now() -> Self {
        #[cfg(target_os = "linux")]
        let clock = ClockId::RealtimeCoarse;
        #[cfg(not(target_os = "linux"))]
        let clock = ClockId::Realtime;
        let now = clock_gettime(clock);
        Self::of(now.tv_sec, now.tv_nsec)
    }

    fn of(seconds: i64, nanoseconds: i64) -> Self {
        let nanoseconds = u32::try_from(nanoseconds).unwrap_or_default();
        Self(Duration::new(u64::try_from(seconds).unwrap_or_default(), nanoseconds))
    }
}

/// A place where a run may write, opened before it starts.
pub(super) struct Written {
    pub path: PathBuf,
    pub opened: OwnedFd,
}

impl Written {
    /// Opens a directory or a file, following no link to it; nothing else holds anything.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let kind = fs::symlink_metadata(path)?.file_type();
        if !kind.is_dir() && !kind.is_file() {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        #[cfg(target_os = "linux")]
        let opened = {
            let resolve = rustix::fs::ResolveFlags::NO_SYMLINKS;
            rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), resolve)?
        };
        #[cfg(not(target_os = "linux"))]
        let opened = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Some(Self { path: path.to_owned(), opened }))
    }

    /// What tells it from whatever else comes to lie at its path.
    pub(super) fn inode(&self) -> io::Result<(u64, u64)> {
        let found = rustix::fs::fstat(&self.opened)?;
        Ok((found.st_dev, found.st_ino))
    }
}

/// What is known of an entry before it is opened.
pub(super) struct Found {
    pub kind: FileType,
    pub mode: Mode,
    pub size: u64,
    pub changed: Moment,
    pub born: Option<Moment>,
    pub inode: (u64, u64),
}

impl Found {
    /// Whether it came to be since. Where the file system does not keep that, nobody knows, and it did not.
    pub(super) fn is_made_since(&self, since: Moment) -> bool {
        self.born.is_some_and(|born| born >= since)
    }
}

/// Opens what is beneath a directory, waiting for nobody; no link is followed, and nothing above is reached.
pub(super) fn open_beneath(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let path = if path == Path::new("") { Path::new(".") } else { path };
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        Ok(rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve)?)
    }
    #[cfg(not(target_os = "linux"))]
    Ok(rustix::fs::openat(dir, path, flags, Mode::empty())?)
}

/// Lets the owner read and list a directory again.
pub(super) fn unlock(place: BorrowedFd<'_>, dir: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    #[cfg(not(target_os = "linux"))]
    let flags = OFlags::DIRECTORY;
    let opened = open_beneath(place, dir, flags)?;
    fs::set_permissions(format!("/dev/fd/{}", opened.as_raw_fd()), fs::Permissions::from_mode(0o700))
}

/// What an entry of a directory is, or, without a name, what is open.
#[cfg(target_os = "linux")]
pub(super) fn stat(dir: BorrowedFd<'_>, name: &Path) -> io::Result<Found> {
    use rustix::fs::StatxFlags;
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let found = rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME)?;
    // Not every file system keeps when a file came to be (statx(2), stx_btime).
    let known = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
    let device = u64::from(found.stx_dev_major) << 32 | u64::from(found.stx_dev_minor);
    Ok(Found {
        kind: FileType::from_raw_mode(found.stx_mode.into()),
        mode: Mode::from_raw_mode(found.stx_mode.into()),
        size: found.stx_size,
        changed: Moment::of(found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec.into()),
        born: known.then(|| Moment::of(found.stx_btime.tv_sec, found.stx_btime.tv_nsec.into())),
        inode: (device, found.stx_ino),
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn stat(dir: BorrowedFd<'_>, name: &Path) -> io::Result<Found> {
    let found = if name == Path::new("") {
        rustix::fs::fstat(dir)?
    } else {
        rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?
    };
    Ok(Found {
        kind: FileType::from_raw_mode(found.st_mode),
        mode: Mode::from_raw_mode(found.st_mode),
        size: u64::try_from(found.st_size).unwrap_or_default(),
        changed: Moment::of(found.st_ctime, found.st_ctime_nsec),
        born: Some(Moment::of(found.st_birthtime, found.st_birthtime_nsec)),
        inode: (u64::try_from(found.st_dev).unwrap_or_default(), found.st_ino),
    })
}
