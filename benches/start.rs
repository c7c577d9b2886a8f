//! From a process's start to its first answers, beside the least that the protocol's library needs: a bare server
//! of the same build, `serve` with a warm daemon and ten secrets, the same with ten thousand. All three are
//! measured in turns within one run; each line shows medians, and what `serve` takes beyond the bare server.
//!
//! `cargo bench --bench start`

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark starts programs and prints"
)]

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

#[path = "bare.rs"]
mod bare;

/// Rounds; the medians are shown.
const ROUNDS: usize = 41;
const FEW: usize = 10;
const MANY: usize = 10_000;
/// What this program is started with to be the bare server.
const BARE: &str = "__bare";

fn main() {
    if std::env::args().nth(1).as_deref() == Some(BARE) {
        return bare::main();
    }
    let scene = tempfile::tempdir().expect("a temporary directory");
    let homes = [home(scene.path(), "few", FEW), home(scene.path(), "many", MANY)];
    let mut times: [[Vec<Duration>; 3]; 5] = Default::default();
    for round in 0..=ROUNDS {
        let measured = [
            first_answers(Command::new(std::env::current_exe().expect("this program")).arg(BARE)),
            first_answers(&mut serve(&homes[0], "s")),
            first_answers(&mut serve(&homes[1], "s")),
            first_answers(&mut serve(&homes[0], "glob")),
            first_answers(&mut serve(&homes[1], "glob")),
        ];
        // The first round warms the daemons.
        for (kept, measured) in times.iter_mut().zip(measured).filter(|_| round > 0) {
            kept.iter_mut().zip(measured).for_each(|(kept, time)| kept.push(time));
        }
    }
    let [bare, few, many, few_by_glob, many_by_glob] = times.map(|steps| steps.map(median));
    println!(
        "{:<40}{:>12}{:>14}{:>14}{:>12}{:>12}",
        "from the process's start", "bare rmcp", "10 secrets", "10,000", "beyond", "10,000/10"
    );
    for (step, name) in ["first answer (initialize)", "tools/list", "list_allowed"].iter().enumerate() {
        let beyond = if step < 2 { signed(few[step], bare[step]) } else { "-".to_owned() };
        let ratio = many[step].as_secs_f64() / few[step].as_secs_f64();
        let bare = if step < 2 { millis(bare[step]) } else { "-".to_owned() };
        println!(
            "{name:<40}{bare:>12}{:>14}{:>14}{beyond:>12}{ratio:>12.2}",
            millis(few[step]),
            millis(many[step])
        );
    }
    let (few, many) = (few_by_glob[2], many_by_glob[2]);
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    let name = "list_allowed, of a rule with a glob";
    println!("{name:<40}{:>12}{:>14}{:>14}{:>12}{ratio:>12.2}", "-", millis(few), millis(many), "-");
    homes.iter().for_each(|home| typed(home, &["lock"], ""));
}

fn serve(home: &Path, scope: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authy-mcp"));
    command.args(["serve", "--scope", scope]).env("AUTHY_MCP_HOME", home).env_remove("XDG_RUNTIME_DIR");
    command
}

/// Starts a server, and says when the answers to its first three requests were there.
fn first_answers(command: &mut Command) -> [Duration; 3] {
    let requests = [
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}",
        r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"list_allowed","arguments":{}}}"#,
    ];
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let mut stdin = child.stdin.take().expect("piped");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let times = requests.map(|request| {
        writeln!(stdin, "{request}").expect("the server reads");
        lines.next().expect("an answer").expect("text");
        begun.elapsed()
    });
    drop(stdin);
    child.wait().expect("the server ends");
    times
}

fn home(scene: &Path, name: &str, secrets: usize) -> PathBuf {
    let home = scene.join(name);
    typed(&home, &["init", "--no-pin", "--unlock", "identity-file"], "");
    let mut lines = String::new();
    for number in 0..secrets {
        let value = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        writeln!(lines, "KEY_{number}_X=value-{value:016x}").expect("a string takes all");
    }
    let file = scene.join(format!("{name}.env"));
    fs::write(&file, lines).expect("a file");
    let file = file.to_str().expect("a path in ASCII");
    typed(&home, &["admin", "import", file, "--prefix", "s/", "--all"], "");
    // The scope has one secret; the vault has the rest.
    typed(&home, &["admin", "allow", "s", "--yes", "--secret", "s/KEY_7_X", "--", "true"], "");
    typed(&home, &["admin", "allow", "glob", "--yes", "--secret", "s/KEY_7_*", "--", "true"], "");
    home
}

fn typed(home: &Path, args: &[&str], input: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_authy-mcp"))
        .args(args)
        .env("AUTHY_MCP_HOME", home)
        .env_remove("XDG_RUNTIME_DIR")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    // A command that doesn't read has closed its end.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    assert!(child.wait().expect("the binary ends").success(), "{args:?}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn signed(time: Duration, other: Duration) -> String {
    format!("{:+.2} ms", (time.as_secs_f64() - other.as_secs_f64()) * 1e3)
}
