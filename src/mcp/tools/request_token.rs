//! `request_token`: less for this session, or for a helper.

use rmcp::model::{CallToolResult, JsonObject};

use crate::{
    broker::api::TokenParams,
    mcp::{
        outbound, render,
        server::{Call, Server},
    },
};

const FORM: &str = "give purpose (narrow_me, subagent or more) and reason: {\"purpose\": \"narrow_me\", \"secrets\": [\"NAME\"], \"reason\": \"…\"}";

pub(in crate::mcp) async fn request_token(
    server: &Server,
    call: &Call,
    arguments: JsonObject,
) -> CallToolResult {
    let params: TokenParams = match super::parse(arguments, FORM) {
        Ok(params) => params,
        Err(refusal) => return server.refuse(refusal),
    };
    match server.broker.request_token(&call.caller, params).await {
        Ok(answer) => outbound::answer(&answer, render::token),
        Err(refused) => outbound::refusal(&refused),
    }
}
