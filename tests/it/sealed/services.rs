//! Services of the catalogue, as an operator and an agent see them.

use serde_json::json;

use super::program::KEY;
use crate::stage::Stage;

fn policy(rule: &str) -> String {
    format!(
        "scope = \"s\"\n[[allow]]\nid = \"ai\"\nsecrets = [\"ai/*\"]\ndeliver = \"sealed\"\n{rule}\ncommands = \"any\"\n"
    )
}

#[test]
fn a_service_stands_for_its_hosts_its_variable_and_its_base_url() {
    let stage = Stage::new();
    stage.set("ai/key", KEY.as_bytes());
    std::fs::write(stage.path("s.toml"), policy("service = \"anthropic\"")).unwrap();
    let file = stage.path("s.toml");
    let applied = stage.ok(&["admin", "policy", "apply", file.to_str().unwrap(), "--yes"]);
    for words in ["to api.anthropic.com", "service anthropic (entry 1)", "as x-api-key", "/v1/messages"] {
        assert!(applied.contains(words), "{words}: {applied}");
    }
    let checked = stage.ok(&["admin", "policy", "check", "s", "--secret", "ai/key", "--", "true"]);
    assert!(checked.contains("ai/key in ANTHROPIC_API_KEY (sealed), to api.anthropic.com"), "{checked}");
    let mut server = stage.serve("s");
    let rule = server.tool("list_allowed", json!({}))["structuredContent"]["rules"][0].clone();
    assert_eq!(rule["hosts"], json!(["api.anthropic.com"]));
    assert_eq!(
        (rule["secrets"][0]["env"].as_str(), rule["promise"].as_str()),
        (Some("ANTHROPIC_API_KEY"), Some("sealed"))
    );
    let told = server.run(json!({"command": ["printenv", "ANTHROPIC_BASE_URL"], "secrets": ["ai/key"]}));
    assert!(told["stdout"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{told}");
    let said = server.run(json!({
        "command": ["sh", "-c", "curl -s -o /dev/null -D - -X POST \"$ANTHROPIC_BASE_URL/v1/files\""],
        "secrets": ["ai/key"]
    }));
    assert!(said["stdout"].as_str().unwrap().contains("x-authy-mcp-refused: request_not_covered"), "{said}");
}

#[test]
fn a_service_beside_what_it_stands_for_and_an_unknown_one_are_refused() {
    let stage = Stage::new();
    for (rule, says) in [
        ("service = \"openai\"\nhosts = [\"api.openai.com\"]", "and hosts is given, too"),
        ("service = \"openai\"\ninject = \"bearer\"", "and inject is given, too"),
        ("service = \"openai\"\nenv = { \"ai/key\" = \"K\" }", "and env is given, too"),
        ("service = \"acme\"", "there are anthropic, cloudflare, github, openai, stripe"),
    ] {
        std::fs::write(stage.path("s.toml"), policy(rule)).unwrap();
        let said =
            stage.fails(2, &["admin", "policy", "apply", stage.path("s.toml").to_str().unwrap(), "--yes"]);
        assert!(said.contains(says), "{rule}: {said}");
    }
}
