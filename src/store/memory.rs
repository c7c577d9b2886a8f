//! A store in memory: for tests of what stands on a store.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use super::{Batch, Engine, Store, StoreError};

/// Keys and values in memory; a clone has the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryStore(Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>);

impl MemoryStore {
    /// An engine that opens one and the same store each time, wherever it is said to be.
    pub(crate) fn engine() -> Engine {
        let store = Self::default();
        Engine::new(move |_| Ok(Box::new(store.clone())))
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let map = self.0.lock();
        let pairs = map.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(pairs.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let mut map = self.0.lock();
        for (key, value) in batch.0 {
            match value {
                Some(value) => drop(map.insert(key, value)),
                None => drop(map.remove(&key)),
            }
        }
        Ok(())
    }
}
