//! What is done to a log, and what is said of it.

mod denials;
mod group;
mod reading;
mod said;
mod segments;

use std::{fs, path::Path, sync::Arc, thread};

use zeroize::Zeroizing;

use super::{
    Announced, AuditError, AuditKeys, AuditLog, Change, Filter, Found, Head, IntentFacts, Note, OutcomeFacts,
    last_denial, restart, verify,
};
use crate::{names::RunId, policy::testing::allowed};

fn keys() -> AuditKeys {
    AuditKeys { mac: Zeroizing::new([1; 32]), sign: Zeroizing::new([2; 32]) }
}

fn open(dir: &Path, anchor: Option<Head>) -> Result<AuditLog, AuditError> {
    AuditLog::open(dir, keys(), anchor)
}

fn note(action: &str) -> Note {
    Note::Admin { principal: "operator:1".into(), action: action.into(), target: "a/b".into(), detail: None }
}

fn facts() -> IntentFacts {
    IntentFacts {
        by: None,
        principal: "operator:1".into(),
        token: None,
        program_sha256: None,
        argv_sha256: None,
        cwd: None,
        sandbox: vec![],
        interpreters: vec![],
    }
}

fn ended() -> OutcomeFacts {
    OutcomeFacts {
        outcome: "revealed".into(),
        exit_code: None,
        limit: None,
        duration_ms: 1,
        file_hits: Vec::new(),
        written: [("program".to_owned(), 1)].into(),
        redactions: [("raw".to_owned(), 2)].into(),
    }
}

/// A log with one of each, and its head.
fn filled(dir: &Path) -> Head {
    let log = open(dir, None).unwrap();
    log.record(note("set"), None).unwrap();
    let intent = log.record_intent(allowed("a/b"), RunId::random(), facts(), None).unwrap();
    assert!(intent.covers(&crate::names::SecretName::parse("a/b").unwrap()));
    assert!(!intent.covers(&crate::names::SecretName::parse("a/c").unwrap()));
    log.record_outcome(intent, ended()).unwrap();
    log.record(
        Note::Denied {
            principal: "token:x".into(),
            scope: Some("deploy".into()),
            code: "command_not_allowed".into(),
            rule: None,
            argv: vec!["env".into()],
            secrets: vec!["a/b".into()],
            cut: false,
        },
        None,
    )
    .unwrap();
    log.checkpoint().unwrap();
    log.checkpoint().unwrap();
    log.record(note("rm"), None).unwrap();
    log.head()
}

/// What a reader is shown.
fn shown(dir: &Path, anchor: Option<Head>, filter: &Filter) -> Vec<Found> {
    let mut found = Vec::new();
    super::events(dir, &keys(), anchor, filter, &mut |next| found.push(next)).unwrap();
    found
}

/// Events of a kind, all of which must hold.
fn events(dir: &Path, kind: &str) -> Vec<serde_json::Value> {
    let filter = Filter { kind: Some(kind.into()), ..Filter::default() };
    let event = |found| match found {
        Found::Event(event) => event,
        Found::Damage { damaged } => panic!("{damaged}"),
    };
    shown(dir, None, &filter).into_iter().map(event).collect()
}

fn damage(dir: &Path, anchor: Option<Head>) -> Vec<String> {
    verify(dir, &keys(), anchor).unwrap().damage
}

#[test]
fn a_log_that_nobody_touched_holds() {
    let dir = tempfile::tempdir().unwrap();
    let head = filled(dir.path());
    let report = verify(dir.path(), &keys(), Some(head)).unwrap();
    assert_eq!(
        (report.events, report.checkpoints, report.pending.len(), report.damage.len()),
        (6, 1, 0, 0),
        "{report:?}"
    );
    assert_eq!(open(dir.path(), Some(head)).unwrap().head(), head);
    assert_eq!(last_denial(dir.path(), &keys(), Some(head)).unwrap().unwrap().argv, ["env"]);
    let found = events(dir.path(), "intent");
    assert_eq!((found.len(), &found[0]["secrets"]), (1, &serde_json::json!(["a/b"])));
}

