//! What the log says of itself before there is a key to hold it against: for a person's eyes, and for nothing else.

use std::{
    io::{Read as _, Seek, SeekFrom},
    path::Path,
};

use jiff::Timestamp;
use serde_json::Value;

use super::segments;
use crate::shown::shown;

/// The end of the log that is looked through, in bytes of all its files. Whoever wrote the log chose how long it is.
const LOOKED_AT: u64 = 1 << 20;
/// The present segment, which has no change yet where it was just begun, and closed ones before it.
const FILES: usize = 3;
/// A field's characters.
const FIELD: usize = 80;

/// The vault's last change as its log has it, which nothing was held against yet: one line without anything that
/// a terminal acts on, bounded.
pub fn said_last_change(dir: &Path) -> Option<String> {
    let closed = segments::closed(dir).unwrap_or_default();
    let files = std::iter::once(dir.join(segments::CURRENT)).chain(closed.into_values().rev());
    let (mut left, mut carried) = (LOOKED_AT, None);
    files.take(FILES).find_map(|path| in_segment(&path, &mut left, &mut carried)).or(carried)
}

/// The last change that a segment announces; else what it carries of those before, which may be archived.
fn in_segment(path: &Path, left: &mut u64, carried: &mut Option<String>) -> Option<String> {
    let mut file = segments::open(path).ok()??;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(*left))).ok()?;
    let mut tail = Vec::new();
    file.take(*left).read_to_end(&mut tail).ok()?;
    *left = left.saturating_sub(tail.len() as u64);
    let mut lines = tail.rsplit(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let event = serde_json::from_slice(line).ok()?;
        if carried.is_none() {
            *carried = change_before(&event);
        }
        change(&event)
    })
}

/// The change that a checkpoint or the first event of a segment carries, in words.
fn change_before(event: &Value) -> Option<String> {
    let epoch = event.pointer("/state/announced/epoch")?.as_u64()?;
    Some(format!("before {}, change {epoch}", time(event)))
}

fn time(event: &Value) -> String {
    let time = event.get("time").and_then(Value::as_str).and_then(|time| time.parse::<Timestamp>().ok());
    time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string())
}

/// The change that an event announces, in words.
fn change(event: &Value) -> Option<String> {
    let epoch = event.pointer("/change/epoch")?.as_u64()?;
    let text = |key: &str| event.get(key).and_then(Value::as_str);
    let action = text("action").or_else(|| text("event")).unwrap_or("unknown");
    let target = text("target").map(|target| format!(" {}", field(target))).unwrap_or_default();
    Some(format!("{}{target}, {}, change {epoch}", field(action), time(event)))
}

fn field(text: &str) -> String {
    let cut: String = text.chars().take(FIELD).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", shown(&cut))
}
