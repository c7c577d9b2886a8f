//! What a process that holds the keys has decrypted already, or encrypted itself: nodes of the index, and documents; the
//! root that it last found right, and who signs.
//!
//! An object never changes, so what is kept under its id is right as long as it is kept. Values of secrets are never
//! kept: each reveal decrypts its record.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::{VaultKey, index::KnownRoot, object::Author, tree::Node};
use crate::store::ObjectId;

/// Nodes that are kept: of 16 KiB of text each at most.
const NODES: usize = 256;
/// Bytes of documents that are kept.
const DOCUMENTS: usize = 4 << 20;

/// Decrypted objects by their ids.
#[derive(Default)]
pub(crate) struct Cache {
    nodes: Mutex<HashMap<ObjectId, Arc<Node>>>,
    documents: Mutex<Documents>,
    pub(super) root: KnownRoot,
    author: OnceLock<Arc<Author>>,
}

#[derive(Default)]
struct Documents {
    by_id: HashMap<ObjectId, Zeroizing<Vec<u8>>>,
    bytes: usize,
}

impl Cache {
    /// A node that is kept, or what reads it.
    pub(super) fn node<E>(
        &self,
        id: &ObjectId,
        read: impl FnOnce() -> Result<Node, E>,
    ) -> Result<Arc<Node>, E> {
        if let Some(node) = self.nodes.lock().get(id) {
            return Ok(Arc::clone(node));
        }
        let node = Arc::new(read()?);
        self.keep(*id, Arc::clone(&node));
        Ok(node)
    }

    /// Keeps a node that was read, or has just been encrypted.
    pub(super) fn keep(&self, id: ObjectId, node: Arc<Node>) {
        let mut nodes = self.nodes.lock();
        if nodes.len() >= NODES {
            nodes.clear();
        }
        nodes.insert(id, node);
    }

    /// A document that is kept, or what reads it.
    pub(super) fn document<E>(
        &self,
        id: &ObjectId,
        read: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, E>,
    ) -> Result<Zeroizing<Vec<u8>>, E> {
        if let Some(document) = self.documents.lock().by_id.get(id) {
            return Ok(document.clone());
        }
        let document = read()?;
        let mut documents = self.documents.lock();
        if documents.bytes + document.len() > DOCUMENTS {
            *documents = Documents::default();
        }
        documents.bytes += document.len();
        documents.by_id.insert(*id, document.clone());
        Ok(document)
    }

    /// The author that the identity is, whose vault this is kept of.
    pub(super) fn author(&self, key: &VaultKey) -> Arc<Author> {
        Arc::clone(self.author.get_or_init(|| Arc::new(Author::of(key))))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_is_kept_is_read_once_and_no_more_is_kept_than_fits() {
        let (cache, reads) = (Cache::default(), Cell::new(0));
        let read = |number: u32| {
            let id = ObjectId::of(&number.to_be_bytes());
            let read = || {
                reads.set(reads.get() + 1);
                Ok::<_, ()>(Zeroizing::new(vec![0; 1 << 20]))
            };
            cache.document(&id, read).unwrap();
            cache.node(&id, || Ok::<_, ()>(Node::Inner(Vec::new()))).unwrap();
        };
        read(1);
        read(1);
        assert_eq!(reads.get(), 1);
        (0..600).for_each(read);
        assert!(cache.documents.lock().bytes <= DOCUMENTS && cache.nodes.lock().len() <= NODES);
        assert!(cache.document(&ObjectId::of(b"other"), || Err::<Zeroizing<Vec<u8>>, _>("damaged")).is_err());
    }
}
