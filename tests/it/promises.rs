//! What is promised of a rule, and what a call may choose of it: over MCP, with and without a daemon.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::stage::{Server, Stage};

const VALUE: &str = "promise-value-7Kd2Wq9Z";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.set("app/key", VALUE.as_bytes());
    stage
}

/// A policy with one rule for the secret, in the default sandbox.
fn rule(commands: &str, more: &str, top: &str) -> String {
    format!(
        "scope = \"s\"\n{top}\n[[allow]]\nid = \"one\"\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = {commands}\n{more}\n"
    )
}

/// Applies a document that must be refused; what is said.
#[track_caller]
fn refused(stage: &Stage, text: &str) -> String {
    std::fs::write(stage.path("p.toml"), text).unwrap();
    stage.fails(2, &["admin", "policy", "apply", stage.path("p.toml").to_str().unwrap(), "--yes"])
}

fn listed(server: &mut Server) -> Value {
    server.tool("list_allowed", json!({}))["structuredContent"].clone()
}

fn call(command: &[&str]) -> Value {
    json!({"command": command, "secrets": ["app/key"]})
}

/// Each of these was called reviewed, and gave the value in a form of the agent's choice.
#[test]
fn where_the_agent_chooses_the_code_nothing_is_called_reviewed() {
    let stage = stage();
    let mine = stage.script("mytool", "#!/bin/sh\necho one\n");
    let deploy = stage.script("deploy.py", "print('one')\n");
    let copy = stage.path("true");
    std::fs::copy("/bin/sh", &copy).unwrap();
    for name in ["nodejs", "rbash", "nawk", "editor", "pager"] {
        symlink("/bin/sh", stage.path(name)).unwrap();
    }
    let here = |name: &str| stage.path(name).to_str().unwrap().to_owned();
    let mut rules = vec![
        "[[\"sh\"]]\nstdin = \"text\"".to_owned(),
        "[[\"sh\", \"-c\", \"*\"]]".to_owned(),
        "[[\"env\", \"**\"]]".to_owned(),
        "[[\"printenv\", \"APP_KEY\"]]".to_owned(),
        "[[\"tar\", \"-cf\", \"/dev/null\", \"/etc/hostname\"]]".to_owned(),
        format!("[[\"{mine}\"]]"),
        format!("[[\"sh\", \"{deploy}\"]]"),
        format!("[[\"{}\", \"x\"]]", copy.display()),
    ];
    rules.extend(
        ["nodejs", "rbash", "nawk", "editor", "pager"].map(|n| format!("[[\"{}\", \"-c\", \"*\"]]", here(n))),
    );
    let text: String = rules
        .iter()
        .map(|commands| {
            format!("[[allow]]\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = {commands}\n")
        })
        .collect();
    std::fs::write(stage.path("p.toml"), format!("scope = \"s\"\n{text}")).unwrap();
    let said = stage.ok(&["admin", "policy", "apply", stage.path("p.toml").to_str().unwrap(), "--yes"]);
    assert_eq!(said.matches("best_effort: ").count(), rules.len(), "{said}");
    let mut server = stage.serve("s");
    let all = listed(&mut server);
    for entry in all["rules"].as_array().unwrap() {
        assert_eq!(entry["promise"], "best_effort", "{entry}");
        assert!(entry["promise_why"].as_str().is_some_and(|why| !why.is_empty()), "{entry}");
    }
    let ran = server.run(call(&["sh", "-c", "printenv APP_KEY | tr A-Za-z B-ZAb-za"]));
    assert_eq!((ran["exit_code"].as_i64(), ran["promise"].as_str()), (Some(0), Some("best_effort")), "{ran}");
    assert!(ran["promise_why"].as_str().unwrap().starts_with("sh is not one of"), "{ran}");
}

