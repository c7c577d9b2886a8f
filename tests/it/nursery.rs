//! The process that forks supervisors: that it is used, holds nothing, is gone with its server, and can be done without.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::stage::{Server, Stage, eventually};

const VALUE: &[u8] = b"nursery-value-7Kp3Wq8Z";

/// A vault with one secret, and whatever a shell is told.
fn stage(sandbox: &str) -> Stage {
    let stage = Stage::new();
    stage.set("a/key", VALUE);
    stage.policy(&format!(
        "scope = \"s\"\n[sandbox]\n{sandbox}\n[[allow]]\nid = \"one\"\nsecrets = [\"a/key\"]\ndeliver = \"env\"\n\
         commands = [[\"/bin/sh\", \"-c\", \"**\"]]\n"
    ));
    stage
}

fn call(script: &str) -> Value {
    json!({"command": ["/bin/sh", "-c", script], "secrets": ["a/key"]})
}

#[track_caller]
fn said(ran: &Value) -> Vec<&str> {
    assert_eq!(ran["exit_code"], 0, "{ran}");
    ran["stdout"].as_str().unwrap().split_whitespace().collect()
}

/// The process that has the broker.
fn host(stage: &Stage, server: &Server) -> i32 {
    if !crate::DAEMON {
        return i32::try_from(server.pid()).unwrap();
    }
    let status: Value = serde_json::from_str(&stage.ok(&["--json", "status"])).unwrap();
    i32::try_from(status["daemon"]["pid"].as_i64().unwrap()).unwrap()
}

/// Number, parent, name.
fn processes() -> Vec<(i32, i32, String)> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let described = numbers.filter_map(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field =
            |name: &str| Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned());
        Some((pid, field("PPid:")?.parse().ok()?, field("Name:")?))
    });
    described.collect()
}

fn below(parent: i32) -> BTreeSet<i32> {
    let all = processes();
    let mut found = BTreeSet::from([parent]);
    while let Some((pid, ..)) =
        all.iter().find(|(pid, parent, _)| found.contains(parent) && !found.contains(pid))
    {
        found.insert(*pid);
    }
    found.remove(&parent);
    found
}

#[track_caller]
fn nursery_of(host: i32) -> i32 {
    let all = processes();
    let found: Vec<_> =
        all.iter().filter(|(_, parent, name)| *parent == host && name == "authy-nursery").collect();
    assert_eq!(found.len(), 1, "{all:?}");
    found[0].0
}

fn send(signal: Signal, pid: i32) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

fn is_gone(pid: i32) -> bool {
    !PathBuf::from(format!("/proc/{pid}/exe")).exists()
}

/// Of a program outside of namespaces: its supervisor's words, and the names of its ancestors.
const ANCESTORS: &str = "echo $(tr '\\0' '_' </proc/$PPID/cmdline | grep -c __supervise)
    pid=$PPID; for up in 1 2 3; do
        cat /proc/$pid/comm; pid=$(awk '/^PPid:/ { print $2 }' /proc/$pid/status)
    done";

#[test]
fn a_supervisor_is_forked_by_the_nursery_and_that_by_the_server() {
    let stage = stage("mode = \"off\"");
    let mut server = stage.serve("s");
    for _ in 0..3 {
        let ran = server.run(call(ANCESTORS));
        assert_eq!(said(&ran), ["0", "authy-supervise", "authy-nursery", "authy-mcp"], "{ran}");
    }
}

