//! A proxy of the operator's network between the run's proxy and the hosts: it is asked for connections, and only for hosts
//! that the policy names.

use std::sync::Arc;

use authy_mcp::testing::policy::{Inject, UpstreamProxy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

use super::{
    host::{Host, shown},
    program::{KEY, Program, seal, sealed, talk, terms},
};

/// A proxy that connects to one address, whatever it is asked for, and keeps what it was asked.
struct Upstream {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    async fn start(answer: &'static str, leads_to: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self { port: listener.local_addr().unwrap().port(), asked: Arc::default() };
        let asked = Arc::clone(&this.asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let asked = Arc::clone(&asked);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.unwrap());
                    }
                    asked.lock().await.push(String::from_utf8(head).unwrap());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    let mut outside = TcpStream::connect(leads_to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut outside).await;
                });
            }
        });
        this
    }

    async fn asked(&self) -> Vec<String> {
        self.asked.lock().await.clone()
    }

    /// What a program gets that asks a host by its name.
    async fn answer(program: &Program, host: &str) -> String {
        let to = format!("{host}:443");
        let mut stream = match program.tls(&to, host, &[b"http/1.1"]).await {
            Ok(stream) => stream,
            Err(refused) => return refused,
        };
        let request = format!("GET /v1 HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
        let got = talk(&mut stream, request.as_bytes()).await;
        String::from_utf8_lossy(&program.keep(got)).into_owned()
    }

    fn program(&self, host: &str, server: &Host) -> Program {
        let mut terms = terms(vec![sealed("a/key", KEY, seal(host, Some(Inject::Bearer)))], server);
        terms.reach.upstream = UpstreamProxy::parse(&format!("http://127.0.0.1:{}", self.port));
        Program::start(terms)
    }
}

#[tokio::test]
async fn a_host_is_reached_by_the_operators_proxy_which_sees_its_name_and_no_value() {
    let host = Host::start().await;
    let upstream =
        Upstream::start("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", host.address).await;
    let program = upstream.program("api.example.com", &host);
    let answer = Upstream::answer(&program, "api.example.com").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(host.seen().await[0].header("authorization"), format!("Bearer {KEY}"));
    let asked = upstream.asked().await;
    assert_eq!(asked, ["CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n"]);
    let other = Upstream::answer(&program, "other.example.com").await;
    assert!(other.contains("host_not_allowed"), "{other}");
    assert_eq!(upstream.asked().await.len(), 1, "nothing is asked for a host that the policy does not name");
    program.assert_clean();
}

#[tokio::test]
async fn a_host_that_stands_for_this_machine_is_not_asked_of_a_proxy() {
    let host = Host::start().await;
    let upstream = Upstream::start("HTTP/1.1 200 OK\r\n\r\n", host.address).await;
    let program = upstream.program(&host.name(), &host);
    let answer = program.get(&host.name(), "/", "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(upstream.asked().await.is_empty());
}

#[tokio::test]
async fn a_proxy_that_does_not_connect_and_a_host_that_is_another_are_refused() {
    let host = Host::start().await;
    for (answer, to, code) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "api.example.com", "upstream_proxy"),
        ("HTTP/1.1 503 no\r\n\r\n", "api.example.com", "upstream_proxy"),
        ("no proxy at all\r\n\r\n", "api.example.com", "upstream_proxy"),
        // Where the proxy leads can't be seen; the certificate is held to the name all the same.
        ("HTTP/1.1 200 OK\r\n\r\n", "elsewhere.example.com", "upstream_certificate"),
        // An address that is never reached is not reached by another either.
        ("HTTP/1.1 200 OK\r\n\r\n", "169.254.169.254", "address_not_allowed"),
    ] {
        let upstream = Upstream::start(answer, host.address).await;
        let program = upstream.program(to, &host);
        Upstream::answer(&program, to).await;
        let (records, _) = program.running.end().await;
        assert!(shown(&records[0]).ends_with(code), "{answer:?} {to}: {records:?}");
        assert!(host.seen().await.is_empty());
    }
    let nobody = Upstream { port: 1, asked: Arc::default() };
    let program = nobody.program("api.example.com", &host);
    assert!(Upstream::answer(&program, "api.example.com").await.contains("upstream_proxy"));
}
