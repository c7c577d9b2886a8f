//! The doors: who is let in over HTTP and over the daemon's socket, in which state of the vault, and what anybody
//! can do to others by calling, badly or too often.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::stage::{PATIENCE, Server, Stage, eventually};

/// A server over HTTP, which ends with the test.
struct Http {
    child: Child,
    addr: String,
}

/// An answer: its status, its head, and what came behind.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Http {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        err.read_line(&mut line).unwrap();
        let addr = line.split_once("listening on http://").expect("the address").1;
        let addr = addr.trim().trim_end_matches("/mcp").to_owned();
        thread::spawn(move || std::io::copy(&mut err, &mut std::io::sink()));
        Self { child, addr }
    }

    fn serve(stage: &Stage, words: &[&str]) -> Self {
        Self::start(stage.command().args(words).args(["serve", "--http", "127.0.0.1:0"]))
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn ask(&self, method: &str, token: &str, more: &str, body: &str) -> Answer {
        let mut stream = self.connect();
        let head = format!(
            "{method} /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n{body}",
            self.addr,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// A request of the era without sessions.
    fn call(&self, token: &str, method: &str, name: &str, params: &Value) -> Answer {
        let mut params = params.clone();
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let named = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
        let more = format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{named}");
        self.ask("POST", token, &more, &body)
    }

    fn list(&self, token: &str) -> Answer {
        self.call(token, "tools/list", "", &json!({}))
    }

    fn list_allowed(&self, token: &str) -> Answer {
        self.call(token, "tools/call", "list_allowed", &json!({"name": "list_allowed", "arguments": {}}))
    }

    /// Begins a session of the era that has them; its id.
    fn session(&self, token: &str) -> String {
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).to_string();
        let answer = self.ask("POST", token, "", &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let line = answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        line.expect("a session").to_owned()
    }

    fn ping(&self, token: &str, session: &str) -> Answer {
        let more = format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-06-18\r\n");
        self.ask("POST", token, &more, r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#)
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two scopes, a token of each.
fn two_scopes() -> (Stage, String, String) {
    let stage = Stage::new();
    stage.set("a/key", b"a-value-of-some-length");
    for scope in ["one", "two"] {
        stage.ok(&["admin", "allow", scope, "--yes", "--secret", "a/key", "--", "true"]);
    }
    let [one, two] = ["one", "two"]
        .map(|scope| stage.ok(&["admin", "token", "issue", "--scope", scope]).trim().to_owned());
    (stage, one, two)
}

/// A token whose signature is that of another vault, and what is none at all.
fn garbage(token: &str) -> Vec<String> {
    let mut forged: Vec<char> = token.chars().collect();
    let at = forged.len() - 20;
    forged[at] = if forged[at] == 'A' { 'B' } else { 'A' };
    let other = two_scopes().1;
    vec![forged.into_iter().collect(), other, "x.y.z".to_owned(), "é".to_owned(), "A".repeat(20_000)]
}

#[test]
fn while_another_process_has_the_vault_nobody_is_let_in_unseen() {
    let (stage, one, two) = two_scopes();
    let http = Http::serve(&stage, &[]);
    assert_eq!(http.list_allowed(&one).status, 200);
    let garbage = garbage(&one);
    let held = stage.hold();
    for token in &garbage {
        let answer = http.list(token);
        assert_eq!(answer.status, 401, "{}: {}", &token[..5.min(token.len())], answer.body);
    }
    // One that was never seen can't be checked now; one that was is let in, and its call says what is wrong.
    let answer = http.list(&two);
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.head.contains("retry-after: ") && answer.body.contains("\"busy\""), "{}", answer.body);
    assert_eq!(http.list(&one).status, 200);
    assert!(http.list_allowed(&one).body.contains("busy"));
    drop(held);
    assert_eq!(http.list(&two).status, 200);
}

#[test]
fn a_locked_vault_lets_nobody_in() {
    let (stage, file) = Stage::locked();
    let typed = |words: &[&str]| stage.ok(&[&["--passphrase-file", &file], words].concat());
    typed(&["admin", "allow", "s", "--yes", "--", "true"]);
    let token = typed(&["admin", "token", "issue", "--scope", "s"]).trim().to_owned();
    let http = Http::serve(&stage, &[]);
    for method in ["POST", "GET", "DELETE"] {
        for token in [&*token, "x.y.z"] {
            let answer = http.ask(method, token, "", "{}");
            assert_eq!(answer.status, 503, "{method}: {}", answer.body);
            assert!(answer.head.contains("retry-after: ") && answer.body.contains("vault_locked"));
            let answer = http.ask(method, token, "Mcp-Session-Id: x\r\n", "{}");
            assert_eq!(answer.status, 404, "{method}: {}", answer.body);
        }
    }
    if crate::DAEMON {
        typed(&["unlock", "--allow-user-namespace"]);
        assert_eq!((http.list(&token).status, http.list("x.y.z").status), (200, 401));
        let session = http.session(&token);
        assert_eq!(http.ping(&token, &session).status, 200);
        stage.ok(&["lock"]);
        thread::sleep(Duration::from_secs(1));
        assert_eq!((http.ping(&token, &session).status, http.ping("x.y.z", &session).status), (503, 404));
    }
}

#[test]
fn a_flood_of_garbage_makes_nothing_busy() {
    let (stage, one, _) = two_scopes();
    let http = Http::serve(&stage, &[]);
    assert_eq!(http.list_allowed(&one).status, 200);
    let before = stage.audit().len();
    thread::scope(|scope| {
        let flood: Vec<_> = (0..400).map(|_| scope.spawn(|| http.list("x.y.z").status)).collect();
        for _ in 0..5 {
            let answer = http.list_allowed(&one);
            assert!(answer.status == 200 && answer.body.contains("\"scope\":\"one\""), "{}", answer.body);
        }
        stage.ok(&["admin", "set", "b/key", "--generate"]);
        for status in flood {
            assert_eq!(status.join().unwrap(), 401);
        }
    });
    let refused = stage.audit().iter().filter(|event| event["event"] == "denied").count();
    assert_eq!((refused, before > 0), (0, true), "nothing of it is written down one by one");
}

#[test]
fn another_tokens_session_is_nothing_to_it() {
    let (stage, one, two) = two_scopes();
    let http = Http::serve(&stage, &[]);
    let session = http.session(&one);
    let named = format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-06-18\r\n");
    let tried = |token: &str| {
        ["GET", "DELETE", "POST"].map(|method| {
            http.ask(method, token, &named, r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).status
        })
    };
    assert_eq!(tried(&two), [404; 3]);
    assert_eq!(tried("x.y.z"), [401; 3]);
    let held = stage.hold();
    assert_eq!(tried(&two), [404; 3], "while the vault is busy, too");
    drop(held);
    assert_eq!(http.ping(&one, &session).status, 200, "it was not ended by any of this");
    let doubled = format!("{named}Mcp-Session-Id: {}\r\n", http.session(&two));
    assert_eq!(http.ask("POST", &two, &doubled, "{}").status, 404);
}

#[test]
fn a_revoked_token_is_refused_with_its_next_request() {
    let (stage, one, two) = two_scopes();
    let http = Http::serve(&stage, &[]);
    let session = http.session(&one);
    assert_eq!((http.list(&one).status, http.list(&two).status), (200, 200));
    let listed: Value = serde_json::from_str(&stage.ok(&["--json", "admin", "token", "list"])).unwrap();
    let listed = listed.as_array().unwrap();
    let id = listed.iter().find(|token| token["scope"] == "one").unwrap()["id"].as_str().unwrap();
    stage.ok(&["admin", "token", "revoke", id]);
    let answer = http.list(&one);
    assert!(answer.status == 401 && answer.head.contains("invalid_token"), "{}", answer.body);
    assert_eq!((http.ping(&one, &session).status, http.list(&two).status), (401, 200));
}

#[test]
fn sessions_are_bounded() {
    let (stage, one, two) = two_scopes();
    let http = Http::serve(&stage, &[]);
    let others = http.session(&two);
    let first = http.session(&one);
    let more: Vec<String> = (0..80).map(|_| http.session(&one)).collect();
    let last = &more[79];
    assert_eq!(http.ping(&one, &first).status, 404, "the one that was used longest ago has ended");
    assert_eq!((http.ping(&one, last).status, http.ping(&two, &others).status), (200, 200));
}

/// Half a request.
fn half(stream: &mut TcpStream) {
    stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n").unwrap();
}

#[test]
fn half_requests_shut_nobody_out_and_end() {
    let (stage, one, _) = two_scopes();
    let command = stage.command();
    // As many descriptors as a server gets where nobody raises the limit, and fewer than connections are opened.
    let mut limited = Command::new("/bin/sh");
    limited
        .args(["-c", "ulimit -n 256; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args())
        .args(["serve", "--http", "127.0.0.1:0"])
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(stage.dir.path());
    let http = Http::start(&mut limited);
    let mut halves: Vec<TcpStream> = (0..600).map(|_| http.connect()).collect();
    halves.iter_mut().for_each(half);
    for _ in 0..5 {
        assert_eq!(http.list_allowed(&one).status, 200);
    }
    let begun = Instant::now();
    for mut stream in halves {
        // Closed, or cut off with a reset: by now, or when the time for a head is over.
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        assert!(
            !read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
                && begun.elapsed() < PATIENCE,
            "a connection with half a request is kept"
        );
    }
}

#[test]
fn http_2_is_not_spoken() {
    let (stage, ..) = two_scopes();
    let http = Http::serve(&stage, &[]);
    let mut stream = http.connect();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
}

#[test]
fn a_thousand_calls_at_once_are_answered() {
    let (stage, ..) = two_scopes();
    let mut server = stage.serve("one");
    server.tool("list_allowed", json!({}));
    let params = json!({"name": "list_allowed", "arguments": {}});
    let ids: Vec<u64> = (0..1000).map(|_| server.send("tools/call", params.clone())).collect();
    for id in ids {
        let answer = server.answer(id)["result"]["structuredContent"].clone();
        assert_eq!(answer["scope"], "one", "{answer}");
    }
    assert_eq!(server.tool("list_allowed", json!({}))["structuredContent"]["scope"], "one");
}

/// Keeps refused calls in flight, and counts answers by their codes.
fn refuse(server: &mut Server, rounds: usize) -> Vec<String> {
    let params =
        json!({"name": "run_with_secrets", "arguments": {"command": ["false"], "secrets": ["a/key"]}});
    let mut codes = Vec::new();
    for _ in 0..rounds {
        let ids: Vec<u64> = (0..300).map(|_| server.send("tools/call", params.clone())).collect();
        for id in ids {
            codes.push(server.answer(id)["result"]["structuredContent"]["code"].to_string());
        }
    }
    codes
}

#[test]
fn refused_calls_starve_nobody() {
    let (stage, ..) = two_scopes();
    let mut hostile = stage.serve("one");
    let mut honest = stage.serve("two");
    honest.tool("list_allowed", json!({}));
    thread::scope(|scope| {
        let flood = scope.spawn(|| refuse(&mut hostile, 3));
        for _ in 0..8 {
            let ran = honest.run(json!({"command": ["true"], "secrets": ["a/key"]}));
            assert_eq!(ran["exit_code"], 0, "{ran}");
        }
        stage.ok(&["admin", "set", "b/key", "--generate"]);
        let codes = flood.join().unwrap();
        let known = ["\"command_not_allowed\"", "\"rate_limited\""];
        assert!(codes.iter().all(|code| known.contains(&&**code)), "{codes:?}");
        assert!(codes.iter().any(|code| code == known[1]), "refused calls have a limit of their own");
    });
}

#[test]
fn a_call_with_too_many_names_is_refused_before_the_vault_is_searched() {
    let (stage, ..) = two_scopes();
    let mut server = stage.serve("one");
    let names: Vec<String> = (0..60_000).map(|number| format!("z/{number}")).collect();
    let refused = server.run(json!({"command": ["true"], "secrets": names}));
    assert_eq!(refused["code"], "bad_argument", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("60000"), "{refused}");
}

#[test]
fn programs_get_the_limit_of_descriptors_that_the_server_was_started_with() {
    let stage = Stage::new();
    stage.ok(&["admin", "allow", "s", "--yes", "--", "sh", "-c", "ulimit -n"]);
    let command = stage.command();
    let mut limited = Command::new("/bin/sh");
    limited
        .args(["-c", "ulimit -Sn 333; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args())
        .args(["serve", "--scope", "s"])
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(stage.dir.path());
    let mut server = Server::start(&mut limited);
    let own = |pid: u32| {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        (numbers.next(), numbers.next())
    };
    let (soft, hard) = own(server.pid());
    assert_eq!(soft, hard, "the server has raised its own");
    let ran = server.run(json!({"command": ["sh", "-c", "ulimit -n"], "secrets": []}));
    assert_eq!(ran["stdout"], "333\n", "{ran}");
}

/// Connections to the daemon's socket that say nothing, and that say half of something.
#[test]
fn silent_connections_to_the_daemon_shut_nobody_out() {
    if !crate::DAEMON {
        return;
    }
    let (stage, ..) = two_scopes();
    let mut server = stage.serve("one");
    server.tool("list_allowed", json!({}));
    let socket = stage.home().join("run").join("daemon.sock");
    let open = || std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let mut kept: Vec<_> = (0..600).map(|_| open()).collect();
    for stream in kept.iter_mut().skip(300) {
        // The daemon may have closed it already.
        let _ = stream.write_all(b"POST /v1/run HTTP/1.1\r\nHost: x\r\n");
    }
    for _ in 0..5 {
        assert_eq!(server.tool("list_allowed", json!({}))["structuredContent"]["scope"], "one");
    }
    let mut last = kept.pop().unwrap();
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    eventually("half a request ends", || last.read_to_end(&mut rest).is_ok() || rest.is_empty());
    stage.ok(&["lock"]);
}
