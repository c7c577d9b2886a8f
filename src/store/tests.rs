//! What every engine holds to, and an engine that is one file and one row here: a directory with a file a record.
//!
//! A new engine is a row of [`every_engine`]; the engines that are used are asked for more elsewhere (kills, cuts and
//! flipped bits in `tests/it/durability.rs` and `damage.rs`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Batch, MemoryStore, Store, StoreError, sled_store::SledStore};
use crate::files;

/// A file a record, named by its key in hex. Each batch makes a new directory, and one small file says which is the
/// present one: replaced whole or not at all, it makes the batch so.
struct FolderStore(PathBuf);

const PRESENT: &str = "present";

impl FolderStore {
    fn open(dir: &Path) -> Result<Self, StoreError> {
        if !dir.join(PRESENT).exists() {
            files::create_private_dir(&dir.join("0")).map_err(failed("make its directory"))?;
            files::write_private(&dir.join(PRESENT), b"0").map_err(failed("say what is present"))?;
        }
        Ok(Self(dir.to_owned()))
    }

    fn present(&self) -> Result<u64, StoreError> {
        let text = fs::read_to_string(self.0.join(PRESENT)).map_err(failed("read what is present"))?;
        text.parse().map_err(|_| StoreError::Damaged { what: format!("{PRESENT} says {text:?}") })
    }
}

fn failed(what: &str) -> impl Fn(std::io::Error) -> StoreError {
    move |source| StoreError::Io { what: what.to_owned(), source }
}

impl Store for FolderStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.scan(key)?.into_iter().find(|(found, _)| found == key).map(|(_, value)| value))
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let mut pairs = Vec::new();
        for entry in fs::read_dir(self.0.join(self.present()?.to_string())).map_err(failed("list"))? {
            let entry = entry.map_err(failed("list"))?;
            let name = entry.file_name();
            let key = hex::decode(name.as_encoded_bytes())
                .map_err(|_| StoreError::Damaged { what: format!("{name:?} is no key") })?;
            if key.starts_with(prefix) {
                pairs.push((key, fs::read(entry.path()).map_err(failed("read a record"))?));
            }
        }
        pairs.sort();
        Ok(pairs)
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let present = self.present()?;
        let [from, to] = [present, present + 1].map(|number| self.0.join(number.to_string()));
        // What a batch that was cut short left is no part of anything.
        fs::remove_dir_all(&to).or_else(unless_missing).map_err(failed("clear away"))?;
        files::copy_dir(&from, &to).map_err(failed("copy"))?;
        for (key, value) in batch.0 {
            let file = to.join(hex::encode(key));
            match value {
                Some(value) => files::write_private(&file, &value).map_err(failed("write a record"))?,
                None => fs::remove_file(file).or_else(unless_missing).map_err(failed("remove a record"))?,
            }
        }
        let said = (present + 1).to_string();
        files::write_private(&self.0.join(PRESENT), said.as_bytes())
            .map_err(failed("say what is present"))?;
        fs::remove_dir_all(from).map_err(failed("clear away"))
    }
}

fn unless_missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Whether what an engine was given is there when it is opened again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Everything,
    Nothing,
}

type Open = fn(&Path) -> Box<dyn Store>;

/// Every engine: what it keeps, and how it is opened.
fn every_engine() -> [(&'static str, Keeps, Open); 3] {
    [
        ("sled", Keeps::Everything, |dir| Box::new(SledStore::open(dir).unwrap())),
        ("folder", Keeps::Everything, |dir| Box::new(FolderStore::open(dir).unwrap())),
        ("memory", Keeps::Nothing, |_| Box::new(MemoryStore::default())),
    ]
}

fn batch(changes: &[(&[u8], Option<&[u8]>)]) -> Batch {
    Batch(changes.iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect())
}

fn pairs(of: &[(&[u8], &[u8])]) -> Vec<(Vec<u8>, Vec<u8>)> {
    of.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

#[test]
fn every_engine_gives_what_it_was_given() {
    for (engine, keeps, open) in every_engine() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        assert_eq!(store.get(b"a").unwrap(), None, "{engine}: it begins empty");
        store.apply(batch(&[(b"b", Some(b"2")), (b"a\0\xff", Some(b"")), (b"a", Some(b"1"))])).unwrap();
        // One batch, in its order: what is set and removed in it is gone, what is removed and set is there.
        store
            .apply(batch(&[
                (b"c", Some(b"3")),
                (b"c", None),
                (b"b", None),
                (b"b", Some(b"4")),
                (b"none", None),
            ]))
            .unwrap();
        let all = pairs(&[(b"a", b"1"), (b"a\0\xff", b""), (b"b", b"4")]);
        assert_eq!(store.scan(b"").unwrap(), all, "{engine}: in the order of keys");
        assert_eq!(store.scan(b"a").unwrap(), all[..2], "{engine}: by the beginning of a key");
        assert_eq!(
            store.get(b"a\0\xff").unwrap().as_deref(),
            Some(b"".as_slice()),
            "{engine}: nothing is a value"
        );
        assert_eq!(store.get(b"c").unwrap(), None, "{engine}: what a batch took back");
        store.check().unwrap();
        drop(store);
        let again = if keeps == Keeps::Everything { all } else { Vec::new() };
        assert_eq!(open(dir.path()).scan(b"").unwrap(), again, "{engine}: opened again");
    }
}

#[test]
fn a_batch_that_was_cut_short_is_no_part_of_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let store = FolderStore::open(dir.path()).unwrap();
    store.apply(batch(&[(b"a", Some(b"1"))])).unwrap();
    fs::create_dir(dir.path().join("2")).unwrap();
    fs::write(dir.path().join("2").join(hex::encode(b"a")), b"half of a batch").unwrap();
    assert_eq!(FolderStore::open(dir.path()).unwrap().scan(b"").unwrap(), pairs(&[(b"a", b"1")]));
    store.apply(batch(&[(b"b", Some(b"2"))])).unwrap();
    assert_eq!(store.scan(b"").unwrap(), pairs(&[(b"a", b"1"), (b"b", b"2")]));
    fs::write(dir.path().join(PRESENT), "seven").unwrap();
    assert!(matches!(store.get(b"a"), Err(StoreError::Damaged { .. })));
}
