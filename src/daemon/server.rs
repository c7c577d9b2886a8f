//! The daemon's side: who may call, and each call handed to the broker and its answer masked.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    OpenTo, lend,
    peer::{Peer, Side},
    proof::{self, LocalKey, Nonces},
    reply::{json, line, parse, plain},
    stats::Stats,
    wire::{
        Answered, Cancel, Challenge, Challenged, Looked, NONCE_HEADER, PROOF_HEADER, PROTOCOL,
        PROTOCOL_HEADER, Posted, Status, WireCredential,
    },
};
use crate::{
    broker::{
        Answer, Broker, CallKind, Caller, Credential, LocalSession, Manner, Meanwhile, Refused, Reply,
        Service,
        gate::{Bounds as Calls, Gates},
        refusal::{Code, Refusal},
    },
    listen::{Bounds, Guest},
    names::GrantId,
    redact::{MaskLedger, NeedleSet},
    run::Piece,
    supervise::Process,
};

/// The largest request, in bytes: standard input of a run comes with it.
const LARGEST: usize = 64 << 20;
/// How long a request's body may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// A body that may be larger than this is one of few at once.
const LARGE: u64 = 1 << 20;
/// How many large bodies of one peer, and of all, are in memory before a call begins.
pub(super) const LARGE_AT_ONCE: Calls =
    Calls { each: 4, all: 16, per_second: 1000, burst: 1000, refused: 1, doubted: 4 };
/// Of the connections. A server has one for each of its calls.
pub(super) const BOUNDS: Bounds = Bounds {
    header: Duration::from_secs(10),
    unread: Duration::from_secs(30),
    unproven: 256,
    each: 512,
    all: 1024,
};
/// How often a run that prints nothing shows that it is alive, and whether anybody still listens.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// Lines that wait for a reader.
const WAITING: usize = 64;

/// Whose calls are taken.
pub(crate) enum AuthMode {
    /// Every process of this user: with a token, or with a scope and a proof of the identity.
    Proven(LocalKey),
    /// The processes of one run's tree, for that run's scope.
    Tree {
        /// The process at its root.
        root: Process,
        /// The session that all of them share.
        session: LocalSession,
    },
}

/// What an API is served over.
pub(super) struct ServerState {
    pub broker: Arc<Broker>,
    pub admits: AuthMode,
    pub open_to: OpenTo,
    pub stats: Stats,
    pub about: Box<dyn Fn(&Stats) -> Status + Send + Sync>,
    /// Finish what runs, and let another take over.
    pub retire: CancellationToken,
    /// End what runs, wipe, exit.
    pub lock: CancellationToken,
    pub nonces: Nonces,
    pub calls: Mutex<HashMap<String, CancellationToken>>,
    pub large: Gates,
    pub lines: Gates,
}

pub(super) fn router(room: Arc<ServerState>) -> Router {
    let calls = CallKind::ALL.into_iter().fold(Router::new(), |router, kind| match kind.manner() {
        Manner::Whole => router.route(
            kind.path(),
            post(async move |room, peer, headers, body| whole(kind, room, peer, headers, body).await),
        ),
        Manner::Streamed => router.route(
            kind.path(),
            post(async move |room, peer, headers, body| streamed(kind, room, peer, headers, body).await),
        ),
    });
    calls
        .route("/v1/status", get(status))
        .route("/v1/challenge", post(challenge))
        .route("/v1/check", post(check))
        .route("/v1/cancel", post(cancel))
        .route("/v1/retire", post(retire))
        .route("/v1/lock", post(lock))
        .route("/v1/look", post(look))
        .route(lend::PATH, post(engine))
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(middleware::from_fn_with_state(Arc::clone(&room), authorize_peer))
        .with_state(room)
}

/// What members of the group may ask for: agents' calls, nothing of the operator's.
fn is_for_others(path: &str) -> bool {
    ["/v1/status", "/v1/check", "/v1/cancel"].contains(&path)
        || CallKind::ALL.iter().any(|kind| kind.path() == path)
}

