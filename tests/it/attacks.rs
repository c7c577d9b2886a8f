//! What an agent tries, and the code with which each is refused.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::stage::{Server, Stage, one_rule};

const VALUE: &[u8] = b"attack-value-8Rk2Lq7Z";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.set("a/key", VALUE);
    stage.set("outside/key", b"outside-value-5Tn3Wx");
    stage
}

#[test]
fn variables_that_hijack_are_refused() {
    let stage = stage();
    let policy = one_rule("s", "a/key", "[[\"printenv\", \"A_KEY\"]]", "")
        .replace("[[allow]]", "[env]\nagent = [\"LOG_LEVEL\"]\n[[allow]]");
    stage.policy(&policy);
    let mut server = stage.serve("s");
    for name in [
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "DYLD_INSERT_LIBRARIES",
        "PATH",
        "NODE_OPTIONS",
        "BASH_ENV",
        "ENV",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "GIT_SSH_COMMAND",
        "GIT_CONFIG_GLOBAL",
        "HOME",
        "IFS",
        "PERL5OPT",
        "RUBYOPT",
        "HTTPS_PROXY",
        "A_KEY",
        "OTHER",
    ] {
        let refused = server
            .run(json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"], "env": {name: "/tmp/x"}}));
        assert_eq!(refused["code"], "env_not_allowed", "{name}: {refused}");
    }
    let ran = server
        .run(json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"], "env": {"LOG_LEVEL": "debug"}}));
    assert_eq!(ran["exit_code"], 0, "{ran}");
}

#[test]
fn a_policy_cannot_let_a_call_set_them() {
    let stage = stage();
    for name in ["LD_PRELOAD", "PATH", "NODE_OPTIONS", "BASH_ENV", "PYTHONPATH", "GIT_DIR"] {
        let text = one_rule("s", "a/key", "[[\"true\"]]", "")
            .replace("[[allow]]", &format!("[env]\nagent = [\"{name}\"]\n[[allow]]"));
        std::fs::write(stage.path("p.toml"), text).unwrap();
        let said =
            stage.fails(2, &["admin", "policy", "apply", stage.path("p.toml").to_str().unwrap(), "--yes"]);
        assert!(said.contains("line 5") && said.contains(name), "{said}");
    }
}

#[test]
fn programs_and_arguments_that_only_look_allowed_are_refused() {
    let stage = stage();
    let tool = stage.script("tool", "#!/bin/sh\necho ran\n");
    let link = stage.path("link");
    std::os::unix::fs::symlink("/bin/sh", &link).unwrap();
    let commands = format!(
        "[[\"{tool}\", \"-c\", \"*\"], [\"printenv\", \"A_KEY\"], [\"{tool}\", \"file\", \"reports/*.sql\"]]"
    );
    stage.policy(&one_rule("s", "a/key", &commands, ""));
    let mut server = stage.serve("s");
    let link = link.to_str().unwrap();
    for command in [
        json!(["./tool", "-c", "x"]),
        json!(["tool", "-c", "x"]),
        json!([link, "-c", "x"]),
        json!(["/bin/../bin/printenv", "A_KEY"]),
        json!(["../../usr/bin/printenv", "A_KEY"]),
        json!(["printenv", "HOME"]),
        json!(["printenv", "A_KEY", "HOME"]),
        json!(["printenv"]),
        json!(["Printenv", "A_KEY"]),
        json!(["printenv ", "A_KEY"]),
        json!([tool, "-c", "\\! env"]),
        json!([tool, "-c", "-f/etc/passwd"]),
        json!([tool, "-c"]),
        json!([tool, "-cx"]),
        json!([tool, "file", "reports/../../etc/passwd"]),
        json!([tool, "file", "-reports/a.sql"]),
        json!(["sh", "-c", "printenv A_KEY"]),
        json!(["env", "printenv", "A_KEY"]),
    ] {
        let refused = server.run(json!({"command": command, "secrets": ["a/key"]}));
        assert_eq!(refused["code"], "command_not_allowed", "{command}: {refused}");
    }
    let bad = server.run(json!({"command": ["printenv A_KEY"], "secrets": ["a/key"]}));
    assert_eq!(bad["code"], "bad_argument", "{bad}");
    assert!(bad["hint"].as_str().unwrap().contains("[\"npm\", \"test\"]"));
    let reference = server.run(json!({"command": [tool, "-c", "{{a/key}}"], "secrets": ["a/key"]}));
    assert_eq!(reference["code"], "secret_in_argv", "{reference}");
    let ran = server.run(json!({"command": [tool, "-c", "select 1"], "secrets": ["a/key"]}));
    assert_eq!(ran["stdout"], "ran\n", "{ran}");
}

#[test]
fn directories_outside_are_refused() {
    let stage = stage();
    let inside = stage.path("inside");
    std::fs::create_dir(&inside).unwrap();
    std::os::unix::fs::symlink("/etc", inside.join("out")).unwrap();
    let inside = inside.to_str().unwrap().to_owned();
    let text = one_rule("s", "a/key", "[[\"pwd\"]]", "")
        .replace("mode = \"off\"", &format!("mode = \"off\"\ncwd = [\"{inside}\"]"));
    stage.policy(&text);
    let mut server = stage.serve("s");
    for cwd in [
        format!("{inside}/.."),
        format!("{inside}/../.."),
        "/etc".into(),
        "inside".into(),
        format!("{inside}/out"),
        format!("{inside}x"),
        format!("{inside}/nothing"),
    ] {
        let refused = server.run(json!({"command": ["pwd"], "secrets": ["a/key"], "cwd": cwd}));
        assert_eq!(refused["code"], "cwd_not_allowed", "{cwd}: {refused}");
    }
    let ran = server.run(json!({"command": ["pwd"], "secrets": ["a/key"]}));
    assert_eq!(ran["stdout"], format!("{}\n", std::fs::canonicalize(&inside).unwrap().display()));
}

#[test]
fn a_secret_outside_and_one_that_is_not_there_are_the_same() {
    let stage = stage();
    stage.policy(&one_rule("s", "a/*", "[[\"printenv\", \"A_KEY\"]]", ""));
    let mut server = stage.serve("s");
    let mut words = |name: &str| {
        let answer =
            server.tool("run_with_secrets", json!({"command": ["printenv", "A_KEY"], "secrets": [name]}));
        let answer: Value = serde_json::from_str(&answer.to_string().replace(name, "NAME")).unwrap();
        assert_eq!(answer["structuredContent"]["code"], "not_available");
        assert!(answer["structuredContent"].get("rule").is_none());
        answer
    };
    let outside = words("outside/key");
    for other in ["outside/nothing", "a/nothing", "nothing/at/all"] {
        assert_eq!(outside, words(other), "{other}");
    }
}

#[test]
fn a_child_gets_what_the_policy_names_and_nothing_else() {
    let stage = stage();
    let text = one_rule("s", "a/key", "[[\"printenv\"]]", "set_env = { MODE = \"test\" }")
        .replace("[[allow]]", "[env]\npass = [\"CI\"]\n[[allow]]");
    stage.policy(&text);
    let mut command = stage.command();
    command.args(["serve", "--scope", "s"]);
    command
        .env("CI", "yes")
        .env("SERVER_ONLY", "server-only-value")
        .env("AUTHY_MCP_TOKEN", "token-of-the-session")
        .env("DATABASE_URL", "postgres://x");
    let mut server = Server::start(&mut command);
    let ran = server.run(json!({"command": ["printenv"], "secrets": ["a/key"]}));
    let stdout = ran["stdout"].as_str().unwrap();
    let mut names: Vec<&str> =
        stdout.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["A_KEY", "CI", "HOME", "LANG", "MODE", "PATH", "TMPDIR"], "{stdout}");
    assert!(stdout.contains("A_KEY=[redacted:a/key]"));
    let home = stage.home();
    for hidden in ["server-only-value", "token-of-the-session", home.to_str().unwrap(), "postgres://"] {
        assert!(!stdout.contains(hidden), "{hidden} in {stdout}");
    }
}

#[test]
fn a_child_cannot_read_its_supervisor() {
    let stage = stage();
    // As root, everything can be read: the promise is about processes of the same user.
    let script = stage
        .script("spy", "#!/bin/sh\ncat /proc/$PPID/environ | wc -c\ntr '\\0' ' ' < /proc/$PPID/cmdline\n");
    stage.policy(&one_rule("s", "a/key", &format!("[[\"{script}\"]]"), ""));
    let ran = stage.serve("s").run(json!({"command": [script], "secrets": ["a/key"]}));
    let stdout = ran["stdout"].as_str().unwrap();
    assert!(!stdout.contains("redacted"), "{ran}");
    // Its environment is that of the server, forked as that began: to be read by nobody but root.
    let root = rustix::process::geteuid().is_root();
    assert!(root || stdout.starts_with("0\n"), "the supervisor can't be read: {ran}");
}

#[test]
fn descriptors_that_a_client_left_open_do_not_reach_the_child() {
    let stage = stage();
    let script = stage.script("fds", "#!/bin/sh\nls /proc/self/fd | sort -n | tr '\\n' ' '\n");
    stage.policy(&one_rule("s", "a/key", &format!("[[\"{script}\"]]"), ""));
    // A client that leaks a descriptor into its server, as a shell can be made to.
    let mut leaky = std::process::Command::new("/bin/sh");
    let binary = env!("CARGO_BIN_EXE_authy-mcp");
    leaky.args(["-c", &format!("exec 7</etc/passwd 9</etc/hosts; exec {binary} serve --scope s")]);
    leaky.env_clear().env("AUTHY_MCP_HOME", stage.home()).env("HOME", stage.dir.path()).stdin(Stdio::piped());
    let ran = Server::start(&mut leaky).run(json!({"command": [script], "secrets": ["a/key"]}));
    let open: Vec<&str> = ran["stdout"].as_str().unwrap().split_whitespace().collect();
    assert!(!open.contains(&"7") && !open.contains(&"9"), "{ran}");
}

#[test]
fn a_narrowed_session_stays_narrow() {
    let stage = stage();
    stage.set("a/other", b"other-value-3Mf9Kd");
    stage.policy(&one_rule("s", "a/*", "[[\"printenv\", \"*\"]]", ""));
    stage.ok(&["admin", "token", "issue", "--scope", "s", "--out", stage.path("t.jwt").to_str().unwrap()]);
    let token = stage.path("t.jwt").to_str().unwrap().to_owned();
    let serve = || Server::start(stage.command().args(["serve", "--token-file", &token]));
    let mut server = serve();
    let granted = server.tool(
        "request_token",
        json!({"purpose": "narrow_me", "secrets": ["a/key"], "max_uses": 2, "reason": "less"}),
    );
    assert_eq!(granted["structuredContent"]["status"], "granted", "{granted}");
    assert_eq!(granted["structuredContent"]["secrets"], json!(["a/key"]));
    let key = json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"]});
    let other = json!({"command": ["printenv", "A_OTHER"], "secrets": ["a/other"]});
    assert_eq!(server.run(other.clone())["code"], "not_available");
    let more = server.tool(
        "request_token",
        json!({"purpose": "narrow_me", "secrets": ["a/key", "a/other"], "reason": "more"}),
    );
    assert_eq!(more["structuredContent"]["secrets"], json!(["a/key"]), "a second narrowing widens nothing");
    for _ in 0..2 {
        assert_eq!(server.run(key.clone())["exit_code"], 0);
    }
    assert_eq!(server.run(key.clone())["code"], "token_expired", "two uses, and no third");
    let asked = server
        .tool("request_token", json!({"purpose": "more", "secrets": ["outside/key"], "reason": "please"}));
    assert_eq!(asked["structuredContent"]["code"], "token_expired", "{asked}");
    // What one process gave up, another that shows the same token has still.
    let mut another = serve();
    assert_eq!(another.run(other)["exit_code"], 0);
    assert_eq!(another.run(key)["exit_code"], 0);
}

#[test]
fn what_is_handed_to_a_helper_is_less_and_ends_with_its_parent() {
    let stage = stage();
    stage.set("a/other", b"other-value-3Mf9Kd");
    stage.policy(&one_rule("s", "a/*", "[[\"printenv\", \"*\"]]", ""));
    let token = stage.path("t.jwt").to_str().unwrap().to_owned();
    stage.ok(&["admin", "token", "issue", "--scope", "s", "--out", &token]);
    let mut server = Server::start(stage.command().args(["serve", "--token-file", &token]));
    let granted = server.tool(
        "request_token",
        json!({"purpose": "subagent", "secrets": ["a/key"], "ttl_seconds": 600, "reason": "a helper"}),
    );
    let granted = &granted["structuredContent"];
    assert_eq!(granted["status"], "granted", "{granted}");
    assert!(granted.get("token").is_none(), "a bearer only where the policy says delegate = true");
    let file = granted["token_file"].as_str().unwrap();
    let mut helper = Server::start(stage.command().args(["serve", "--token-file", file]));
    assert_eq!(helper.run(json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"]}))["exit_code"], 0);
    assert_eq!(
        helper.run(json!({"command": ["printenv", "A_OTHER"], "secrets": ["a/other"]}))["code"],
        "not_available"
    );
    let tokens: Value = serde_json::from_str(&stage.ok(&["--json", "admin", "token", "list"])).unwrap();
    let parent =
        tokens.as_array().unwrap().iter().find(|t| !t["subject"].as_str().unwrap().contains('/')).unwrap();
    stage.ok(&["admin", "token", "revoke", parent["id"].as_str().unwrap()]);
    for server in [&mut helper, &mut server] {
        assert_eq!(
            server.run(json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"]}))["code"],
            "token_invalid"
        );
    }
}

#[test]
fn limits_hold() {
    let stage = stage();
    let text = one_rule("s", "a/key", "[[\"true\"], [\"sleep\", \"*\"]]", "")
        .replace("[[allow]]", "[limits]\nruns_per_minute = 3\nconcurrent_runs = 1\n[[allow]]");
    stage.policy(&text);
    let mut server = stage.serve("s");
    let id = server.send(
        "tools/call",
        json!({"name": "run_with_secrets", "arguments": {"command": ["sleep", "3"], "secrets": ["a/key"]}}),
    );
    crate::stage::eventually("the run has begun", || stage.audit().iter().any(|e| e["event"] == "intent"));
    let refused = server.run(json!({"command": ["true"], "secrets": ["a/key"]}));
    assert_eq!(refused["code"], "rate_limited", "{refused}");
    server.answer(id);
    for _ in 0..2 {
        assert_eq!(server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["exit_code"], 0);
    }
    let refused = server.run(json!({"command": ["true"], "secrets": ["a/key"]}));
    assert_eq!(refused["code"], "rate_limited", "{refused}");
    assert!(refused["hint"].as_str().unwrap().starts_with("call again in "), "{refused}");
}

#[test]
fn output_modes() {
    let stage = stage();
    for (mode, stdout, withheld) in [
        ("withhold", Value::Null, json!(true)),
        ("status", Value::Null, Value::Null),
        ("redacted", json!("[redacted:a/key]\n"), Value::Null),
    ] {
        stage.policy(&one_rule("s", "a/key", "[[\"printenv\", \"A_KEY\"]]", &format!("output = \"{mode}\"")));
        let ran = stage.serve("s").run(json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"]}));
        assert_eq!(
            (&ran["stdout"], &ran["withheld"], &ran["exit_code"]),
            (&stdout, &withheld, &json!(0)),
            "{mode}: {ran}"
        );
    }
    let script = stage.script("fails", "#!/bin/sh\nexit 42\n");
    stage.policy(&one_rule("s", "a/key", &format!("[[\"{script}\"]]"), "output = \"status\""));
    assert_eq!(
        stage.serve("s").run(json!({"command": [script], "secrets": ["a/key"]}))["exit_code"],
        1,
        "success or failure only"
    );
}

#[test]
fn a_pinned_program_that_changed_is_refused() {
    let stage = stage();
    let script = stage.script("pinned", "#!/bin/sh\necho one\n");
    stage.policy(&one_rule("s", "a/key", &format!("[[\"{script}\"]]"), "pin = true"));
    let mut server = stage.serve("s");
    assert_eq!(server.run(json!({"command": [script], "secrets": ["a/key"]}))["stdout"], "one\n");
    stage.script("pinned", "#!/bin/sh\necho two\n");
    assert_eq!(server.run(json!({"command": [script], "secrets": ["a/key"]}))["code"], "program_changed");
    std::fs::remove_file(stage.path("pinned")).unwrap();
    assert_eq!(server.run(json!({"command": [script], "secrets": ["a/key"]}))["code"], "program_not_found");
}

#[test]
fn the_last_refusal_becomes_a_rule() {
    let stage = stage();
    stage.policy(&one_rule("s", "a/key", "[[\"true\"]]", ""));
    let mut server = stage.serve("s");
    let call = json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"]});
    assert_eq!(server.run(call.clone())["operator_command"], "authy-mcp admin allow --last");
    let shown = stage.ok(&["admin", "allow", "--last", "--yes"]);
    assert!(shown.contains("printenv A_KEY") && shown.contains("widens"), "{shown}");
    assert_eq!(server.run(call)["exit_code"], 0, "in force on the next call");
    server.run(json!({"command": ["printenv", "*"], "secrets": ["a/key"]}));
    let said = stage.fails(2, &["admin", "allow", "--last", "--yes"]);
    assert!(said.contains("has a *"), "a glob that an agent wrote is no rule: {said}");
}
