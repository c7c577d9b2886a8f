//! `head.json`: where the chain ends, so that nothing reads the whole log to go on from there.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::{
    AuditError, AuditKeys, Head,
    event::{self, Body, Event, Own},
    state::State,
};

/// More than this was not written by us: a head carries what 256 open runs are known by.
const MOST: u64 = 16 << 20;
/// The file's name.
pub(super) const NAME: &str = "head.json";

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

    /// Replaces the file. It is no truth of its own: a loss of power may leave an older one, from which the log is read on,
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
        let text = serde_json::to_vec(&file).expect("string keys only");
        crate::files::replace_unsynced(&dir.join(NAME), &text)
    }

    /// The place that the file vouches for; nothing where there is no such file.
    pub(super) fn read(dir: &Path, keys: &AuditKeys) -> Result<Option<Self>, AuditError> {
        let bytes = match crate::files::read_regular(&dir.join(NAME), MOST) {
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
        let mut file: HeadFile = serde_json::from_slice(&bytes)
            .map_err(|_| AuditError::damaged(0, "audit/head.json can't be read"))?;
        let said = std::mem::take(&mut file.mac);
        if !bool::from(said.as_bytes().ct_eq(mac(keys, &file).as_bytes())) {
            return Err(AuditError::damaged(file.head.seq, "audit/head.json was changed"));
        }
        Ok(Some(Self {
            head: file.head,
            segment: file.segment,
            offset: file.offset,
            length: file.length,
            checkpoint: None,
            synced: false,
            state: file.state.unwrap_or_default(),
        }))
    }
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
