//! What the command line answers: tables, and every kind of failure.

use std::{fmt::Write as _, fs, io::Write as _, process::Stdio};

use super::{
    golden, remembered,
    steady::{alike_after, steady},
};
use crate::stage::Stage;

/// What was typed and answered, one command after the other.
struct Session<'a> {
    stage: &'a Stage,
    text: String,
}

impl<'a> Session<'a> {
    fn new(stage: &'a Stage) -> Self {
        Self { stage, text: String::new() }
    }

    /// Types a command; what it prints and how it ends are kept.
    fn types(&mut self, words: &[&str]) {
        self.types_with(words, "");
    }

    fn types_with(&mut self, words: &[&str], input: &str) {
        let mut command = self.stage.command();
        let mut child = command
            .env("COLUMNS", "80")
            .args(words)
            .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).unwrap();
        }
        let done = child.wait_with_output().unwrap();
        let typed = shlex::try_join(words.iter().copied()).unwrap();
        let _ = writeln!(self.text, "$ authy-mcp {}", steady(self.stage, &typed));
        for (mark, stream) in [("", &done.stdout), ("! ", &done.stderr)] {
            let printed = steady(self.stage, &String::from_utf8_lossy(stream));
            for line in printed.lines().take_while(|line| !is_of_this_machine(line)) {
                let _ = writeln!(self.text, "{}", format!("{mark}{line}").trim_end());
            }
        }
        let _ = writeln!(self.text, "[{}]\n", done.status.code().unwrap_or(-1));
    }
}

/// What this machine can do for a sandbox is another matter, and stands last in `doctor`.
fn is_of_this_machine(line: &str) -> bool {
    line.contains("runs are contained by") || line.contains("runs with network =")
}

const POLICY: &str = r#"scope = "dev"
description = "to build and test"
[sandbox]
mode = "off"
[[allow]]
id = "one"
secrets = ["app/*"]
deliver = "env"
commands = [["printenv", "APP_KEY"], ["TOOL", "**"]]
"#;

/// Vaults, and what is in them: fixed values, so that what is printed is the same.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.set("app/key", b"kX9-first-value-4411aa22bb");
    stage.set("app/key", b"kX9-second-value-77cc88dd99");
    stage.ok(&[
        "admin",
        "set",
        "db/url",
        "--generate",
        "--description",
        "of the test database",
        "--env",
        "DATABASE_URL",
    ]);
    let tool = stage.script("tool", "#!/bin/sh\n");
    stage.policy(&POLICY.replace("TOOL", &tool));
    remembered(stage)
}

#[test]
fn tables() {
    let stage = stage();
    let mut session = Session::new(&stage);
    let file = stage.path("t.jwt").to_str().unwrap().to_owned();
    stage.ok(&[
        "admin",
        "token",
        "issue",
        "--scope",
        "dev",
        "--ttl",
        "8h",
        "--max-uses",
        "3",
        "--out",
        &file,
    ]);
    let mut server = stage.serve("dev");
    server.run(serde_json::json!({"command": [tool(&stage), "x"], "secrets": ["app/key"]}));
    server.run(serde_json::json!({"command": ["ls"], "secrets": ["app/key"]}));
    drop(server);
    let id = token_id(&stage);
    for words in [
        &[][..],
        &["admin", "list"],
        &["admin", "get", "app/key"],
        &["admin", "get", "db/url"],
        &["admin", "history", "app/key"],
        &["admin", "rollback", "app/key", "1"],
        &["admin", "policy", "list"],
        &["admin", "policy", "show", "dev"],
        &["admin", "policy", "check", "dev", "--secret", "app/key", "--", &tool(&stage), "x"],
        &["admin", "allow", "dev", "--yes", "--secret", "db/url", "--", "true"],
        &["admin", "token", "list"],
        &["admin", "token", "show", &id],
        &["admin", "token", "revoke", &id],
        &["admin", "token", "list"],
        &["admin", "audit", "verify"],
        &["admin", "rm", "db/url", "--yes"],
        &["admin", "policy", "rm", "dev", "--yes"],
        &["admin", "policy", "list"],
        &["admin", "verify"],
        &["status"],
        &["lock"],
        &["config", "json", "--scope", "dev"],
        &["config", "agents-md"],
    ] {
        session.types(words);
    }
    golden::hold([("tables.txt", session.text.as_str())]);
}