/// Variables that turn a command into another, whoever sets them.
#[test]
fn variables_of_a_call_and_of_the_server_need_a_type() {
    let stage = stage();
    for (key, name) in [
        ("agent", "TAR_OPTIONS"),
        ("agent", "GNUMAKEFLAGS"),
        ("agent", "SOME_NEW_TOOL_OPTS"),
        ("pass", "NODE_OPTIONS"),
        ("pass", "PATH"),
        ("pass", "http_proxy"),
        ("pass", "SOME_NEW_TOOL_OPTS"),
    ] {
        let said = refused(&stage, &rule("[[\"true\"]]", "", &format!("[env]\n{key} = [\"{name}\"]")));
        assert!(said.contains("line 3") && said.contains(name), "{said}");
    }
    let top = "[env]\npass = { STAGE = \"{enum:test|live}\", TZ = \"{enum:UTC}\" }\nagent = { DEPTH = \"{int:1..9}\" }";
    stage.policy(&rule("[[\"env\"]]", "", top));
    let mut server = Server::start(
        stage
            .command()
            .args(["serve", "--scope", "s"])
            .env("STAGE", "live")
            .env("TZ", "/tmp/zone")
            .env("OTHER", "x"),
    );
    let with = |text: &str| json!({"command": ["env"], "secrets": ["app/key"], "env": {"DEPTH": text}});
    let ran = server.run(with("3"));
    let lines: Vec<&str> = ran["stdout"].as_str().unwrap().lines().collect();
    assert!(lines.contains(&"DEPTH=3") && lines.contains(&"STAGE=live"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("TZ=") || line.starts_with("OTHER=")), "{lines:?}");
    for text in ["10", "x", "3;id", ""] {
        assert_eq!(server.run(with(text))["code"], "env_not_allowed", "{text}");
    }
}

