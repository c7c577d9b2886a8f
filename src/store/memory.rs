//! An engine that is gone with its process; copies of it share what they hold, as processes share a disk.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{Engine, Object, ObjectId, Store, StoreError};

/// Objects and values in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryStore(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    objects: HashMap<ObjectId, Vec<u8>>,
    values: BTreeMap<String, Vec<u8>>,
}

impl MemoryStore {
    /// An engine that opens one and the same store each time, wherever it is said to be.
    pub(crate) fn engine() -> Engine {
        let store = Self::default();
        Engine::new(move |_| Ok(Arc::new(store.clone())))
    }

    /// What whoever can write the disk does: other bytes under an id, or none.
    pub(crate) fn replace(&self, id: &ObjectId, bytes: Option<Vec<u8>>) {
        let mut held = self.0.lock();
        match bytes {
            Some(bytes) => drop(held.objects.insert(*id, bytes)),
            None => drop(held.objects.remove(id)),
        }
    }

    /// The same with a value.
    pub(crate) fn set(&self, key: &str, value: Option<&[u8]>) {
        let mut held = self.0.lock();
        match value {
            Some(value) => drop(held.values.insert(key.to_owned(), value.to_vec())),
            None => drop(held.values.remove(key)),
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().objects.get(id).cloned())
    }

    fn put(&self, objects: &[Object]) -> Result<(), StoreError> {
        self.0.lock().objects.extend(objects.iter().map(|object| (object.id(), object.bytes().to_vec())));
        Ok(())
    }

    fn value(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().values.get(key).cloned())
    }

    fn values(&self, prefix: &str) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let held = self.0.lock();
        let found = held.values.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn exchange(&self, key: &str, expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<(), StoreError> {
        let mut held = self.0.lock();
        if held.values.get(key).map(Vec::as_slice) != expected {
            return Err(StoreError::Conflict { key: key.to_owned() });
        }
        match new {
            Some(new) => drop(held.values.insert(key.to_owned(), new.to_vec())),
            None => drop(held.values.remove(key)),
        }
        Ok(())
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        Ok(self.0.lock().objects.keys().copied().collect())
    }

    fn remove(&self, ids: &[ObjectId]) -> Result<(), StoreError> {
        let mut held = self.0.lock();
        for id in ids {
            held.objects.remove(id);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), StoreError> {
        let held = self.0.lock();
        match held.objects.iter().find(|(id, bytes)| ObjectId::of(bytes) != **id) {
            Some((id, _)) => Err(StoreError::damaged(format!("the object {id:?} was changed"))),
            None => Ok(()),
        }
    }
}