#[test]
fn a_nursery_holds_nothing() {
    for sandbox in ["mode = \"off\"", "network = \"none\""] {
        let stage = stage(sandbox);
        let mut server = stage.serve("s");
        server.run(call("echo $A_KEY"));
        let nursery = nursery_of(host(&stage, &server));
        let limits = fs::read_to_string(format!("/proc/{nursery}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
        let Ok(mut memory) = fs::File::open(format!("/proc/{nursery}/mem")) else { continue };
        // Who reads it here is root: nobody else can.
        assert!(nix::unistd::Uid::effective().is_root());
        let open = fs::read_dir(format!("/proc/{nursery}/fd")).unwrap().flatten();
        let mut open: Vec<String> =
            open.map(|entry| fs::read_link(entry.path()).unwrap().display().to_string()).collect();
        open.sort();
        open.retain(|place| place != "anon_inode:[pidfd]");
        assert_eq!(&open[..3], ["/dev/null"; 3], "{open:?}");
        assert!(open.len() == 4 && open[3].starts_with("socket:"), "{open:?}");
        assert_eq!(fs::read_link(format!("/proc/{nursery}/cwd")).unwrap().to_str(), Some("/"));
        for part in fs::read_to_string(format!("/proc/{nursery}/maps")).unwrap().lines() {
            let Some((from, to)) = part.split(' ').next().and_then(|range| range.split_once('-')) else {
                continue;
            };
            let [from, to] = [from, to].map(|at| u64::from_str_radix(at, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            if part.contains(" r")
                && memory.seek(SeekFrom::Start(from)).is_ok()
                && memory.read_exact(&mut bytes).is_ok()
            {
                for secret in [VALUE, b"AGE-SECRET-KEY-1Q"] {
                    assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{part}");
                }
            }
        }
    }
}

#[test]
fn a_killed_nursery_is_done_without() {
    for sandbox in ["mode = \"off\"", "network = \"none\""] {
        let stage = stage(sandbox);
        let mut server = stage.serve("s");
        assert_eq!(said(&server.run(call("echo $A_KEY"))), ["[redacted:a/key]"]);
        let host = host(&stage, &server);
        let nursery = nursery_of(host);
        // Those that wait go with it, or the next run would be one of theirs.
        let waiting = below(nursery);
        send(Signal::SIGKILL, nursery);
        waiting.iter().for_each(|pid| send(Signal::SIGKILL, *pid));
        for _ in 0..3 {
            assert_eq!(said(&server.run(call("echo $A_KEY"))), ["[redacted:a/key]"], "{sandbox}");
        }
        if sandbox.contains("off") {
            assert_eq!(said(&server.run(call(ANCESTORS)))[0], "1", "it was started");
        }
        eventually("it was waited for", || !PathBuf::from(format!("/proc/{nursery}")).exists());
    }
}

#[test]
fn a_run_goes_on_without_the_nursery_that_made_it() {
    for sandbox in ["mode = \"off\"", "network = \"none\""] {
        let stage = stage(sandbox);
        let mut server = stage.serve("s");
        assert_eq!(said(&server.run(call("echo first"))), ["first"]);
        let nursery = nursery_of(host(&stage, &server));
        let id = server.send(
            "tools/call",
            json!({"name": "run_with_secrets", "arguments": call("sleep 7101.5 & sleep 1; echo second $A_KEY")}),
        );
        eventually("it has begun", || !crate::stage::processes("sleep 7101.5").is_empty());
        send(Signal::SIGKILL, nursery);
        let answer = server.answer(id)["result"]["structuredContent"].clone();
        assert_eq!(said(&answer), ["second", "[redacted:a/key]"], "{sandbox}");
        assert_eq!(crate::stage::processes("sleep 7101.5"), [0; 0]);
    }
}

#[test]
fn nothing_outlives_a_killed_server() {
    for sandbox in ["mode = \"off\"", "network = \"none\""] {
        for stopped in [false, true] {
            let stage = stage(sandbox);
            let mut server = stage.serve("s");
            assert_eq!(said(&server.run(call("echo first"))), ["first"]);
            let host = host(&stage, &server);
            let nursery = nursery_of(host);
            server.send("tools/call", json!({"name": "run_with_secrets", "arguments": call("sleep 7102.5")}));
            eventually("it has begun", || !crate::stage::processes("sleep 7102.5").is_empty());
            let all = below(host);
            assert!(all.contains(&nursery) && all.len() >= 3, "{all:?}");
            if stopped {
                // It can't see its socket close.
                send(Signal::SIGSTOP, nursery);
            }
            send(Signal::SIGKILL, host);
            eventually("all of it is gone", || all.iter().all(|pid| is_gone(*pid)));
            assert_eq!(crate::stage::processes("sleep 7102.5"), [0; 0]);
        }
    }
}
