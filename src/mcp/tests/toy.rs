//! A tool that is not of the product: a row, and nothing else knows of it.

use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Fake, Scene, parts};
use crate::{
    broker::{Call, Reply, api::ListAllowed},
    mcp::{
        Server,
        tools::{self, About, Row, Table},
    },
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Params {
    #[expect(dead_code, reason = "only that it is asked for")]
    loudly: bool,
}

fn row(render: fn(&Reply) -> Option<String>) -> Row {
    let about = About {
        name: "which_scope",
        title: "Which scope",
        description: "Names the scope.",
        form: "say how: {\"loudly\": true}",
        annotations: ToolAnnotations::new().read_only(true),
    };
    Row::new::<Params, ListAllowed>(about, |_| Call::ListAllowed, render)
}

fn scope(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Allowed(listed) => Some(format!("THE SCOPE IS {}", listed.scope)),
        _ => None,
    }
}

async fn scene(render: fn(&Reply) -> Option<String>) -> Scene {
    let table = Table::of(tools::rows().into_iter().chain([row(render)]).collect());
    Scene::with(Fake::default(), |service, caller| Server::for_process(service, caller).with_tools(table))
        .await
}

#[tokio::test]
async fn a_new_tool_is_a_row() {
    let scene = scene(scope).await;
    let listed = scene.client.list_all_tools().await.unwrap();
    assert_eq!(listed.len(), 4);
    assert_eq!(listed[3].input_schema["required"], json!(["loudly"]));
    let (text, structure, is_error) = parts(&scene.call("which_scope", json!({"loudly": true})).await);
    assert_eq!((text.as_str(), &structure["scope"], is_error), ("THE SCOPE IS dev", &json!("dev"), false));
    let (text, structure, is_error) = parts(&scene.call("which_scope", json!({"softly": true})).await);
    assert!(is_error && text.contains("it has: loudly"), "{text}");
    assert_eq!(structure["hint"], json!("say how: {\"loudly\": true}"));
    assert_eq!(scene.service.asked().len(), 1, "what can't be read is asked of nobody");
}

#[tokio::test]
async fn an_answer_to_something_else_is_not_shown() {
    let scene = scene(|_| None).await;
    let (text, structure, is_error) = parts(&scene.call("which_scope", json!({"loudly": true})).await);
    assert!(is_error && structure["code"] == json!("busy") && !text.contains("dev"), "{text}");
}
