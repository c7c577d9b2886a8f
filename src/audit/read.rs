//! Reading: from the end, a block at a time, and nothing that was not checked. A line is shown as an
//! event only if its MAC holds and it stands where the lines around it say.

use std::{fs::File, path::Path};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{
    AuditError, AuditKeys, AuditLog, Change, Head,
    event::{self},
    segments::{self, Backwards, Lines, Next},
};
use crate::names::ScopeName;

/// So many places that don't hold are named; `verify` names all.
const NAMED: usize = 20;
/// So many events are looked through for the latest of a kind.
const LOOKED_THROUGH: usize = 20_000;

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
    /// Only those that name this secret.
    pub secret: Option<String>,
    /// Only refusals.
    pub denied: bool,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// Only behind the event of this number.
    pub after: Option<u64>,
}

/// What a reader of the log meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Found {
    /// An event that holds: its line's JSON.
    Event(Value),
    /// Something that does not hold.
    Damage {
        /// What and where.
        damaged: String,
    },
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
    /// Whether command or secrets are not all that was asked for.
    pub cut: bool,
}

/// Reads events, oldest first, and says what does not hold. Returns the last event's number.
///
/// # Errors
/// [`AuditError`] where the log can't be read at all.
pub fn events(
    dir: &Path,
    keys: &AuditKeys,
    anchor: Option<Head>,
    filter: &Filter,
    each: &mut dyn FnMut(Found),
) -> Result<u64, AuditError> {
    let view = View::look(dir, keys, anchor)?;
    let last = view.head.map_or(0, |head| head.seq);
    let (problem, missing) = (view.problem.clone(), view.missing());
    if filter.last.is_some() || filter.after.is_some() || filter.since.is_some() {
        backwards(view, keys, anchor, filter)?.into_iter().rev().for_each(&mut *each);
    } else {
        forwards(view, keys, anchor, filter, each)?;
    }
    let said = problem.into_iter().chain(missing);
    said.for_each(|damaged| each(Found::Damage { damaged }));
    Ok(last)
}

/// The latest call that a scope refused, if every line from the end of the log to it holds.
///
/// # Errors
/// [`AuditError`]; [`AuditError::Damaged`] where something between it and the end does not hold.
pub fn last_denial(
    dir: &Path,
    keys: &AuditKeys,
    anchor: Option<Head>,
) -> Result<Option<LastDenial>, AuditError> {
    latest(dir, keys, anchor, denial)
}

/// The event that announced a change, if every line from the end of the log to it holds.
///
/// # Errors
/// As [`last_denial`] has them.
pub(crate) fn announcement(
    dir: &Path,
    keys: &AuditKeys,
    change: Change,
) -> Result<Option<Value>, AuditError> {
    let epoch = |event: &Value| event.pointer("/change/epoch").and_then(Value::as_u64);
    latest(dir, keys, None, |event| (epoch(event) == Some(change.epoch)).then(|| event.clone()))
}

