//! A host that hands back everything that it is sent: in ten encodings, in headers, body and trailers, and
//! compressed as it is asked for in the query.

use std::{
    collections::BTreeMap, convert::Infallible, io::Cursor, net::SocketAddr, sync::Arc, time::Duration,
};

use authy_mcp::testing::proxy::Record;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};
use tokio_rustls::TlsAcceptor;

type Body = UnsyncBoxBody<Bytes, Infallible>;

type Encode = fn(&[u8]) -> Vec<u8>;

/// The ten ways in which it says everything again.
pub(crate) const ENCODINGS: &[(&str, Encode)] = &[
    ("raw", |text| text.to_vec()),
    ("base64", |text| STANDARD.encode(text).into_bytes()),
    ("base64-shifted", |text| STANDARD.encode([b"x", text].concat()).into_bytes()),
    ("base64url", |text| URL_SAFE_NO_PAD.encode([b"xy", text].concat()).into_bytes()),
    ("hex", |text| hex::encode(text).into_bytes()),
    ("hex-upper", |text| hex::encode_upper(text).into_bytes()),
    ("percent", |text| percent(text, "%20")),
    ("form", |text| percent(text, "+")),
    ("json", |text| serde_json::to_vec(&String::from_utf8_lossy(text)).unwrap()),
    ("xml", |text| {
        let text = String::from_utf8_lossy(text);
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .into_bytes()
    }),
];

fn percent(text: &[u8], space: &str) -> Vec<u8> {
    let encode = |byte: &u8| match byte {
        b' ' => space.to_owned(),
        b if b.is_ascii_alphanumeric() || b"-._~".contains(b) => char::from(*b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.iter().map(encode).collect::<String>().into_bytes()
}

/// What it was sent, request by request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub line: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
        String::from_utf8_lossy(value).into_owned()
    }
}

/// A host that serves until the runtime ends.
#[derive(Clone)]
pub(crate) struct Host {
    pub address: SocketAddr,
    /// The root that it is trusted by.
    pub ca: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    files: Arc<Mutex<BTreeMap<String, File>>>,
}

/// What is answered at a path, in place of the echo.
#[derive(Clone)]
pub(crate) struct File {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    step: usize,
}

impl Host {
    /// Serves TLS, HTTP/1.1 and HTTP/2, on a port of its own.
    pub(crate) async fn start() -> Self {
        let (config, ca) = certificates();
        Self::listen(Some(TlsAcceptor::from(config)), ca).await
    }

    /// Serves without TLS.
    pub(crate) async fn start_plain() -> Self {
        Self::listen(None, String::new()).await
    }

    async fn listen(tls: Option<TlsAcceptor>, ca: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host =
            Self { address: listener.local_addr().unwrap(), ca, seen: Arc::default(), files: Arc::default() };
        let serving = host.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().connection(tls.clone(), stream));
            }
        });
        host
    }

    /// `localhost:PORT`, as a policy names it.
    pub(crate) fn name(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// Answers at a path with these headers (`Name: text`, a line each) and this body, in chunks of a size; with its length
    /// where the chunk holds it all.
    pub(crate) async fn serves(&self, path: &str, headers: &str, body: &[u8], step: usize) {
        let headers = headers.lines().map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        self.files.lock().await.insert(path.to_owned(), File { headers, body: body.to_vec(), step });
    }

    pub(crate) async fn seen(&self) -> Vec<Seen> {
        self.seen.lock().await.clone()
    }

    async fn connection(self, tls: Option<TlsAcceptor>, stream: TcpStream) {
        let Some(tls) = tls else { return self.serve(stream, false).await };
        let Ok(stream) = tls.accept(stream).await else { return };
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        self.serve(stream, h2).await;
    }

    async fn serve<S>(self, stream: S, h2: bool)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(move |request| {
            let host = self.clone();
            async move { Ok::<_, Infallible>(host.answer(request).await) }
        });
        let stream = TokioIo::new(stream);
        if h2 {
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await;
        } else {
            let _ = http1::Builder::new().serve_connection(stream, service).with_upgrades().await;
        }
    }

    async fn answer(self, mut request: Request<Incoming>) -> Response<Body> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        if query.contains("websocket") {
            return websocket(&mut request);
        }
        let (parts, body) = request.into_parts();
        // A request that never came whole is none.
        let Ok(collected) = body.collect().await else { return Response::new(nothing()) };
        let collected = collected.to_bytes().to_vec();
        let line = format!("{} {}", parts.method, parts.uri.path_and_query().map_or("", |p| p.as_str()));
        let seen = Seen { line, headers: parts.headers, body: collected };
        self.seen.lock().await.push(seen.clone());
        if let Some(file) = self.files.lock().await.get(parts.uri.path()) {
            return file.answer();
        }
        echo(&seen, &query)
    }
}

