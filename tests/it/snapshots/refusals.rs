//! What a refused call is told: every code, as structure and as text, from real calls.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};

use super::{golden, remembered, steady::steady};
use crate::stage::{Server, Stage};

/// Codes for which this version has no call that is refused with them.
const NEVER: [&str; 2] = ["approval_required", "denied_by_person"];

/// What was refused so far.
struct Told {
    text: String,
    codes: BTreeSet<String>,
}

impl Told {
    /// Keeps an answer, which must be a refusal with this code.
    #[track_caller]
    fn refused(&mut self, stage: &Stage, what: &str, code: &str, answer: &Value) {
        let refusal = &answer["structuredContent"];
        assert_eq!(
            (&answer["isError"], refusal["code"].as_str()),
            (&json!(true), Some(code)),
            "{what}: {answer}"
        );
        self.codes.insert(code.to_owned());
        let structure = serde_json::to_string_pretty(refusal).unwrap();
        let text = answer["content"][0]["text"].as_str().unwrap();
        let _ =
            write!(self.text, "# {what}\n{}\n---\n{}\n\n", steady(stage, &structure), steady(stage, text));
    }

    #[track_caller]
    fn run(&mut self, stage: &Stage, server: &mut Server, what: &str, code: &str, arguments: Value) {
        let answer = server.tool("run_with_secrets", arguments);
        self.refused(stage, what, code, &answer);
    }
}

const POLICY: &str = r#"
scope = "s"
[limits]
runs_per_minute = 3
[env]
agent = { DEPTH = "{int:1..9}" }
[sandbox]
mode = "off"
cwd = ["DIR/work"]
[[allow]]
id = "print"
secrets = ["app/*"]
deliver = "env"
commands = [["printenv", "APP_KEY"], ["echo", "{enum:a|b}"], ["echo", "x", "*"]]
[[allow]]
id = "any"
secrets = ["any/key"]
deliver = "env"
commands = "any"
[[allow]]
id = "pinned"
secrets = ["pin/key"]
deliver = "env"
pin = true
commands = [["DIR/pinned"], ["DIR/gone"]]
"#;

/// A vault with secrets, the policy, and the programs that it names.
fn stage() -> Stage {
    let stage = Stage::new();
    for name in ["app/key", "app/other", "any/key", "pin/key", "out/side"] {
        stage.ok(&["admin", "set", name, "--generate"]);
    }
    fs::create_dir(stage.path("work")).unwrap();
    stage.script("pinned", "#!/bin/sh\n");
    stage.script("gone", "#!/bin/sh\n");
    stage.policy(&POLICY.replace("DIR", stage.dir.path().to_str().unwrap()));
    remembered(stage)
}

#[test]
fn every_refusal() {
    let mut told = Told { text: String::new(), codes: BTreeSet::new() };
    let stage = stage();
    calls(&stage, &mut told);
    programs(&stage, &mut told);
    grants(&stage, &mut told);
    sandboxes(&stage, &mut told);
    credentials(&stage, &mut told);
    states(&stage, &mut told);
    golden::hold([("refusals.txt", told.text.as_str())]);
    let schema =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/refusal.schema.json"))
            .unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut codes = BTreeSet::new();
    codes_of(&schema, &mut codes);
    assert!(codes.len() >= 20, "{codes:?}");
    told.codes.extend(NEVER.map(str::to_owned));
    assert_eq!(told.codes, codes, "each code is refused with once");
}

/// The codes that a schema has: each a `const` with its description.
fn codes_of(schema: &Value, codes: &mut BTreeSet<String>) {
    match schema {
        Value::Object(all) => {
            codes.extend(all.get("const").and_then(Value::as_str).map(str::to_owned));
            all.values().for_each(|value| codes_of(value, codes));
        }
        Value::Array(all) => all.iter().for_each(|value| codes_of(value, codes)),
        _ => {}
    }
}