/// The log's own text, whose runs take their time: without milliseconds and process ids.
#[test]
fn the_audit_log() {
    let stage = stage();
    let mut server = stage.serve("dev");
    server.run(serde_json::json!({"command": [tool(&stage), "x"], "secrets": ["app/key"]}));
    server.run(serde_json::json!({"command": ["ls"], "secrets": ["app/key"]}));
    drop(server);
    let mut session = Session::new(&stage);
    session.types(&["admin", "audit", "show"]);
    let mut text = session.text;
    for key in ["duration_ms=", "local:", "by="] {
        text = alike_after(&text, key);
    }
    golden::hold([("audit.txt", text.as_str())]);
}

#[test]
fn doctor_of_a_good_vault() {
    let stage = stage();
    let mut session = Session::new(&stage);
    session.types(&["doctor"]);
    let lines =
        session.text.lines().filter(|line| !line.contains("runs are contained") && !line.contains("sandbox"));
    let text: Vec<&str> = lines.collect();
    golden::hold([("doctor.txt", text.join("\n").as_str())]);
}

/// A program of the stage, which is at the same place on every machine.
fn tool(stage: &Stage) -> String {
    stage.path("tool").to_str().unwrap().to_owned()
}

fn token_id(stage: &Stage) -> String {
    let listed: serde_json::Value =
        serde_json::from_str(&stage.ok(&["--json", "admin", "token", "list"])).unwrap();
    listed[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn failures() {
    let mut text = String::new();
    for (kind, told) in [
        ("there is no vault", nothing_there as fn() -> String),
        ("usage", usage),
        ("not found", not_found),
        ("denied", denied),
        ("locked", locked),
        ("busy and damaged", busy_and_damaged),
    ] {
        let _ = write!(text, "# {kind}\n\n{}", told());
    }
    golden::hold([("failures.txt", text.as_str())]);
}

fn nothing_there() -> String {
    let stage = Stage::empty();
    let mut session = Session::new(&stage);
    for words in [
        &[][..],
        &["admin", "list"],
        &["admin", "set", "app/key", "--generate"],
        &["admin", "policy", "list"],
        &["admin", "token", "list"],
        &["admin", "audit", "show"],
        &["admin", "audit", "verify"],
        &["admin", "verify"],
        &["admin", "backup", "b"],
        &["admin", "restore", "b"],
        &["run", "--scope", "dev", "--", "true"],
        &["config", "json", "--scope", "dev"],
        &["unlock"],
        &["lock"],
        &["status"],
        &["doctor"],
        &["--json", "admin", "list"],
    ] {
        session.types(words);
    }
    session.text
}

fn usage() -> String {
    let stage = stage();
    let mut session = Session::new(&stage);
    fs::write(stage.path("bad.env"), "A=1\nno equals\n").unwrap();
    fs::write(
        stage.path("bad.toml"),
        "scope = \"dev\"\n[[allow]]\nsecrets = [\"a b\"]\ndeliver = \"env\"\ncommands = []\n",
    )
    .unwrap();
    for words in [
        &["nonsense"][..],
        &["admin"],
        &["admin", "set"],
        &["admin", "set", "a b"],
        &["admin", "set", "app/key", "a-value"],
        &["admin", "set", "app/key", "--generate", "3"],
        &["admin", "set", "app/key", "--from-file", "none"],
        &["admin", "get", "app/key", "--reveal"],
        &["admin", "rm", "app/key"],
        &["admin", "allow"],
        &["admin", "allow", "dev"],
        &["admin", "allow", "dev", "--yes", "--secret", "app/key", "--", "no-such-program"],
        &["admin", "allow", "--last"],
        &["admin", "policy", "check"],
        &["admin", "policy", "check", "dev"],
        &["admin", "policy", "apply", "bad.toml"],
        &["--json", "admin", "policy", "apply", "bad.toml"],
        &["admin", "policy", "apply", "none.toml"],
        &["admin", "policy", "rm", "dev"],
        &["admin", "token", "issue", "--scope", "dev", "--ttl", "2 minutes"],
        &["admin", "token", "issue", "--scope", "dev", "--ttl", "200d"],
        &["admin", "token", "issue", "--scope", "dev", "--max-uses", "0"],
        &["admin", "token", "revoke"],
        &["admin", "import", "bad.env"],
        &["admin", "import", "none.env"],
        &["config", "no-client", "--scope", "dev"],
        &["config", "json", "--scope", "a b"],
        &["init"],
        &["run", "--scope", "dev"],
        &["serve", "--scope", "dev", "--token-file", "t.jwt"],
        &["unlock", "--idle", "2 minutes"],
        &["--log-file", "/no/such/dir/log", "admin", "list"],
        &["--json", "admin", "rm", "app/key"],
    ] {
        session.types(words);
    }
    session.types_with(&["admin", "set", "app/weak"], "password");
    session.types_with(&["admin", "set", "app/short"], "abc");
    session.text
}

fn not_found() -> String {
    let stage = stage();
    let mut session = Session::new(&stage);
    for words in [
        &["admin", "get", "no/key"][..],
        &["admin", "rm", "no/key", "--yes"],
        &["admin", "history", "no/key"],
        &["admin", "rollback", "no/key", "1"],
        &["admin", "rollback", "app/key", "9"],
        &["admin", "policy", "show", "none"],
        &["admin", "policy", "rm", "none", "--yes"],
        &["admin", "policy", "check", "none", "--", "true"],
        &["admin", "token", "issue", "--scope", "none"],
        &["admin", "token", "show", "t_aaaaaaaaaaaaaaaa"],
        &["admin", "token", "revoke", "t_aaaaaaaaaaaaaaaa"],
        &["admin", "restore", "no-backup"],
        &["run", "--scope", "none", "--", "true"],
        &["run", "--scope", "dev", "--secret", "no/key", "--", "printenv", "APP_KEY"],
        &["--json", "admin", "get", "no/key"],
    ] {
        session.types(words);
    }
    session.text
}

fn denied() -> String {
    let stage = stage();
    let mut session = Session::new(&stage);
    for words in [
        &["run", "--scope", "dev", "--secret", "app/key", "--", "ls", "-l"][..],
        &["run", "--scope", "dev", "--", "printenv", "APP_KEY"],
        &["--json", "run", "--scope", "dev", "--secret", "app/key", "--", "ls"],
        &["admin", "policy", "check", "dev", "--secret", "app/key", "--", "ls"],
        &["run", "--token-file", "/no/such/file", "--", "true"],
        &["init", "--unlock", "identity-file"],
    ] {
        session.types(words);
    }
    session.text
}

fn locked() -> String {
    let stage = Stage::empty();
    let file = stage.path("passphrase");
    fs::write(&file, "four words in a row\n").unwrap();
    let mut session = Session::new(&stage);
    session.types(&["init", "--unlock", "passphrase"]);
    let by_file = |words: &[&str]| -> Vec<String> {
        let words = ["--passphrase-file", "passphrase"].iter().chain(words);
        words.map(|word| (*word).to_owned()).collect()
    };
    let typed = |session: &mut Session<'_>, words: Vec<String>| {
        session.types(&words.iter().map(String::as_str).collect::<Vec<_>>());
    };
    typed(&mut session, by_file(&["init", "--unlock", "passphrase"]));
    std::process::Command::new("chmod").arg("600").arg(&file).status().unwrap();
    typed(&mut session, by_file(&["init", "--unlock", "passphrase"]));
    for words in [
        &["admin", "list"][..],
        &["admin", "set", "app/key", "--generate"],
        &["run", "--scope", "dev", "--", "true"],
        &["config", "json", "--scope", "dev"],
        &["unlock"],
        &["doctor"],
        &["--json", "admin", "list"],
    ] {
        session.types(words);
    }
    fs::write(&file, "another one altogether\n").unwrap();
    typed(&mut session, by_file(&["admin", "list"]));
    fs::write(&file, "").unwrap();
    typed(&mut session, by_file(&["admin", "list"]));
    let lines =
        session.text.lines().filter(|line| !line.contains("runs are contained") && !line.contains("sandbox"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn busy_and_damaged() -> String {
    let stage = stage();
    let mut session = Session::new(&stage);
    let lock = fs::File::options().write(true).open(stage.home().join("vault.lock")).unwrap();
    lock.lock().unwrap();
    session.types(&["admin", "set", "app/new", "--generate"]);
    drop(lock);
    let mut files = fs::read_dir(stage.home().join("audit")).unwrap().flatten().map(|entry| entry.path());
    let log = files.find(|path| path.extension().is_some_and(|end| end == "jsonl")).unwrap();
    let whole = fs::read(&log).unwrap();
    let four: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').take(4).collect();
    fs::write(&log, four.concat()).unwrap();
    for words in [
        &["admin", "audit", "verify"][..],
        &["admin", "audit", "show"],
        &["admin", "set", "a/b", "--generate"],
    ] {
        session.types(words);
    }
    fs::write(&log, &whole).unwrap();
    fs::write(stage.home().join("store/current"), b"0").unwrap();
    for words in
        [&["admin", "list"][..], &["admin", "verify"], &["run", "--scope", "dev", "--", "true"], &["doctor"]]
    {
        session.types(words);
    }
    let lines =
        session.text.lines().filter(|line| !line.contains("runs are contained") && !line.contains("sandbox"));
    lines.map(|line| format!("{line}\n")).collect()
}