/// Our own user, and members of the group that the daemon is open to (the kernel let them connect); and only
/// who speaks this version, `status` and `lock` aside.
async fn authorize_peer(
    State(room): State<Arc<ServerState>>,
    Extension(peer): Extension<Peer>,
    Extension(guest): Extension<Guest>,
    request: Request,
    next: Next,
) -> Response {
    match (peer.side(), room.open_to) {
        (Side::Own, _) => {}
        (Side::Other, OpenTo::Group(_)) if is_for_others(request.uri().path()) => {}
        (Side::Other, _) => return plain(StatusCode::FORBIDDEN),
    }
    let theirs = request.headers().get(PROTOCOL_HEADER).and_then(|value| value.to_str().ok());
    if theirs != Some(PROTOCOL.to_string().as_str())
        && !matches!(request.uri().path(), "/v1/status" | "/v1/lock")
    {
        let mut response = plain(StatusCode::UPGRADE_REQUIRED);
        response.headers_mut().insert(PROTOCOL_HEADER, HeaderValue::from(PROTOCOL));
        return response;
    }
    // Who the kernel names is known with the first request; how many connections it may have is a matter of that.
    if guest.prove(&peer.name()).is_err() {
        return plain(StatusCode::TOO_MANY_REQUESTS);
    }
    with_body(&room, &peer, request, next).await
}

