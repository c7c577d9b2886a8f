//! The HTTP door: every request is checked here, in this order, and the first no ends it.
//!
//! 1. A bearer token, in one place; whose it is, by its signature alone. A text that is no token of this vault costs
//!    one check of a signature: no file, no lock, no question to the daemon.
//! 2. The session that is named is this token's, whatever state the vault is in.
//! 3. The caller has a connection left.
//! 4. The token is good at this moment, by what the vault last said of it.
//! 5. The body comes within its time and size.
//!
//! What can't be checked is a no: a locked, busy or damaged vault lets nobody in.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::sessions::{Owner, Sessions};
use crate::{
    broker::{
        Answer, Bearer, Caller, Credential, Refused, Service, Way,
        gate::{Bounds, Gates, NO_TAKES, Pass},
        refusal::{Code, Refusal},
    },
    listen::Guest,
    redact::MaskLedger,
};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// The largest body, in bytes.
pub(super) const LARGEST: usize = 4 << 20;
/// How long a body may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// A body that may be larger than this waits in memory among few others.
const LARGE: u64 = 256 << 10;
/// How many large bodies may be on their way.
const LARGE_AT_ONCE: Bounds =
    Bounds { each: 4, all: 32, per_second: 1000, burst: 1000, refused: 1, doubted: 4 };

/// What the door knows.
pub(super) struct Door {
    broker: Arc<dyn Service>,
    sessions: Sessions,
    large: Gates,
    /// How long a body may take to come.
    body_within: Duration,
}

impl Door {
    pub(super) fn new(broker: Arc<dyn Service>, sessions: Sessions) -> Self {
        Self { broker, sessions, large: Gates::new(LARGE_AT_ONCE), body_within: BODY_WITHIN }
    }
}

/// Lets a request in with the credential that it shows, checked at this moment.
pub(super) async fn check(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.admit(request).await {
        Ok((request, owner)) => door.pass(request, owner, next).await,
        Err(no) => {
            if no.status() == StatusCode::TOO_MANY_REQUESTS {
                tokio::time::sleep(NO_TAKES).await;
            }
            *no
        }
    }
}

impl Door {
    async fn admit(&self, mut request: Request) -> Result<(Request, Owner), Box<Response>> {
        let token = bearer(request.headers()).ok_or_else(|| Box::new(unauthorized(None)))?;
        let owner = digest(&token);
        let caller = Caller {
            credential: Credential::Token(Bearer::of_request(token)),
            environment: Arc::default(),
            way: Way::Tool,
        };
        let known = self.broker.know(&caller).await;
        if let Err(no) = &known
            && status(no.body.code) == StatusCode::UNAUTHORIZED
        {
            return Err(Box::new(refused(no)));
        }
        // Where nobody can say whose the token is now, the session is still known to be another's.
        match named_session(request.headers()) {
            Named::None => {}
            Named::One(session) if self.sessions.owns(&session, &owner) => {}
            Named::One(_) | Named::Unclear => return Err(Box::new(no_such_session())),
        }
        let name = known.map_err(|no| Box::new(refused(&no)))?;
        if let Some(guest) = request.extensions_mut().remove::<Guest>()
            && guest.prove(&name).is_err()
        {
            return Err(Box::new(too_many_connections()));
        }
        self.broker.check(&caller).await.map_err(|no| Box::new(refused(&no)))?;
        let mut request = self.with_body(&name, request).await?;
        request.extensions_mut().insert(caller.credential);
        Ok((request, owner))
    }

    /// The request with its body in memory: nothing behind the door waits for a client.
    async fn with_body(&self, caller: &str, request: Request) -> Result<Request, Box<Response>> {
        let _place = self.place_for_body(caller, request.headers())?;
        let (parts, body) = request.into_parts();
        let read = tokio::time::timeout(self.body_within, Limited::new(body, LARGEST).collect());
        let body = match read.await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return Err(Box::new(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 4 MiB")));
            }
            Ok(Err(_)) => return Err(Box::new(plain(StatusCode::BAD_REQUEST, "the body broke off"))),
            Err(_) => {
                let within = self.body_within.as_secs_f64();
                let late = format!("the body did not come within {within} s");
                return Err(Box::new(closing(plain(StatusCode::REQUEST_TIMEOUT, &late))));
            }
        };
        Ok(Request::from_parts(parts, Body::from(body)))
    }

    fn place_for_body(&self, caller: &str, headers: &HeaderMap) -> Result<Option<Pass>, Box<Response>> {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let most = match (length, headers.contains_key(header::TRANSFER_ENCODING)) {
            (Some(length), _) => length,
            (None, true) => u64::MAX,
            (None, false) => 0,
        };
        if most <= LARGE {
            return Ok(None);
        }
        self.large.enter(caller).map(Some).map_err(|no| Box::new(said(&no, json_of(&no))))
    }