#[test]
fn any_change_of_the_log_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let head = filled(dir.path());
    let path = dir.path().join("log.jsonl");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        assert!(!damage(dir.path(), Some(head)).is_empty(), "byte {at}");
    }
    let lines: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
    let mut others: Vec<(String, Vec<u8>)> = Vec::new();
    for n in 0..lines.len() {
        let mut less = lines.clone();
        less.remove(n);
        others.push((format!("without line {n}"), less.concat()));
        let mut more = lines.clone();
        more.insert(n, lines[n]);
        others.push((format!("line {n} twice"), more.concat()));
        if n > 0 {
            let mut swapped = lines.clone();
            swapped.swap(n, n - 1);
            others.push((format!("lines {n} and {} swapped", n - 1), swapped.concat()));
        }
    }
    for cut in 0..whole.len() {
        others.push((format!("cut at {cut}"), whole[..cut].to_vec()));
    }
    for (what, bytes) in others {
        fs::write(&path, bytes).unwrap();
        assert!(!damage(dir.path(), Some(head)).is_empty(), "{what}");
    }
    fs::write(&path, &whole).unwrap();
    assert!(damage(dir.path(), Some(head)).is_empty());
}

#[test]
fn a_cut_log_takes_no_more_events() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let path = dir.path().join("log.jsonl");
    let whole = fs::read(&path).unwrap();
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(matches!(open(dir.path(), None), Err(AuditError::Damaged { .. })), "cut at {cut}");
    }
}

#[test]
fn an_older_log_with_its_older_head_is_noticed_by_the_anchor() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let kept = ["log.jsonl", "head.json"].map(|name| (name, fs::read(dir.path().join(name)).unwrap()));
    let log = open(dir.path(), None).unwrap();
    log.record(note("later"), None).unwrap();
    let anchor = log.head();
    for (name, bytes) in kept {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    assert!(matches!(open(dir.path(), Some(anchor)), Err(AuditError::Damaged { .. })));
    let forked = open(dir.path(), None).unwrap();
    forked.record(note("another history"), None).unwrap();
    assert!(
        matches!(open(dir.path(), Some(anchor)), Err(AuditError::Damaged { .. })),
        "another event of that number"
    );
    assert!(!damage(dir.path(), Some(anchor)).is_empty());
}

#[test]
fn a_line_that_was_never_finished_is_dropped_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let head = filled(dir.path());
    let path = dir.path().join("log.jsonl");
    let mut torn = fs::read(&path).unwrap();
    torn.extend_from_slice(b"{\"seq\":7,\"ti");
    fs::write(&path, torn).unwrap();
    let log = open(dir.path(), Some(head)).unwrap();
    log.record(note("after"), None).unwrap();
    assert!(damage(dir.path(), Some(log.head())).is_empty());
    let dropped = events(dir.path(), "recovered");
    assert_eq!(dropped[0]["dropped_bytes"], 12);
}

#[test]
fn a_line_beyond_the_head_is_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let head = fs::read(dir.path().join("head.json")).unwrap();
    open(dir.path(), None).unwrap().record(note("written, and then the power failed"), None).unwrap();
    fs::write(dir.path().join("head.json"), head).unwrap();
    let log = open(dir.path(), None).unwrap();
    assert_eq!(log.head().seq, 7);
    log.record(note("after"), None).unwrap();
    assert!(damage(dir.path(), Some(log.head())).is_empty());
}

#[test]
fn many_writers_make_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = Arc::new(dir.path().to_owned());
    thread::scope(|scope| {
        for n in 0..4 {
            let path = Arc::clone(&path);
            scope.spawn(move || {
                let log = open(&path, None).unwrap();
                for m in 0..80 {
                    log.record(note(&format!("{n}-{m}")), None).unwrap();
                }
            });
        }
    });
    let report = verify(dir.path(), &keys(), None).unwrap();
    assert_eq!((report.events, report.checkpoints, report.damage.len()), (321, 1, 0), "{report:?}");
}

