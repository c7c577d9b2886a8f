//! HTTP: one endpoint, `/mcp` (Streamable HTTP, with SSE). Every request shows its own bearer token, and
//! its scope is that token's, whatever session it names; `door` decides whether it is let in.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, middleware};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio_util::sync::CancellationToken;

use super::{
    ServeError, Server,
    door::{self, Door},
    sessions::Sessions,
};
use crate::{
    broker::Service,
    listen::{self, Bounds},
};

/// Of the connections; fewer where there are not so many descriptors.
const BOUNDS: Bounds = Bounds {
    header: Duration::from_secs(10),
    unread: Duration::from_secs(30),
    unproven: 512,
    each: 128,
    all: 1024,
};

/// Who can reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// This machine only.
    Loopback,
    /// Whoever can reach the address: the operator insists.
    Anywhere,
}

/// How to serve over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct HttpSettings {
    /// Where to listen.
    pub addr: SocketAddr,
    /// Names by which the server may be called, beside those of loopback (`Host`).
    pub allow_hosts: Vec<String>,
    /// Browser origins that may call; none by default.
    pub allow_origins: Vec<String>,
    /// Who can reach it.
    pub exposure: Exposure,
}

/// Serves until `stop`; then ends what is running. `ready` is told the address once it is listened on.
///
/// # Errors
/// [`ServeError::Exposed`], [`ServeError::Listen`].
pub(crate) async fn serve_http(
    broker: Arc<dyn Service>,
    environment: Arc<BTreeMap<String, String>>,
    settings: HttpSettings,
    ready: impl FnOnce(SocketAddr),
    stop: CancellationToken,
) -> Result<(), ServeError> {
    if settings.exposure == Exposure::Loopback && !settings.addr.ip().is_loopback() {
        return Err(ServeError::Exposed(settings.addr));
    }
    let failed = |source| ServeError::Listen { addr: settings.addr, source };
    let listener = tokio::net::TcpListener::bind(settings.addr).await.map_err(failed)?;
    ready(listener.local_addr().map_err(failed)?);
    let app = router(Arc::clone(&broker), environment, &settings, &stop);
    listen::serve(listener, BOUNDS.within_descriptors(), app, stop).await;
    broker.close().await;
    Ok(())
}

fn router(
    broker: Arc<dyn Service>,
    environment: Arc<BTreeMap<String, String>>,
    settings: &HttpSettings,
    stop: &CancellationToken,
) -> Router {
    let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "::1", "[::1]"].map(str::to_owned).to_vec();
    hosts.extend(settings.allow_hosts.iter().cloned());
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts)
        .with_allowed_origins(settings.allow_origins.iter().cloned())
        .enforce_origin_validation()
        .with_max_request_body_bytes(door::LARGEST)
        .with_cancellation_token(stop.child_token());
    let sessions = Arc::new(LocalSessionManager::default());
    let door = Arc::new(Door::new(Arc::clone(&broker), Sessions::of(Arc::clone(&sessions))));
    let server = Server::for_requests(broker, environment);
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);
    Router::new().nest_service("/mcp", service).layer(middleware::from_fn_with_state(door, door::check))
}
