//! One request of the program: its form held against the connection, the rule that covers it found,
//! placeholders replaced, and a new request made of it. Nothing of the old one's bytes is passed on.

use std::{collections::BTreeSet, error::Error as _, pin::Pin, sync::Arc};

use http::{HeaderMap, Method, Request, Response, Uri, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{
    authority::HostPort,
    body::Body,
    dial::DialError,
    forms,
    guard::Guard,
    ledger::Entry,
    outgoing::{self, Outgoing},
    range,
    refusal::{self, Refusal},
    response::{self, Made},
    rules::Asked,
    run::Shared,
    substitute::Places,
    target::{Target, Via},
    websocket,
};

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
                Ok(encodings) => response::passed_on(run, made, encodings, entry).await,
            },
        }
    })
}

fn refused(mut entry: Entry, refusal: Refusal) -> Response<Body> {
    entry.refuse(refusal);
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
    let guard = Guard::new(run, target);
    guard.check(&parts.headers, query.as_deref())?;
    let wanted = range::wanted(&method, &parts.headers)?;
    let (mut body, seen) = (body.map_err(Into::into).boxed_unsync(), forms::Seen::default());
    if guard.holds_methods() {
        body = forms::watched(&parts.headers, body, &seen)?;
    }

    let mut used = BTreeSet::new();
    let mut places = Places { rules: &run.rules, fitting: &fitting, to: &target.to, used: &mut used };
    let path = places.in_path(&path)?;
    let query = query.map(|query| places.in_query(&query)).transpose()?;
    let mut headers = outgoing::headers(&parts.headers);
    places.in_headers(&mut headers)?;
    let body = places.in_body(&headers, body).await.map_err(|refusal| seen.or(refusal))?;
    let upgrade = upgrade.map(|upgrade| upgrade.with(places.for_websocket()));

    let host = target.to.header(target.scheme_port());
    let uri = uri(target.scheme(), &host, &path, query.as_deref())?;
    let outgoing = Outgoing { method: method.clone(), uri, host, headers, body };
    let filled = outgoing.with_secrets(run, &fitting, &mut used).await;
    let (outgoing, sent) = filled.map_err(|refusal| seen.or(refusal))?;
    entry.record().secrets = used.into_iter().collect();
    let asks = if upgrade.is_some() { Asks::Socket } else { Asks::Answer };
    let response = send(run, outgoing, asks, entry).await.map_err(|refusal| seen.or(refusal))?;
    Ok(Made { to: target.to.clone(), method, response, sent, wanted, upgrade })
}

/// What a request asks a host for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Answer,
    Socket,
}

async fn send(
    run: &Shared,
    outgoing: Outgoing,
    asks: Asks,
    entry: &mut Entry,
) -> Result<Response<Incoming>, Refusal> {
    // As late as it can be: a body may have taken its time.
    if !run.is_allowed().await {
        entry.record().secrets.clear();
        return Err(refusal::ENDED);
    }
    let asked = match asks {
        Asks::Socket => run.sockets.request(outgoing.into_upgrade()),
        Asks::Answer => run.client.request(outgoing.into_request()),
    };
    asked.await.map_err(|error| {
        if error.is_connect() {
            // Nothing was sent.
            entry.record().secrets.clear();
        }
        unreached(&error)
    })
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
        DialError::Upstream => refusal::UPSTREAM_PROXY,
        DialError::Certificate => refusal::CERTIFICATE,
    }
}
