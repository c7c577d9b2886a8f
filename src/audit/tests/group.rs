//! One sync for many, and one that fails for all of them.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use super::*;

fn facts() -> IntentFacts {
    IntentFacts { by: Some("1@1".into()), ..super::facts() }
}

static SYNCS: AtomicU32 = AtomicU32::new(0);

fn sync_that_takes_a_while(file: &fs::File) -> io::Result<()> {
    SYNCS.fetch_add(1, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(30));
    file.sync_data()
}

fn with_sync(dir: &Path, sync: fn(&fs::File) -> io::Result<()>) -> Arc<AuditLog> {
    Arc::new(AuditLog { sync, ..open(dir, None).unwrap() })
}

#[test]
fn those_who_come_during_a_sync_share_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let log = with_sync(dir.path(), sync_that_takes_a_while);
    let all: Vec<_> = (0..40)
        .map(|_| {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                let written = log.write_intent(allowed("a/b"), RunId::random(), facts()).unwrap();
                log.settle(written).unwrap()
            })
        })
        .collect();
    let intents: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
    let syncs = SYNCS.load(Ordering::SeqCst);
    assert!((1..40).contains(&syncs), "{syncs} syncs of 40 intents");
    assert_eq!(log.durable_head(), Some(log.head()));
    assert_eq!(log.head_on_disk().unwrap().seq, 40);
    assert_eq!(SYNCS.load(Ordering::SeqCst), syncs, "it is there already");
    // What goes on from there has no more to read than the head says.
    assert_eq!(open(dir.path(), Some(log.head())).unwrap().head(), log.head());
    for intent in intents {
        log.record_outcome(intent, ended()).unwrap();
    }
    let report = verify(dir.path(), &keys(), Some(log.head())).unwrap();
    assert!(report.damage.is_empty() && report.pending.is_empty(), "{report:?}");
}

static FAILS: AtomicBool = AtomicBool::new(false);
static TRIED: AtomicU32 = AtomicU32::new(0);

fn sync_that_may_fail(file: &fs::File) -> io::Result<()> {
    TRIED.fetch_add(1, Ordering::SeqCst);
    if FAILS.load(Ordering::SeqCst) { Err(io::Error::from_raw_os_error(5)) } else { file.sync_data() }
}

#[test]
fn a_sync_that_fails_is_none_for_all_who_wait_and_is_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = with_sync(dir.path(), sync_that_may_fail);
    let first = log.write_intent(allowed("a/b"), RunId::random(), facts()).unwrap();
    let first = log.settle(first).unwrap();
    let written: Vec<_> =
        (0..3).map(|_| log.write_intent(allowed("a/b"), RunId::random(), facts()).unwrap()).collect();
    FAILS.store(true, Ordering::SeqCst);
    let mut written = written.into_iter();
    assert!(matches!(log.settle(written.next().unwrap()), Err(AuditError::Io { .. })));
    FAILS.store(false, Ordering::SeqCst);
    let tried = TRIED.load(Ordering::SeqCst);
    for unsettled in written {
        assert!(
            matches!(log.settle(unsettled), Err(AuditError::Io { .. })),
            "the disk may say that all is well"
        );
    }
    assert_eq!(TRIED.load(Ordering::SeqCst), tried);
    assert!(dir.path().join("log.000001.jsonl").exists(), "its segment is left");
    let after = log.write_intent(allowed("a/b"), RunId::random(), facts()).unwrap();
    let after = log.settle(after).unwrap();
    for intent in [first, after] {
        log.record_outcome(intent, ended()).unwrap();
    }
    let report = verify(dir.path(), &keys(), Some(log.head())).unwrap();
    assert!(report.damage.is_empty() && report.pending.is_empty(), "{report:?}");
    assert_eq!(open(dir.path(), Some(log.head())).unwrap().head(), log.head());
}

/// As the disk is when it never took what stood in the cache.
fn sync_that_fails_and_loses(_: &fs::File) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(5))
}

#[test]
fn what_was_never_acknowledged_may_be_lost_and_nothing_else() {
    for keeps in [0, 1] {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), None).unwrap().record(note("acknowledged"), None).unwrap();
        let file = dir.path().join("log.jsonl");
        let acknowledged = fs::read(&file).unwrap();
        let log = with_sync(dir.path(), sync_that_fails_and_loses);
        let written: Vec<_> =
            (0..2).map(|_| log.write_intent(allowed("a/b"), RunId::random(), facts()).unwrap()).collect();
        let whole = fs::read(&file).unwrap();
        let (failures, head) = (log.group.failures(), log.head());
        assert!(log.synced(&fs::File::open(&file).unwrap(), failures).is_err());
        let cut = if keeps == 0 { acknowledged.len() / 2 } else { acknowledged.len() + 10 };
        fs::write(&file, &whole[..cut]).unwrap();
        let log = AuditLog { sync: fs::File::sync_data, ..Arc::into_inner(log).unwrap() };
        for unsettled in written {
            assert!(log.settle(unsettled).is_err());
        }
        let next = log.record(note("after"), None);
        if keeps == 0 {
            assert!(matches!(next, Err(AuditError::Damaged { .. })), "{next:?}");
            continue;
        }
        next.unwrap();
        assert!(log.head().seq < head.seq + 3);
        let report = verify(dir.path(), &keys(), Some(log.head())).unwrap();
        assert!(report.damage.is_empty() && report.pending.is_empty(), "{report:?}");
    }
}
