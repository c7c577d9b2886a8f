//! The log's file: appended to under a lock, by any number of processes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{
    AuditError, AuditKeys, Head, Intent, IntentFacts, Note, OutcomeFacts,
    event::{self, Allowance, Body, Event, Own},
    head::Place,
    state::{Announced, Change},
};
use crate::{
    name::{RunId, ScopeName},
    policy::Allowed,
};

/// A signed checkpoint stands at least after so many events.
const CHECKPOINT_EVERY: u64 = 256;
/// How long an append waits for another process.
const WAIT: Duration = Duration::from_secs(5);

/// The log of one home. Several processes may hold one each: every append takes the file's lock,
/// reads the tail it has not seen and goes on from there.
pub struct AuditLog {
    dir: PathBuf,
    keys: AuditKeys,
    place: Mutex<Place>,
}

/// Whether an event is on the disk before anything goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durable {
    Now,
    Later,
}

impl AuditLog {
    /// Opens or makes the log in a directory (0700), and reconciles it with the head that the vault
    /// has anchored: a log that ends before it was cut.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(dir: &Path, keys: AuditKeys, anchor: Option<Head>) -> Result<Self, AuditError> {
        crate::store::files::create_private_dir(dir).map_err(|e| AuditError::io("make its directory", e))?;
        let log = Self { dir: dir.to_owned(), keys, place: Mutex::new(Place::beginning()) };
        let _lock = log.lock()?;
        let (place, _) = log.catch_up(Place::read(&log.dir, &log.keys)?)?;
        check_anchor(place.head, anchor)?;
        *log.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
        Ok(log)
    }

    /// Puts an intent on record and returns the witness, once it is on the disk. A change of the vault
    /// that belongs to it (a use that it spends) is announced with it.
    ///
    /// # Errors
    /// [`AuditError`]: then nothing is revealed.
    pub fn record_intent(
        &self,
        allowed: Allowed,
        run_id: RunId,
        facts: IntentFacts,
        change: Option<Change>,
    ) -> Result<Intent, AuditError> {
        let (scope, terms) = allowed.into_parts();
        let what = Allowance::of(&terms);
        let event = Own::Intent { run: run_id.clone(), scope: scope.clone(), facts, what };
        self.append(Event::Own(event), change)?;
        Ok(Intent { run_id, scope, terms })
    }

    /// Puts an outcome on record.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn record_outcome(&self, intent: Intent, facts: OutcomeFacts) -> Result<(), AuditError> {
        self.append(Event::Own(Own::Outcome { run: intent.run_id, scope: intent.scope, facts }), None)
    }

    /// Puts `interrupted` on record for every intent that has no outcome and whose process has ended.
    /// Returns how many there were.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn report_interrupted(&self, ended: impl Fn(&str) -> bool) -> Result<u64, AuditError> {
        let events = super::events(&self.dir, &super::Filter::default())?;
        let text = |event: &serde_json::Value, key: &str| event.get(key)?.as_str().map(str::to_owned);
        let of_kind = |kind: &'static str| {
            events.iter().filter(move |event| event.get("event").and_then(|e| e.as_str()) == Some(kind))
        };
        let concluded: BTreeSet<String> = of_kind("outcome").filter_map(|event| text(event, "run")).collect();
        let mut reported = 0;
        for event in of_kind("intent") {
            let (Some(run), Some(scope), Some(by)) =
                (text(event, "run"), text(event, "scope"), text(event, "by"))
            else {
                continue;
            };
            let (Ok(id), Ok(scope)) = (RunId::parse(&run), ScopeName::parse(&scope)) else { continue };
            if concluded.contains(&run) || !ended(&by) {
                continue;
            }
            let facts = OutcomeFacts {
                outcome: "interrupted".to_owned(),
                exit_code: None,
                duration_ms: 0,
                file_hits: Vec::new(),
                redactions: BTreeMap::new(),
            };
            self.append(Event::Own(Own::Outcome { run: id, scope, facts }), None)?;
            reported += 1;
        }
        Ok(reported)
    }

    /// Puts anything else on record, and announces the change of the vault that it stands for: durable
    /// before the vault has it.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn record(&self, note: Note, change: Option<Change>) -> Result<(), AuditError> {
        self.append(Event::Note(note), change)
    }

    /// Puts on record that an announced change was made. May be lost with the power, and then says less
    /// than there is: the vault, which is durable by then, has the change.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn record_changed(&self, epoch: u64) -> Result<(), AuditError> {
        self.write_one(Event::Own(Own::Changed { epoch }), None, Durable::Later)
    }

    /// The last change of the vault that is announced, known from the end of the log alone.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn last_change(&self) -> Result<Option<Announced>, AuditError> {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if place.state.whole {
            return Ok(place.state.last_change());
        }
        // The first version's head says nothing of it; walked once, until the next event is written.
        let (again, _) = self.catch_up(Place::beginning())?;
        let last = again.state.last_change();
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = again;
        Ok(last)
    }

    /// Signs the end of the chain, unless it is signed already.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn checkpoint(&self) -> Result<(), AuditError> {
        let _lock = self.lock()?;
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, torn) = self.catch_up(place.clone())?;
        *place = now;
        if place.head.seq == 0 || place.checkpoint {
            return Ok(());
        }
        let event = event::checkpoint(&self.keys, place.head);
        self.write(&mut place, torn, (event, None), Durable::Now)
    }

    /// The end of the chain as this process last saw or wrote it.
    pub fn head(&self) -> Head {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).head
    }

    pub(super) fn begin(&self, event: Own) -> Result<(), AuditError> {
        self.append(Event::Own(event), None)
    }

    fn append(&self, event: Event, change: Option<Change>) -> Result<(), AuditError> {
        self.write_one(event, change, Durable::Now)
    }

    fn write_one(&self, event: Event, change: Option<Change>, durable: Durable) -> Result<(), AuditError> {
        let _lock = self.lock()?;
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, torn) = self.catch_up(place.clone())?;
        *place = now;
        self.write(&mut place, torn, (event, change), durable)
    }

    /// Writes an event's line, those that belong before and behind it, and then the head.
    fn write(
        &self,
        place: &mut Place,
        torn: u64,
        (event, change): (Event, Option<Change>),
        durable: Durable,
    ) -> Result<(), AuditError> {
        let mut next = place.clone();
        let mut bytes = Vec::new();
        if torn > 0 {
            self.add(&mut next, &mut bytes, Event::Own(Own::Recovered { dropped_bytes: torn }), None);
        }
        self.add(&mut next, &mut bytes, event, change);
        if next.head.seq.is_multiple_of(CHECKPOINT_EVERY) {
            let event = event::checkpoint(&self.keys, next.head);
            self.add(&mut next, &mut bytes, event, None);
        }
        let written = self.write_log(place.offset, &bytes, durable);
        written.map_err(|error| AuditError::io("write it", error))?;
        // A head that is ahead of what the disk has would call a log cut that only lost its power.
        if durable == Durable::Now {
            next.write(&self.dir, &self.keys).map_err(|error| AuditError::io("write its head", error))?;
        }
        *place = next;
        Ok(())
    }

    fn add(&self, place: &mut Place, bytes: &mut Vec<u8>, event: Event, change: Option<Change>) {
        let body = Body::after(place.head, event, change);
        let mut line = event::line(&self.keys, &body);
        place.advance(&body, &line);
        line.push(b'\n');
        bytes.extend(line);
    }

    /// Writes behind the last whole line; what stood there was never acknowledged. A write that fails
    /// half way is taken back, so that the log ends in a whole line whatever happens.
    fn write_log(&self, offset: u64, bytes: &[u8], durable: Durable) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(false).mode(0o600).open(self.log_path())?;
        file.set_len(offset)?;
        file.seek(SeekFrom::Start(offset))?;
        let written = file.write_all(bytes).and_then(|()| match durable {
            Durable::Now => file.sync_data(),
            Durable::Later => Ok(()),
        });
        if written.is_err() {
            file.set_len(offset)?;
        }
        written
    }

    /// Reads what was appended since: the line that the place ends with must still be there, and every
    /// line behind it must go on from it. Returns the new place, and how many bytes of an unfinished
    /// line stand behind it.
    fn catch_up(&self, from: Place) -> Result<(Place, u64), AuditError> {
        let mut place = from.clone();
        let cut = || AuditError::damaged(from.head.seq, "the log ends before it: it was cut");
        let mut file = match File::open(self.log_path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && place.offset == 0 => {
                return Ok((place, 0));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(cut()),
            Err(error) => return Err(AuditError::io("open it", error)),
        };
        let mut tail = Vec::new();
        let read =
            file.seek(SeekFrom::Start(from.offset - from.length)).and_then(|_| file.read_to_end(&mut tail));
        read.map_err(|error| AuditError::io("read it", error))?;
        let known = usize::try_from(from.length).unwrap_or(usize::MAX);
        if tail.len() < known {
            return Err(cut());
        }
        let (last, mut rest) = tail.split_at(known);
        if known > 0 && last.strip_suffix(b"\n").map(event::hash) != Some(from.head.hash) {
            return Err(AuditError::damaged(from.head.seq, "the line was changed"));
        }
        if let Ok(body) = event::read(&self.keys, last.strip_suffix(b"\n").unwrap_or_default()) {
            place.checkpoint = matches!(body.event, Event::Own(Own::Checkpoint { .. }));
        }
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.step(&mut place, &rest[..end])?;
            rest = &rest[end + 1..];
        }
        Ok((place, rest.len() as u64))
    }

    fn step(&self, place: &mut Place, line: &[u8]) -> Result<(), AuditError> {
        let seq = place.head.seq + 1;
        let body = event::read(&self.keys, line).map_err(|what| AuditError::damaged(seq, what))?;
        if body.seq != seq || body.prev != hex::encode(place.head.hash) {
            return Err(AuditError::damaged(seq, "the line does not go on from the one before"));
        }
        place.advance(&body, line);
        Ok(())
    }

    fn lock(&self) -> Result<File, AuditError> {
        crate::store::files::lock(&self.dir.join("lock"), WAIT).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => AuditError::Busy,
            _ => AuditError::io("lock it", error),
        })
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log.jsonl")
    }
}

fn check_anchor(head: Head, anchor: Option<Head>) -> Result<(), AuditError> {
    match anchor {
        Some(anchor) if head.seq < anchor.seq => Err(AuditError::damaged(
            head.seq + 1,
            format!(
                "the log ends there, and the vault knows of event {}: it was cut or put back",
                anchor.seq
            ),
        )),
        Some(anchor) if head.seq == anchor.seq && head.hash != anchor.hash => {
            Err(AuditError::damaged(head.seq, "it is not the event that the vault knows"))
        }
        _ => Ok(()),
    }
}
