//! Every byte that a server writes, in a session that uses all of it, at the most verbose level: no
//! injected value is in it, in no encoding.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Stdio,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::stage::{Server, Stage, one_rule};

const VALUE: &str = "tap/value \"9Xq\" & <3Lm>'s 7Zk";

/// The value as others would write it, worked out here and not by the code under test.
fn encodings() -> Vec<(&'static str, String)> {
    let hex: String = VALUE.bytes().map(|b| format!("{b:02x}")).collect();
    let percent: String = VALUE
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let quoted = serde_json::to_string(VALUE).unwrap();
    // Behind one and two other bytes, the characters that the value alone decides.
    let aligned = |n: usize| {
        let text = STANDARD.encode(format!("{}{VALUE}", "x".repeat(n)));
        text[(8 * n).div_ceil(6)..text.len() - 4].to_owned()
    };
    vec![
        ("raw", VALUE.to_owned()),
        ("json", quoted.trim_matches('"').to_owned()),
        (
            "json in json",
            serde_json::to_string(quoted.trim_matches('"')).unwrap().trim_matches('"').to_owned(),
        ),
        ("hex", hex.clone()),
        ("HEX", hex.to_uppercase()),
        ("percent", percent),
        ("base64", aligned(0)),
        ("base64+1", aligned(1)),
        ("base64+2", aligned(2)),
        ("xml", VALUE.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")),
        ("reassembled", "9Xq".to_owned()),
    ]
}

fn stage() -> (Stage, String) {
    let stage = Stage::new();
    stage.set("a/key", VALUE.as_bytes());
    let script = stage.script(
        "leak",
        "#!/bin/sh\nprintf '%s\\n' \"$A_KEY\"\nprintf '%s' \"$A_KEY\" | base64 -w0\necho\nprintf 'x%s' \"$A_KEY\" | base64 -w0\necho\nprintf 'xx%s' \"$A_KEY\" | base64 -w0\necho\nprintf '%s' \"$A_KEY\" | od -An -tx1 | tr -d ' \\n'\necho\nprintf '%s\\n' \"$A_KEY\" >&2\nexit 3\n",
    );
    stage.policy(&one_rule(
        "s",
        "a/key",
        &format!("[[\"{script}\", \"**\"], [\"printenv\", \"A_KEY\"], [\"sleep\", \"*\"]]"),
        "",
    ));
    (stage, script)
}

#[track_caller]
fn holds_nothing(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for (kind, form) in encodings() {
        assert!(!text.contains(&form), "{kind} of the value was written");
    }
    let masked = text.matches("[redacted:a/key]").count();
    assert!(
        masked >= 6,
        "the session leaked nothing because it did nothing: {masked} masks in {} bytes",
        bytes.len()
    );
}

#[test]
fn over_stdio() {
    let (stage, script) = stage();
    let mut server = Server::start(stage.command().args(["-vvv", "serve", "--scope", "s"]));
    let id = server.send("tools/list", json!({}));
    server.answer(id);
    server.tool("list_allowed", json!({}));
    let id = server.send("tools/call", json!({"name": "run_with_secrets", "arguments": {"command": [script], "secrets": ["a/key"]}, "_meta": {"progressToken": 7}}));
    let ran = server.answer(id);
    assert_eq!(ran["result"]["structuredContent"]["exit_code"], 3, "{ran}");
    assert!(!server.notifications("notifications/progress").is_empty());
    // An agent that got hold of the value elsewhere and sends it: nothing of it comes back.
    server.tool("run_with_secrets", json!({"command": [script, VALUE], "secrets": ["a/key"]}));
    server.tool("run_with_secrets", json!({"command": [VALUE], "secrets": ["a/key"]}));
    server.tool("run_with_secrets", json!({"command": ["x"], "env": {VALUE: "x"}}));
    server.tool("run_with_secrets", json!({"command": ["x"], VALUE: 1}));
    server.tool("run_with_secrets", json!({"command": ["x"], "secrets": [VALUE]}));
    server.tool("run_with_secrets", json!({"command": ["x"], "cwd": VALUE}));
    server.tool("request_token", json!({"purpose": "more", "reason": VALUE}));
    let id = server.send("tools/call", json!({"name": "no_such_tool", "arguments": {"x": 1}}));
    assert!(server.answer(id).get("error").is_some());
    holds_nothing(&server.hang_up());
    let log = std::fs::read(stage.home().join("audit/log.jsonl")).unwrap();
    for (kind, form) in encodings() {
        assert!(!String::from_utf8_lossy(&log).contains(&form), "{kind} of the value is in the audit log");
    }
}

#[test]
fn over_http() {
    let (stage, script) = stage();
    let token = stage.ok(&["admin", "token", "issue", "--scope", "s"]);
    let mut server = stage
        .command()
        .args(["-vvv", "serve", "--http", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = BufReader::new(server.stderr.take().unwrap());
    let mut tap = Vec::new();
    let mut addr = String::new();
    while addr.is_empty() {
        let mut line = String::new();
        err.read_line(&mut line).unwrap();
        tap.extend_from_slice(line.as_bytes());
        addr = line
            .split_once("listening on http://")
            .map(|(_, rest)| rest.trim().trim_end_matches("/mcp").to_owned())
            .unwrap_or_default();
    }
    // Read all along: a log that nobody reads would hold the server up.
    let logged = std::thread::spawn(move || {
        let mut rest = Vec::new();
        err.read_to_end(&mut rest).unwrap();
        rest
    });
    let call = |id: u64, arguments: Value| {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
            "progressToken": id,
        });
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "run_with_secrets", "arguments": arguments, "_meta": meta}}).to_string();
        let mut stream = TcpStream::connect(&addr).unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {}\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: run_with_secrets\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            token.trim(),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    };
    let ran = call(1, json!({"command": [script], "secrets": ["a/key"]}));
    assert!(String::from_utf8_lossy(&ran).contains("exited 3"), "{}", String::from_utf8_lossy(&ran));
    tap.extend(ran);
    tap.extend(call(2, json!({"command": [VALUE], "secrets": ["a/key"]})));
    tap.extend(call(3, json!({"command": ["printenv", "A_KEY"]})));
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(server.id().try_into().unwrap()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    tap.extend(logged.join().unwrap());
    let mut out = Vec::new();
    server.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    server.wait().unwrap();
    assert!(out.is_empty(), "nothing on standard output");
    holds_nothing(&tap);
}
