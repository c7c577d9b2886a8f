//! `request_token`: less for this session, or for a helper.

use rmcp::model::ToolAnnotations;

use super::row::{About, Row};
use crate::{
    broker::{
        Call, Reply,
        api::{TokenAnswer, TokenParams},
    },
    mcp::render,
};

pub(super) fn row() -> Row {
    let about = About {
        name: "request_token",
        title: "Narrow this session, or ask for a credential",
        description: "purpose narrow_me gives up everything but the named secrets and commands: over stdio for this server \
             process, over HTTP for everybody who shows the token, until an operator lifts it. subagent issues a \
             credential for a helper, never worth more than this session is at that moment. more puts on record what \
             is needed, is always denied, and answers with the command that the operator can type. Nothing here ever \
             widens what is allowed.",
        form: "give purpose (narrow_me, subagent or more) and reason: {\"purpose\": \"narrow_me\", \"secrets\": [\"NAME\"], \"reason\": \"…\"}",
        annotations: ToolAnnotations::new()
            .read_only(false)
            .destructive(false)
            .idempotent(false)
            .open_world(false),
    };
    Row::new::<TokenParams, TokenAnswer>(about, Call::RequestToken, |reply| match reply {
        Reply::Token(answer) => Some(render::token(answer)),
        _ => None,
    })
}