/// `[["bash"]]`, and a script on standard input.
#[test]
fn a_call_gives_no_standard_input_unless_the_rule_says_text() {
    let stage = stage();
    stage.policy(&rule("[[\"sh\"]]", "", ""));
    let mut server = stage.serve("s");
    let script = json!({"command": ["sh"], "secrets": ["app/key"], "stdin": "printenv APP_KEY | rev"});
    let no = server.run(script.clone());
    assert_eq!((no["code"].as_str(), no["rule"].as_str()), (Some("stdin_not_allowed"), Some("one")), "{no}");
    let empty = server.run(json!({"command": ["sh"], "secrets": ["app/key"], "stdin": ""}));
    assert_eq!(empty["exit_code"], 0, "{empty}");
    assert!(listed(&mut server)["rules"][0].get("stdin").is_none());
    // The person's own is passed on.
    let mut child = stage
        .command()
        .args(["run", "--scope", "s", "--", "sh"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"echo from a person\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"from a person\n");

    stage.policy(&rule("[[\"sh\"]]", "stdin = \"text\"", ""));
    let mut server = stage.serve("s");
    assert_eq!(listed(&mut server)["rules"][0]["stdin"], "text");
    let ran = server.run(script);
    assert_eq!((ran["exit_code"].as_i64(), ran["promise"].as_str()), (Some(0), Some("best_effort")), "{ran}");
}

/// Globs that left the directory or the host that they named; `@`, `+` and `|`.
#[test]
fn arguments_that_leave_the_place_that_a_pattern_names_are_refused() {
    let stage = stage();
    stage.policy(&rule(
        "[[\"echo\", \"*.sql\"], [\"echo\", \"https://*.example.com/*\"], [\"echo\", \"https://api.example.com*\"], [\"printf\", \"*\"]]",
        "",
        "",
    ));
    let mut server = stage.serve("s");
    for argument in [
        "../other/x.sql",
        "/abs/x.sql",
        "~/x.sql",
        "%2e%2e%2fx.sql",
        "file:///etc/x.sql",
        "https://evil.test/a.example.com/x",
        "https://evil.test\\.example.com/x",
        "https://api.example.com@evil.test/",
        "https://api.example.com.evil.test/",
    ] {
        let no = server.run(call(&["echo", argument]));
        assert_eq!(no["code"], "command_not_allowed", "{argument}: {no}");
    }
    for argument in ["@args", "+x", "|id", "\\x", "-x"] {
        assert_eq!(server.run(call(&["printf", argument]))["code"], "command_not_allowed", "{argument}");
    }
    for argument in ["a.sql", "sub/a.sql", "https://api.example.com/v1?x=1", "https://api.example.com"] {
        assert_eq!(server.run(call(&["echo", argument]))["stdout"], format!("{argument}\n"), "{argument}");
    }
}

#[test]
fn a_typed_path_is_where_it_leads() {
    let stage = stage();
    let project = stage.path("project");
    std::fs::create_dir_all(project.join("reports/deep")).unwrap();
    let outside = stage.path("outside.sql");
    for file in [&outside, &project.join("reports/a.sql"), &project.join("reports/deep/b.sql")] {
        std::fs::write(file, "select 1\n").unwrap();
    }
    symlink(&outside, project.join("reports/link.sql")).unwrap();
    symlink(stage.path("nothing.sql"), project.join("reports/dangling.sql")).unwrap();
    symlink(stage.dir.path(), project.join("reports/up")).unwrap();
    symlink(project.join("reports/a.sql"), project.join("reports/inside.sql")).unwrap();
    let project = project.to_str().unwrap().to_owned();
    let commands = format!(
        "[[\"cat\", \"{{path:reports/**/*.sql}}\"], [\"head\", \"{{path:{project}/reports/*.sql}}\"]]"
    );
    stage.policy(&rule(&commands, "", &format!("[sandbox]\ncwd = [\"{project}\"]")));
    let mut server = stage.serve("s");
    for (program, path, good) in [
        ("cat", "reports/a.sql".to_owned(), true),
        ("cat", "reports/deep/b.sql".to_owned(), true),
        ("cat", "reports/inside.sql".to_owned(), true),
        ("head", format!("{project}/reports/a.sql"), true),
        ("cat", "reports/link.sql".to_owned(), false),
        ("cat", "reports/dangling.sql".to_owned(), false),
        ("cat", "reports/up/outside.sql".to_owned(), false),
        ("cat", "reports/../reports/a.sql".to_owned(), false),
        ("cat", format!("{project}/reports/a.sql"), false),
        ("head", format!("{project}/reports/link.sql"), false),
        ("head", format!("{project}/reports/../reports/a.sql"), false),
    ] {
        let got = server.run(call(&[program, &path]));
        if good {
            assert_eq!(got["stdout"], "select 1\n", "{path}: {got}");
        } else {
            assert_eq!(got["code"], "command_not_allowed", "{path}: {got}");
        }
    }
    // The directory itself may be made a link, too.
    std::fs::rename(stage.path("project/reports"), stage.path("moved")).unwrap();
    symlink(stage.path("moved"), stage.path("project/reports")).unwrap();
    let got = server.run(call(&["cat", "reports/a.sql"]));
    assert_eq!(got["code"], "command_not_allowed", "{got}");
}

/// A script that the agent edits, and an interpreter that is exchanged.
#[test]
fn a_pinned_command_holds_its_script_and_its_interpreter() {
    let stage = stage();
    let project = stage.path("project");
    std::fs::create_dir(&project).unwrap();
    let deploy = stage.script("project/deploy", "echo one\n");
    let shell = stage.path("shell");
    std::fs::copy(std::fs::canonicalize("/bin/sh").unwrap(), &shell).unwrap();
    let tool = stage.script("tool", &format!("#!{}\necho one\n", shell.display()));
    let read = stage.dir.path().display();
    let commands = format!("[[\"sh\", \"{deploy}\"], [\"sh\", \"deploy\"], [\"{tool}\"]]");
    let top = format!("[sandbox]\nread = [\"{read}\"]\ncwd = [\"{}\"]", project.display());
    std::fs::write(stage.path("p.toml"), rule(&commands, "pin = true", &top)).unwrap();
    let said = stage.ok(&["admin", "policy", "apply", stage.path("p.toml").to_str().unwrap(), "--yes"]);
    for pinned in [&deploy, "deploy", shell.to_str().unwrap()] {
        assert!(said.contains(&format!("pins     {pinned}\n")), "{pinned}: {said}");
    }
    let mut server = stage.serve("s");
    let calls = [vec!["sh", deploy.as_str()], vec!["sh", "deploy"], vec![tool.as_str()]];
    for command in &calls {
        assert_eq!(server.run(call(command))["stdout"], "one\n", "{command:?}");
    }
    std::fs::write(&deploy, "printenv APP_KEY | rev\n").unwrap();
    std::fs::write(&shell, "#!/bin/sh\nprintenv APP_KEY | rev\n").unwrap();
    for command in &calls {
        let got = server.run(call(command));
        assert_eq!(got["code"], "program_changed", "{command:?}: {got}");
    }
}

#[test]
fn the_operators_word_is_theirs_and_stands_for_what_it_was_said_of() {
    let stage = stage();
    let tool = stage.script("tool", "#!/bin/sh\necho one\n");
    let read = format!("[sandbox]\nread = [\"{}\"]", stage.dir.path().display());
    let said = refused(&stage, &rule(&format!("[[\"{tool}\"]]"), "reviewed = true", &read));
    assert!(said.contains("pin = true") && said.contains("line 4"), "{said}");
    for (commands, more) in [
        ("\"any\"", ""),
        ("[[\"printenv\", \"**\"]]", ""),
        ("[[\"printenv\", \"APP_KEY\"]]", "stdin = \"text\"\n"),
    ] {
        refused(&stage, &rule(commands, &format!("{more}reviewed = true"), &read));
    }
    refused(&stage, &rule("[[\"printenv\", \"*\"]]", "reviewed = true", "[sandbox]\nnetwork = \"open\""));

    stage.policy(&rule(&format!("[[\"{tool}\"]]"), "pin = true\nreviewed = true", &read));
    let mut server = stage.serve("s");
    let entry = listed(&mut server)["rules"][0].clone();
    assert_eq!(entry["promise"], "reviewed_by_operator", "{entry}");
    assert!(entry["promise_why"].as_str().unwrap().starts_with("on the word of operator"), "{entry}");
    let ran = server.run(call(&[&tool]));
    assert_eq!(
        (ran["promise"].as_str(), ran["stdout"].as_str()),
        (Some("reviewed_by_operator"), Some("one\n")),
        "{ran}"
    );

    // A rule beside it has no word; one that opens the sandbox takes the word back.
    stage.ok(&["admin", "allow", "s", "--yes", "--secret", "app/key", "--", "printenv", "APP_KEY"]);
    let both = listed(&mut stage.serve("s"));
    assert_eq!(both["rules"][0]["promise"], "reviewed_by_operator", "{both}");
    assert_eq!(both["rules"][1]["promise"], "best_effort", "{both}");
    stage.ok(&["admin", "allow", "s", "--yes", "--network", "open", "--secret", "app/key", "--", "id"]);
    let opened = listed(&mut stage.serve("s"));
    assert!(
        opened["rules"].as_array().unwrap().iter().all(|rule| rule["promise"] == "best_effort"),
        "{opened}"
    );
}

/// A rule without a sandbox, by tool arguments.
#[test]
fn a_rule_without_a_sandbox_is_not_for_tools() {
    let stage = stage();
    stage.policy(&rule("[[\"true\"]]", "", ""));
    stage.ok(&["admin", "allow", "s", "--sandbox", "off", "--yes", "--", "/bin/sh", "**"]);
    let shell = ["/bin/sh", "-c", "ls \"$HOME\"; echo reached"];
    let ask = |server: &mut Server| {
        for secrets in [json!([]), Value::Null] {
            let no = server.run(json!({"command": shell, "secrets": secrets}));
            assert_eq!(no["code"], "command_not_allowed", "{no}");
            assert!(!no.to_string().contains("/bin/sh"), "{no}");
        }
        let rules = listed(server);
        assert_eq!(rules["rules"].as_array().unwrap().len(), 1, "{rules}");
        assert!(!rules.to_string().contains("/bin/sh"), "{rules}");
        let granted = server.tool("request_token", json!({"purpose": "narrow_me", "reason": "x"}));
        assert!(!granted.to_string().contains("/bin/sh"), "{granted}");
    };
    ask(&mut stage.serve("s"));
    let token = stage.path("t.jwt");
    let token = token.to_str().unwrap();
    stage.ok(&["admin", "token", "issue", "--scope", "s", "--out", token]);
    ask(&mut Server::start(stage.command().args(["serve", "--token-file", token])));
    let by_token = stage.run(&[&["run", "--token-file", token, "--"], &shell[..]].concat());
    assert_eq!(by_token.status.code(), Some(126), "{}", String::from_utf8_lossy(&by_token.stderr));
    assert!(!String::from_utf8_lossy(&by_token.stdout).contains("reached"));
    let own = stage.ok(&[&["run", "--scope", "s", "--"], &shell[..]].concat());
    assert!(own.ends_with("reached\n"), "{own}");
    let checked = stage.ok(&[&["admin", "policy", "check", "s", "--"], &shell[..]].concat());
    assert!(checked.contains("over MCP it is refused"), "{checked}");
}

/// A session by the process tree of `run` is no proof either.
#[test]
fn an_agent_that_run_started_does_not_reach_what_it_was_started_by() {
    let stage = stage();
    stage.policy(&rule("[[\"true\"]]", "", ""));
    let agent = stage.script(
        "agent",
        r#"#!/bin/sh
ask() {
  printf '%s\n%s\n%s\n' \
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"agent","version":"1"}}}' \
    '{"jsonrpc":"2.0","method":"notifications/initialized"}' \
    '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"run_with_secrets","arguments":{"command":["'"$2"'","x"],"secrets":[]}}}'
  sleep 1
}
ask "$@" | "$1" serve
"#,
    );
    stage.ok(&["admin", "allow", "s", "--sandbox", "off", "--yes", "--", &agent, "**"]);
    let said = stage.ok(&["run", "--scope", "s", "--", &agent, env!("CARGO_BIN_EXE_authy-mcp"), &agent]);
    assert!(said.contains("command_not_allowed") && !said.contains("exit_code"), "{said}");
}

