//! `head.json`: where the chain ends, so that nothing reads the whole log to go on from there.
//!
//! ```text
//! audit/head.json   two slots of 16 KiB, each: { head, segment, offset, length, state, mac } ‖ line feed ‖ anything
//! ```
//! The newer one counts that holds; a write goes into the other, in place: it follows each durable line, and to
//! exchange a file by another costs what a sync costs on a file system that then writes the new one out. What is longer
//! than a slot, and files of before there were slots, are one record, replaced whole.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::{
    AuditError, AuditKeys, Head,
    event::{self, Body, Event, Own},
    state::State,
};
use crate::files;

/// More than this was not written by us: a head carries what 256 open runs are known by.
const MOST: u64 = 16 << 20;
/// The file's name.
pub(super) const NAME: &str = "head.json";
/// The length of a slot.
const SLOT: usize = 16 << 10;

/// Where the chain ends.
#[derive(Debug, Clone)]
pub(super) struct LogPosition {
    pub head: Head,
    /// The segment that the next line belongs to.
    pub segment: u64,
    /// Offset behind the last line, its line feed included.
    pub offset: u64,
    /// Length of the last line, its line feed included.
    pub length: u64,
    /// Whether the last line is a checkpoint, where it was read.
    pub checkpoint: Option<bool>,
    /// Whether this process knows that all of it is on the disk.
    pub synced: bool,
    pub state: State,
}

/// The file. `state` is missing where the first version wrote it, whose MAC covers the rest alone.
#[derive(Serialize, Deserialize)]
struct HeadFile {
    head: Head,
    #[serde(default = "first", skip_serializing_if = "is_first")]
    segment: u64,
    offset: u64,
    length: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<State>,
    mac: String,
}

impl LogPosition {
    /// Before the first event.
    pub(super) fn beginning() -> Self {
        Self { state: State::empty(), ..Self::at_segment(1, Head::default()) }
    }

    /// Before the first event of a segment, which says what must be known of those before.
    pub(super) fn at_segment(segment: u64, head: Head) -> Self {
        Self { head, segment, offset: 0, length: 0, checkpoint: None, synced: false, state: State::default() }
    }

    /// Goes on in the next segment.
    pub(super) fn next_segment(&mut self) {
        self.segment += 1;
        self.offset = 0;
        self.length = 0;
    }

    /// Goes on by a line, given without its line feed.
    pub(super) fn advance(&mut self, body: &Body, line: &[u8]) {
        self.head = Head { seq: body.seq, hash: event::hash(line) };
        self.length = line.len() as u64 + 1;
        self.offset += self.length;
        self.checkpoint = Some(matches!(body.event, Event::Own(Own::Checkpoint { .. })));
        self.synced = false;
        self.state.step(body);
    }

    /// Writes the file. It is no truth of its own: a loss of power may leave an older one, from which the log is read on,
    /// or none. It costs no sync.
    pub(super) fn write(&self, dir: &Path, keys: &AuditKeys) -> io::Result<()> {
        let mut file = HeadFile {
            head: self.head,
            segment: self.segment,
            offset: self.offset,
            length: self.length,
            state: Some(self.state.clone()),
            mac: String::new(),
        };
        file.mac = mac(keys, &file);
        let mut record = serde_json::to_vec(&file).expect("string keys only");
        let path = dir.join(NAME);
        if record.len() < SLOT {
            record.push(b'\n');
            if write_slot(&path, &record)? {
                return Ok(());
            }
            record.resize(2 * SLOT, 0);
        }
        files::replace_unsynced(&path, &record)
    }

    /// The place that the file vouches for; nothing where there is no such file.
    pub(super) fn read(dir: &Path, keys: &AuditKeys) -> Result<Option<Self>, AuditError> {
        let bytes = match files::read_regular(&dir.join(NAME), MOST) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(AuditError::damaged(0, format!("audit/head.json can't be read: {error}")));
            }
            Err(error) => return Err(AuditError::io("read its head", error)),
        };
        // What a file system gives for what never reached the disk.
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let opened: Vec<_> = records(&bytes).map(|record| opened(record, keys)).collect();
        // One that was cut off while it was written, by a kill or by the power, leaves the one before.
        match opened.iter().flatten().max_by_key(|place| place.head.seq) {
            Some(place) => Ok(Some(place.clone())),
            None => opened.into_iter().next().transpose(),
        }
    }

    fn of(file: HeadFile) -> Self {
        Self {
            head: file.head,
            segment: file.segment,
            offset: file.offset,
            length: file.length,
            checkpoint: None,
            synced: false,
            state: file.state.unwrap_or_default(),
        }
    }
}

/// What stands in the slots of a file that has slots, and else all of it.
fn records(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let length = if bytes.len() == 2 * SLOT { SLOT } else { bytes.len().max(1) };
    bytes.chunks(length).map(|slot| {
        let end = memchr::memchr(b'\n', slot).unwrap_or(slot.len());
        &slot[..end]
    })
}

fn opened(record: &[u8], keys: &AuditKeys) -> Result<LogPosition, AuditError> {
    let mut file: HeadFile = serde_json::from_slice(record)
        .map_err(|_| AuditError::damaged(0, "audit/head.json can't be read"))?;
    let said = std::mem::take(&mut file.mac);
    if !bool::from(said.as_bytes().ct_eq(mac(keys, &file).as_bytes())) {
        return Err(AuditError::damaged(file.head.seq, "audit/head.json was changed"));
    }
    Ok(LogPosition::of(file))
}

/// Writes into the slot that does not count; nothing is done where the file has no slots.
fn write_slot(path: &Path, record: &[u8]) -> io::Result<bool> {
    let file = match files::open_to_change(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() != 2 * SLOT as u64 {
        return Ok(false);
    }
    let second = seq_in(&file, 0)? > seq_in(&file, SLOT as u64)?;
    file.write_all_at(record, if second { SLOT as u64 } else { 0 })?;
    Ok(true)
}

/// Which event a slot says that it ends with, whatever its MAC: only which of the two is written to depends on it.
fn seq_in(file: &File, at: u64) -> io::Result<Option<u64>> {
    let mut start = [0; 48];
    file.read_exact_at(&mut start, at)?;
    let digits = start.strip_prefix(br#"{"head":{"seq":"#).unwrap_or_default();
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    Ok(std::str::from_utf8(&digits[..length]).ok().and_then(|text| text.parse().ok()))
}

fn first() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_first(segment: &u64) -> bool {
    *segment == 1
}

/// The MAC of a file whose own field for it is empty.
fn mac(keys: &AuditKeys, file: &HeadFile) -> String {
    let text = if file.state.is_none() {
        let hash = hex::encode(file.head.hash);
        format!("head\n{}\n{hash}\n{}\n{}", file.head.seq, file.offset, file.length)
    } else {
        format!("head 2\n{}", serde_json::to_string(file).expect("string keys only"))
    };
    hex::encode(event::mac(keys, text.as_bytes()))
}
