//! The same in runs: a program that an agent chose, in its sandbox, with nothing but the proxy to reach.

use serde_json::json;

use super::{
    host::Host,
    program::{KEY, assert_clean},
};
use crate::stage::Stage;

const CHILD: &str = include_str!("child.py");

/// A home with a sealed secret, and a scope in which any command may have it.
fn stage(host: &Host, more: &str) -> Stage {
    let stage = Stage::new();
    stage.set("openai/key", KEY.as_bytes());
    std::fs::write(stage.path("ca.pem"), &host.ca).unwrap();
    std::fs::create_dir(stage.path("work")).unwrap();
    stage.policy(&format!(
        "scope = \"s\"\n[sandbox]\nextra_ca = \"{ca}\"\ncwd = [\"{work}\"]\nread = [\"{{cwd}}\"]\n[[allow]]\nid = \"one\"\n\
         secrets = [\"openai/key\"]\ndeliver = \"sealed\"\nenv = {{ \"openai/key\" = \"OPENAI_KEY\" }}\n\
         hosts = [\"{host}\"]\ninject = \"bearer\"\nsubstitute = [\"header\", \"header:X-Note\"]\ncommands = \"any\"\n{more}\n",
        ca = stage.path("ca.pem").display(),
        work = stage.path("work").display(),
        host = host.name()
    ));
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_the_agent_chose_never_meets_the_value() {
    let host = Host::start().await;
    let stage = stage(&host, "");
    std::fs::write(stage.path("work/child.py"), CHILD).unwrap();
    let backwards: String = KEY.chars().rev().collect();
    let mut server = stage.serve("s");
    let answer = server.run(json!({
        "command": ["python3", "child.py", backwards, host.name()],
        "secrets": ["openai/key"],
        "timeout_seconds": 100
    }));
    let said = answer["stdout"].as_str().unwrap_or_default();
    assert!(said.contains("looked at enough bytes, 14 answers\nreached:\nfound:\n"), "{answer}");
    assert_eq!(
        (answer["promise"].as_str(), answer["exit_code"].as_i64()),
        (Some("sealed"), Some(0)),
        "{answer}"
    );
    assert!(
        host.seen().await.iter().any(|seen| seen.header("x-token") == KEY),
        "no request got there at all"
    );
    assert_clean(&server.hang_up());
    let requests: Vec<_> = stage.audit().into_iter().filter(|event| event["event"] == "request").collect();
    let refused = |code: &str| requests.iter().filter(|event| event["refused"] == code).count();
    assert_eq!(
        (refused("host_not_allowed"), refused("placeholder_wrong_place"), refused("host_differs")),
        (4, 1, 1),
        "{requests:#?}"
    );
    let log = serde_json::to_string(&requests).unwrap();
    assert_clean(log.as_bytes());
    assert!(requests.iter().all(|event| !event.to_string().contains("?k=")), "a query is on record");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_becomes_the_placeholder_in_arguments_and_input() {
    let host = Host::start().await;
    let stage = stage(&host, "stdin = \"text\"");
    let mut server = stage.serve("s");
    let url = format!("https://{}/echo", host.name());
    let answer = server.run(json!({
        "command": ["curl", "-sS", "-H", "X-Note: a {{openai/key}} b", "-d", "@-", url],
        "secrets": ["openai/key"],
        "stdin": "body {{openai/key}}"
    }));
    assert_eq!(answer["exit_code"], 0, "{answer}");
    let seen = host.seen().await;
    assert_eq!(seen[0].header("x-note"), format!("a {KEY} b"));
    assert_eq!(seen[0].header("authorization"), format!("Bearer {KEY}"));
    let body = String::from_utf8_lossy(&seen[0].body).into_owned();
    assert!(body.starts_with("body sk-proj-") && !body.contains(KEY), "{body}");
    assert!(answer["stdout"].as_str().unwrap().contains("Bearer [redacted:openai/key]"), "{answer}");
    let echoed = server.run(json!({"command": ["printenv", "OPENAI_KEY"], "secrets": ["openai/key"]}));
    assert_eq!(echoed["stdout"], "[redacted:openai/key]\n");
    assert_clean(&server.hang_up());
}

fn shifted_back(c: char) -> char {
    let back = |first: u8, of: u8, by: u8| char::from(first + (c as u8 - first + of - by) % of);
    match c {
        'a'..='z' => back(b'a', 26, 5),
        'A'..='Z' => back(b'A', 26, 5),
        '0'..='9' => back(b'0', 10, 5),
        _ => c,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placeholder_is_worth_nothing_after_its_run() {
    let host = Host::start().await;
    let stage = stage(&host, "");
    let mut server = stage.serve("s");
    // Shifted, so that it comes out: a placeholder is masked as a value is.
    let said =
        server.run(json!({"command": ["sh", "-c", "printenv OPENAI_KEY | tr a-zA-Z0-9 f-za-eF-ZA-E5-90-4"], "secrets": ["openai/key"]}));
    let old: String = said["stdout"].as_str().unwrap().trim().chars().map(shifted_back).collect();
    assert!(old.starts_with("sk-proj-"), "{said}");
    let url = format!("https://{}/echo", host.name());
    server.run(
        json!({"command": ["curl", "-sS", "-H", format!("X-Note: {old}"), url], "secrets": ["openai/key"]}),
    );
    assert_eq!(host.seen().await[0].header("x-note"), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_proxy_a_run_reaches_the_named_hosts_and_no_other() {
    let (host, other) = (Host::start().await, Host::start().await);
    let stage = Stage::new();
    stage.set("db/password", KEY.as_bytes());
    stage.policy(&format!(
        "scope = \"s\"\n[sandbox]\nnetwork = \"proxy\"\nhosts = [\"{}\"]\n[[allow]]\nsecrets = [\"db/password\"]\n\
         deliver = \"env\"\ncommands = \"any\"\nexit_code = \"exact\"\n",
        host.name()
    ));
    let mut server = stage.serve("s");
    let mut asks = |arguments: &[&str]| {
        let command: Vec<&str> =
            ["curl", "-sSk", "--max-time", "5"].into_iter().chain(arguments.iter().copied()).collect();
        server.run(json!({"command": command, "secrets": ["db/password"]}))
    };
    let named = format!("https://{}/", host.name());
    let by_address = format!("https://127.0.0.1:{}/", host.address.port());
    // In the run's own network, 127.0.0.1 is localhost.
    for ways in [vec![named.as_str()], vec!["--noproxy", "*", &named], vec!["--noproxy", "*", &by_address]] {
        assert_eq!(asks(&ways)["exit_code"], 0, "{ways:?}");
    }
    let unnamed = format!("https://{}/", other.name());
    for ways in [
        vec![by_address.as_str()],
        vec![&unnamed],
        vec!["https://example.com/"],
        vec!["https://[::1]/"],
        vec!["http://example.com/"],
        vec!["--noproxy", "*", &unnamed],
        vec!["--noproxy", "*", "https://[::1]/"],
        vec!["--noproxy", "*", "https://127.0.1.1/"],
        vec!["--noproxy", "*", "https://1.1.1.1/"],
        vec!["--noproxy", "*", "https://example.com/"],
        vec!["--noproxy", "*", "tftp://127.0.0.1/x"],
    ] {
        let answer = asks(&ways);
        let reached = answer["exit_code"] == 0
            && !answer["stdout"].as_str().unwrap_or_default().starts_with("authy-mcp: ");
        assert!(!reached, "{ways:?}: {answer}");
    }
    assert_eq!(host.seen().await.len(), 3);
    assert!(other.seen().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_or_an_agent_can_be_started_with_sealed_keys_only() {
    let host = Host::start().await;
    let stage = stage(&host, "");
    let url = format!("https://{}/", host.name());
    let done = stage.run(&[
        "run",
        "--scope",
        "s",
        "--secret",
        "openai/key",
        "--",
        "sh",
        "-c",
        &format!("curl -sS {url}; env"),
    ]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(host.seen().await[0].header("authorization"), format!("Bearer {KEY}"));
    assert!(String::from_utf8_lossy(&done.stdout).contains("OPENAI_KEY=[redacted:openai/key]"));
    assert_clean(&done.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_is_listed_with_its_hosts_and_promise() {
    let host = Host::start().await;
    let stage = stage(&host, "");
    let mut server = stage.serve("s");
    let listed = server.tool("list_allowed", json!({}));
    let rule = listed["structuredContent"]["rules"][0].clone();
    let text = listed["content"][0]["text"].as_str().unwrap();
    assert!(text.contains(&format!("hosts: {}", host.name())), "{text}");
    assert_eq!(rule["hosts"], json!([host.name()]));
    assert_eq!((rule["deliver"].as_str(), rule["promise"].as_str()), (Some("sealed"), Some("sealed")));
    let example = &rule["example"];
    let answer = server.run(json!({"command": example["command"], "secrets": example["secrets"]}));
    assert_eq!(answer["exit_code"], 0, "the example does not work: {answer}");
}

#[test]
fn a_sealed_rule_is_one_line_and_asks_for_what_it_needs() {
    let stage = Stage::new();
    stage.set("openai/key", KEY.as_bytes());
    stage.ok(&[
        "admin",
        "allow",
        "s",
        "--secret",
        "openai/*",
        "--host",
        "api.openai.com",
        "--bearer",
        "--yes",
        "--",
        "curl",
        "**",
    ]);
    let shown = stage.ok(&["admin", "policy", "show", "s"]);
    for line in ["deliver = \"sealed\"", "hosts = [\"api.openai.com\"]", "inject = \"bearer\""] {
        assert!(shown.contains(line), "{shown}");
    }
    stage.ok(&[
        "admin",
        "allow",
        "t",
        "--secret",
        "openai/*",
        "--host",
        "api.openai.com",
        "--yes",
        "--",
        "curl",
        "**",
    ]);
    assert!(stage.ok(&["admin", "policy", "show", "t"]).contains("deliver = \"sealed\""));
    for (sandbox, line) in [("network = \"open\"", 5), ("network = \"none\"", 5), ("mode = \"off\"", 5)] {
        let text = format!(
            "scope = \"u\"\n[sandbox]\n{sandbox}\n[[allow]]\ndeliver = \"sealed\"\nsecrets = [\"a\"]\nhosts = [\"a.example\"]\ncommands = \"any\"\n"
        );
        std::fs::write(stage.path("u.toml"), text).unwrap();
        let said =
            stage.fails(2, &["admin", "policy", "apply", stage.path("u.toml").to_str().unwrap(), "--yes"]);
        assert!(
            said.contains("a sealed secret needs the sandbox and its proxy")
                && said.contains(&format!("line {line},")),
            "{said}"
        );
    }
}
