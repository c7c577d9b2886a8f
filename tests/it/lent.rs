//! The vault's database is the daemon's: operators' commands have a turn at it over the socket, and nobody else has.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Write},
    os::unix::net::UnixStream,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::stage::{Server, Stage, eventually, one_rule};

/// A home whose daemon is up, and a server of it.
fn stage() -> (Stage, Server) {
    let stage = Stage::new();
    stage.set("a/key", b"a-value-of-some-length");
    stage.policy(&one_rule("s", "a/key", "[[\"printenv\", \"A_KEY\"], [\"sleep\", \"*\"]]", ""));
    let mut server = stage.serve("s");
    assert_eq!(printed(&mut server), "[redacted:a/key]\n");
    (stage, server)
}

fn printed(server: &mut Server) -> Value {
    let ran = server.run(json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"]}));
    if ran["stdout"].is_null() { ran } else { ran["stdout"].clone() }
}

fn is_locked(stage: &Stage) -> bool {
    File::open(stage.home().join("vault.lock")).unwrap().try_lock().is_err()
}

#[test]
fn a_daemon_has_the_database_from_its_start_to_its_end() {
    let (stage, mut server) = stage();
    assert!(is_locked(&stage), "between two calls, too");
    let pointer = fs::read_to_string(stage.home().join("vault.lock")).unwrap();
    assert_eq!(pointer, stage.home().join("run/daemon.sock").to_str().unwrap());
    stage.set("b/key", b"another-value-of-some-length");
    stage.set("a/key", b"its-second-value-of-some-length");
    stage.ok(&["admin", "rm", "b/key", "--yes"]);
    assert!(is_locked(&stage), "after what an operator changed");
    assert_eq!(stage.ok(&["admin", "list"]).matches("/key").count(), 1);
    assert_eq!(printed(&mut server), "[redacted:a/key]\n");
    stage.ok(&["admin", "verify"]);
    stage.ok(&["lock"]);
    eventually("it is let go of", || !is_locked(&stage));
    assert_eq!(fs::read(stage.home().join("vault.lock")).unwrap(), b"", "nobody is to be looked for");
    stage.ok(&["--no-daemon", "admin", "verify"]);
    assert_eq!(stage.ok(&["--no-daemon", "admin", "list"]).matches("/key").count(), 1);
}

#[test]
fn what_is_larger_than_a_message_goes_over_the_socket() {
    let (stage, mut server) = stage();
    let value = |number: usize| format!("{number:04}-").repeat(8000);
    let lines: Vec<String> = (0..120).map(|number| format!("KEY_{number}={}\n", value(number))).collect();
    fs::write(stage.path(".env"), lines.concat()).unwrap();
    stage.ok(&["admin", "import", stage.path(".env").to_str().unwrap(), "--prefix", "big/", "--all"]);
    assert_eq!(printed(&mut server), "[redacted:a/key]\n");
    let listed = stage.ok(&["admin", "list"]);
    assert_eq!(listed.matches("big/").count(), 120);
    stage.ok(&["lock"]);
    stage.ok(&["--no-daemon", "admin", "verify"]);
    let name =
        listed.split_whitespace().find(|word| word.starts_with("big/") && word.ends_with("77")).unwrap();
    assert_eq!(stage.ok(&["--no-daemon", "admin", "get", name, "--reveal", "--out", "-"]), value(77));
}

/// What the daemon says to who asks for the database with these headers.
fn asks(stage: &Stage, headers: &str, body: &str) -> String {
    begins(stage, headers, body).1
}

/// The same, and the connection.
fn begins(stage: &Stage, headers: &str, body: &str) -> (UnixStream, String) {
    let mut stream = UnixStream::connect(stage.home().join("run/daemon.sock")).unwrap();
    let upgrade = "Connection: upgrade\r\nUpgrade: authy-mcp-engine\r\nauthy-mcp-protocol: 1";
    let length = body.len();
    write!(
        stream,
        "POST /v1/engine HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut said = [0; 12];
    stream.read_exact(&mut said).unwrap();
    (stream, String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_process_waits_for_few_turns_at_once_and_none_is_for_ever() {
    let (stage, mut server) = stage();
    let leave = r#"{"errand":"leave","wait_ms":60000}"#;
    let kept: Vec<(UnixStream, String)> = (0..8).map(|_| begins(&stage, "", leave)).collect();
    assert!(kept.iter().all(|(_, said)| said == "HTTP/1.1 101"));
    assert_eq!(asks(&stage, "", leave), "HTTP/1.1 429");
    // Nothing is asked of a daemon that has let go: who says a word has had its turn.
    for (stream, _) in &kept {
        (&mut &*stream).write_all(&[0]).unwrap();
    }
    eventually("they are over", || printed(&mut server) == "[redacted:a/key]\n");
    drop(kept);
}

#[test]
fn who_does_not_prove_the_identity_has_no_turn() {
    let (stage, _server) = stage();
    let turn = r#"{"errand":{"turn":{"first":true}},"wait_ms":1000}"#;
    let forged = "authy-mcp-nonce: 00\r\nauthy-mcp-proof: 00\r\n";
    for (headers, body, said) in [
        ("", turn, "HTTP/1.1 403"),
        (forged, turn, "HTTP/1.1 403"),
        ("", r#"{"errand":"read","wait_ms":1000}"#, "HTTP/1.1 400"),
        ("", "", "HTTP/1.1 400"),
    ] {
        assert_eq!(asks(&stage, headers, body), said, "{headers} {body}");
    }
}

#[test]
fn while_it_is_given_away_calls_are_told_so_and_served_afterwards() {
    let (stage, mut server) = stage();
    let held = stage.hold();
    let begun = Instant::now();
    let refused = server.tool("list_allowed", json!({}));
    assert_eq!(refused["structuredContent"]["code"], "busy", "{refused}");
    assert!(begun.elapsed() > Duration::from_secs(2), "it waited");
    drop(held);
    assert_eq!(printed(&mut server), "[redacted:a/key]\n");
}

#[test]
fn an_operator_who_is_killed_with_the_turn_leaves_the_vault_to_others() {
    let (stage, mut server) = stage();
    let mut acknowledged = BTreeSet::from(["a/key".to_owned()]);
    let mut tried = acknowledged.clone();
    for number in 0..40_u64 {
        let name = format!("k/{number}");
        let mut child = stage
            .command()
            .args(["admin", "set", &name, "--generate"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(number * 3));
        let _ = child.kill();
        if child.wait().unwrap().success() {
            acknowledged.insert(name.clone());
        }
        tried.insert(name);
        if number % 8 == 0 {
            assert_eq!(printed(&mut server), "[redacted:a/key]\n", "after {number}");
        }
    }
    let listed: Value = serde_json::from_str(&stage.ok(&["--json", "admin", "list"])).unwrap();
    let rows = listed.as_array().or_else(|| listed["secrets"].as_array()).unwrap();
    let there: BTreeSet<String> = rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect();
    assert!(acknowledged.is_subset(&there), "lost: {:?}", acknowledged.difference(&there));
    assert!(there.is_subset(&tried));
    stage.ok(&["admin", "verify"]);
    assert!(stage.ok(&["admin", "audit", "verify"]).contains("the chain holds"));
}

#[test]
fn a_daemon_that_is_killed_takes_nothing_along_and_is_not_waited_for() {
    let (stage, mut server) = stage();
    let status: Value = serde_json::from_str(&stage.ok(&["--json", "status"])).unwrap();
    let pid = status["daemon"]["pid"].as_u64().unwrap().to_string();
    stage.set("b/key", b"another-value-of-some-length");
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    eventually("it is gone", || !is_locked(&stage));
    assert_ne!(fs::read(stage.home().join("vault.lock")).unwrap(), b"", "it could not say so any more");
    assert_eq!(stage.ok(&["--no-daemon", "admin", "list"]).matches("/key").count(), 2);
    assert_eq!(printed(&mut server), "[redacted:a/key]\n", "by another daemon");
    stage.ok(&["admin", "verify"]);
}

#[test]
fn a_restore_has_the_home_for_itself_and_a_daemon_goes_on_with_it() {
    let (stage, mut server) = stage();
    let backup = stage.path("backup");
    stage.ok(&["admin", "backup", backup.to_str().unwrap()]);
    stage.set("b/key", b"another-value-of-some-length");
    stage.ok(&["admin", "restore", backup.to_str().unwrap(), "--yes"]);
    assert_eq!(printed(&mut server), "[redacted:a/key]\n");
    assert_eq!(stage.ok(&["admin", "list"]).matches("/key").count(), 1);
    assert!(is_locked(&stage), "the lock of the home that is there now");
    stage.set("b/key", b"another-value-of-some-length");
    stage.ok(&["lock"]);
    assert_eq!(stage.ok(&["--no-daemon", "admin", "list"]).matches("/key").count(), 2);
    stage.ok(&["--no-daemon", "admin", "verify"]);
}

#[test]
fn servers_without_the_daemon_and_commands_beside_it_meet_no_busy() {
    let (stage, mut there) = stage();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut beside =
                    Server::start(stage.command().args(["--no-daemon", "serve", "--scope", "s"]));
                for _ in 0..10 {
                    assert_eq!(printed(&mut beside), "[redacted:a/key]\n");
                }
            });
        }
        for operator in 0..2 {
            let stage = &stage;
            scope.spawn(move || {
                for number in 0..10 {
                    stage.set(&format!("o{operator}/{number}"), b"a-value-of-some-length");
                }
            });
        }
        for _ in 0..10 {
            assert_eq!(printed(&mut there), "[redacted:a/key]\n");
        }
    });
    assert_eq!(stage.ok(&["admin", "list"]).matches("o0/").count(), 10);
    stage.ok(&["admin", "verify"]);
    assert!(stage.ok(&["admin", "audit", "verify"]).contains("the chain holds"));
}
