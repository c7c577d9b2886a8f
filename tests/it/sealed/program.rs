//! The program's side: it asks the proxy in any way that it likes, and everything that it gets is kept, so that
//! it can be searched for the values in every form.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use authy_mcp::testing::{
    names::{HostPattern, SecretName},
    policy::{EgressAllowlist, Inject, Seal, SubstitutionSite},
    proxy::{Egress, ProxyTerms, Running, Sealed},
    value::SecretValue,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::host::Host;

/// The two values: one as keys look, one that every encoder changes.
pub(crate) const KEY: &str = "sk-proj-9fQ2xLw7Vb4NcT8mZr1KpY6hJd3GsA5e";
pub(crate) const ODD: &str = "p@ss+w/rd \"quoted\" & <tagged> 'once'=50%";

/// A rule for one host.
pub(crate) fn seal(host: &str, inject: Option<Inject>) -> Seal {
    Seal {
        hosts: vec![HostPattern::parse(host).unwrap()],
        inject,
        substitute: [SubstitutionSite::Header].into(),
        ..Seal::default()
    }
}

pub(crate) fn sealed(name: &str, value: &str, seal: Seal) -> Sealed {
    let name = SecretName::parse(name).unwrap();
    Sealed { name, seal, value: SecretValue::new(value.as_bytes().to_vec()) }
}

pub(crate) fn terms(sealed: Vec<Sealed>, host: &Host) -> ProxyTerms {
    let extra_ca = Some(host.ca.clone()).filter(|ca| !ca.is_empty());
    let reach = EgressAllowlist { extra_ca, ..EgressAllowlist::default() };
    ProxyTerms { sealed, reach, known: Vec::new(), lifetime: Duration::from_secs(3600) }
}

/// A program in a run, which searches what it gets.
pub(crate) struct Program {
    pub proxy: SocketAddr,
    pub bases: Vec<SocketAddr>,
    pub credential: String,
    pub environment: Vec<(String, String)>,
    pub bundle: Vec<u8>,
    pub placeholders: Vec<(String, String)>,
    pub running: Running,
    got: std::sync::Mutex<Vec<u8>>,
}

impl Program {
    pub(crate) fn start(terms: ProxyTerms) -> Self {
        let names: Vec<SecretName> = terms.sealed.iter().map(|sealed| sealed.name.clone()).collect();
        let egress = Egress::new(terms).unwrap();
        let listeners: Vec<std::net::TcpListener> =
            (0..egress.listeners()).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<SocketAddr> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
        let ports: Vec<u16> = addresses.iter().map(SocketAddr::port).collect();
        let environment = egress.environment(&ports, "/bundle.pem");
        let proxy = &environment.iter().find(|(name, _)| name == "https_proxy").unwrap().1;
        let credential = proxy.trim_start_matches("http://").split('@').next().unwrap().to_owned();
        let placeholder =
            |name: &SecretName| (name.to_string(), egress.placeholder(name).unwrap().to_owned());
        let placeholders = names.iter().map(placeholder).collect();
        let bundle = egress.ca_bundle();
        let running = egress.serve(listeners).unwrap();
        Self {
            proxy: addresses[0],
            bases: addresses[1..].to_vec(),
            credential,
            environment,
            bundle,
            placeholders,
            running,
            got: std::sync::Mutex::default(),
        }
    }

    pub(crate) fn variable(&self, name: &str) -> &str {
        &self.environment.iter().find(|(known, _)| known == name).unwrap().1
    }

    pub(crate) fn placeholder(&self, name: &str) -> &str {
        &self.placeholders.iter().find(|(known, _)| known == name).unwrap().1
    }

