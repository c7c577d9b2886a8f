//! One connection to a daemon's socket. Dropping it ends what was asked over it.

use std::{
    error::Error,
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, task::AbortHandle};

use super::{
    LocalError, Socket,
    proof::{self, LocalKey},
    wire::{
        Challenge, Challenged, NONCE_HEADER, PROOF_HEADER, PROTOCOL, PROTOCOL_HEADER, PROTOCOL_NAME, Status,
    },
};

/// The largest answer that is read whole, in bytes; a run's lines are read one by one.
const LARGEST: usize = 64 << 20;

/// How often a connection that broke off before anybody answered is made again, and after how long.
const TRIES: u32 = 50;
const BETWEEN: Duration = Duration::from_millis(10);

/// A connection.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: AbortHandle,
    /// The nonce of the first proof, and how many came behind it.
    proven: Option<(String, u64)>,
    /// The socket as it looked before this was made.
    at: Option<SocketStamp>,
}

/// Which socket is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SocketStamp {
    device: u64,
    inode: u64,
}

impl SocketStamp {
    fn of(socket: &Socket) -> Option<Self> {
        let found = std::fs::metadata(&socket.path).ok()?;
        Some(Self { device: found.dev(), inode: found.ino() })
    }
}

impl Connection {
    pub(super) async fn open(socket: &Socket) -> Result<Self, LocalError> {
        let at = SocketStamp::of(socket);
        let stream = UnixStream::connect(&socket.path).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => LocalError::Nobody,
            _ => LocalError::Io(error),
        })?;
        socket.admits(stream.peer_cred()?.uid())?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driver = tokio::spawn(async move {
            // What is wrong with the connection is said to whoever waits for an answer.
            let _ = driver.with_upgrades().await;
        });
        Ok(Self { sender, driver: driver.abort_handle(), proven: None, at })
    }

    /// A connection on which somebody has answered: one that was made in the last moment of a daemon is
    /// made again.
    pub(super) async fn answered(socket: &Socket) -> Result<(Self, Status), LocalError> {
        let mut tries = 0;
        loop {
            let mut connection = Self::open(socket).await?;
            match connection.status().await {
                Ok(status) => return Ok((connection, status)),
                Err(LocalError::Broken(_) | LocalError::Nobody) if tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(BETWEEN).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What whoever listens says of itself; not to be relied on before [`Connection::prove`].
    async fn status(&mut self) -> Result<Status, LocalError> {
        let request = Request::builder().method(Method::GET).uri("/v1/status");
        let response = self.send(request, Vec::new()).await?;
        read(response).await
    }

    /// Makes whoever listens prove that it knows the identity: once a connection. Returns the nonce for the next request,
    /// which must be proven over it: a daemon that has seen no first proof takes no second.
    pub(super) async fn prove(&mut self, key: &LocalKey, socket: &Socket) -> Result<String, LocalError> {
        if let Some((first, number)) = &mut self.proven {
            *number += 1;
            return Ok(proof::successor(first, *number));
        }
        let ours = proof::nonce();
        let response = self.post("/v1/challenge", &Challenge { nonce: ours.clone() }, None).await?;
        let theirs: Challenged = read(response).await?;
        if proof::same(&theirs.proof, &key.of_daemon(&ours, &theirs.nonce)) {
            self.proven = theirs.numbered.then(|| (theirs.nonce.clone(), 0));
            Ok(theirs.nonce)
        } else {
            Err(LocalError::Impostor(socket.path.clone()))
        }
    }

    /// Whether another request can go over it, to whoever listens at the socket by now: a daemon whose socket is gone or
    /// another's is about to end.
    pub(super) async fn is_open(&mut self, socket: &Socket) -> bool {
        self.at.is_some() && self.at == SocketStamp::of(socket) && self.sender.ready().await.is_ok()
    }

    /// Posts, with a proof over a nonce where there is one.
    pub(super) async fn post(
        &mut self,
        path: &str,
        body: &impl Serialize,
        proven: Option<(&LocalKey, &str)>,
    ) -> Result<Response<Incoming>, LocalError> {
        self.post_in(Request::builder(), path, body, proven).await
    }

    /// Posts a call, with a proof where there is a key for one.
    ///
    /// # Errors
    /// [`LocalError::Nobody`] where it was certainly not sent, and may be over another connection.
    pub(super) async fn call(
        &mut self,
        path: &str,
        call: &impl Serialize,
        key: Option<&LocalKey>,
        socket: &Socket,
    ) -> Result<Response<Incoming>, LocalError> {
        let Some(key) = key else { return self.post(path, call, None).await };
        let nonce = self.prove(key, socket).await.map_err(|error| match error {
            LocalError::Broken(_) => LocalError::Nobody,
            error => error,
        })?;
        self.post(path, call, Some((key, &nonce))).await
    }

    async fn post_in(
        &mut self,
        request: hyper::http::request::Builder,
        path: &str,
        body: &impl Serialize,
        proven: Option<(&LocalKey, &str)>,
    ) -> Result<Response<Incoming>, LocalError> {
        let body = serde_json::to_vec(body).map_err(|error| LocalError::Broken(error.to_string()))?;
        let mut request = request.method(Method::POST).uri(path);
        if let Some((key, nonce)) = proven {
            request =
                request.header(NONCE_HEADER, nonce).header(PROOF_HEADER, key.of_client(nonce, path, &body));
        }
        self.send(request, body).await
    }

    /// Posts, and goes on with the connection by itself.
    pub(super) async fn upgrade(
        &mut self,
        path: &str,
        body: &impl Serialize,
        proven: Option<(&LocalKey, &str)>,
    ) -> Result<Upgraded, LocalError> {
        let request =
            Request::builder().header(header::CONNECTION, "upgrade").header(header::UPGRADE, PROTOCOL_NAME);
        let response = self.post_in(request, path, body, proven).await?;
        hyper::upgrade::on(response).await.map_err(broken)
    }

    async fn send(
        &mut self,
        request: hyper::http::request::Builder,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, LocalError> {
        let request = request
            .header(header::HOST, "authy-mcp")
            .header(PROTOCOL_HEADER, PROTOCOL)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| LocalError::Broken(error.to_string()))?;
        // Whatever fails until here was never sent, and may be tried again.
        self.sender.ready().await.map_err(|_| LocalError::Nobody)?;
        let response = self.sender.send_request(request).await.map_err(|error| match was_read(&error) {
            true => broken(error),
            false => LocalError::Nobody,
        })?;
        match response.status() {
            StatusCode::OK | StatusCode::SWITCHING_PROTOCOLS => Ok(response),
            StatusCode::UPGRADE_REQUIRED => {
                let theirs =
                    response.headers().get(PROTOCOL_HEADER).and_then(|v| v.to_str().ok()?.parse().ok());
                Err(LocalError::Version { theirs: theirs.unwrap_or_default() })
            }
            StatusCode::TOO_MANY_REQUESTS => Err(LocalError::Crowded),
            status => Err(LocalError::Broken(format!("it answered {status}"))),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// An answer, whole.
pub(super) async fn read<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, LocalError> {
    let body = http_body_util::Limited::new(response.into_body(), LARGEST);
    let bytes = body.collect().await.map_err(|error| LocalError::Broken(error.to_string()))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| LocalError::Broken(error.to_string()))
}

/// The next line of an answer that comes line by line; `None` at its end. Empty lines are signs of life.
pub(super) async fn line<T: DeserializeOwned>(
    body: &mut Incoming,
    held: &mut Vec<u8>,
) -> Result<Option<T>, LocalError> {
    loop {
        while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = held.drain(..=end).collect();
            if line.len() > 1 {
                let read = serde_json::from_slice(&line);
                return read.map(Some).map_err(|error| LocalError::Broken(error.to_string()));
            }
        }
        match body.frame().await {
            None => return Ok(None),
            Some(Ok(frame)) => held.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..])),
            Some(Err(error)) => return Err(broken(error)),
        }
    }
}

