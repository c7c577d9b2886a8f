//! `journal-N`: what was put and exchanged since the newest run, in groups.
//!
//! ```text
//! "authy-mcp journal 2\n" ‖ N in eight bytes ‖ group*
//! group   frame* ‖ end
//! frame   kind ‖ length in four bytes ‖ payload
//!   'o'   id ‖ bytes                     an object
//!   'r'   id                             an object that is let go
//!   'v'   key length in two bytes ‖ key ‖ value
//!   'x'   key                            a value that is no more
//! end     'e' ‖ length ‖ SHA-256 of the group so far, the bytes of its objects left out: their ids stand for them
//! ```
//! A group counts once its end is there. A journal begins with every value, so that it needs none before it. It is only
//! appended to, so whoever reads it beside its writer has a beginning of it: what has no end yet is left aside.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::super::{ObjectId, StoreError};
use crate::files;

const MAGIC: &[u8; 20] = b"authy-mcp journal 2\n";
const HEAD: u64 = 28;
const FRAME: usize = 5;
const ID: usize = 32;

/// One step of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Object(ObjectId, &'a [u8]),
    Removed(ObjectId),
    Value(&'a str, &'a [u8]),
    NoValue(&'a str),
}

/// What the groups of a journal come to.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Where the bytes of each object are.
    pub objects: HashMap<ObjectId, (u64, u32)>,
    /// Objects of the runs that are let go.
    pub removed: HashSet<ObjectId>,
    pub values: BTreeMap<String, Vec<u8>>,
    /// How many times an object came or went.
    pub moved: u64,
}

/// A journal, and as much of it as was read.
pub(super) struct Journal {
    file: File,
    /// Where the last whole group ends.
    pub end: u64,
    pub content: Content,
}

/// How a journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    Whole,
    /// With a group that has no end: it was cut off while it was written, or is being written.
    Cut,
}

impl Journal {
    /// Makes a journal that holds values and nothing else.
    pub(super) fn create(
        path: &Path,
        number: u64,
        values: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, StoreError> {
        let mut bytes = [MAGIC.as_slice(), &number.to_be_bytes()].concat();
        bytes.extend(group(values.iter().map(|(key, value)| Step::Value(key, value)))?);
        // One that was being made when its maker was killed is nobody's.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("clear away a journal")(error));
            }
            _ => {}
        }
        files::create_private(path, &bytes).map_err(StoreError::io("make its journal"))?;
        Self::open(path, number, Access::Write).map(|(journal, _)| journal)
    }

    /// Opens the journal that is there, and reads it.
    pub(super) fn open(path: &Path, number: u64, access: Access) -> Result<(Self, Tail), StoreError> {
        let mut options = OpenOptions::new();
        let flags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();
        let opened = options.read(true).write(access == Access::Write).custom_flags(flags).open(path);
        let file = files::regular(opened).map_err(|error| StoreError::unreadable("its journal", error))?;
        let mut head = [0; HEAD as usize];
        file.read_exact_at(&mut head, 0).map_err(|_| StoreError::damaged("its journal is cut"))?;
        if head[..MAGIC.len()] != MAGIC[..] || head[MAGIC.len()..] != number.to_be_bytes() {
            return Err(StoreError::damaged("its journal was changed, or is another's"));
        }
        let mut journal = Self { file, end: HEAD, content: Content::default() };
        let tail = journal.read_on()?;
        Ok((journal, tail))
    }

    /// Reads what was appended since.
    pub(super) fn read_on(&mut self) -> Result<Tail, StoreError> {
        let length = self.length()?;
        let more = length.saturating_sub(self.end);
        let mut bytes =
            vec![0; usize::try_from(more).map_err(|_| StoreError::damaged("its journal is too long"))?];
        self.file.read_exact_at(&mut bytes, self.end).map_err(StoreError::io("read its journal"))?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match next_group(rest) {
                Ok((steps, behind)) => {
                    let last = behind.is_empty();
                    // Whoever wrote a group behind it had this one on the disk.
                    if last && !steps.iter().all(holds) {
                        return Ok(Tail::Cut);
                    }
                    let at = length - rest.len() as u64;
                    self.content.take(&steps, rest, at);
                    self.end = length - behind.len() as u64;
                    rest = behind;
                }
                Err(Torn::Cut) => return Ok(Tail::Cut),
                Err(Torn::Changed) => return Err(StoreError::damaged("its journal was changed")),
            }
        }
        Ok(Tail::Whole)
    }

    /// Appends a group. Not durable before [`Journal::sync`]. Whoever appends alone has it taken back where it fails.
    pub(super) fn append(&mut self, steps: &[Step<'_>]) -> Result<(), StoreError> {
        let bytes = group(steps.iter().cloned())?;
        let written = self.file.write_all_at(&bytes, self.end);
        if let Err(error) = written {
            self.cut_tail()?;
            return Err(StoreError::io("write its journal")(error));
        }
        self.content.take(steps, &bytes, self.end);
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// What was appended is on the disk on return.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::io("write its journal"))
    }

    /// Takes away what has no end.
    pub(super) fn cut_tail(&mut self) -> Result<(), StoreError> {
        let cut = self.file.set_len(self.end).and_then(|()| self.file.sync_data());
        cut.map_err(StoreError::io("take back what was not finished"))
    }

    /// Takes back what was appended and could not be made durable, as well as a disk that fails lets us. What was read
    /// of it is not to be used any more.
    pub(super) fn take_back(&mut self, before: u64) {
        self.end = before;
        let _ = self.cut_tail();
    }

    /// The bytes of an object that is here.
    pub(super) fn get(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(&(at, length)) = self.content.objects.get(id) else { return Ok(None) };
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, at).map_err(StoreError::io("read its journal"))?;
        Ok(Some(bytes))
    }

    pub(super) fn length(&self) -> Result<u64, StoreError> {
        self.file.metadata().map(|found| found.len()).map_err(StoreError::io("read its journal"))
    }
}

