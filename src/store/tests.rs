//! What every engine holds to: a new engine is a row of [`ENGINES`]. One of them is made here, to show what an engine is:
//! a directory with a file an object and a file a value.
//!
//! What only engines with files of their own can be asked (cuts, flipped bits, a reader beside the writer) is asked of
//! the local one in `local/tests.rs`, and of the whole program in `tests/it/durability.rs` and `damage.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use proptest::{prelude::*, test_runner::TestRunner};

use super::{LocalStore, MemoryStore, Object, ObjectId, Store, StoreError};
use crate::files;

/// Opens an engine that lives in a directory; what was acknowledged is there when it is opened again.
type Open = fn(&Path, &MemoryStore) -> Box<dyn Store>;

const ENGINES: &[(&str, Open)] = &[
    ("memory", |_, memory| Box::new(memory.clone())),
    ("local", |dir, _| {
        let dir = dir.join("store");
        files::create_private_dir(&dir).unwrap();
        Box::new(LocalStore::write(&dir).unwrap())
    }),
    ("a file each", |dir, _| Box::new(FolderStore::open(dir).unwrap())),
];

/// A file an object, named by its id, and a file a value, named by its key in hex.
struct FolderStore(PathBuf);

impl FolderStore {
    fn open(dir: &Path) -> Result<Self, StoreError> {
        for part in ["objects", "values"] {
            files::create_private_dir(&dir.join(part)).map_err(StoreError::io("make its directory"))?;
        }
        Ok(Self(dir.to_owned()))
    }

    fn file(&self, part: &str, name: impl AsRef<[u8]>) -> PathBuf {
        self.0.join(part).join(hex::encode(name))
    }

    fn names(&self, part: &str) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(self.0.join(part)).into_iter().flatten().flatten();
        entries.filter_map(|entry| hex::decode(entry.file_name().as_encoded_bytes()).ok()).collect()
    }
}

fn if_there<T>(done: std::io::Result<T>) -> Result<Option<T>, StoreError> {
    match done {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("use a file")(error)),
    }
}

impl Store for FolderStore {
    fn get(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        if_there(fs::read(self.file("objects", id.0)))
    }

    fn put(&self, objects: &[Object]) -> Result<(), StoreError> {
        let write =
            |object: &Object| files::write_private(&self.file("objects", object.id().0), object.bytes());
        objects.iter().try_for_each(write).map_err(StoreError::io("write an object"))
    }

    fn value(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if_there(fs::read(self.file("values", key)))
    }

    fn values(&self, prefix: &str) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let keys = self.names("values").into_iter().filter_map(|name| String::from_utf8(name).ok());
        let found = keys.filter(|key| key.starts_with(prefix));
        found.map(|key| Ok((key.clone(), self.value(&key)?.unwrap_or_default()))).collect()
    }

    fn exchange(&self, key: &str, expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<(), StoreError> {
        if self.value(key)?.as_deref() != expected {
            return Err(StoreError::Conflict { key: key.to_owned() });
        }
        let file = self.file("values", key);
        match new {
            Some(new) => files::write_private(&file, new).map_err(StoreError::io("write a value")),
            None => if_there(fs::remove_file(file)).map(drop),
        }
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        Ok(self.names("objects").into_iter().filter_map(|name| name.try_into().ok()).map(ObjectId).collect())
    }

    fn remove(&self, ids: &[ObjectId]) -> Result<(), StoreError> {
        ids.iter().try_for_each(|id| if_there(fs::remove_file(self.file("objects", id.0))).map(drop))
    }

    fn check(&self) -> Result<(), StoreError> {
        for id in self.list()? {
            if self.get(&id)?.is_none_or(|bytes| ObjectId::of(&bytes) != id) {
                return Err(StoreError::damaged(format!("the object {id:?} was changed")));
            }
        }
        Ok(())
    }
}

/// What opens an engine, again and again.
type Opens<'a> = dyn Fn() -> Box<dyn Store> + 'a;

/// Holds an engine to what all hold to. It lives in a directory, and is opened there again.
pub(crate) fn conforms(engine: &str, open: &dyn Fn(&Path) -> Box<dyn Store>) {
    let apart = |check: &dyn Fn(&str, &Opens<'_>)| {
        let dir = tempfile::tempdir().unwrap();
        check(engine, &|| open(dir.path()));
    };
    apart(&what_was_put_is_there_under_its_digest_and_once);
    apart(&a_value_is_exchanged_by_who_knows_the_present_one_alone);
    apart(&keys_are_apart_and_found_by_their_beginning);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(16));
    let steps = prop::collection::vec(step(), 1..40);
    let held = runner.run(&steps, |steps| {
        apart(&|engine, open| it_holds_what_a_map_holds(engine, open, &steps));
        Ok(())
    });
    held.unwrap();
}

#[test]
fn every_engine_conforms() {
    for (name, open) in ENGINES {
        // What is in memory alone is another one in each directory.
        let memories = Mutex::new(BTreeMap::<PathBuf, MemoryStore>::new());
        conforms(name, &|dir| {
            let memory = memories.lock().entry(dir.to_owned()).or_default().clone();
            open(dir, &memory)
        });
    }
}

fn object(text: &str) -> Object {
    Object::new(text.as_bytes().to_vec())
}

