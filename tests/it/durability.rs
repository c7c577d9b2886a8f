//! Killed at any moment, and two at once.

use std::{process::Stdio, thread, time::Duration};

use crate::stage::Stage;

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let stage = Stage::new();
    let mut acknowledged = Vec::new();
    let mut killed = 0;
    for round in 0..40u64 {
        let name = format!("k/{round}");
        let mut child = stage
            .command()
            .args(["admin", "set", &name, "--generate", "40"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // From before the home is read until after the answer: spread over what one set takes.
        thread::sleep(Duration::from_micros(500 + 3_700 * (round % 20)));
        let _ = child.kill();
        let done = child.wait_with_output().unwrap();
        killed += usize::from(done.status.code().is_none());
        if String::from_utf8_lossy(&done.stdout).contains(&format!("set {name} ")) {
            acknowledged.push(name);
        }
    }
    for name in ["last/one", "last/two"] {
        stage.ok(&["admin", "set", name, "--generate"]);
        acknowledged.push(name.to_owned());
    }
    let listed = stage.ok(&["admin", "list"]);
    let events = stage.audit();
    for name in &acknowledged {
        assert!(listed.contains(name.as_str()), "{name} was acknowledged and is gone");
        assert!(
            events.iter().any(|e| e["action"] == "set" && e["target"] == name.as_str()),
            "{name} has no event"
        );
    }
    // Whatever is listed has its event, too: nothing happened that is not on record.
    for line in listed.lines().skip(1) {
        let name = line.split_whitespace().next().unwrap();
        assert!(events.iter().any(|e| e["action"] == "set" && e["target"] == name), "{name} has no event");
        assert_eq!(
            stage.ok(&["admin", "get", name, "--reveal", "--out", "-"]).len(),
            if name.starts_with("last") { 32 } else { 40 }
        );
    }
    stage.ok(&["admin", "verify"]);
    stage.ok(&["admin", "audit", "verify"]);
    assert!(killed >= 5, "only {killed} of 40 were killed: the test does not do what it says");
}

#[test]
fn commands_at_once_wait_for_each_other() {
    let stage = Stage::new();
    thread::scope(|scope| {
        for n in 0..6 {
            let stage = &stage;
            scope.spawn(move || {
                for m in 0..3 {
                    stage.ok(&["admin", "set", &format!("c/{n}-{m}"), "--generate"]);
                }
            });
        }
    });
    assert_eq!(stage.ok(&["admin", "list"]).lines().count(), 19);
    stage.ok(&["admin", "verify"]);
    assert!(stage.ok(&["admin", "audit", "verify"]).contains("the chain holds"));
}

#[test]
fn one_that_waits_too_long_says_so() {
    let stage = Stage::new();
    let lock = stage.hold();
    let said = stage.fails(6, &["admin", "list"]);
    assert!(said.contains("in use by another process"), "{said}");
    drop(lock);
    stage.ok(&["admin", "list"]);
}
