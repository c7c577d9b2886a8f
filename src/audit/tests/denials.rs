//! Refusals by the thousand.

use std::time::{Duration, Instant};

use super::*;
use crate::audit::Denials;

fn denied(principal: &str, argv: &[&str]) -> Note {
    Note::Denied {
        principal: principal.into(),
        scope: Some("s".into()),
        code: "command_not_allowed".into(),
        rule: None,
        argv: argv.iter().map(ToString::to_string).collect(),
        secrets: Vec::new(),
        cut: false,
    }
}

fn commands(notes: &[Note]) -> Vec<String> {
    let command = |note: &Note| match note {
        Note::Denied { argv, .. } => argv.join(" "),
        Note::DenialsSummed { number, .. } => format!("and {number} more"),
        other => panic!("{other:?}"),
    };
    notes.iter().map(command).collect()
}

#[test]
fn first_and_last_of_each_kind_are_kept_and_the_rest_is_summed() {
    let (denials, begun) = (Denials::default(), Instant::now());
    assert_eq!(commands(&denials.take(denied("a", &["x"]), begun)), ["x"]);
    assert_eq!(commands(&denials.take(denied("a", &["y"]), begun)), ["y"]);
    assert!(denials.next_due().is_none(), "nothing is summed yet");
    for n in 0..514 {
        assert!(denials.take(denied("a", &["x"]), begun + Duration::from_millis(n)).is_empty());
    }
    assert!(denials.due(begun + Duration::from_secs(59)).is_empty());
    assert_eq!(denials.next_due(), Some(begun + Duration::from_secs(60)));
    let late = begun + Duration::from_secs(60);
    assert_eq!(commands(&denials.take(denied("b", &["z"]), late)), ["x", "and 513 more", "z"]);
    assert!(denials.all().is_empty());
    assert_eq!(commands(&denials.take(denied("a", &["x"]), late)), ["x"], "a new minute");
}

#[test]
fn a_flood_of_different_commands_and_principals_stays_small() {
    let (denials, now) = (Denials::default(), Instant::now());
    let long = "x".repeat(30_000);
    let mut written = 0;
    for n in 0..5_000 {
        let principal = format!("token:{}", n % 500);
        written += denials.take(denied(&principal, &["c", &n.to_string(), &long]), now).len();
    }
    let summed = denials.all();
    assert!(written <= 65 * 16, "{written}");
    assert!(summed.len() <= 65 * 18, "{}", summed.len());
    let kept: u64 = summed
        .iter()
        .map(|note| match note {
            Note::DenialsSummed { number, .. } => *number,
            _ => 1,
        })
        .sum();
    assert_eq!(kept + written as u64, 5_000, "none is forgotten");
    let bytes = serde_json::to_string(&summed).unwrap().len();
    assert!(bytes < 1_000_000, "{bytes}");
}

#[test]
fn what_a_call_makes_long_is_cut_and_marked() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), None).unwrap();
    let long = "\u{1}".repeat(100_000);
    let names: Vec<String> = (0..60_000).map(|n| format!("{}/{n}", "z".repeat(200))).collect();
    let strings = vec![long.clone(); 50];
    let notes = [
        Note::Denied {
            principal: long.clone(),
            scope: Some(long.clone()),
            code: long.clone(),
            rule: Some(long.clone()),
            argv: vec!["false".into(), long.clone()],
            secrets: names.clone(),
            cut: false,
        },
        Note::Request {
            run: RunId::random(),
            host: long.clone(),
            method: long.clone(),
            path: long.clone(),
            status: 200,
            refused: Some(long.clone()),
            secrets: names,
            sent: 0,
            received: 0,
            scrubs: 0,
        },
        Note::Admin {
            principal: long.clone(),
            action: long.clone(),
            target: long.clone(),
            detail: Some(long.clone()),
        },
        Note::DenialsSummed {
            principal: long.clone(),
            number: 1,
            since: jiff::Timestamp::UNIX_EPOCH,
            until: jiff::Timestamp::UNIX_EPOCH,
            codes: (0..10_000).map(|n| (format!("{n}{long}"), 1)).collect(),
        },
    ];
    for note in notes {
        let before = fs::metadata(dir.path().join("log.jsonl")).map_or(0, |found| found.len());
        log.record(note, None).unwrap();
        let grown = fs::metadata(dir.path().join("log.jsonl")).unwrap().len() - before;
        assert!(grown < 6_000, "{grown}");
    }
    let many = IntentFacts {
        by: Some(long.clone()),
        principal: long.clone(),
        token: Some(long.clone()),
        program_sha256: Some(long.clone()),
        argv_sha256: Some(long.clone()),
        cwd: Some(long.clone()),
        sandbox: strings.clone(),
        interpreters: strings.clone(),
    };
    let intent = log.record_intent(allowed("a/b"), RunId::random(), many, None).unwrap();
    let outcome = OutcomeFacts {
        outcome: long.clone(),
        exit_code: None,
        limit: None,
        duration_ms: 1,
        file_hits: strings,
        written: (0..10_000).map(|n| (format!("{n}"), 1)).collect(),
        redactions: (0..10_000).map(|n| (format!("{n}"), 1)).collect(),
    };
    log.record_outcome(intent, outcome).unwrap();
    let whole = fs::read_to_string(dir.path().join("log.jsonl")).unwrap();
    for line in whole.lines() {
        assert!(line.len() < 12_000 && line.contains("\"cut\":true"), "{line}");
    }
    log.record(note("short"), None).unwrap();
    let filter = Filter { last: Some(1), ..Filter::default() };
    let Found::Event(short) = shown(dir.path(), None, &filter).remove(0) else { panic!("damage") };
    assert_eq!(short.get("cut"), None);
    assert!(damage(dir.path(), Some(log.head())).is_empty());
    let denial = last_denial(dir.path(), &keys(), None).unwrap();
    assert!(denial.is_none(), "a scope that is no name is none's");
}
