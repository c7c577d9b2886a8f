//! Sealed delivery: a host that says everything again, a program that asks in every wrong way, and no byte of
//! a value that reaches it. The proxy alone, on the host's loopback; `sealed/contained.rs` has it in runs.

mod answers;
mod contained;
mod doors;
mod foreign;
mod host;
mod malformed;
mod program;
mod revoked;
mod services;
mod upstream;

use authy_mcp::testing::{
    names::{EnvName, HostPattern},
    policy::{BaseUrl, Inject, PathPattern, SubstitutionSite, Tls},
};
use host::{Host, shown};
use program::{KEY, ODD, Program, assert_clean, seal, sealed, terms};

/// A program with one sealed secret, injected as a bearer.
pub(crate) fn bearer(host: &Host) -> Program {
    Program::start(terms(vec![sealed("openai/key", KEY, seal(&host.name(), Some(Inject::Bearer)))], host))
}

#[tokio::test]
async fn a_value_is_put_in_and_taken_out_again() {
    let host = Host::start().await;
    let at = host.name();
    let program = bearer(&host);
    let answer = program.get(&at, "/v1/models?x=1", "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = host.seen().await;
    assert_eq!(seen[0].header("authorization"), format!("Bearer {KEY}"));
    assert_eq!(seen[0].header("accept-encoding"), "identity");
    assert!(answer.contains(program.placeholder("openai/key")), "{answer}");
    assert!(answer.contains("x-trailer-0") && !answer.contains("alt-svc"), "{answer}");
    program.assert_clean();
    let (records, beyond) = program.running.end().await;
    assert_eq!(beyond, 0);
    assert_eq!(records.len(), 1, "{records:?}");
    let record = &records[0];
    assert_eq!(shown(record), format!("GET {at} /v1/models 200 passed"));
    assert_eq!(record.secrets.len(), 1);
    assert!(record.scrubs > 20 && record.received > 100, "{record:?}");
}

#[tokio::test]
async fn no_way_of_saying_it_again_brings_a_value_back() {
    let host = Host::start().await;
    let at = host.name();
    let header = Inject::Header { name: "x-api-key".to_owned() };
    for (value, inject) in [
        (KEY, Inject::Bearer),
        (ODD, Inject::Bearer),
        (ODD, header.clone()),
        (ODD, Inject::Basic { user: "user".to_owned() }),
    ] {
        let program = Program::start(terms(vec![sealed("a/key", value, seal(&at, Some(inject)))], &host));
        for query in [
            "plain",
            "coding=gzip",
            "coding=br",
            "coding=deflate",
            "coding=zstd",
            "coding=gzip+br",
            "step=1",
            "step=7",
            "step=3&coding=gzip",
            "step=1&coding=zstd",
            "status=500&reason",
            "status=302",
            "status=401",
            "step=40&pause=1",
        ] {
            let answer = program.get(&at, &format!("/{query}?{query}"), "").await;
            assert!(answer.starts_with("HTTP/1.1 "), "{query}: {answer}");
            assert!(answer.contains("\nxml: "), "{query}: the answer did not come whole: {answer}");
        }
        for head in ["HEAD / HTTP/1.1", "OPTIONS / HTTP/1.1", "TRACE / HTTP/1.1", "DELETE / HTTP/1.1"] {
            let head = format!("{head}\r\nHost: {at}\r\nConnection: close\r\n\r\n");
            assert!(program.inside(&at, head.as_bytes()).await.starts_with("HTTP/1.1 200"), "{head}");
        }
        assert_eq!(host.seen().await.len() % 18, 0);
        program.assert_clean();
    }
}

#[tokio::test]
async fn an_encoding_that_cannot_be_read_is_refused() {
    let host = Host::start().await;
    let program = bearer(&host);
    for query in ["coding=compress", "coding=gzip+gzip+gzip+gzip", "status=206"] {
        let answer = program.get(&host.name(), &format!("/?{query}"), "").await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{query}: {answer}");
    }
    program.assert_clean();
}

#[tokio::test]
async fn http2_is_held_to_the_same_stream_by_stream() {
    let host = Host::start().await;
    let at = host.name();
    let mut restricted = seal(&at, Some(Inject::Bearer));
    restricted.methods = Some(["GET".to_owned()].into());
    restricted.paths = Some(vec![PathPattern::parse("/v1/**").unwrap()]);
    let program = Program::start(terms(vec![sealed("openai/key", KEY, restricted)], &host));
    let stream = program.tls(&at, "localhost", &[b"h2"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut send, connection) =
        hyper::client::conn::http2::Builder::new(executor).handshake(io).await.unwrap();
    tokio::spawn(connection);
    for (method, uri, host, status) in [
        ("GET", format!("https://{at}/v1/a?coding=gzip"), None, 200),
        ("GET", format!("https://{at}/v2/a"), None, 403),
        ("POST", format!("https://{at}/v1/a"), None, 403),
        ("GET", "https://other.example/v1/a".to_owned(), None, 400),
        ("GET", format!("https://{at}/v1/a"), Some("other.example"), 400),
        ("GET", format!("https://user@{at}/v1/a"), None, 400),
        ("GET", format!("https://{at}/v1/../v2/a"), None, 403),
        ("GET", format!("https://{at}/v1/%2e%2e/v2"), None, 403),
        ("GET", format!("https://{at}/v1/b"), None, 200),
    ] {
        let mut request = http::Request::builder().method(method).uri(&uri).header("te", "trailers");
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
        let answer = match send.send_request(request).await {
            Ok(answer) => answer,
            // A stream whose pseudo-headers are wrong is reset before anybody looks at it.
            Err(error) => {
                assert_eq!(status, 400, "{method} {uri}: {error}");
                continue;
            }
        };
        assert_eq!(answer.status().as_u16(), status, "{method} {uri} {host:?}");
        let mut got = format!("{:?}", answer.headers()).into_bytes();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
        got.extend_from_slice(format!("{:?}", body.trailers()).as_bytes());
        assert_eq!(body.trailers().is_some(), status == 200, "{method} {uri}");
        got.extend_from_slice(&body.to_bytes());
        program.keep(got);
    }
    assert_eq!(host.seen().await.len(), 2);
    program.assert_clean();
}

#[tokio::test]
async fn each_secret_has_its_own_hosts() {
    let (one, other) = (Host::start().await, Host::start().await);
    let mut both = terms(
        vec![
            sealed("one/key", KEY, seal(&one.name(), None)),
            sealed(
                "other/key",
                ODD,
                seal(&other.name(), Some(Inject::Header { name: "x-api-key".to_owned() })),
            ),
        ],
        &one,
    );
    both.reach.extra_ca = Some(format!("{}{}", one.ca, other.ca));
    let program = Program::start(both);
    let (for_one, for_other) = (program.placeholder("one/key"), program.placeholder("other/key"));
    for (host, placeholder, status) in [
        (&one, for_one, "200"),
        (&other, for_one, "403"),
        (&one, for_other, "403"),
        (&other, for_other, "200"),
    ] {
        let answer = program.get(&host.name(), "/", &format!("X-Token: {placeholder}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    assert_eq!(one.seen().await[0].header("x-token"), KEY);
    assert_eq!(one.seen().await[0].header("x-api-key"), "");
    assert_eq!(other.seen().await[0].header("x-token"), ODD);
    assert_eq!(other.seen().await[0].header("x-api-key"), ODD);
    program.assert_clean();
    let (records, _) = program.running.end().await;
    let refused: Vec<_> = records.iter().filter_map(|record| record.refused).collect();
    assert_eq!(refused, ["placeholder_wrong_host", "placeholder_wrong_host"]);
}

#[tokio::test]
async fn a_placeholder_is_replaced_in_open_places_only_and_as_the_place_needs() {
    let host = Host::start().await;
    let at = host.name();
    let closed = Program::start(terms(vec![sealed("a/key", ODD, seal(&at, None))], &host));
    let placeholder = closed.placeholder("a/key").to_owned();
    assert!(closed.get(&at, &format!("/?key={placeholder}"), "").await.starts_with("HTTP/1.1 403"));
    assert!(closed.get(&at, &format!("/a/{placeholder}/b"), "").await.starts_with("HTTP/1.1 403"));
    let post = |kind: &str, body: &str| {
        let length = body.len();
        let head = format!(
            "POST /post HTTP/1.1\r\nHost: {at}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
        );
        format!("{head}Connection: close\r\n\r\n{body}").into_bytes()
    };
    closed.inside(&at, &post("application/json", &format!("{{\"k\":\"{placeholder}\"}}"))).await;
    assert!(
        String::from_utf8_lossy(&host.seen().await[0].body).contains(&placeholder),
        "the body was not open"
    );

    let mut open = seal(&at, None);
    open.substitute =
        [SubstitutionSite::Header, SubstitutionSite::Query, SubstitutionSite::Path, SubstitutionSite::Body]
            .into();
    let program = Program::start(terms(vec![sealed("a/key", ODD, open)], &host));
    let placeholder = program.placeholder("a/key").to_owned();
    let before = host.seen().await.len();
    let basic =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("u:{placeholder}"));
    program
        .get(
            &at,
            &format!("/a/{placeholder}/b?key={placeholder}&x=1"),
            &format!("Authorization: Basic {basic}\r\n"),
        )
        .await;
    for (kind, body) in [
        ("application/json; charset=utf-8", format!("{{\"k\":\"{placeholder}\"}}")),
        ("application/x-www-form-urlencoded", format!("k={placeholder}&l=1")),
        ("text/plain", format!("k is {placeholder}")),
        ("application/octet-stream", format!("k is {placeholder}")),
    ] {
        assert!(program.inside(&at, &post(kind, &body)).await.starts_with("HTTP/1.1 200"), "{kind}");
    }
    let seen = host.seen().await.split_off(before);
    let percent = "p%40ss%2Bw%2Frd%20%22quoted%22%20%26%20%3Ctagged%3E%20%27once%27%3D50%25";
    assert_eq!(seen[0].line, format!("GET /a/{percent}/b?key={percent}&x=1"));
    let credentials = seen[0].header("authorization");
    let decoded =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &credentials[6..]).unwrap();
    assert_eq!(String::from_utf8(decoded).unwrap(), format!("u:{ODD}"));
    let json: serde_json::Value = serde_json::from_slice(&seen[1].body).unwrap();
    assert_eq!(json["k"], ODD);
    assert_eq!(seen[2].body, format!("k={percent}&l=1").into_bytes());
    assert_eq!(seen[3].body, format!("k is {ODD}").into_bytes());
    assert_eq!(seen[4].body, format!("k is {placeholder}").into_bytes());
    program.assert_clean();
    closed.assert_clean();
    let (records, _) = program.running.end().await;
    assert_eq!(records[0].path, "/a/{{a/key}}/b");
}

#[tokio::test]
async fn websockets_are_scrubbed_across_fragments_and_nothing_is_compressed() {
    let host = Host::start().await;
    let at = host.name();
    let mut open = seal(&at, Some(Inject::Bearer));
    open.substitute = [SubstitutionSite::Websocket].into();
    let program = Program::start(terms(vec![sealed("a/key", KEY, open)], &host));
    let placeholder = program.placeholder("a/key").to_owned();
    let mut bytes = format!(
        "GET /?websocket HTTP/1.1\r\nHost: {at}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    .into_bytes();
    let message = format!("auth {placeholder}");
    bytes.extend_from_slice(&[0x81, 0x80 | message.len() as u8, 1, 2, 3, 4]);
    bytes.extend(message.bytes().enumerate().map(|(i, byte)| byte ^ [1, 2, 3, 4][i % 4]));
    let got = program.inside(&at, &bytes).await;
    assert!(got.starts_with("HTTP/1.1 101"), "{got}");
    assert!(!got.contains("sec-websocket-extensions"), "{got}");
    assert!(got.contains(" said: auth "), "the message did not get through: {got}");
    assert!(got.matches(&placeholder).count() >= 4, "{got}");
    program.assert_clean();
    // The same value, a byte a frame: unframed here, as a program would.
    let frames = got.as_bytes();
    let start = frames.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    assert_clean(&unframed(&frames[start..]));
}

/// The payloads of frames, one behind the other.
fn unframed(mut frames: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let [_, length, rest @ ..] = frames {
        let (length, rest) = match length & 0x7f {
            126 if rest.len() > 2 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            length => (usize::from(length), rest),
        };
        let (payload, later) = rest.split_at(length.min(rest.len()));
        all.extend_from_slice(payload);
        frames = later;
    }
    all
}

#[tokio::test]
async fn events_come_as_they_are_sent() {
    let host = Host::start().await;
    let at = host.name();
    let program = bearer(&host);
    let mut stream = program.tls(&at, "localhost", &[b"http/1.1"]).await.unwrap();
    let head = format!("GET /?step=64&pause=60000 HTTP/1.1\r\nHost: {at}\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    // The second step is an hour away: what there is of the first comes at once, or never.
    while !String::from_utf8_lossy(&got).contains("GET /?step=64&pause=60000") {
        let mut chunk = vec![0; 4096];
        let length = tokio::io::AsyncReadExt::read(&mut stream, &mut chunk).await.unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&got));
        got.extend_from_slice(&chunk[..length]);
    }
}

#[tokio::test]
async fn a_base_url_stands_for_one_host() {
    let host = Host::start().await;
    let at = host.name();
    let mut seal = seal(&at, Some(Inject::Bearer));
    let env = EnvName::parse("OPENAI_BASE_URL").unwrap();
    let base = BaseUrl {
        env,
        host: "localhost".to_owned(),
        port: host.address.port(),
        path: "/v1".to_owned(),
        tls: Tls::Yes,
    };
    seal.base_urls = vec![base];
    let program = Program::start(terms(vec![sealed("openai/key", KEY, seal)], &host));
    let url = program.variable("OPENAI_BASE_URL").to_owned();
    let address = program.bases[0].to_string();
    let path = url.split_once(&address).unwrap().1.to_owned();
    assert!(path.ends_with("/v1"), "{url}");
    let ask = |path: String| {
        let program = &program;
        let address = address.clone();
        async move {
            let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
            let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
            let mut got = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut got).await.unwrap();
            String::from_utf8_lossy(&program.keep(got)).into_owned()
        }
    };
    assert!(ask(format!("{path}/models?x=1")).await.starts_with("HTTP/1.1 200"));
    assert!(ask("/v1/models".to_owned()).await.starts_with("HTTP/1.1 404"), "without the credential");
    assert!(ask(format!("{path}/../../models")).await.starts_with("HTTP/1.1"));
    // The same by the proxy, as clients do that send everything there.
    let whole = format!(
        "GET {url}/models HTTP/1.1\r\nHost: {address}\r\n{}Connection: close\r\n\r\n",
        program.authorization()
    );
    assert!(program.raw(whole.as_bytes()).await.starts_with("HTTP/1.1 200"));
    let seen = host.seen().await;
    assert_eq!(seen[0].line, "GET /v1/models?x=1");
    assert_eq!(seen[0].header("host"), at);
    assert!(
        seen.iter().all(|seen| !seen.line.contains(program.credential.split_once(':').unwrap().1)),
        "{seen:?}"
    );
    program.assert_clean();
}

#[tokio::test]
async fn hosts_without_a_secret_pass_as_a_tunnel_and_others_not_at_all() {
    let (host, plain) = (Host::start().await, Host::start().await);
    let mut reach = terms(vec![sealed("openai/key", KEY, seal(&host.name(), Some(Inject::Bearer)))], &host);
    reach.reach.hosts = vec![HostPattern::parse(&plain.name()).unwrap()];
    let program = Program::start(reach);
    let answer = program.tls(&plain.name(), "localhost", &[b"http/1.1"]).await;
    assert!(
        answer.unwrap_err().contains("invalid peer certificate"),
        "the tunnel ends at the host, whose root is not in the bundle"
    );
    assert!(plain.seen().await.is_empty());
    for other in ["example.com:443", "localhost:1", "127.0.0.1:22", "[::1]:443", "169.254.169.254:80"] {
        let refused = program.connect(other).await.unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 40"), "{other}: {refused}");
    }
    let by_address = format!("127.0.0.1:{}", host.address.port());
    assert!(
        program.connect(&by_address).await.unwrap_err().starts_with("HTTP/1.1 403"),
        "named by name only"
    );
}

#[tokio::test]
async fn a_host_whose_certificate_does_not_hold_gets_nothing() {
    let host = Host::start().await;
    let mut nobody = terms(vec![sealed("openai/key", KEY, seal(&host.name(), Some(Inject::Bearer)))], &host);
    nobody.reach.extra_ca = None;
    let program = Program::start(nobody);
    let answer = program.get(&host.name(), "/", "").await;
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("upstream_certificate"), "{answer}");
    assert!(host.seen().await.is_empty());
    let (records, _) = program.running.end().await;
    assert!(records[0].secrets.is_empty(), "{records:?}");
}

#[tokio::test]
async fn plain_http_is_for_a_named_loopback_host_only() {
    let host = Host::start_plain().await;
    let at = host.name();
    let program = bearer(&host);
    let ask = |to: &str| {
        format!(
            "GET http://{to}/ HTTP/1.1\r\nHost: {to}\r\n{}Connection: close\r\n\r\n",
            program.authorization()
        )
    };
    assert!(program.raw(ask(&at).as_bytes()).await.starts_with("HTTP/1.1 200"));
    assert_eq!(host.seen().await[0].header("authorization"), format!("Bearer {KEY}"));
    assert_eq!(host.seen().await[0].header("proxy-authorization"), "");
    for other in ["example.com", "example.com:443", "localhost:1"] {
        assert!(program.raw(ask(other).as_bytes()).await.starts_with("HTTP/1.1 403"), "{other}");
    }
    program.assert_clean();
}

#[tokio::test]
async fn a_value_that_could_not_be_found_again_is_not_sealed() {
    let host = Host::start().await;
    let short = terms(vec![sealed("a/key", "short", seal(&host.name(), Some(Inject::Bearer)))], &host);
    assert!(authy_mcp::testing::proxy::Egress::new(short).unwrap_err().to_string().contains("too short"));
}

#[tokio::test]
async fn when_the_run_has_ended_nobody_answers() {
    let host = Host::start().await;
    let program = bearer(&host);
    let mut kept = program.tls(&host.name(), "localhost", &[b"http/1.1"]).await.unwrap();
    let address = program.proxy;
    program.running.end().await;
    let head = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", host.name());
    let _ = tokio::io::AsyncWriteExt::write_all(&mut kept, head.as_bytes()).await;
    let mut got = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut kept, &mut got).await;
    assert!(got.is_empty(), "{}", String::from_utf8_lossy(&got));
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert!(host.seen().await.is_empty());
}

