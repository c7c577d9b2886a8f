//! `run_with_secrets`: one command.

use rmcp::model::ToolAnnotations;

use super::row::{About, Row};
use crate::{
    broker::{
        Call, Reply,
        api::{RunParams, RunResult},
    },
    mcp::render,
};

pub(super) fn row() -> Row {
    let about = About {
        name: "run_with_secrets",
        title: "Run a command with secrets",
        description: "Runs an allowed command with secrets in its environment and returns its redacted output. Give the program \
             and its arguments as a list, as [\"npm\", \"test\"], and the names of the secrets that it needs; copy an \
             example from list_allowed. Masks like [redacted:NAME] stand for hidden values. A non-zero exit code is the \
             program's own result, not a failure of this tool.",
        form: "give command as a list, one element an argument: {\"command\": [\"npm\", \"test\"], \"secrets\": [\"NAME\"]}; list_allowed has examples",
        annotations: ToolAnnotations::new()
            .read_only(false)
            .destructive(true)
            .idempotent(false)
            .open_world(true),
    };
    Row::new::<RunParams, RunResult>(about, Call::RunWithSecrets, |reply| match reply {
        Reply::Ran(result) => Some(render::run(result)),
        _ => None,
    })
}
