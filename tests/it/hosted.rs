//! What only a daemon does: many servers over one broker, unlocked by a person, and nobody else's.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::stage::{PASSPHRASE, Server, Stage, eventually, one_rule, processes};

/// A vault that a person must unlock, with one secret and a rule for it.
fn locked_stage() -> (Stage, String) {
    let (stage, file) = Stage::locked();
    let typed = |words: &[&str]| stage.ok(&[&["--passphrase-file", &file], words].concat());
    typed(&["admin", "set", "a/key", "--generate"]);
    for command in [&["printenv", "A_KEY"][..], &["sleep", "*"], &["true"]] {
        typed(&[&["admin", "allow", "s", "--yes", "--secret", "a/key", "--"], command].concat());
    }
    (stage, file)
}

/// Unlocks, as a person does, less the typing.
fn unlock(stage: &Stage, file: &str, more: &[&str]) -> Value {
    let words = [&["--json", "--passphrase-file", file, "unlock", "--allow-user-namespace"], more].concat();
    let done = stage.run(&words);
    let noted = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && noted.is_empty(), "{noted}");
    serde_json::from_slice(&done.stdout).unwrap()
}

fn token(stage: &Stage, file: &str) -> String {
    let out = stage.path("token.jwt");
    let out = out.to_str().unwrap().to_owned();
    stage.ok(&["--passphrase-file", file, "admin", "token", "issue", "--scope", "s", "--out", &out]);
    out
}

fn status(stage: &Stage) -> Value {
    serde_json::from_str(&String::from_utf8(stage.run(&["--json", "status"]).stdout).unwrap()).unwrap()
}

fn socket(stage: &Stage) -> PathBuf {
    stage.home().join("run").join("daemon.sock")
}

/// One request on the socket, as any process of this user can make it.
fn raw(stage: &Stage, method: &str, path: &str, headers: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(socket(stage)).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const VERSION: &str = "authy-mcp-protocol: 1\r\n";

#[test]
fn servers_that_start_at_once_share_one_daemon() {
    let stage = Stage::new();
    stage.set("a/key", b"a-value-of-some-length");
    let policy = one_rule("s", "a/key", "[[\"printenv\", \"A_KEY\"]]", "");
    stage.policy(&policy.replace("[sandbox]", "[limits]\nconcurrent_runs = 10\n[sandbox]"));
    let outputs: Vec<Value> = thread::scope(|scope| {
        let started: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    stage.serve("s").run(json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"]}))
                })
            })
            .collect();
        started.into_iter().map(|server| server.join().unwrap()).collect()
    });
    assert!(outputs.iter().all(|ran| ran["stdout"] == "[redacted:a/key]\n"), "{outputs:?}");
    let status = status(&stage);
    assert_eq!(status["daemon"]["runs"], 10, "all of them ran in the one daemon: {status}");
    let events = stage.audit();
    let count = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((count("intent"), count("outcome")), (10, 10));
    stage.ok(&["admin", "audit", "verify"]);
    stage.ok(&["lock"]);
    assert_eq!(crate::hosted::status(&stage)["running"], false);
}

#[test]
fn limits_hold_across_servers() {
    let stage = Stage::new();
    stage.set("a/key", b"a-value-of-some-length");
    let policy = one_rule("s", "a/key", "[[\"true\"]]", "");
    stage.policy(&policy.replace("[sandbox]", "[limits]\nruns_per_minute = 3\n[sandbox]"));
    let run = json!({"command": ["true"], "secrets": ["a/key"]});
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(stage.serve("s").run(run.clone())["code"].clone());
    }
    assert_eq!(codes, [Value::Null, Value::Null, Value::Null, json!("rate_limited")]);
}

