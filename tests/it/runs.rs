//! Runs that don't end by themselves: each ends in bounded time, with a correct result, and nothing of
//! its tree is left.

use serde_json::{Value, json};

use crate::stage::{Stage, eventually, one_rule, processes};

const VALUE: &[u8] = b"run-value-4Jd8Vn2Q";

fn stage(script: &str) -> (Stage, String) {
    let stage = Stage::new();
    stage.set("a/key", VALUE);
    let script = stage.script("script", &format!("#!/bin/sh\n{script}\n"));
    stage.policy(&one_rule("s", "a/key", &format!("[[\"{script}\"]]"), ""));
    (stage, script)
}

fn call(script: &str, more: Value) -> Value {
    let mut call = json!({"command": [script], "secrets": ["a/key"]});
    call.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    call
}

#[test]
fn a_timeout_ends_the_tree() {
    let (stage, script) = stage("(setsid sleep 7001.5 &)\nsleep 7001.5 &\necho begun $A_KEY\nsleep 7001.5");
    let ran = stage.serve("s").run(call(&script, json!({"timeout_seconds": 1})));
    assert_eq!(ran["outcome"], "timed_out", "{ran}");
    assert_eq!(ran["stdout"], "begun [redacted:a/key]\n");
    assert_eq!(processes("sleep 7001.5"), [0; 0]);
    let outcome = stage.audit().into_iter().find(|e| e["event"] == "outcome").unwrap();
    assert_eq!(outcome["outcome"], "timed_out");
}

#[test]
fn a_program_is_asked_to_end_before_it_is_killed() {
    let (stage, script) = stage(
        "trap 'echo asked; exit 3' TERM\ngrep -E 'Sig(Blk|Ign)' /proc/self/status\nsleep 7005.5 & wait",
    );
    let ran = stage.serve("s").run(call(&script, json!({"timeout_seconds": 1})));
    assert_eq!(ran["outcome"], "timed_out", "{ran}");
    let said = ran["stdout"].as_str().unwrap();
    assert!(said.ends_with("asked\n"), "{ran}");
    // It inherits no signal blocked, and none ignored (but the two that the C library has for itself).
    for line in said.lines().filter(|line| line.starts_with("Sig")) {
        let bits = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
        assert_eq!(bits & !(0b11 << 31), 0, "{line}");
    }
}

#[test]
fn one_that_ignores_sigterm_is_killed() {
    let (stage, script) = stage("trap '' TERM\necho begun\nwhile :; do sleep 7002.5; done");
    let ran = stage.serve("s").run(call(&script, json!({"timeout_seconds": 1})));
    assert_eq!(ran["outcome"], "timed_out", "{ran}");
    assert_eq!(processes("sleep 7002.5"), [0; 0]);
}

#[test]
fn a_cancelled_call_ends_the_tree_and_is_recorded() {
    let (stage, script) = stage("(setsid sleep 7003.5 &)\nsleep 7003.5");
    let mut server = stage.serve("s");
    let id =
        server.send("tools/call", json!({"name": "run_with_secrets", "arguments": call(&script, json!({}))}));
    eventually("the run has begun", || processes("sleep 7003.5").len() >= 2);
    server.notify("notifications/cancelled", json!({"requestId": id, "reason": "enough"}));
    eventually("the tree is gone", || processes("sleep 7003.5").is_empty());
    eventually("the outcome is recorded", || stage.audit().iter().any(|e| e["outcome"] == "cancelled"));
    assert_eq!(server.run(call("/nothing", json!({})))["code"], "command_not_allowed", "the session goes on");
}

#[test]
fn a_client_that_goes_away_takes_its_runs_along() {
    let (stage, script) = stage("(setsid sleep 7004.5 &)\nsleep 7004.5");
    let mut server = stage.serve("s");
    server.send("tools/call", json!({"name": "run_with_secrets", "arguments": call(&script, json!({}))}));
    eventually("the run has begun", || processes("sleep 7004.5").len() >= 2);
    server.hang_up();
    assert_eq!(processes("sleep 7004.5"), [0; 0]);
    let events = stage.audit();
    assert_eq!(
        events.iter().filter(|e| e["event"] == "intent").count(),
        events.iter().filter(|e| e["event"] == "outcome").count()
    );
    stage.ok(&["admin", "audit", "verify"]);
}

#[test]
fn a_server_that_is_killed_leaves_no_run() {
    let (stage, script) = stage("(setsid sleep 7005.5 &)\nsleep 7005.5");
    let mut server = stage.serve("s");
    server.send("tools/call", json!({"name": "run_with_secrets", "arguments": call(&script, json!({}))}));
    eventually("the run has begun", || processes("sleep 7005.5").len() >= 2);
    server.kill();
    eventually("the tree is gone", || processes("sleep 7005.5").is_empty());
    // Where the broker is in the server, nobody is left to put the outcome on record; a daemon does.
    if crate::DAEMON {
        let cancelled = || stage.audit().iter().any(|event| event["outcome"] == "cancelled");
        eventually("the outcome is on record", cancelled);
    } else {
        let verified = stage.ok(&["admin", "audit", "verify"]);
        assert!(verified.contains("runs without an outcome: r_"), "{verified}");
    }
}

