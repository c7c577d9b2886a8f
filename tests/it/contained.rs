//! Runs in the sandbox, through the server: what a program sees, what it may write, what is left of that, and what it
//! was. `tests/walks/escape.sh` has the ways out.

use std::{fs, net::TcpListener, path::PathBuf};

use serde_json::{Value, json};

use crate::stage::{Server, Stage, eventually};

const VALUE: &str = "sk-contained-7Qm2vXz9LrT4";

/// A vault with one secret, a project, and a policy of one rule.
fn stage(sandbox: &str, commands: &str, more: &str) -> (Stage, PathBuf) {
    let stage = Stage::new();
    stage.set("a/key", VALUE.as_bytes());
    let project = stage.path("project");
    fs::create_dir_all(project.join("dist")).unwrap();
    fs::write(project.join("users"), "x").unwrap();
    apply(&stage, sandbox, commands, more);
    (stage, project)
}

fn apply(stage: &Stage, sandbox: &str, commands: &str, more: &str) {
    let project = stage.path("project");
    stage.policy(&format!(
        "scope = \"s\"\n[sandbox]\n{sandbox}\ncwd = [\"{}\"]\n[[allow]]\nid = \"one\"\nsecrets = [\"a/key\"]\n\
         deliver = \"env\"\nenv = {{ \"a/key\" = \"KEY\" }}\ncommands = {commands}\n{more}\n",
        project.display()
    ));
}

fn sh(server: &mut Server, project: &std::path::Path, script: &str) -> Value {
    server.run(json!({"command": ["/bin/sh", "-c", script], "secrets": ["a/key"], "cwd": project}))
}

fn said(result: &Value) -> &str {
    result["stdout"].as_str().unwrap_or_default().trim()
}

#[test]
fn the_network_is_what_the_policy_says() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let reach = format!("exec 3<>/dev/tcp/127.0.0.1/{} && echo reached", host.local_addr().unwrap().port());
    for (network, reached) in [("none", ""), ("open", "reached")] {
        let (stage, project) = stage(&format!("network = \"{network}\""), "\"any\"", "");
        let mut server = stage.serve("s");
        let result =
            server.run(json!({"command": ["/bin/bash", "-c", reach], "secrets": ["a/key"], "cwd": project}));
        assert_eq!(said(&result), reached, "{result}");
        assert!(result["sandbox"].as_str().unwrap().ends_with(&format!("network {network}")), "{result}");
    }
}

/// With filters alone, `/etc` is read as it is.
#[test]
fn a_run_is_not_told_on_which_machine_it_is() {
    let (stage, project) = stage("", "\"any\"", "");
    let mut server = stage.serve("s");
    let files = "/etc/machine-id /proc/sys/kernel/random/boot_id /proc/cmdline";
    let result =
        sh(&mut server, &project, &format!("cat {files} 2>/dev/null; hostname; cat /proc/meminfo | wc -l"));
    let alone = !result["sandbox"].as_str().unwrap().starts_with("namespaces");
    let mut lines = said(&result).lines();
    assert!(alone || lines.next() == Some("sandbox"), "{result}");
    assert!(
        lines.next_back().unwrap().parse::<u32>().unwrap() > 10 || alone,
        "the rest of /proc is there: {result}"
    );
}

#[test]
fn a_run_sees_its_project_and_writes_where_it_may() {
    let (stage, project) = stage("write = [\"{cwd}/dist\", \"{cwd}/made\"]", "\"any\"", "");
    fs::write(stage.path("other"), "secret").unwrap();
    fs::write(project.join(".mcp.json"), "secret").unwrap();
    let script = format!(
        "pwd; cat users; cat {other} 2>/dev/null; cat .mcp.json; touch new 2>/dev/null || echo closed; \
         echo x > dist/new; echo x > made/new; echo x > \"$HOME/new\" && echo x > \"$TMPDIR/new\" && echo own",
        other = stage.path("other").display()
    );
    let mut server = stage.serve("s");
    let result = sh(&mut server, &project, &script);
    assert_eq!(said(&result), format!("{}\nxclosed\nown", project.display()), "{result}");
    assert!(project.join("dist/new").exists() && project.join("made/new").exists());
    assert!(!project.join("new").exists() && !stage.path("new").exists());
    assert_ne!(result["sandbox"], "off");
}

