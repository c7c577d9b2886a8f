//! Rights as they are at use: what a token is worth is what everything it rests on is worth at that moment, and a
//! run ends with its right.

use std::{
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    process::Stdio,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::stage::{Server, Stage, eventually, one_rule};

const KEY: &str = "S3cretValueZebra9417";

/// A vault with two secrets, and a scope whose tokens live a day.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.set("a/key", KEY.as_bytes());
    stage.set("a/other", b"other-value-3Mf9Kd");
    stage.policy(&policy("1d"));
    stage
}

fn policy(token_ttl: &str) -> String {
    one_rule("s", "a/*", "[[\"printenv\", \"*\"], [\"sleep\", \"*\"], [\"true\"]]", "")
        .replace("[sandbox]", &format!("[limits]\ntoken_ttl = \"{token_ttl}\"\n[sandbox]"))
}

fn issue(stage: &Stage, more: &[&str]) -> String {
    let file = stage.path(&format!("t{}.jwt", more.concat())).to_str().unwrap().to_owned();
    stage.ok(&[&["admin", "token", "issue", "--scope", "s", "--out", &file], more].concat());
    file
}

fn serve(stage: &Stage, token: &str) -> Server {
    Server::start(stage.command().args(["serve", "--token-file", token]))
}

fn key() -> Value {
    json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"]})
}

fn other() -> Value {
    json!({"command": ["printenv", "A_OTHER"], "secrets": ["a/other"]})
}

#[track_caller]
fn ask(server: &mut Server, purpose: &str, more: &Value) -> Value {
    let mut arguments = json!({"purpose": purpose, "reason": "x"});
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.tool("request_token", arguments)["structuredContent"].clone()
}

/// Has a session issue a token for a helper; its file.
#[track_caller]
fn delegate(server: &mut Server, more: &Value) -> String {
    let granted = ask(server, "subagent", more);
    assert_eq!(granted["status"], "granted", "{granted}");
    granted["token_file"].as_str().unwrap().to_owned()
}

fn list(stage: &Stage) -> Vec<Value> {
    serde_json::from_str(&stage.ok(&["--json", "admin", "token", "list"])).unwrap()
}

