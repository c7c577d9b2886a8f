//! What a server makes of a client's bytes over stdio: what can't be parsed is answered, an id stands for one request,
//! what is not read is not made, and a signal or a client that is gone ends all of it.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::stage::{PATIENCE, Stage, eventually, one_rule, processes};

const VALUE: &[u8] = b"framing-value-9Wc4Jr7L";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.set("a/key", VALUE);
    let policy = one_rule("s", "a/key", "[[\"sleep\", \"*\"], [\"sh\", \"-c\", \"**\"]]", "");
    stage.policy(
        &policy.replace("[[allow]]", "[limits]\nruns_per_minute = 5000\nconcurrent_runs = 2000\n[[allow]]"),
    );
    stage
}

/// A server, and its streams as they are.
struct Raw {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
}

impl Raw {
    fn start(stage: &Stage) -> Self {
        Self::of(stage.command().args(["serve", "--scope", "s"]))
    }

    fn of(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        Self { child, stdin, stdout }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn line(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    fn initialize(&mut self) {
        self.line(&request(0, "initialize", &json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}})));
    }

    /// Everything that it writes from now on.
    fn lines(&mut self) -> Lines {
        let out = BufReader::new(self.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let message = serde_json::from_str(&line).expect("nothing but protocol on standard output");
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        Lines(lines)
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How it ended, in time, whatever its input does.
    #[track_caller]
    fn end(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        drop((self.stdin.take(), self.stdout.take()));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Lines(mpsc::Receiver<Value>);

impl Lines {
    #[track_caller]
    fn next(&self) -> Value {
        self.0.recv_timeout(PATIENCE).expect("an answer in time")
    }

    /// The next of these; whatever else comes is left out.
    #[track_caller]
    fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let next = self.next();
            if wanted(&next) {
                return next;
            }
        }
    }
}

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn run(id: u64, command: &[&str]) -> Value {
    let arguments = json!({"command": command, "secrets": ["a/key"]});
    request(id, "tools/call", &json!({"name": "run_with_secrets", "arguments": arguments}))
}

fn fault(message: &Value) -> (Value, Value) {
    (message["id"].clone(), message["error"]["code"].clone())
}

#[test]
fn what_can_t_be_parsed_is_answered_and_the_server_goes_on() {
    let stage = stage();
    let mut raw = Raw::start(&stage);
    let lines = raw.lines();
    let nested = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{}{}}}",
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    let long = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}", "x".repeat(17 << 20));
    let unparsable: [&[u8]; 8] = [
        b"hello",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"",
        b"\xff\xfe{}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\xc3\x28ng\"}",
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\ud800"}}"#,
        nested.as_bytes(),
        long.as_bytes(),
        b"\0",
    ];
    // First of all before a session, then in it.
    for round in 0..2 {
        for line in unparsable {
            raw.write(line);
            raw.write(b"\n");
            let answer = lines.next();
            let start = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
            assert_eq!(fault(&answer), (Value::Null, json!(-32700)), "{start}: {answer}");
            assert!(answer.as_object().unwrap().contains_key("id"), "{answer}");
        }
        if round == 0 {
            raw.initialize();
            assert_eq!(lines.next()["result"]["serverInfo"]["name"], "authy-mcp");
        }
    }
    raw.line(&request(9, "ping", &json!({})));
    assert_eq!(lines.next(), json!({"jsonrpc": "2.0", "id": 9, "result": {}}));
    assert!(raw.memory_kb() < 150_000, "{} kB", raw.memory_kb());
}

