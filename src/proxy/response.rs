//! The answer that the program gets: status and headers of its own making, the body scrubbed. One without a value in it
//! passes byte for byte; of one with a value the length stays, or it is refused.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use super::{
    authority::HostPort,
    body::{Ahead, Body, HoldsValue, Read, Scrubbed, nothing},
    care::OnValue,
    coded::{self, Kept},
    decode::{self, Encoding},
    ledger::Entry,
    range::{self, Cut, Part, Unserved, Wanted},
    refusal::{self, Refusal},
    run::Shared,
    scrub, websocket,
};

/// Says of an answer that a value was taken out of it.
const SCRUBBED: &str = "x-authy-mcp-scrubbed";

/// A request that was made, and what came of it.
pub(super) struct Made {
    pub to: HostPort,
    pub method: Method,
    pub response: Response<Incoming>,
    /// Bytes of its body, as they go.
    pub sent: Arc<AtomicU64>,
    /// The part that the program asked for.
    pub wanted: Option<Wanted>,
    /// Where it asks for a WebSocket: the program's side of it, and what is replaced on the way.
    pub upgrade: Option<websocket::Asked>,
}

/// So much is looked at before an answer's head is sent, so that the head can say what was found.
const WITH_THE_HEAD: usize = 16 << 10;
/// How long is waited for it where an answer may be made of events: none waits longer than at a pause.
const OF_EVENTS: Duration = Duration::from_millis(20);
/// How long, where its length is said: then it is there, and on its way.
const OF_A_LENGTH: Duration = Duration::from_secs(1);

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
        StatusCode::PARTIAL_CONTENT if range::is_of_bytes(headers) => return Err(refusal::ANSWER),
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
pub(super) async fn passed_on(
    run: Shared,
    made: Made,
    encodings: Vec<Encoding>,
    mut entry: Entry,
) -> Response<Body> {
    let Made { to, response, sent, wanted, upgrade, .. } = made;
    entry.record().status = response.status().as_u16();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(upgrade) = upgrade
    {
        return switched(&run, response, upgrade, entry);
    }
    let (mut parts, body) = response.into_parts();
    one_length(&mut parts.headers);
    let part = match wanted.map(|wanted| wanted.of(parts.status, &parts.headers)).transpose() {
        Ok(part) => part.flatten(),
        Err(unserved) => return not_served(entry, &unserved),
    };
    let on_value = OnValue::of(&parts.headers);
    let (headers, entry) = scrub::headers_away(&run.masks, parts.headers, entry).await;
    run.cookies.note(&to, &run.rules.names_for(&to), &headers);
    let kept = Kept::default();
    let body = coded::readable(&run, body.map_err(Into::into).boxed_unsync(), &encodings, &kept);
    let body = Scrubbed::new(body, entry, sent, run.masks.clone(), on_value);
    let mut answer = Answer { status: parts.status, headers, body, part };
    let looked = if encodings.is_empty() {
        answer.look_ahead().await
    } else {
        answer.settle_coding(&run, &kept, on_value).await
    };
    match looked {
        Ok(()) => answer.into_response(),
        Err(refusal) => {
            answer.body.entry().refuse(refusal);
            refusal.response()
        }
    }
}

/// An answer before it is sent.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Scrubbed,
    part: Option<Part>,
}

impl Answer {
    async fn look_ahead(&mut self) -> Result<(), Refusal> {
        let has_length = self.headers.contains_key(header::CONTENT_LENGTH);
        let time = if has_length { OF_A_LENGTH } else { OF_EVENTS };
        let read = self.body.look_ahead(Ahead { bytes: WITH_THE_HEAD, a_piece: 0, time }).await;
        read.map(|_| ()).map_err(|HoldsValue| refusal::HOLDS_VALUE)
    }

    /// An answer that is compressed although no compression was asked for passes as it came where nothing is in it, and
    /// else as what it stands for, if that is text.
    async fn settle_coding(&mut self, run: &Shared, kept: &Kept, on_value: OnValue) -> Result<(), Refusal> {
        let room = Arc::clone(&run.whole).acquire_owned().await;
        self.body.takes(room.map_err(|_| refusal::ENDED)?);
        let read = self.body.look_ahead(coded::ahead(on_value, &self.headers)).await;
        let read = read.map_err(|HoldsValue| refusal::HOLDS_VALUE)?;
        if read == Read::ToItsEnd
            && self.body.found() == 0
            && let Some(bytes) = kept.clean(run).await
        {
            self.body.instead(bytes);
            return Ok(());
        }
        kept.let_go();
        // A part of what it stands for is no part of what the program asked for.
        if on_value == OnValue::Refuse || self.part.is_some() {
            return Err(refusal::CODED);
        }
        self.headers.remove(header::CONTENT_ENCODING);
        self.headers.remove(header::CONTENT_LENGTH);
        Ok(())
    }

    fn into_response(mut self) -> Response<Body> {
        if self.body.found() > 0 {
            self.headers.insert(SCRUBBED, HeaderValue::from_static("1"));
            weaken(&mut self.headers);
        }
        let mut status = self.status;
        let body = match self.part {
            None => self.body.boxed_unsync(),
            Some(part) => {
                part.describe(&mut self.headers);
                status = StatusCode::PARTIAL_CONTENT;
                Cut::new(self.body.boxed_unsync(), part).boxed_unsync()
            }
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        *answer.headers_mut() = self.headers;
        answer
    }
}

/// A message has one length (RFC 9112, section 6.3): that of its chunks, where it comes in chunks.
fn one_length(headers: &mut HeaderMap) {
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    if let Some(length) = headers.remove(header::CONTENT_LENGTH).filter(|_| !chunked) {
        headers.insert(header::CONTENT_LENGTH, length);
    }
}

/// A validator of what was changed is a weak one (RFC 9110, section 8.8.1): a part of this is none of another.
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\"")) else { return };
    match HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
        Ok(weak) => headers.insert(header::ETAG, weak),
        Err(_) => headers.remove(header::ETAG),
    };
}

fn not_served(mut entry: Entry, unserved: &Unserved) -> Response<Body> {
    entry.refuse(unserved.refusal);
    let mut response = unserved.refusal.response();
    unserved.describe(response.headers_mut());
    response
}

/// A WebSocket: both sides are joined once both have switched.
fn switched(
    run: &Shared,
    mut response: Response<Incoming>,
    upgrade: websocket::Asked,
    mut entry: Entry,
) -> Response<Body> {
    if response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        entry.refuse(refusal::ENCODING);
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