impl File {
    fn answer(&self) -> Response<Body> {
        let mut response = Response::builder();
        for (name, text) in &self.headers {
            response = response.header(name, text);
        }
        if self.step >= self.body.len() {
            response = response.header("content-length", self.body.len());
        }
        response.body(paced(self.body.clone(), self.step.max(1), 0, HeaderMap::new())).unwrap()
    }
}

fn nothing() -> Body {
    http_body_util::Empty::new().boxed_unsync()
}

/// Everything of a request as one text.
fn told(seen: &Seen) -> Vec<u8> {
    let mut text = format!("{}\n", seen.line).into_bytes();
    for (name, value) in &seen.headers {
        text.extend_from_slice(format!("{name}: ").as_bytes());
        text.extend_from_slice(value.as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(&seen.body);
    text
}

fn echo(seen: &Seen, query: &str) -> Response<Body> {
    let mut body = Vec::new();
    for (name, encode) in ENCODINGS {
        body.extend_from_slice(format!("\n{name}: ").as_bytes());
        body.extend_from_slice(&encode(&told(seen)));
    }
    let mut response = Response::builder();
    let headers = response.headers_mut().unwrap();
    let secret = seen.header("authorization") + &seen.header("x-api-key");
    let mut trailers = HeaderMap::new();
    let mut names = Vec::new();
    for (index, (_, encode)) in ENCODINGS.iter().enumerate() {
        let Ok(value) = HeaderValue::from_bytes(&encode(secret.as_bytes())) else { continue };
        headers.insert(HeaderName::try_from(format!("x-echo-{index}")).unwrap(), value.clone());
        trailers.insert(HeaderName::try_from(format!("x-trailer-{index}")).unwrap(), value);
        names.push(format!("x-trailer-{index}"));
    }
    if let Some(word) = secret.split_whitespace().last() {
        if let Ok(name) = HeaderName::try_from(format!("x-{word}")) {
            headers.insert(name, HeaderValue::from_static("in a name"));
        }
        for (name, text) in [
            ("location", format!("https://elsewhere.example/?token={word}")),
            ("set-cookie", format!("session={word}; Path=/")),
            ("www-authenticate", format!("Bearer error=\"{word}\"")),
            ("alt-svc", "h3=\":443\"".to_owned()),
            ("etag", format!("\"{word}\"")),
        ] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }
    headers.insert("trailer", HeaderValue::from_str(&names.join(", ")).unwrap());
    let asked = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)).map(str::to_owned);
    if let Some(status) = asked("status=") {
        response = response.status(StatusCode::from_bytes(status.as_bytes()).unwrap());
    }
    if let Some(coding) = asked("coding=") {
        for coding in coding.split('+') {
            body = compress(coding, body);
        }
        response = response.header("content-encoding", coding.replace('+', ", "));
    }
    let mut response = response.body(()).unwrap();
    if query.contains("reason") {
        let reason = hyper::ext::ReasonPhrase::try_from(secret.into_bytes()).unwrap();
        response.extensions_mut().insert(reason);
    }
    let step = asked("step=").and_then(|step| step.parse().ok()).unwrap_or(body.len().max(1));
    let pause = asked("pause=").and_then(|pause| pause.parse().ok()).unwrap_or(0);
    response.map(|()| paced(body, step, pause, trailers))
}

/// A body in steps, with a pause after each, and its trailers.
fn paced(body: Vec<u8>, step: usize, pause: u64, trailers: HeaderMap) -> Body {
    let (give, take) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        for chunk in body.chunks(step) {
            if give.send(Ok(Frame::data(Bytes::copy_from_slice(chunk)))).await.is_err() {
                return;
            }
            if pause > 0 {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
        let _ = give.send(Ok(Frame::trailers(trailers))).await;
    });
    StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(take)).boxed_unsync()
}

