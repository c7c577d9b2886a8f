//! The protocol's handler: who calls comes with each request, never from an earlier one.

use std::{collections::BTreeMap, sync::Arc};

use rmcp::{
    RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Implementation,
        ListToolsResult, PaginatedRequestParams, ProgressToken, ServerCapabilities, ServerConfig, Tool,
    },
    service::{Peer, RequestContext},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{outbound, tools};
use crate::broker::{Answer, Caller, Credential, Service, Way, refusal::Refusal};

/// How long a client may keep the list of tools, in milliseconds: it is the same for as long as the
/// server runs.
const TOOLS_TTL: u64 = 3_600_000;

/// One server over one broker; over HTTP there is one a session, and none of them holds anything.
#[derive(Clone)]
pub(crate) struct Server {
    pub(super) broker: Arc<dyn Service>,
    /// This process's own, from which a policy may pass variables.
    environment: Arc<BTreeMap<String, String>>,
    /// Over stdio, who started the process; over HTTP, nobody: each request brings its own.
    credential: Option<Credential>,
}

/// One call: who makes it, and how it is spoken to meanwhile.
pub(super) struct Call {
    pub caller: Caller,
    pub peer: Peer<RoleServer>,
    pub progress: Option<ProgressToken>,
    pub cancel: CancellationToken,
}

impl Server {
    /// A server for the process's own credential.
    pub(crate) fn for_process(broker: Arc<dyn Service>, caller: Caller) -> Self {
        Self { broker, environment: caller.environment, credential: Some(caller.credential) }
    }

    /// A server whose requests bring their credentials.
    pub(super) fn for_requests(broker: Arc<dyn Service>, environment: Arc<BTreeMap<String, String>>) -> Self {
        Self { broker, environment, credential: None }
    }

    pub(super) fn refuse(&self, refusal: Refusal) -> CallToolResult {
        outbound::refusal(&Answer { body: refusal, needles: self.broker.needles_for_anyone() })
    }

    fn call(&self, context: &RequestContext<RoleServer>) -> Call {
        let own = || self.credential.clone();
        let credential = of_request(context)
            .or_else(own)
            .unwrap_or_else(|| Credential::missing("the request carries no credential"));
        Call {
            caller: Caller { credential, environment: Arc::clone(&self.environment), way: Way::Tool },
            peer: context.peer.clone(),
            progress: context.meta.get_progress_token(),
            cancel: context.ct.clone(),
        }
    }

    async fn dispatch(
        &self,
        request: CallToolRequestParams,
        call: &Call,
    ) -> Result<CallToolResult, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        match request.name.as_ref() {
            "list_allowed" => Ok(tools::list_allowed(self, call, arguments).await),
            "run_with_secrets" => Ok(tools::run_with_secrets(self, call, arguments).await),
            "request_token" => Ok(tools::request_token(self, call, arguments).await),
            _ => Err(outbound::unknown_tool()),
        }
    }
}

/// The credential that the HTTP door checked for this very request.
fn of_request(context: &RequestContext<RoleServer>) -> Option<Credential> {
    context.extensions.get::<axum::http::request::Parts>()?.extensions.get::<Credential>().cloned()
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(
                Implementation::new("authy-mcp", env!("CARGO_PKG_VERSION"))
                    .with_title("authy-mcp: secrets to use, not to see"),
            )
            .with_instructions(tools::INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all().to_vec())
            .with_ttl_ms(TOOLS_TTL)
            .with_cache_scope(CacheScope::Private))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = self.call(&context);
        let tool = tools::all().iter().find(|tool| tool.name == request.name);
        let span = tracing::info_span!("call", tool = tool.map_or("unknown", |tool| tool.name.as_ref()));
        self.dispatch(request, &call).instrument(span).await.map(CallToolResponse::from)
    }
}
