//! The states in which a server may find its home: it starts, lists its tools, and each call answers with
//! a code and a hint that is right when typed. And the command line, as people meet it.

use std::{io::Write, process::Stdio};

use serde_json::{Value, json};

use crate::stage::{Server, Stage, one_rule};

/// Starts a server and calls it; the refusal.
#[track_caller]
fn refused(stage: &Stage, words: &[&str]) -> Value {
    let mut server = Server::start(stage.command().args(words));
    let id = server.send("tools/list", json!({}));
    assert_eq!(server.answer(id)["result"]["tools"].as_array().unwrap().len(), 3);
    let listed = server.tool("list_allowed", json!({}));
    let ran = server.tool("run_with_secrets", json!({"command": ["true"], "secrets": ["a/key"]}));
    assert_eq!((&listed["isError"], &ran["isError"]), (&json!(true), &json!(true)));
    assert_eq!(listed["structuredContent"]["code"], ran["structuredContent"]["code"]);
    let text = ran["content"][0]["text"].as_str().unwrap();
    assert!(text.contains(ran["structuredContent"]["hint"].as_str().unwrap()), "the text alone says it, too");
    ran["structuredContent"].clone()
}

#[test]
fn no_vault() {
    let stage = Stage::empty();
    let refusal = refused(&stage, &["serve", "--scope", "s"]);
    assert_eq!(refusal["code"], "vault_locked", "{refusal}");
    assert!(refusal["hint"].as_str().unwrap().contains("authy-mcp init"));
    stage.ok(&["init"]);
}

#[test]
fn a_locked_vault() {
    let stage = Stage::empty();
    let file = stage.path("passphrase");
    std::fs::write(&file, "four words in a row\n").unwrap();
    let file = file.to_str().unwrap();
    let said = stage.fails(4, &["--passphrase-file", file, "init", "--unlock", "passphrase"]);
    assert!(said.contains("can be read by others") && said.contains("chmod 600"), "{said}");
    std::process::Command::new("chmod").args(["600", file]).status().unwrap();
    stage.ok(&["--passphrase-file", file, "init", "--unlock", "passphrase"]);
    stage.ok(&["--passphrase-file", file, "admin", "set", "a/key", "--generate"]);
    stage.ok(&["--passphrase-file", file, "admin", "allow", "s", "--yes", "--secret", "a/key", "--", "true"]);
    let refusal = refused(&stage, &["serve", "--scope", "s"]);
    assert_eq!(refusal["code"], "vault_locked", "{refusal}");
    assert!(refusal["hint"].as_str().unwrap().contains("--passphrase-file FILE"));
    let mut server =
        Server::start(stage.command().args(["--passphrase-file", file, "serve", "--scope", "s"]));
    assert_eq!(
        server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["exit_code"],
        0,
        "the hint is right"
    );
    std::fs::write(file, "another one altogether").unwrap();
    assert!(stage.fails(3, &["--passphrase-file", file, "admin", "list"]).contains("does not open"));
    // A descriptor does as well, and nothing waits for a terminal that isn't there.
    let mut child = stage.command();
    let script = format!(
        "exec {} --passphrase-fd 5 admin list 5<<'E'\nfour words in a row\nE\n",
        env!("CARGO_BIN_EXE_authy-mcp")
    );
    let listed = std::process::Command::new("/bin/sh")
        .args(["-c", &script])
        .env("AUTHY_MCP_HOME", stage.home())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("a/key"), "{listed:?}");
    assert_eq!(child.args(["admin", "list"]).stdin(Stdio::null()).output().unwrap().status.code(), Some(3));
}

#[test]
fn no_policy_and_no_credential() {
    let stage = Stage::new();
    stage.ok(&["admin", "set", "a/key", "--generate"]);
    let refusal = refused(&stage, &["serve", "--scope", "s"]);
    assert_eq!(refusal["code"], "command_not_allowed", "{refusal}");
    assert_eq!(refusal["operator_command"], "authy-mcp admin allow s --secret NAME -- PROGRAM ARGUMENT");
    assert_eq!(refused(&stage, &["serve"])["code"], "token_invalid");
    assert_eq!(refused(&stage, &["serve", "--token-file", "/no/such/file"])["code"], "token_invalid");
}

