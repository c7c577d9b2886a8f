//! One request of the program: its form held against the connection, the rule that covers it found,
//! placeholders replaced, and a new request made of it. Nothing of the old one's bytes is passed on.

use std::{collections::BTreeSet, error::Error as _, pin::Pin, sync::Arc};

use http::{HeaderMap, Method, Request, Response, Uri, Version, header};
use hyper::body::Incoming;

use super::{
    authority::HostPort,
    body::Body,
    decode::Encoding,
    dial::DialError,
    ledger::Entry,
    outgoing::{self, Outgoing},
    refusal::{self, Refusal},
    response::{self, Made},
    rules::Asked,
    run::Shared,
    substitute::Places,
    websocket,
};
use crate::policy::Tls;

/// What a connection is for: fixed before its first request.
pub(super) struct Target {
    pub to: HostPort,
    pub tls: Tls,
    pub via: Via,
}

/// How a connection came about, which says what its requests look like.
pub(super) enum Via {
    /// Inside a tunnel: the request names a path.
    Tunnel,
    /// Asked of the proxy: the request names the whole address.
    Proxy,
    /// At an address that stands for one host: the path begins with the run's credential.
    Base { path: String },
}

impl Target {
    /// The host that a base URL stands for.
    pub(super) fn base(run: &Shared, index: usize) -> Self {
        let base = &run.bases[index];
        let to = HostPort { host: base.host.clone(), port: base.port };
        Self { to, tls: base.tls, via: Via::Base { path: base.path.clone() } }
    }

    fn scheme_port(&self) -> u16 {
        match self.tls {
            Tls::Yes => 443,
            Tls::No => 80,
        }
    }

    fn scheme(&self) -> &'static str {
        match self.tls {
            Tls::Yes => "https",
            Tls::No => "http",
        }
    }
}