#[tokio::test]
async fn aws_requests_are_signed_anew() {
    let host = Host::start().await;
    let at = host.name();
    let name = |name: &str| authy_mcp::testing::names::SecretName::parse(name).unwrap();
    let keys = authy_mcp::testing::policy::SigV4 {
        access_key: name("aws/id"),
        secret_key: name("aws/key"),
        session_token: None,
        region: None,
        service: None,
    };
    let signs = || seal(&at, Some(Inject::AwsSigV4(keys.clone())));
    let (id, key) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let program =
        Program::start(terms(vec![sealed("aws/id", id, signs()), sealed("aws/key", key, signs())], &host));
    let own = program.placeholder("aws/id").to_owned();
    let scope = "20260101/eu-west-1/s3/aws4_request";
    let signed = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={own}/{scope}, SignedHeaders=host, Signature=00\r\nX-Amz-Date: 20260101T000000Z\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n"
    );
    let answer = program.get(&at, "/bucket/key", &signed).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = host.seen().await[0].clone();
    let authorization = seen.header("authorization");
    assert!(
        authorization.contains(&format!("Credential={id}/"))
            && authorization.contains("/eu-west-1/s3/aws4_request"),
        "{authorization}"
    );
    assert!(!seen.header("x-amz-date").starts_with("20260101T"), "{seen:?}");
    for (path, headers) in [
        ("/", String::new()),
        ("/?X-Amz-Signature=00", signed.clone()),
        ("/", signed.replace("UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")),
    ] {
        assert!(program.get(&at, path, &headers).await.starts_with("HTTP/1.1 403"), "{path} {headers}");
    }
    assert!(!answer.contains(id) && !answer.contains(key), "{answer}");
}
