//! An audit that can't be written: nothing is revealed, and nothing is started.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{
    Bench,
    admission::{VALUE, check},
};
use crate::{
    broker::refusal::Code,
    vault::{
        Engine,
        testing::{MemoryStore, Object, ObjectId, Store, StoreError},
    },
};

const POLICY: &str = "scope = \"dev\"\nsandbox.mode = \"off\"\n[[allow]]\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = [[\"true\", \"--check\", \"*\"]]\n";

/// What happens once, at the so-manieth look into the store.
type Trap = Arc<Mutex<Option<(usize, PathBuf, fn(&Path))>>>;

/// A store that something happens beside, while a call reads it.
struct Trapped(MemoryStore, Trap);

impl Store for Trapped {
    fn value(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.look();
        self.0.value(key)
    }

    fn get(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        self.look();
        self.0.get(id)
    }

    fn put(&self, objects: &[Object]) -> Result<(), StoreError> {
        self.0.put(objects)
    }

    fn values(&self, prefix: &str) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        self.0.values(prefix)
    }

    fn exchange(&self, key: &str, expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<(), StoreError> {
        self.0.exchange(key, expected, new)
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        self.0.list()
    }

    fn remove(&self, ids: &[ObjectId]) -> Result<(), StoreError> {
        self.0.remove(ids)
    }

    fn check(&self) -> Result<(), StoreError> {
        self.0.check()
    }
}

impl Trapped {
    fn look(&self) {
        let mut trap = self.1.lock();
        match trap.as_mut() {
            Some((0, audit, spring)) => {
                spring(audit);
                *trap = None;
            }
            Some((left, ..)) => *left -= 1,
            None => {}
        }
    }
}

fn in_the_way(path: &Path) {
    let _ = fs::remove_file(path);
    fs::create_dir(path).unwrap();
}

/// A row is what happens to the audit, before a call or while it is decided.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_revealed_that_can_not_be_put_on_record() {
    let rows: [(&str, fn(&Path)); 4] = [
        ("no line can be appended", |audit| in_the_way(&audit.join("log.jsonl"))),
        ("its head can't be read", |audit| in_the_way(&audit.join("head.json"))),
        ("it can't be locked", |audit| in_the_way(&audit.join("lock"))),
        ("it was cut", |audit| fs::write(audit.join("log.jsonl"), "").unwrap()),
    ];
    for (what, happens) in rows {
        // Before the audit is opened, which is at the first look; and from then on.
        for look in [0, 1, 2, 3] {
            let (store, trap) = (MemoryStore::default(), Trap::default());
            let engine = {
                let trap = Arc::clone(&trap);
                Engine::new(move |_| Ok(Arc::new(Trapped(store.clone(), Arc::clone(&trap)))))
            };
            let bench = Bench::over(engine);
            bench.policy(POLICY);
            bench.secrets(&[("app/key", VALUE)]);
            let credential = bench.of("ann", "dev", |_| ());
            *trap.lock() = Some((look, bench.broker.home().join("audit"), happens));
            let done = bench.run(&credential, check()).await;
            assert_eq!(done.err(), Some(Code::AuditUnavailable), "{what}, at look {look}");
            assert!(trap.lock().is_none(), "{what}, at look {look}: the call never came so far");
            assert_eq!(bench.runner.started(), [], "{what}, at look {look}");
            // What a broker has revealed it looks for everywhere.
            let known = bench.broker.needles.everything();
            assert!(known.text(VALUE).get().contains(VALUE), "{what}, at look {look}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_audit_that_is_put_back_is_noticed_before_anything_outside_remembers_it() {
    let bench = Bench::new(&[POLICY]);
    bench.secrets(&[("app/key", VALUE)]);
    let credential = bench.of("ann", "dev", |_| ());
    let audit = bench.broker.home().join("audit");
    let files = ["log.jsonl", "head.json"].map(|name| audit.join(name));
    bench.run(&credential, check()).await.unwrap();
    let before = files.clone().map(|file| fs::read(file).unwrap());
    bench.run(&credential, check()).await.unwrap();
    for (file, bytes) in files.iter().zip(before) {
        fs::write(file, bytes).unwrap();
    }
    let done = bench.run(&credential, check()).await;
    assert_eq!(done.err(), Some(Code::AuditUnavailable));
    assert_eq!(bench.runner.started().len(), 2);
}
