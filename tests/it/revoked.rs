//! Runs end with their right: whatever takes it, whoever makes the change, wherever the broker is.

use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::stage::{Server, Stage, eventually, one_rule, processes};

fn policy(commands: &str, more: &str) -> String {
    one_rule("s", "a/*", commands, more)
}

const COMMANDS: &str = "[[\"sleep\", \"*\"], [\"true\"]]";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.set("a/key", b"S3cretValueZebra9417");
    stage.set("a/other", b"other-value-3Mf9Kd");
    stage.policy(&policy(COMMANDS, ""));
    stage
}

fn issue(stage: &Stage, name: &str, more: &[&str]) -> String {
    let file = stage.path(name).to_str().unwrap().to_owned();
    stage.ok(&[&["admin", "token", "issue", "--scope", "s", "--out", &file], more].concat());
    file
}

fn serve(stage: &Stage, token: &str) -> Server {
    Server::start(stage.command().args(["serve", "--token-file", token]))
}

fn id_of(stage: &Stage, subject: &str) -> String {
    let tokens: Vec<Value> = serde_json::from_str(&stage.ok(&["--json", "admin", "token", "list"])).unwrap();
    let found = tokens.iter().find(|token| token["subject"] == subject).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

/// A run that would go on for hours, and is there.
struct Going {
    server: Server,
    id: u64,
    marker: String,
}

impl Going {
    fn begin(mut server: Server, seconds: &str) -> Self {
        let arguments = json!({"command": ["sleep", seconds], "secrets": ["a/key"]});
        let id = server.send("tools/call", json!({"name": "run_with_secrets", "arguments": arguments}));
        let marker = format!("sleep {seconds}");
        eventually("the run has begun", || !processes(&marker).is_empty());
        Self { server, id, marker }
    }

    #[track_caller]
    fn ends_revoked(mut self, why: &str) -> Server {
        let answer = self.server.answer(self.id)["result"].clone();
        let ended = &answer["structuredContent"];
        assert_eq!(ended["outcome"], "revoked", "{why}: {answer}");
        assert!(answer["content"][0]["text"].as_str().unwrap().contains("taken back"), "{why}: {answer}");
        assert!(processes(&self.marker).is_empty(), "{why}");
        self.server
    }
}

#[test]
fn a_token_that_is_revoked_in_the_third_second_of_a_run_of_eight_ends_it() {
    let stage = stage();
    let token = issue(&stage, "t.jwt", &["--subject", "one"]);
    let going = Going::begin(serve(&stage, &token), "8.25");
    thread::sleep(Duration::from_secs(2));
    stage.ok(&["admin", "token", "revoke", &id_of(&stage, "one")]);
    let mut server = going.ends_revoked("revoked");
    let next = server.run(json!({"command": ["true"], "secrets": ["a/key"]}));
    assert_eq!(next["code"], "token_invalid", "{next}");
    let outcomes: Vec<_> = stage.audit().into_iter().filter(|e| e["event"] == "outcome").collect();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0]["outcome"], "revoked");
    assert!(outcomes[0]["duration_ms"].as_u64().unwrap() < 8000, "{outcomes:?}");
    stage.ok(&["admin", "audit", "verify"]);
}

#[test]
fn whatever_takes_the_right_ends_the_run() {
    let stage = stage();
    let fresh = || stage.policy(&policy(COMMANDS, ""));
    let limits =
        |text: &str| policy(COMMANDS, "").replace("[sandbox]", &format!("[limits]\n{text}\n[sandbox]"));
    type Way<'a> = Box<dyn Fn(&Stage) + 'a>;
    let ways: Vec<(&str, Way<'_>)> = vec![
        (
            "its subject is revoked",
            Box::new(|stage| drop(stage.ok(&["admin", "token", "revoke", "--subject", "one"]))),
        ),
        ("the command is allowed no more", Box::new(|stage| stage.policy(&policy("[[\"true\"]]", "")))),
        ("another pattern", Box::new(|stage| stage.policy(&policy("[[\"sleep\", \"1\"], [\"true\"]]", "")))),
        (
            "the secret is out of scope",
            Box::new(|stage| stage.policy(&policy(COMMANDS, "").replace("a/*", "a/other"))),
        ),
        (
            "the secret goes into a file",
            Box::new(|stage| stage.policy(&policy(COMMANDS, "").replace("\"env\"", "\"file\""))),
        ),
        (
            "less of the output is returned",
            Box::new(|stage| stage.policy(&policy(COMMANDS, "output = \"status\""))),
        ),
        ("the timeout is shorter", Box::new(move |stage| stage.policy(&limits("timeout = \"1m\"")))),
        ("tokens live shorter", Box::new(move |stage| stage.policy(&limits("token_ttl = \"1s\"")))),
        ("and end a little later", Box::new(move |stage| stage.policy(&limits("token_ttl = \"6s\"")))),
        ("no policy", Box::new(|stage| drop(stage.ok(&["admin", "policy", "rm", "s", "--yes"])))),
    ];
    for (number, (why, take)) in ways.iter().enumerate() {
        fresh();
        let token = issue(&stage, &format!("{number}.jwt"), &["--subject", "one"]);
        let going = Going::begin(serve(&stage, &token), &format!("70{number}.5"));
        take(&stage);
        going.ends_revoked(why);
    }
    fresh();
    let token = issue(&stage, "rm.jwt", &[]);
    let going = Going::begin(serve(&stage, &token), "711.5");
    stage.ok(&["admin", "rm", "a/key", "--yes"]);
    going.ends_revoked("the secret is removed");
    stage.ok(&["admin", "audit", "verify"]);
}

