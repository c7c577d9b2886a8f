//! Every event of the log, as it was written.

use std::path::Path;

use super::{
    AuditError, AuditKeys,
    event::{self, Body},
    segments::{self, Lines, Next},
};

/// Every event's body, oldest first.
///
/// # Errors
/// [`AuditError`], at the first line whose MAC does not hold.
pub(super) fn bodies(dir: &Path, keys: &AuditKeys, mut each: impl FnMut(Body)) -> Result<(), AuditError> {
    let failed = |error| AuditError::io("read it", error);
    let closed = segments::closed(dir)?.into_values();
    for path in closed.chain([dir.join(segments::CURRENT)]) {
        let Some(file) = segments::open(&path)? else { continue };
        let mut lines = Lines::from(file, 0).map_err(failed)?;
        while let Next::Line(line) = lines.next().map_err(failed)? {
            each(event::read(keys, line).map_err(|what| AuditError::damaged(0, what))?);
        }
    }
    Ok(())
}