/// The request with its body in memory, within its time and size.
async fn with_body(room: &ServerState, peer: &Peer, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let length =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let chunked = parts.headers.contains_key(header::TRANSFER_ENCODING);
    let large = chunked || length.is_some_and(|length: u64| length > LARGE);
    let Ok(_place) = large.then(|| room.large.enter(&peer.name())).transpose() else {
        return plain(StatusCode::TOO_MANY_REQUESTS);
    };
    let read = tokio::time::timeout(BODY_WITHIN, Limited::new(body, LARGEST).collect());
    match read.await {
        Ok(Ok(body)) => next.run(Request::from_parts(parts, Body::from(body.to_bytes()))).await,
        Ok(Err(_)) => plain(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => plain(StatusCode::REQUEST_TIMEOUT),
    }
}

async fn status(State(room): State<Arc<ServerState>>) -> Response {
    json(&(room.about)(&room.stats))
}

/// Whether the vault was put back is asked of who remembers how far it was.
async fn look(State(room): State<Arc<ServerState>>) -> Response {
    json(&Looked { problem: room.broker.look().await })
}

/// A turn at the vault's database, on this connection.
async fn engine(
    State(room): State<Arc<ServerState>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    if matches!(room.admits, AuthMode::Tree { .. }) {
        return plain(StatusCode::NOT_FOUND);
    }
    let Ok(place) = room.lines.enter(&peer.name()) else { return plain(StatusCode::TOO_MANY_REQUESTS) };
    let proven = |headers: &HeaderMap, body: &Bytes| room.proven(&peer, headers, lend::PATH, body);
    lend::engine(Arc::clone(&room.broker), (peer.name(), place), request, proven).await
}

async fn challenge(State(room): State<Arc<ServerState>>, body: Bytes) -> Response {
    let Some(Challenge { nonce: theirs }) = parse(&body) else { return plain(StatusCode::BAD_REQUEST) };
    let AuthMode::Proven(key) = &room.admits else { return plain(StatusCode::NOT_FOUND) };
    let Some(nonce) = room.nonces.give() else { return plain(StatusCode::TOO_MANY_REQUESTS) };
    json(&Challenged { proof: key.of_daemon(&theirs, &nonce), nonce, numbered: true })
}

async fn check(
    State(room): State<Arc<ServerState>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    room.answer(&peer, &headers, "/v1/check", &body, async |room, caller, _| {
        room.broker
            .check(&caller)
            .await
            .map(|()| Answer { body: (), needles: room.broker.needles_for_anyone() })
    })
    .await
}

/// A call that is answered as a whole.
async fn whole(
    kind: CallKind,
    State(room): State<Arc<ServerState>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    room.answer(&peer, &headers, kind.path(), &body, async |room, caller, params| {
        let call = kind.call(params).ok_or_else(|| refused(bad_params()))?;
        room.broker.call(&caller, call, Meanwhile::default()).await
    })
    .await
}

/// A call that is answered after pieces on the way.
async fn streamed(
    kind: CallKind,
    State(room): State<Arc<ServerState>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(call) = parse::<Posted>(&body) else { return plain(StatusCode::BAD_REQUEST) };
    room.stats.called();
    let admitted = room.admit(&peer, &headers, kind.path(), &body, (call.credential, call.session)).await;
    let asked = kind.call(call.params).ok_or_else(bad_params);
    let (caller, asked) = match (admitted, asked) {
        (Ok(credential), Ok(asked)) => {
            (Caller { credential, environment: Arc::new(call.environment), way: call.way }, asked)
        }
        (Err(refusal), _) | (_, Err(refusal)) => {
            room.stats.denied(refusal.code);
            // A line, as every answer to a run is: who waits for one takes anything else for a broken connection.
            return in_lines(Body::from(line(&Answered::Refused(refusal))));
        }
    };
    let (lines, reader) = mpsc::channel::<Result<Bytes, std::convert::Infallible>>(WAITING);
    let cancel = CancellationToken::new();
    room.calls.lock().insert(call.call.clone(), cancel.clone());
    let progress = call.progress.then(|| pieces(lines.clone()));
    tokio::spawn(async move {
        let (running, begun) = (room.stats.run(), Instant::now());
        let signs = tokio::spawn(signs_of_life(lines.clone(), cancel.clone()));
        let done = room.broker.call(&caller, asked, Meanwhile { progress, cancel }).await;
        signs.abort();
        room.calls.lock().remove(&call.call);
        drop(running);
        if let Ok(Answer { body: Reply::Ran(ran), .. }) = &done {
            room.stats.took_beside(begun.elapsed().saturating_sub(Duration::from_millis(ran.duration_ms)));
        }
        let reply = room.reply(done);
        // A client that is gone has no use for it; the outcome is on record.
        let _ = lines.send(Ok(line(&reply))).await;
    });
    in_lines(Body::from_stream(ReceiverStream::new(reader)))
}

fn in_lines(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    response
}

/// Passes pieces on as lines. A reader that is too slow for them misses some, never the result.
fn pieces(lines: mpsc::Sender<Result<Bytes, std::convert::Infallible>>) -> mpsc::Sender<Piece> {
    let (send, mut receive) = mpsc::channel::<Piece>(WAITING);
    tokio::spawn(async move {
        while let Some(piece) = receive.recv().await {
            let reply = Answered::Piece { fd: piece.fd, text: piece.text.into_inner() };
            if lines.send(Ok(line(&reply))).await.is_err() {
                return;
            }
        }
    });
    send
}

/// Ends a run whose caller is gone.
async fn signs_of_life(
    lines: mpsc::Sender<Result<Bytes, std::convert::Infallible>>,
    cancel: CancellationToken,
) {
    loop {
        tokio::select! {
            () = lines.closed() => return cancel.cancel(),
            () = tokio::time::sleep(SIGN_OF_LIFE) => {
                // Where the queue is full, there is life enough.
                let _ = lines.try_send(Ok(Bytes::from_static(b"\n")));
            }
        }
    }
}

async fn cancel(State(room): State<Arc<ServerState>>, body: Bytes) -> Response {
    let Some(Cancel { call }) = parse(&body) else { return plain(StatusCode::BAD_REQUEST) };
    if let Some(cancel) = room.calls.lock().get(&call) {
        cancel.cancel();
    }
    json(&())
}

async fn retire(
    State(room): State<Arc<ServerState>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !room.proven(&peer, &headers, "/v1/retire", &body) {
        return plain(StatusCode::FORBIDDEN);
    }
    room.retire.cancel();
    json(&())
}

/// Locking needs no proof: whoever may reach the socket could as well kill the process.
async fn lock(State(room): State<Arc<ServerState>>) -> Response {
    if matches!(room.admits, AuthMode::Tree { .. }) {
        return plain(StatusCode::NOT_FOUND);
    }
    room.lock.cancel();
    json(&())
}

impl ServerState {
    /// One call that runs nothing.
    async fn answer<T: Serialize>(
        self: &Arc<Self>,
        peer: &Peer,
        headers: &HeaderMap,
        path: &str,
        body: &Bytes,
        ask: impl AsyncFnOnce(&Arc<Self>, Caller, serde_json::Value) -> Result<Answer<T>, Refused>,
    ) -> Response {
        let Some(call) = parse::<Posted>(body) else { return plain(StatusCode::BAD_REQUEST) };
        let begun = Instant::now();
        self.stats.called();
        let done = match self.admit(peer, headers, path, body, (call.credential, call.session)).await {
            Ok(credential) => {
                let caller = Caller { credential, environment: Arc::new(call.environment), way: call.way };
                ask(self, caller, call.params).await
            }
            Err(refusal) => Err(refused(refusal)),
        };
        self.stats.took(begun.elapsed());
        json(&self.reply(done))
    }

    /// Masks an answer: from here on nobody knows what to mask.
    fn reply<T: Serialize>(&self, done: Result<Answer<T>, Refused>) -> Answered {
        match done {
            Ok(answer) => {
                let body = serde_json::to_value(&answer.body).expect("answers have string keys only");
                // A run's is masked, and in its ledger.
                Answered::Answer(answer.needles.mask_json(body, &mut MaskLedger::of_no_run()).into_inner())
            }
            Err(refused) => {
                self.stats.denied(refused.body.code);
                let body = serde_json::to_value(&refused.body).expect("refusals have string keys only");
                let masked = refused.needles.mask_json(body, &mut MaskLedger::of_no_run()).into_inner();
                Answered::Refused(serde_json::from_value(masked).unwrap_or_else(|_| unreadable()))
            }
        }
    }

    /// The credential that a caller may show, if it is one of this vault's.
    async fn admit(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        path: &str,
        body: &Bytes,
        shown: (WireCredential, Option<GrantId>),
    ) -> Result<Credential, Refusal> {
        let credential = self.shown(peer, headers, path, body, shown)?;
        self.broker.known_caller(&credential).await.map_err(|refused| refused.body)?;
        self.stats.used();
        Ok(credential)
    }

    fn shown(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        path: &str,
        body: &Bytes,
        (shown, session): (WireCredential, Option<GrantId>),
    ) -> Result<Credential, Refusal> {
        match (&self.admits, shown) {
            (AuthMode::Tree { root, session: own }, WireCredential::Tree { instance })
                if instance == own.instance
                    && peer.process.is_some_and(|process| root.has_in_its_tree(process)) =>
            {
                Ok(Credential::LocalScope(own.clone()))
            }
            (AuthMode::Tree { .. }, _) | (AuthMode::Proven(_), WireCredential::Tree { .. }) => {
                Err(not_of_the_tree())
            }
            (AuthMode::Proven(_), WireCredential::Scope { .. }) if peer.side() == Side::Other => {
                Err(scope_alone())
            }
            (AuthMode::Proven(_), WireCredential::Scope { .. })
                if !self.proven(peer, headers, path, body) =>
            {
                Err(scope_alone())
            }
            (AuthMode::Proven(_), shown) => Ok(shown.into_credential(session, peer.process)),
        }
    }

    fn proven(&self, peer: &Peer, headers: &HeaderMap, path: &str, body: &Bytes) -> bool {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let (AuthMode::Proven(key), Some(nonce), Some(shown)) =
            (&self.admits, text(NONCE_HEADER), text(PROOF_HEADER))
        else {
            return false;
        };
        let good =
            peer.proven.takes(nonce, &self.nonces) && proof::same(shown, &key.of_client(nonce, path, body));
        if good {
            peer.proven.begin(nonce);
        }
        good
    }
}

fn refused(refusal: Refusal) -> Refused {
    Box::new(Answer { body: refusal, needles: NeedleSet::empty() })
}

/// What is said to whoever names a scope and proves nothing.
pub(super) fn scope_alone() -> Refusal {
    Refusal::new(
        Code::TokenInvalid,
        "--scope alone is not enough for this vault: a caller must show a token",
        "ask the operator to run: authy-mcp config CLIENT --scope SCOPE --write, which issues one",
    )
}

fn not_of_the_tree() -> Refusal {
    Refusal::new(
        Code::TokenInvalid,
        "this credential is good only in the process tree of the run that it was made for",
        "start the agent again with: authy-mcp run --scope SCOPE -- AGENT",
    )
}

fn bad_params() -> Refusal {
    Refusal::new(Code::BadArgument, "the arguments can't be read", "call list_allowed and copy an example")
}

/// A refusal whose own words were a secret's value.
pub(super) fn unreadable() -> Refusal {
    Refusal::new(
        Code::Busy,
        "the answer holds a secret's value where a number or a fixed word belongs, so it was held back",
        "ask the operator to replace that secret with one that is not a common word",
    )
}
