//! The answer that the program gets: status and headers of its own making, the body read, scrubbed and framed
//! anew.

use std::sync::{Arc, atomic::AtomicU64};

use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use super::{
    body::{Body, Scrubbed, nothing},
    decode::{self, Encoding},
    ledger::Entry,
    refusal::{self, Refusal},
    run::Shared,
    scrub, websocket,
};

/// A request that was made, and what came of it.
pub(super) struct Made {
    pub method: Method,
    pub response: Response<Incoming>,
    /// Bytes of its body, as they go.
    pub sent: Arc<AtomicU64>,
    /// Where it asks for a WebSocket: the program's side of it, and what is replaced on the way.
    pub upgrade: Option<websocket::Asked>,
}

/// Whether an answer is one that can be read to its end, and how its body is encoded.
pub(super) fn check(
    response: &Response<Incoming>,
    method: &Method,
    upgrades: bool,
) -> Result<Vec<Encoding>, Refusal> {
    let headers = response.headers();
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => {
            return if upgrades { Ok(Vec::new()) } else { Err(refusal::ANSWER) };
        }
        status if status.is_informational() => return Err(refusal::ANSWER),
        // No part was asked for: a value cut in two is none that is found.
        StatusCode::PARTIAL_CONTENT => return Err(refusal::ANSWER),
        _ => {}
    }
    let codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if codings.into_iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(refusal::ENCODING);
    }
    if headers.get("grpc-encoding").is_some_and(|coding| coding != "identity") {
        return Err(refusal::ENCODING);
    }
    if method == Method::HEAD || response.body().is_end_stream() {
        return Ok(Vec::new());
    }
    decode::encodings(headers).ok_or(refusal::ENCODING)
}

/// Passes an answer on.
pub(super) fn passed_on(
    run: &Shared,
    made: Made,
    encodings: Vec<Encoding>,
    mut entry: Entry,
) -> Response<Body> {
    let Made { method, response, sent, upgrade } = made;
    entry.record().status = response.status().as_u16();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(upgrade) = upgrade
    {
        return switched(run, response, upgrade, entry);
    }
    let (parts, body) = response.into_parts();
    let length = parts.headers.get(header::CONTENT_LENGTH).cloned();
    let mut headers = scrub::headers(&run.masks, parts.headers, &mut entry);
    headers.remove(header::CONTENT_ENCODING);
    if let Some(length) = length.filter(|_| method == Method::HEAD) {
        headers.insert(header::CONTENT_LENGTH, length);
    }
    let body = decode::identity(run, body.map_err(Into::into).boxed_unsync(), &encodings);
    let body = Scrubbed::new(body, entry, sent, run.masks.clone());
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = parts.status;
    *answer.headers_mut() = headers;
    answer
}

/// A WebSocket: both sides are joined once both have switched.
fn switched(
    run: &Shared,
    mut response: Response<Incoming>,
    upgrade: websocket::Asked,
    mut entry: Entry,
) -> Response<Body> {
    if response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        entry.record().refused = Some(refusal::ENCODING.code);
        entry.record().status = refusal::ENCODING.status.as_u16();
        return refusal::ENCODING.response();
    }
    let upstream = hyper::upgrade::on(&mut response);
    let mut headers = scrub::headers(&run.masks, response.headers().clone(), &mut entry);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    run.spawn(websocket::relay(run.clone(), upgrade, upstream, entry));
    let mut answer = Response::new(nothing());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = headers;
    answer
}
