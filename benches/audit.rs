//! What a million audit events cost beside none: the first call of a fresh daemon, its memory, and what
//! is read from the log's end. Both homes are measured in turns within one run.
//!
//! `cargo bench --bench audit [-- EVENTS]`

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::unwrap_used,
    reason = "a benchmark starts programs and prints"
)]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use authy_mcp::testing::{
    audit::{AuditKeys, AuditLog, Note},
    vault::{self, UnlockMethod},
};

/// Rounds of each step; the medians are shown.
const ROUNDS: usize = 9;

fn main() {
    let events = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let scene = tempfile::tempdir().unwrap();
    let homes = [home(scene.path(), "empty"), home(scene.path(), "full")];
    let begun = Instant::now();
    fill(&homes[1], events);
    println!(
        "{events} events, {} MB in {} segments, written in {:.1} s\n",
        audit_bytes(&homes[1]) >> 20,
        fs::read_dir(homes[1].join("audit")).unwrap().filter(|file| is_log(file.as_ref().unwrap())).count(),
        begun.elapsed().as_secs_f64()
    );
    println!("{:<44}{:>12}{:>12}{:>8}", "", "no events", events, "ratio");
    let mut first = [Vec::new(), Vec::new()];
    let mut memory = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (at, home) in homes.iter().enumerate() {
            let (took, resident) = first_call(home);
            first[at].push(took);
            memory[at].push(resident);
        }
    }
    line("a fresh daemon's first call, ms", first);
    line("its memory behind it, MB", memory);
    let steps: [(&str, &[&str]); 4] = [
        ("audit show --last 5, ms", &["admin", "audit", "show", "--last", "5"]),
        ("audit show --denied --last 1 (none), ms", &["admin", "audit", "show", "--since", "1s", "--denied"]),
        ("run --scope, one secret, ms", &["run", "--scope", "s", "--secret", "s/key", "--", "true"]),
        ("admin set, ms", &["admin", "set", "s/other", "--generate"]),
    ];
    for (name, args) in steps {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (at, home) in homes.iter().enumerate() {
                times[at].push(typed(home, args));
            }
        }
        line(name, times);
    }
    println!("\nwhat walks the whole log, once each:");
    for args in [&["admin", "audit", "verify"][..], &["admin", "audit", "export"]] {
        println!("{:<44}{:>12}{:>12.0} ms", args.join(" "), "", typed(&homes[1], args));
    }
    for home in &homes {
        typed(home, &["lock"]);
    }
}

fn line(name: &str, [few, many]: [Vec<f64>; 2]) {
    let (few, many) = (median(few), median(many));
    println!("{name:<44}{few:>12.1}{many:>12.1}{:>8.2}", many / few);
}

fn home(scene: &Path, name: &str) -> PathBuf {
    let home = scene.join(name);
    fs::create_dir(scene.join(format!("{name}.run"))).unwrap();
    typed(&home, &["init", "--unlock", "identity-file"]);
    typed(&home, &["admin", "set", "s/key", "--generate"]);
    typed(&home, &["admin", "allow", "s", "--yes", "--secret", "s/*", "--", "true"]);
    home
}

/// Events as an agent makes them, by the home's own keys.
fn fill(home: &Path, events: usize) {
    let key = vault::unlock(home, &UnlockMethod::IdentityFile(None)).unwrap();
    let keys = AuditKeys { mac: key.derive("audit-mac"), sign: key.derive("audit-sign") };
    let log = AuditLog::open(&home.join("audit"), keys, None).unwrap();
    for at in (0..events).step_by(10_000) {
        let note = |n| Note::Denied {
            principal: "token:agent".to_owned(),
            scope: Some("s".to_owned()),
            code: "command_not_allowed".to_owned(),
            rule: None,
            argv: vec!["printenv".to_owned(), format!("KEY_{n}"), "x".repeat(64)],
            secrets: vec!["s/key".to_owned()],
            cut: false,
        };
        log.record_all((at..(at + 10_000).min(events)).map(note).collect()).unwrap();
    }
}

fn is_log(file: &fs::DirEntry) -> bool {
    file.file_name().to_string_lossy().ends_with(".jsonl")
}

fn audit_bytes(home: &Path) -> u64 {
    let files = fs::read_dir(home.join("audit")).unwrap().map(|file| file.unwrap());
    files.filter(is_log).map(|file| file.metadata().unwrap().len()).sum()
}

/// A daemon is started, and asked at once: how long until the answer, in ms, and its resident memory, in MB.
fn first_call(home: &Path) -> (f64, f64) {
    let mut daemon = command(home, &["daemon"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let call = concat!(
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}"#,
        "\n",
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        "\n",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_with_secrets","arguments":{"command":["true"],"secrets":["s/key"]}}}"#,
        "\n"
    );
    let mut server = command(home, &["serve", "--scope", "s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    server.stdin.as_mut().unwrap().write_all(call.as_bytes()).unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(server.stdout.take().unwrap()));
    let answer =
        lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("\"id\":1"))).unwrap().unwrap();
    let took = begun.elapsed();
    assert!(answer.contains("exited"), "{answer}");
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    let resident: f64 = resident.and_then(|kb| kb.parse().ok()).unwrap_or_default();
    drop(server.stdin.take());
    server.wait().unwrap();
    typed(home, &["lock"]);
    daemon.wait().unwrap();
    (millis(took), resident / 1024.0)
}

fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authy-mcp"));
    let run = home.with_extension("run");
    command.args(args).env("AUTHY_MCP_HOME", home).env("XDG_RUNTIME_DIR", run);
    command
}

/// How long a command takes, in ms.
fn typed(home: &Path, args: &[&str]) -> f64 {
    let begun = Instant::now();
    let done = command(home, args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let took = millis(begun.elapsed());
    let done = done.unwrap();
    assert!(done.status.success() || args == ["lock"], "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    took
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