#[test]
fn what_it_rests_on_ends_it_too() {
    let stage = stage();
    // Its own end.
    let short = issue(&stage, "short.jwt", &["--ttl", "4s"]);
    Going::begin(serve(&stage, &short), "721.5").ends_revoked("the token has ended");
    // Its parent's revocation, and what its parent gives up.
    for (number, give_up) in [(0, false), (1, true)] {
        let token = issue(&stage, &format!("p{number}.jwt"), &["--subject", &format!("p{number}")]);
        let mut parent = serve(&stage, &token);
        let granted = parent.tool("request_token", json!({"purpose": "subagent", "reason": "x"}));
        let child = granted["structuredContent"]["token_file"].as_str().unwrap().to_owned();
        let going = Going::begin(serve(&stage, &child), &format!("73{number}.5"));
        if give_up {
            parent.tool(
                "request_token",
                json!({"purpose": "narrow_me", "secrets": ["a/other"], "reason": "x"}),
            );
        } else {
            stage.ok(&["admin", "token", "revoke", &id_of(&stage, &format!("p{number}"))]);
        }
        going.ends_revoked("its parent has it no more");
    }
    // The end of the session that issued it without a token.
    let mut server = stage.serve("s");
    let granted = server.tool("request_token", json!({"purpose": "subagent", "reason": "x"}));
    let child = granted["structuredContent"]["token_file"].as_str().unwrap().to_owned();
    let going = Going::begin(serve(&stage, &child), "741.5");
    server.hang_up();
    going.ends_revoked("the session that issued it has ended");
    // What its own session gives up.
    let mut going = Going::begin(stage.serve("s"), "751.5");
    let wish = json!({"purpose": "narrow_me", "commands": [["true"]], "reason": "x"});
    let id = going.server.send("tools/call", json!({"name": "request_token", "arguments": wish}));
    going.server.answer(id);
    going.ends_revoked("its session gave it up");
}

#[test]
fn a_run_goes_on_while_its_right_does() {
    let stage = stage();
    let token = issue(&stage, "t.jwt", &["--max-uses", "1"]);
    let mut going = Going::begin(serve(&stage, &token), "6.75");
    stage.set("a/other", b"another-value-77Qm1");
    stage.set("a/key", b"rotated-value-55Rt2x");
    stage.policy(&policy("[[\"sleep\", \"*\"], [\"true\"], [\"printenv\", \"*\"]]", ""));
    stage.policy(&policy(COMMANDS, "").replace("\"s\"", "\"another\""));
    let more = issue(&stage, "more.jwt", &["--subject", "more"]);
    assert_eq!(serve(&stage, &more).run(json!({"command": ["true"], "secrets": ["a/key"]}))["exit_code"], 0);
    let mut narrowed = serve(&stage, &more);
    narrowed.tool("request_token", json!({"purpose": "narrow_me", "secrets": [], "reason": "x"}));
    stage.ok(&["admin", "token", "revoke", &id_of(&stage, "more")]);
    let ended = going.server.answer(going.id)["result"]["structuredContent"].clone();
    assert_eq!((&ended["outcome"], &ended["exit_code"]), (&json!("exited"), &json!(0)), "{ended}");
    assert_eq!(
        going.server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["code"],
        "token_expired",
        "it had one use, and that was no reason to end it"
    );
}

#[test]
fn a_program_that_does_not_end_when_it_is_told_to_is_killed() {
    let stage = stage();
    let script = stage.script("stays", "#!/bin/sh\ntrap '' TERM\nexec sleep 761.5\n");
    stage.policy(&policy(&format!("[[\"{script}\"]]"), ""));
    let token = issue(&stage, "t.jwt", &["--subject", "one"]);
    let mut server = serve(&stage, &token);
    let arguments = json!({"command": [script], "secrets": ["a/key"]});
    let id = server.send("tools/call", json!({"name": "run_with_secrets", "arguments": arguments}));
    eventually("the run has begun", || !processes("sleep 761.5").is_empty());
    stage.ok(&["admin", "token", "revoke", &id_of(&stage, "one")]);
    let ended = server.answer(id)["result"]["structuredContent"].clone();
    assert_eq!(ended["outcome"], "revoked", "{ended}");
    assert!(processes("sleep 761.5").is_empty());
}

#[test]
fn a_run_on_a_person_s_terminal_ends_with_its_right() {
    let stage = stage();
    let mut run: Command = stage.command();
    run.args(["run", "--scope", "s", "--secret", "a/key", "--", "sleep", "771.5"]);
    let run = run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // What starts it has the command in its own line.
    eventually("the run has begun", || processes("sleep 771.5").len() > 1);
    stage.policy(&policy("[[\"true\"]]", ""));
    let done = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(126), "{said}");
    assert!(said.contains("what allowed it was taken back"), "{said}");
    assert!(stage.audit().iter().any(|event| event["outcome"] == "revoked"));
}