fn latest<T>(
    dir: &Path,
    keys: &AuditKeys,
    anchor: Option<Head>,
    pick: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, AuditError> {
    let view = View::look(dir, keys, anchor)?;
    if let Some(problem) = view.problem {
        return Err(AuditError::damaged(view.head.map_or(0, |head| head.seq), problem));
    }
    let mut back = Back::new(view, keys, anchor);
    for _ in 0..LOOKED_THROUGH {
        match back.next()? {
            None => break,
            Some((seq, Found::Damage { damaged })) => return Err(AuditError::damaged(seq, damaged)),
            Some((_, Found::Event(event))) => {
                if let Some(picked) = pick(&event) {
                    return Ok(Some(picked));
                }
            }
        }
    }
    Ok(None)
}

/// The log as it is at one moment.
struct View {
    /// The closed segments, oldest first, and then the one that is written to.
    pieces: Vec<Piece>,
    /// The last event, where the end of the log holds.
    head: Option<Head>,
    /// Up to which segment all were archived.
    archived: u64,
    /// Why the end of the log does not hold.
    problem: Option<String>,
}

struct Piece {
    /// The segment's number; the one that is written to has none where the end of the log does not hold.
    number: Option<u64>,
    file: File,
    /// Behind its last whole line.
    end: u64,
}

impl View {
    fn look(dir: &Path, keys: &AuditKeys, anchor: Option<Head>) -> Result<Self, AuditError> {
        match AuditLog::open(dir, keys.again(), anchor) {
            Ok(log) => {
                // No segment is closed while the files are opened.
                let _lock = log.lock()?;
                let (place, _) = log.catch_up(log.trusted_place()?)?;
                let mut pieces = closed(dir)?;
                if let Some(file) = segments::open(&dir.join(segments::CURRENT))? {
                    pieces.push(Piece { number: Some(place.segment), file, end: place.offset });
                }
                let archived = place.state.archived;
                Ok(Self { pieces, head: Some(place.head), archived, problem: None })
            }
            Err(AuditError::Damaged { seq, what }) => {
                let mut pieces = closed(dir)?;
                if let Some(file) = segments::open(&dir.join(segments::CURRENT))? {
                    let end =
                        segments::whole_lines(&file).map_err(|error| AuditError::io("read it", error))?;
                    pieces.push(Piece { number: None, file, end });
                }
                let problem = Some(format!("event {seq}: {what}"));
                Ok(Self { pieces, head: None, archived: u64::MAX, problem })
            }
            Err(error) => Err(error),
        }
    }

    /// Segments that are neither here nor archived.
    fn missing(&self) -> Vec<String> {
        segments::missing(self.pieces.iter().filter_map(|piece| piece.number), self.archived)
    }

    fn begins_with_the_first(&self) -> bool {
        self.pieces.first().is_some_and(|piece| piece.number == Some(1))
    }
}

fn closed(dir: &Path) -> Result<Vec<Piece>, AuditError> {
    let mut pieces = Vec::new();
    for (number, path) in segments::closed(dir)? {
        if let Some(file) = segments::open(&path)? {
            let end = file.metadata().map_err(|error| AuditError::io("read it", error))?.len();
            pieces.push(Piece { number: Some(number), file, end });
        }
    }
    Ok(pieces)
}

/// What a line must be, as far as the lines around it say.
#[derive(Clone, Copy, Default)]
struct Expected {
    seq: Option<u64>,
    hash: Option<[u8; 32]>,
}

/// An authentic line.
struct Authentic {
    value: Value,
    seq: u64,
    hash: [u8; 32],
    prev: Option<[u8; 32]>,
}

impl Authentic {
    fn read(keys: &AuditKeys, line: &[u8]) -> Result<Self, &'static str> {
        event::authentic(keys, line)?;
        let unreadable = "the line can't be read by this version";
        let value: Value = serde_json::from_slice(line).map_err(|_| unreadable)?;
        let seq = value.get("seq").and_then(Value::as_u64).ok_or(unreadable)?;
        let prev = value.get("prev").and_then(Value::as_str).and_then(|prev| hex::decode(prev).ok());
        let prev = prev.and_then(|prev| prev.try_into().ok());
        Ok(Self { value, seq, hash: event::hash(line), prev })
    }

    fn is_another_than(&self, anchor: Option<Head>) -> bool {
        anchor.is_some_and(|anchor| anchor.seq == self.seq && anchor.hash != self.hash)
    }
}

/// The log from its end.
struct Back<'a> {
    keys: &'a AuditKeys,
    anchor: Option<Head>,
    pieces: Vec<Piece>,
    reading: Option<Backwards>,
    expected: Expected,
    /// Whether nothing may be before the first line.
    from_first: bool,
    /// An event behind a gap that was just named.
    kept: Option<(u64, Found)>,
    names: Names,
}

