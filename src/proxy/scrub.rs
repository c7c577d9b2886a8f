//! What comes back in headers and trailers: values become their placeholders again, and what speaks about
//! the connection rather than the answer is left out.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{ledger::Entry, masks::Masks};

/// Headers that end at a proxy (RFC 9110, sections 7.6.1 and 11.7), or that lead past it (RFC 7838), and what only this
/// proxy says.
pub(super) const ENDS_HERE: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-authentication-info",
    "te",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "alt-svc",
    "alt-used",
    "x-authy-mcp-refused",
    "x-authy-mcp-scrubbed",
];

/// Whether a header ends at the proxy, in either direction.
pub(super) fn ends_here(name: &HeaderName) -> bool {
    ENDS_HERE.contains(&name.as_str())
}

/// The headers that a `Connection` header names, which end here, too.
pub(super) fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter();
    let words = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    words.filter_map(|word| word.trim().parse().ok()).collect()
}

/// So many bytes of headers are looked through at once without anybody noticing; more are a host's that wants them
/// noticed, and not for the tasks that serve.
const FEW_HEADERS: usize = 16 << 10;

/// The headers of an answer as the program gets them, looked through on a thread that serves nobody where they are many.
pub(super) async fn headers_away(masks: &Masks, from: HeaderMap, mut entry: Entry) -> (HeaderMap, Entry) {
    let length: usize = from.values().map(HeaderValue::len).sum();
    if length <= FEW_HEADERS {
        return (headers(masks, from, &mut entry), entry);
    }
    let masks = masks.clone();
    let away = move || (headers(&masks, from, &mut entry), entry);
    match tokio::task::spawn_blocking(away).await {
        Ok(clean) => clean,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// Headers or trailers as the program gets them.
pub(super) fn headers(masks: &Masks, from: HeaderMap, entry: &mut Entry) -> HeaderMap {
    let connection = named_by_connection(&from);
    let mut clean = HeaderMap::with_capacity(from.len());
    for (name, value) in &from {
        if ends_here(name) || connection.contains(name) || masks.in_name(name.as_str()) {
            continue;
        }
        if let Some(value) = self::value(masks, value, entry) {
            clean.append(name.clone(), value);
        }
    }
    clean
}

/// One value; nothing where what is left of it is no header value.
fn value(masks: &Masks, value: &HeaderValue, entry: &mut Entry) -> Option<HeaderValue> {
    let mut redactor = masks.needles.scrubber();
    let mut out = Vec::with_capacity(value.len());
    redactor.push(value.as_bytes(), &mut out);
    redactor.finish(&mut out);
    let masked = redactor.counts().total();
    if masked == 0 {
        return Some(value.clone());
    }
    entry.record().scrubs += masked;
    HeaderValue::from_bytes(&out).ok()
}