/// The id of the token in a file: the claim `jti` of what anybody can read who has it.
fn id_in(file: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let text = std::fs::read_to_string(file).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(text.trim().split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["jti"].as_str().unwrap().to_owned()
}

fn seconds(rfc3339: &Value) -> i64 {
    rfc3339.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second()
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[track_caller]
fn all_refused(stage: &Stage, files: &[&String], code: &str) {
    for file in files {
        let refused = serve(stage, file).run(key());
        assert_eq!(refused["code"], code, "{file}: {refused}");
    }
}

#[test]
fn a_child_has_lost_what_its_parent_has() {
    let stage = stage();
    let token = issue(&stage, &[]);
    let mut parent = serve(&stage, &token);
    let child = delegate(&mut parent, &json!({}));
    let mut child_server = serve(&stage, &child);
    let grandchild = delegate(&mut child_server, &json!({}));
    let mut grandchild = serve(&stage, &grandchild);
    for server in [&mut child_server, &mut grandchild] {
        assert_eq!(server.run(other())["exit_code"], 0);
    }
    // Commands, given up after the children were issued.
    ask(&mut parent, "narrow_me", &json!({"commands": [["printenv", "A_KEY"]]}));
    for server in [&mut parent, &mut child_server, &mut grandchild] {
        assert_eq!(server.run(other())["code"], "command_not_allowed");
        assert_eq!(server.run(key())["exit_code"], 0);
    }
    // Secrets.
    ask(&mut child_server, "narrow_me", &json!({"secrets": []}));
    assert_eq!(grandchild.run(key())["code"], "not_available", "its parent has none");
    assert_eq!(parent.run(key())["exit_code"], 0, "a child takes nothing from its parent");
    // Time.
    let ended = ask(&mut parent, "narrow_me", &json!({"ttl_seconds": 1}));
    assert!(seconds(&ended["expires_at"]) <= now() + 1, "{ended}");
    thread::sleep(Duration::from_secs(2));
    for server in [&mut parent, &mut child_server, &mut grandchild] {
        assert_eq!(server.run(key())["code"], "token_expired");
    }
    assert_eq!(
        serve(&stage, &token).run(key())["exit_code"],
        0,
        "another session of the token has all of it"
    );
}

#[test]
fn what_is_used_below_is_used_above() {
    let stage = stage();
    let token = issue(&stage, &["--max-uses", "3"]);
    let mut parent = serve(&stage, &token);
    let granted = ask(&mut parent, "subagent", &json!({"max_uses": 100}));
    assert_eq!(granted["max_uses"], 3, "{granted}");
    let child = granted["token_file"].as_str().unwrap().to_owned();
    let mut child = serve(&stage, &child);
    assert_eq!(child.run(key())["exit_code"], 0);
    for _ in 0..2 {
        assert_eq!(parent.run(key())["exit_code"], 0);
    }
    assert_eq!(child.run(key())["code"], "token_expired", "its parent has no run left");
    assert_eq!(parent.run(key())["code"], "token_expired");
    // The same where the uses are of a narrowing, made after the child was.
    let token = issue(&stage, &["--ttl", "1h"]);
    let mut parent = serve(&stage, &token);
    let child = delegate(&mut parent, &json!({}));
    let mut child = serve(&stage, &child);
    ask(&mut parent, "narrow_me", &json!({"max_uses": 1}));
    assert_eq!(child.run(key())["exit_code"], 0);
    assert_eq!(child.run(key())["code"], "token_expired");
    assert_eq!(parent.run(key())["code"], "token_expired");
}

#[test]
fn the_policy_of_today_says_how_long_a_token_lives() {
    let stage = stage();
    let token = issue(&stage, &[]);
    let mut server = serve(&stage, &token);
    let child = delegate(&mut server, &json!({"ttl_seconds": 7200}));
    let mut child = serve(&stage, &child);
    thread::sleep(Duration::from_secs(2));
    stage.policy(&policy("1s"));
    for server in [&mut server, &mut child] {
        assert_eq!(server.run(key())["code"], "token_expired");
    }
    assert!(list(&stage).iter().all(|token| token["state"] == "ended"), "{:?}", list(&stage));
    stage.policy(&policy("1d"));
    for server in [&mut server, &mut child] {
        assert_eq!(server.run(key())["exit_code"], 0, "what was signed holds again");
    }
}

#[test]
fn no_wish_outlives_what_it_is_made_under() {
    let stage = stage();
    let token = issue(&stage, &["--ttl", "1h"]);
    let end = now() + 3600;
    for wish in [json!(3_000_000_000_u64), json!(u64::MAX), json!(7200)] {
        let granted = ask(&mut serve(&stage, &token), "subagent", &json!({"ttl_seconds": wish}));
        assert!((end - 30..=end).contains(&seconds(&granted["expires_at"])), "{granted}");
        let narrowed = ask(&mut serve(&stage, &token), "narrow_me", &json!({"ttl_seconds": wish}));
        assert!((end - 30..=end).contains(&seconds(&narrowed["expires_at"])), "{narrowed}");
        // A session without a token ends by itself never, and what it wishes for, with token_ttl.
        let day = now() + 24 * 3600;
        for purpose in ["subagent", "narrow_me"] {
            let granted = ask(&mut stage.serve("s"), purpose, &json!({"ttl_seconds": wish}));
            assert!(seconds(&granted["expires_at"]) <= day + 5, "{purpose}: {granted}");
        }
    }
    let narrowed = ask(&mut serve(&stage, &token), "narrow_me", &json!({"secrets": []}));
    assert!((end - 30..=end).contains(&seconds(&narrowed["expires_at"])), "an end is shown: {narrowed}");
    for token in list(&stage) {
        assert!(seconds(&token["ends_at"]) <= now() + 24 * 3600 + 5, "{token}");
    }
    let refused = stage.fails(2, &["admin", "token", "issue", "--scope", "s", "--ttl", "2d"]);
    assert!(refused.contains("86400"), "{refused}");
}

#[test]
fn what_a_session_without_a_token_issued_ends_with_it() {
    let stage = stage();
    let mut server = stage.serve("s");
    let child = delegate(&mut server, &json!({}));
    let mut helper = serve(&stage, &child);
    let grandchild = delegate(&mut helper, &json!({}));
    assert_eq!(helper.run(key())["exit_code"], 0);
    assert_eq!(serve(&stage, &grandchild).run(key())["exit_code"], 0);
    ask(&mut server, "narrow_me", &json!({"secrets": ["a/key"]}));
    assert_eq!(helper.run(other())["code"], "not_available", "what its parent gave up after it was issued");
    server.hang_up();
    let refused = helper.run(key());
    assert_eq!(refused["code"], "token_expired", "{refused}");
    all_refused(&stage, &[&child, &grandchild], "token_expired");
    // With the next change nothing of it is left.
    issue(&stage, &[]);
    assert_eq!(list(&stage).len(), 1);
    assert!(!std::path::Path::new(&child).exists() && !std::path::Path::new(&grandchild).exists());
}

#[test]
fn a_run_s_session_delegates_to_its_tree_and_ends_with_it() {
    let stage = stage();
    let binary = env!("CARGO_BIN_EXE_authy-mcp");
    let no_daemon = if crate::DAEMON { "" } else { "--no-daemon" };
    let line = |id: u32, arguments: &Value, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}});
    let ask = line(
        1,
        &json!({"purpose": "subagent", "ttl_seconds": 3_000_000_000_u64, "reason": "x"}),
        "request_token",
    );
    let run = line(1, &key(), "run_with_secrets");
    let (out, used, go) = (stage.path("granted"), stage.path("used"), stage.path("go"));
    // What an agent does: asks for a helper's token, uses it in its tree, and waits.
    let script = format!(
        "#!/bin/sh\nexport AUTHY_MCP_HOME={home} PATH=/usr/bin:/bin\n\
         (printf '%s\\n' '{hello}' '{ask}'; sleep 1) | {binary} serve >{out}.new\nmv {out}.new {out}\n\
         file=$(tail -n 1 {out} | sed 's/.*\"token_file\":\"\\([^\"]*\\)\".*/\\1/')\n\
         (printf '%s\\n' '{hello}' '{run}'; sleep 3) | {binary} {no_daemon} serve --token-file \"$file\" >{used}.new\nmv {used}.new {used}\n\
         while ! [ -e {go} ]; do sleep 0.1; done\n",
        home = stage.home().display(),
        out = out.display(),
        used = used.display(),
        go = go.display(),
    );
    let script = stage.script("agent", &script);
    stage.ok(&["admin", "allow", "s", "--sandbox", "off", "--yes", "--", &script]);
    let mut agent = stage
        .command()
        .env("XDG_RUNTIME_DIR", stage.dir.path())
        .args(["run", "--scope", "s", "--", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the agent has used its helper's token", || used.exists());
    let last = |path| {
        let text = std::fs::read_to_string(path).unwrap();
        serde_json::from_str::<Value>(text.lines().last().unwrap()).unwrap()["result"]["structuredContent"]
            .clone()
    };
    let granted = last(&out);
    assert_eq!(granted["status"], "granted", "{granted}");
    assert!(seconds(&granted["expires_at"]) <= now() + 24 * 3600, "{granted}");
    assert_eq!(last(&used)["exit_code"], 0, "good inside of the tree: {}", last(&used));
    let file = granted["token_file"].as_str().unwrap().to_owned();
    let refused = serve(&stage, &file).run(key());
    assert_eq!(refused["code"], "token_invalid", "outside of the tree, while the run goes on: {refused}");
    assert!(refused["message"].as_str().unwrap().contains("process tree"), "{refused}");
    std::fs::write(&go, "").unwrap();
    assert!(agent.wait().unwrap().success());
    all_refused(&stage, &[&file], "token_expired");
}

#[test]
fn a_narrowing_is_the_process_s_and_no_renewal_is_dead() {
    let stage = stage();
    let token = issue(&stage, &[]);
    let (mut one, mut two) = (serve(&stage, &token), serve(&stage, &token));
    ask(&mut one, "narrow_me", &json!({"secrets": [], "commands": [], "ttl_seconds": 1}));
    thread::sleep(Duration::from_secs(2));
    assert_eq!(one.run(key())["code"], "token_expired", "its own session has ended");
    assert_eq!(two.run(key())["exit_code"], 0, "one that ran already");
    assert_eq!(serve(&stage, &token).run(key())["exit_code"], 0, "and one that is started now");
    let id = id_in(&token);
    assert_eq!(list(&stage)[0]["narrowed"], true);
    let shown = stage.ok(&["admin", "token", "show", &id]);
    assert!(shown.contains("the session g_") && shown.contains("admin token lift"), "{shown}");
    assert_eq!(
        stage.ok(&["admin", "token", "lift", &id]).trim(),
        format!("lifted 1 narrowing of {id}; it holds from the next call on")
    );
    assert_eq!(one.run(key())["exit_code"], 0);
    assert!(
        stage.audit().iter().any(|event| event["action"] == "token_lift" && event["target"] == id.as_str())
    );
    assert!(stage.ok(&["admin", "token", "lift", &id]).contains("is not narrowed"));
    assert!(stage.fails(5, &["admin", "token", "lift", "t_none"]).contains("no token t_none"));
    assert!(stage.fails(5, &["admin", "token", "show", "t_none"]).contains("no token t_none"));
}

/// A server over HTTP, for one call at a time.
struct Http {
    child: std::process::Child,
    addr: String,
}

impl Http {
    fn start(stage: &Stage) -> Self {
        let mut child = stage
            .command()
            .args(["serve", "--http", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut err = child.stderr.take().unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"/mcp\n") {
            let mut byte = [0];
            err.read_exact(&mut byte).unwrap();
            said.push(byte[0]);
        }
        let said = String::from_utf8(said).unwrap();
        let (_, rest) = said.split_once("listening on http://").unwrap();
        let addr = rest.trim().trim_end_matches("/mcp").to_owned();
        thread::spawn(move || err.read_to_end(&mut Vec::new()));
        Self { child, addr }
    }

    /// The status, and the structure of a tool's answer.
    fn tool(&self, token: &str, tool: &str, arguments: &Value) -> (u16, Value) {
        let token = std::fs::read_to_string(token).unwrap();
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments, "_meta": meta}}).to_string();
        let mut stream = std::net::TcpStream::connect(&self.addr).unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.addr,
            token.trim(),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let from = answer.find("{\"").map_or("null", |at| &answer[at..]);
        let message: Value = serde_json::Deserializer::from_str(from)
            .into_iter()
            .next()
            .and_then(Result::ok)
            .unwrap_or_default();
        (status, message["result"]["structuredContent"].clone())
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn over_http_a_narrowing_is_the_token_s_until_an_operator_lifts_it() {
    let stage = stage();
    let (token, another) = (issue(&stage, &[]), issue(&stage, &["--ttl", "2h"]));
    let http = Http::start(&stage);
    let child = http.tool(&token, "request_token", &json!({"purpose": "subagent", "reason": "x"})).1;
    let child = child["token_file"].as_str().unwrap().to_owned();
    let (_, narrowed) = http.tool(
        &token,
        "request_token",
        &json!({"purpose": "narrow_me", "secrets": ["a/key"], "reason": "x"}),
    );
    assert_eq!(narrowed["secrets"], json!(["a/key"]), "{narrowed}");
    assert!(narrowed["next"].as_str().unwrap().contains("everybody who shows this token"), "{narrowed}");
    assert_eq!(http.tool(&token, "run_with_secrets", &other()).1["code"], "not_available");
    assert_eq!(
        http.tool(&another, "run_with_secrets", &other()).1["exit_code"],
        0,
        "another token is another's"
    );
    assert_eq!(serve(&stage, &token).run(other())["code"], "not_available", "over stdio, too");
    assert_eq!(serve(&stage, &child).run(other())["code"], "not_available", "what it issued before, too");
    drop(http);
    let http = Http::start(&stage);
    assert_eq!(http.tool(&token, "run_with_secrets", &other()).1["code"], "not_available", "a restart, too");
    let shown = stage.ok(&["admin", "token", "show", &id_in(&token)]);
    assert!(shown.contains("everybody who shows it") && shown.contains("secrets left: a/key"), "{shown}");
    stage.ok(&["admin", "token", "lift", &id_in(&token)]);
    assert_eq!(http.tool(&token, "run_with_secrets", &other()).1["exit_code"], 0);
    // One that ends the token, and is lifted.
    http.tool(&token, "request_token", &json!({"purpose": "narrow_me", "ttl_seconds": 1, "reason": "x"}));
    thread::sleep(Duration::from_secs(2));
    assert_eq!(http.tool(&token, "run_with_secrets", &key()).0, 401);
    stage.ok(&["admin", "token", "lift", &id_in(&token)]);
    assert_eq!(http.tool(&token, "run_with_secrets", &key()).1["exit_code"], 0);
}

#[test]
fn a_list_says_for_whom_under_what_and_until_when() {
    let stage = stage();
    stage.ok(&["config", "cursor", "--scope", "s", "--token", "--write"]);
    let file = stage.home().join("tokens/s-cursor.jwt").to_str().unwrap().to_owned();
    let child = delegate(&mut serve(&stage, &file), &json!({"secrets": ["a/key"]}));
    let tokens = list(&stage);
    let find = |id: &str| tokens.iter().find(|token| token["id"] == id).unwrap();
    let (parent, child) = (find(&id_in(&file)), find(&id_in(&child)));
    assert_eq!((&parent["client"], &parent["narrowed"]), (&json!("cursor"), &json!(false)), "{parent}");
    assert_eq!(
        (&child["parent"], &child["narrowed"], &child["scope"], &child["state"]),
        (&parent["id"], &json!(true), &json!("s"), &json!("good")),
        "{child}"
    );
    let text = stage.ok(&["admin", "token", "list"]);
    assert!(text.contains("CLIENT") && text.contains("cursor") && text.contains("good, narrowed"), "{text}");
    let report = stage.ok(&["doctor"]);
    assert!(report.contains("of s for cursor ends in 2"), "warned before it ends: {report}");
    assert!(!report.contains(child["id"].as_str().unwrap()), "a helper's is nobody's to renew: {report}");
    stage.ok(&["admin", "token", "revoke", parent["id"].as_str().unwrap()]);
    assert!(list(&stage).iter().all(|token| token["state"] == "revoked"), "{:?}", list(&stage));
}

#[test]
fn an_agent_s_calls_do_not_fill_the_vault() {
    let stage = stage();
    let token = issue(&stage, &[]);
    let mut server = serve(&stage, &token);
    let mut refused = Value::Null;
    let mut files = Vec::new();
    for _ in 0..70 {
        let granted = ask(&mut server, "subagent", &json!({"ttl_seconds": 86_400}));
        match granted["token_file"].as_str() {
            Some(file) => files.push(file.to_owned()),
            None => refused = granted,
        }
    }
    assert_eq!((files.len(), &refused["code"]), (64, &json!("rate_limited")), "{refused}");
    // At whatever depth.
    assert_eq!(ask(&mut serve(&stage, &files[0]), "subagent", &json!({}))["code"], "rate_limited");
    for _ in 0..20 {
        refused = ask(&mut server, "narrow_me", &json!({"secrets": ["a/key"]}));
    }
    assert_eq!(refused["code"], "rate_limited", "{refused}");
    assert_eq!(server.run(key())["exit_code"], 0, "and it goes on with what it has");
}

#[test]
fn what_has_ended_is_removed_and_no_revocation_too_early() {
    let stage = stage();
    let token = issue(&stage, &[]);
    let mut server = serve(&stage, &token);
    let short = delegate(&mut server, &json!({"ttl_seconds": 1}));
    let revoked = delegate(&mut server, &json!({"ttl_seconds": 1}));
    let lives = delegate(&mut server, &json!({}));
    stage.ok(&["admin", "token", "revoke", &id_in(&revoked)]);
    let id = id_in(&revoked);
    thread::sleep(Duration::from_secs(7));
    let asked = delegate(&mut server, &json!({}));
    assert!(!std::path::Path::new(&short).exists(), "with the next one that was asked for");
    issue(&stage, &["--ttl", "1h"]);
    assert_eq!(list(&stage).len(), 4, "two of an operator's, two of a session's: {:?}", list(&stage));
    assert!(
        stage.ok(&["admin", "token", "show", &id]).contains("revoked"),
        "a day longer than it could be shown"
    );
    for file in [&lives, &asked] {
        assert_eq!(serve(&stage, file).run(key())["exit_code"], 0);
    }
    stage.ok(&["admin", "verify"]);
}

#[test]
fn a_token_file_that_others_can_read_is_refused() {
    let stage = stage();
    let token = issue(&stage, &[]);
    for mode in [0o644, 0o640, 0o604, 0o620, 0o602] {
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut server = serve(&stage, &token);
        for refused in
            [server.run(key()), server.tool("list_allowed", json!({}))["structuredContent"].clone()]
        {
            assert_eq!(refused["code"], "token_invalid", "{mode:o}: {refused}");
            assert_eq!(refused["hint"], format!("chmod 600 {token}"), "{mode:o}");
        }
    }
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(serve(&stage, &token).run(key())["exit_code"], 0, "the hint is right");
}

#[test]
fn asking_for_more_is_answered_with_the_command_that_gives_it() {
    let stage = stage();
    let mut server = stage.serve("s");
    let wish = json!({"secrets": ["prod/key"], "commands": [["psql", "-c", "select 'x'; --"]]});
    let answer = ask(&mut server, "more", &wish);
    assert_eq!(answer["status"], "denied", "{answer}");
    let next = answer["next"].as_str().unwrap();
    let command = "authy-mcp admin allow s --secret prod/key -- psql -c \"select 'x'; --\"";
    assert!(next.ends_with(command) && next.contains("nobody is asked"), "{next}");
    assert!(stage.audit().iter().any(|event| event["action"] == "asked_for_more"));
    let answer = ask(&mut server, "more", &json!({"commands": [["x\u{202e}\u{1b}[2J"]]}));
    assert!(answer["next"].as_str().unwrap().ends_with("--secret NAME -- PROGRAM ARGUMENT"), "{answer}");
    let id = server.send("tools/list", json!({}));
    let tools = server.answer(id);
    let described = tools["result"]["tools"][2]["description"].as_str().unwrap();
    assert!(described.contains("always denied"), "{described}");
    stage.ok(&["admin", "allow", "s", "--yes", "--secret", "a/key", "--", "true"]);
}