#[test]
fn tokens_that_end() {
    let stage = Stage::new();
    stage.ok(&["admin", "set", "a/key", "--generate"]);
    stage.policy(&one_rule("s", "a/key", "[[\"true\"]]", ""));
    let file = stage.path("t.jwt").to_str().unwrap().to_owned();
    stage.ok(&["admin", "token", "issue", "--scope", "s", "--ttl", "1s", "--out", &file]);
    let serve = ["serve", "--token-file", file.as_str()];
    std::thread::sleep(std::time::Duration::from_secs(7));
    let refusal = refused(&stage, &serve);
    assert_eq!(refusal["code"], "token_expired", "{refusal}");
    assert!(refusal["hint"].as_str().unwrap().contains("authy-mcp admin token issue --scope SCOPE"));
    stage.ok(&["admin", "token", "issue", "--scope", "s", "--out", &file]);
    let mut server = Server::start(stage.command().args(serve));
    assert_eq!(server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["exit_code"], 0);
    let tokens: Value = serde_json::from_str(&stage.ok(&["--json", "admin", "token", "list"])).unwrap();
    stage.ok(&["admin", "token", "revoke", tokens[0]["id"].as_str().unwrap()]);
    assert_eq!(
        server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["code"],
        "token_invalid",
        "revoked for the next call"
    );
    stage.ok(&["admin", "token", "issue", "--scope", "s", "--max-uses", "1", "--out", &file]);
    let mut server = Server::start(stage.command().args(serve));
    assert_eq!(server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["exit_code"], 0);
    assert_eq!(server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["code"], "token_expired");
    let mut other = Server::start(stage.command().args(["serve"]).env("AUTHY_MCP_TOKEN", "not.a.token"));
    assert_eq!(other.run(json!({"command": ["true"]}))["code"], "token_invalid");
}

#[test]
fn rotation_holds_for_the_next_call_and_masks_both() {
    let stage = Stage::new();
    stage.set("a/key", b"first-value-11aa22bb");
    stage.policy(&one_rule("s", "a/key", "[[\"printenv\", \"A_KEY\"], [\"echo\", \"**\"]]", ""));
    let mut server = stage.serve("s");
    let call = json!({"command": ["printenv", "A_KEY"], "secrets": ["a/key"]});
    assert_eq!(server.run(call.clone())["stdout"], "[redacted:a/key]\n");
    stage.set("a/key", b"second-value-33cc44");
    assert_eq!(server.run(call)["stdout"], "[redacted:a/key]\n");
    let both = server.run(
        json!({"command": ["echo", "first-value-11aa22bb", "second-value-33cc44"], "secrets": ["a/key"]}),
    );
    assert_eq!(both["stdout"], "[redacted:a/key] [redacted:a/key]\n");
    stage.ok(&["admin", "rollback", "a/key", "1"]);
    assert_eq!(stage.ok(&["admin", "get", "a/key", "--reveal", "--out", "-"]), "first-value-11aa22bb");
    assert_eq!(stage.ok(&["admin", "history", "a/key"]).lines().count(), 3);
    assert!(stage.fails(5, &["admin", "rollback", "a/key", "9"]).contains("no version 9"));
}

#[test]
fn values_in_and_out() {
    let stage = Stage::new();
    for (options, written, expected) in [
        (&[][..], &b"plain-value-1\n"[..], &b"plain-value-1"[..]),
        (&[], b"plain-value-2\r\n", b"plain-value-2"),
        (&[], b"plain-value-3\n\n", b"plain-value-3\n"),
        (&["--raw"], b"plain-value-4\n", b"plain-value-4\n"),
        (&["--raw"], b"\x00\xff\xfe any bytes \x00", b"\x00\xff\xfe any bytes \x00"),
    ] {
        assert!(stage.set_with("v/x", written, options).status.success());
        let out = stage.run(&["admin", "get", "v/x", "--reveal", "--out", "-"]);
        assert_eq!(out.stdout, expected);
    }
    let big = vec![b'x'; 1 << 20];
    let mut varied = big.clone();
    varied[..8].copy_from_slice(b"abcdefgz");
    assert!(stage.set_with("v/big", &varied, &["--raw"]).status.success());
    assert_eq!(stage.run(&["admin", "get", "v/big", "--reveal", "--out", "-"]).stdout, varied);
    varied.push(b'x');
    assert_eq!(stage.set_with("v/big", &varied, &["--raw"]).status.code(), Some(2));
    for weak in ["", "short", "password123", "aaaaaaaaaaaa", "12345678"] {
        let done = stage.set_with("v/weak", weak.as_bytes(), &[]);
        assert_eq!(done.status.code(), Some(4), "{weak}");
        assert!(String::from_utf8_lossy(&done.stderr).contains("--allow-weak"));
    }
    assert!(stage.set_with("v/weak", b"short", &["--allow-weak"]).status.success());
    assert!(stage.fails(2, &["admin", "set", "v/x", "a-value-in-argv"]).contains("shell's history"));
    assert!(stage.fails(2, &["admin", "get", "v/x", "--reveal"]).contains("not a terminal"));
    assert!(stage.fails(5, &["admin", "get", "v/none"]).contains("there is no secret called v/none"));
    assert!(stage.fails(2, &["admin", "get", "../etc"]).contains("secret name"));
}

