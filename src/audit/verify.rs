//! The full check, from the first segment that is here to the end, and the way out of damage.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    AuditError, AuditKeys, AuditLog, Head,
    event::{self, ArchivedFile, Body, Event, Own},
    segments::{self, Lines, Next},
};

/// What the full check found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Events in the log.
    pub events: u64,
    /// Its segments that are here.
    pub segments: u64,
    /// Those that were archived, as the chain says.
    pub archived: Vec<String>,
    /// Checkpoints whose signature holds.
    pub checkpoints: u64,
    /// Runs with an intent and no outcome.
    pub pending: Vec<String>,
    /// Everything that is wrong, each with its line.
    pub damage: Vec<String>,
    /// Times that run backwards: a clock was put back, which makes nothing of the chain untrue.
    pub warnings: Vec<String>,
}

/// Walks the whole chain and names everything that is wrong with it: edits, reorderings, removals, a
/// cut tail, missing segments, signatures that don't hold.
///
/// # Errors
/// [`AuditError`] where the log can't be read at all.
pub fn verify(dir: &Path, keys: &AuditKeys, anchor: Option<Head>) -> Result<Report, AuditError> {
    let mut walk = Walk::new(keys, anchor);
    let mut numbers = Vec::new();
    for (number, path) in segments::closed(dir)? {
        walk.file(Some(number), &path)?;
        numbers.push(number);
    }
    let current = dir.join(segments::CURRENT);
    if current.exists() {
        let number = walk.file(None, &current)?;
        numbers.push(number.unwrap_or_else(|| numbers.last().map_or(1, |last| last + 1)));
    }
    if anchor.is_some_and(|anchor| anchor.seq > walk.head.seq) {
        let text =
            format!("the log ends at event {}, and the vault knows of later ones: it was cut", walk.head.seq);
        walk.report.damage.push(text);
    }
    walk.sum_up_times();
    let mut report = walk.report;
    report.segments = numbers.len() as u64;
    report.damage.extend(segments::missing(numbers.into_iter(), walk.archived));
    report.pending = walk.runs.into_keys().collect();
    // The head beside the log, and whatever only opening shows.
    let opened = AuditLog::open(dir, keys.again(), anchor);
    if let Err(error @ AuditError::Damaged { .. }) = opened
        && report.damage.is_empty()
    {
        report.damage.push(error.to_string());
    }
    Ok(report)
}

struct Walk<'a> {
    keys: &'a AuditKeys,
    head: Head,
    runs: BTreeMap<String, u64>,
    report: Report,
    anchor: Option<Head>,
    archived: u64,
    /// How many were walked, this one included.
    files: u64,
    /// What is read, for messages.
    place: String,
    times: Times,
}

/// How many times that run backwards are named.
const NAMED: u64 = 20;

/// The time of the event before, and how many were before theirs.
#[derive(Default)]
struct Times {
    last: Option<(u64, Timestamp)>,
    backwards: u64,
}

impl<'a> Walk<'a> {
    fn new(keys: &'a AuditKeys, anchor: Option<Head>) -> Self {
        Self {
            keys,
            head: Head::default(),
            runs: BTreeMap::new(),
            report: Report::default(),
            anchor,
            archived: 0,
            files: 0,
            place: String::new(),
            times: Times::default(),
        }
    }

    /// Walks a segment. Returns the number that its first event gives it.
    fn file(&mut self, number: Option<u64>, path: &Path) -> Result<Option<u64>, AuditError> {
        let failed = |error| AuditError::io("read it", error);
        let Some(file) = segments::open(path)? else { return Ok(None) };
        let mut lines = Lines::from(file, 0).map_err(failed)?;
        self.files += 1;
        let (mut at, mut said) = (0, None);
        loop {
            at += 1;
            self.place = match number {
                Some(number) => format!("{} line {at}", segments::name(number)),
                None => format!("line {at}"),
            };
            match lines.next().map_err(failed)? {
                Next::Line(line) => {
                    let body = event::read(self.keys, line);
                    if at == 1 {
                        said = body.as_ref().ok().and_then(|body| self.begin(body, number));
                    }
                    self.line(body, event::hash(line));
                }
                Next::TooLong => self.line(Err("the line is longer than any event"), [0; 32]),
                Next::Unfinished(bytes) => {
                    self.damage(&format!("the line is not finished ({bytes} bytes)"));
                    return Ok(said);
                }
                Next::End => return Ok(said),
            }
        }
    }

    /// Where the walk begins with a later segment, its first event says what it goes on from; that those
    /// before were archived is what the chain must say.
    fn begin(&mut self, body: &Body, number: Option<u64>) -> Option<u64> {
        let Event::Own(Own::Segment { number: said, state, .. }) = &body.event else { return None };
        if self.files == 1 {
            let hash = hex::decode(&body.prev).ok().and_then(|hash| hash.try_into().ok()).unwrap_or_default();
            self.head = Head { seq: body.seq.saturating_sub(1), hash };
            self.archived = state.archived;
            self.runs.extend(state.open.iter().map(|open| (open.run.to_string(), 1)));
        }
        if number.is_some_and(|number| number != *said) {
            self.damage(&format!("the file is segment {said}, not what its name says"));
        }
        Some(*said)
    }

