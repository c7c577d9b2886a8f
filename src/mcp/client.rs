//! A small client of our own server, for `demo`: it sees what a model would see.

use std::path::Path;

use rmcp::{
    RoleClient, ServiceExt,
    model::{CallToolRequestParams, ContentBlock},
    service::RunningService,
    transport::TokioChildProcess,
};
use serde_json::{Map, Value};

/// A server that was started over stdio, and the connection to it.
pub(crate) struct Client(RunningService<RoleClient, ()>);

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
        let transport = TokioChildProcess::new(command).map_err(|e| ClientError(e.to_string()))?;
        let service = ().serve(transport).await.map_err(|e| ClientError(e.to_string()))?;
        Ok(Self(service))
    }

    /// The names of the server's tools.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn tools(&self) -> Result<Vec<String>, ClientError> {
        let tools = self.0.list_all_tools().await.map_err(|e| ClientError(e.to_string()))?;
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
        let result = self.0.call_tool(params).await.map_err(|e| ClientError(e.to_string()))?;
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
    pub(crate) async fn stop(self) -> Result<(), ClientError> {
        self.0.cancel().await.map(drop).map_err(|e| ClientError(e.to_string()))
    }
}

fn text_of(block: &ContentBlock) -> Option<String> {
    block.as_text().map(|text| text.text.clone())
}
