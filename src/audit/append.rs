//! Writing: lines behind the last whole one, the next segment where one is full or can't be trusted, and
//! the head.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
};

use super::{
    AuditError, AuditLog, Head, Note,
    entry::{Durable, Entry},
    event::{self, Body, Event, Own},
    head::LogPosition,
    reserve,
    segments::{self, Lines, Next, UNSYNCED},
};
use crate::files;

/// A signed checkpoint stands at least after so many events.
const CHECKPOINT_EVERY: u64 = 256;
impl AuditLog {
    /// Appends events. Returns the head with them.
    pub(super) fn append(&self, entries: Vec<Entry>, durable: Durable) -> Result<Head, AuditError> {
        let _lock = self.lock()?;
        let mut place = self.place.lock();
        if self.group.has_failed(&self.current()) {
            // The end of what this process has written may be gone with the cache.
            *place = self.on_disk(&place)?;
        }
        let (now, unfinished) = self.catch_up(place.clone())?;
        *place = now;
        self.write(&mut place, unfinished, entries, durable)?;
        Ok(place.head)
    }

    /// Writes events' lines, those that belong before and behind them, and then the head.
    pub(super) fn write(
        &self,
        place: &mut LogPosition,
        unfinished: u64,
        entries: Vec<Entry>,
        durable: Durable,
    ) -> Result<(), AuditError> {
        let by_operator = entries.iter().any(|(event, _)| is_operators(event));
        let mut next = place.clone();
        let mut bytes = Vec::new();
        if self.is_unsynced() {
            self.leave_unsynced(&mut next, &mut bytes)?;
        } else if next.offset >= self.segment_bytes {
            self.close_segment(&mut next, &mut bytes)?;
        }
        let at = if next.segment == place.segment { place.offset } else { 0 };
        if unfinished > 0 {
            self.add(&mut next, &mut bytes, (Event::Own(Own::Recovered { dropped_bytes: unfinished }), None));
        }
        for entry in entries {
            self.add(&mut next, &mut bytes, entry);
            if next.head.seq.is_multiple_of(CHECKPOINT_EVERY) {
                let event = event::checkpoint(&self.keys, next.head, &next.state);
                self.add(&mut next, &mut bytes, (event, None));
            }
        }
        self.write_log(at, &bytes, durable)
            .or_else(|error| {
                // What an operator does against an agent that filled the disk must go on record.
                let room =
                    error.kind() == io::ErrorKind::StorageFull && by_operator && reserve::give_up(&self.dir);
                if room { self.write_log(at, &bytes, durable) } else { Err(error) }
            })
            .map_err(|error| AuditError::io("write it", error))?;
        // A head that is ahead of what the disk has would call a log cut that only lost its power.
        next.synced = durable == Durable::Now;
        if next.synced {
            self.group.is_durable(next.head);
            next.write(&self.dir, &self.keys).map_err(|error| AuditError::io("write its head", error))?;
        }
        *place = next;
        Ok(())
    }

    fn add(&self, place: &mut LogPosition, bytes: &mut Vec<u8>, (event, change): Entry) {
        let body = Body::after(place.head, event, change);
        let mut line = event::line(&self.keys, &body);
        place.advance(&body, &line);
        line.push(b'\n');
        bytes.extend(line);
    }

    /// Closes the segment that is written to, and writes the next one's first event.
    pub(super) fn rotate(&self, place: &mut LogPosition) -> Result<(), AuditError> {
        let (mut next, mut bytes) = (place.clone(), Vec::new());
        self.close_segment(&mut next, &mut bytes)?;
        let written = self.write_log(0, &bytes, Durable::Now);
        written.map_err(|error| AuditError::io("write it", error))?;
        next.write(&self.dir, &self.keys).map_err(|error| AuditError::io("write its head", error))?;
        *place = next;
        Ok(())
    }

    /// Closes the segment that is written to by a checkpoint, and begins the next.
    fn close_segment(&self, place: &mut LogPosition, bytes: &mut Vec<u8>) -> Result<(), AuditError> {
        let mut last = Vec::new();
        let at = place.offset;
        let event = event::checkpoint(&self.keys, place.head, &place.state);
        self.add(place, &mut last, (event, None));
        self.write_log(at, &last, Durable::Now).map_err(|error| AuditError::io("write it", error))?;
        self.begin_segment(place, bytes, false)
    }

