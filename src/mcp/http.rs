//! HTTP: one endpoint, `/mcp` (Streamable HTTP, with SSE). Every request shows its own bearer token, and
//! its scope is that token's, whatever session it names.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::Response,
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{ServeError, Server};
use crate::broker::{Bearer, Caller, Credential, Service, Way, refusal::Code};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// Sessions whose owner is remembered; the oldest are forgotten, and refused from then on.
const SESSIONS: usize = 10_000;

/// Who can reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// This machine only.
    Loopback,
    /// Whoever can reach the address: the operator insists.
    Anywhere,
}

/// How to serve over HTTP.
#[derive(Debug, Clone)]
pub struct HttpSettings {
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
pub async fn serve_http(
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
    let stopped = stop.clone();
    let served =
        axum::serve(listener, app).with_graceful_shutdown(async move { stopped.cancelled().await }).await;
    broker.close().await;
    served.map_err(failed)
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
        .with_cancellation_token(stop.child_token());
    let server = Server::for_requests(Arc::clone(&broker), environment);
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let door = Arc::new(Door { broker, owners: Mutex::default() });
    Router::new().nest_service("/mcp", service).layer(middleware::from_fn_with_state(door, check))
}

/// What the door knows: the broker, and whose each session is.
struct Door {
    broker: Arc<dyn Service>,
    owners: Mutex<Owners>,
}

#[derive(Default)]
struct Owners {
    by_session: HashMap<String, [u8; 32]>,
    in_order: std::collections::VecDeque<String>,
}

/// Lets a request in with the credential that it shows, checked at this moment.
async fn check(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    let Some(token) = bearer(request.headers()) else { return unauthorized(None) };
    let credential = Credential::Token(Bearer::of_request(token));
    let owner = digest(&credential);
    let caller = Caller { credential: credential.clone(), environment: Arc::default(), way: Way::Tool };
    if let Err(refused) = door.broker.check(&caller).await {
        return match refused.body.code {
            Code::TokenExpired | Code::TokenInvalid => unauthorized(Some(refused.body.code)),
            // Tools answer that themselves, with a code and a hint.
            _ => {
                request.extensions_mut().insert(credential);
                next.run(request).await
            }
        };
    }
    if session(request.headers()).is_some_and(|session| !door.owns(&session, &owner)) {
        return plain(StatusCode::NOT_FOUND, "no such session");
    }
    request.extensions_mut().insert(credential);
    let response = next.run(request).await;
    if let Some(session) = session(response.headers()) {
        door.remember(session, owner);
    }
    response
}

impl Door {
    fn owns(&self, session: &str, owner: &[u8; 32]) -> bool {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.by_session.get(session) == Some(owner)
    }

    fn remember(&self, session: String, owner: [u8; 32]) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.by_session.insert(session.clone(), owner).is_none() {
            owners.in_order.push_back(session);
        }
        if owners.in_order.len() > SESSIONS
            && let Some(oldest) = owners.in_order.pop_front()
        {
            owners.by_session.remove(&oldest);
        }
    }
}

/// The token of `Authorization: Bearer` (RFC 6750, section 2.1): the only place where one is looked for.
fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| SecretString::from(token))
}

#[expect(clippy::disallowed_methods, reason = "a session's owner is remembered by the digest of its token")]
fn digest(credential: &Credential) -> [u8; 32] {
    match credential {
        Credential::Token(bearer) => Sha256::digest(bearer.text.expose_secret()).into(),
        Credential::LocalScope(_) | Credential::Tree(_) | Credential::Missing { .. } => [0; 32],
    }
}

fn session(headers: &HeaderMap) -> Option<String> {
    headers.get(SESSION)?.to_str().ok().map(str::to_owned)
}

/// RFC 6750, section 3: which error only where a token was shown.
fn unauthorized(code: Option<Code>) -> Response {
    let challenge = match code {
        None => "Bearer realm=\"authy-mcp\"",
        Some(Code::TokenExpired) => {
            "Bearer realm=\"authy-mcp\", error=\"invalid_token\", error_description=\"the token has expired\""
        }
        Some(_) => "Bearer realm=\"authy-mcp\", error=\"invalid_token\"",
    };
    let code = code.unwrap_or(Code::TokenInvalid);
    let body = json!({
        "code": code,
        "message": "this server wants a bearer token with every request",
        "hint": "authy-mcp admin token issue --scope SCOPE",
    });
    let mut response = plain(StatusCode::UNAUTHORIZED, &body.to_string());
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response
}
