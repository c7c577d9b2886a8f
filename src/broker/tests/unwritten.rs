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

/// What becomes of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    AsItIs,
    /// It is done, and whoever did it ends before it can say so.
    NotTheNext,
    No,
}

/// A store behind a daemon that is killed as it answers.
struct Unheard(MemoryStore, Arc<Mutex<Answers>>);

impl Unheard {
    fn hear<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        let broke_off =
            || StoreError::Io { what: "ask".to_owned(), source: std::io::ErrorKind::BrokenPipe.into() };
        if *self.1.lock() == Answers::No { Err(broke_off()) } else { done }
    }
}

impl Store for Unheard {
    fn value(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.hear(self.0.value(key))
    }

    fn get(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        self.hear(self.0.get(id))
    }

    fn put(&self, objects: &[Object]) -> Result<(), StoreError> {
        self.hear(self.0.put(objects))
    }

    fn values(&self, prefix: &str) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        self.hear(self.0.values(prefix))
    }

    fn exchange(&self, key: &str, expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<(), StoreError> {
        let done = self.0.exchange(key, expected, new);
        {
            let mut answers = self.1.lock();
            if *answers == Answers::NotTheNext {
                *answers = Answers::No;
            }
        }
        self.hear(done)
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        self.hear(self.0.list())
    }

    fn remove(&self, ids: &[ObjectId]) -> Result<(), StoreError> {
        self.hear(self.0.remove(ids))
    }

    fn check(&self) -> Result<(), StoreError> {
        self.hear(self.0.check())
    }
}

/// An error of the engine says nothing of whether a change was made: the vault is not damaged by a word too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_change_whose_answer_is_lost_is_found_made() {
    let (store, answers) = (MemoryStore::default(), Arc::new(Mutex::new(Answers::AsItIs)));
    let engine = {
        let answers = Arc::clone(&answers);
        Engine::new(move |_| Ok(Arc::new(Unheard(store.clone(), Arc::clone(&answers)))))
    };
    let bench = Bench::over(engine);
    bench.policy(POLICY);
    bench.secrets(&[("app/key", VALUE)]);
    let epoch = bench.open().vault.epoch();
    *answers.lock() = Answers::NotTheNext;
    let mut open = bench.open();
    let change =
        (crate::names::SecretName::parse("app/other").unwrap(), crate::value::SecretValue::new(VALUE.into()));
    open.vault.set_secrets(vec![(change.0, change.1, Default::default())], bench.now()).unwrap();
    open.record_gathered("set", "app/other".to_owned()).unwrap_err();
    drop(open);
    *answers.lock() = Answers::AsItIs;
    assert_eq!(bench.open().vault.epoch(), epoch + 1, "it was made, and is well");
    let credential = bench.of("ann", "dev", |_| ());
    bench.run(&credential, check()).await.unwrap();
    let log = fs::read_to_string(bench.broker.home().join("audit/log.jsonl")).unwrap();
    assert!(!log.contains("change_lost"), "{log}");
}

/// A process that was stopped for longer than its turn: what others changed meanwhile is not written over, nor announced.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_comes_back_behind_others_says_nothing() {
    let store = MemoryStore::default();
    let engine = {
        let store = store.clone();
        Engine::new(move |_| Ok(Arc::new(store.clone())))
    };
    let bench = Bench::over(engine);
    bench.policy(POLICY);
    let mut open = bench.open();
    let root = store.value("root").unwrap().unwrap();
    store.set("root", Some(b"what others have made of it"));
    let log = || fs::read_to_string(bench.broker.home().join("audit/log.jsonl")).unwrap();
    let before = log();
    open.vault
        .set_secrets(
            vec![(
                crate::names::SecretName::parse("app/key").unwrap(),
                crate::value::SecretValue::new(VALUE.into()),
                Default::default(),
            )],
            bench.now(),
        )
        .unwrap();
    assert_eq!(open.record_gathered("set", "app/key".to_owned()).unwrap_err().code, Code::Busy);
    assert_eq!(log(), before);
    drop(open);
    store.set("root", Some(&root));
    drop(bench.open());
}

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
        self.look();
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