    /// Leaves a segment whose sync has failed: what was acknowledged must be on the disk, and is looked
    /// for there.
    fn leave_unsynced(&self, place: &mut LogPosition, bytes: &mut Vec<u8>) -> Result<(), AuditError> {
        let failed = |error| AuditError::io("leave the segment that can't be synced", error);
        if place.offset > 0 {
            *place = self.on_disk(place)?;
            let file = files::open_or_make(&self.current()).map_err(failed)?;
            file.set_len(place.offset).map_err(failed)?;
            self.begin_segment(place, bytes, true)?;
        } else if let Err(error) = fs::remove_file(self.current())
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(failed(error));
        }
        if let Err(error) = fs::remove_file(self.dir.join(UNSYNCED))
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(failed(error));
        }
        Ok(())
    }

    /// Whether a sync of the segment that is written to has failed, in any process.
    fn is_unsynced(&self) -> bool {
        self.group.has_failed(&self.current()) || self.dir.join(UNSYNCED).exists()
    }

    /// How much of the segment is on the disk, past the cache, which may hold what the disk has not: all that was
    /// acknowledged is.
    fn on_disk(&self, place: &LogPosition) -> Result<LogPosition, AuditError> {
        let (read, last) = self.walk_disk(place)?;
        let lost = || AuditError::damaged(place.head.seq, "it was acknowledged and is not on the disk");
        if last.is_some_and(|last| last.hash == place.head.hash) {
            return Ok(place.clone());
        }
        let sure = self.group.durable().seq;
        let known = self.trusted_place()?;
        if last.map_or(0, |last| last.seq) < sure.max(known.head.seq) || known.segment != place.segment {
            return Err(lost());
        }
        // Lines that nobody was told of, and that never came so far.
        let file = files::open_or_make(&self.current()).map_err(|error| AuditError::io("cut it", error))?;
        file.set_len(read).map_err(|error| AuditError::io("cut it", error))?;
        Ok(self.catch_up(known)?.0)
    }

    /// Where the last whole line of the segment ends that goes on from those before, up to a place.
    fn walk_disk(&self, place: &LogPosition) -> Result<(u64, Option<Head>), AuditError> {
        let failed = |error| AuditError::io("read it", error);
        let file = File::open(self.current()).map_err(failed)?;
        let whole = std::num::NonZeroU64::new(place.offset);
        rustix::fs::fadvise(&file, 0, whole, rustix::fs::Advice::DontNeed).map_err(|e| failed(e.into()))?;
        let mut lines = Lines::from(file, 0).map_err(failed)?;
        let (mut read, mut last): (u64, Option<Head>) = (0, None);
        while read < place.offset {
            let Next::Line(line) = lines.next().map_err(failed)? else { break };
            let Ok(body) = event::read(&self.keys, line) else { break };
            if last.is_some_and(|last| body.prev != hex::encode(last.hash)) {
                break;
            }
            read += line.len() as u64 + 1;
            last = Some(Head { seq: body.seq, hash: event::hash(line) });
        }
        Ok((read, last))
    }

    /// The closed file gets its number, and the next one its first event.
    fn begin_segment(
        &self,
        place: &mut LogPosition,
        bytes: &mut Vec<u8>,
        unsynced: bool,
    ) -> Result<(), AuditError> {
        let closed = segments::name(place.segment);
        let renamed = fs::rename(self.current(), self.dir.join(&closed)).and_then(|()| {
            // The next segment must not be there without the one that it goes on from.
            File::open(&self.dir)?.sync_all()
        });
        renamed.map_err(|error| AuditError::io("close a segment", error))?;
        place.next_segment();
        let state = Box::new(place.state.clone());
        let event = Own::Segment { number: place.segment, closed, unsynced, state };
        self.add(place, bytes, (Event::Own(event), None));
        Ok(())
    }

    /// Writes behind the last whole line; what stood there was never acknowledged. A write that fails
    /// half way is taken back, so that the log ends in a whole line whatever happens.
    fn write_log(&self, offset: u64, bytes: &[u8], durable: Durable) -> io::Result<()> {
        let (file, failures) = (self.current_file()?, self.group.failures());
        // A file system begins a transaction even for a length that a file has already.
        if file.metadata()?.len() != offset {
            file.set_len(offset)?;
        }
        if let Err(error) = file.write_all_at(bytes, offset) {
            file.set_len(offset)?;
            return Err(error);
        }
        if durable == Durable::Later {
            return Ok(());
        }
        self.synced(&file, failures).inspect_err(|_| {
            // What could not be made durable was never acknowledged.
            let _ = file.set_len(offset);
        })
    }

    /// Makes durable what was written to the present segment, by whomever.
    pub(super) fn sync_segment(&self) -> io::Result<()> {
        let failures = self.group.failures();
        if self.is_unsynced() {
            return Err(io::Error::other("a sync of it has failed"));
        }
        self.synced(&*self.current_file()?, failures)
    }

    pub(super) fn current(&self) -> PathBuf {
        self.dir.join(segments::CURRENT)
    }
}

/// Whether an operator did it: no agent can have such a principal.
fn is_operators(event: &Event) -> bool {
    matches!(event, Event::Note(Note::Admin { principal, .. }) if principal.starts_with("operator:"))
}
