//! Segments: closed, chained, archived, left where they can't be synced.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use super::*;
use crate::audit::archive;

/// A log whose segments are of about ten events.
fn small(dir: &Path) -> AuditLog {
    AuditLog { segment_bytes: 2_500, ..open(dir, None).unwrap() }
}

fn filled_with(dir: &Path, events: usize) -> AuditLog {
    let log = small(dir);
    for n in 0..events {
        log.record(note(&format!("n{n}")), None).unwrap();
    }
    log
}

fn actions(dir: &Path, last: Option<usize>) -> Vec<String> {
    let filter = Filter { last, kind: Some("admin".into()), ..Filter::default() };
    let found = shown(dir, None, &filter);
    let action = |found: &Found| match found {
        Found::Event(event) => event["action"].as_str().unwrap().to_owned(),
        Found::Damage { damaged } => panic!("{damaged}"),
    };
    found.iter().map(action).collect()
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".jsonl"))
        .collect();
    names.sort();
    names
}

#[test]
fn full_segments_are_closed_and_the_chain_goes_through() {
    let dir = tempfile::tempdir().unwrap();
    let log = filled_with(dir.path(), 60);
    let intent = log.record_intent(allowed("a/b"), RunId::random(), facts(), Some(change(4))).unwrap();
    let files = files(dir.path());
    assert!(
        files.len() > 4 && files[0] == "log.000001.jsonl" && files.contains(&"log.jsonl".into()),
        "{files:?}"
    );
    let report = verify(dir.path(), &keys(), Some(log.head())).unwrap();
    assert!(report.damage.is_empty(), "{report:?}");
    assert_eq!(report.segments, files.len() as u64);
    assert_eq!(report.checkpoints, report.segments - 1, "each closed one ends by a signature");
    let all: Vec<String> = (0..60).map(|n| format!("n{n}")).collect();
    assert_eq!(actions(dir.path(), None), all);
    assert_eq!(actions(dir.path(), Some(30)), all[30..]);
    for _ in 0..20 {
        log.record(note("more"), None).unwrap();
    }
    log.record_outcome(intent, ended()).unwrap();
    let first = log.last_change().unwrap();
    assert_eq!(first.map(|last| last.change), Some(change(4)));
    fs::remove_file(dir.path().join("head.json")).unwrap();
    assert_eq!(open(dir.path(), None).unwrap().last_change().unwrap(), first, "the segment carries it");
    assert_eq!(open(dir.path(), None).unwrap().head(), log.head());
}

#[test]
fn every_change_of_any_segment_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let head = filled_with(dir.path(), 40).head();
    let all = files(dir.path());
    for name in &all {
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        let mut spoiled = vec![None];
        for at in [0, whole.len() / 3, whole.len() - 2] {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            spoiled.push(Some(bad));
            spoiled.push(Some(whole[..at].to_vec()));
        }
        for bad in spoiled {
            match &bad {
                Some(bad) => fs::write(&path, bad).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let what = format!("{name}: {:?}", bad.map(|bad| bad.len()));
            assert!(!damage(dir.path(), Some(head)).is_empty(), "{what}");
            let found = shown(dir.path(), Some(head), &Filter::default());
            assert!(found.iter().any(|found| matches!(found, Found::Damage { .. })), "{what}");
            fs::write(&path, &whole).unwrap();
        }
    }
    assert!(damage(dir.path(), Some(head)).is_empty());
    let (one, two) = (dir.path().join(&all[0]), dir.path().join(&all[1]));
    let (first, second) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
    fs::write(&one, second).unwrap();
    fs::write(&two, first).unwrap();
    assert!(!damage(dir.path(), Some(head)).is_empty(), "two exchanged");
}

#[test]
fn wherever_a_crash_stops_the_change_of_segments_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let log = filled_with(dir.path(), 11);
    while files(dir.path()).len() < 2 {
        log.record(note("more"), None).unwrap();
    }
    // As it was when the file had its number, and the next one was not there yet.
    let before = fs::read(dir.path().join("head.json")).unwrap();
    fs::remove_file(dir.path().join("log.jsonl")).unwrap();
    let head = head_of_first(dir.path());
    for with_head in [false, true] {
        fs::remove_file(dir.path().join("log.jsonl")).ok();
        if with_head {
            fs::write(dir.path().join("head.json"), &before).unwrap();
            assert!(open(dir.path(), None).is_err(), "a head that is ahead of the files");
        }
        fs::remove_file(dir.path().join("head.json")).ok();
        let log = open(dir.path(), Some(head)).unwrap();
        assert_eq!(log.head(), head);
        log.record(note("after"), None).unwrap();
        assert!(damage(dir.path(), Some(log.head())).is_empty());
    }
}

fn head_of_first(dir: &Path) -> Head {
    let first = fs::read(dir.join("log.000001.jsonl")).unwrap();
    let last = first.split(|b| *b == b'\n').rev().nth(1).unwrap();
    let body = crate::audit::event::read(&keys(), last).unwrap();
    Head { seq: body.seq, hash: crate::audit::event::hash(last) }
}

