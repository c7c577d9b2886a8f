//! Runs that are called off at every moment of their start: nothing of them runs on, and the record says what was.

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::stage::{Server, Stage, eventually, one_rule, processes};

const VALUE: &[u8] = b"cancelled-value-6Tn3Wc8R";
/// Milliseconds between a call and its end: before, while and after its program is started.
const MOMENTS: [u64; 12] = [0, 1, 2, 3, 5, 8, 12, 16, 20, 30, 40, 50];
/// Between SIGTERM and SIGKILL: what took so long was not ended when it was asked to.
const GRACE_MS: u64 = 10_000;

/// In a sandbox, and without one.
const SANDBOXES: [&str; 2] = ["required", "off"];

fn stage(sandbox: &str) -> Stage {
    let stage = Stage::new();
    stage.set("a/key", VALUE);
    let policy = one_rule("s", "a/key", "[[\"sleep\", \"*\"], [\"sh\", \"-c\", \"**\"]]", "");
    let policy = policy.replace("mode = \"off\"", &format!("mode = \"{sandbox}\""));
    stage.policy(&policy.replace("[[allow]]", "[limits]\nruns_per_minute = 600\n[[allow]]"));
    stage
}

fn send(server: &mut Server, command: &[&str]) -> u64 {
    let arguments = json!({"command": command, "secrets": ["a/key"]});
    server.send("tools/call", json!({"name": "run_with_secrets", "arguments": arguments}))
}

fn cancel(server: &mut Server, id: u64) {
    server.notify("notifications/cancelled", json!({"requestId": id}));
}

fn events(stage: &Stage, event: &str) -> Vec<Value> {
    stage.audit().into_iter().filter(|found| found["event"] == event).collect()
}

/// Every run on record has its outcome, and none of them was waited for.
#[track_caller]
fn ended_at_once(stage: &Stage, marker: &str, outcomes: &[&str]) {
    eventually("every run has its outcome", || {
        let (intents, outcomes) = (events(stage, "intent"), events(stage, "outcome"));
        intents.len() == outcomes.len() && processes(marker).is_empty()
    });
    for outcome in events(stage, "outcome") {
        assert!(outcomes.contains(&outcome["outcome"].as_str().unwrap()), "{outcome}");
        assert!(outcome["duration_ms"].as_u64().unwrap() < GRACE_MS, "{outcome}");
    }
    stage.ok(&["admin", "audit", "verify"]);
}

#[test]
fn a_cancel_at_any_moment_leaves_no_program() {
    for (sandbox, marker) in SANDBOXES.into_iter().zip(["sleep 7100.5", "sleep 7101.5"]) {
        let stage = stage(sandbox);
        let mut server = stage.serve("s");
        for moment in MOMENTS {
            let id = send(&mut server, &["sleep", marker.trim_start_matches("sleep ")]);
            thread::sleep(Duration::from_millis(moment));
            cancel(&mut server, id);
        }
        // By then, one that was lost has started.
        thread::sleep(Duration::from_secs(1));
        ended_at_once(&stage, marker, &["cancelled"]);
        let ran = server.run(json!({"command": ["sh", "-c", "echo $A_KEY"], "secrets": ["a/key"]}));
        assert_eq!(ran["stdout"], "[redacted:a/key]\n", "the session goes on: {ran}");
    }
}

#[test]
fn a_call_that_is_cancelled_while_the_vault_is_another_s_never_was_one() {
    let stage = stage("off");
    let mut server = stage.serve("s");
    server.run(json!({"command": ["sh", "-c", "true"], "secrets": ["a/key"]}));
    let before = stage.audit().len();
    let lock = stage.hold();
    let id = send(&mut server, &["sleep", "7102.5"]);
    thread::sleep(Duration::from_millis(300));
    cancel(&mut server, id);
    thread::sleep(Duration::from_millis(300));
    drop(lock);
    let ran = server.run(json!({"command": ["sh", "-c", "true"], "secrets": ["a/key"]}));
    assert_eq!(ran["exit_code"], 0, "{ran}");
    assert!(processes("sleep 7102.5").is_empty());
    let after: Vec<Value> = stage.audit().split_off(before);
    let runs = after.iter().filter(|event| event["event"] == "intent").count();
    assert_eq!(runs, 1, "{after:?}");
    assert!(after.iter().all(|event| event["event"] != "denied"), "{after:?}");
}

#[test]
fn a_client_that_goes_at_any_moment_leaves_no_program() {
    for (sandbox, marker) in SANDBOXES.into_iter().zip(["sleep 7103.5", "sleep 7104.5"]) {
        let stage = stage(sandbox);
        for moment in [0, 5, 15, 40] {
            let mut server = stage.serve("s");
            send(&mut server, &["sleep", marker.trim_start_matches("sleep ")]);
            thread::sleep(Duration::from_millis(moment));
            server.kill();
        }
        thread::sleep(Duration::from_secs(1));
        let begun = Instant::now();
        eventually("the trees are gone", || processes(marker).is_empty());
        assert!(begun.elapsed() < Duration::from_millis(GRACE_MS / 2), "one was waited for");
    }
}

#[test]
fn a_signal_at_any_moment_ends_a_run_of_a_person_s() {
    for (sandbox, marker) in SANDBOXES.into_iter().zip(["sleep 7105.5", "sleep 7106.5"]) {
        let stage = stage(sandbox);
        for (moment, signal) in MOMENTS.into_iter().zip(["TERM", "INT", "HUP"].into_iter().cycle()) {
            let mut child = stage
                .command()
                .args(["run", "--scope", "s", "--", "sleep", marker.trim_start_matches("sleep ")])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            thread::sleep(Duration::from_millis(moment * 4));
            let sent =
                std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
            assert!(sent.unwrap().success());
            // A signal that came before anything was decided does what it does by default.
            let ended = child.wait().unwrap();
            assert!(!ended.success(), "{ended}");
        }
        ended_at_once(&stage, marker, &["signaled", "cancelled"]);
    }
}

#[test]
fn signals_reach_the_program_and_not_what_contains_it() {
    for sandbox in SANDBOXES {
        let stage = stage(sandbox);
        let script =
            "trap 'echo first' USR1; trap 'echo last; exit 3' TERM; echo begun; while :; do sleep 0.05; done";
        let mut child = stage
            .command()
            .args(["run", "--scope", "s", "--", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        for (line, signal) in [("begun", "USR1"), ("first", "TERM"), ("last", "")] {
            assert_eq!(lines.next().unwrap().unwrap(), line, "{sandbox}");
            if !signal.is_empty() {
                let pid = child.id().to_string();
                std::process::Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
            }
        }
        assert_eq!(child.wait().unwrap().code(), Some(3), "{sandbox}");
    }
}
