//! What is said of a log before there is a key, and of its times.

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::audit::{
    event::{self, Body, Event},
    said_last_change,
    segments::CURRENT,
};

fn changed(epoch: u64) -> Option<Change> {
    Some(Change { epoch, root: [3; 32] })
}

#[test]
fn the_last_change_is_found_behind_a_closed_segment() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(said_last_change(dir.path()), None);
    let log = AuditLog { segment_bytes: 1, ..open(dir.path(), None).unwrap() };
    log.record(note("set"), changed(7)).unwrap();
    let said = || said_last_change(dir.path()).unwrap();
    assert!(said().starts_with("set a/b, 2") && said().ends_with("Z, change 7"), "{}", said());
    // The segment that is written to has its first event and no change, or is empty, or is not there.
    log.record(note("unlock"), None).unwrap();
    assert!(dir.path().join("log.000001.jsonl").exists() && said().ends_with("change 7"));
    fs::write(dir.path().join(CURRENT), "").unwrap();
    assert!(said().ends_with("change 7"));
    fs::remove_file(dir.path().join(CURRENT)).unwrap();
    assert!(said().ends_with("change 7"));
    // Archived, it is known from what the next segment carries.
    let archived = tempfile::tempdir().unwrap();
    let log = AuditLog { segment_bytes: 1, ..open(archived.path(), None).unwrap() };
    log.record(note("set"), changed(6)).unwrap();
    log.record(note("unlock"), None).unwrap();
    fs::remove_file(archived.path().join("log.000001.jsonl")).unwrap();
    let text = said_last_change(archived.path()).unwrap();
    assert!(text.starts_with("before 2") && text.ends_with("Z, change 6"), "{text}");
    // The later one is taken, also behind much that announces nothing.
    let other = dir.path().join("log.000002.jsonl");
    let line = r#"{"event":"admin","action":"rm","target":"c/d","time":"2026-01-02T03:04:05Z","change":{"epoch":8}}"#;
    fs::write(&other, format!("{line}\n{}", "{\"event\":\"denied\"}\n".repeat(20_000))).unwrap();
    assert_eq!(said(), "rm c/d, 2026-01-02T03:04:05Z, change 8");
}

#[test]
fn what_a_foreign_log_says_is_bounded_and_passes_for_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let said = |event: serde_json::Value| {
        fs::write(dir.path().join(CURRENT), format!("not JSON\n{event}\n{{\"half\":")).unwrap();
        said_last_change(dir.path())
    };
    let long = "\u{202e}".repeat(5_000);
    let text = said(serde_json::json!({
        "action": "set\u{1b}[2J\nhome is fine", "target": long, "time": long, "change": {"epoch": 1},
    }));
    let text = text.unwrap();
    assert!(text.starts_with("\"set\\u{1b}[2J\\u{a}home is fine\" \"\\u{202e}"), "{text}");
    assert!(text.ends_with("\"…, an unknown time, change 1") && text.len() < 1_000, "{text}");
    assert!(!text.contains(['\u{1b}', '\n', '\u{202e}']), "{text}");
    let text =
        said(serde_json::json!({"action": "set", "target": "a/b, 2026, change 9", "change": {"epoch": 1}}));
    assert_eq!(text.unwrap(), "set \"a/b, 2026, change 9\", an unknown time, change 1");
    for epoch in [serde_json::json!(null), serde_json::json!(long), serde_json::json!(-1)] {
        assert_eq!(said(serde_json::json!({"action": "set", "change": {"epoch": epoch}})), None);
    }
}

/// Appends events whose times are so many seconds from now, by the log's own keys.
fn at_times(dir: &Path, log: &AuditLog, offsets: &[i64]) -> Head {
    let path = dir.join(CURRENT);
    let (mut bytes, mut head) = (fs::read(&path).unwrap(), log.head());
    for offset in offsets {
        let mut body = Body::after(head, Event::Note(note("set")), None);
        body.time = Timestamp::from_second(1_800_000_000 + offset).unwrap();
        let line = event::line(&keys(), &body);
        head = Head { seq: body.seq, hash: event::hash(&line) };
        bytes.extend([&line[..], b"\n"].concat());
    }
    fs::write(&path, bytes).unwrap();
    fs::remove_file(dir.join("head.json")).unwrap();
    head
}

#[test]
fn times_that_run_backwards_are_named_and_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), None).unwrap();
    log.record(note("set"), None).unwrap();
    assert!(verify(dir.path(), &keys(), None).unwrap().warnings.is_empty());
    let step = Duration::from_secs(1 << 30).as_secs().cast_signed();
    let head = at_times(dir.path(), &log, &[step, step + 1, step - 3_600, step - 3_599, step + 2, step + 2]);
    let report = verify(dir.path(), &keys(), Some(head)).unwrap();
    assert!(report.damage.is_empty(), "{report:?}");
    assert_eq!(report.warnings.len(), 1, "{report:?}");
    let said = &report.warnings[0];
    assert!(
        said.starts_with("line 4: the time of event 4 (20")
            && said.contains("is 3601 s before that of event 3")
    );
}

#[test]
fn many_steps_back_are_summed_up() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), None).unwrap();
    log.record(note("set"), None).unwrap();
    let falling: Vec<i64> = (0..100).map(|n| (1 << 30) - n).collect();
    at_times(dir.path(), &log, &falling);
    let report = verify(dir.path(), &keys(), None).unwrap();
    assert!(report.damage.is_empty(), "{report:?}");
    assert_eq!(report.warnings.len(), 21);
    assert_eq!(report.warnings[20], "79 more events have a time before that of the event before them");
}
