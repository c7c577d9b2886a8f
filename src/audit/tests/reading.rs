//! Nothing is shown, exported or made into a rule but what holds.

use super::*;

fn denied(argv: &[&str]) -> Note {
    Note::Denied {
        principal: "token:x".into(),
        scope: Some("deploy".into()),
        code: "command_not_allowed".into(),
        rule: None,
        argv: argv.iter().map(ToString::to_string).collect(),
        secrets: Vec::new(),
        cut: false,
    }
}

/// Ten events: refusals of commands 0 to 9.
fn ten(dir: &Path) -> (Vec<Vec<u8>>, Head) {
    let log = open(dir, None).unwrap();
    for n in 0..10 {
        log.record(denied(&["command", &n.to_string()]), None).unwrap();
    }
    let whole = fs::read(dir.join("log.jsonl")).unwrap();
    (whole.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect(), log.head())
}

fn numbers(found: &[Found]) -> (Vec<u64>, usize) {
    let events = found.iter().filter_map(|found| match found {
        Found::Event(event) => event["seq"].as_u64(),
        Found::Damage { .. } => None,
    });
    let events: Vec<u64> = events.collect();
    let damaged = found.len() - events.len();
    (events, damaged)
}

#[test]
fn a_whole_log_is_read_from_both_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (_, head) = ten(dir.path());
    for (last, expected) in [(None, 1..=10), (Some(3), 8..=10), (Some(10), 1..=10), (Some(99), 1..=10)] {
        let found = shown(dir.path(), Some(head), &Filter { last, ..Filter::default() });
        assert_eq!(numbers(&found), (expected.collect(), 0), "{last:?}");
    }
    let after = Filter { after: Some(7), ..Filter::default() };
    assert_eq!(numbers(&shown(dir.path(), None, &after)).0, [8, 9, 10]);
    let secret = Filter { secret: Some("a/b".into()), ..Filter::default() };
    assert!(shown(dir.path(), None, &secret).is_empty());
    let refused = Filter { denied: true, last: Some(1), ..Filter::default() };
    assert_eq!(numbers(&shown(dir.path(), None, &refused)).0, [10]);
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(60);
    assert!(shown(dir.path(), None, &Filter { since: Some(later), ..Filter::default() }).is_empty());
}

#[test]
fn no_line_that_was_edited_moved_added_or_removed_is_shown_or_made_a_rule() {
    let dir = tempfile::tempdir().unwrap();
    let (lines, head) = ten(dir.path());
    let path = dir.path().join("log.jsonl");
    let foreign = String::from_utf8(lines[9].clone()).unwrap().replace("\"9\"", "\"evil\"").into_bytes();
    let mut spoiled: Vec<(String, Vec<Vec<u8>>)> = vec![
        ("appended".into(), [lines.clone(), vec![foreign.clone()]].concat()),
        ("the last one again".into(), [lines.clone(), vec![lines[9].clone()]].concat()),
        ("an old one again".into(), [lines.clone(), vec![lines[2].clone()]].concat()),
    ];
    for n in 0..10 {
        let edited = String::from_utf8(lines[n].clone()).unwrap();
        let edited = edited.replace(&format!("\"{n}\""), "\"e\"").into_bytes();
        spoiled.push((format!("edited {n}"), [&lines[..n], &[edited], &lines[n + 1..]].concat()));
        spoiled.push((
            format!("replaced {n}"),
            [&lines[..n], std::slice::from_ref(&foreign), &lines[n + 1..]].concat(),
        ));
        spoiled.push((
            format!("inserted {n}"),
            [&lines[..n], std::slice::from_ref(&foreign), &lines[n..]].concat(),
        ));
        spoiled.push((format!("removed {n}"), [&lines[..n], &lines[n + 1..]].concat()));
        let mut swapped = lines.clone();
        swapped.swap(n, (n + 4) % 10);
        spoiled.push((format!("swapped {n}"), swapped));
    }
    for (what, lines) in spoiled {
        fs::write(&path, lines.concat()).unwrap();
        for last in [None, Some(20)] {
            let found = shown(dir.path(), Some(head), &Filter { last, ..Filter::default() });
            let (events, damaged) = numbers(&found);
            assert!(damaged > 0, "{what}, {last:?}: {events:?}");
            let text = serde_json::to_string(&found).unwrap();
            assert!(!text.contains("evil") && !text.contains("[\"command\",\"e\"]"), "{what}: {text}");
        }
        let tail = what.ends_with(" 9") || what.contains("again") || what == "appended";
        match last_denial(dir.path(), &keys(), Some(head)) {
            Err(AuditError::Damaged { .. }) => {}
            Ok(Some(denial)) => {
                assert!(!tail, "{what}");
                assert_eq!(denial.argv, ["command", "9"], "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn an_unfinished_line_is_no_event() {
    let dir = tempfile::tempdir().unwrap();
    let (lines, head) = ten(dir.path());
    let mut torn = lines.concat();
    torn.extend_from_slice(
        br#"{"seq":99999,"time":"2026-11-26T16:00:00Z","event":"denied","principal":"token:x","scope":"deploy","code":"command_not_allowed","argv":["printenv"],"secrets":[],"prev":"00","mac":"00"}"#,
    );
    fs::write(dir.path().join("log.jsonl"), torn).unwrap();
    for last in [None, Some(3)] {
        let found = shown(dir.path(), Some(head), &Filter { last, ..Filter::default() });
        assert_eq!(numbers(&found).0.last(), Some(&10));
    }
    assert_eq!(last_denial(dir.path(), &keys(), Some(head)).unwrap().unwrap().argv, ["command", "9"]);
}

#[test]
fn a_refusal_that_is_on_another_chain_than_the_vaults_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (_, head) = ten(dir.path());
    let other = Head { hash: [7; 32], ..head };
    assert!(matches!(last_denial(dir.path(), &keys(), Some(other)), Err(AuditError::Damaged { .. })));
    let before = Head { seq: 9, hash: [7; 32] };
    assert!(
        last_denial(dir.path(), &keys(), Some(before)).unwrap().is_some(),
        "it stands before the refusal"
    );
    open(dir.path(), None).unwrap().record(note("set"), None).unwrap();
    let between = Head { seq: 11, hash: [7; 32] };
    assert!(matches!(last_denial(dir.path(), &keys(), Some(between)), Err(AuditError::Damaged { .. })));
}

#[test]
fn long_lines_of_the_first_version_are_read_from_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lines");
    let lines: Vec<Vec<u8>> =
        [0, 1, 16_383, 16_384, 16_385, 3_000_000, 0, 7].map(|length| vec![b'x'; length]).into();
    fs::write(&file, [lines.join(&b'\n'), vec![b'\n']].concat()).unwrap();
    let end = fs::metadata(&file).unwrap().len();
    let mut back = crate::audit::segments::Backwards::from(fs::File::open(&file).unwrap(), end);
    for line in lines.iter().rev() {
        assert_eq!(back.next().unwrap().map(|found| found.len()), Some(line.len()));
    }
    assert_eq!(back.next().unwrap(), None);
}