#[test]
fn archived_segments_are_named_and_missing_ones_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let to = tempfile::tempdir().unwrap();
    let target = to.path().join("audit");
    let log = filled_with(dir.path(), 40);
    let closed: Vec<(String, Vec<u8>)> = files(dir.path())
        .into_iter()
        .filter(|name| name != "log.jsonl")
        .map(|name| (name.clone(), fs::read(dir.path().join(name)).unwrap()))
        .collect();
    let moved = archive(&log, &target).unwrap();
    assert_eq!(moved.len(), closed.len());
    for (name, bytes) in &closed {
        assert_eq!(&fs::read(target.join(name)).unwrap(), bytes, "{name}");
    }
    assert_eq!(files(dir.path()), ["log.jsonl"]);
    let report = verify(dir.path(), &keys(), Some(log.head())).unwrap();
    assert!(report.damage.is_empty(), "{report:?}");
    assert_eq!(report.archived.len(), closed.len());
    assert!(report.archived[0].contains("log.000001.jsonl: events 1 to "), "{report:?}");
    assert!(!actions(dir.path(), None).is_empty());
    // Another process that knew an archived segment goes on.
    for n in 0..30 {
        log.record(note(&format!("later{n}")), None).unwrap();
    }
    assert!(damage(dir.path(), Some(log.head())).is_empty());
    // And once more: one event says of all that they are gone.
    log.close_segment_now().unwrap();
    archive(&log, &target).unwrap();
    assert!(damage(dir.path(), Some(log.head())).is_empty());
    assert_eq!(actions(dir.path(), None), Vec::<String>::new());
    for _ in 0..30 {
        log.record(note("last"), None).unwrap();
    }
    let lost = files(dir.path()).remove(0);
    fs::remove_file(dir.path().join(&lost)).unwrap();
    let said = damage(dir.path(), Some(log.head())).join("\n");
    assert!(said.contains(&format!("{lost} is missing, and was not archived")), "{said}");
}

#[test]
fn an_archive_that_has_another_file_of_that_name_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let to = tempfile::tempdir().unwrap();
    let log = filled_with(dir.path(), 20);
    fs::write(to.path().join("log.000001.jsonl"), "of another vault").unwrap();
    assert!(archive(&log, to.path()).is_err());
    assert!(files(dir.path()).contains(&"log.000001.jsonl".into()));
    assert_eq!(fs::read(to.path().join("log.000001.jsonl")).unwrap(), b"of another vault");
    fs::remove_file(to.path().join("log.000001.jsonl")).unwrap();
    // Broken off behind the copy: the next try goes on.
    fs::copy(dir.path().join("log.000001.jsonl"), to.path().join("log.000001.jsonl")).unwrap();
    archive(&log, to.path()).unwrap();
    assert!(damage(dir.path(), Some(log.head())).is_empty());
}

static FAILS: AtomicBool = AtomicBool::new(false);

fn sync_that_may_fail(file: &fs::File) -> io::Result<()> {
    if FAILS.load(Ordering::SeqCst) { Err(io::Error::from_raw_os_error(5)) } else { file.sync_data() }
}

#[test]
fn a_file_whose_sync_failed_gets_no_more_events() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog { sync: sync_that_may_fail, ..open(dir.path(), None).unwrap() };
    log.record(note("acknowledged"), None).unwrap();
    let inode = fs::metadata(dir.path().join("log.jsonl")).unwrap().ino();
    FAILS.store(true, Ordering::SeqCst);
    assert!(matches!(log.record(note("lost"), None), Err(AuditError::Io { .. })));
    assert!(matches!(log.record(note("lost too"), None), Err(AuditError::Io { .. })), "nor the next file");
    FAILS.store(false, Ordering::SeqCst);
    let other = open(dir.path(), None).unwrap();
    other.record(note("after"), None).unwrap();
    log.record(note("and on"), None).unwrap();
    assert_eq!(actions(dir.path(), None), ["acknowledged", "after", "and on"]);
    assert_eq!(fs::metadata(dir.path().join("log.000001.jsonl")).unwrap().ino(), inode);
    assert_ne!(fs::metadata(dir.path().join("log.jsonl")).unwrap().ino(), inode);
    assert!(damage(dir.path(), Some(log.head())).is_empty());
    assert!(!dir.path().join("unsynced").exists());
}

#[test]
fn interrupted_runs_are_known_without_reading_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = filled_with(dir.path(), 30);
    let by = |by: &str| IntentFacts { by: Some(by.into()), ..facts() };
    let alive = log.record_intent(allowed("a/b"), RunId::random(), by("1@1"), None).unwrap();
    let dead = log.record_intent(allowed("a/b"), RunId::random(), by("2@2"), None).unwrap();
    let dead = dead.run_id().to_string();
    for _ in 0..30 {
        log.record(note("between"), None).unwrap();
    }
    // What is before the last segment is not looked at.
    fs::write(dir.path().join("log.000001.jsonl"), "not read\n").unwrap();
    let again = open(dir.path(), None).unwrap();
    assert_eq!(again.report_interrupted(|by| by == "2@2").unwrap(), 1);
    assert_eq!(again.report_interrupted(|by| by == "2@2").unwrap(), 0);
    let outcome = Filter { last: Some(1), kind: Some("outcome".into()), ..Filter::default() };
    let Found::Event(event) = shown(dir.path(), None, &outcome).remove(0) else { panic!("damage") };
    assert_eq!(
        (event["run"].as_str(), event["outcome"].as_str()),
        (Some(dead.as_str()), Some("interrupted"))
    );
    again.record_outcome(alive, ended()).unwrap();
}