#[test]
fn a_message_of_the_wrong_form_is_answered_by_its_id() {
    let stage = stage();
    let mut raw = Raw::start(&stage);
    let lines = raw.lines();
    raw.initialize();
    lines.next();
    let table: [(&str, Value, i32); 11] = [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_allowed","arguments":[]}}"#,
            json!(1),
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":"two","method":"tools/call","params":[]}"#, json!("two"), -32602),
        (r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":7}}"#, json!(3), -32602),
        (r#"{"jsonrpc":"2.0","id":4,"method":"no/such","params":{}}"#, json!(4), -32601),
        (r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"no_such"}}"#, json!(5), -32602),
        (r#"{"id":6,"method":"ping"}"#, json!(6), -32600),
        (r#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#, Value::Null, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, Value::Null, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, Value::Null, -32600),
        ("17", Value::Null, -32600),
        (r#""x""#, Value::Null, -32600),
    ];
    for (line, id, code) in table {
        raw.write(format!("{line}\n").as_bytes());
        let answer = lines.next();
        assert_eq!(fault(&answer), (id, json!(code)), "{line}: {answer}");
    }
    // Notifications are not answered, whatever they are.
    for line in [
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":[]}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":77}}"#,
        r#"{"jsonrpc":"2.0","method":"$/unknown","params":17}"#,
        r#"{"jsonrpc":"2.0","id":55,"result":{}}"#,
        "",
        "\r",
    ] {
        raw.write(format!("{line}\n").as_bytes());
    }
    raw.line(&request(9, "ping", &json!({})));
    assert_eq!(lines.next()["id"], 9);
}

#[test]
fn a_server_outlives_whatever_comes_first() {
    let stage = stage();
    for first in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        r#"{"jsonrpc":"2.0","id":3,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32000,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#,
        "garbage",
        "[]",
    ] {
        let mut raw = Raw::start(&stage);
        let lines = raw.lines();
        raw.write(format!("{first}\n").as_bytes());
        raw.initialize();
        lines.until(|message| message["id"] == 0 && message.get("result").is_some());
        raw.line(&request(9, "tools/list", &json!({})));
        let listed = lines.until(|message| message["id"] == 9);
        assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 3, "{first}");
    }
}

#[test]
fn the_last_line_needs_no_end() {
    let stage = stage();
    let mut raw = Raw::start(&stage);
    let lines = raw.lines();
    raw.initialize();
    raw.write(request(9, "ping", &json!({})).to_string().as_bytes());
    drop(raw.stdin.take());
    lines.until(|message| message["id"] == 9);
    assert_eq!(raw.end(), Some(0));
}

#[test]
fn an_id_stands_for_one_request_at_a_time() {
    let stage = stage();
    let mut raw = Raw::start(&stage);
    let lines = raw.lines();
    raw.initialize();
    lines.next();
    raw.line(&run(5, &["sh", "-c", "sleep 1; echo first"]));
    raw.line(&request(5, "ping", &json!({})));
    raw.line(&run(5, &["sh", "-c", "echo second"]));
    assert_eq!(fault(&lines.next()), (Value::Null, json!(-32600)));
    assert_eq!(fault(&lines.next()), (Value::Null, json!(-32600)));
    let first = lines.next();
    assert_eq!(
        (&first["id"], &first["result"]["structuredContent"]["stdout"]),
        (&json!(5), &json!("first\n"))
    );
    raw.line(&request(5, "ping", &json!({})));
    assert_eq!(lines.next(), json!({"jsonrpc": "2.0", "id": 5, "result": {}}), "it is free again");
    // What is cancelled is answered no more: its id is free at once, and means the next one.
    raw.line(&run(6, &["sh", "-c", "trap 'echo late; exit' TERM; sleep 7200.5 & wait"]));
    eventually("the run has begun", || !processes("sleep 7200.5").is_empty());
    raw.line(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 6}}));
    raw.line(&run(6, &["sh", "-c", "sleep 1; echo next"]));
    let next = lines.next();
    assert_eq!((&next["id"], &next["result"]["structuredContent"]["stdout"]), (&json!(6), &json!("next\n")));
    eventually("the cancelled one is gone", || processes("sleep 7200.5").is_empty());
}

