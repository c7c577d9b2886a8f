//! The key-value engine under the vault: bytes only.
//!
//! What enters is ciphertext and MACs. A batch is all or nothing, and on the disk when
//! [`Store::apply`] returns. Nothing here decrypts, and nothing panics on a damaged file.

mod engine;
#[doc(hidden)]
pub mod fuzzing;
mod journal;
#[cfg(test)]
mod memory;
mod sled_store;
#[cfg(test)]
mod tests;

pub(crate) use engine::Engine;
#[cfg(test)]
pub(crate) use memory::MemoryStore;

/// What the vault asks of an engine.
pub(crate) trait Store: Send + Sync {
    /// One value.
    ///
    /// # Errors
    /// [`StoreError`].
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Every pair whose key begins so, in key order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError>;
    /// Writes all of a batch or nothing of it, durably.
    ///
    /// # Errors
    /// [`StoreError`].
    fn apply(&self, batch: Batch) -> Result<(), StoreError>;
    /// Reads everything, wherever it is kept, and compares.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    fn check(&self) -> Result<(), StoreError> {
        self.scan(b"").map(drop)
    }
}

/// Changes that happen together. `None` removes.
#[derive(Debug, Default)]
pub struct Batch(pub Vec<(Vec<u8>, Option<Vec<u8>>)>);

/// What can go wrong with an engine.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("the database is in use by another process")]
    Busy,
    /// Its files are damaged.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// What was found.
        what: String,
    },
    /// The disk or its permissions.
    #[error("the database can't be used: {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}
