//! The least that the protocol's library needs: a server over stdio with one tool that answers at once, and nothing
//! behind it. What a call to it takes is the floor below every tool of ours. An example of its own, so that
//! `benches/table.py` can start it, and the floor of `cargo bench --bench start`.

#![allow(clippy::disallowed_methods, reason = "a benchmark answers without the broker")]

use rmcp::{
    RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};

/// One tool, and nothing behind it.
#[derive(Clone)]
struct Bare;

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tool = Tool::new("nothing", "Does nothing", serde_json::Map::new());
        Ok(ListToolsResult::with_all_items(vec![tool]))
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::structured(serde_json::json!({"exit_code": 0})).into())
    }
}

pub(crate) fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let served = runtime.block_on(async {
        let running = Bare.serve(rmcp::transport::stdio()).await.expect("a client");
        running.waiting().await
    });
    served.expect("an end in order");
}