/// A token gives no secret to a command of the holder's own choice on a terminal.
#[test]
fn any_command_with_a_secret_needs_a_proof_on_a_terminal() {
    let stage = stage();
    stage.policy(&rule("\"any\"", "", ""));
    let token = stage.path("t.jwt");
    let token = token.to_str().unwrap();
    stage.ok(&["admin", "token", "issue", "--scope", "s", "--out", token]);
    let words = ["--secret", "app/key", "--", "printenv", "APP_KEY"];
    let by_token = stage.run(&[&["run", "--token-file", token], &words[..]].concat());
    let said = String::from_utf8_lossy(&by_token.stderr);
    assert_eq!(by_token.status.code(), Some(126), "{said}");
    assert!(said.contains("operator's proof"), "{said}");
    assert_eq!(stage.ok(&[&["run", "--scope", "s"], &words[..]].concat()), "[redacted:app/key]\n");
}

#[test]
fn a_refused_command_becomes_a_rule_for_itself_alone() {
    let stage = stage();
    stage.policy(&rule("[[\"true\"]]", "", ""));
    let tried = ["echo", "{path:/etc/passwd}", "{enum:a|b}", "{", "{{app}}"];
    assert_eq!(stage.serve("s").run(call(&tried))["code"], "command_not_allowed");
    stage.ok(&["admin", "allow", "--last", "--yes"]);
    let mut server = stage.serve("s");
    assert_eq!(server.run(call(&tried))["stdout"], "{path:/etc/passwd} {enum:a|b} { {{app}}\n");
    for other in [
        ["echo", "/etc/passwd", "{enum:a|b}", "{", "{{app}}"],
        ["echo", "{path:/etc/passwd}", "a", "{", "{{app}}"],
    ] {
        assert_eq!(server.run(call(&other))["code"], "command_not_allowed", "{other:?}");
    }
}

