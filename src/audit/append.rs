//! Writing: lines behind the last whole one, the next segment where one is full or can't be trusted, and
//! the head.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use super::{
    AuditError, AuditLog, Note,
    entry::{Durable, Entry},
    event::{self, Body, Event, Own},
    head::LogPosition,
    reserve,
    segments::{self, Lines, Next},
};

/// A signed checkpoint stands at least after so many events.
const CHECKPOINT_EVERY: u64 = 256;
/// Is there while a sync of the segment that is written to has failed. The kernel forgets such a failure
/// once it was told, and calls pages clean that never reached the disk: another sync of the same file
/// would succeed and mean nothing.
pub(super) const UNSYNCED: &str = "unsynced";

impl AuditLog {
    pub(super) fn append(&self, entries: Vec<Entry>, durable: Durable) -> Result<(), AuditError> {
        let _lock = self.lock()?;
        let mut place = self.place.lock();
        let (now, unfinished) = self.catch_up(place.clone())?;
        *place = now;
        self.write(&mut place, unfinished, entries, durable)
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
        if self.dir.join(UNSYNCED).exists() {
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
            self.check_on_disk(place)?;
            let file = OpenOptions::new().write(true).open(self.current()).map_err(failed)?;
            file.set_len(place.offset).map_err(failed)?;
            self.begin_segment(place, bytes, true)?;
        } else if let Err(error) = fs::remove_file(self.current())
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(failed(error));
        }
        fs::remove_file(self.dir.join(UNSYNCED)).map_err(failed)
    }

    /// Walks the segment up to its last acknowledged line, past the cache, which may hold what the disk
    /// has not.
    fn check_on_disk(&self, place: &LogPosition) -> Result<(), AuditError> {
        let failed = |error| AuditError::io("read it", error);
        let file = File::open(self.current()).map_err(failed)?;
        let whole = std::num::NonZeroU64::new(place.offset);
        rustix::fs::fadvise(&file, 0, whole, rustix::fs::Advice::DontNeed).map_err(|e| failed(e.into()))?;
        let mut lines = Lines::from(file, 0).map_err(failed)?;
        let (mut read, mut last) = (0, None);
        while read < place.offset {
            let Next::Line(line) = lines.next().map_err(failed)? else { break };
            read += line.len() as u64 + 1;
            let body = event::read(&self.keys, line).map_err(|what| AuditError::damaged(0, what))?;
            if last.is_some_and(|hash| body.prev != hex::encode(hash)) {
                return Err(AuditError::damaged(body.seq, "the line does not go on from the one before"));
            }
            last = Some(event::hash(line));
        }
        if last != Some(place.head.hash) {
            return Err(AuditError::damaged(place.head.seq, "it was acknowledged and is not on the disk"));
        }
        Ok(())
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
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(false).mode(0o600).open(self.current())?;
        file.set_len(offset)?;
        file.seek(SeekFrom::Start(offset))?;
        if let Err(error) = file.write_all(bytes) {
            file.set_len(offset)?;
            return Err(error);
        }
        if durable == Durable::Later {
            return Ok(());
        }
        self.synced(&file).inspect_err(|_| {
            // What could not be made durable was never acknowledged.
            let _ = file.set_len(offset);
        })
    }

    /// Makes durable what was written to the present segment, by whomever.
    pub(super) fn sync_segment(&self) -> io::Result<()> {
        self.synced(&OpenOptions::new().write(true).open(self.current())?)
    }

    fn synced(&self, file: &File) -> io::Result<()> {
        (self.sync)(file).or_else(|error| {
            // Never tried again on this file: it is left with the next event.
            File::create(self.dir.join(UNSYNCED))?;
            Err(error)
        })
    }

    fn current(&self) -> PathBuf {
        self.dir.join(segments::CURRENT)
    }
}

/// Whether an operator did it: no agent can have such a principal.
fn is_operators(event: &Event) -> bool {
    matches!(event, Event::Note(Note::Admin { principal, .. }) if principal.starts_with("operator:"))
}
