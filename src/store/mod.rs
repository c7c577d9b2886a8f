//! The engines under the vault: immutable objects, and a few values that are exchanged. Bytes only.
//!
//! What enters is ciphertext and MACs. An object is named by its digest and never changes; a value (the root, a ledger
//! entry) has a key, and is exchanged for another one only by who knows the present one. Nothing here decrypts, and
//! nothing panics on a damaged file.
//!
//! A change of the vault puts its objects, in any order, and then exchanges the root: what was put and is named by no
//! root is nobody's. So a change that is cut short at any moment leaves the vault as it was.

mod engine;
pub(crate) mod format_one;
#[doc(hidden)]
pub mod fuzzing;
mod local;
#[cfg(test)]
mod memory;
mod socket;
#[cfg(test)]
mod tests;
mod turn;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

pub(crate) use engine::{Asks, Engine, Hold, Left, Lent, Place};
pub(crate) use local::LocalStore;
#[cfg(test)]
pub(crate) use memory::MemoryStore;
pub(crate) use socket::{Dial, Errand, Line, Proof, answer};
pub(crate) use turn::Order;

/// The suite, and what it is held with in other rooms.
#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use super::{LocalStore, MemoryStore, Store, answer, socket::SocketStore, tests::conforms};
}

/// What the vault asks of an engine. Every engine passes the suite in `tests`.
pub(crate) trait Store: Send + Sync {
    /// An object's bytes. Whoever asks compares them with the id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn get(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, StoreError>;

    /// Takes objects. They need not be durable before the next exchange; putting one again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put(&self, objects: &[Object]) -> Result<(), StoreError>;

    /// The present value of a key.
    ///
    /// # Errors
    /// [`StoreError`].
    fn value(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Every key that begins so, with its value.
    ///
    /// # Errors
    /// [`StoreError`].
    fn values(&self, prefix: &str) -> Result<BTreeMap<String, Vec<u8>>, StoreError>;

    /// Exchanges a key's value, if the present one is the expected (`None`: there is none); a new `None` removes it.
    /// Durable on return, and with it everything that was put before.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the present value is another.
    fn exchange(&self, key: &str, expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<(), StoreError>;

    /// The ids of all objects, for collection.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list(&self) -> Result<Vec<ObjectId>, StoreError>;

    /// Lets go of objects that no root names any more. When their bytes are gone is the engine's business.
    ///
    /// # Errors
    /// [`StoreError`].
    fn remove(&self, ids: &[ObjectId]) -> Result<(), StoreError>;

    /// Nobody has the vault open any more: time for housekeeping, and for letting go of what others may need.
    fn rest(&self, _how: Rest) {}

    /// Reads everything, wherever it is kept, and compares.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    fn check(&self) -> Result<(), StoreError>;
}

/// Who may have a store while nobody here has it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nobody: this process keeps it.
    Kept,
    /// Whoever comes next.
    LetGo,
}

/// The digest of an object's bytes: SHA-256, in text as hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub(crate) struct ObjectId(#[serde(deserialize_with = "hex::serde::deserialize")] pub [u8; 32]);

impl Serialize for ObjectId {
    /// As `hex::serde` has it, which makes a string of it digit by digit: a node of the index has a hundred of them.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 64];
        hex::encode_to_slice(self.0, &mut text).expect("two digits a byte");
        to.serialize_str(std::str::from_utf8(&text).expect("digits are ASCII"))
    }
}

impl ObjectId {
    /// The id of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..6]))
    }
}

/// An object, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    id: ObjectId,
    bytes: Vec<u8>,
}

impl Object {
    /// The object of these bytes.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { id: ObjectId::of(&bytes), bytes }
    }

    /// Its id.
    pub(crate) fn id(&self) -> ObjectId {
        self.id
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What can go wrong with an engine.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("the database is in use by another process")]
    Busy,
    /// The present value is not the one that was expected.
    #[error("somebody else has changed {key} meanwhile")]
    Conflict {
        /// Whose value it is.
        key: String,
    },
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

impl StoreError {
    fn io(what: &str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Io { what: what.to_owned(), source }
    }

    fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    /// Something else in a file's place is damage, not a disk's fault.
    fn unreadable(what: &str, error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::InvalidData => Self::damaged(format!("{what} can't be read: {error}")),
            _ => Self::Io { what: format!("read {what}"), source: error },
        }
    }
}