#[test]
fn a_person_unlocks_and_a_server_that_runs_already_goes_on() {
    let (stage, file) = locked_stage();
    let token = token(&stage, &file);
    let mut server = Server::start(stage.command().args(["serve", "--token-file", &token]));
    let run = json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"]});
    let refused = server.run(run.clone());
    assert_eq!(refused["code"], "vault_locked", "{refused}");
    assert!(refused["hint"].as_str().unwrap().contains("authy-mcp unlock"), "{refused}");
    assert_eq!(stage.run(&["status"]).status.code(), Some(3));

    let unlocked = unlock(&stage, &file, &[]);
    assert!(unlocked["epoch"].as_u64().unwrap() > 0 && unlocked["last_used"].is_string(), "{unlocked}");
    assert_eq!(server.run(run.clone())["stdout"], "[redacted:a/key]\n");
    assert_eq!(status(&stage)["daemon"]["runs"], 1);

    stage.ok(&["lock"]);
    assert_eq!(server.run(run.clone())["code"], "vault_locked");
    unlock(&stage, &file, &[]);
    assert_eq!(server.run(run)["exit_code"], 0);
}

#[test]
fn a_scope_alone_is_not_enough() {
    let (stage, file) = locked_stage();
    unlock(&stage, &file, &[]);
    let mut server = stage.serve("s");
    let refused = server.tool("list_allowed", json!({}))["structuredContent"].clone();
    assert_eq!(refused["code"], "token_invalid", "{refused}");
    assert!(refused["hint"].as_str().unwrap().contains("authy-mcp config"), "{refused}");
    // Nor by hand, with whatever stands for a proof.
    let body = json!({"credential": {"scope": {"scope": "s", "instance": "g_aaaaaaaaaaaaaaaa"}}}).to_string();
    for proof in ["", "authy-mcp-nonce: 00\r\nauthy-mcp-proof: 00\r\n"] {
        let answer = raw(&stage, "POST", "/v1/list_allowed", &format!("{VERSION}{proof}"), &body);
        assert!(answer.contains("token_invalid"), "{answer}");
    }
    let other = json!({"credential": {"tree": {"instance": "g_aaaaaaaaaaaaaaaa"}}}).to_string();
    assert!(raw(&stage, "POST", "/v1/list_allowed", VERSION, &other).contains("token_invalid"));
    // Whoever can prove the identity may name one.
    let mut server =
        Server::start(stage.command().args(["--passphrase-file", &file, "serve", "--scope", "s"]));
    assert_eq!(server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["exit_code"], 0);
    assert_eq!(status(&stage)["daemon"]["runs"], 1, "it ran in the daemon");
}

/// A connection to the daemon, as one sees it who stands in between.
struct Tapped {
    daemon: UnixStream,
    asked: Arc<Mutex<Vec<u8>>>,
    answered: Arc<Mutex<Vec<u8>>>,
}

/// Another socket, of somebody who hands everything on to the daemon and back, and keeps it; the next proof that is shown
/// is spoiled where that is said.
fn tapped(stage: &Stage, spoil: &Arc<AtomicBool>) -> (PathBuf, Arc<Mutex<Vec<Tapped>>>) {
    let (front, behind) = (socket(stage).with_file_name("front.sock"), socket(stage));
    let (listener, all) = (UnixListener::bind(&front).unwrap(), Arc::<Mutex<Vec<Tapped>>>::default());
    let (kept, spoil) = (Arc::clone(&all), Arc::clone(spoil));
    thread::spawn(move || {
        for client in listener.incoming().map(Result::unwrap) {
            let daemon = UnixStream::connect(&behind).unwrap();
            let tap = Tapped {
                daemon: daemon.try_clone().unwrap(),
                asked: Arc::default(),
                answered: Arc::default(),
            };
            let (from, to) = (client.try_clone().unwrap(), daemon.try_clone().unwrap());
            hand_on(from, to, Arc::clone(&tap.asked), Some(Arc::clone(&spoil)));
            hand_on(daemon, client, Arc::clone(&tap.answered), None);
            kept.lock().unwrap().push(tap);
        }
    });
    (front, all)
}

