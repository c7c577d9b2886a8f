//! What the fuzz targets of this room are given: groups of a journal by themselves, and the local store, whatever is in
//! the file of its journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{LocalStore, Object, ObjectId, Store};
pub use super::{StoreError, local::fuzz as groups};

/// What a store holds: objects, and values by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    /// The bytes of every object.
    pub objects: BTreeSet<Vec<u8>>,
    /// Every value.
    pub values: BTreeMap<String, Vec<u8>>,
}

/// What a writer does: a group of the journal each.
#[derive(Debug, Clone, Copy)]
pub enum Deed {
    /// Puts objects.
    Put(&'static [&'static [u8]]),
    /// Lets go of an object.
    Remove(&'static [u8]),
    /// Exchanges the value of a key, whatever it is at present.
    Exchange(&'static str, Option<&'static [u8]>),
}

/// Makes a store in an empty directory. Returns the file of its journal, and how long that is at first and behind each
/// deed.
///
/// # Errors
/// [`StoreError`].
pub fn make(dir: &Path, deeds: &[Deed]) -> Result<(PathBuf, Vec<u64>), StoreError> {
    let store = LocalStore::write(dir)?;
    let [_, journal] = LocalStore::files(dir).ok_or_else(|| StoreError::damaged("current is gone"))?;
    let length =
        || fs::metadata(&journal).map(|found| found.len()).map_err(StoreError::io("read its journal"));
    let mut ends = vec![length()?];
    for deed in deeds {
        match *deed {
            Deed::Put(objects) => {
                let objects: Vec<Object> = objects.iter().map(|bytes| Object::new(bytes.to_vec())).collect();
                store.put(&objects)?;
            }
            Deed::Remove(bytes) => store.remove(&[ObjectId::of(bytes)])?,
            Deed::Exchange(key, new) => store.exchange(key, store.value(key)?.as_deref(), new)?,
        }
        ends.push(length()?);
    }
    Ok((journal, ends))
}

/// What a reader finds in a store.
///
/// # Errors
/// [`StoreError`].
pub fn read(dir: &Path) -> Result<Holds, StoreError> {
    holds(&LocalStore::read(dir)?)
}

/// What a writer finds, which takes away what was not finished.
///
/// # Errors
/// [`StoreError`].
pub fn read_to_write(dir: &Path) -> Result<Holds, StoreError> {
    holds(&LocalStore::write(dir)?)
}

fn holds(store: &LocalStore) -> Result<Holds, StoreError> {
    store.check()?;
    let mut holds = Holds { values: store.values("")?, ..Holds::default() };
    for id in store.list()? {
        holds.objects.insert(store.get(&id)?.unwrap_or_default());
    }
    Ok(holds)
}
