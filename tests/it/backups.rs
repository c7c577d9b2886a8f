//! Automatic backups: made by whoever changes the vault or hosts it, read back, bounded, and good for a restore.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::stage::{Stage, eventually};

const VALUE: &[u8] = b"backup-value-6Bn3Kp9R";

fn all(stage: &Stage) -> Vec<PathBuf> {
    let entries = fs::read_dir(stage.home().join("backups")).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

/// Gives the newest backup an older date, so that another is due.
fn age(stage: &Stage, stamp: &str) -> PathBuf {
    let old = stage.home().join("backups").join(stamp);
    fs::rename(all(stage).pop().unwrap(), &old).unwrap();
    old
}

fn records(backup: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(backup.join("records")).unwrap().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

#[test]
fn a_change_is_followed_by_one_and_restore_brings_it_back() {
    let stage = Stage::new();
    assert!(all(&stage).is_empty(), "an empty vault has nothing to lose");
    stage.set("b/one", VALUE);
    assert_eq!(all(&stage).len(), 1);
    stage.set("b/two", VALUE);
    assert_eq!(all(&stage).len(), 1, "not one a change");
    let old = age(&stage, "20260101T000000Z");
    stage.set("b/three", VALUE);
    let newest = all(&stage).pop().unwrap();
    assert_eq!((records(&old).len(), records(&newest).len()), (1, 3));
    let shared = records(&newest).iter().filter(|path| fs::metadata(path).unwrap().nlink() == 2).count();
    assert_eq!(shared, 1, "what did not change costs nothing");
    assert!(stage.ok(&["admin", "verify"]).contains("2 automatic backups"));
    assert!(stage.ok(&["doctor"]).contains("2 automatic backups"));

    stage.ok(&["admin", "rm", "b/one", "--yes"]);
    fs::write(stage.home().join("store/current"), "x").unwrap();
    stage.ok(&["admin", "restore", newest.to_str().unwrap(), "--yes"]);
    assert_eq!(stage.ok(&["admin", "get", "b/one", "--reveal", "--out", "-"]).as_bytes(), VALUE);
    assert_eq!(all(&stage).len(), 2, "the backups go on in the new home");
    let replaced = fs::read_dir(stage.dir.path()).unwrap().flatten();
    let mut replaced = replaced.filter(|e| e.file_name().to_string_lossy().starts_with("home.replaced-"));
    let kept = replaced.next().expect("what was there is kept").path();
    assert!(kept.join("store").is_dir() && kept.join("backups").is_dir());
    stage.ok(&["admin", "verify"]);
}

#[test]
fn a_damaged_one_is_named_and_the_next_rests_on_nothing() {
    let stage = Stage::new();
    stage.set("b/one", VALUE);
    let old = age(&stage, "20260101T000000Z");
    fs::write(&records(&old)[0], "x").unwrap();
    let said = stage.run(&["admin", "verify"]);
    assert_eq!(said.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&said.stdout).contains("backups/20260101T000000Z: "), "{said:?}");
    stage.set("b/two", VALUE);
    let newest = all(&stage).pop().unwrap();
    assert!(newest > old && records(&newest).iter().all(|path| fs::metadata(path).unwrap().nlink() == 1));
    fs::remove_dir_all(old).unwrap();
    stage.ok(&["admin", "verify"]);
    let dir = newest.to_str().unwrap();
    stage.ok(&["admin", "restore", dir, "--yes"]);
    assert_eq!(stage.ok(&["admin", "get", "b/one", "--reveal", "--out", "-"]).as_bytes(), VALUE);
}

#[test]
fn few_are_kept_and_half_a_one_is_removed() {
    let stage = Stage::new();
    stage.set("b/one", VALUE);
    let first = age(&stage, "20260101T000000Z");
    for day in 2..29 {
        for hour in [3, 15] {
            let path = first.with_file_name(format!("202601{day:02}T{hour:02}0000Z"));
            assert!(
                std::process::Command::new("cp").arg("-a").arg(&first).arg(path).status().unwrap().success()
            );
        }
    }
    fs::create_dir(first.with_file_name(".part-20260101T000000Z")).unwrap();
    stage.set("b/two", VALUE);
    let kept = all(&stage);
    assert!(kept.len() <= 14 && kept.len() >= 8, "{kept:?}");
    assert_eq!(records(kept.last().unwrap()).len(), 2);
    assert!(kept.iter().all(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.')));
    stage.ok(&["admin", "verify"]);
}

#[test]
fn an_identity_that_is_kept_elsewhere_is_not_copied_into_the_home() {
    let stage = Stage::empty();
    let identity = stage.path("elsewhere.txt");
    stage.ok(&["init", "--unlock", "identity-file", "--identity-file", identity.to_str().unwrap()]);
    stage.set("b/one", VALUE);
    let backup = all(&stage).pop().unwrap();
    assert!(!backup.join("identity.txt").exists());
    stage.ok(&["admin", "rm", "b/one", "--yes"]);
    stage.ok(&["admin", "restore", backup.to_str().unwrap(), "--yes"]);
    assert_eq!(stage.ok(&["admin", "get", "b/one", "--reveal", "--out", "-"]).as_bytes(), VALUE);
}

#[test]
fn a_daemon_sees_to_it() {
    if !crate::DAEMON {
        return;
    }
    let stage = Stage::new();
    stage.set("b/one", VALUE);
    let old = age(&stage, "20260101T000000Z");
    stage.set("b/two", VALUE);
    fs::remove_dir_all(all(&stage).pop().unwrap()).unwrap();
    assert_eq!(all(&stage), [old]);
    stage.policy(&crate::stage::one_rule("s", "b/*", "[[\"true\"]]", ""));
    for made in all(&stage).into_iter().skip(1) {
        fs::remove_dir_all(made).unwrap();
    }
    let mut server = stage.serve("s");
    server.tool("list_allowed", serde_json::json!({}));
    eventually("the daemon makes a backup", || all(&stage).len() == 2);
    let status: serde_json::Value = serde_json::from_str(&stage.ok(&["--json", "status"])).unwrap();
    eventually("the daemon tells of it", || {
        let status: serde_json::Value = serde_json::from_str(&stage.ok(&["--json", "status"])).unwrap();
        status["daemon"]["upkeep"]["backups"] == 2
    });
    assert_eq!(status["daemon"]["health"], "ok", "{status}");
}
