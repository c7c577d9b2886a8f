//! What ten thousand secrets cost beside ten, in the binary as it is typed: both homes are measured in
//! turns within one run, and each line ends with the ratio of the medians.
//!
//! `cargo bench --bench scale`

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark starts programs and prints"
)]

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Rounds of each step; the medians are shown.
const ROUNDS: usize = 15;
const FEW: usize = 10;
const MANY: usize = 10_000;

fn main() {
    let scene = tempfile::tempdir().expect("a temporary directory");
    let few = home(scene.path(), "few", FEW);
    let many = home(scene.path(), "many", MANY);
    println!("{:<44}{:>12}{:>12}{:>8}", "", format!("{FEW} secrets"), format!("{MANY}"), "ratio");
    let steps: [(&str, &[&str], &str); 7] = [
        ("admin list", &["admin", "list"], ""),
        ("admin get NAME", &["admin", "get", "s/KEY_7_X"], ""),
        ("admin set NAME (there)", &["admin", "set", "s/KEY_7_X"], "another-value-4Hn8RwQz2"),
        ("admin rm NAME, admin set NAME (new)", &["admin", "set", "s/NEW"], "a-new-value-4Hn8RwQz2"),
        ("run --scope, one secret", &["run", "--scope", "s", "--secret", "s/KEY_7_X", "--", "true"], ""),
        (
            "refused: a secret outside the scope",
            &["run", "--scope", "s", "--secret", "o/OUT", "--", "true"],
            "",
        ),
        (
            "refused: a secret that isn't there",
            &["run", "--scope", "s", "--secret", "s/NONE", "--", "true"],
            "",
        ),
    ];
    for (name, args, input) in steps {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (home, times) in [&few, &many].into_iter().zip(&mut times) {
                if args.contains(&"s/NEW") {
                    let _ = typed(home, &["admin", "rm", "s/NEW", "--yes"], "");
                }
                let begun = Instant::now();
                let _ = typed(home, args, input);
                times.push(begun.elapsed());
            }
        }
        let [few, many] = times.map(median);
        let ratio = many.as_secs_f64() / few.as_secs_f64();
        println!("{name:<44}{:>12}{:>12}{ratio:>8.2}", millis(few), millis(many));
    }
}

fn home(scene: &Path, name: &str, secrets: usize) -> PathBuf {
    let home = scene.join(name);
    assert!(typed(&home, &["init", "--no-pin", "--unlock", "identity-file"], ""));
    let mut lines = String::new();
    for number in 0..secrets {
        writeln!(
            lines,
            "KEY_{number}_X=value-{:016x}",
            (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        )
        .expect("a string takes all");
    }
    let file = scene.join(format!("{name}.env"));
    fs::write(&file, lines).expect("a file");
    let file = file.to_str().expect("a path in ASCII");
    assert!(typed(&home, &["admin", "import", file, "--prefix", "s/", "--all"], ""));
    assert!(typed(&home, &["admin", "set", "o/OUT"], "a-value-of-nobody-4Hn8RwQz2"));
    assert!(typed(&home, &["admin", "allow", "s", "--yes", "--secret", "s/*", "--", "true"], ""));
    home
}

fn typed(home: &Path, args: &[&str], input: &str) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_authy-mcp"))
        .args(args)
        .env("AUTHY_MCP_HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    // A command that doesn't read has closed its end.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait().expect("the binary ends").success()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