    pub(crate) fn authorization(&self) -> String {
        format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(&self.credential))
    }

    /// Keeps what came, and returns it.
    pub(crate) fn keep(&self, bytes: Vec<u8>) -> Vec<u8> {
        let whole = dechunked(&bytes);
        let mut got = self.got.lock().unwrap();
        for bytes in [&bytes, &whole] {
            got.extend_from_slice(bytes);
            got.push(b'\n');
        }
        whole
    }

    /// Sends bytes to the proxy and reads until it closes or falls silent.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.proxy).await.unwrap();
        let got = talk(&mut stream, bytes).await;
        String::from_utf8_lossy(&self.keep(got)).into_owned()
    }

    /// Opens a tunnel; what the proxy said where it didn't let it.
    pub(crate) async fn connect(&self, to: &str) -> Result<TcpStream, String> {
        let mut stream = TcpStream::connect(self.proxy).await.unwrap();
        let head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{}\r\n", self.authorization());
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => got.push(byte),
                Err(_) => break,
            }
        }
        let text = String::from_utf8_lossy(&self.keep(got)).into_owned();
        if text.starts_with("HTTP/1.1 200") { Ok(stream) } else { Err(text) }
    }

    /// A TLS connection to a host, through the proxy, trusting the run's bundle only.
    pub(crate) async fn tls(
        &self,
        to: &str,
        name: &str,
        protocols: &[&[u8]],
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, String> {
        let stream = self.connect(to).await?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&self.bundle).map(Result::unwrap));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.map_err(|error| error.to_string())
    }

    /// Sends bytes inside of the TLS connection to a host and reads what comes.
    pub(crate) async fn inside(&self, to: &str, bytes: &[u8]) -> String {
        let mut stream = match self.tls(to, "localhost", &[b"http/1.1"]).await {
            Ok(stream) => stream,
            Err(refused) => return refused,
        };
        let got = talk(&mut stream, bytes).await;
        String::from_utf8_lossy(&self.keep(got)).into_owned()
    }

    /// The head and the body of an answer, as they came, and whether the body came to its end.
    pub(crate) async fn answer(&self, to: &str, path: &str, headers: &str) -> (String, Vec<u8>, bool) {
        let mut stream = self.tls(to, "localhost", &[b"http/1.1"]).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\n{headers}Connection: close\r\n\r\n");
        let got = talk(&mut stream, head.as_bytes()).await;
        let at = got.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(0) + 4;
        let head = String::from_utf8_lossy(&got[..at.min(got.len())]).to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let raw = got[at.min(got.len())..].to_vec();
        let whole = self.keep(got);
        match length {
            Some(length) => (head, raw.clone(), raw.len() == length),
            None => {
                let body = whole[at.min(whole.len())..].strip_suffix(b"\r\n").unwrap_or_default();
                (head, body.to_vec(), raw.ends_with(b"0\r\n\r\n"))
            }
        }
    }

    /// A plain GET inside.
    pub(crate) async fn get(&self, to: &str, path: &str, headers: &str) -> String {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {to}\r\n{headers}TE: trailers\r\nConnection: close\r\n\r\n"
        );
        self.inside(to, head.as_bytes()).await
    }

    /// Looks for the values in everything that came.
    pub(crate) fn assert_clean(&self) {
        let got = self.got.lock().unwrap();
        assert!(got.len() > 100, "the program got nothing at all");
        assert_clean(&got);
    }
}

pub(crate) async fn talk(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8]) -> Vec<u8> {
    // Whoever closes early is heard all the same.
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
    let mut got = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    let closes = String::from_utf8_lossy(bytes).to_ascii_lowercase().contains("close");
    // Whoever says that it closes is waited for; whoever doesn't may fall silent for good.
    let silence = Duration::from_millis(if closes { 20_000 } else { 500 });
    while let Ok(Ok(length @ 1..)) = timeout(silence, stream.read(&mut chunk)).await {
        got.extend_from_slice(&chunk[..length]);
    }
    got
}

/// An answer with its chunks put together (RFC 9112, section 7.1), its trailers behind them.
fn dechunked(answer: &[u8]) -> Vec<u8> {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4) else {
        return answer.to_vec();
    };
    let (head, mut rest) = answer.split_at(end);
    let mut whole = head.to_vec();
    if !String::from_utf8_lossy(head).to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return answer.to_vec();
    }
    while let Some(line) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&rest[..line]), 16).unwrap_or(0);
        rest = &rest[line + 2..];
        if size == 0 || size + 2 > rest.len() {
            break;
        }
        whole.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
    whole.extend_from_slice(rest);
    whole
}

/// No form of a value is in these bytes: what is searched for is worked out here, not by the redactor.
pub(crate) fn assert_clean(got: &[u8]) {
    for value in [KEY, ODD] {
        for (kind, form) in forms(value) {
            let at = got.windows(form.len()).position(|window| window == form.as_slice());
            let around = at.map(|at| String::from_utf8_lossy(&got[at.saturating_sub(80)..at]).into_owned());
            assert!(at.is_none(), "{kind} of {value} came back after {around:?}");
        }
    }
}

fn forms(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms: Vec<(&str, Vec<u8>)> = super::host::ENCODINGS
        .iter()
        .filter(|(kind, _)| !kind.starts_with("base64"))
        .map(|(kind, encode)| (*kind, encode(value.as_bytes())))
        .collect();
    let json = forms.iter().find(|(kind, _)| *kind == "json").unwrap().1.clone();
    forms.push(("json inside", json[1..json.len() - 1].to_vec()));
    forms.push(("lower case", value.to_ascii_lowercase().into_bytes()));
    for shift in 0..3 {
        let encoded = STANDARD.encode([&vec![b'x'; shift], value.as_bytes()].concat());
        let decided = &encoded.as_bytes()[if shift == 0 { 0 } else { 4 }..encoded.len() - 4];
        forms.push(("base64", decided.to_vec()));
        let url: Vec<u8> = decided
            .iter()
            .map(|b| match b {
                b'+' => b'-',
                b'/' => b'_',
                b => *b,
            })
            .collect();
        forms.push(("base64url", url));
    }
    forms
}
