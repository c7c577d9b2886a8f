//! The request that a host gets: made anew, with the values that the rules put into it.

use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};

use super::{
    body::Body,
    scrub::{ends_here, named_by_connection},
};
use crate::policy::other_request;

/// Headers of the program that no host gets: they shape the message, or ask for what could not be read.
const NOT_SENT: &[&str] = &[
    "host",
    "expect",
    "accept-encoding",
    "grpc-accept-encoding",
    "range",
    "if-range",
    // Azure Storage: it goes before Range there.
    "x-ms-range",
    "trailer",
    "sec-websocket-extensions",
    "content-length",
];

/// A request before it is sent.
pub(super) struct Outgoing {
    pub method: Method,
    pub uri: Uri,
    pub host: String,
    pub headers: HeaderMap,
    pub body: Body,
}

/// The program's headers, as far as a host gets them.
pub(super) fn headers(from: &HeaderMap) -> HeaderMap {
    let connection = named_by_connection(from);
    let trailers = from.get_all(header::TE).iter().any(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    let mut headers = HeaderMap::with_capacity(from.len());
    for (name, value) in from {
        let ends =
            ends_here(name) || connection.contains(name) || other_request::speaks_for_a_proxy(name.as_str());
        if !ends && !NOT_SENT.contains(&name.as_str()) && name != header::COOKIE {
            headers.append(name.clone(), value.clone());
        }
    }
    // HTTP/2 cuts cookies into many lines (RFC 9113, section 8.2.3).
    let cookies: Vec<&[u8]> = from.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Some(cookies) = Some(cookies.join(&b"; "[..])).filter(|cookies| !cookies.is_empty())
        && let Ok(cookies) = HeaderValue::from_bytes(&cookies)
    {
        headers.insert(header::COOKIE, cookies);
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    headers
}

impl Outgoing {
    /// The request as it is sent.
    pub(super) fn into_request(self) -> Request<Body> {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        if let Ok(host) = HeaderValue::from_str(&self.host) {
            request.headers_mut().insert(header::HOST, host);
        }
        request
    }

    /// The same, asking for a WebSocket (RFC 6455, section 4.1).
    pub(super) fn into_upgrade(self) -> Request<Body> {
        let mut request = self.into_request();
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        request.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        request
    }
}

#[cfg(test)]
mod tests {
    use super::{super::scrub::ENDS_HERE, *};
    use crate::policy::Document;

    #[test]
    fn no_policy_puts_a_value_into_a_header_that_no_host_gets() {
        let rule = |name: &str| {
            let rule = "deliver = \"sealed\"\nhosts = [\"api.example.com\"]\ncommands = \"any\"";
            format!(
                "scope = \"s\"\n[[allow]]\nsecrets = [\"a/b\"]\n{rule}\nsubstitute = [\"header:{name}\"]\n"
            )
        };
        for name in NOT_SENT.iter().chain(ENDS_HERE) {
            assert!(Document::parse(&rule(name)).is_err(), "{name}");
        }
        assert!(Document::parse(&rule("x-note")).is_ok());
    }
}
