//! Reading the log: the full check, what is shown of it, and the way out of damage.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{
    AuditError, AuditKeys, AuditLog, Head,
    event::{self, Event, Own},
};
use crate::name::ScopeName;

/// What the full check found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Lines in the log.
    pub events: u64,
    /// Checkpoints whose signature holds.
    pub checkpoints: u64,
    /// Runs with an intent and no outcome.
    pub pending: Vec<String>,
    /// Everything that is wrong, each with its line.
    pub damage: Vec<String>,
}

/// Which events are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// At most so many, the last ones.
    pub last: Option<usize>,
    /// Only this run.
    pub run: Option<String>,
    /// Only this scope.
    pub scope: Option<String>,
    /// Only this kind (`intent`, `outcome`, `denied`, `admin`, …).
    pub kind: Option<String>,
}

/// A refused call, for `admin allow --last`.
#[derive(Debug, Clone, Serialize)]
pub struct LastDenial {
    /// When (RFC 3339).
    pub time: String,
    /// The scope that refused.
    pub scope: ScopeName,
    /// The refusal's code.
    pub code: String,
    /// The command, redacted and bounded.
    pub argv: Vec<String>,
    /// The secrets asked for.
    pub secrets: Vec<String>,
}

/// Walks the whole chain and names everything that is wrong with it: edits, reorderings, removals, a
/// cut tail, signatures that don't hold.
///
/// # Errors
/// [`AuditError`] where the log can't be read at all.
pub fn verify(dir: &Path, keys: AuditKeys, anchor: Option<Head>) -> Result<Report, AuditError> {
    let bytes = read_log(dir)?;
    let mut walk =
        Walk { keys: &keys, head: Head::default(), runs: BTreeMap::new(), report: Report::default(), anchor };
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let unfinished = lines.next_back().unwrap_or_default();
    for (number, line) in lines.enumerate() {
        walk.line(number + 1, line);
    }
    if !unfinished.is_empty() {
        let text = format!("the last line is not finished ({} bytes)", unfinished.len());
        walk.report.damage.push(text);
    }
    if anchor.is_some_and(|anchor| anchor.seq > walk.head.seq) {
        let text =
            format!("the log ends at event {}, and the vault knows of later ones: it was cut", walk.head.seq);
        walk.report.damage.push(text);
    }
    let mut report = walk.report;
    report.pending = walk.runs.into_keys().collect();
    // The head beside the log, and whatever only opening shows.
    let opened = AuditLog::open(dir, keys, anchor);
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
}

impl Walk<'_> {
    fn line(&mut self, number: usize, line: &[u8]) {
        self.report.events += 1;
        let hash = event::hash(line);
        match event::read(self.keys, line) {
            Err(what) => {
                self.report.damage.push(format!("line {number}: {what}"));
                self.head = Head { seq: self.head.seq + 1, hash };
            }
            Ok(body) => {
                if body.seq != self.head.seq + 1 {
                    let text =
                        format!("line {number}: event {} stands behind event {}", body.seq, self.head.seq);
                    self.report.damage.push(text);
                } else if body.prev != hex::encode(self.head.hash) {
                    self.report.damage.push(format!(
                        "line {number}: event {} does not go on from the one before",
                        body.seq
                    ));
                }
                self.event(number, &body.event);
                self.head = Head { seq: body.seq, hash };
            }
        }
        if self.anchor.is_some_and(|anchor| anchor.seq == self.head.seq && anchor.hash != hash) {
            self.report.damage.push(format!("line {number}: it is not the event that the vault knows"));
        }
    }

    fn event(&mut self, number: usize, event: &Event) {
        match event {
            Event::Own(Own::Intent { run, .. }) => {
                *self.runs.entry(run.to_string()).or_default() += 1;
            }
            Event::Own(Own::Outcome { run, .. }) => {
                if self.runs.remove(run.as_str()).is_none() {
                    self.report.damage.push(format!("line {number}: an outcome without an intent"));
                }
            }
            Event::Own(Own::Checkpoint { covers, hash, key, signature }) => {
                let head = self.head;
                let same = *covers == head.seq && *hash == hex::encode(head.hash);
                if same && event::checkpoint_holds(self.keys, head, key, signature) {
                    self.report.checkpoints += 1;
                } else {
                    self.report.damage.push(format!("line {number}: the checkpoint does not hold"));
                }
            }
            Event::Own(Own::Changed { .. } | Own::Recovered { .. } | Own::Restarted { .. })
            | Event::Note(_) => {}
        }
    }
}

/// Events, oldest first, each as the JSON of its line. Reads only: `verify` says whether they hold.
///
/// # Errors
/// [`AuditError::Io`].
pub fn events(dir: &Path, filter: &Filter) -> Result<Vec<Value>, AuditError> {
    let bytes = read_log(dir)?;
    let parsed =
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let is = |event: &Value, key: &str, wanted: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| event.get(key).and_then(Value::as_str) == Some(wanted))
    };
    let mut found: Vec<Value> = parsed
        .filter(|e| {
            is(e, "run", &filter.run) && is(e, "scope", &filter.scope) && is(e, "event", &filter.kind)
        })
        .collect();
    let from = filter.last.map_or(0, |last| found.len().saturating_sub(last));
    found.drain(..from);
    Ok(found)
}

/// The latest call that a scope refused.
///
/// # Errors
/// [`AuditError::Io`].
pub fn last_denial(dir: &Path) -> Result<Option<LastDenial>, AuditError> {
    let filter = Filter { kind: Some("denied".to_owned()), ..Filter::default() };
    Ok(events(dir, &filter)?.iter().rev().find_map(denial))
}

fn denial(event: &Value) -> Option<LastDenial> {
    let text = |key: &str| event.get(key).and_then(Value::as_str).map(str::to_owned);
    let list = |key: &str| {
        let items = event.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    Some(LastDenial {
        time: text("time")?,
        scope: ScopeName::parse(&text("scope")?).ok()?,
        code: text("code")?,
        argv: Some(list("argv")).filter(|argv| !argv.is_empty())?,
        secrets: list("secrets"),
    })
}

/// Keeps a damaged log aside, whole, and begins a new chain whose first event says so. Returns where
/// the old one is kept, and the new head.
///
/// # Errors
/// [`AuditError`].
pub fn restart(dir: &Path, keys: AuditKeys) -> Result<(PathBuf, Head), AuditError> {
    let failed = |error| AuditError::io("keep the old one aside", error);
    let bytes = read_log(dir)?;
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S%3f").to_string();
    let kept = dir.join(format!("log.{stamp}.kept.jsonl"));
    for (name, to) in
        [("log.jsonl", kept.clone()), ("head.json", dir.join(format!("head.{stamp}.kept.json")))]
    {
        match fs::rename(dir.join(name), to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    let log = AuditLog::open(dir, keys, None)?;
    log.begin(Own::Restarted {
        kept: kept.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        sha256: hex::encode(event::hash(&bytes)),
        bytes: bytes.len() as u64,
    })?;
    Ok((kept, log.head()))
}

fn read_log(dir: &Path) -> Result<Vec<u8>, AuditError> {
    match fs::read(dir.join("log.jsonl")) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(AuditError::io("read it", error)),
    }
}