/// What a call says is refused before anything else is looked at.
fn calls(stage: &Stage, told: &mut Told) {
    let mut server = stage.serve("s");
    let key = ["app/key"];
    for (what, code, arguments) in [
        (
            "a secret that is not there",
            "not_available",
            json!({"command": ["printenv", "APP_KEY"], "secrets": ["no/key"]}),
        ),
        (
            "a secret outside of the scope",
            "not_available",
            json!({"command": ["printenv", "APP_KEY"], "secrets": ["out/side"]}),
        ),
        (
            "a command that no rule has",
            "command_not_allowed",
            json!({"command": ["ls", "-l"], "secrets": key}),
        ),
        (
            "an argument that is not in the pattern",
            "command_not_allowed",
            json!({"command": ["echo", "c"], "secrets": key}),
        ),
        (
            "no secrets, where a pattern covers several",
            "secrets_required",
            json!({"command": ["printenv", "APP_KEY"]}),
        ),
        (
            "a reference in an argument",
            "secret_in_argv",
            json!({"command": ["echo", "x", "{{app/key}}"], "secrets": key}),
        ),
        (
            "a variable that a call may not set",
            "env_not_allowed",
            json!({"command": ["printenv", "APP_KEY"], "secrets": key, "env": {"LD_PRELOAD": "/tmp/x"}}),
        ),
        (
            "a text that the variable may not have",
            "env_not_allowed",
            json!({"command": ["printenv", "APP_KEY"], "secrets": key, "env": {"DEPTH": "10"}}),
        ),
        (
            "a directory outside",
            "cwd_not_allowed",
            json!({"command": ["printenv", "APP_KEY"], "secrets": key, "cwd": "/etc"}),
        ),
        (
            "a directory that is not there",
            "cwd_not_allowed",
            json!({"command": ["printenv", "APP_KEY"], "secrets": key, "cwd": stage.path("work/none")}),
        ),
        (
            "standard input",
            "stdin_not_allowed",
            json!({"command": ["printenv", "APP_KEY"], "secrets": key, "stdin": "text"}),
        ),
        (
            "a program that is not there",
            "program_not_found",
            json!({"command": ["no-such-program"], "secrets": ["any/key"]}),
        ),
        ("no command", "bad_argument", json!({"command": [], "secrets": key})),
        ("a command without a program", "bad_argument", json!({"command": [""], "secrets": key})),
        ("one text", "bad_argument", json!({"command": ["printenv APP_KEY"], "secrets": key})),
        ("a NUL byte", "bad_argument", json!({"command": ["echo", "x", "a\u{0}b"], "secrets": key})),
        (
            "a name that is none",
            "bad_argument",
            json!({"command": ["printenv", "APP_KEY"], "secrets": ["a b"]}),
        ),
        (
            "an argument that is not there",
            "bad_argument",
            json!({"command": ["printenv", "APP_KEY"], "shell": true}),
        ),
        ("an argument of another type", "bad_argument", json!({"command": "printenv APP_KEY"})),
        ("nothing", "bad_argument", json!({})),
    ] {
        told.run(stage, &mut server, what, code, arguments);
    }
}

fn programs(stage: &Stage, told: &mut Told) {
    fs::remove_file(stage.path("gone")).unwrap();
    stage.script("pinned", "#!/bin/sh\necho other\n");
    let mut server = stage.serve("s");
    let call = |name: &str| json!({"command": [stage.path(name)], "secrets": ["pin/key"]});
    told.run(stage, &mut server, "a program that was changed", "program_changed", call("pinned"));
    told.run(stage, &mut server, "a program that is gone", "program_not_found", call("gone"));
    let good = json!({"command": ["printenv", "APP_KEY"], "secrets": ["app/key"]});
    let refused = (0..5).map(|_| server.tool("run_with_secrets", good.clone()));
    let refused = refused.filter(|answer| answer["isError"] == json!(true)).last().unwrap();
    told.refused(stage, "too many runs a minute", "rate_limited", &refused);
}

fn grants(stage: &Stage, told: &mut Told) {
    let mut server = stage.serve("s");
    for (what, arguments) in [
        ("a purpose that is none", json!({"purpose": "wider", "reason": "r"})),
        ("a subagent for no time", json!({"purpose": "subagent", "reason": "r", "ttl_seconds": 0})),
        ("a subagent with no runs", json!({"purpose": "subagent", "reason": "r", "max_uses": 0})),
        ("a command that is none", json!({"purpose": "narrow_me", "reason": "r", "commands": [["*"]]})),
    ] {
        let answer = server.tool("request_token", arguments);
        told.refused(stage, what, "bad_argument", &answer);
    }
}