#[test]
fn more_open_runs_than_are_carried_are_found_by_a_walk() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), None).unwrap();
    let mut intents = Vec::new();
    for n in 0..300 {
        let facts = IntentFacts { by: Some(format!("{n}@1")), ..facts() };
        intents.push(log.record_intent(allowed("a/b"), RunId::random(), facts, None).unwrap());
    }
    let size = fs::metadata(dir.path().join("head.json")).unwrap().len();
    assert!(size < 64 * 1024, "{size}");
    log.record_outcome(intents.pop().unwrap(), ended()).unwrap();
    assert_eq!(open(dir.path(), None).unwrap().report_interrupted(|_| true).unwrap(), 299);
    assert_eq!(open(dir.path(), None).unwrap().report_interrupted(|_| true).unwrap(), 0);
    assert!(verify(dir.path(), &keys(), None).unwrap().pending.is_empty());
}

static SYNCS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

fn sync_that_is_counted(file: &fs::File) -> io::Result<()> {
    SYNCS.fetch_add(1, Ordering::SeqCst);
    file.sync_data()
}

#[test]
fn what_is_remembered_of_the_log_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog { sync: sync_that_is_counted, ..open(dir.path(), None).unwrap() };
    let syncs = || SYNCS.swap(0, Ordering::SeqCst);
    log.record(note("a"), None).unwrap();
    assert_eq!((log.head_on_disk().unwrap().seq, syncs()), (1, 1), "it is there already");
    let intent = log.record_intent(allowed("a/b"), RunId::random(), facts(), None).unwrap();
    assert_eq!(syncs(), 1, "before anything is revealed");
    log.record_outcome(intent, ended()).unwrap();
    assert_eq!(syncs(), 0, "it may follow");
    assert_eq!((log.head_on_disk().unwrap().seq, syncs()), (3, 1), "once something is to remember it");
    assert_eq!((log.head_on_disk().unwrap().seq, syncs()), (3, 0));
    // Another process's lines: whether they are on the disk is not known here.
    let other = open(dir.path(), None).unwrap();
    let intent = other.record_intent(allowed("a/b"), RunId::random(), facts(), None).unwrap();
    other.record_outcome(intent, ended()).unwrap();
    let log = AuditLog { sync: sync_that_is_counted, ..open(dir.path(), None).unwrap() };
    assert_eq!((log.head_on_disk().unwrap().seq, syncs()), (5, 1));
}

#[test]
fn a_head_that_never_reached_the_disk_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), None).unwrap();
    (0..5).for_each(|n| log.record(note(&n.to_string()), None).unwrap());
    let (head, file) = (log.head(), dir.path().join("head.json"));
    let length = fs::metadata(&file).unwrap().len();
    for left in [Vec::new(), vec![0; usize::try_from(length).unwrap()]] {
        fs::write(&file, left).unwrap();
        assert_eq!(open(dir.path(), Some(head)).unwrap().head(), head);
    }
    fs::write(&file, "x").unwrap();
    assert!(open(dir.path(), Some(head)).is_err());
}

#[test]
fn a_head_that_is_cut_off_while_it_is_written_leaves_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let (log, file) = (open(dir.path(), None).unwrap(), dir.path().join("head.json"));
    let said =
        || super::super::head::LogPosition::read(dir.path(), &keys()).map(|place| place.unwrap().head.seq);
    log.record(note("1"), None).unwrap();
    log.record(note("2"), None).unwrap();
    for seq in 3..40 {
        let before = fs::read(&file).unwrap();
        let intent = log.record_intent(allowed("a/b"), RunId::random(), facts(), None).unwrap();
        let after = fs::read(&file).unwrap();
        log.record_outcome(intent, ended()).unwrap();
        let seq = seq * 2 - 3;
        assert_eq!(said().unwrap(), seq);
        let at = before.iter().zip(&after).position(|(a, b)| a != b).unwrap();
        for cut in [1, 50, 100, 400] {
            let mut torn = before.clone();
            torn[at..at + cut].copy_from_slice(&after[at..at + cut]);
            fs::write(&file, &torn).unwrap();
            assert!([seq, seq - 1, seq - 2].contains(&said().unwrap()), "cut at {cut}");
            assert_eq!(open(dir.path(), Some(log.head())).unwrap().head(), log.head());
        }
        fs::write(&file, &after).unwrap();
    }
    // Both slots changed by somebody: that is none of a kill's.
    let spoiled = fs::read_to_string(&file).unwrap().replace("\"offset\":", "\"offsET\":");
    fs::write(&file, spoiled).unwrap();
    assert!(said().is_err());
}