#[test]
fn what_is_not_read_is_not_made() {
    let stage = stage();
    let mut raw = Raw::start(&stage);
    raw.initialize();
    let before = {
        // It has answered once, whatever that takes.
        thread::sleep(Duration::from_millis(500));
        raw.memory_kb()
    };
    let mut stdin = raw.stdin.take().unwrap();
    const ASKED: u64 = 4_000;
    let (told, asked) = mpsc::channel();
    thread::spawn(move || {
        for id in 1..=ASKED {
            stdin.write_all(format!("{}\n", request(id, "tools/list", &json!({}))).as_bytes()).unwrap();
        }
        told.send(stdin).unwrap();
    });
    assert!(asked.recv_timeout(Duration::from_secs(3)).is_err(), "all of it was taken");
    let unread = raw.memory_kb();
    assert!(unread < before + 30_000, "{before} kB before, {unread} kB with 4,000 unread");
    // Once it is read, every one of them has its answer.
    let lines = raw.lines();
    let mut answered = vec![false; usize::try_from(ASKED).unwrap() + 1];
    for _ in 0..=ASKED {
        let answer = lines.next();
        assert!(answer.get("result").is_some(), "{answer}");
        let id = usize::try_from(answer["id"].as_u64().unwrap()).unwrap();
        assert!(!std::mem::replace(&mut answered[id], true), "{id} twice");
    }
    assert!(answered.into_iter().all(|answered| answered));
    assert!(raw.memory_kb() < before + 30_000, "{} kB", raw.memory_kb());
}

#[test]
fn a_cancel_comes_through_whatever_waits_before_it() {
    let stage = stage();
    let mut raw = Raw::start(&stage);
    let lines = raw.lines();
    raw.initialize();
    lines.next();
    // More than are worked on. Some are refused meanwhile, as each policy and principal has limits of its own.
    let calls = 600;
    for id in 1..=calls {
        raw.line(&run(id, &["sleep", "7201.5"]));
    }
    raw.line(&request(0, "ping", &json!({})));
    lines.until(|message| message["id"] == 0);
    eventually("runs have begun", || !processes("sleep 7201.5").is_empty());
    for id in (1..=calls).rev() {
        raw.line(
            &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}),
        );
    }
    raw.line(&request(0, "ping", &json!({})));
    lines.until(|message| message["id"] == 0);
    let ended = || {
        processes("sleep 7201.5").is_empty() && stage.audit().iter().all(|event| event["outcome"] != "exited")
    };
    eventually("nothing runs on", ended);
    let events = stage.audit();
    assert!(events.iter().any(|event| event["outcome"] == "cancelled"), "runs were cancelled");
}

#[test]
fn a_client_that_reads_no_more_ends_the_server_and_its_runs() {
    let stage = stage();
    let mut raw = Raw::start(&stage);
    raw.initialize();
    raw.line(&run(1, &["sleep", "7202.5"]));
    eventually("the run has begun", || !processes("sleep 7202.5").is_empty());
    // Its input stays open, and the run prints nothing that could fail to be written.
    drop(raw.stdout.take());
    assert_eq!(raw.end(), Some(0));
    eventually("the run is gone", || processes("sleep 7202.5").is_empty());
    let cancelled = || stage.audit().iter().any(|event| event["outcome"] == "cancelled");
    eventually("its outcome is on record", cancelled);
}

#[test]
fn a_signal_ends_the_server_and_its_runs() {
    let stage = stage();
    for signal in ["TERM", "INT", "HUP"] {
        // Before a session, in one, and with a run; its input stays open.
        for (begun, runs) in [(false, false), (true, false), (true, true)] {
            let mut raw = Raw::start(&stage);
            let lines = raw.lines();
            if begun {
                raw.initialize();
                lines.next();
            } else {
                eventually("it serves", || serves(&raw));
            }
            if runs {
                raw.line(&run(1, &["sleep", "7203.5"]));
                eventually("the run has begun", || !processes("sleep 7203.5").is_empty());
            }
            raw.signal(signal);
            assert_eq!(raw.end(), Some(0), "{signal}");
            if runs {
                let answer = lines.next();
                assert_eq!(answer["result"]["structuredContent"]["outcome"], "cancelled", "{answer}");
            }
            assert!(processes("sleep 7203.5").is_empty(), "{signal}");
        }
    }
    let events = stage.audit();
    let of = |event: &str| events.iter().filter(|found| found["event"] == event).count();
    assert_eq!((of("intent"), of("outcome")), (3, 3));
}

/// Whether it listens to signals already.
fn serves(raw: &Raw) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", raw.child.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
    // SIGTERM, SIGINT, SIGHUP.
    let all = 1 << 14 | 1 << 1 | 1;
    u64::from_str_radix(&caught, 16).unwrap() & all == all
}