/// What the policy asks of the sandbox and this machine can't give, the same on every machine.
fn sandboxes(stage: &Stage, told: &mut Told) {
    let home = stage.home();
    stage.policy(&format!(
        "scope = \"boxed\"\n[sandbox]\nread = [{home:?}]\n[[allow]]\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = [[\"true\"]]\n"
    ));
    let mut server = stage.serve("boxed");
    let call = json!({"command": ["true"], "secrets": ["app/key"]});
    told.run(stage, &mut server, "the vault, as a place to read", "sandbox_unavailable", call);
}

fn credentials(stage: &Stage, told: &mut Told) {
    let call = json!({"command": ["true"], "secrets": ["app/key"]});
    let mut refused = |what: &str, code: &str, server: &mut Server| {
        told.run(stage, server, what, code, call.clone());
    };
    let serve = |words: &[&str]| Server::start(stage.command().arg("serve").args(words));
    refused("no credential", "token_invalid", &mut serve(&[]));
    refused("no file of a token", "token_invalid", &mut serve(&["--token-file", "/no/such/file"]));
    let mut bad = Server::start(stage.command().arg("serve").env("AUTHY_MCP_TOKEN", "not.a.token"));
    refused("a token that is none", "token_invalid", &mut bad);
    refused("a scope without a policy", "command_not_allowed", &mut serve(&["--scope", "none"]));
    let file = stage.path("t.jwt").to_str().unwrap().to_owned();
    stage.ok(&["admin", "token", "issue", "--scope", "boxed", "--max-uses", "1", "--out", &file]);
    stage.policy("scope = \"boxed\"\n[sandbox]\nmode = \"off\"\n[[allow]]\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = [[\"true\"]]\n");
    let mut server = serve(&["--token-file", &file]);
    assert_eq!(server.run(call.clone())["exit_code"], 0);
    refused("a token whose runs are used up", "token_expired", &mut server);
    stage.ok(&["admin", "token", "issue", "--scope", "boxed", "--out", &file]);
    let tokens: Value = serde_json::from_str(&stage.ok(&["--json", "admin", "token", "list"])).unwrap();
    for token in tokens.as_array().unwrap() {
        stage.ok(&["admin", "token", "revoke", token["id"].as_str().unwrap()]);
    }
    refused("a token that was revoked", "token_invalid", &mut serve(&["--token-file", &file]));
}

/// The states of a home.
fn states(stage: &Stage, told: &mut Told) {
    let call = json!({"command": ["true"], "secrets": ["app/key"]});
    let serve = |stage: &Stage| stage.serve("boxed");
    let none = Stage::empty();
    told.run(&none, &mut serve(&none), "no vault", "vault_locked", call.clone());
    let locked = Stage::empty();
    let file = locked.path("passphrase");
    fs::write(&file, "four words in a row\n").unwrap();
    std::process::Command::new("chmod").args(["600", file.to_str().unwrap()]).status().unwrap();
    locked.ok(&["--passphrase-file", file.to_str().unwrap(), "init", "--unlock", "passphrase"]);
    told.run(&locked, &mut serve(&locked), "a locked vault", "vault_locked", call.clone());

    let mut files = fs::read_dir(stage.home().join("audit")).unwrap().flatten().map(|entry| entry.path());
    let log = files.find(|path| path.extension().is_some_and(|end| end == "jsonl")).unwrap();
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() / 2]).unwrap();
    told.run(stage, &mut serve(stage), "an audit log that was cut", "audit_unavailable", call.clone());
    fs::write(&log, &whole).unwrap();

    let lock = fs::File::options().write(true).open(stage.home().join("vault.lock")).unwrap();
    lock.lock().unwrap();
    told.run(stage, &mut serve(stage), "a vault that another process holds", "busy", call.clone());
    drop(lock);

    let epoch = stage.home().join("store/current");
    let whole = fs::read(&epoch).unwrap();
    fs::write(&epoch, b"0").unwrap();
    told.run(stage, &mut serve(stage), "a vault that was tampered with", "damaged", call);
    fs::write(&epoch, whole).unwrap();
}
