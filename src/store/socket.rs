//! The engine of a daemon, reached over its socket: every operation is a request and its reply, JSON each. Ciphertext and
//! MACs only; what may be exchanged is for whoever answers to check.
//!
//! What carries them is given from above: a [`Dial`] that finds a daemon, and a [`Line`] that is one turn at its store.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use super::{Object, ObjectId, Store, StoreError};

/// What was tried where a line broke off. Whether what was asked for last was done, only the vault can tell.
const BROKE_OFF: &str = "go on with the daemon that keeps the vault, which may have ended; type this again";

/// Bytes of objects that go in one request, about.
const AT_ONCE: usize = 4 << 20;

/// What a daemon and whoever asks show each other that both know, made when it is needed.
pub(crate) type Proof<'a> = dyn Fn() -> Zeroizing<[u8; 32]> + 'a;

/// What a daemon is reached for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Errand {
    /// A turn at its store.
    Turn {
        /// Before all that agents ask for.
        first: bool,
    },
    /// It lets go of the store until the line is closed.
    Leave,
}

/// Finds a daemon.
pub(crate) trait Dial: Send + Sync {
    /// A line to the daemon at a socket, once it is our turn; nothing where nobody listens.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the wait is over; [`StoreError::Io`] where what listens is not the vault's daemon.
    fn dial(
        &self,
        socket: &Path,
        errand: Errand,
        proof: &Proof<'_>,
        wait: Duration,
    ) -> Result<Option<Box<dyn Line>>, StoreError>;
}

/// A turn at a daemon's store, which is over when this is dropped.
pub(crate) trait Line: Send {
    /// Sends a request, and waits for its reply.
    ///
    /// # Errors
    /// Where it broke off.
    fn ask(&mut self, request: &[u8]) -> io::Result<Vec<u8>>;
}

/// Bytes, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    Get(ObjectId),
    Put(Vec<Bytes>),
    Value(String),
    Values(String),
    Exchange { key: String, expected: Option<Bytes>, new: Option<Bytes> },
    List,
    Remove(Vec<ObjectId>),
    Check,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Reply {
    Done,
    Bytes(Option<Bytes>),
    Values(BTreeMap<String, Bytes>),
    Ids(Vec<ObjectId>),
    Failed(Fault),
}

/// An error on its way.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Fault {
    Busy,
    Conflict { key: String },
    Damaged { what: String },
    Io { what: String, why: String },
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::Conflict { key } => Self::Conflict { key },
            StoreError::Damaged { what } => Self::Damaged { what },
            StoreError::Io { what, source } => Self::Io { what, why: source.to_string() },
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Busy => Self::Busy,
            Fault::Conflict { key } => Self::Conflict { key },
            Fault::Damaged { what } => Self::Damaged { what },
            Fault::Io { what, why } => Self::Io { what, source: io::Error::other(why) },
        }
    }
}

/// A daemon's store.
pub(crate) struct SocketStore(Mutex<Box<dyn Line>>);

impl SocketStore {
    pub(crate) fn over(line: Box<dyn Line>) -> Self {
        Self(Mutex::new(line))
    }

    fn ask(&self, request: &Request) -> Result<Reply, StoreError> {
        let broke_off = StoreError::io(BROKE_OFF);
        let request = serde_json::to_vec(request).expect("string keys only");
        let reply = self.0.lock().ask(&request).map_err(&broke_off)?;
        match serde_json::from_slice(&reply) {
            Ok(Reply::Failed(fault)) => Err(StoreError::from(fault)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(broke_off(error.into())),
        }
    }

    fn done(&self, request: &Request) -> Result<(), StoreError> {
        match self.ask(request)? {
            Reply::Done => Ok(()),
            _ => Err(another()),
        }
    }
}

/// A reply to something else.
fn another() -> StoreError {
    StoreError::io(BROKE_OFF)(io::ErrorKind::InvalidData.into())
}

impl Store for SocketStore {
    fn get(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        match self.ask(&Request::Get(*id))? {
            Reply::Bytes(bytes) => Ok(bytes.map(|bytes| bytes.0)),
            _ => Err(another()),
        }
    }

    fn put(&self, objects: &[Object]) -> Result<(), StoreError> {
        let (mut part, mut length) = (Vec::new(), 0);
        for object in objects {
            part.push(Bytes(object.bytes().to_vec()));
            length += object.bytes().len();
            if length >= AT_ONCE {
                self.done(&Request::Put(std::mem::take(&mut part)))?;
                length = 0;
            }
        }
        if part.is_empty() { Ok(()) } else { self.done(&Request::Put(part)) }
    }

    fn value(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.ask(&Request::Value(key.to_owned()))? {
            Reply::Bytes(bytes) => Ok(bytes.map(|bytes| bytes.0)),
            _ => Err(another()),
        }
    }

    fn values(&self, prefix: &str) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        match self.ask(&Request::Values(prefix.to_owned()))? {
            Reply::Values(values) => Ok(values.into_iter().map(|(key, value)| (key, value.0)).collect()),
            _ => Err(another()),
        }
    }

    fn exchange(&self, key: &str, expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<(), StoreError> {
        let bytes = |bytes: &[u8]| Bytes(bytes.to_vec());
        let (expected, new) = (expected.map(bytes), new.map(bytes));
        self.done(&Request::Exchange { key: key.to_owned(), expected, new })
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        match self.ask(&Request::List)? {
            Reply::Ids(ids) => Ok(ids),
            _ => Err(another()),
        }
    }

    fn remove(&self, ids: &[ObjectId]) -> Result<(), StoreError> {
        if ids.is_empty() { Ok(()) } else { self.done(&Request::Remove(ids.to_vec())) }
    }

    fn check(&self) -> Result<(), StoreError> {
        self.done(&Request::Check)
    }
}

/// Answers a request from a store. `admits` says whether a value may be exchanged for another: its key, and the new one.
pub(crate) fn answer(
    store: &dyn Store,
    request: &[u8],
    admits: impl FnOnce(&str, Option<&[u8]>) -> Result<(), StoreError>,
) -> Vec<u8> {
    let reply = serde_json::from_slice(request)
        .map_err(|error| StoreError::io("read a request")(error.into()))
        .and_then(|request| reply(store, request, admits))
        .unwrap_or_else(|error| Reply::Failed(error.into()));
    serde_json::to_vec(&reply).expect("string keys only")
}

fn reply(
    store: &dyn Store,
    request: Request,
    admits: impl FnOnce(&str, Option<&[u8]>) -> Result<(), StoreError>,
) -> Result<Reply, StoreError> {
    let done = |()| Reply::Done;
    match request {
        Request::Get(id) => Ok(Reply::Bytes(store.get(&id)?.map(Bytes))),
        Request::Put(objects) => {
            let objects: Vec<_> = objects.into_iter().map(|bytes| Object::new(bytes.0)).collect();
            store.put(&objects).map(done)
        }
        Request::Value(key) => Ok(Reply::Bytes(store.value(&key)?.map(Bytes))),
        Request::Values(prefix) => {
            let values = store.values(&prefix)?;
            Ok(Reply::Values(values.into_iter().map(|(key, value)| (key, Bytes(value))).collect()))
        }
        Request::Exchange { key, expected, new } => {
            let (expected, new) = (expected.map(|bytes| bytes.0), new.map(|bytes| bytes.0));
            admits(&key, new.as_deref())?;
            store.exchange(&key, expected.as_deref(), new.as_deref()).map(done)
        }
        Request::List => store.list().map(Reply::Ids),
        Request::Remove(ids) => store.remove(&ids).map(done),
        Request::Check => store.check().map(done),
    }
}
