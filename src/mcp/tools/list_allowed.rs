//! `list_allowed`: what the session may use and run.

use rmcp::model::{CallToolResult, JsonObject};

use crate::{
    broker::api::ListAllowedParams,
    mcp::{
        outbound, render,
        server::{Call, Server},
    },
};

pub(in crate::mcp) async fn list_allowed(
    server: &Server,
    call: &Call,
    arguments: JsonObject,
) -> CallToolResult {
    if let Err(refusal) = super::parse::<ListAllowedParams>(arguments, "call it without arguments: {}") {
        return server.refuse(refusal);
    }
    match server.broker.list_allowed(&call.caller).await {
        Ok(answer) => outbound::answer(&answer, render::allowed),
        Err(refused) => outbound::refusal(&refused),
    }
}
