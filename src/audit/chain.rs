//! Going on from where the chain was last known to be: what was appended since is checked line by line.

use super::{
    AuditError, AuditLog, Head,
    event::{self, Event, Own},
    head::LogPosition,
    segments::{self, Lines, Next},
};

impl AuditLog {
    /// The place that `head.json` vouches for; without it, the beginning of the segment that is written
    /// to, whose first event says what must be known of those before.
    pub(super) fn trusted_place(&self) -> Result<LogPosition, AuditError> {
        if let Some(place) = LogPosition::read(&self.dir, &self.keys)? {
            return Ok(place);
        }
        let last = segments::closed(&self.dir)?.into_keys().next_back();
        let first_of = |path: &std::path::Path| -> Result<Option<LogPosition>, AuditError> {
            let Some(file) = segments::open(path)? else { return Ok(None) };
            let mut lines = Lines::from(file, 0).map_err(|error| AuditError::io("read it", error))?;
            match lines.next().map_err(|error| AuditError::io("read it", error))? {
                Next::Line(line) => Ok(self.segment_start(line)),
                _ => Ok(None),
            }
        };
        let current = self.dir.join(segments::CURRENT);
        if let Some(place) = first_of(&current)? {
            return Ok(place);
        }
        match last {
            None | Some(1) => Ok(LogPosition::beginning()),
            Some(number) => first_of(&self.dir.join(segments::name(number)))?.ok_or_else(|| {
                AuditError::damaged(0, format!("{} does not begin as a segment does", segments::name(number)))
            }),
        }
    }

    /// Where a segment begins that has this first line.
    pub(super) fn segment_start(&self, line: &[u8]) -> Option<LogPosition> {
        let body = event::read(&self.keys, line).ok()?;
        let Event::Own(Own::Segment { number, .. }) = body.event else { return None };
        let hash = hex::decode(&body.prev).ok()?.try_into().ok()?;
        Some(LogPosition::at_segment(number, Head { seq: body.seq.checked_sub(1)?, hash }))
    }

    /// Reads what was appended since: the line that the place ends with must still be there, and every
    /// line behind it must go on from it. Returns the new place, and how many bytes of an unfinished
    /// line stand behind it.
    pub(super) fn catch_up(&self, from: LogPosition) -> Result<(LogPosition, u64), AuditError> {
        let known = (from.segment, from.head.seq);
        let failed = match self.follow(from) {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        // The segment that this process knew may have been archived by another one meanwhile.
        match LogPosition::read(&self.dir, &self.keys)? {
            Some(later) if later.segment > known.0 && later.head.seq >= known.1 => self.follow(later),
            _ => Err(failed),
        }
    }

    fn follow(&self, mut place: LogPosition) -> Result<(LogPosition, u64), AuditError> {
        loop {
            let (path, closed) = segments::path_of(&self.dir, place.segment);
            let Some(file) = segments::open(&path)? else {
                // The segment before was closed, and nothing was written since.
                return if place.offset == 0 { Ok((place, 0)) } else { Err(cut(&place)) };
            };
            let unfinished = self.follow_in(&mut place, file)?;
            if !closed {
                return Ok((place, unfinished));
            }
            if unfinished > 0 {
                return Err(AuditError::damaged(place.head.seq + 1, "a closed segment ends within a line"));
            }
            place.next_segment();
        }
    }

    fn follow_in(&self, place: &mut LogPosition, file: std::fs::File) -> Result<u64, AuditError> {
        let failed = |error| AuditError::io("read it", error);
        let mut lines = Lines::from(file, place.offset - place.length).map_err(failed)?;
        if place.length > 0 {
            let Next::Line(last) = lines.next().map_err(failed)? else { return Err(cut(place)) };
            if event::hash(last) != place.head.hash {
                return Err(AuditError::damaged(place.head.seq, "the line was changed"));
            }
            if place.checkpoint.is_none() {
                let body = event::read(&self.keys, last);
                place.checkpoint =
                    Some(body.is_ok_and(|body| matches!(body.event, Event::Own(Own::Checkpoint { .. }))));
            }
        }
        loop {
            match lines.next().map_err(failed)? {
                Next::Line(line) => self.step(place, line)?,
                Next::TooLong => {
                    return Err(AuditError::damaged(place.head.seq + 1, "the line is longer than any event"));
                }
                Next::Unfinished(bytes) => return Ok(bytes),
                Next::End => return Ok(0),
            }
        }
    }

    fn step(&self, place: &mut LogPosition, line: &[u8]) -> Result<(), AuditError> {
        let seq = place.head.seq + 1;
        let body = event::read(&self.keys, line).map_err(|what| AuditError::damaged(seq, what))?;
        if body.seq != seq || body.prev != hex::encode(place.head.hash) {
            return Err(AuditError::damaged(seq, "the line does not go on from the one before"));
        }
        place.advance(&body, line);
        Ok(())
    }
}

fn cut(place: &LogPosition) -> AuditError {
    AuditError::damaged(place.head.seq, "the log ends before it: it was cut")
}