/// A document without an end.
#[test]
fn a_document_that_is_too_long_is_refused_before_it_is_worked_on() {
    let stage = stage();
    let said = refused(&stage, &format!("scope = \"s\"\ndescription = \"{}\"\n", "x".repeat(1 << 20)));
    assert!(said.contains("at most 262144"), "{said}");
    let said = stage.fails(2, &["admin", "policy", "apply", "/dev/zero", "--yes"]);
    assert!(said.contains("at most 262144"), "{said}");
    let one = "[[allow]]\nsecrets=[\"app/key\"]\ndeliver=\"env\"\ncommands=[[\"true\"]]\n";
    let said = refused(&stage, &format!("scope = \"s\"\n{}", one.repeat(1001)));
    assert!(said.contains("1000 rules") && said.contains("line 4002"), "{said}");
}

/// What is promised to an ordinary user, whom root's files are not.
#[test]
fn a_program_that_is_known_is_reviewed_for_a_user_who_cannot_change_it() {
    let dir = tempfile::Builder::new().prefix("authy-mcp-user-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).unwrap();
    }
    let binary = dir.path().join("authy-mcp");
    std::fs::copy(env!("CARGO_BIN_EXE_authy-mcp"), &binary).unwrap();
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    let policy = dir.path().join("p.toml");
    std::fs::write(
        &policy,
        rule("[[\"true\", \"{int:1..9}\"], [\"sleep\", \"1\"]]", "", "")
            + "[[allow]]\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = [[\"printenv\", \"APP_KEY\"]]\n",
    )
    .unwrap();
    let user = |words: &[&str]| -> Output {
        let home: PathBuf = dir.path().join("home");
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary);
            command
        } else {
            Command::new(&binary)
        };
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", dir.path()).env("AUTHY_MCP_HOME", home);
        command.current_dir(dir.path()).args(["--no-daemon", "--json"]).args(words).stdin(Stdio::null());
        command.output().unwrap()
    };
    let done = user(&["init", "--unlock", "identity-file"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let done = user(&["admin", "set", "app/key", "--generate"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let checked = user(&["admin", "policy", "check", "--file", policy.to_str().unwrap()]);
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let promises = checked["promises"].as_array().unwrap();
    assert_eq!(promises[0]["promise"], "reviewed", "{checked}");
    assert_eq!(promises[1]["promise"], "best_effort", "{checked}");
}
