//! What opens a store: the one place that names the engine of this version.

use std::{path::Path, sync::Arc};

use super::{Store, StoreError, sled_store::SledStore};

/// What opens the store of a vault, each time that the vault is opened.
#[derive(Clone)]
pub(crate) struct Engine(Arc<Open>);

type Open = dyn Fn(&Path) -> Result<Box<dyn Store>, StoreError> + Send + Sync;

impl Engine {
    /// An engine of one's own, which is given the vault's directory for a database.
    pub(crate) fn new(
        open: impl Fn(&Path) -> Result<Box<dyn Store>, StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(open))
    }

    /// Opens the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn open(&self, dir: &Path) -> Result<Box<dyn Store>, StoreError> {
        (self.0)(dir)
    }
}

/// The engine of this version: a journal in the directory, and sled beside it.
impl Default for Engine {
    fn default() -> Self {
        Self::new(|dir| Ok(Box::new(SledStore::open(dir)?)))
    }
}
