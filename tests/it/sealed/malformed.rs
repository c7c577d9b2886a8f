//! Every wrong way of asking: each is refused or harmless, none brings a value back, and the host gets no
//! request that was not looked at.

use super::{bearer, host::Host};

/// What comes of a wrong way.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Comes {
    /// The proxy refuses it, or closes the connection; the host hears nothing of it.
    Nothing,
    /// One request, made anew, and no second.
    One,
}

/// Sent to the proxy itself. `AUTH` is the credential's line, `HOST` the host that a secret goes to.
const TO_THE_PROXY: &[(&str, &str)] = &[
    ("no credential", "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    (
        "a wrong credential",
        "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\nProxy-Authorization: Basic cnVuOng=\r\n\r\n",
    ),
    (
        "two credentials",
        "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\nAUTHProxy-Authorization: Basic cnVuOng=\r\n\r\n",
    ),
    (
        "another scheme of credential",
        "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\nProxy-Authorization: Bearer x\r\n\r\n",
    ),
    ("the wrong host", "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("an address", "CONNECT 127.0.0.1:PORT HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("an address as one number", "CONNECT 2130706433:PORT HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("an address in hex", "CONNECT 0x7f000001:PORT HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("a short address", "CONNECT 127.1:PORT HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("an IPv6 address", "CONNECT [::1]:PORT HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("a mapped address", "CONNECT [::ffff:127.0.0.1]:PORT HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("metadata", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("another port", "CONNECT localhost:1 HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("no port", "CONNECT localhost HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("a user in the target", "CONNECT user@HOST HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("a path in the target", "CONNECT HOST/x HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("a whole address in the target", "CONNECT https://HOST/ HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("a NUL in the target", "CONNECT localhost\0.example:443 HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("a CONNECT with a body", "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\nAUTHContent-Length: 5\r\n\r\nhello"),
    (
        "a CONNECT in chunks",
        "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\nAUTHTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("https without a tunnel", "GET https://HOST/ HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("a path without a host", "GET / HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("plain http elsewhere", "GET http://elsewhere.example/ HTTP/1.1\r\nHost: elsewhere.example\r\nAUTH\r\n"),
    ("another scheme", "GET ftp://HOST/ HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n"),
    ("no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03"),
    ("SOCKS", "\x05\x01\x00"),
    ("HTTP/0.9", "GET /\r\n"),
    ("HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("HTTP/3.0", "CONNECT HOST HTTP/3.0\r\nHost: HOST\r\nAUTH\r\n"),
];

/// Sent inside of the tunnel to the host. `KEY` is the secret's placeholder.
const INSIDE: &[(&str, Comes, &str)] = &[
    ("another Host", Comes::Nothing, "GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n"),
    ("another port in Host", Comes::Nothing, "GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n"),
    ("two Hosts", Comes::Nothing, "GET / HTTP/1.1\r\nHost: HOST\r\nHost: elsewhere.example\r\n\r\n"),
    ("the same Host twice", Comes::Nothing, "GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n"),
    ("no Host", Comes::Nothing, "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n"),
    ("a Host with a user", Comes::Nothing, "GET / HTTP/1.1\r\nHost: x@HOST\r\n\r\n"),
    (
        "an absolute address of another",
        Comes::Nothing,
        "GET https://elsewhere.example/ HTTP/1.1\r\nHost: HOST\r\n\r\n",
    ),
    ("an absolute address of the host", Comes::Nothing, "GET https://HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("CONNECT inside", Comes::Nothing, "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("an asterisk", Comes::Nothing, "OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    (
        "two lengths",
        Comes::Nothing,
        "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    ),
    (
        "a length and chunks",
        Comes::One,
        "POST /1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ),
    (
        "chunks and a length",
        Comes::One,
        "POST /1 HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 40\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ),
    (
        "two codings",
        Comes::Nothing,
        "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a coding that isn't one",
        Comes::Nothing,
        "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "codings on two lines",
        Comes::Nothing,
        "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a coding before a colon's space",
        Comes::Nothing,
        "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ),
    ("a negative length", Comes::Nothing, "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n"),
    (
        "a length with a sign",
        Comes::Nothing,
        "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: +5\r\n\r\nhello",
    ),
    (
        "a chunk size that overflows",
        Comes::Nothing,
        "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ),
    (
        "a folded header",
        Comes::Nothing,
        "GET / HTTP/1.1\r\nHost: HOST\r\nX-A: 1\r\n Host: elsewhere.example\r\n\r\n",
    ),
    ("a bare CR", Comes::Nothing, "GET / HTTP/1.1\r\nHost: HOST\r\nX-A: 1\rX-B: 2\r\n\r\n"),
    ("a NUL in a header", Comes::Nothing, "GET / HTTP/1.1\r\nHost: HOST\r\nX-A: \0\r\n\r\n"),
    ("a header without a name", Comes::Nothing, "GET / HTTP/1.1\r\nHost: HOST\r\n: x\r\n\r\n"),
    ("a placeholder in the query", Comes::Nothing, "GET /?key=KEY HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("a placeholder in the path", Comes::Nothing, "GET /KEY HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("a placeholder as a header's name", Comes::Nothing, "GET / HTTP/1.1\r\nHost: HOST\r\nKEY: x\r\n\r\n"),
    (
        "a placeholder in Connection",
        Comes::One,
        "GET /1 HTTP/1.1\r\nHost: HOST\r\nConnection: close, KEY\r\n\r\n",
    ),
    (
        "the injected header named in Connection",
        Comes::One,
        "GET /1 HTTP/1.1\r\nHost: HOST\r\nConnection: close, authorization\r\n\r\n",
    ),
    (
        "a trailer with the placeholder",
        Comes::One,
        "POST /1 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n1\r\nx\r\n0\r\nX-T: KEY\r\n\r\n",
    ),
    (
        "a trailer that is a Host",
        Comes::One,
        "POST /1 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: elsewhere.example\r\n\r\n",
    ),
    (
        "a range of something else",
        Comes::One,
        "GET /1 HTTP/1.1\r\nHost: HOST\r\nRange: items=0-3\r\nConnection: close\r\n\r\n",
    ),
    (
        "a name that is read as another",
        Comes::Nothing,
        "GET /1 HTTP/1.1\r\nHost: HOST\r\nX_Api_Key: x\r\nConnection: close\r\n\r\n",
    ),
    (
        "another method in a header",
        Comes::Nothing,
        "POST /1 HTTP/1.1\r\nHost: HOST\r\nX-HTTP-Method-Override: DELETE\r\nConnection: close\r\n\r\n",
    ),
    (
        "another path in a header",
        Comes::Nothing,
        "GET /1 HTTP/1.1\r\nHost: HOST\r\nX-Original-URI: /admin\r\nConnection: close\r\n\r\n",
    ),
    (
        "what only a proxy knows",
        Comes::One,
        "GET /1 HTTP/1.1\r\nHost: HOST\r\nX-Forwarded-Host: elsewhere.example\r\nX-Forwarded-Uri: /admin\r\nForwarded: for=10.0.0.1\r\n\
         X-Real-IP: 10.0.0.1\r\nVia: 1.1 x\r\nX-Envoy-Original-Path: /admin\r\nConnection: close\r\n\r\n",
    ),
    (
        "an encoding asked for",
        Comes::One,
        "GET /1 HTTP/1.1\r\nHost: HOST\r\nAccept-Encoding: gzip, xz;q=9\r\nConnection: close\r\n\r\n",
    ),
    (
        "HTTP/2 asked for",
        Comes::One,
        "GET /1 HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    ),
    (
        "an authorization of its own",
        Comes::Nothing,
        "GET /1 HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer x\r\nAuthorization: Bearer y\r\nConnection: close\r\n\r\n",
    ),
    (
        "Expect",
        Comes::One,
        "POST /1 HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
    ),
    ("HTTP/1.0", Comes::One, "GET /1 HTTP/1.0\r\nHost: HOST\r\n\r\n"),
    ("a method of its own", Comes::One, "BREW /1 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"),
    (
        "a WebSocket without a key",
        Comes::One,
        "GET /1 HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
    ),
];

#[tokio::test]
async fn the_proxy_is_asked_in_every_wrong_way() {
    let host = Host::start().await;
    let program = bearer(&host);
    let fill = |text: &str| {
        let port = host.address.port().to_string();
        text.replace("AUTH", &program.authorization()).replace("HOST", &host.name()).replace("PORT", &port)
    };
    for (way, text) in TO_THE_PROXY {
        let got = program.raw(fill(text).as_bytes()).await;
        assert!(!got.starts_with("HTTP/1.1 2"), "{way}: {got}");
    }
    let huge = format!("CONNECT {} HTTP/1.1\r\nX-Huge: {}\r\n\r\n", host.name(), "x".repeat(1 << 20));
    assert!(!program.raw(huge.as_bytes()).await.starts_with("HTTP/1.1 2"), "a huge header");
    let many = format!("CONNECT {} HTTP/1.1\r\n{}\r\n", host.name(), "X-A: b\r\n".repeat(5_000));
    assert!(!program.raw(many.as_bytes()).await.starts_with("HTTP/1.1 2"), "many headers");
    for name in ["elsewhere.example", "example.localhost", "127.0.0.1"] {
        let stream = program.tls(&host.name(), name, &[b"http/1.1"]).await;
        assert!(stream.is_err(), "the TLS name {name} is not the host's");
    }
    assert!(host.seen().await.is_empty(), "{:?}", host.seen().await);
    program.assert_clean();
}

#[tokio::test]
async fn the_host_is_asked_in_every_wrong_way() {
    let host = Host::start().await;
    let program = bearer(&host);
    let mut known = 0;
    for (way, comes, text) in INSIDE {
        let text = text.replace("HOST", &host.name()).replace("KEY", program.placeholder("openai/key"));
        // A second request that is hidden behind the first would show.
        let got = program.inside(&host.name(), text.as_bytes()).await;
        let seen = host.seen().await.split_off(known);
        known += seen.len();
        match comes {
            Comes::Nothing => {
                assert!(!got.starts_with("HTTP/1.1 2") && seen.is_empty(), "{way}: {got} {seen:?}")
            }
            Comes::One => {
                assert!(seen.len() <= 1, "{way}: {seen:?}");
                let Some(seen) = seen.first() else {
                    assert!(!got.starts_with("HTTP/1.1 2"), "{way}: {got}");
                    continue;
                };
                assert!(got.contains("200 OK"), "{way}: {got}");
                assert_eq!(seen.header("authorization"), format!("Bearer {}", super::KEY), "{way}");
                let lines = seen.headers.get_all("authorization").iter().count();
                assert_eq!((lines, seen.header("accept-encoding").as_str()), (1, "identity"), "{way}");
                for gone in [
                    "upgrade",
                    "http2-settings",
                    "trailer",
                    "x-t",
                    "expect",
                    "proxy-authorization",
                    "forwarded",
                    "via",
                    "x-forwarded-host",
                    "x-forwarded-uri",
                    "x-real-ip",
                    "x-envoy-original-path",
                ] {
                    assert_eq!(seen.header(gone), "", "{way}");
                }
            }
        }
    }
    let smuggled = format!(
        "POST /1 HTTP/1.1\r\nHost: {0}\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n",
        host.name()
    );
    program.inside(&host.name(), smuggled.as_bytes()).await;
    assert!(host.seen().await.iter().all(|seen| !seen.line.contains("/admin")), "a request was smuggled");
    program.assert_clean();
    assert!(TO_THE_PROXY.len() + INSIDE.len() >= 60);
}