/// Whether nothing but signs of life and the end comes behind the last line.
pub(super) async fn is_over(body: &mut Incoming) -> bool {
    loop {
        match body.frame().await {
            None => return true,
            Some(Ok(frame)) if frame.data_ref().is_none_or(|data| data.iter().all(|byte| *byte == b'\n')) => {
            }
            Some(_) => return false,
        }
    }
}

/// Whether a request without an answer may have been read by the daemon. One that was not read to its end did nothing:
/// the kernel resets a connection whose other side has ended with something unread (unix_release_sock of Linux), and takes
/// nothing more for it.
fn was_read(error: &hyper::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let reset = io.is_some_and(|io| matches!(io.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
    !(error.is_canceled() || cfg!(target_os = "linux") && reset)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn broken(error: hyper::Error) -> LocalError {
    LocalError::Broken(error.to_string())
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixListener, thread};

    use super::*;

    /// What is said of a request with such a body by a daemon that reads so many bytes of it and ends.
    async fn asked_of_one_that_reads(body: usize, most: usize) -> LocalError {
        let dir = tempfile::tempdir().unwrap();
        let socket = Socket::own(dir.path().join("s.sock"));
        let listener = UnixListener::bind(&socket.path).unwrap();
        let mut connection = Connection::open(&socket).await.unwrap();
        let (mut daemon, _) = listener.accept().unwrap();
        let ended = thread::spawn(move || {
            // Until something is there to be left.
            daemon.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            rustix::net::recv(&daemon, &mut [0; 1][..], rustix::net::RecvFlags::PEEK).unwrap();
            daemon.read_exact(&mut vec![0; most]).unwrap();
        });
        let error = connection.post("/v1/run", &"x".repeat(body), None).await.unwrap_err();
        ended.join().unwrap();
        error
    }

    #[tokio::test]
    async fn what_the_daemon_did_not_read_to_its_end_was_not_asked() {
        for (body, read) in [(100, 0), (100, 50), (4 << 20, 1 << 20), (4 << 20, 0)] {
            let error = asked_of_one_that_reads(body, read).await;
            assert!(matches!(error, LocalError::Nobody), "{read} of {body}: {error:?}");
        }
    }

    #[tokio::test]
    async fn what_it_may_have_read_is_not_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let socket = Socket::own(dir.path().join("s.sock"));
        let listener = UnixListener::bind(&socket.path).unwrap();
        let mut connection = Connection::open(&socket).await.unwrap();
        let (mut daemon, _) = listener.accept().unwrap();
        thread::spawn(move || {
            let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
            while !all.ends_with(b"\"xyz\"") {
                let length = daemon.read(&mut chunk).unwrap();
                all.extend_from_slice(&chunk[..length]);
            }
        });
        let error = connection.post("/v1/run", &"xyz", None).await.unwrap_err();
        assert!(matches!(error, LocalError::Broken(_)), "{error:?}");
    }
}