/// Whether a journal is opened for more than reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl Content {
    /// `bytes` are the group's own, which begin at `at` in the file.
    fn take(&mut self, steps: &[Step<'_>], bytes: &[u8], at: u64) {
        let mut offset = 0;
        for step in steps {
            let length = payload_length(step);
            match step {
                Step::Object(id, object) => {
                    let begins = at + (offset + FRAME + ID) as u64;
                    debug_assert_eq!(bytes.get(offset + FRAME..offset + FRAME + ID), Some(id.0.as_slice()));
                    let length = u32::try_from(object.len()).expect("a frame's length is four bytes");
                    self.objects.insert(*id, (begins, length));
                    self.removed.remove(id);
                    self.moved += 1;
                }
                Step::Removed(id) => {
                    self.objects.remove(id);
                    self.removed.insert(*id);
                    self.moved += 1;
                }
                Step::Value(key, value) => drop(self.values.insert((*key).to_owned(), value.to_vec())),
                Step::NoValue(key) => drop(self.values.remove(*key)),
            }
            offset += FRAME + length;
        }
    }
}

/// What is wrong with a group.
#[derive(Debug, PartialEq, Eq)]
enum Torn {
    /// It ends before its end.
    Cut,
    /// Its digest doesn't hold.
    Changed,
}

fn holds(step: &Step<'_>) -> bool {
    match step {
        Step::Object(id, bytes) => ObjectId::of(bytes) == *id,
        _ => true,
    }
}

fn payload_length(step: &Step<'_>) -> usize {
    match step {
        Step::Object(_, bytes) => ID + bytes.len(),
        Step::Removed(_) => ID,
        Step::Value(key, value) => 2 + key.len() + value.len(),
        Step::NoValue(key) => key.len(),
    }
}

fn group<'a>(steps: impl Iterator<Item = Step<'a>>) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    let mut sum = Sha256::new();
    for step in steps {
        let begins = bytes.len();
        let too_large = |_| StoreError::damaged("what is to be written is too large");
        let length = u32::try_from(payload_length(&step)).map_err(too_large)?;
        let mut frame = |kind: u8| {
            bytes.push(kind);
            bytes.extend(length.to_be_bytes());
        };
        match step {
            Step::Object(id, object) => {
                frame(b'o');
                bytes.extend(id.0);
                sum.update(&bytes[begins..]);
                bytes.extend(object);
                continue;
            }
            Step::Removed(id) => {
                frame(b'r');
                bytes.extend(id.0);
            }
            Step::Value(key, value) => {
                frame(b'v');
                let length =
                    u16::try_from(key.len()).map_err(|_| StoreError::damaged("a key is too long"))?;
                bytes.extend(length.to_be_bytes());
                bytes.extend(key.as_bytes());
                bytes.extend(value);
            }
            Step::NoValue(key) => {
                frame(b'x');
                bytes.extend(key.as_bytes());
            }
        }
        sum.update(&bytes[begins..]);
    }
    bytes.push(b'e');
    bytes.extend((ID as u32).to_be_bytes());
    bytes.extend(sum.finalize());
    Ok(bytes)
}

/// The steps of the next group, and what is behind it.
fn next_group(bytes: &[u8]) -> Result<(Vec<Step<'_>>, &[u8]), Torn> {
    let mut steps = Vec::new();
    let mut sum = Sha256::new();
    let mut rest = bytes;
    loop {
        let (frame, behind) = rest.split_first_chunk::<FRAME>().ok_or(Torn::Cut)?;
        let [kind, length @ ..] = frame;
        if !b"orvxe".contains(kind) {
            // What a file system gives for what never reached the disk.
            return Err(if rest.iter().all(|byte| *byte == 0) { Torn::Cut } else { Torn::Changed });
        }
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Torn::Changed)?;
        let (payload, behind) = behind.split_at_checked(length).ok_or(Torn::Cut)?;
        if *kind == b'e' {
            if sum.finalize().as_slice() == payload {
                return Ok((steps, behind));
            }
            // The last one may have been on its way when the power went.
            return Err(if behind.is_empty() { Torn::Cut } else { Torn::Changed });
        }
        let step = step(*kind, payload).ok_or(Torn::Changed)?;
        let summed = if *kind == b'o' { FRAME + ID } else { FRAME + length };
        sum.update(&rest[..summed]);
        steps.push(step);
        rest = behind;
    }
}

fn step(kind: u8, payload: &[u8]) -> Option<Step<'_>> {
    Some(match kind {
        b'o' => {
            let (id, bytes) = payload.split_first_chunk::<ID>()?;
            Step::Object(ObjectId(*id), bytes)
        }
        b'r' => Step::Removed(ObjectId(payload.try_into().ok()?)),
        b'v' => {
            let (length, rest) = payload.split_first_chunk::<2>()?;
            let (key, value) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            Step::Value(std::str::from_utf8(key).ok()?, value)
        }
        b'x' => Step::NoValue(std::str::from_utf8(payload).ok()?),
        _ => return None,
    })
}

/// Reads a journal's groups, whatever they are; for the fuzz target `journal`.
///
/// # Panics
/// Where a group that was read isn't the same once it is written and read again.
#[doc(hidden)]
pub fn fuzz(mut bytes: &[u8]) {
    while let Ok((steps, behind)) = next_group(bytes) {
        let written = group(steps.iter().cloned()).expect("it was short enough to be read");
        assert!(written == bytes[..bytes.len() - behind.len()], "a group has two forms");
        bytes = behind;
    }
}
