//! What opens a store: the one place that names the engine of this version.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{LocalStore, Store, StoreError};

/// What opens the store of a vault, each time that the vault is opened.
#[derive(Clone)]
pub(crate) struct Engine(Arc<Open>);

type Open = dyn Fn(&Path) -> Result<Arc<dyn Store>, StoreError> + Send + Sync;

/// A store while a vault is open over it; it rests when this is dropped.
pub(crate) struct Lent(Arc<dyn Store>);

impl Engine {
    /// An engine of one's own, which is given the vault's directory for a database.
    pub(crate) fn new(
        open: impl Fn(&Path) -> Result<Arc<dyn Store>, StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(open))
    }

    /// Opens the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn open(&self, dir: &Path) -> Result<Lent, StoreError> {
        (self.0)(dir).map(Lent)
    }
}

/// The engine of this version: the files of the directory. What was read of them is kept from one time to the next, and
/// read on where others have written since.
impl Default for Engine {
    fn default() -> Self {
        let kept: Mutex<Option<(PathBuf, Arc<LocalStore>)>> = Mutex::default();
        Self::new(move |dir| {
            let mut kept = kept.lock();
            if let Some((of, store)) = kept.take()
                && of == dir
                && store.renew().is_ok()
            {
                *kept = Some((of, Arc::clone(&store)));
                return Ok(store);
            }
            let store = Arc::new(LocalStore::write(dir)?);
            *kept = Some((dir.to_owned(), Arc::clone(&store)));
            Ok(store)
        })
    }
}

impl Deref for Lent {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.rest();
    }
}