    /// A request that was let in. The one that begins a session is seen through to its end, whether or not anybody
    /// waits: a session that nobody counts would be one too many.
    async fn pass(self: Arc<Self>, request: Request, owner: Owner, next: Next) -> Response {
        let named = named_session(request.headers());
        let deleted = *request.method() == Method::DELETE;
        if let (Named::None, &Method::POST) = (&named, request.method()) {
            let (parts, body) = request.into_parts();
            let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let begins = may_begin_a_session(&bytes);
            let request = Request::from_parts(parts, Body::from(bytes));
            if !begins {
                return next.run(request).await;
            }
            let begun = tokio::spawn(async move {
                let response = next.run(request).await;
                if let Named::One(session) = named_session(response.headers()) {
                    self.sessions.begun(session, owner).await;
                }
                response
            });
            return begun
                .await
                .unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "the request failed"));
        }
        let response = next.run(request).await;
        if let (Named::One(session), true, true) = (named, deleted, response.status().is_success()) {
            self.sessions.ended(&session);
        }
        response
    }
}

/// Whether a message may begin a session: one that is clearly something else does not. Who reads it behind the door
/// may take of a doubled field the other one.
fn may_begin_a_session(body: &Bytes) -> bool {
    #[derive(Deserialize)]
    struct Message {
        method: String,
    }
    serde_json::from_slice::<Message>(body).map_or(true, |message| message.method == "initialize")
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
fn digest(token: &SecretString) -> Owner {
    Sha256::digest(token.expose_secret()).into()
}

/// The session that a message names.
enum Named {
    None,
    One(String),
    /// More than one, or what can't be read: whoever reads it behind the door may read another one.
    Unclear,
}

fn named_session(headers: &HeaderMap) -> Named {
    let mut all = headers.get_all(SESSION).iter();
    match (all.next().map(HeaderValue::to_str), all.next()) {
        (None, _) => Named::None,
        (Some(Ok(id)), None) => Named::One(id.to_owned()),
        _ => Named::Unclear,
    }
}

/// What each refusal is over HTTP. There is no other arm: whatever is refused is no success.
fn status(code: Code) -> StatusCode {
    match code {
        Code::TokenExpired | Code::TokenInvalid => StatusCode::UNAUTHORIZED,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::VaultLocked
        | Code::Busy
        | Code::Damaged
        | Code::AuditUnavailable
        | Code::SandboxUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::NotAvailable
        | Code::CommandNotAllowed
        | Code::SecretsRequired
        | Code::SecretInArgv
        | Code::EnvNotAllowed
        | Code::CwdNotAllowed
        | Code::StdinNotAllowed
        | Code::ProgramNotFound
        | Code::ProgramChanged
        | Code::ApprovalRequired
        | Code::DeniedByPerson
        | Code::BadArgument => StatusCode::FORBIDDEN,
    }
}

/// When to come again, in seconds, where that is what helps.
fn retry_after(code: Code) -> Option<&'static str> {
    match code {
        Code::Busy | Code::RateLimited => Some("1"),
        _ if status(code) == StatusCode::SERVICE_UNAVAILABLE => Some("10"),
        _ => None,
    }
}

fn refused(no: &Refused) -> Response {
    let Answer { body, needles } = &**no;
    if status(body.code) == StatusCode::UNAUTHORIZED {
        return unauthorized(Some(body.code));
    }
    said(body, needles.mask_json(json_of(body), &mut MaskLedger::of_no_run()).into_inner())
}

fn json_of(refusal: &Refusal) -> Value {
    serde_json::to_value(refusal).expect("refusals have string keys only")
}

