//! The protocol's handler: who calls comes with each request, never from an earlier one.

use std::{collections::BTreeMap, sync::Arc};

use rmcp::{
    RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Implementation,
        JsonObject, ListToolsResult, PaginatedRequestParams, ProgressToken, ServerCapabilities, ServerConfig,
        Tool,
    },
    service::{Peer, RequestContext},
};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    outbound,
    tools::{self, Row, Table},
};
use crate::{
    broker::{Answer, Caller, Credential, Meanwhile, Reply, Service, Way, refusal::Refusal},
    run::Piece,
};

/// Pieces of output that wait for a client; more are left out of the progress, never out of the result.
const WAITING_PIECES: usize = 64;

/// How long a client may keep the list of tools, in milliseconds: it is the same for as long as the
/// server runs.
const TOOLS_TTL: u64 = 3_600_000;

/// One server over one broker; over HTTP there is one a session, and none of them holds anything.
#[derive(Clone)]
pub(crate) struct Server {
    broker: Arc<dyn Service>,
    /// This process's own, from which a policy may pass variables.
    environment: Arc<BTreeMap<String, String>>,
    tools: &'static Table,
    /// Over stdio, who started the process; over HTTP, nobody: each request brings its own.
    credential: Option<Credential>,
}

/// Who makes a call, and how they are spoken to meanwhile.
struct Asking {
    caller: Caller,
    peer: Peer<RoleServer>,
    progress: Option<ProgressToken>,
    cancel: CancellationToken,
}

impl Server {
    /// A server for the process's own credential.
    pub(crate) fn for_process(broker: Arc<dyn Service>, caller: Caller) -> Self {
        let (environment, credential) = (caller.environment, Some(caller.credential));
        Self { broker, environment, tools: Table::all(), credential }
    }

    /// A server whose requests bring their credentials.
    pub(super) fn for_requests(broker: Arc<dyn Service>, environment: Arc<BTreeMap<String, String>>) -> Self {
        Self { broker, environment, tools: Table::all(), credential: None }
    }

    /// The same with other tools.
    #[cfg(test)]
    pub(super) fn with_tools(self, tools: &'static Table) -> Self {
        Self { tools, ..self }
    }

    fn refuse(&self, refusal: Refusal) -> CallToolResult {
        outbound::refusal(&Answer { body: refusal, needles: self.broker.needles_for_anyone() })
    }

    fn asking(&self, context: &RequestContext<RoleServer>) -> Asking {
        let own = || self.credential.clone();
        let credential = of_request(context)
            .or_else(own)
            .unwrap_or_else(|| Credential::missing("the request carries no credential"));
        Asking {
            caller: Caller { credential, environment: Arc::clone(&self.environment), way: Way::Tool },
            peer: context.peer.clone(),
            progress: context.meta.get_progress_token(),
            cancel: context.ct.clone(),
        }
    }

    async fn answer(&self, row: &'static Row, arguments: JsonObject, asking: Asking) -> CallToolResult {
        let call = match row.call(&arguments) {
            Ok(call) => call,
            Err(refusal) => return self.refuse(refusal),
        };
        let (progress, reporting) = match asking.progress {
            None => (None, None),
            Some(token) => {
                let (send, receive) = mpsc::channel(WAITING_PIECES);
                (Some(send), Some(tokio::spawn(report(asking.peer, token, receive))))
            }
        };
        let meanwhile = Meanwhile { progress, cancel: asking.cancel };
        let done = self.broker.call(&asking.caller, call, meanwhile).await;
        if let Some(reporting) = reporting {
            // Everything that was said on the way is said before the result.
            let _ = reporting.await;
        }
        let answer = match done {
            Ok(answer) => answer,
            Err(refused) => return outbound::refusal(&refused),
        };
        // Masking takes as long as the output wants it to: not on the threads that serve.
        let masked =
            spawn_blocking(move || (row.render)(&answer.body).map(|text| outbound::answer(&answer, &text)));
        match masked.await {
            Ok(Some(result)) => result,
            Ok(None) => self.refuse(Reply::to_something_else()),
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }
}

/// Sends each piece as it comes. A client that is gone, or doesn't listen, changes nothing.
async fn report(peer: Peer<RoleServer>, token: ProgressToken, mut pieces: mpsc::Receiver<Piece>) {
    let mut count = 0;
    while let Some(piece) = pieces.recv().await {
        count += 1;
        if peer.notify_progress(outbound::progress(token.clone(), count, &piece.text)).await.is_err() {
            return;
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
        Ok(ListToolsResult::with_all_items(self.tools.rows().iter().map(|row| row.tool.clone()).collect())
            .with_ttl_ms(TOOLS_TTL)
            .with_cache_scope(CacheScope::Private))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.named(name).map(|row| row.tool.clone())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let asking = self.asking(&context);
        let row = self.tools.named(&request.name);
        let span = tracing::info_span!("call", tool = row.map_or("unknown", |row| row.tool.name.as_ref()));
        let Some(row) = row else { return Err(outbound::unknown_tool()) };
        let arguments = request.arguments.unwrap_or_default();
        Ok(self.answer(row, arguments, asking).instrument(span).await.into())
    }
}