    fn line(&mut self, body: Result<Body, &'static str>, hash: [u8; 32]) {
        self.report.events += 1;
        match body {
            Err(what) => {
                self.damage(what);
                self.head = Head { seq: self.head.seq + 1, hash };
            }
            Ok(body) => {
                if body.seq != self.head.seq + 1 {
                    self.damage(&format!("event {} stands behind event {}", body.seq, self.head.seq));
                } else if body.prev != hex::encode(self.head.hash) {
                    self.damage(&format!("event {} does not go on from the one before", body.seq));
                }
                self.event(&body.event);
                self.time(&body);
                self.head = Head { seq: body.seq, hash };
            }
        }
        if self.anchor.is_some_and(|anchor| anchor.seq == self.head.seq && anchor.hash != hash) {
            self.damage("it is not the event that the vault knows");
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Own(Own::Intent { run, .. }) => {
                *self.runs.entry(run.to_string()).or_default() += 1;
            }
            Event::Own(Own::Outcome { run, .. }) => {
                // Of a walk that begins with a later segment not every intent is known.
                if self.runs.remove(run.as_str()).is_none() && self.archived == 0 {
                    self.damage("an outcome without an intent");
                }
            }
            Event::Own(Own::Checkpoint { covers, hash, key, signature, .. }) => {
                let head = self.head;
                let same = *covers == head.seq && *hash == hex::encode(head.hash);
                if same && event::checkpoint_holds(self.keys, head, key, signature) {
                    self.report.checkpoints += 1;
                } else {
                    self.damage("the checkpoint does not hold");
                }
            }
            Event::Own(Own::Archived { through, to, files }) => {
                self.archived = *through;
                self.report.archived.extend(files.iter().map(|file| archived_line(file, to)));
            }
            Event::Own(
                Own::Changed { .. } | Own::Recovered { .. } | Own::Restarted { .. } | Own::Segment { .. },
            )
            | Event::Note(_) => {}
        }
    }

    /// Names a time that is before that of the event before. It is no damage: clocks are set.
    fn time(&mut self, body: &Body) {
        if let Some((seq, last)) = self.times.last.replace((body.seq, body.time))
            && body.time < last
        {
            self.times.backwards += 1;
            if self.times.backwards <= NAMED {
                let by = last.duration_since(body.time).as_secs_f64();
                let (place, event, time) = (&self.place, body.seq, body.time);
                self.report.warnings.push(format!(
                    "{place}: the time of event {event} ({time}) is {by} s before that of event {seq}: the clock was put back"
                ));
            }
        }
    }

    fn sum_up_times(&mut self) {
        let more = self.times.backwards.saturating_sub(NAMED);
        if more > 0 {
            let text = format!("{more} more events have a time before that of the event before them");
            self.report.warnings.push(text);
        }
    }

    fn damage(&mut self, what: &str) {
        self.report.damage.push(format!("{}: {what}", self.place));
    }
}

fn archived_line(file: &ArchivedFile, to: &str) -> String {
    let ArchivedFile { file, first, last, sha256 } = file;
    format!("{file}: events {first} to {last}, sha256 {sha256}, archived to {to}")
}

/// Keeps a damaged log aside, whole, and begins a new chain whose first event says so. Returns where
/// what was written to last is kept, and the new head.
///
/// # Errors
/// [`AuditError`].
pub(crate) fn restart(dir: &Path, keys: AuditKeys) -> Result<(PathBuf, Head), AuditError> {
    let failed = |error| AuditError::io("keep the old one aside", error);
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S%3f").to_string();
    let kept = dir.join(format!("log.{stamp}.kept.jsonl"));
    let current = dir.join(segments::CURRENT);
    let (sha256, bytes) = match fs::exists(&current).map_err(failed)? {
        true => digest(&current)?,
        false => (hex::encode(Sha256::digest([])), 0),
    };
    // Nothing of the old chain may pass for a segment of the new one.
    let closed = segments::closed(dir)?.into_iter();
    let closed = closed.map(|(number, path)| (path, dir.join(format!("log.{stamp}.kept.{number:06}.jsonl"))));
    let others = [
        (current, kept.clone()),
        (dir.join("head.json"), dir.join(format!("head.{stamp}.kept.json"))),
        (dir.join(super::segments::UNSYNCED), dir.join(format!("unsynced.{stamp}.kept"))),
    ];
    for (from, to) in closed.chain(others) {
        match fs::rename(from, to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    let log = AuditLog::open(dir, keys, None)?;
    log.append_own(Own::Restarted {
        kept: kept.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        sha256,
        bytes,
    })?;
    Ok((kept, log.head()))
}

/// A file's SHA-256 in hex, and its length.
pub(super) fn digest(path: &Path) -> Result<(String, u64), AuditError> {
    let failed = |error| AuditError::io("read it", error);
    let mut file = fs::File::open(path).map_err(failed)?;
    let mut hash = Sha256::new();
    let bytes = io::copy(&mut file, &mut hash).map_err(failed)?;
    Ok((hex::encode(hash.finalize()), bytes))
}