fn said(refusal: &Refusal, body: Value) -> Response {
    let mut response = plain(status(refusal.code), &body.to_string());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after(refusal.code) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    response
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

fn too_many_connections() -> Response {
    let refusal = Refusal::new(
        Code::RateLimited,
        "too many connections are open with this token",
        "close some of them, or send several requests on one",
    );
    closing(said(&refusal, json_of(&refusal)))
}

fn no_such_session() -> Response {
    plain(StatusCode::NOT_FOUND, "no such session")
}

fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use parking_lot::Mutex;

    use axum::{Router, middleware, routing::any};
    use tokio::io::AsyncWriteExt;
    use tower_service::Service as _;

    use super::*;
    use crate::{
        broker::{Call, Meanwhile, Pending, Reply},
        redact::NeedleSet,
    };

    /// A broker that says at one of its two doors what it is told to, and counts the calls that come through.
    struct Saying {
        know: Option<Code>,
        check: Mutex<Option<Code>>,
    }

    fn saying(code: Option<Code>) -> Result<(), Refused> {
        match code {
            None => Ok(()),
            Some(code) => Err(Box::new(Answer {
                body: Refusal::new(code, "what is wrong", "what to do"),
                needles: NeedleSet::empty(),
            })),
        }
    }

    impl Service for Saying {
        fn know<'a>(&'a self, _: &'a Caller) -> Pending<'a, Result<String, Refused>> {
            Box::pin(async { saying(self.know).map(|()| "caller".to_owned()) })
        }

        fn check<'a>(&'a self, _: &'a Caller) -> Pending<'a, Result<(), Refused>> {
            Box::pin(async { saying(*self.check.lock()) })
        }

        fn call<'a>(
            &'a self,
            _: &'a Caller,
            _: Call,
            _: Meanwhile,
        ) -> Pending<'a, Result<Answer<Reply>, Refused>> {
            unreachable!("the door is before it")
        }

        fn needles_for_anyone(&self) -> NeedleSet {
            NeedleSet::empty()
        }

        fn close(&self) -> Pending<'_, ()> {
            Box::pin(async {})
        }
    }

    /// A door before a service that begins a session with every POST that names none, and counts what reaches it.
    struct Scene {
        broker: Arc<Saying>,
        app: Router,
        reached: Arc<Mutex<Vec<Method>>>,
    }

    impl Scene {
        fn new(know: Option<Code>, check: Option<Code>) -> Self {
            Self::with_body_within(BODY_WITHIN, know, check)
        }

        fn with_body_within(body_within: Duration, know: Option<Code>, check: Option<Code>) -> Self {
            let broker = Arc::new(Saying { know, check: Mutex::new(check) });
            let service = Arc::clone(&broker) as Arc<dyn Service>;
            let door = Door { body_within, ..Door::new(service, Sessions::of(Arc::default())) };
            let reached = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&reached);
            let behind = any(move |request: Request| async move {
                seen.lock().push(request.method().clone());
                let mut response = Response::new(Body::empty());
                if *request.method() == Method::POST && !request.headers().contains_key(SESSION) {
                    response.headers_mut().insert(SESSION, HeaderValue::from_static("the-session"));
                }
                response
            });
            let app = Router::new()
                .route("/mcp", behind)
                .layer(middleware::from_fn_with_state(Arc::new(door), super::check));
            Self { broker, app, reached }
        }

        async fn ask(&self, method: Method, token: &str, session: &[&str]) -> Response {
            let mut request = Request::builder().method(method).uri("/mcp");
            if !token.is_empty() {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            for id in session {
                request = request.header(SESSION, *id);
            }
            let body = Body::from(r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#);
            self.app.clone().call(request.body(body).unwrap()).await.unwrap()
        }

        fn reached(&self) -> usize {
            self.reached.lock().len()
        }
    }

    /// Every code that there is, also those that are added later: from the schema that clients are given.
    fn codes() -> Vec<Code> {
        let schema = schemars::schema_for!(Code).to_value();
        let words = schema["oneOf"].as_array().expect("one entry a code").iter();
        words.map(|word| serde_json::from_value(word["const"].clone()).unwrap()).collect()
    }

    const METHODS: [Method; 3] = [Method::POST, Method::GET, Method::DELETE];

    #[tokio::test]
    async fn no_code_is_a_success_and_none_lets_a_request_in() {
        assert!(codes().len() >= 19 && codes().contains(&Code::Busy));
        for code in codes() {
            for scene in [Scene::new(Some(code), None), Scene::new(None, Some(code))] {
                for method in METHODS {
                    let response = scene.ask(method, "a", &[]).await;
                    let status = response.status();
                    assert!(status.is_client_error() || status.is_server_error(), "{code:?}: {status}");
                    let retry = response.headers().contains_key(header::RETRY_AFTER);
                    let later = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS];
                    assert_eq!(retry, later.contains(&status), "{code:?}");
                    let challenge = response.headers().contains_key(header::WWW_AUTHENTICATE);
                    assert_eq!(challenge, status == StatusCode::UNAUTHORIZED, "{code:?}");
                }
                assert_eq!(scene.reached(), 0, "{code:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_each_code_is() {
        for (code, expected) in [
            (Code::VaultLocked, 503),
            (Code::Busy, 503),
            (Code::Damaged, 503),
            (Code::AuditUnavailable, 503),
            (Code::RateLimited, 429),
            (Code::TokenExpired, 401),
            (Code::TokenInvalid, 401),
            (Code::NotAvailable, 403),
        ] {
            let response = Scene::new(None, Some(code)).ask(Method::POST, "a", &[]).await;
            assert_eq!(response.status(), expected, "{code:?}");
        }
    }

    #[tokio::test]
    async fn another_tokens_session_is_nothing_to_it_whatever_state_the_vault_is_in() {
        let scene = Scene::new(None, None);
        assert_eq!(scene.ask(Method::POST, "a", &[]).await.headers()[SESSION], "the-session");
        for code in [None, Some(Code::VaultLocked), Some(Code::Busy), Some(Code::Damaged)] {
            *scene.broker.check.lock() = code;
            let before = scene.reached();
            for method in METHODS {
                for (token, session) in [
                    ("b", &["the-session"][..]),
                    ("a", &["another"]),
                    ("a", &["the-session", "another"]),
                    ("a", &["the-session", "the-session"]),
                ] {
                    let response = scene.ask(method.clone(), token, session).await;
                    assert_eq!(
                        response.status(),
                        StatusCode::NOT_FOUND,
                        "{code:?} {method} {token} {session:?}"
                    );
                }
            }
            assert_eq!(scene.reached(), before, "{code:?}");
        }
        *scene.broker.check.lock() = None;
        for (method, expected) in [
            (Method::GET, StatusCode::OK),
            (Method::DELETE, StatusCode::OK),
            (Method::GET, StatusCode::NOT_FOUND),
        ] {
            assert_eq!(scene.ask(method, "a", &["the-session"]).await.status(), expected);
        }
    }

    #[tokio::test]
    async fn a_session_is_another_tokens_also_where_no_signature_can_be_checked() {
        let scene = Scene::new(Some(Code::VaultLocked), None);
        let found = [scene.ask(Method::POST, "b", &["s"]).await, scene.ask(Method::POST, "b", &[]).await];
        assert_eq!(
            found.map(|response| response.status()),
            [404, 503].map(|code| StatusCode::from_u16(code).unwrap())
        );
    }

    #[tokio::test]
    async fn a_token_stands_in_one_place() {
        let scene = Scene::new(None, None);
        assert_eq!(scene.ask(Method::POST, "", &[]).await.status(), StatusCode::UNAUTHORIZED);
        let two = Request::post("/mcp?access_token=a")
            .header(header::AUTHORIZATION, "Bearer a")
            .header(header::AUTHORIZATION, "Bearer b");
        let response = scene.app.clone().call(two.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!((response.status(), scene.reached()), (StatusCode::UNAUTHORIZED, 0));
    }

    /// A body of which one byte comes, and then no more.
    fn halting() -> Body {
        let (stream, mut client) = tokio::io::duplex(16);
        tokio::spawn(async move {
            let _ = client.write_all(b"{").await;
            std::future::pending::<()>().await;
        });
        Body::from_stream(tokio_util::io::ReaderStream::new(stream))
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_in_time_ends_its_request_and_its_connection() {
        let post =
            |body: Body| Request::post("/mcp").header(header::AUTHORIZATION, "Bearer a").body(body).unwrap();
        let limit = Duration::from_millis(50);
        let scene = Scene::with_body_within(limit, None, None);
        let begun = Instant::now();
        let asked = scene.app.clone().call(post(halting()));
        let late = tokio::time::timeout(Duration::from_secs(10), asked).await.expect("an answer in time");
        let late = late.unwrap();
        assert!(begun.elapsed() >= limit, "{:?}", begun.elapsed());
        assert_eq!((late.status(), scene.reached()), (StatusCode::REQUEST_TIMEOUT, 0));
        assert_eq!(late.headers()[header::CONNECTION], "close");
        let said = late.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(said, "the body did not come within 0.05 s");
        let whole = scene.app.clone().call(post(Body::from("{}"))).await.unwrap();
        assert_eq!((whole.status(), scene.reached()), (StatusCode::OK, 1));
        // What a server has.
        let door = Door::new(scene.broker, Sessions::of(Arc::default()));
        assert_eq!(door.body_within, Duration::from_secs(30));
    }

    #[test]
    fn what_may_begin_a_session() {
        for (body, may) in [
            (r#"{"method":"initialize"}"#, true),
            (r#"{"method":"initi\u0061lize"}"#, true),
            (r#"{"method":"ping","method":"initialize"}"#, true),
            ("[]", true),
            (r#"{"method":"tools/call"}"#, false),
        ] {
            assert_eq!(may_begin_a_session(&Bytes::from(body)), may, "{body}");
        }
    }
}
