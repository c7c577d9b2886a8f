//! What the fuzz targets of this room are given: the journal, whatever is in its file.

use std::{collections::BTreeMap, path::Path};

use super::journal::{self, EngineState, Journal};
pub use super::{Batch, StoreError};

/// What a store holds.
pub type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Makes a journal with these batches in a directory. Returns its length before the first, and behind each.
///
/// # Errors
/// [`StoreError`].
pub fn write_journal(dir: &Path, batches: Vec<Batch>) -> Result<Vec<u64>, StoreError> {
    let mut journal = Journal::create(dir)?;
    let mut ends = Vec::new();
    for batch in &batches {
        ends.push(journal.append(batch)?);
    }
    ends.push(journal.append(&Batch::default())?);
    Ok(ends)
}

/// Reads the journal of a directory: everything in it, and whether the engine was left open. Nothing where there is
/// no journal.
///
/// # Errors
/// [`StoreError`].
pub fn read_journal(dir: &Path) -> Result<Option<(Pairs, bool)>, StoreError> {
    let Some((mut journal, left)) = Journal::open(dir)? else { return Ok(None) };
    let pairs = journal.load(left)?;
    journal.engine_closed().map_err(|source| StoreError::Io { what: "close it".to_owned(), source })?;
    Ok(Some((pairs, left == EngineState::Open)))
}

/// Reads the payload of a record and writes it again; nothing where it is none.
pub fn batch_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let batch = journal::decode(bytes)?;
    Some(journal::encode(batch.0.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))))
}
