//! A home of format 1, as version 0.1.0 made it (`tests/fixtures/format-1`): upgraded by an operator's first command, and
//! by nothing else; killed at any moment it is as it was, or upgraded.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::stage::Stage;

const KEY: &str = "value-3-of-app-key-9f2c";

fn fixture(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1").join(part)
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
    let close = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let mut waiting = vec![to.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            close(&path, 0o700);
            waiting.extend(fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
        } else {
            close(&path, 0o600);
        }
    }
}

/// A stage whose home is of format 1.
fn stage() -> Stage {
    let stage = Stage::empty();
    copy(&fixture("home"), &stage.home());
    stage
}

/// Everything that the fixture holds is there.
fn holds_all(stage: &Stage) {
    let listed = stage.ok(&["admin", "list"]);
    assert!(
        listed.contains("app/key") && listed.contains("DATABASE_URL") && !listed.contains("big/one"),
        "{listed}"
    );
    let value = |name| stage.ok(&["admin", "get", name, "--reveal", "--out", "-"]);
    assert_eq!(value("app/key").trim_end(), KEY);
    assert_eq!(value("db/url").trim_end(), "postgres://u:Zq81LmXw04@db/x");
    assert!(stage.ok(&["admin", "history", "app/key"]).lines().count() >= 3);
    assert!(stage.ok(&["admin", "policy", "show", "dev"]).contains("printenv"));
    // They end on 2026-12-27: what counts is that they are known, and not revoked.
    for id in ["t_a63xxvwijexuwk36", "t_rt5ifvfdk4kxtdbb"] {
        let shown = stage.ok(&["--json", "admin", "token", "show", id]);
        assert!(shown.contains("\"revoked\": false"), "{shown}");
    }
    stage.ok(&["admin", "verify"]);
    stage.ok(&["admin", "audit", "verify"]);
}

#[test]
fn an_operators_first_command_upgrades_it_and_keeps_what_was_there() {
    let stage = stage();
    let said = stage.run(&["admin", "list"]);
    let err = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && err.contains("upgraded to format 2"), "{err}");
    holds_all(&stage);
    let kept: Vec<PathBuf> = fs::read_dir(stage.dir.path())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("home.replaced-"))
        .collect();
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    let journal = "vault/journal";
    assert_eq!(fs::read(kept.join(journal)).unwrap(), fs::read(fixture("home").join(journal)).unwrap());
    assert!(!stage.home().join("vault").exists());
    let again = stage.run(&["admin", "list"]);
    assert!(!String::from_utf8_lossy(&again.stderr).contains("upgraded"), "once");
    assert!(stage.audit().iter().any(|event| event["action"] == "upgrade"), "and it is on record");
    let ran = stage
        .serve("dev")
        .run(json!({"command": ["printenv", "APP_KEY"], "secrets": ["app/key"], "cwd": "/usr"}));
    assert_eq!(ran["exit_code"], 0, "{ran}");
    stage.set("after/it", b"a-value-of-some-length");
}

#[test]
fn whoever_is_no_operator_says_what_upgrades_it_and_leaves_it_alone() {
    let stage = stage();
    let before = fs::read(stage.home().join("vault/journal")).unwrap();
    let said = stage.serve("dev").run(json!({"command": ["printenv", "APP_KEY"], "secrets": ["app/key"]}));
    assert_eq!(
        (&said["code"], &said["operator_command"]),
        (&json!("vault_locked"), &json!("authy-mcp admin verify"))
    );
    assert!(said["message"].as_str().unwrap().contains("format 1"), "{said}");
    let run = stage.run(&["--no-daemon", "run", "--scope", "dev", "--", "printenv", "APP_KEY"]);
    assert!(!run.status.success());
    assert_eq!(fs::read(stage.home().join("vault/journal")).unwrap(), before);
    assert!(!stage.home().join("store").exists());
    holds_all(&stage);
}

#[test]
fn a_home_of_a_later_format_is_named_and_left_alone() {
    let stage = Stage::new();
    let file = stage.home().join("home.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"format\": 2", "\"format\": 3")).unwrap();
    let said = stage.fails(1, &["admin", "list"]);
    assert!(said.contains("format 3") && said.contains("a later version"), "{said}");
    fs::write(&file, text).unwrap();
    stage.ok(&["admin", "list"]);
}

#[test]
fn one_that_was_damaged_or_put_back_is_not_upgraded() {
    type Spoil = fn(&Path);
    let spoils: [(&str, Spoil); 4] = [
        ("its database is cut", |home| {
            let file = home.join("vault/journal");
            let bytes = fs::read(&file).unwrap();
            fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("its database was changed", |home| {
            let file = home.join("vault/journal");
            let mut bytes = fs::read(&file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(file, bytes).unwrap();
        }),
        ("vault.epoch is gone", |home| fs::remove_file(home.join("vault.epoch")).unwrap()),
        ("its audit was cut", |home| {
            let file = home.join("audit/log.jsonl");
            let text = fs::read_to_string(&file).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            fs::write(file, lines[..lines.len() / 2].join("\n") + "\n").unwrap();
        }),
    ];
    for (what, spoil) in spoils {
        let stage = stage();
        spoil(&stage.home());
        stage.fails(7, &["admin", "list"]);
        assert!(!stage.home().join("store").exists(), "{what}");
    }
}

#[test]
fn one_that_nothing_remembers_any_more_is_upgraded_once_it_was_accepted() {
    let stage = Stage::empty();
    copy(&fixture("pinned"), &stage.home());
    let said = stage.fails(7, &["admin", "list"]);
    assert!(said.contains("may have been put back") && said.contains("--accept"), "{said}");
    stage.run(&["doctor"]);
    assert!(stage.home().join("vault").exists() && !stage.home().join("store").exists(), "left as it was");
    let info: serde_json::Value =
        serde_json::from_slice(&fs::read(stage.home().join("home.json")).unwrap()).unwrap();
    stage.ok(&["admin", "verify", "--accept", info["fingerprint"].as_str().unwrap()]);
    assert!(stage.ok(&["admin", "list"]).contains("app/key"));
    fs::remove_file(stage.pin().unwrap()).unwrap();
    stage.fails(7, &["admin", "list"]);
}

#[test]
fn doctor_upgrades_nothing() {
    let stage = stage();
    let said = stage.run(&["doctor"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("format 1") && said.contains("authy-mcp admin verify upgrades it"), "{said}");
    assert!(!stage.home().join("store").exists());
}

#[test]
fn killed_at_any_moment_it_is_as_it_was_or_upgraded() {
    let mut upgraded = 0;
    for round in 0..24 {
        let stage = stage();
        let mut child = stage
            .command()
            .args(["admin", "list"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(round * 12));
        child.kill().unwrap();
        child.wait().unwrap();
        let done = stage.home().join("store").exists();
        assert!(stage.home().join("vault").exists() != done, "one of the two, and whole");
        upgraded += u32::from(done);
        holds_all(&stage);
    }
    println!("{upgraded} of 24 were upgraded before they were killed");
}

#[test]
fn a_backup_of_format_1_is_restored() {
    let stage = Stage::new();
    let backup = stage.path("backup");
    copy(&fixture("backup"), &backup);
    stage.ok(&["admin", "restore", backup.to_str().unwrap(), "--another-vault", "--yes"]);
    assert_eq!(stage.ok(&["admin", "get", "app/key", "--reveal", "--out", "-"]).trim_end(), KEY);
    stage.ok(&["admin", "verify"]);
    stage.ok(&["admin", "audit", "verify"]);
}