impl<'a> Back<'a> {
    fn new(view: View, keys: &'a AuditKeys, anchor: Option<Head>) -> Self {
        let expected =
            Expected { seq: view.head.map(|head| head.seq), hash: view.head.map(|head| head.hash) };
        let from_first = view.begins_with_the_first();
        Self {
            keys,
            anchor,
            pieces: view.pieces,
            reading: None,
            expected,
            from_first,
            kept: None,
            names: Names(0),
        }
    }

    /// The event before, or what is wrong there, with its number.
    fn next(&mut self) -> Result<Option<(u64, Found)>, AuditError> {
        if let Some(kept) = self.kept.take() {
            return Ok(Some(kept));
        }
        if self.names.enough() {
            return Ok(None);
        }
        match self.line()? {
            Some(line) => Ok(Some(self.judge(&line))),
            None => Ok(self.at_the_beginning()),
        }
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, AuditError> {
        loop {
            if let Some(reading) = &mut self.reading
                && let Some(line) = reading.next().map_err(|error| AuditError::io("read it", error))?
            {
                return Ok(Some(line));
            }
            let Some(Piece { file, end, .. }) = self.pieces.pop() else { return Ok(None) };
            self.reading = Some(Backwards::from(file, end));
        }
    }

    fn judge(&mut self, line: &[u8]) -> (u64, Found) {
        let expected = self.expected;
        let line = match Authentic::read(self.keys, line) {
            Ok(line) => line,
            Err(what) => {
                self.expected = Expected { seq: expected.seq.map(|seq| seq.saturating_sub(1)), hash: None };
                return self.names.damage(expected.seq, what);
            }
        };
        let before = Expected { seq: line.seq.checked_sub(1), hash: line.prev };
        if expected.is(&line) && !line.is_another_than(self.anchor) {
            self.expected = before;
            return (line.seq, Found::Event(line.value));
        }
        let what = format!("event {} stands there: events were changed, moved or removed", line.seq);
        // Events between are gone: what is before them is an event still. What belongs elsewhere is none.
        if expected.seq.is_none_or(|seq| line.seq < seq) {
            self.expected = before;
            self.kept = Some((line.seq, Found::Event(line.value)));
        }
        self.names.damage(expected.seq, &what)
    }

    fn at_the_beginning(&mut self) -> Option<(u64, Found)> {
        let left = std::mem::take(&mut self.expected).seq.filter(|seq| *seq > 0 && self.from_first)?;
        Some(self.names.damage(Some(left), "it is missing, and all before it"))
    }
}

/// From the end back to what the filter asks for, newest first.
fn backwards(
    view: View,
    keys: &AuditKeys,
    anchor: Option<Head>,
    filter: &Filter,
) -> Result<Vec<Found>, AuditError> {
    let mut back = Back::new(view, keys, anchor);
    let (mut found, mut events) = (Vec::new(), 0);
    while filter.last.is_none_or(|last| events < last) {
        let Some((seq, next)) = back.next()? else { break };
        match next {
            Found::Event(event) => {
                if filter.after.is_some_and(|after| seq <= after) || filter.is_past(&event) {
                    break;
                }
                if filter.takes(&event) {
                    events += 1;
                    found.push(Found::Event(event));
                }
            }
            damage @ Found::Damage { .. } => found.push(damage),
        }
    }
    Ok(found)
}

/// From the beginning on.
fn forwards(
    view: View,
    keys: &AuditKeys,
    anchor: Option<Head>,
    filter: &Filter,
    each: &mut dyn FnMut(Found),
) -> Result<(), AuditError> {
    let failed = |error| AuditError::io("read it", error);
    let first = view.begins_with_the_first();
    let mut expected =
        if first { Expected { seq: Some(1), hash: Some([0; 32]) } } else { Expected::default() };
    let mut names = Names(0);
    for Piece { file, end, .. } in view.pieces {
        let (mut lines, mut read) = (Lines::from(file, 0).map_err(failed)?, 0);
        while read < end && !names.enough() {
            let line = match lines.next().map_err(failed)? {
                Next::Line(line) => line,
                Next::TooLong => b"",
                Next::Unfinished(_) | Next::End => break,
            };
            read += line.len() as u64 + 1;
            judge_forwards(Authentic::read(keys, line), &mut expected, anchor, &mut names, &mut |found| {
                match found {
                    Found::Event(event) if !filter.takes(&event) => {}
                    found => each(found),
                }
            });
        }
    }
    Ok(())
}

/// `expected` is the number of the next line and the hash that it names as the one before it.
fn judge_forwards(
    line: Result<Authentic, &'static str>,
    expected: &mut Expected,
    anchor: Option<Head>,
    names: &mut Names,
    each: &mut dyn FnMut(Found),
) {
    let place = expected.seq;
    let line = match line {
        Ok(line) => line,
        Err(what) => {
            *expected = Expected { seq: place.map(|seq| seq + 1), hash: None };
            return each(names.damage(place, what).1);
        }
    };
    let fits = place.is_none_or(|seq| seq == line.seq)
        && expected.hash.is_none_or(|hash| Some(hash) == line.prev)
        && !line.is_another_than(anchor);
    if !fits {
        let what = format!("event {} stands there: events were changed, moved or removed", line.seq);
        each(names.damage(place, &what).1);
        if place.is_some_and(|seq| line.seq < seq) {
            return;
        }
    }
    *expected = Expected { seq: Some(line.seq + 1), hash: Some(line.hash) };
    each(Found::Event(line.value));
}

impl Expected {
    fn is(&self, line: &Authentic) -> bool {
        self.seq.is_none_or(|seq| seq == line.seq) && self.hash.is_none_or(|hash| hash == line.hash)
    }
}

/// How many places that don't hold were named.
struct Names(usize);

impl Names {
    fn enough(&self) -> bool {
        self.0 >= NAMED
    }

