//! What the egress proxy costs: requests a second and latency beside a direct connection, in one run over one
//! host on loopback, and a streamed gigabyte with the most memory that this process ever had meanwhile.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::unwrap_used,
    missing_docs,
    reason = "a program that measures, and says so"
)]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use authy_mcp::testing::{
    names::{HostPattern, SecretName},
    policy::{EgressAllowlist, Inject, Seal, SubstitutionSite},
    proxy::{Egress, ProxyTerms, Running, Sealed},
    value::SecretValue,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http1::SendRequest,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const KEY: &str = "sk-proj-9fQ2xLw7Vb4NcT8mZr1KpY6hJd3GsA5e";
const REQUESTS: usize = 2_000;
const AT_ONCE: usize = 8;
const DOWNLOAD: usize = 1 << 30;
const CHUNK: usize = 64 << 10;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let (host, ca) = serve().await;
    let proxy = Proxy::start(host, &ca);
    let direct = Way { host, proxy: None, roots: ca.into_bytes() };
    let proxied =
        Way { host, proxy: Some((proxy.address, proxy.credential.clone())), roots: proxy.bundle.clone() };
    println!("requests of one kept connection, {REQUESTS} in a row, 1 KiB answers:");
    for (name, way) in [("direct", &direct), ("by the proxy", &proxied)] {
        let mut times = in_a_row(way).await;
        times.sort();
        let at = |share: usize| times[times.len() * share / 100].as_micros();
        let whole: Duration = times.iter().sum();
        let rate = times.len() as f64 / whole.as_secs_f64();
        println!("  {name:<13} {rate:>7.0} requests/s   p50 {:>5} us   p99 {:>5} us", at(50), at(99));
    }
    println!("requests of {AT_ONCE} connections at once, {REQUESTS} each:");
    for (name, way) in [("direct", &direct), ("by the proxy", &proxied)] {
        let started = Instant::now();
        let tasks: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(in_a_row(way.clone_for_task()))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        println!(
            "  {name:<13} {:>7.0} requests/s",
            (AT_ONCE * REQUESTS) as f64 / started.elapsed().as_secs_f64()
        );
    }
    println!("new connections (TCP, TLS, one request), 200 in a row:");
    for (name, way) in [("direct", &direct), ("by the proxy", &proxied)] {
        let started = Instant::now();
        for _ in 0..200 {
            let mut client = way.connect().await;
            ask(&mut client, way, "/small").await;
        }
        println!("  {name:<13} {:>7.2} ms each", started.elapsed().as_secs_f64() * 1000.0 / 200.0);
    }
    println!("a streamed gigabyte (host, proxy and program are this one process):");
    for (name, way) in [("direct", &direct), ("by the proxy", &proxied)] {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = peak();
        let started = Instant::now();
        let mut client = way.connect().await;
        let got = ask(&mut client, way, "/large").await;
        assert_eq!(got, DOWNLOAD);
        let rate = got as f64 / (1 << 20) as f64 / started.elapsed().as_secs_f64();
        println!("  {name:<13} {rate:>7.0} MiB/s   VmHWM {} KiB, {} KiB before", peak(), before);
    }
    let (records, _) = proxy.running.end().await;
    assert!(records.iter().all(|record| record.status == 200));
}

/// The most memory that this process had since it was last asked to forget (proc(5)).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

struct Proxy {
    address: SocketAddr,
    credential: String,
    bundle: Vec<u8>,
    running: Running,
}

impl Proxy {
    fn start(host: SocketAddr, ca: &str) -> Self {
        let seal = Seal {
            hosts: vec![HostPattern::parse(&format!("localhost:{}", host.port())).unwrap()],
            inject: Some(Inject::Bearer),
            substitute: [SubstitutionSite::Header].into(),
            ..Seal::default()
        };
        let name = SecretName::parse("openai/key").unwrap();
        let sealed = vec![Sealed { name, seal, value: SecretValue::new(KEY.as_bytes().to_vec()) }];
        let reach = EgressAllowlist { extra_ca: Some(ca.to_owned()), ..EgressAllowlist::default() };
        let terms = ProxyTerms { sealed, reach, known: Vec::new(), lifetime: Duration::from_secs(3600) };
        let egress = Egress::new(terms).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let variables = egress.environment(&[address.port()], "/x");
        let url = variables.into_iter().find(|(name, _)| name == "https_proxy").unwrap().1;
        let credential = url.trim_start_matches("http://").split('@').next().unwrap().to_owned();
        let bundle = egress.ca_bundle();
        Self { address, credential, bundle, running: egress.serve(vec![listener]).unwrap() }
    }
}

/// How the host is reached.
struct Way {
    host: SocketAddr,
    proxy: Option<(SocketAddr, String)>,
    roots: Vec<u8>,
}

impl Way {
    fn clone_for_task(&self) -> Arc<Self> {
        Arc::new(Self { host: self.host, proxy: self.proxy.clone(), roots: self.roots.clone() })
    }

    async fn connect(&self) -> SendRequest<Empty<Bytes>> {
        let mut stream =
            TcpStream::connect(self.proxy.as_ref().map_or(self.host, |(at, _)| *at)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = format!("localhost:{}", self.host.port());
        if let Some((_, credential)) = &self.proxy {
            let credential = STANDARD.encode(credential);
            let head = format!(
                "CONNECT {name} HTTP/1.1\r\nHost: {name}\r\nProxy-Authorization: Basic {credential}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut got = Vec::new();
            while !got.ends_with(b"\r\n\r\n") {
                got.push(stream.read_u8().await.unwrap());
            }
            assert!(got.starts_with(b"HTTP/1.1 200"));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&self.roots).map(Result::unwrap));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let (client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

async fn in_a_row(way: impl std::borrow::Borrow<Way>) -> Vec<Duration> {
    let way = way.borrow();
    let mut client = way.connect().await;
    ask(&mut client, way, "/small").await;
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let started = Instant::now();
        ask(&mut client, way, "/small").await;
        times.push(started.elapsed());
    }
    times
}

/// Asks and counts the bytes that come.
async fn ask(client: &mut SendRequest<Empty<Bytes>>, way: &Way, path: &str) -> usize {
    let host = format!("localhost:{}", way.host.port());
    let request = Request::get(path).header("host", host).body(Empty::new()).unwrap();
    client.ready().await.unwrap();
    let mut body = client.send_request(request).await.unwrap().into_body();
    let mut got = 0;
    while let Some(frame) = body.frame().await {
        got += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    got
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A host on loopback, and the root that it is by.
async fn serve() -> (SocketAddr, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let leaf_key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&leaf_key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, ca.pem())
}

fn answer(request: &Request<Incoming>) -> Response<Body> {
    let (size, chunk) = if request.uri().path() == "/large" { (DOWNLOAD, CHUNK) } else { (1024, 1024) };
    let bytes = Bytes::from(vec![b'.'; chunk]);
    let frames = std::iter::repeat_n(bytes, size / chunk).map(|bytes| Ok(Frame::data(bytes)));
    Response::new(StreamBody::new(tokio_stream::iter(frames)).boxed_unsync())
}
