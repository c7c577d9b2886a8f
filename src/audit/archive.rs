//! Moving closed segments away: the only way in which the log gets shorter.
//!
//! Each is copied, read back and compared; then an event says which, with digest and range; then it is
//! removed here. Wherever that is broken off, no line is lost and the next try goes on.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{
    AuditError, AuditLog, event,
    event::{ArchivedFile, Own},
    segments,
    verify::digest,
};

/// So many are moved with one event, which names each.
const AT_ONCE: usize = 64;

/// Moves every closed segment into a directory. Returns the files' names there. The caller has verified the log.
///
/// # Errors
/// [`AuditError`]; what was moved before is on record.
pub(crate) fn archive(log: &AuditLog, to: &Path) -> Result<Vec<PathBuf>, AuditError> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |error| AuditError::io(&what, error)
    };
    crate::files::create_private_dir_if_missing(to).map_err(io("make the archive's directory"))?;
    let closed: Vec<(u64, PathBuf)> = segments::closed(&log.dir)?.into_iter().collect();
    let mut moved = Vec::new();
    for some in closed.chunks(AT_ONCE) {
        let mut files = Vec::new();
        for (number, path) in some {
            let target = to.join(segments::name(*number));
            files.push(copy(log, path, &target)?);
            moved.push(target);
        }
        File::open(to).and_then(|dir| dir.sync_all()).map_err(io("sync the archive's directory"))?;
        let through = some.last().map_or(0, |(number, _)| *number);
        let to = fs::canonicalize(to).map_err(io("find the archive's directory"))?;
        log.append_own(Own::Archived { through, to: to.display().to_string(), files })?;
        for (_, path) in some {
            fs::remove_file(path).map_err(io("remove an archived segment"))?;
        }
        File::open(&log.dir).and_then(|dir| dir.sync_all()).map_err(io("sync its directory"))?;
    }
    Ok(moved)
}

/// Copies a segment and reads the copy back.
fn copy(log: &AuditLog, from: &Path, to: &Path) -> Result<ArchivedFile, AuditError> {
    let failed = |error| AuditError::io(&format!("archive {}", from.display()), error);
    let (sha256, _) = digest(from)?;
    if fs::symlink_metadata(to).is_err() {
        let mut target =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
        io::copy(&mut File::open(from).map_err(failed)?, &mut target).map_err(failed)?;
        target.sync_all().map_err(failed)?;
    }
    // Also of what an earlier try has left there.
    if digest(to)?.0 != sha256 {
        let other = io::Error::new(io::ErrorKind::AlreadyExists, "another file of that name is there");
        return Err(failed(other));
    }
    let (first, last) = range(log, from)?;
    let file = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(ArchivedFile { file, first, last, sha256 })
}

/// The numbers of a closed segment's first and last event.
fn range(log: &AuditLog, path: &Path) -> Result<(u64, u64), AuditError> {
    let failed = |error| AuditError::io("read it", error);
    let file = File::open(path).map_err(failed)?;
    let end = file.metadata().map_err(failed)?.len();
    let mut first = Vec::new();
    BufReader::new(&file).read_until(b'\n', &mut first).map_err(failed)?;
    let first = first.strip_suffix(b"\n").unwrap_or(&first);
    let last = segments::Backwards::from(file, end).next().map_err(failed)?.unwrap_or_default();
    let seq = |line: &[u8]| {
        event::read(&log.keys, line).map(|body| body.seq).map_err(|what| AuditError::damaged(0, what))
    };
    Ok((seq(first)?, seq(&last)?))
}
