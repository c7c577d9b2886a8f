//! The log's file: appended to under a lock, by any number of processes.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    AuditError, AuditKeys, Head, Intent, IntentFacts, Note, OnRecord, OutcomeFacts,
    change::{Announced, Change},
    entry::{Durable, Entry},
    event::{self, Event, Own},
    group::{Group, Unsettled},
    head::LogPosition,
    segments,
    state::OpenRun,
};
use crate::{names::RunId, policy::Allowed};

/// How long an append waits for another process.
const WAIT: Duration = Duration::from_secs(5);

/// The log of one home. Several processes may hold one each: every append takes the file's lock,
/// reads the tail it has not seen and goes on from there.
pub struct AuditLog {
    pub(super) dir: PathBuf,
    pub(super) keys: AuditKeys,
    pub(super) place: Mutex<LogPosition>,
    /// Where a segment is full.
    pub(super) segment_bytes: u64,
    pub(super) sync: fn(&File) -> io::Result<()>,
    pub(super) group: Group,
    /// The segment that is written to.
    pub(super) file: Mutex<Option<Arc<File>>>,
}

impl AuditLog {
    /// Opens or makes the log in a directory (0700), and reconciles it with the head that the vault
    /// has anchored: a log that ends before it was cut.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(dir: &Path, keys: AuditKeys, anchor: Option<Head>) -> Result<Self, AuditError> {
        crate::files::create_private_dir(dir).map_err(|e| AuditError::io("make its directory", e))?;
        let log = Self {
            dir: dir.to_owned(),
            keys,
            place: Mutex::new(LogPosition::beginning()),
            segment_bytes: segments::SEGMENT_BYTES,
            sync: File::sync_data,
            group: Group::default(),
            file: Mutex::default(),
        };
        let _lock = log.lock()?;
        let (mut place, _) = log.catch_up(log.trusted_place()?)?;
        if !place.state.whole {
            // The first version's head says nothing of open runs: its log is walked, this once.
            (place, _) = log.catch_up(LogPosition::beginning())?;
            place.write(dir, &log.keys).map_err(|error| AuditError::io("write its head", error))?;
        }
        check_anchor(place.head, anchor)?;
        *log.place.lock() = place;
        Ok(log)
    }

    /// Whether this is the log of a directory.
    pub fn is_in(&self, dir: &Path) -> bool {
        self.dir == dir
    }

    /// Reads what others have appended since, and holds the log against an anchor as opening it does.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn read_on(&self, anchor: Option<Head>) -> Result<(), AuditError> {
        let _lock = self.lock()?;
        let mut place = self.place.lock();
        let (now, _) = self.catch_up(place.clone())?;
        check_anchor(now.head, anchor)?;
        *place = now;
        Ok(())
    }

    /// Puts an intent on record and returns the witness, once it is on the disk. A change of the vault
    /// that belongs to it (a use that it spends) is announced with it.
    ///
    /// # Errors
    /// [`AuditError`]: then nothing is revealed.
    pub fn record_intent<T: OnRecord>(
        &self,
        allowed: Allowed<T>,
        run_id: RunId,
        facts: IntentFacts,
        change: Option<Change>,
    ) -> Result<Intent<T>, AuditError> {
        let (intent, event) = begun(allowed, run_id, facts);
        self.append(vec![(event, change)], Durable::Now)?;
        Ok(intent)
    }

    /// Writes an intent's line, in its place among all others. It is none yet: [`AuditLog::settle`] makes it one, once it
    /// is on the disk, for which nobody has to hold the vault.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn write_intent<T: OnRecord>(
        &self,
        allowed: Allowed<T>,
        run_id: RunId,
        facts: IntentFacts,
    ) -> Result<Unsettled<T>, AuditError> {
        let (intent, event) = begun(allowed, run_id, facts);
        let failures = self.group.failures();
        let seq = self.append(vec![(event, None)], Durable::Later)?.seq;
        Ok(Unsettled::of(intent, seq, failures))
    }

    /// Puts an outcome on record. May be lost with the power: then the run is found without one at the next start, and
    /// `interrupted` is put on record.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn record_outcome<T>(&self, intent: Intent<T>, facts: OutcomeFacts) -> Result<(), AuditError> {
        let outcome = Own::Outcome { run: intent.run_id, scope: intent.scope, facts };
        self.append(vec![(Event::Own(outcome), None)], Durable::Later).map(drop)
    }

    /// Puts `interrupted` on record for every intent that has no outcome and whose process has ended.
    /// Returns how many there were.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn report_interrupted(&self, ended: impl Fn(&str) -> bool) -> Result<u64, AuditError> {
        let state = self.place.lock().state.clone();
        let open = if state.more_open == 0 { state.open } else { self.find_open()? };
        let gone: Vec<OpenRun> = open.into_iter().filter(|run| ended(&run.by)).collect();
        let reported = gone.len() as u64;
        let outcomes = gone.into_iter().map(|OpenRun { run, scope, .. }| {
            let facts = OutcomeFacts {
                outcome: "interrupted".to_owned(),
                exit_code: None,
                limit: None,
                duration_ms: 0,
                file_hits: Vec::new(),
                written: BTreeMap::new(),
                redactions: BTreeMap::new(),
            };
            (Event::Own(Own::Outcome { run, scope, facts }), None)
        });
        let outcomes: Vec<Entry> = outcomes.collect();
        if !outcomes.is_empty() {
            self.append(outcomes, Durable::Now)?;
        }
        Ok(reported)
    }

    /// Walks the log for all open runs, where there are more than are carried.
    fn find_open(&self) -> Result<Vec<OpenRun>, AuditError> {
        let mut open = BTreeMap::new();
        super::bodies::bodies(&self.dir, &self.keys, |body| match body.event {
            Event::Own(Own::Intent { run, scope, facts, .. }) => {
                let run_id = run.to_string();
                open.extend(facts.by.map(|by| (run_id, OpenRun { run, scope, by })));
            }
            Event::Own(Own::Outcome { run, .. }) => drop(open.remove(run.as_str())),
            _ => {}
        })?;
        let open: Vec<OpenRun> = open.into_values().collect();
        let mut place = self.place.lock();
        place.state.found_open(open.clone());
        Ok(open)
    }

    /// Puts anything else on record, and announces the change of the vault that it stands for: durable
    /// before the vault has it.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn record(&self, note: Note, change: Option<Change>) -> Result<(), AuditError> {
        self.append(vec![(Event::Note(note), change)], Durable::Now).map(drop)
    }

    /// Puts several on record at once: durable together.
    ///
    /// # Errors
    /// [`AuditError`]: then none of them is.
    pub fn record_all(&self, notes: Vec<Note>) -> Result<(), AuditError> {
        if notes.is_empty() {
            return Ok(());
        }
        self.append(notes.into_iter().map(|note| (Event::Note(note), None)).collect(), Durable::Now).map(drop)
    }

    /// Puts on record that an announced change was made. May be lost with the power, and then says less
    /// than there is: the vault, which is durable by then, has the change.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn record_changed(&self, epoch: u64) -> Result<(), AuditError> {
        self.append(vec![(Event::Own(Own::Changed { epoch }), None)], Durable::Later).map(drop)
    }

    /// The last change of the vault that is announced, known from the end of the log alone.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn last_change(&self) -> Result<Option<Announced>, AuditError> {
        Ok(self.place.lock().state.last_change())
    }

    /// Signs the end of the chain, unless it is signed already.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn checkpoint(&self) -> Result<(), AuditError> {
        let _lock = self.lock()?;
        let mut place = self.place.lock();
        let (now, torn) = self.catch_up(place.clone())?;
        *place = now;
        if place.head.seq == 0 || place.checkpoint == Some(true) {
            return Ok(());
        }
        let event = event::checkpoint(&self.keys, place.head, &place.state);
        self.write(&mut place, torn, vec![(event, None)], Durable::Now)
    }

    /// Closes the segment that is written to, whatever its length, so that it can be archived.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn close_segment_now(&self) -> Result<(), AuditError> {
        let _lock = self.lock()?;
        let mut place = self.place.lock();
        let (now, _) = self.catch_up(place.clone())?;
        *place = now;
        if place.offset > 0 {
            self.rotate(&mut place)?;
        }
        Ok(())
    }

    /// The end of the chain as this process last saw or wrote it, once it is on the disk: what remembers a head that the
    /// disk does not have would call a log cut that only lost its power.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn head_on_disk(&self) -> Result<Head, AuditError> {
        let _lock = self.lock()?;
        let mut place = self.place.lock();
        if !place.synced && place.offset > 0 {
            self.sync_segment().map_err(|error| AuditError::io("write it", error))?;
            place.synced = true;
            self.group.is_durable(place.head);
        }
        Ok(place.head)
    }

    /// The end of the chain as this process last saw or wrote it.
    pub fn head(&self) -> Head {
        self.place.lock().head
    }

    /// The last event that this process knows to be on the disk, since it synced it.
    pub fn durable_head(&self) -> Option<Head> {
        Some(self.group.durable()).filter(|head| head.seq > 0)
    }

    pub(super) fn append_own(&self, event: Own) -> Result<(), AuditError> {
        self.append(vec![(Event::Own(event), None)], Durable::Now).map(drop)
    }

    pub(super) fn lock(&self) -> Result<File, AuditError> {
        crate::files::lock(&self.dir.join("lock"), WAIT).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => AuditError::Busy,
            _ => AuditError::io("lock it", error),
        })
    }
}

/// An intent, and the event that it is once that is durable.
fn begun<T: OnRecord>(allowed: Allowed<T>, run_id: RunId, facts: IntentFacts) -> (Intent<T>, Event) {
    let (scope, terms) = allowed.into_parts();
    let what = terms.allowance();
    let event = Own::Intent { run: run_id.clone(), scope: scope.clone(), facts, what };
    (Intent { run_id, scope, terms }, Event::Own(event))
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
