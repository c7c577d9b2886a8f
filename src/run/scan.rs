//! What a run left behind: every file that it made or changed where it may write, searched for its secrets. A
//! later program, outside of the sandbox, could read a value there.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{AtFlags, StatxFlags},
    time::{ClockId, clock_gettime},
};

use crate::{policy::OnFileHit, redact::NeedleSet};

const CHUNK: usize = 256 * 1024;

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

/// Searches everything below these places that changed since a moment.
pub(super) fn search(
    places: &[PathBuf],
    since: Moment,
    needles: &NeedleSet,
    on_hit: OnFileHit,
) -> Vec<FileHit> {
    let mut hits = Vec::new();
    let mut waiting: Vec<PathBuf> = places.to_vec();
    while let Some(path) = waiting.pop() {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if found.is_dir() {
            waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
        if Moment::of(found.ctime(), found.ctime_nsec()) >= since && holds(&path, &found, needles) {
            hits.push(FileHit { fate: dispose(&path, &found, since, on_hit), path });
        }
    }
    hits.sort_by(|a, b| a.path.cmp(&b.path));
    hits
}

/// Whether a needle is in a file's name, in what a link leads to, or in what it holds. One that can't be read
/// any more was made unreadable by the run: it is taken to hold one.
fn holds(path: &Path, found: &fs::Metadata, needles: &NeedleSet) -> bool {
    let in_name = path.file_name().is_some_and(|name| needles.finds(name.as_bytes()).total() > 0);
    let in_link =
        || fs::read_link(path).is_ok_and(|target| needles.finds(target.as_os_str().as_bytes()).total() > 0);
    let inside = || {
        found.is_file() && {
            let readable = || -> io::Result<bool> { stream_holds(&mut File::open(path)?, needles) };
            readable().unwrap_or(true)
        }
    };
    in_name || (found.is_symlink() && in_link()) || inside()
}

fn stream_holds(file: &mut File, needles: &NeedleSet) -> io::Result<bool> {
    let mut finder = needles.finder();
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            return Ok(finder.finish().total() > 0);
        }
        finder.push(&chunk[..length]);
    }
}

/// Removes what the run itself made. What was there before, whoever wrote it since, is somebody's.
fn dispose(path: &Path, found: &fs::Metadata, since: Moment, on_hit: OnFileHit) -> Fate {
    let made = born(path).is_some_and(|born| born >= since) && found.nlink() <= 1;
    if on_hit == OnFileHit::Report || !made || found.is_dir() {
        return Fate::Left;
    }
    if fs::remove_file(path).is_ok() { Fate::Removed } else { Fate::Left }
}

/// When a file came to be, where the file system keeps that (statx(2), stx_btime).
fn born(path: &Path) -> Option<Moment> {
    #[cfg(target_os = "linux")]
    {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let found = rustix::fs::statx(rustix::fs::CWD, path, flags, StatxFlags::BTIME).ok()?;
        let known = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
        known.then(|| Moment::of(found.stx_btime.tv_sec, i64::from(found.stx_btime.tv_nsec)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let born = fs::symlink_metadata(path).ok()?.created().ok()?;
        born.duration_since(std::time::UNIX_EPOCH).ok().map(Moment)
    }
}