#[test]
fn a_child_that_kills_its_supervisor_gains_nothing() {
    let (stage, script) = stage("setsid sleep 7006.5 &\nkill -9 $PPID\nsleep 7006.5");
    let mut server = stage.serve("s");
    let ran = server.run(call(&script, json!({})));
    assert_eq!((&ran["outcome"], &ran["signal"]), (&json!("signaled"), &json!("SIGKILL")), "{ran}");
    eventually("the tree is gone", || processes("sleep 7006.5").is_empty());
}

#[test]
fn a_grandchild_that_holds_the_pipe_does_not_hold_the_call() {
    let (stage, script) = stage("setsid sleep 7007.5 &\necho done $A_KEY");
    let ran = stage.serve("s").run(call(&script, json!({})));
    assert_eq!(
        (&ran["outcome"], &ran["stdout"]),
        (&json!("exited"), &json!("done [redacted:a/key]\n")),
        "{ran}"
    );
    assert_eq!(processes("sleep 7007.5"), [0; 0]);
}

#[test]
fn a_fork_bomb_ends() {
    let (stage, script) =
        stage("f() { [ $1 -gt 6 ] && exec sleep 7008.5; f $(($1+1)) & f $(($1+1)) & wait; }\nf 0");
    let ran = stage.serve("s").run(call(&script, json!({"timeout_seconds": 2})));
    assert_eq!(ran["outcome"], "timed_out", "{ran}");
    assert_eq!(processes("sleep 7008.5"), [0; 0]);
}