/// Headers by which some servers take another method or path than the request line's.
const OVERRIDES: &[&str] =
    &["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];

/// An answer under way.
pub(super) type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// Answers a request, whatever it is, and puts it on record.
pub(super) fn handle_request(run: Shared, target: Arc<Target>, request: Request<Incoming>) -> Answering {
    Box::pin(async move {
        let mut entry = Entry::new(&run.ledger, target.to.to_string(), request.method().as_str());
        let made = make(&run, &target, request, &mut entry).await;
        match made {
            Err(refusal) => refused(entry, refusal),
            Ok(made) => match response::check(&made.response, &made.method, made.upgrade.is_some()) {
                Err(refusal) => refused(entry, refusal),
                Ok(encodings) => pass_on(run, made, encodings, entry).await,
            },
        }
    })
}

/// So many bytes of headers are looked through at once without anybody noticing; more are a host's that wants them
/// noticed, and not for the tasks that serve.
const FEW_HEADERS: usize = 16 << 10;

async fn pass_on(run: Shared, made: Made, encodings: Vec<Encoding>, entry: Entry) -> Response<Body> {
    let length: usize = made.response.headers().values().map(http::HeaderValue::len).sum();
    if length <= FEW_HEADERS {
        return response::passed_on(&run, made, encodings, entry);
    }
    let away = move || response::passed_on(&run, made, encodings, entry);
    match tokio::task::spawn_blocking(away).await {
        Ok(answer) => answer,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

fn refused(mut entry: Entry, refusal: Refusal) -> Response<Body> {
    entry.record().status = refusal.status.as_u16();
    entry.record().refused = Some(refusal.code);
    refusal.response()
}

async fn make(
    run: &Shared,
    target: &Target,
    mut request: Request<Incoming>,
    entry: &mut Entry,
) -> Result<Made, Refusal> {
    let path = check(run, target, &request)?;
    entry.record().path = run.shown(&path);
    let query = request.uri().query().map(str::to_owned);
    let upgrade = websocket::asked(&mut request);
    let (parts, body) = request.into_parts();
    let method = parts.method;

    let asked = Asked { to: &target.to, method: method.as_str(), path: &path };
    let fitting = run.rules.for_request(&asked).ok_or(refusal::NOT_COVERED)?;
    check_overrides(run, target, &parts.headers)?;

    let mut used = BTreeSet::new();
    let mut places = Places { rules: &run.rules, fitting: &fitting, to: &target.to, used: &mut used };
    let path = places.in_path(&path)?;
    let query = query.map(|query| places.in_query(&query)).transpose()?;
    let mut headers = outgoing::headers(&parts.headers);
    places.in_headers(&mut headers)?;
    let body = places.in_body(&headers, body).await?;
    let upgrade = upgrade.map(|upgrade| upgrade.with(places.for_websocket()));

    let host = target.to.header(target.scheme_port());
    let uri = uri(target.scheme(), &host, &path, query.as_deref())?;
    let outgoing = Outgoing { method: method.clone(), uri, host, headers, body };
    let (outgoing, sent) = outgoing.with_secrets(run, &fitting, &mut used).await?;
    entry.record().secrets = used.into_iter().collect();

    // As late as it can be: a body may have taken its time.
    if !run.is_allowed().await {
        entry.record().secrets.clear();
        return Err(refusal::ENDED);
    }
    let client = if upgrade.is_some() { &run.sockets } else { &run.client };
    let request = if upgrade.is_some() { outgoing.into_upgrade() } else { outgoing.into_request() };
    let response = client.request(request).await.map_err(|error| {
        if error.is_connect() {
            // Nothing was sent.
            entry.record().secrets.clear();
        }
        unreached(&error)
    })?;
    Ok(Made { method, response, sent, upgrade })
}

/// Holds a request's form against its connection; returns its path.
fn check(run: &Shared, target: &Target, request: &Request<Incoming>) -> Result<String, Refusal> {
    if request.method() == Method::CONNECT {
        return Err(refusal::FORM);
    }
    check_framing(request.headers())?;
    let host = named_host(request, target)?;
    let of_target = host.as_ref().is_none_or(|host| *host == target.to);
    match &target.via {
        Via::Base { .. } => {}
        Via::Tunnel | Via::Proxy if host.is_some() && of_target => {}
        Via::Tunnel | Via::Proxy => return Err(refusal::HOST_DIFFERS),
    }
    let path = request.uri().path();
    if !path.starts_with('/') {
        return Err(refusal::MALFORMED);
    }
    match &target.via {
        Via::Tunnel | Via::Proxy => Ok(path.to_owned()),
        Via::Base { path: base } => {
            let inside = path.strip_prefix('/').and_then(|path| path.strip_prefix(run.credential.as_str()));
            let inside = inside.filter(|inside| inside.is_empty() || inside.starts_with('/'));
            let inside = inside.ok_or(refusal::CREDENTIAL_IN_PATH)?;
            let inside = inside.strip_prefix(base.as_str()).ok_or(refusal::CREDENTIAL_IN_PATH)?;
            Ok(if inside.is_empty() && base.is_empty() { "/".to_owned() } else { format!("{base}{inside}") })
        }
    }
}

/// A message has one length (RFC 9112, section 6.3): what could be read as two is refused, though it would be
/// framed anew.
fn check_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    let codings: Vec<_> = headers.get_all(header::TRANSFER_ENCODING).iter().collect();
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let chunked = match codings.as_slice() {
        [] => false,
        [one] if one.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        _ => return Err(refusal::MALFORMED),
    };
    if lengths > 1 || (chunked && lengths > 0) { Err(refusal::MALFORMED) } else { Ok(()) }
}

/// The host that a request names, in its `Host` header and in its target, which must be the same.
fn named_host(request: &Request<Incoming>, target: &Target) -> Result<Option<HostPort>, Refusal> {
    let parse = |text: &str| HostPort::parse(text, Some(target.scheme_port())).ok_or(refusal::HOST_DIFFERS);
    let in_target = request.uri().authority().map(|authority| parse(authority.as_str())).transpose()?;
    let absolute = in_target.is_some() && request.version() != Version::HTTP_2;
    if absolute && !matches!(target.via, Via::Proxy | Via::Base { .. }) {
        return Err(refusal::FORM);
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let in_header = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => Some(parse(host.to_str().map_err(|_| refusal::HOST_DIFFERS)?)?),
        (Some(_), Some(_)) => return Err(refusal::HOST_DIFFERS),
    };
    match (in_header, in_target) {
        (Some(header), Some(target)) if header != target => Err(refusal::HOST_DIFFERS),
        (header, target) => Ok(header.or(target)),
    }
}

/// Where methods or paths are restricted, no header may name others.
fn check_overrides(run: &Shared, target: &Target, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut held = run.rules.held.iter().filter(|held| held.goes_to(&target.to));
    let restricted = held.any(|held| held.seal.methods.is_some() || held.seal.paths.is_some());
    if restricted && OVERRIDES.iter().any(|name| headers.contains_key(*name)) {
        return Err(refusal::MALFORMED);
    }
    Ok(())
}

fn uri(scheme: &str, host: &str, path: &str, query: Option<&str>) -> Result<Uri, Refusal> {
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let uri = Uri::builder().scheme(scheme).authority(host).path_and_query(target);
    uri.build().map_err(|_| refusal::MALFORMED)
}

/// Why there is no answer, told by what failed and not by what anybody said.
fn unreached(error: &hyper_util::client::legacy::Error) -> Refusal {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(dial) = cause.downcast_ref::<DialError>() {
            return dial_refusal(dial);
        }
        source = cause.source();
    }
    refusal::NO_ANSWER
}

pub(super) fn dial_refusal(error: &DialError) -> Refusal {
    match error {
        DialError::NotNamed => refusal::NOT_REACHED,
        DialError::Inside => refusal::INSIDE,
        DialError::Name => refusal::NO_NAME,
        DialError::Connect => refusal::NO_ANSWER,
        DialError::Certificate => refusal::CERTIFICATE,
    }
}