pub(crate) fn compress(coding: &str, body: Vec<u8>) -> Vec<u8> {
    use async_compression::tokio::bufread::{DeflateEncoder, GzipEncoder, ZlibEncoder};
    async fn all(mut from: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
        let mut out = Vec::new();
        from.read_to_end(&mut out).await.unwrap();
        out
    }
    let from = Cursor::new(body.clone());
    match coding {
        "gzip" => futures(all(GzipEncoder::new(from))),
        "br" => brotli(&body),
        "deflate" if body.len().is_multiple_of(2) => futures(all(DeflateEncoder::new(from))),
        "deflate" => futures(all(ZlibEncoder::new(from))),
        "zstd" => ruzstd::encoding::compress_to_vec(from, ruzstd::encoding::CompressionLevel::Fastest),
        _ => body,
    }
}

/// Brotli as an encoder writes what does not get smaller (RFC 7932, section 9.2): blocks of the bytes as they are, in a
/// window of 64 KiB, and a last one that is empty.
fn brotli(body: &[u8]) -> Vec<u8> {
    assert!(!body.is_empty(), "the first block says the window");
    let mut out = Vec::new();
    for (index, block) in body.chunks(1 << 16).enumerate() {
        let header = (1 << 16 | (block.len() as u32 - 1)) << if index == 0 { 4 } else { 3 };
        out.extend_from_slice(&header.to_le_bytes()[..3]);
        out.extend_from_slice(block);
    }
    out.push(3);
    out
}

/// Encoders of what lies in memory never wait.
fn futures<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return done;
        }
    }
}

/// A WebSocket that says the credential, and every message, again: as text, as binary, in fragments, in a
/// ping, and in the reason of its close.
fn websocket(request: &mut Request<Incoming>) -> Response<Body> {
    let secret = request.headers().get("authorization").map(|v| v.as_bytes().to_vec()).unwrap_or_default();
    let upgrade = hyper::upgrade::on(&mut *request);
    let offered = request.headers().contains_key("sec-websocket-extensions");
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        let frame = |first: u8, payload: &[u8]| {
            let mut frame = vec![first, 126];
            frame.extend_from_slice(&(payload.len() as u16).to_be_bytes());
            if payload.len() < 126 {
                frame = vec![first, payload.len() as u8];
            }
            [frame, payload.to_vec()].concat()
        };
        let mut said = secret.clone();
        // One masked message of the program, as short as it is.
        let mut head = [0; 6];
        if stream.read_exact(&mut head).await.is_ok() {
            let mut payload = vec![0; usize::from(head[1] & 0x7f)];
            stream.read_exact(&mut payload).await.unwrap();
            payload.iter_mut().enumerate().for_each(|(i, byte)| *byte ^= head[2 + i % 4]);
            said.extend_from_slice(b" said: ");
            said.extend_from_slice(&payload);
        }
        let half = said.len() / 2;
        let _ = stream.write_all(&frame(0x81, &said)).await;
        let _ = stream.write_all(&frame(0x82, &STANDARD.encode(&said).into_bytes())).await;
        let _ = stream.write_all(&frame(0x01, &said[..half])).await;
        let _ = stream.write_all(&frame(0x89, &secret[..secret.len().min(125)])).await;
        let _ = stream.write_all(&frame(0x80, &said[half..])).await;
        for (index, byte) in said.iter().enumerate() {
            let first = u8::from(index == 0) | if index + 1 == said.len() { 0x80 } else { 0 };
            let _ = stream.write_all(&frame(first, &[*byte])).await;
        }
        let reason = [&[3, 232][..], &secret[..secret.len().min(120)]].concat();
        let _ = stream.write_all(&frame(0x88, &reason)).await;
        let _ = stream.flush().await;
    });
    let mut response =
        Response::builder().status(101).header("connection", "upgrade").header("upgrade", "websocket");
    if offered {
        response = response.header("sec-websocket-extensions", "permessage-deflate");
    }
    let body = nothing();
    response.header("sec-websocket-accept", "x").body(body).unwrap()
}

/// A certificate for this machine, for hosts that stand for it and for one that another resolves, and the root that it is by.
pub(crate) fn certificates() -> (Arc<ServerConfig>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let leaf_key = KeyPair::generate().unwrap();
    let names = ["localhost", "127.0.0.1", "api.localhost", "*.wild.localhost", "api.example.com"];
    let leaf = CertificateParams::new(names.map(str::to_owned).to_vec()).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (Arc::new(config), ca.pem())
}

/// What a record says, in a line.
pub(crate) fn shown(record: &Record) -> String {
    format!(
        "{} {} {} {} {}",
        record.method,
        record.host,
        record.path,
        record.status,
        record.refused.unwrap_or("passed")
    )
}