#[test]
fn imports_account_for_every_line() {
    let stage = Stage::new();
    let env = stage.path(".env");
    std::fs::write(
        &env,
        "A_TOKEN=tok-9182736455\nPORT=3000\nNODE_ENV=production\nDB_PASSWORD='p w $x # y'\nWEAK_KEY=abc\n",
    )
    .unwrap();
    let said = stage.ok(&["admin", "import", ".env", "--prefix", "app/"]);
    for line in [
        "took app/A_TOKEN",
        "took app/DB_PASSWORD",
        "left PORT",
        "left NODE_ENV",
        "left WEAK_KEY",
        "2 taken over, 3 left out",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(env.exists() && !said.contains("tok-9182736455"));
    assert_eq!(stage.ok(&["admin", "get", "app/DB_PASSWORD", "--reveal", "--out", "-"]), "p w $x # y");
    std::fs::write(&env, "B_TOKEN=tok-000111222\nnot a line\n").unwrap();
    assert!(stage.fails(2, &["admin", "import", ".env"]).contains("line 2"));
    assert!(!stage.ok(&["admin", "list"]).contains("B_TOKEN"), "all or nothing");
}

#[test]
fn policies_are_refused_with_their_line() {
    let stage = Stage::new();
    let file = stage.path("p.toml");
    let apply = ["admin", "policy", "apply", file.to_str().unwrap(), "--yes"];
    for (text, words) in [
        (
            "scope = \"s\"\n[sandbox]\nmode = \"off\"\nnetwork = \"none\"\n",
            "line 4, column 11: error: without a sandbox nothing keeps a child from the network",
        ),
        (
            "scope = \"s\"\n[sandbox]\nmode = \"off\"\n[[allow]]\nsecrets = [\"a\"]\ndeliver = \"sealed\"\ncommands = \"any\"\n",
            "line 4, column 1: error: a sealed secret needs the hosts",
        ),
        (
            "scope = \"s\"\n[sandbox]\nmode = \"off\"\n[[allow]]\nsecrets = [\"a\"]\ndeliver = \"env\"\ncommands = \"any\"\napproval = \"always\"\n",
            "line 8, column 12: error: this version can't ask a person",
        ),
        ("scope = \"s\"\nsandbox = 1\n", "line 2, column 11"),
        (
            "scope = \"s\"\n[sandbox]\nmode = \"off\"\n[[allow]]\nsecrets = [\"a\"]\ndeliver = \"env\"\ncommands = [[\"no-such-program-here\"]]\n",
            "line 7, column 12: error: the program no-such-program-here isn't there",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let said = stage.fails(2, &apply);
        assert!(said.contains(words), "{words}: {said}");
    }
    std::fs::write(&file, one_rule("s", "a", "[[\"true\"]]", "")).unwrap();
    let said = stage.fails(2, &["admin", "policy", "apply", file.to_str().unwrap()]);
    assert!(said.contains("--yes"), "nobody can be asked: {said}");
    assert!(stage.ok(&apply).contains("widens"));
    assert!(stage.ok(&apply).contains("says the same already"));
    stage.ok(&["admin", "set", "a", "--generate"]);
    assert!(
        stage
            .ok(&["admin", "policy", "check", "s", "--secret", "a", "--", "true"])
            .contains("allowed by one")
    );
    let said = stage.run(&["admin", "policy", "check", "s", "--secret", "b", "--", "true"]);
    assert_eq!(said.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&said.stdout).contains("b does not exist"), "the operator is told why");
}

#[test]
fn clients_are_configured_without_a_secret() {
    let stage = Stage::new();
    stage.ok(&["admin", "set", "a/key", "--generate"]);
    stage.policy(&one_rule("s", "a/key", "[[\"true\"]]", ""));
    let entry: Value = serde_json::from_str(&stage.ok(&["config", "json", "--scope", "s"])).unwrap();
    let server = &entry["mcpServers"]["authy-mcp"];
    assert_eq!(server["args"], json!(["serve", "--scope", "s"]));
    assert_eq!(server["env"]["AUTHY_MCP_HOME"], stage.home().to_str().unwrap());
    stage.ok(&["config", "cursor", "--scope", "s", "--token", "--write"]);
    let text = std::fs::read_to_string(stage.path(".cursor/mcp.json")).unwrap();
    let entry: Value = serde_json::from_str(&text).unwrap();
    let entry = &entry["mcpServers"]["authy-mcp"];
    let args: Vec<&str> = entry["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    let token = std::fs::read_to_string(args[2]).unwrap();
    assert!(!text.contains(&token) && args[2].starts_with(stage.home().to_str().unwrap()));
    let mut command = std::process::Command::new(entry["command"].as_str().unwrap());
    command.args(&args).env_clear().env("AUTHY_MCP_HOME", stage.home()).env("HOME", stage.dir.path());
    let mut server = Server::start(&mut command);
    assert_eq!(
        server.run(json!({"command": ["true"], "secrets": ["a/key"]}))["exit_code"],
        0,
        "the entry starts a server that works"
    );
    assert!(stage.fails(5, &["config", "json", "--scope", "none"]).contains("has no policy"));
    assert!(stage.fails(2, &["config", "notepad", "--scope", "s"]).contains("claude-code"));
}

#[test]
fn a_keyring_that_is_not_there_is_an_error_at_once() {
    let stage = Stage::empty();
    let said = stage.fails(3, &["init", "--unlock", "keyring"]);
    let why =
        if cfg!(feature = "keyring") { "no keyring can be reached" } else { "this build has no keyring" };
    assert!(said.contains(why) && said.contains("identity-file"), "{said}");
    stage.ok(&["init", "--unlock", "identity-file"]);
}

#[test]
fn doctor_overview_completions_and_help() {
    let stage = Stage::empty();
    assert!(stage.ok(&[]).contains("authy-mcp init"));
    stage.ok(&["init"]);
    assert!(stage.ok(&[]).contains("authy-mcp admin list"));
    assert!(stage.fails(4, &["init"]).contains("already"));
    let report = stage.ok(&["doctor"]);
    assert!(
        report.contains("records read and compared") && report.contains("runs are contained by"),
        "{report}"
    );
    std::process::Command::new("chmod")
        .args(["644", stage.home().join("identity.txt").to_str().unwrap()])
        .status()
        .unwrap();
    let done = stage.run(&["doctor"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stdout).contains("identity.txt is open to others"));
    assert!(stage.fails(3, &["admin", "list"]).contains("chmod 600"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(stage.ok(&["completions", shell]).contains("authy-mcp"));
    }
    assert!(stage.ok(&["admin", "set", "--help"]).contains("Examples:"));
    assert!(stage.ok(&["config", "agents-md", "--scope", "s"]).contains("run_with_secrets"));
}

#[test]
fn control_characters_do_not_reach_a_terminal() {
    let stage = Stage::new();
    stage.set("a/key", b"some-value-123456");
    stage.policy(&one_rule("s", "a/key", "[[\"true\"]]", ""));
    stage.serve("s").run(json!({"command": ["evil\u{1b}[2J\u{7}", "x"], "secrets": ["a/key"]}));
    let shown = stage.ok(&["admin", "audit", "show"]);
    assert!(shown.contains("evil") && !shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown:?}");
}

#[test]
fn a_private_home_stays_private() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::empty();
    let mut child = std::process::Command::new("/bin/sh");
    let binary = env!("CARGO_BIN_EXE_authy-mcp");
    let script = format!(
        "umask 000; {binary} init && {binary} admin set a/key --generate && {binary} admin allow s --yes --secret a/key -- true && {binary} config json --token --scope s"
    );
    let done = child
        .args(["-c", &script])
        .env("AUTHY_MCP_HOME", stage.home())
        .env("HOME", stage.dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let mut dirs = vec![stage.home()];
    let mut seen = 0;
    while let Some(dir) = dirs.pop() {
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o077, 0, "{}", dir.display());
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                seen += 1;
                assert_eq!(
                    std::fs::metadata(&path).unwrap().permissions().mode() & 0o077,
                    0,
                    "{}",
                    path.display()
                );
            }
        }
    }
    assert!(seen > 5);
    std::io::stdout().flush().unwrap();
}