#[test]
fn where_it_cannot_be_written_nothing_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), None).unwrap();
    log.record(note("first"), None).unwrap();
    let path = dir.path().join("log.jsonl");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(log.record_intent(allowed("a/b"), RunId::random(), facts(), None).is_err());
}

#[test]
fn a_damaged_log_is_kept_and_a_new_one_begun() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let path = dir.path().join("log.jsonl");
    fs::write(&path, "nonsense\n").unwrap();
    let (kept, head) = restart(dir.path(), keys()).unwrap();
    assert_eq!(fs::read_to_string(kept).unwrap(), "nonsense\n");
    assert!(damage(dir.path(), Some(head)).is_empty());
    assert_eq!(events(dir.path(), "restarted")[0]["sha256"], hex::encode(super::event::hash(b"nonsense\n")));
}

#[test]
fn other_keys_open_nothing() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let other = AuditKeys { mac: Zeroizing::new([9; 32]), sign: Zeroizing::new([2; 32]) };
    assert!(matches!(AuditLog::open(dir.path(), other, None), Err(AuditError::Damaged { .. })));
}

fn change(epoch: u64) -> Change {
    Change { epoch, root: [u8::try_from(epoch).unwrap(); 32] }
}

#[test]
fn an_announced_change_is_known_from_the_end_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), None).unwrap();
    assert_eq!(log.last_change().unwrap(), None);
    log.record(note("set"), Some(change(1))).unwrap();
    let first = Announced { change: change(1), before: None, completed: false };
    assert_eq!(log.last_change().unwrap(), Some(first));
    log.record_changed(7).unwrap();
    assert_eq!(log.last_change().unwrap(), Some(first), "the completion of another");
    log.record_changed(1).unwrap();
    log.record(note("between"), None).unwrap();
    assert_eq!(log.last_change().unwrap(), Some(Announced { completed: true, ..first }));
    log.record(note("rm"), Some(change(2))).unwrap();
    log.record(note("rm_failed"), None).unwrap();
    let intent = log.record_intent(allowed("a/b"), RunId::random(), facts(), Some(change(3))).unwrap();
    log.record_outcome(intent, ended()).unwrap();
    let third = Announced { change: change(3), before: Some(change(1)), completed: false };
    assert_eq!(log.last_change().unwrap(), Some(third), "one that failed is none before");
    assert_eq!(open(dir.path(), None).unwrap().last_change().unwrap(), Some(third), "by another process");
    fs::remove_file(dir.path().join("head.json")).unwrap();
    assert_eq!(open(dir.path(), None).unwrap().last_change().unwrap(), Some(third), "without head.json");
    assert!(damage(dir.path(), Some(log.head())).is_empty());
    let intents = events(dir.path(), "intent");
    assert_eq!(intents[0]["change"], serde_json::json!({"epoch": 3, "root": "03".repeat(32)}));
}

#[test]
fn the_first_versions_log_and_head_go_on() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("log.jsonl", &include_bytes!("../../tests/corpora/audit/first/log.jsonl")[..]),
        ("head.json", &include_bytes!("../../tests/corpora/audit/first/head.json")[..]),
    ] {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let log = open(dir.path(), None).unwrap();
    assert_eq!(log.last_change().unwrap(), None);
    log.record(note("after"), Some(change(9))).unwrap();
    assert_eq!(log.last_change().unwrap().map(|last| last.change), Some(change(9)));
    assert!(damage(dir.path(), Some(log.head())).is_empty());
    let whole = fs::read(dir.path().join("log.jsonl")).unwrap();
    assert!(whole.starts_with(include_bytes!("../../tests/corpora/audit/first/log.jsonl")));
}
