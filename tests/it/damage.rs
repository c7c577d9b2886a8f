//! Files of the home that are cut or changed: what is wrong is named, nothing panics, and nothing wrong
//! is served.

use std::{fs, path::PathBuf, process::Output};

use crate::stage::{Stage, one_rule};

const VALUE: &str = "damage-value-6Bn3Kp9R";

fn stage() -> Stage {
    let stage = Stage::new();
    for n in 0..6 {
        stage.set(&format!("d/key-{n}"), format!("{VALUE}-{n}").as_bytes());
    }
    stage.policy(&one_rule("s", "d/*", "[[\"printenv\", \"*\"]]", ""));
    stage.ok(&[
        "admin",
        "token",
        "issue",
        "--scope",
        "s",
        "--out",
        stage.home().join("tokens/t.jwt").to_str().unwrap(),
    ]);
    stage
}

fn files(stage: &Stage) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![stage.home()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Either something is named (and the exit code says damage, a lock that doesn't open, or a home that
/// isn't one), or everything is still there and right.
#[track_caller]
fn named_or_whole(stage: &Stage, what: &str) -> bool {
    let checks = [stage.run(&["admin", "verify"]), stage.run(&["admin", "audit", "verify"])];
    for check in &checks {
        no_panic(check, what);
    }
    if checks.iter().any(|check| !check.status.success()) {
        for check in checks.iter().filter(|check| !check.status.success()) {
            assert!(
                matches!(check.status.code(), Some(3 | 5 | 7)),
                "{what}: {:?} {}",
                check.status,
                text(check)
            );
            assert!(text(check).len() > 20, "{what}: it is named");
        }
        return true;
    }
    for n in 0..6 {
        let shown = stage.ok(&["admin", "get", &format!("d/key-{n}"), "--reveal", "--out", "-"]);
        assert_eq!(shown, format!("{VALUE}-{n}"), "{what}");
    }
    false
}

fn text(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

#[track_caller]
fn no_panic(done: &Output, what: &str) {
    let said = text(done);
    assert!(!said.contains("panicked") && done.status.code().is_some(), "{what}: {said}");
    assert!(!said.contains(VALUE), "{what}: {said}");
}

/// Files whose content is no record: locks, and what a token's holder has.
fn holds_nothing(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|end| end == "lock" || end == "turn")
        || path.ends_with("audit/lock")
        || path.extension().is_some_and(|e| e == "jwt")
}

fn spoil(stage: &Stage, spoil: impl Fn(&[u8], usize) -> Option<Vec<u8>>, kind: &str, points: usize) -> usize {
    let mut named = 0;
    let kept = stage.path("kept");
    // What remembers the home outside of it is put back, too: that this is noticed is shown elsewhere.
    let pin = stage.pin().map(|pin| (fs::read(&pin).unwrap(), pin));
    assert!(
        std::process::Command::new("cp")
            .args(["-a", stage.home().to_str().unwrap(), kept.to_str().unwrap()])
            .status()
            .unwrap()
            .success()
    );
    for path in files(stage).into_iter().filter(|path| !holds_nothing(path)) {
        let whole = fs::read(&path).unwrap();
        for point in 0..points {
            let Some(bad) = spoil(&whole, point) else { continue };
            if bad == whole {
                continue;
            }
            fs::write(&path, &bad).unwrap();
            let short = path.strip_prefix(stage.home()).unwrap().display().to_string();
            named += usize::from(named_or_whole(
                stage,
                &format!("{kind} {point} of {short} ({} of {} bytes)", bad.len(), whole.len()),
            ));
            fs::remove_dir_all(stage.home()).unwrap();
            if let Some((bytes, pin)) = &pin {
                fs::write(pin, bytes).unwrap();
            }
            assert!(
                std::process::Command::new("cp")
                    .args(["-a", kept.to_str().unwrap(), stage.home().to_str().unwrap()])
                    .status()
                    .unwrap()
                    .success()
            );
        }
    }
    assert!(!named_or_whole(stage, "the home put back"), "what was put back is whole");
    named
}

#[test]
fn cut_files() {
    let stage = stage();
    let named = spoil(&stage, |whole, point| Some(whole[..whole.len() * point / 4].to_vec()), "cut", 4);
    assert!(named >= 12, "most cuts are noticed: {named}");
}

#[test]
fn flipped_bits() {
    let stage = stage();
    let flip = |whole: &[u8], point: usize| {
        let mut bad = whole.to_vec();
        let at = (whole.len().saturating_sub(1)) * point / 5;
        *bad.get_mut(at)? ^= 1 << (point % 8);
        Some(bad)
    };
    let named = spoil(&stage, flip, "bit flip", 6);
    assert!(named >= 8, "flips in what counts are noticed: {named}");
}

#[test]
fn a_file_that_is_gone_is_named() {
    for name in ["home.json", "identity.txt", "store/current", "store/journal-1", "audit/log.jsonl"] {
        let stage = stage();
        fs::remove_file(stage.home().join(name)).unwrap();
        assert!(named_or_whole(&stage, name), "{name} is missed");
    }
    let stage = stage();
    fs::remove_dir_all(stage.home().join("store")).unwrap();
    assert!(named_or_whole(&stage, "store/"));
}

#[test]
fn an_older_database_is_not_taken_for_the_newest() {
    let stage = stage();
    let kept = stage.path("older");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        assert!(
            std::process::Command::new("cp")
                .args(["-a", from.to_str().unwrap(), to.to_str().unwrap()])
                .status()
                .unwrap()
                .success()
        );
    };
    copy(&stage.home().join("store"), &kept);
    stage.ok(&["admin", "rm", "d/key-0", "--yes"]);
    fs::remove_dir_all(stage.home().join("store")).unwrap();
    copy(&kept, &stage.home().join("store"));
    let said = stage.fails(7, &["admin", "list"]);
    assert!(said.contains("put back"), "{said}");
}

#[test]
fn an_audit_log_that_was_cut_with_its_head_is_noticed() {
    let stage = stage();
    let audit = stage.home().join("audit");
    let (log, head) =
        (fs::read(audit.join("log.jsonl")).unwrap(), fs::read(audit.join("head.json")).unwrap());
    stage.ok(&["admin", "rm", "d/key-0", "--yes"]);
    fs::write(audit.join("log.jsonl"), log).unwrap();
    fs::write(audit.join("head.json"), head).unwrap();
    let said = stage.run(&["admin", "audit", "verify"]);
    assert_eq!(said.status.code(), Some(7));
    assert!(text(&said).contains("the vault knows of"), "{}", text(&said));
    let refused = stage.fails(7, &["admin", "set", "x/y", "--generate"]);
    assert!(refused.contains("audit log is damaged"), "{refused}");
    let restarted = stage.ok(&["admin", "audit", "restart", "--yes"]);
    assert!(restarted.contains(".kept.jsonl"));
    stage.ok(&["admin", "audit", "verify"]);
    stage.ok(&["admin", "set", "x/y", "--generate"]);
}

#[test]
fn restore_brings_a_backup_back_and_keeps_what_it_replaces() {
    let stage = stage();
    let backup = stage.path("backup");
    let dir = backup.to_str().unwrap();
    assert!(stage.ok(&["admin", "backup", dir]).contains("records"));
    let said = stage.fails(4, &["admin", "backup", dir]);
    assert!(said.contains("already"), "{said}");
    stage.ok(&["admin", "rm", "d/key-1", "--yes"]);
    fs::write(stage.home().join("store/current"), "x").unwrap();
    stage.fails(7, &["admin", "list"]);
    stage.ok(&["admin", "restore", dir, "--yes"]);
    assert_eq!(stage.ok(&["admin", "get", "d/key-1", "--reveal", "--out", "-"]), format!("{VALUE}-1"));
    stage.ok(&["admin", "verify"]);
    stage.ok(&["admin", "audit", "verify"]);
    let ran =
        stage.serve("s").run(serde_json::json!({"command": ["printenv", "D_KEY_1"], "secrets": ["d/key-1"]}));
    assert_eq!(ran["exit_code"], 0, "policies come back, too: {ran}");
    let replaced = fs::read_dir(stage.dir.path())
        .unwrap()
        .flatten()
        .find(|e| e.file_name().to_string_lossy().starts_with("home.replaced-"));
    assert!(replaced.is_some_and(|e| e.path().join("store").is_dir()), "what was there is kept");
    fs::write(
        backup
            .join("records")
            .join(fs::read_dir(backup.join("records")).unwrap().next().unwrap().unwrap().file_name()),
        "x",
    )
    .unwrap();
    let said = stage.fails(7, &["admin", "restore", dir, "--yes"]);
    assert!(said.contains("records/"), "{said}");
    stage.ok(&["admin", "verify"]);
}