#[test]
fn a_hundred_megabytes_are_cut_in_bounded_memory() {
    let (stage, script) =
        stage("echo $A_KEY\nyes 'line with no secret' | head -c 100000000\necho\necho $A_KEY");
    let mut server = stage.serve("s");
    let ran = server.run(call(&script, json!({})));
    let stdout = ran["stdout"].as_str().unwrap();
    assert_eq!((&ran["outcome"], &ran["stdout_truncated"]), (&json!("exited"), &json!(true)));
    assert!(
        stdout.starts_with("[redacted:a/key]\n")
            && stdout.ends_with("[redacted:a/key]\n")
            && stdout.len() < 70_000
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak: u64 = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(peak < 90_000, "{peak} kB at the peak, of 100 MB that went through");
}

#[test]
fn one_that_closes_its_output_and_sleeps_ends_at_the_timeout() {
    let (stage, script) = stage("echo first\nexec >&- 2>&-\nsleep 7009.5");
    let ran = stage.serve("s").run(call(&script, json!({"timeout_seconds": 1})));
    assert_eq!((&ran["outcome"], &ran["stdout"]), (&json!("timed_out"), &json!("first\n")), "{ran}");
    assert_eq!(processes("sleep 7009.5"), [0; 0]);
}

#[test]
fn output_that_is_no_utf8_is_shown_as_far_as_it_goes() {
    let (stage, script) = stage("printf 'a\\377\\376b '; printf \"$A_KEY\"; printf '\\303'");
    let ran = stage.serve("s").run(call(&script, json!({})));
    assert_eq!(ran["stdout"], "a\u{fffd}\u{fffd}b [redacted:a/key]\u{fffd}", "{ran}");
}

#[test]
fn a_secret_that_straddles_the_limit_is_masked() {
    let stage = Stage::new();
    stage.set("a/key", VALUE);
    let script = stage.script("script", "#!/bin/sh\nhead -c $1 /dev/zero | tr '\\0' x\nprintf \"$A_KEY\"\nhead -c 3000 /dev/zero | tr '\\0' y\nprintf \"$A_KEY\"\nhead -c $1 /dev/zero | tr '\\0' z\n");
    let text = one_rule("s", "a/key", &format!("[[\"{script}\", \"*\"]]"), "")
        .replace("[[allow]]", "[limits]\noutput = \"1KiB\"\n[[allow]]");
    stage.policy(&text);
    let mut server = stage.serve("s");
    for lead in [490, 495, 500, 505, 510, 512, 515] {
        let ran = server.run(json!({"command": [script, lead.to_string()], "secrets": ["a/key"]}));
        let stdout = ran["stdout"].as_str().unwrap();
        assert_eq!(ran["redactions"], 2, "{ran}");
        for piece in ["run-value", "4Jd8", "Vn2Q"] {
            assert!(!stdout.contains(piece), "{lead}: {stdout}");
        }
    }
}

#[test]
fn standard_input_files_and_failures() {
    let stage = Stage::new();
    stage.set("a/key", VALUE);
    let script = stage.script(
        "script",
        "#!/bin/sh\ncat\nls -l \"$A_KEY\" | cut -c1-10\ncat \"$A_KEY\"\necho\necho $WHERE\npwd\n",
    );
    let text = one_rule(
        "s",
        "a/key",
        &format!("[[\"{script}\"], [\"/etc/passwd\"]]"),
        "set_env = { WHERE = \"at {file:a/key}\" }\nstdin = \"text\"",
    )
    .replace("deliver = \"env\"", "deliver = \"file\"");
    std::fs::write(stage.path("p.toml"), &text).unwrap();
    let said = stage.fails(2, &["admin", "policy", "apply", stage.path("p.toml").to_str().unwrap(), "--yes"]);
    assert!(said.contains("/etc/passwd isn't there, or can't be run"), "{said}");
    stage.policy(&text.replace(", [\"/etc/passwd\"]", ""));
    let ran =
        stage.serve("s").run(json!({"command": [script], "secrets": ["a/key"], "stdin": "from stdin\n"}));
    let lines: Vec<&str> = ran["stdout"].as_str().unwrap().lines().collect();
    assert_eq!(lines[..3], ["from stdin", "-rw-------", "[redacted:a/key]"], "{ran}");
    let path = lines[3].strip_prefix("at ").unwrap();
    assert!(
        path.starts_with('/') && !std::path::Path::new(path).exists(),
        "the file is gone with its run: {path}"
    );
    assert!(!std::path::Path::new(lines[4]).exists(), "and so is the private directory");
}

#[test]
fn a_program_that_cannot_be_executed_failed_to_start() {
    let stage = Stage::new();
    stage.set("a/key", VALUE);
    let script = stage.script("script", "#!/no/such/interpreter\n");
    stage.policy(&one_rule("s", "a/key", &format!("[[\"{script}\"]]"), ""));
    let ran = stage.serve("s").run(json!({"command": [script], "secrets": ["a/key"]}));
    assert_eq!(ran["outcome"], "failed_to_start", "{ran}");
    assert!(ran["stderr"].as_str().unwrap().contains("could not be started"), "{ran}");
}

#[test]
fn one_run_cannot_launder_what_another_wrote() {
    let stage = Stage::new();
    stage.set("a/key", VALUE);
    stage.set("a/other", b"other-run-value-77");
    let file = stage.path("kept").to_str().unwrap().to_owned();
    let write = stage.script("write", &format!("#!/bin/sh\nprintf \"$A_KEY\" > {file}\n"));
    let read = stage.script("read", &format!("#!/bin/sh\ncat {file}\n"));
    stage.policy(&one_rule("s", "a/*", &format!("[[\"{write}\"], [\"{read}\"]]"), ""));
    let mut server = stage.serve("s");
    assert_eq!(server.run(json!({"command": [write], "secrets": ["a/key"]}))["exit_code"], 0);
    let ran = server.run(json!({"command": [read], "secrets": ["a/other"]}));
    assert_eq!(ran["stdout"], "[redacted:a/key]", "{ran}");
}

#[test]
fn run_hands_streams_through_and_exits_as_the_program_does() {
    let stage = Stage::new();
    stage.set("a/key", VALUE);
    let script = stage.script("script", "#!/bin/sh\nread line\necho \"got $line $A_KEY\"\necho \"err $A_KEY\" >&2\n[ \"$line\" = die ] && kill -9 $$\nexit 42\n");
    stage.policy(&one_rule("s", "a/key", &format!("[[\"{script}\"]]"), ""));
    for (line, code) in [("x", 42), ("die", 137)] {
        let done = {
            use std::io::Write;
            let mut child = stage
                .command()
                .args(["run", "--scope", "s", "--", &script])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        };
        assert_eq!(done.status.code(), Some(code));
        assert_eq!(String::from_utf8_lossy(&done.stdout), format!("got {line} [redacted:a/key]\n"));
        assert_eq!(String::from_utf8_lossy(&done.stderr), "err [redacted:a/key]\n");
    }
    assert!(stage.fails(126, &["run", "--scope", "s", "--", "printenv"]).contains("allowed: "));
    assert!(stage.fails(126, &["run", "--scope", "none", "--", "printenv"]).contains("has no policy"));
}

#[test]
fn a_rotated_value_is_masked_beside_the_old_one() {
    const NEW: &[u8] = b"rotated-value-8Kx3Wm5T";
    let (stage, script) = stage(
        "cat \"$0.new\"\nuntil [ -s \"$0.new\" ]; do sleep 0.1; done\nsleep 1\necho $A_KEY; cat \"$0.new\"",
    );
    std::fs::write(format!("{script}.new"), "").unwrap();
    let mut server = stage.serve("s");
    let id =
        server.send("tools/call", json!({"name": "run_with_secrets", "arguments": call(&script, json!({}))}));
    eventually("the run has begun", || !processes(&script).is_empty());
    stage.set("a/key", NEW);
    std::fs::write(format!("{script}.new"), NEW).unwrap();
    let ran = &server.answer(id)["result"]["structuredContent"];
    assert_eq!(ran["stdout"], "[redacted:a/key]\n[redacted:a/key]", "{ran}");
    // A server that never handed the old value out knows it, too.
    std::fs::write(format!("{script}.new"), VALUE).unwrap();
    let ran = stage.serve("s").run(call(&script, json!({})));
    assert_eq!(ran["stdout"], "[redacted:a/key][redacted:a/key]\n[redacted:a/key]", "{ran}");
}
