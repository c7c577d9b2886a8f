//! `run-N`: objects in the order of their ids, with a table behind them. Written once, never changed.
//!
//! ```text
//! "authy-mcp run 2\n" ‖ the bytes of each object ‖ table ‖ foot
//! table   { id ‖ offset in eight bytes ‖ length in four }*      length ffffffff: an object that was let go
//! foot    number of entries in eight bytes ‖ SHA-256 of the table ‖ "run 2\n"
//! ```
//! An object is found by binary search in the table, on the disk: a run costs no memory, and is open at once however
//! large it is.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use sha2::{Digest, Sha256};

use super::super::{ObjectId, StoreError};
use crate::files;

const MAGIC: &[u8] = b"authy-mcp run 2\n";
const END: &[u8] = b"run 2\n";
const ENTRY: u64 = 44;
const FOOT: u64 = 8 + 32 + 6;
const GONE: u32 = u32::MAX;

/// A run that is open.
pub(super) struct Run {
    file: File,
    number: u64,
    entries: u64,
    table: u64,
    pub length: u64,
}

/// What a run says of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    At(u64, u32),
    /// It was let go; what older runs say of it is over.
    Gone,
}

impl Run {
    pub(super) fn open(path: &Path, number: u64) -> Result<Self, StoreError> {
        let file = files::open_regular(path)
            .map_err(|error| StoreError::unreadable(&format!("run-{number}"), error))?;
        let cut = || StoreError::damaged(format!("run-{number} is cut or changed"));
        let length = file.metadata().map_err(StoreError::io("read a run"))?.len();
        let at = length.checked_sub(FOOT).ok_or_else(cut)?;
        let mut foot = [0; FOOT as usize];
        file.read_exact_at(&mut foot, at).map_err(StoreError::io("read a run"))?;
        let (entries, rest) = foot.split_first_chunk::<8>().ok_or_else(cut)?;
        let entries = u64::from_be_bytes(*entries);
        let table = entries.checked_mul(ENTRY).and_then(|size| at.checked_sub(size)).ok_or_else(cut)?;
        if &rest[32..] != END || table < MAGIC.len() as u64 {
            return Err(cut());
        }
        Ok(Self { file, number, entries, table, length })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Looks an object up: so many reads as the number of entries has bits.
    pub(super) fn find(&self, id: &ObjectId) -> Result<Option<Found>, StoreError> {
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            let (found, place) = self.entry(middle)?;
            match found.cmp(id) {
                std::cmp::Ordering::Equal => return Ok(Some(place)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    fn entry(&self, number: u64) -> Result<(ObjectId, Found), StoreError> {
        let mut bytes = [0; ENTRY as usize];
        self.file
            .read_exact_at(&mut bytes, self.table + number * ENTRY)
            .map_err(StoreError::io("read a run"))?;
        Ok(read_entry(&bytes))
    }

    pub(super) fn read(&self, at: u64, length: u32) -> Result<Vec<u8>, StoreError> {
        let cut = || StoreError::damaged(format!("run-{} was changed", self.number));
        if at.checked_add(u64::from(length)).is_none_or(|end| end > self.table) {
            return Err(cut());
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, at).map_err(StoreError::io("read a run"))?;
        Ok(bytes)
    }

    /// The whole table, held against its digest.
    pub(super) fn entries(&self) -> Result<Vec<(ObjectId, Found)>, StoreError> {
        let cut = || StoreError::damaged(format!("run-{} was changed", self.number));
        let size = usize::try_from(self.entries * ENTRY).map_err(|_| cut())?;
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, self.table).map_err(StoreError::io("read a run"))?;
        let mut foot = [0; FOOT as usize];
        self.file.read_exact_at(&mut foot, self.length - FOOT).map_err(StoreError::io("read a run"))?;
        if Sha256::digest(&bytes).as_slice() != &foot[8..40] {
            return Err(cut());
        }
        let entries: Vec<_> = bytes.as_chunks::<{ ENTRY as usize }>().0.iter().map(read_entry).collect();
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(cut());
        }
        Ok(entries)
    }
}

fn read_entry(bytes: &[u8; ENTRY as usize]) -> (ObjectId, Found) {
    let (id, rest) = bytes.split_first_chunk::<32>().expect("an entry has an id");
    let (offset, length) = rest.split_first_chunk::<8>().expect("and an offset");
    let length = u32::from_be_bytes(length.try_into().expect("and a length"));
    let place = if length == GONE { Found::Gone } else { Found::At(u64::from_be_bytes(*offset), length) };
    (ObjectId(*id), place)
}

/// Where the bytes of an object come from.
pub(super) type Source<'a> = Box<dyn Fn() -> Result<Vec<u8>, StoreError> + 'a>;

/// Writes a run of these objects, durably; `None` is one that was let go.
pub(super) fn write(path: &Path, objects: BTreeMap<ObjectId, Option<Source<'_>>>) -> Result<(), StoreError> {
    let failed = StoreError::io("write a run");
    match std::fs::remove_file(path) {
        // One that was being written when its writer was killed is nobody's.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    files::create_unsynced(path, b"").map_err(&failed)?;
    let file = std::fs::OpenOptions::new().append(true).open(path).map_err(&failed)?;
    let written = fill(&file, objects).and_then(|()| file.sync_all().map_err(&failed));
    if written.is_err() {
        // A disk that is full has room again.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn fill(file: &File, objects: BTreeMap<ObjectId, Option<Source<'_>>>) -> Result<(), StoreError> {
    let failed = StoreError::io("write a run");
    let mut out = BufWriter::with_capacity(1 << 18, file);
    let mut table = Vec::with_capacity(objects.len() * ENTRY as usize);
    out.write_all(MAGIC).map_err(&failed)?;
    let mut at = MAGIC.len() as u64;
    let count = objects.len() as u64;
    for (id, source) in objects {
        let bytes = source.map(|read| read()).transpose()?;
        let length = match &bytes {
            Some(bytes) if ObjectId::of(bytes) != id => {
                return Err(StoreError::damaged(format!("the object {id:?} was changed")));
            }
            Some(bytes) => u32::try_from(bytes.len()).expect("it came from a frame"),
            None => GONE,
        };
        table.extend(id.0);
        table.extend(at.to_be_bytes());
        table.extend(length.to_be_bytes());
        let bytes = bytes.unwrap_or_default();
        out.write_all(&bytes).map_err(&failed)?;
        at += bytes.len() as u64;
    }
    let foot = [count.to_be_bytes().as_slice(), &Sha256::digest(&table), END].concat();
    out.write_all(&table).and_then(|()| out.write_all(&foot)).and_then(|()| out.flush()).map_err(&failed)
}
