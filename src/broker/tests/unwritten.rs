//! An audit that can't be written: nothing is revealed, and nothing is started.

use std::{
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
        testing::{Batch, MemoryStore, Store, StoreError},
    },
};

const POLICY: &str = "scope = \"dev\"\nsandbox.mode = \"off\"\n[[allow]]\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = [[\"true\", \"--check\", \"*\"]]\n";

/// What happens once, at the so-manieth look into the store.
type Trap = Arc<Mutex<Option<(usize, PathBuf, fn(&Path))>>>;

/// A store that something happens beside, while a call reads it.
struct Trapped(MemoryStore, Trap);

impl Store for Trapped {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut trap = self.1.lock();
        match trap.as_mut() {
            Some((0, audit, spring)) => {
                spring(audit);
                *trap = None;
            }
            Some((left, ..)) => *left -= 1,
            None => {}
        }
        self.0.get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.0.scan(prefix)
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.0.apply(batch)
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
                Engine::new(move |_| Ok(Box::new(Trapped(store.clone(), Arc::clone(&trap)))))
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