fn what_was_put_is_there_under_its_digest_and_once(engine: &str, open: &Opens<'_>) {
    let store = open();
    let [one, two] = ["one", "two"].map(object);
    store.put(&[one.clone(), two.clone()]).unwrap();
    store.put(std::slice::from_ref(&one)).unwrap();
    assert_eq!(store.get(&one.id()).unwrap().as_deref(), Some(&b"one"[..]), "{engine}");
    assert_eq!(store.get(&object("three").id()).unwrap(), None, "{engine}");
    let listed: BTreeSet<_> = store.list().unwrap().into_iter().collect();
    assert_eq!(listed, [one.id(), two.id()].into(), "{engine}");
    store.remove(&[one.id(), object("never there").id()]).unwrap();
    assert_eq!(store.list().unwrap(), [two.id()], "{engine}");
    store.put(std::slice::from_ref(&one)).unwrap();
    assert_eq!(store.list().unwrap().len(), 2, "{engine}: put again after it was let go");
    store.check().unwrap();
}

fn a_value_is_exchanged_by_who_knows_the_present_one_alone(engine: &str, open: &Opens<'_>) {
    let store = open();
    let conflict = |expected: Option<&[u8]>, new: Option<&[u8]>| {
        let done = store.exchange("root", expected, new);
        assert!(matches!(done, Err(StoreError::Conflict { key }) if key == "root"), "{engine}");
    };
    conflict(Some(b"one"), Some(b"two"));
    store.exchange("root", None, Some(b"one")).unwrap();
    conflict(None, Some(b"two"));
    conflict(Some(b"on"), Some(b"two"));
    conflict(Some(b"two"), None);
    store.exchange("root", Some(b"one"), Some(b"")).unwrap();
    assert_eq!(store.value("root").unwrap().as_deref(), Some(&b""[..]), "{engine}: empty is a value");
    conflict(None, Some(b"two"));
    store.exchange("root", Some(b""), None).unwrap();
    assert_eq!(store.value("root").unwrap(), None, "{engine}");
    store.exchange("root", None, Some(b"again")).unwrap();
    assert_eq!(open().value("root").unwrap().as_deref(), Some(&b"again"[..]), "{engine}");
}

fn keys_are_apart_and_found_by_their_beginning(engine: &str, open: &Opens<'_>) {
    let store = open();
    for key in ["ledger/a", "ledger/b/c", "ledger", "ledge", "root"] {
        store.exchange(key, None, Some(key.as_bytes())).unwrap();
    }
    let found: Vec<String> = store.values("ledger/").unwrap().into_keys().collect();
    assert_eq!(found, ["ledger/a", "ledger/b/c"], "{engine}");
    assert_eq!(store.values("").unwrap().len(), 5, "{engine}");
    assert_eq!(store.values("ledger/a").unwrap()["ledger/a"], b"ledger/a", "{engine}");
}

/// One step of a writer.
#[derive(Debug, Clone)]
enum Step {
    Put(Vec<u8>),
    Remove(u8),
    Exchange(u8, Option<u8>),
    OpenAgain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(0..12u8, 1..4).prop_map(Step::Put),
        2 => (0..12u8).prop_map(Step::Remove),
        4 => ((0..3u8), prop::option::of(0..200u8)).prop_map(|(key, value)| Step::Exchange(key, value)),
        1 => Just(Step::OpenAgain),
    ]
}

/// Large enough that a journal of some of them becomes a run.
fn large(number: u8) -> Object {
    Object::new(vec![number; 120_000 + usize::from(number)])
}

fn it_holds_what_a_map_holds(engine: &str, open: &Opens<'_>, steps: &[Step]) {
    let mut store = open();
    let mut objects = BTreeSet::new();
    let mut values: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Put(numbers) => {
                let put: Vec<Object> = numbers.iter().copied().map(large).collect();
                store.put(&put).unwrap();
                objects.extend(put.iter().map(Object::id));
            }
            Step::Remove(number) => {
                store.remove(&[large(*number).id()]).unwrap();
                objects.remove(&large(*number).id());
            }
            Step::Exchange(key, value) => {
                let (key, new) = (format!("k{key}"), value.map(|value| vec![value]));
                store.exchange(&key, values.get(&key).map(Vec::as_slice), new.as_deref()).unwrap();
                match new {
                    Some(new) => drop(values.insert(key, new)),
                    None => drop(values.remove(&key)),
                }
            }
            Step::OpenAgain => {
                drop(store);
                store = open();
            }
        }
        assert_eq!(store.list().unwrap().into_iter().collect::<BTreeSet<_>>(), objects, "{engine}");
        assert_eq!(store.values("").unwrap(), values, "{engine}");
    }
    for number in 0..12 {
        let found = store.get(&large(number).id()).unwrap();
        let there = objects.contains(&large(number).id());
        assert!(!there || found.as_deref() == Some(large(number).bytes()), "{engine}");
    }
    store.check().unwrap();
}

#[test]
fn an_id_is_written_as_hex_and_read_again() {
    let id = ObjectId::of(b"abc");
    let text = serde_json::to_string(&id).unwrap();
    assert_eq!(text, "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"");
    assert_eq!(serde_json::from_str::<ObjectId>(&text).unwrap(), id);
    for wrong in [&text.replace('b', "g"), &text.replace("ad", ""), &text.replace("ad", "adad")] {
        assert!(serde_json::from_str::<ObjectId>(wrong).is_err(), "{wrong}");
    }
}