    fn damage(&mut self, seq: Option<u64>, what: &str) -> (u64, Found) {
        self.0 += 1;
        let place = seq.map_or_else(|| "a line".to_owned(), |seq| format!("event {seq}"));
        let more = if self.enough() { "; more may not hold, and is not shown" } else { "" };
        (seq.unwrap_or(0), Found::Damage { damaged: format!("{place}: {what}{more}") })
    }
}

impl Filter {
    fn takes(&self, event: &Value) -> bool {
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        let is =
            |key, wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| text(key) == Some(wanted));
        let refused = || matches!(text("event"), Some("denied" | "denials_summed"));
        is("run", &self.run)
            && is("scope", &self.scope)
            && is("event", &self.kind)
            && (!self.denied || refused())
            && self.secret.as_ref().is_none_or(|secret| names(event, secret))
    }

    fn is_past(&self, event: &Value) -> bool {
        let time = || event.get("time")?.as_str()?.parse::<Timestamp>().ok();
        self.since.is_some_and(|since| time().is_some_and(|time| time < since))
    }
}

/// Whether an event names a secret: among those of a run or a request, or as what an operator changed.
fn names(event: &Value, secret: &str) -> bool {
    let listed = event.get("secrets").and_then(Value::as_array).into_iter().flatten();
    let mut listed = listed.filter_map(Value::as_str);
    let target = event.get("target").and_then(Value::as_str).unwrap_or_default();
    listed.any(|name| name.split(':').next() == Some(secret)) || target.split(' ').any(|name| name == secret)
}

fn denial(event: &Value) -> Option<LastDenial> {
    let text = |key: &str| event.get(key).and_then(Value::as_str).map(str::to_owned);
    let list = |key: &str| {
        let items = event.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    Some(LastDenial {
        time: text("time")?,
        scope: text("event").filter(|kind| kind == "denied").and(ScopeName::parse(&text("scope")?).ok())?,
        code: text("code")?,
        argv: list("argv"),
        secrets: list("secrets"),
        cut: event.get("cut").and_then(Value::as_bool).unwrap_or(false),
    })
}
