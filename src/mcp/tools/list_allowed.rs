//! `list_allowed`: what the session may use and run.

use rmcp::model::ToolAnnotations;

use super::row::{About, Row};
use crate::{
    broker::{
        Call, Reply,
        api::{ListAllowed, ListAllowedParams},
    },
    mcp::render,
};

pub(super) fn row() -> Row {
    let about = About {
        name: "list_allowed",
        title: "What may be used",
        description: "Lists the secrets of this session by name, the commands that may use them, the variables that carry them, \
             and for each rule an example that works as it stands. Call it first. Never shows a value.",
        form: "call it without arguments: {}",
        annotations: ToolAnnotations::new().read_only(true).open_world(false),
    };
    Row::new::<ListAllowedParams, ListAllowed>(
        about,
        |_| Call::ListAllowed,
        |reply| match reply {
            Reply::Allowed(listed) => Some(render::allowed(listed)),
            _ => None,
        },
    )
}
