//! What comes in: a call is read, given to the service as it is, and answered; or refused before anybody is asked.

use std::{sync::Arc, time::Duration};

use rmcp::{
    ServiceError,
    model::{CallToolRequest, CallToolRequestParams, ClientRequest, ErrorCode},
    service::PeerRequestOptions,
};
use serde_json::{Value, json};

use super::{Fake, MASK, Run, SECRET, Scene, parts};
use crate::{
    broker::refusal::{Code, Refusal},
    mcp::{Server, schemas},
    redact::testing::needles,
};

/// The tools and arguments that each takes.
fn calls() -> [(&'static str, Value); 3] {
    [
        ("list_allowed", json!({})),
        ("run_with_secrets", json!({"command": ["npm", "test"]})),
        ("request_token", json!({"purpose": "narrow_me", "reason": "r"})),
    ]
}

#[tokio::test]
async fn the_three_tools_are_listed_with_what_they_take_and_give() {
    let scene = Scene::over(Fake::default()).await;
    let tools = scene.client.list_all_tools().await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(names, ["list_allowed", "run_with_secrets", "request_token"]);
    for tool in &tools {
        assert_eq!(tool.input_schema["additionalProperties"], json!(false), "{}", tool.name);
        let output = tool.output_schema.as_ref().expect("an output schema");
        assert_eq!(output["anyOf"].as_array().map(Vec::len), Some(2), "{}", tool.name);
    }
    let hints = |n: usize| tools[n].annotations.clone().unwrap();
    assert_eq!([0, 1, 2].map(|n| hints(n).read_only_hint), [Some(true), Some(false), Some(false)]);
    assert_eq!([1, 2].map(|n| hints(n).destructive_hint), [Some(true), Some(false)]);
    assert_eq!(scene.service.asked(), [Value::Null; 0]);
}

#[tokio::test]
async fn what_is_asked_reaches_the_service_as_it_is() {
    let scene = Scene::over(Fake::default()).await;
    let rows = [
        ("list_allowed", json!({})),
        ("run_with_secrets", json!({"command": ["npm"]})),
        (
            "run_with_secrets",
            json!({
                "command": ["a", "b c", "$D"], "secrets": ["app/key"], "cwd": "/w", "stdin": "in",
                "env": {"A": "1"}, "timeout_seconds": 5,
            }),
        ),
        ("run_with_secrets", json!({"command": [], "secrets": []})),
        (
            "request_token",
            json!({
                "purpose": "subagent", "secrets": ["app/key"], "commands": [["npm"]], "ttl_seconds": 60,
                "max_uses": 2, "reason": "r",
            }),
        ),
        ("request_token", json!({"purpose": "more", "reason": ""})),
    ];
    for (tool, arguments) in &rows {
        let (text, _, is_error) = parts(&scene.call(tool, arguments.clone()).await);
        assert!(!is_error, "{tool} {arguments}: {text}");
    }
    let wanted = rows.map(|(_, arguments)| json!({"by": "dev", "asked": arguments}));
    assert_eq!(scene.service.asked(), wanted);
}

#[tokio::test]
async fn arguments_of_the_wrong_form_are_refused_by_name_and_nobody_is_asked() {
    let scene = Scene::over(Fake::default()).await;
    let value = SECRET.1;
    let run_has = "it has: command, secrets, cwd, stdin, env, timeout_seconds";
    let rows = [
        ("list_allowed", json!({"scope": value}), "it has: none"),
        ("run_with_secrets", json!({}), "missing field `command`"),
        ("run_with_secrets", json!({"secrets": ["a"]}), "missing field `command`"),
        ("run_with_secrets", json!({"command": ["a"], value: 1}), run_has),
        ("run_with_secrets", json!({"comand": ["a"]}), run_has),
        ("run_with_secrets", json!({"command": value}), "the argument `command` is"),
        ("run_with_secrets", json!({"command": [value, 1]}), "the argument `command` is"),
        ("run_with_secrets", json!({"command": {"a": value}}), "the argument `command` is"),
        ("run_with_secrets", json!({"command": null}), "the argument `command` is"),
        ("run_with_secrets", json!({"secrets": value}), "the argument `secrets` is"),
        ("run_with_secrets", json!({"command": ["a"], "secrets": [[value]]}), "the argument `secrets` is"),
        ("run_with_secrets", json!({"command": ["a"], "cwd": [value]}), "the argument `cwd` is"),
        ("run_with_secrets", json!({"command": ["a"], "stdin": 1}), "the argument `stdin` is"),
        ("run_with_secrets", json!({"command": ["a"], "env": {"A": 1}}), "the argument `env` is"),
        ("run_with_secrets", json!({"command": ["a"], "env": [value]}), "the argument `env` is"),
        ("run_with_secrets", json!({"command": ["a"], "timeout_seconds": value}), "`timeout_seconds` is"),
        ("run_with_secrets", json!({"command": ["a"], "timeout_seconds": -1}), "`timeout_seconds` is"),
        ("run_with_secrets", json!({"command": ["a"], "timeout_seconds": 1.5}), "`timeout_seconds` is"),
        ("request_token", json!({"reason": "r"}), "missing field `purpose`"),
        ("request_token", json!({"purpose": "more"}), "missing field `reason`"),
        ("request_token", json!({"purpose": value, "reason": "r"}), "the argument `purpose` is"),
        ("request_token", json!({"purpose": "more", "reason": 1}), "the argument `reason` is"),
        ("request_token", json!({"purpose": "more", "reason": "r", "commands": [value]}), "`commands` is"),
        (
            "request_token",
            json!({"purpose": "more", "reason": "r", "max_uses": 1_u64 << 32}),
            "`max_uses` is",
        ),
        ("request_token", json!({"purpose": "more", "reason": "r", "scope": "x"}), "it has: purpose"),
    ];
    for (tool, arguments, message) in rows {
        let (text, structure, is_error) = parts(&scene.call(tool, arguments.clone()).await);
        assert!(is_error && structure["code"] == "bad_argument", "{tool} {arguments}: {text}");
        let said = structure["message"].as_str().unwrap();
        assert!(said.contains(message), "{tool} {arguments}: {said}");
        assert!(!structure["hint"].as_str().unwrap().is_empty(), "{tool} {arguments}");
        // What was sent is not repeated, though nothing is known by which it could be masked.
        assert!(!text.contains(value) && !structure.to_string().contains(value), "{tool}: {text}");
    }
    assert_eq!(scene.service.asked(), [Value::Null; 0]);
}

/// The refusals that this room makes by itself know no session; what may be masked for anybody is masked in them.
#[tokio::test]
async fn a_refusal_by_this_room_is_masked_too() {
    let service = Fake { for_anyone: needles(SECRET.0, "one element an argument"), ..Fake::default() };
    let scene = Scene::over(service).await;
    let (text, structure, _) = parts(&scene.call("run_with_secrets", json!({})).await);
    let hint = structure["hint"].as_str().unwrap();
    assert!(hint.starts_with(&format!("give command as a list, {MASK}: ")), "{hint}");
    assert!(text.contains(&format!("list, {MASK}: ")), "{text}");
}

#[tokio::test]
async fn a_tool_that_is_none_is_an_error_of_the_protocol_in_fixed_words() {
    let scene = Scene::over(Fake::default()).await;
    let asked = scene.client.call_tool(CallToolRequestParams::new(SECRET.1)).await;
    let Err(ServiceError::McpError(error)) = asked else { panic!("{asked:?}") };
    assert_eq!((error.code, &*error.message), (ErrorCode::INVALID_PARAMS, "no such tool; call tools/list"));
    assert_eq!((error.data, scene.service.asked()), (None, Vec::new()));
}

/// The codes, as the published schema has them: one that is added is a row by itself.
fn codes() -> Vec<Code> {
    let schemas = schemas();
    let refusal = &schemas.iter().find(|(name, _)| name == "refusal.schema.json").unwrap().1;
    let codes = refusal["properties"]["code"]["oneOf"].as_array().expect("one of the codes");
    codes.iter().map(|code| serde_json::from_value(code["const"].clone()).unwrap()).collect()
}

#[tokio::test]
async fn what_the_service_refuses_every_tool_refuses_in_its_words() {
    let codes = codes();
    assert!(codes.len() >= 20, "{codes:?}");
    for code in codes {
        let refusal = Refusal::new(code, format!("not with {}", SECRET.1), "what to do");
        let scene = Scene::over(Fake::refusing(refusal)).await;
        let word = serde_json::to_value(code).unwrap();
        for (tool, arguments) in calls() {
            let (text, structure, is_error) = parts(&scene.call(tool, arguments).await);
            let message = format!("not with {MASK}");
            assert!(is_error, "{tool}: {text}");
            assert_eq!(structure, json!({"code": word, "message": message, "hint": "what to do"}));
            let word = word.as_str().unwrap();
            assert_eq!(text, format!("refused ({word}): {message}\nhint: what to do"));
        }
    }
}

#[tokio::test]
async fn a_request_that_brings_no_credential_is_nobodys() {
    let scene = Scene::of(Fake::default(), |service| Server::for_requests(service, Arc::default())).await;
    scene.call("list_allowed", json!({})).await;
    let nobody = "nobody: the request carries no credential";
    assert_eq!(scene.service.asked(), [json!({"by": nobody, "asked": {}})]);
}

#[tokio::test]
async fn progress_comes_in_order_before_the_result_masked_and_cut() {
    // 4,096 bytes end inside of a character of three.
    let long = "€".repeat(2000);
    let writes = vec!["first".to_owned(), format!("key {}", SECRET.1), long, String::new()];
    let scene = Scene::over(Fake { writes, ..Fake::default() }).await;
    scene.call("run_with_secrets", json!({"command": ["a"]})).await;
    // The client hands what it is told to tasks of its own: the order of those is not the server's.
    let mut said = Vec::new();
    for _ in 0..200 {
        said = scene.client.service().0.lock().clone();
        if said.len() == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    said.sort();
    let wanted = ["first".to_owned(), format!("key {MASK}"), "€".repeat(1365), String::new()];
    assert_eq!(said, (1..).zip(wanted).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_call_that_is_taken_back_is_taken_back_from_the_service() {
    let scene = Scene::over(Fake { run: Run::Goes, ..Fake::default() }).await;
    let params = CallToolRequestParams::new("run_with_secrets")
        .with_arguments(serde_json::from_value(json!({"command": ["a"]})).unwrap());
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
    let call =
        scene.client.send_cancellable_request(request, PeerRequestOptions::no_options()).await.unwrap();
    scene.service.begun.notified().await;
    call.cancel(None).await.unwrap();
    let cancelled = scene.service.cancelled.notified();
    tokio::time::timeout(Duration::from_secs(20), cancelled).await.expect("the service is told");
}