#[test]
fn a_file_that_holds_a_secret_is_removed_if_the_run_made_it() {
    let (stage, project) = stage("write = [\"{cwd}/dist\"]", "\"any\"", "");
    fs::write(project.join("dist/users"), "x").unwrap();
    let mut server = stage.serve("s");
    // The clock that stamps files is a coarse one: what was there is older than the run by more than its tick.
    std::thread::sleep(std::time::Duration::from_millis(30));
    let result = sh(
        &mut server,
        &project,
        "cd dist; echo $KEY > users; echo $KEY > made; ln made twice; echo clean > clean; mkdir closed; \
         printf %s $KEY | base64 > closed/coded; chmod 0 closed",
    );
    let place = |name: &str| project.join("dist").join(name).display().to_string();
    let hits = json!([
        {"path": place("closed/coded"), "removed": true}, {"path": place("made"), "removed": true},
        {"path": place("twice"), "removed": true}, {"path": place("users"), "removed": false},
    ]);
    let told: Vec<Value> = result["file_hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| json!({"path": hit["path"], "removed": hit["removed"].as_bool().unwrap_or(false)}))
        .collect();
    assert_eq!(json!(told), hits, "{result}");
    for (name, there) in
        [("users", true), ("made", false), ("twice", false), ("clean", true), ("closed/coded", false)]
    {
        assert_eq!(project.join("dist").join(name).exists(), there, "{name}");
    }
    server.hang_up();
    let audit = format!("{:?}", stage.audit());
    assert!(audit.contains(&format!("removed {}", place("made"))), "{audit}");
    assert!(audit.contains(&format!("left {}", place("users"))), "{audit}");
    assert!(!audit.contains(VALUE));
}

#[test]
fn a_file_that_holds_a_secret_is_left_where_the_policy_says_so() {
    let (stage, project) = stage("write = [\"{cwd}/dist\"]\non_file_hit = \"report\"", "\"any\"", "");
    let mut server = stage.serve("s");
    let result = sh(&mut server, &project, "echo $KEY > dist/made");
    let made = project.join("dist/made");
    assert_eq!(result["file_hits"][0]["path"], made.display().to_string(), "{result}");
    assert!(made.exists());
}

#[test]
fn an_exit_code_of_any_command_says_no_more_than_success() {
    let (stage, project) = stage("", "\"any\"", "");
    let mut server = stage.serve("s");
    assert_eq!(sh(&mut server, &project, "exit 77")["exit_code"], 1);
    assert_eq!(sh(&mut server, &project, "exit 0")["exit_code"], 0);
    apply(&stage, "", "\"any\"", "exit_code = \"exact\"");
    assert_eq!(sh(&mut server, &project, "exit 77")["exit_code"], 77);
}

#[test]
fn a_part_of_the_vault_is_never_shown() {
    let (stage, project) = stage("", "\"any\"", "");
    apply(&stage, &format!("read = [\"{}\"]", stage.home().display()), "\"any\"", "");
    let mut server = stage.serve("s");
    assert_eq!(sh(&mut server, &project, "true")["code"], "sandbox_unavailable");
    apply(&stage, &format!("read = [\"{}\"]", stage.dir.path().display()), "\"any\"", "");
    let result = sh(
        &mut server,
        &project,
        &format!("ls {}; ls -A {}", stage.home().display(), stage.dir.path().display()),
    );
    assert!(said(&result).contains("project") && !said(&result).contains("home"), "{result}");
}

/// With a lock on nine files in turn a run told a value to anybody. Where overlays can't be had, that is said.
#[test]
#[cfg(target_os = "linux")]
fn a_lock_of_a_run_is_met_by_nobody_outside_or_it_is_said_that_it_is() {
    use rustix::fs::{FlockOperation, flock};
    for (network, expected) in [("network = \"none\"", None), ("network = \"open\"", Some(true))] {
        let (stage, project) = stage(&format!("{network}\nwrite = [\"{{cwd}}/dist\"]"), "\"any\"", "");
        fs::create_dir(project.join("sub")).unwrap();
        fs::write(project.join("sub/file"), "x").unwrap();
        let mut server = stage.serve("s");
        let script = "exec flock users flock sub/file flock /usr/bin/env flock /etc/passwd flock dist sh -c \
                      'cat sub/file >/dev/null; echo > dist/locked; while ! [ -e dist/go ]; do sleep 0.02; done'";
        let id = server.send(
            "tools/call",
            json!({"name": "run_with_secrets", "arguments": {
                "command": ["/bin/sh", "-c", script], "secrets": ["a/key"], "cwd": project,
            }}),
        );
        eventually("the run holds its locks", || project.join("dist/locked").exists());
        let met = |path: PathBuf| {
            let file = fs::File::open(path).unwrap();
            flock(file, FlockOperation::NonBlockingLockExclusive).is_err()
        };
        let places = ["users", "sub/file", "/usr/bin/env", "/etc/passwd"].map(|path| met(project.join(path)));
        assert!(met(project.join("dist")), "where it may write, a lock is the machine's");
        fs::write(project.join("dist/go"), "").unwrap();
        let result = server.answer(id)["result"]["structuredContent"].clone();
        let shared = result["sandbox"].as_str().unwrap().contains("locks shared");
        assert_eq!(places, [shared; 4], "{result}");
        assert!(expected.is_none_or(|expected| expected == shared), "{result}");
    }
}

/// A script that waits to be rewritten while it runs, and is longer than what a shell reads of it at once.
fn waits(word: &str) -> String {
    format!(
        "#!/bin/sh\necho > dist/started\nwhile ! [ -e dist/go ]; do sleep 0.02; done\n{}echo {word} \"$(dirname \"$0\")\"\n",
        "# nothing\n".repeat(10_000)
    )
}

/// What a script says that is rewritten in place while it runs.
fn rewritten(pin: &str) -> String {
    let (stage, project) = stage("write = [\"{cwd}/dist\"]", "[[\"true\"]]", "");
    let script = stage.script("tool.sh", &waits("old"));
    let network = if pin == "off" { "mode = \"off\"" } else { "write = [\"{cwd}/dist\"]" };
    let pinned = if pin == "off" { "" } else { pin };
    apply(&stage, network, &format!("[[\"{script}\"]]"), pinned);
    let mut server = stage.serve("s");
    let id = server.send(
        "tools/call",
        json!({"name": "run_with_secrets", "arguments": {"command": [script], "secrets": ["a/key"], "cwd": project}}),
    );
    eventually("the script starts", || project.join("dist/started").exists());
    fs::write(&script, waits("new")).unwrap();
    fs::write(project.join("dist/go"), "").unwrap();
    let answer = server.answer(id)["result"]["structuredContent"].clone();
    let text = said(&answer).replace(stage.dir.path().to_str().unwrap(), "DIR");
    // The policy holds the digest of what was there when it was applied.
    if !pinned.is_empty() {
        let next = server.run(json!({"command": [script], "secrets": ["a/key"], "cwd": project}));
        assert_eq!(next["code"], "program_changed", "{next}");
    }
    text
}

#[test]
fn a_script_that_is_rewritten_while_it_runs_goes_on_as_it_was_digested() {
    assert_eq!(rewritten("pin = true"), "old DIR", "its directory is the right one, too");
    assert_eq!(rewritten("off"), "new DIR", "without a sandbox a shell reads on what is there");
}

#[test]
fn a_first_line_that_names_a_pipe_or_a_device_holds_nobody_up() {
    let (stage, project) = stage("", "\"any\"", "");
    let mut server = stage.serve("s");
    let pipe = stage.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for interpreter in [pipe.to_str().unwrap(), "/dev/zero"] {
        let script = stage.script("script", &format!("#!{interpreter}\n"));
        let result = server.run(json!({"command": [script], "secrets": ["a/key"], "cwd": project}));
        assert!(result["outcome"] == "failed_to_start" || result["code"].is_string(), "{result}");
    }
    assert_eq!(said(&sh(&mut server, &project, "echo on")), "on");
}

#[test]
fn nothing_of_a_run_stays_in_the_machines_temporary_directory() {
    let (stage, project) = stage("", "\"any\"", "");
    let temporary = stage.path("temporary");
    fs::create_dir(&temporary).unwrap();
    let mut command = stage.command();
    let mut server = Server::start(command.env("TMPDIR", &temporary).args(["serve", "--scope", "s"]));
    let result = sh(
        &mut server,
        &project,
        "cd \"$TMPDIR\"; mkdir closed; echo $KEY > closed/value; chmod 0 closed; \
         i=0; while [ $i -lt 1500 ]; do mkdir d && cd -P d 2>/dev/null || break; i=$((i+1)); done; echo $i",
    );
    assert_eq!(said(&result), "1500", "{result}");
    if !crate::DAEMON {
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    }
}

#[test]
fn what_the_net_does_not_know_is_left_in_a_file_as_it_is_in_output() {
    let (stage, project) = stage("write = [\"{cwd}/dist\"]", "\"any\"", "");
    let mut server = stage.serve("s");
    let shifted = "printf %s \"$KEY\" | tr 'a-y' 'b-z' | sed 's/./&q/g'";
    let ran = sh(&mut server, &project, &format!("{shifted} > dist/left; {shifted}"));
    assert!(ran.get("file_hits").is_none() && ran.get("redactions").is_none(), "{ran}");
    assert_eq!(fs::read_to_string(project.join("dist/left")).unwrap(), said(&ran), "open is open: {ran}");
}

#[test]
fn how_long_it_took_is_told_in_whole_seconds_where_only_success_is() {
    let (stage, project) = stage("", "\"any\"", "");
    let ran = sh(&mut stage.serve("s"), &project, "sleep 0.3; echo 12345");
    let took = ran["duration_ms"].as_u64().unwrap();
    assert!(took >= 300 && said(&ran) == "12345", "{ran}");
    apply(&stage, "", "\"any\"", "output = \"status\"");
    let ran = sh(&mut stage.serve("s"), &project, "sleep 0.3; echo 12345; exit 7");
    assert_eq!(ran["duration_ms"].as_u64().unwrap() % 1000, 0, "{ran}");
    assert_eq!((&ran["exit_code"], said(&ran)), (&json!(1), ""), "{ran}");
}

/// Who supervises a run of a command is that command itself, forked as it began: it has nothing open that the command
/// was started with, and nobody below it reads it.
#[test]
#[cfg(target_os = "linux")]
fn a_command_supervises_its_run_without_being_started_again() {
    let rows = [
        ("network = \"none\"", "/proc/1"),
        ("network = \"open\"", "/proc/1"),
        ("mode = \"off\"", "/proc/$PPID"),
    ];
    for (sandbox, supervisor) in rows {
        let (stage, project) = stage(sandbox, "\"any\"", "");
        // Closed by the shell itself: what is open here was open before.
        let script = format!(
            "echo /proc/self/fd/*; tr '\\0' ' ' < {supervisor}/cmdline; echo; cat {supervisor}/environ | wc -c; \
             echo $KEY; pwd"
        );
        let binary = env!("CARGO_BIN_EXE_authy-mcp");
        let words =
            format!("exec 7</etc/passwd; exec {binary} --no-daemon run --scope s -- sh -c '{script}'");
        let mut leaky = std::process::Command::new("/bin/sh");
        leaky
            .args(["-c", &words.replace("tr '\\0' ' '", "tr \"\\\\0\" \" \"")])
            .env_clear()
            .current_dir(&project);
        leaky.env("AUTHY_MCP_HOME", stage.home()).env("HOME", stage.dir.path()).env("PATH", "/usr/bin:/bin");
        let done = leaky.stdin(std::process::Stdio::null()).output().unwrap();
        let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let lines: Vec<&str> = said.lines().collect();
        let [open, command, environment, value, cwd] = lines[..] else {
            panic!("{sandbox}: {said} {errors}")
        };
        assert!(!open.contains("/7"), "{sandbox}: {open}");
        assert!(
            command.contains("run --scope s") && !command.contains("__supervise"),
            "{sandbox}: {command}"
        );
        // Outside of namespaces, root reads everything.
        let root = sandbox == "mode = \"off\"" && rustix::process::geteuid().is_root();
        assert!(environment == "0" || root, "{sandbox}: {environment}");
        assert_eq!((value, cwd), ("[redacted:a/key]", project.to_str().unwrap()), "{sandbox}: {errors}");
    }
}