fn hand_on(
    mut from: UnixStream,
    mut to: UnixStream,
    kept: Arc<Mutex<Vec<u8>>>,
    spoil: Option<Arc<AtomicBool>>,
) {
    const PROOF: &[u8] = b"authy-mcp-proof: ";
    thread::spawn(move || {
        let mut chunk = [0; 65536];
        while let Ok(length @ 1..) = from.read(&mut chunk) {
            let at = chunk[..length].windows(PROOF.len()).position(|part| part == PROOF);
            if let (Some(at), Some(spoil)) = (at, &spoil)
                && spoil.swap(false, Ordering::SeqCst)
            {
                let digit = &mut chunk[at + PROOF.len()];
                *digit = if *digit == b'0' { b'1' } else { b'0' };
            }
            kept.lock().unwrap().extend_from_slice(&chunk[..length]);
            if to.write_all(&chunk[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

/// Calls that follow each other ask for no challenge of their own: what proves them must be as good.
#[test]
fn a_proof_is_good_once_and_on_its_own_connection() {
    let stage = Stage::new();
    stage.set("a/key", b"a-value-of-some-length");
    stage.policy(&one_rule("s", "a/key", "[[\"true\"]]", ""));
    stage.serve("s").tool("list_allowed", json!({}));
    let (front, taps) = tapped(&stage, &Arc::default());
    let mut server =
        Server::start(stage.command().args(["--socket", front.to_str().unwrap(), "serve", "--scope", "s"]));
    for _ in 0..6 {
        assert_eq!(server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["exit_code"], 0);
        // Its connection is there again a moment after the answer.
        thread::sleep(Duration::from_millis(50));
    }
    let taps = taps.lock().unwrap();
    let asked = |tap: &Tapped| String::from_utf8(tap.asked.lock().unwrap().clone()).unwrap();
    let runs_of = |tap: &Tapped| -> Vec<String> {
        let all = asked(tap);
        let runs = all.split("POST ").filter(|request| request.starts_with("/v1/run "));
        runs.map(|request| format!("POST {request}")).collect()
    };
    // On a busy machine one may come late, and another one be made.
    let tap = taps.iter().max_by_key(|tap| runs_of(tap).len()).unwrap();
    let (all, runs) = (asked(tap), runs_of(tap));
    assert!(runs.len() > 1, "each run had a connection of its own");
    assert_eq!(all.matches("POST /v1/challenge ").count(), 1, "{all}");
    // Each of them again, on a connection of its own.
    for request in &runs {
        let mut other = UnixStream::connect(socket(&stage)).unwrap();
        other.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let length = other.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(answer.contains("token_invalid"), "{request} -> {answer}");
    }
    // And the last one where it was.
    let before = tap.answered.lock().unwrap().len();
    (&tap.daemon).write_all(runs[runs.len() - 1].as_bytes()).unwrap();
    eventually("the daemon refuses it", || {
        String::from_utf8_lossy(&tap.answered.lock().unwrap()[before..]).contains("token_invalid")
    });
    assert_eq!(status(&stage)["daemon"]["runs"], 6);
}

/// The daemon knows of no first proof then, and would refuse what follows it.
#[test]
fn a_connection_whose_first_proof_was_refused_is_not_kept() {
    let stage = Stage::new();
    stage.set("a/key", b"a-value-of-some-length");
    stage.policy(&one_rule("s", "a/key", "[[\"true\"]]", ""));
    stage.serve("s").tool("list_allowed", json!({}));
    let spoil = Arc::new(AtomicBool::new(true));
    let (front, _taps) = tapped(&stage, &spoil);
    let mut server =
        Server::start(stage.command().args(["--socket", front.to_str().unwrap(), "serve", "--scope", "s"]));
    let run = json!({"command": ["true"], "secrets": ["a/key"]});
    assert_eq!(server.run(run.clone())["code"], "token_invalid");
    thread::sleep(Duration::from_millis(50));
    assert_eq!(server.run(run)["exit_code"], 0);
    spoil.store(true, Ordering::SeqCst);
    let fresh = |server: &mut Server| server.tool("list_allowed", json!({}))["structuredContent"].clone();
    let mut other =
        Server::start(stage.command().args(["--socket", front.to_str().unwrap(), "serve", "--scope", "s"]));
    assert_eq!(fresh(&mut other)["code"], "token_invalid");
    assert_eq!(fresh(&mut other)["scope"], "s");
}

/// A connection that is kept says nothing about the daemon that was at its end.
#[test]
fn a_run_behind_the_end_of_a_daemon_is_the_next_ones() {
    let stage = Stage::new();
    stage.set("a/key", b"a-value-of-some-length");
    stage.policy(&one_rule("s", "a/key", "[[\"true\"]]", ""));
    let mut server = stage.serve("s");
    let run = json!({"command": ["true"], "secrets": ["a/key"]});
    let mut pids = std::collections::BTreeSet::new();
    for end in [&["lock"][..], &["kill"], &["lock"]] {
        for _ in 0..2 {
            let ran = server.run(run.clone());
            assert_eq!(ran["exit_code"], 0, "{ran}");
            thread::sleep(Duration::from_millis(20));
        }
        let pid = status(&stage)["daemon"]["pid"].as_u64().unwrap();
        assert!(pids.insert(pid), "{pid} again");
        match end {
            ["kill"] => {
                assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success())
            }
            words => drop(stage.ok(words)),
        }
    }
    assert_eq!(server.run(run)["exit_code"], 0);
    let events = stage.audit();
    let count = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((count("intent"), count("outcome")), (7, 7));
}

#[test]
fn nothing_on_the_socket_changes_the_vault() {
    let (stage, file) = locked_stage();
    unlock(&stage, &file, &[]);
    for path in ["/v1/admin", "/v1/admin/set", "/v1/set", "/v1/policy", "/v1/token", "/v1/reveal", "/", "/v1"]
    {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let answer = raw(&stage, method, path, VERSION, "{}");
            assert!(answer.starts_with("HTTP/1.1 404"), "{method} {path}: {answer}");
        }
    }
    let answer = raw(&stage, "POST", "/v1/retire", VERSION, "null");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let nonce = raw(&stage, "POST", "/v1/challenge", VERSION, r#"{"nonce":"x"}"#);
    let nonce: Value = serde_json::from_str(nonce.split_once("\r\n\r\n").unwrap().1.trim()).unwrap();
    let headers = format!(
        "{VERSION}authy-mcp-nonce: {}\r\nauthy-mcp-proof: {}\r\n",
        nonce["nonce"].as_str().unwrap(),
        nonce["proof"].as_str().unwrap()
    );
    let answer = raw(&stage, "POST", "/v1/retire", &headers, "null");
    assert!(answer.starts_with("HTTP/1.1 403"), "the daemon's own proof is not the client's: {answer}");
    let status = raw(&stage, "GET", "/v1/status", "", "");
    assert!(!status.contains("a/key") && !status.contains("\"s\""), "no name of a secret or scope: {status}");
}

#[test]
fn an_old_client_meets_a_new_daemon_with_a_clear_word() {
    let stage = Stage::new();
    stage.policy(&one_rule("s", "a/key", "[[\"true\"]]", ""));
    stage.serve("s").tool("list_allowed", json!({}));
    let answer = raw(&stage, "POST", "/v1/list_allowed", "authy-mcp-protocol: 999\r\n", "{}");
    assert!(answer.starts_with("HTTP/1.1 426") && answer.contains("authy-mcp-protocol: 1"), "{answer}");
    // And a new client an old daemon: one that says 999 of itself.
    stage.ok(&["lock"]);
    let listener = UnixListener::bind(socket(&stage)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(
                b"HTTP/1.1 426 Upgrade Required\r\nauthy-mcp-protocol: 999\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            );
        }
    });
    let refused = stage.serve("s").tool("list_allowed", json!({}))["structuredContent"].clone();
    assert!(refused["message"].as_str().unwrap().contains("999"), "{refused}");
    assert!(refused["hint"].as_str().unwrap().contains("authy-mcp lock"), "{refused}");
}

#[test]
fn who_sits_on_the_socket_learns_nothing_and_loses_its_place() {
    let (stage, file) = locked_stage();
    unlock(&stage, &file, &[]);
    let pid = status(&stage)["daemon"]["pid"].as_i64().unwrap();
    Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    eventually("the daemon is gone", || UnixStream::connect(socket(&stage)).is_err());
    std::fs::remove_file(socket(&stage)).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = UnixListener::bind(socket(&stage)).unwrap();
    let ear = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 65536];
            let length = stream.read(&mut request).unwrap_or(0);
            ear.lock().unwrap().extend_from_slice(&request[..length]);
            let body = r#"{"nonce":"00","proof":"00"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let out = stage.run(&["--passphrase-file", &file, "unlock", "--allow-user-namespace"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let noted = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(noted.contains("is not this vault's daemon"), "{noted}");
    let heard = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
    assert!(heard.contains("/v1/challenge"), "it was asked: {heard}");
    assert!(!heard.contains(PASSPHRASE) && !heard.contains("AGE-SECRET-KEY"), "{heard}");
    assert!(!heard.contains("retire"), "nothing is asked of who proves nothing: {heard}");
    let token = token(&stage, &file);
    let mut server = Server::start(stage.command().args(["serve", "--token-file", &token]));
    assert_eq!(server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["exit_code"], 0);
}

#[test]
fn a_killed_daemon_takes_its_runs_along_and_the_next_is_found() {
    let stage = Stage::new();
    stage.set("a/key", b"a-value-of-some-length");
    stage.policy(&one_rule("s", "a/key", "[[\"sleep\", \"*\"], [\"true\"]]", ""));
    let mut server = stage.serve("s");
    let id = server.send(
        "tools/call",
        json!({"name": "run_with_secrets", "arguments": {"command": ["sleep", "8001.5"], "secrets": ["a/key"]}}),
    );
    eventually("the run has begun", || !processes("sleep 8001.5").is_empty());
    let pid = status(&stage)["daemon"]["pid"].as_i64().unwrap();
    Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    eventually("the tree is gone", || processes("sleep 8001.5").is_empty());
    let refused = server.answer(id)["result"]["structuredContent"].clone();
    assert_eq!(refused["code"], "busy", "{refused}");
    assert_eq!(server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["exit_code"], 0);
    assert_ne!(status(&stage)["daemon"]["pid"].as_i64().unwrap(), pid);
    stage.ok(&["admin", "audit", "verify"]);
}

#[test]
fn a_fresh_daemon_lets_the_old_one_finish_what_it_runs() {
    let (stage, file) = locked_stage();
    unlock(&stage, &file, &[]);
    let token = token(&stage, &file);
    let mut server = Server::start(stage.command().args(["serve", "--token-file", &token]));
    let id = server.send(
        "tools/call",
        json!({"name": "run_with_secrets", "arguments": {"command": ["sleep", "2.25"], "secrets": ["a/key"]}}),
    );
    eventually("the run has begun", || !processes("sleep 2.25").is_empty());
    let before = status(&stage)["daemon"]["pid"].clone();
    unlock(&stage, &file, &[]);
    assert_ne!(status(&stage)["daemon"]["pid"], before);
    assert_eq!(server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["exit_code"], 0);
    let finished = server.answer(id)["result"]["structuredContent"].clone();
    assert_eq!((&finished["outcome"], &finished["exit_code"]), (&json!("exited"), &json!(0)), "{finished}");
}

#[test]
fn locking_ends_what_runs() {
    let (stage, file) = locked_stage();
    unlock(&stage, &file, &[]);
    let token = token(&stage, &file);
    let mut server = Server::start(stage.command().args(["serve", "--token-file", &token]));
    let id = server.send(
        "tools/call",
        json!({"name": "run_with_secrets", "arguments": {"command": ["sleep", "8002.5"], "secrets": ["a/key"]}}),
    );
    eventually("the run has begun", || !processes("sleep 8002.5").is_empty());
    stage.ok(&["lock"]);
    assert!(processes("sleep 8002.5").is_empty());
    let ended = server.answer(id)["result"]["structuredContent"].clone();
    assert_eq!(ended["outcome"], "revoked", "{ended}");
    let typed = stage.ok(&["--passphrase-file", &file, "admin", "audit", "export"]);
    assert_eq!(typed.matches("\"event\":\"outcome\"").count(), 1, "{typed}");
}

#[test]
fn who_keeps_a_connection_open_does_not_keep_the_keys_there() {
    let (stage, file) = locked_stage();
    unlock(&stage, &file, &[]);
    let silent = UnixStream::connect(socket(&stage)).unwrap();
    let mut half = UnixStream::connect(socket(&stage)).unwrap();
    half.write_all(b"POST /v1/list_allowed HTTP/1.1\r\nContent-Length: 10\r\nauthy-mcp-protocol: 1\r\n\r\n{")
        .unwrap();
    stage.ok(&["lock"]);
    drop((silent, half));
}

#[test]
fn a_daemon_locks_when_nobody_calls_and_when_it_is_too_old() {
    let (stage, file) = locked_stage();
    let unlocked = unlock(&stage, &file, &["--idle", "1s"]);
    assert_eq!(unlocked["daemon"]["idle_lock_seconds"], 1);
    eventually("it is idle", || status(&stage)["running"] == false);
    unlock(&stage, &file, &["--life", "1s"]);
    eventually("it is too old", || status(&stage)["running"] == false);
}

#[test]
fn a_daemon_does_not_outlive_its_home() {
    let stage = Stage::new();
    stage.policy(&one_rule("s", "a/key", "[[\"true\"]]", ""));
    stage.serve("s").tool("list_allowed", json!({}));
    let pid = status(&stage)["daemon"]["pid"].as_i64().unwrap();
    drop(stage);
    eventually("it is gone", || !PathBuf::from(format!("/proc/{pid}/exe")).exists());
}

#[test]
fn changes_hold_for_the_next_call_of_every_server() {
    let (stage, file) = locked_stage();
    unlock(&stage, &file, &[]);
    let token = token(&stage, &file);
    let mut servers: Vec<Server> =
        (0..4).map(|_| Server::start(stage.command().args(["serve", "--token-file", &token]))).collect();
    let run = json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"]});
    for server in &mut servers {
        assert_eq!(server.run(run.clone())["exit_code"], 0);
    }
    let typed = |words: &[&str]| stage.ok(&[&["--passphrase-file", file.as_str()], words].concat());
    // Rotated: the old value and the new are both masked.
    typed(&["admin", "set", "a/key", "--generate"]);
    for server in &mut servers {
        let ran = server.run(run.clone());
        assert_eq!((&ran["stdout"], &ran["redactions"]), (&json!("[redacted:a/key]\n"), &json!(1)));
    }
    // Another policy.
    let policy = stage.path("policy.toml");
    std::fs::write(&policy, one_rule("s", "a/key", "[[\"true\"]]", "")).unwrap();
    typed(&["admin", "policy", "apply", policy.to_str().unwrap(), "--yes"]);
    for server in &mut servers {
        assert_eq!(server.run(run.clone())["code"], "command_not_allowed");
    }
    // Revoked.
    let listed: Value = serde_json::from_str(&typed(&["--json", "admin", "token", "list"])).unwrap();
    typed(&["admin", "token", "revoke", listed[0]["id"].as_str().unwrap()]);
    for server in &mut servers {
        assert_eq!(server.run(run.clone())["code"], "token_invalid");
    }
}

#[test]
fn unlock_renews_what_config_wrote() {
    let (stage, file) = locked_stage();
    let config = |ttl: &str| {
        stage.ok(&["--passphrase-file", &file, "config", "json", "--scope", "s", "--ttl", ttl]);
        std::fs::read_to_string(stage.home().join("tokens").join("s-json.jwt")).unwrap()
    };
    let young = config("1h");
    assert_eq!(unlock(&stage, &file, &[])["renewed"], json!([]));
    let file_of_it = stage.home().join("tokens").join("s-json.jwt");
    assert_eq!(std::fs::read_to_string(&file_of_it).unwrap(), young, "a young one stays");
    let old = config("1s");
    thread::sleep(Duration::from_millis(1100));
    // What somebody else put there is not looked at.
    std::fs::write(stage.home().join("tokens").join("other.jwt"), "x").unwrap();
    let renewed = unlock(&stage, &file, &[])["renewed"].clone();
    assert_eq!(renewed, json!([file_of_it]));
    assert_ne!(std::fs::read_to_string(&file_of_it).unwrap(), old);
    // A revoked one isn't.
    let revoked = config("1s");
    let claims = URL_SAFE_NO_PAD.decode(revoked.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let id = claims["jti"].as_str().unwrap();
    stage.ok(&["--passphrase-file", &file, "admin", "token", "revoke", id]);
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(unlock(&stage, &file, &[])["renewed"], json!([]));
}

/// An agent: starts `serve` without any credential, twice, and says what it got.
const AGENT: &str = r#"#!/bin/sh
echo "socket $AUTHY_MCP_RUN"
ask() {
  printf '%s\n%s\n%s\n' \
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"agent","version":"1"}}}' \
    '{"jsonrpc":"2.0","method":"notifications/initialized"}' \
    '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"run_with_secrets","arguments":{"command":["printenv","A_KEY"],"secrets":["a/key"]}}}'
  sleep 1
}
ask | "$1" serve
echo waiting
cat > /dev/null
"#;

