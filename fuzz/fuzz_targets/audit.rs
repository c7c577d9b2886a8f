//! The audit log: of any lines nothing is shown as an event but what was recorded, and nothing holds but what was
//! recorded, in its order, from the first on.

#![no_main]

use std::{collections::BTreeSet, fs, path::PathBuf, sync::LazyLock};

use authy_mcp::testing::audit::{self, AuditKeys, AuditLog, Filter, Found, Head, Note};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// A log as it was recorded.
struct Real {
    dir: PathBuf,
    head: Head,
    lines: Vec<Vec<u8>>,
    events: BTreeSet<String>,
    /// The head beside it.
    file: Vec<u8>,
}

fn keys() -> AuditKeys {
    AuditKeys { mac: [1; 32].into(), sign: [2; 32].into() }
}

static REAL: LazyLock<Real> = LazyLock::new(|| {
    let dir = std::env::temp_dir().join(format!("authy-mcp-fuzz-audit-{}", std::process::id()));
    let log = AuditLog::open(&dir, keys(), None).expect("a log");
    for number in 0..3 {
        let note = Note::Admin {
            principal: "operator:1".into(),
            action: "set".into(),
            target: format!("a/{number}"),
            detail: None,
        };
        log.record(note, None).expect("room");
    }
    log.checkpoint().expect("room");
    let denied = Note::Denied {
        principal: "token:x".into(),
        scope: Some("deploy".into()),
        code: "command_not_allowed".into(),
        rule: None,
        argv: vec!["env".into()],
        secrets: vec!["a/b".into()],
        cut: false,
    };
    log.record(denied, None).expect("room");
    let text = fs::read(dir.join("log.jsonl")).expect("a log");
    let lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let event = |line: &Vec<u8>| serde_json::from_slice::<Value>(line).expect("JSON").to_string();
    let file = fs::read(dir.join("head.json")).expect("a head");
    Real { head: log.head(), events: lines.iter().map(event).collect(), lines, dir, file }
});

// The first byte says what is known of the log beside it; bytes from 128 on stand for lines that were recorded.
fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let dir = &REAL.dir;
    let line = |byte: &u8| Some(&REAL.lines[usize::from(byte.checked_sub(128)?) % REAL.lines.len()]);
    let text: Vec<u8> = rest
        .iter()
        .flat_map(|byte| line(byte).map_or(std::slice::from_ref(byte), Vec::as_slice))
        .copied()
        .collect();
    let anchor = (kind & 2 != 0).then_some(REAL.head);
    let place = || {
        fs::write(dir.join("log.jsonl"), &text).expect("a file");
        match kind & 1 {
            0 => drop(fs::remove_file(dir.join("head.json"))),
            _ => fs::write(dir.join("head.json"), &REAL.file).expect("a file"),
        }
    };
    place();
    for filter in [Filter::default(), Filter { last: Some(3), ..Filter::default() }] {
        let each = &mut |found: Found| {
            if let Found::Event(event) = found {
                assert!(REAL.events.contains(&event.to_string()), "{event}");
            }
        };
        let _ = audit::events(dir, &keys(), anchor, &filter, each);
    }
    let denial = audit::last_denial(dir, &keys(), anchor);
    assert!(
        denial.is_err()
            || !denial.is_ok_and(|denial| denial.is_some_and(|denial| denial.scope.as_str() != "deploy"))
    );
    let said = audit::said_last_change(dir);
    assert!(said.is_none_or(|said| !said.chars().any(char::is_control)));
    place();
    let Ok(report) = audit::verify(dir, &keys(), anchor) else { return };
    if report.damage.is_empty() {
        let whole: Vec<u8> = REAL.lines.concat();
        let lines = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        assert!(whole.starts_with(&text[..lines]), "{}", String::from_utf8_lossy(&text));
        assert!((anchor.is_none() && kind & 1 == 0) || lines == whole.len(), "the log was cut");
    }
});
