//! A small client of our own server, for `demo`: it sees what a model would see.

use std::{path::Path, process::Stdio, time::Duration};

use rmcp::{
    RoleClient, ServiceExt,
    model::{CallToolRequestParams, ContentBlock},
    service::RunningService,
};
use serde_json::{Map, Value};
use tokio::{process::Child, time::timeout};

/// A server whose input has ended ends by itself, or is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// A server that was started over stdio, and the connection to it.
pub(crate) struct Client {
    service: RunningService<RoleClient, ()>,
    server: Child,
}

/// What a tool answered, as the model gets it.
#[derive(Debug, Clone)]
pub(crate) struct ToolAnswer {
    /// The text.
    pub text: String,
    /// The structured content.
    pub structured: Value,
    /// Whether it is a refusal.
    pub refused: bool,
}

/// Why a server can't be talked to.
#[derive(Debug, thiserror::Error)]
#[error("the server can't be talked to: {0}")]
pub(crate) struct ClientError(String);

impl Client {
    /// Starts this binary as a server for a scope of a home, with nothing else in its environment.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn start(binary: &Path, home: &Path, scope: &str) -> Result<Self, ClientError> {
        #[expect(clippy::disallowed_methods, reason = "a client starts a server, as its configuration says")]
        let mut command = tokio::process::Command::new(binary);
        command.args(["serve", "--scope", scope]).env_clear().env("AUTHY_MCP_HOME", home);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut server = command.spawn().map_err(|e| ClientError(e.to_string()))?;
        let pipes = server.stdout.take().zip(server.stdin.take());
        let pipes = pipes.ok_or_else(|| ClientError("it has no pipes".to_owned()))?;
        let service = ().serve(pipes).await.map_err(|e| ClientError(e.to_string()))?;
        Ok(Self { service, server })
    }

    /// The names of the server's tools.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn tools(&self) -> Result<Vec<String>, ClientError> {
        let tools = self.service.list_all_tools().await.map_err(|e| ClientError(e.to_string()))?;
        Ok(tools.into_iter().map(|tool| tool.name.to_string()).collect())
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// [`ClientError`]; a refusal is an answer, not an error.
    pub(crate) async fn call(
        &self,
        tool: &'static str,
        arguments: Map<String, Value>,
    ) -> Result<ToolAnswer, ClientError> {
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = self.service.call_tool(params).await.map_err(|e| ClientError(e.to_string()))?;
        let text = result.content.iter().filter_map(text_of).collect::<Vec<_>>().join("\n");
        Ok(ToolAnswer {
            text,
            structured: result.structured_content.unwrap_or_default(),
            refused: result.is_error.unwrap_or(false),
        })
    }

    /// Ends the server.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn stop(mut self) -> Result<(), ClientError> {
        self.service.cancel().await.map_err(|e| ClientError(e.to_string()))?;
        // One that is still there then is killed with its handle.
        let _ = timeout(ENDS_WITHIN, self.server.wait()).await;
        Ok(())
    }
}

fn text_of(block: &ContentBlock) -> Option<String> {
    block.as_text().map(|text| text.text.clone())
}