#[test]
fn an_agent_in_a_run_has_a_session_that_is_worth_nothing_elsewhere() {
    let (stage, file) = locked_stage();
    let agent = stage.script("agent", AGENT);
    let typed = |words: &[&str]| stage.ok(&[&["--passphrase-file", file.as_str()], words].concat());
    typed(&["admin", "allow", "s", "--yes", "--sandbox", "off", "--", &agent, "**"]);
    let binary = env!("CARGO_BIN_EXE_authy-mcp");
    let mut run = stage
        .command()
        .args(["--passphrase-file", &file, "run", "--scope", "s", "--", &agent, binary])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let mut out = run.stdout.take().unwrap();
    while !said.ends_with(b"waiting\n") {
        let mut byte = [0];
        assert_eq!(out.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("[redacted:a/key]") && said.contains("\"exit_code\":0"), "{said}");
    let socket = said.lines().next().unwrap().strip_prefix("socket ").unwrap().to_owned();
    assert!(!socket.is_empty() && !socket.contains(stage.home().to_str().unwrap()), "{socket}");

    // The same words in another process, while the run goes on.
    let outside = |stage: &Stage| {
        let mut server = Server::start(stage.command().env("AUTHY_MCP_RUN", &socket).arg("serve"));
        server.tool("list_allowed", json!({}))["structuredContent"]["code"].clone()
    };
    assert_eq!(outside(&stage), "token_invalid");
    drop(run.stdin.take());
    assert!(run.wait().unwrap().success());
    assert!(!PathBuf::from(&socket).exists(), "it ends with its run");
    assert_eq!(outside(&stage), "vault_locked");
}

#[test]
fn a_program_that_is_given_a_secret_is_given_no_session() {
    let stage = Stage::new();
    stage.set("a/key", b"a-value-of-some-length");
    stage.policy(&one_rule("s", "a/key", "[[\"env\"]]", ""));
    let shown = stage.ok(&["run", "--scope", "s", "--", "env"]);
    assert!(shown.contains("A_KEY=[redacted:a/key]") && !shown.contains("AUTHY_MCP"), "{shown}");
}
