//! What the log and `status` say of runs: names, times and outcomes, and never an argument or a value.

use serde_json::{Value, json};

use crate::stage::{Stage, one_rule};

const VALUE: &str = "log-value-6Bn3Kp9R";

#[test]
fn a_run_is_one_line_with_its_steps() {
    let stage = Stage::new();
    stage.set("l/key", VALUE.as_bytes());
    stage.policy(&one_rule("s", "l/key", "[[\"echo\", \"*\"]]", ""));
    let run = |arguments: &[&str]| {
        let done = stage.run(&[&["-v", "run", "--scope", "s", "--"], arguments].concat());
        let said = String::from_utf8(done.stderr).unwrap();
        let line = said.lines().find(|line| line.contains(" run{")).unwrap_or_else(|| panic!("{said}"));
        line.to_owned()
    };
    let line = run(&["echo", "an-argument-of-nobodys-business"]);
    for field in [
        "run=\"r_",
        "scope=\"s\"",
        "rules=\"one\"",
        "policy_us=",
        "audit_us=",
        "reveal_us=",
        "conclude_us=",
        "outcome=\"exited\"",
    ] {
        assert!(line.contains(field), "{field}: {line}");
    }
    assert!(!line.contains("nobodys-business") && !line.contains(VALUE), "{line}");
    let line = run(&["true"]);
    assert!(line.contains("refused=\"command_not_allowed\"") && line.contains("scope=\"s\""), "{line}");
}

#[test]
fn a_daemon_counts_calls_denials_and_runs() {
    if !crate::DAEMON {
        return;
    }
    let stage = Stage::new();
    stage.set("l/key", VALUE.as_bytes());
    stage.policy(&one_rule("s", "l/key", "[[\"true\"]]", ""));
    let mut server = stage.serve("s");
    server.run(json!({"command": ["true"], "secrets": ["l/key"]}));
    server.run(json!({"command": ["false"], "secrets": ["l/key"]}));
    server.tool("list_allowed", json!({}));
    let status: Value = serde_json::from_str(&stage.ok(&["--json", "status"])).unwrap();
    let daemon = &status["daemon"];
    assert_eq!(daemon["denials_by_code"], json!({"command_not_allowed": 1}), "{status}");
    assert_eq!((&daemon["denials"], &daemon["running"]), (&json!(1), &json!(0)), "{status}");
    assert!(daemon["calls"].as_u64() >= Some(3) && daemon["runs"].as_u64() >= Some(1), "{status}");
    for latencies in ["latency_ms", "overhead_ms"] {
        assert!(daemon[latencies]["p50"].as_f64() > Some(0.0), "{latencies}: {status}");
    }
    assert_eq!(daemon["health"], "ok", "{status}");
    assert!(daemon["uptime_seconds"].is_u64() && daemon["upkeep"]["problems"] == json!([]), "{status}");
    assert!(status["socket"].as_str().is_some_and(|path| path.ends_with(".sock")), "{status}");
}
