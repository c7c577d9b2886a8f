//! The vault's database over the socket: what a daemon answers while another process has its turn, and how that is
//! reached. A connection is one turn; it begins with who asks proving the identity, and is over when either end closes it.
//!
//! ```text
//! POST /v1/engine   (proof) { errand: { turn: { first } }, wait_ms } → 101, then messages
//! POST /v1/engine           { errand: "leave", wait_ms }            → 101, then messages
//! ```
//! Each message is its length (32 bits, big-endian) and its bytes. The first comes from the daemon: an error in words, or
//! nothing where the turn is there.

use std::{io, path::Path, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    LocalError, LocalKey, Socket,
    connection::Connection,
    reply::{parse, plain},
    wire::PROTOCOL_NAME,
};
use crate::{
    broker::{
        Broker,
        gate::{Bounds, Pass},
        refusal::Refusal,
    },
    store::{Dial, Errand, Line, Proof, StoreError},
};

/// Where the engine is reached.
pub(super) const PATH: &str = "/v1/engine";
/// No request is longer, in bytes: an object holds a value of 1 MiB at most, and some go together.
const REQUEST: u32 = 16 << 20;
/// No reply is: the ids of all objects are the longest.
const REPLY: u32 = 128 << 20;
/// So much room is made for a message before it comes: a node of the index fits, as text.
const AT_ONCE: u32 = 64 << 10;
/// For how long whoever has the turn may think; and for how long in all the daemon does without its store.
const THINKS: Duration = Duration::from_secs(60);
/// How much longer than the wait a daemon may take to say that it is over.
const GRACE: Duration = Duration::from_secs(1);

/// How many turns one process, and all, have or wait for.
pub(super) const LINES_AT_ONCE: Bounds =
    Bounds { each: 8, all: 128, per_second: 1000, burst: 1000, refused: 1, doubted: 8 };

/// What a turn is asked for with.
#[derive(Serialize, Deserialize)]
pub(super) struct Asked {
    pub errand: Errand,
    pub wait_ms: u64,
}

/// Has who proved to hold the identity take a turn at the vault's database, on this connection. That the daemon lets go
/// of it needs no proof, as locking needs none.
pub(super) async fn engine(
    broker: Arc<Broker>,
    (peer, place): (String, Pass),
    mut request: Request,
    proven: impl FnOnce(&HeaderMap, &Bytes) -> bool,
) -> Response {
    let upgrade = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>();
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return plain(StatusCode::BAD_REQUEST);
    };
    let Some((asked, upgrade)) = parse::<Asked>(&body).zip(upgrade) else {
        return plain(StatusCode::BAD_REQUEST);
    };
    if asked.errand != Errand::Leave && !proven(&parts.headers, &body) {
        return plain(StatusCode::FORBIDDEN);
    }
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => lend(broker, asked, peer, TokioIo::new(upgraded)).await,
            Err(error) => tracing::debug!(%error, "a turn at the vault was not taken"),
        }
        drop(place);
    });
    let mut response = plain(StatusCode::SWITCHING_PROTOCOLS);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL_NAME));
    response
}

/// Gives the turn at a broker's vault to who is at the other end, until they close it.
pub(super) async fn lend(
    broker: Arc<Broker>,
    asked: Asked,
    peer: String,
    io: impl AsyncRead + AsyncWrite + Unpin,
) {
    let mut io = io;
    // Longer than any wait of ours: who says so waits for something else.
    let wait = Duration::from_millis(asked.wait_ms).min(THINKS);
    let over = match asked.errand {
        Errand::Turn { first } => match broker.give(first, &peer, wait).await {
            Ok(given) => answer(move |request| given.answer(request), &mut io).await,
            Err(refusal) => return refuse(&refusal, &mut io).await,
        },
        Errand::Leave => match broker.leave(wait).await {
            Ok(left) => wait_until_closed(left, &mut io).await,
            Err(refusal) => return refuse(&refusal, &mut io).await,
        },
    };
    if let Err(error) = over {
        tracing::debug!(%error, "a turn at the vault broke off");
    }
    broker.look().await;
}

async fn refuse(why: &Refusal, io: &mut (impl AsyncWrite + Unpin)) {
    // Who has gone meanwhile has no use for it.
    let _ = write(io, why.message.as_bytes()).await;
}

/// Nothing is asked of a daemon that has let go; nor is it done without for ever.
async fn wait_until_closed(
    left: impl Send,
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<()> {
    write(io, &[]).await?;
    let closed = tokio::time::timeout(THINKS, io.read_u8()).await;
    drop(left);
    match closed {
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) => Err(io::ErrorKind::InvalidData.into()),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Has each request be answered, off the tasks that serve.
async fn answer<A: Fn(&[u8]) -> Vec<u8> + Send + 'static>(
    answering: A,
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<()> {
    let answering = Arc::new(Mutex::new(answering));
    let over = each_request(&answering, io).await;
    // However it ended: a store that rests may make a run of its journal, which takes as long as the disk does.
    tokio::task::spawn_blocking(move || drop(answering)).await.map_err(io::Error::other)?;
    over
}

/// Until the other side ends.
async fn each_request<A: Fn(&[u8]) -> Vec<u8> + Send + 'static>(
    answering: &Arc<Mutex<A>>,
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<()> {
    write(io, &[]).await?;
    loop {
        let request =
            tokio::time::timeout(THINKS, read(io, REQUEST)).await.map_err(|_| io::ErrorKind::TimedOut)?;
        let Some(request) = request? else { return Ok(()) };
        let answering = Arc::clone(answering);
        let reply = tokio::task::spawn_blocking(move || answering.lock()(&request)).await;
        write(io, &reply.map_err(io::Error::other)?).await?;
    }
}

async fn write(io: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= REPLY);
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    io.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
    io.flush().await
}

/// The next message; nothing at the end.
async fn read(io: &mut (impl AsyncRead + Unpin), longest: u32) -> io::Result<Option<Vec<u8>>> {
    let length = match io.read_u32().await {
        Ok(length) if length <= longest => length,
        Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    // What is promised is not taken at its word before it is there.
    let mut bytes = Vec::with_capacity(length.min(AT_ONCE) as usize);
    io.take(length.into()).read_to_end(&mut bytes).await?;
    if bytes.len() == length as usize { Ok(Some(bytes)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Reaches the daemon that keeps a vault, for whoever holds the identity.
pub(crate) struct Operator;

impl Dial for Operator {
    fn dial(
        &self,
        socket: &Path,
        errand: Errand,
        proof: &Proof<'_>,
        wait: Duration,
    ) -> Result<Option<Box<dyn Line>>, StoreError> {
        // Of its own: a line is used where nothing else drives it.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(&LocalError::Io(error)))?;
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let socket = Socket::own(socket.to_owned());
        let begun = begin(&socket, Asked { errand, wait_ms }, proof);
        let begun = runtime.block_on(async { tokio::time::timeout(wait + GRACE, begun).await });
        match begun {
            Ok(Ok(io)) => Ok(Some(Box::new(Turn { runtime: Some(runtime), io: Some(io) }))),
            // One that ends while it is asked is one that is not there: whoever asks looks for the lock again.
            Ok(Err(LocalError::Nobody | LocalError::Broken(_) | LocalError::Io(_))) => Ok(None),
            Ok(Err(LocalError::Crowded)) | Err(_) => Err(StoreError::Busy),
            Ok(Err(error)) => Err(failed(&error)),
        }
    }
}

fn failed(error: &LocalError) -> StoreError {
    StoreError::Io {
        what: "reach the daemon that keeps the vault".to_owned(),
        source: io::Error::other(match error {
            LocalError::Version { .. } => {
                format!("{error}: authy-mcp lock ends it, and authy-mcp unlock starts this one")
            }
            error => error.to_string(),
        }),
    }
}

async fn begin(socket: &Socket, asked: Asked, proof: &Proof<'_>) -> Result<TokioIo<Upgraded>, LocalError> {
    let mut connection = Connection::open(socket).await?;
    let upgraded = match asked.errand {
        Errand::Turn { .. } => {
            let key = LocalKey::new(proof());
            let nonce = connection.prove(&key, socket).await?;
            connection.upgrade(PATH, &asked, Some((&key, &nonce))).await?
        }
        Errand::Leave => connection.upgrade(PATH, &asked, None).await?,
    };
    let mut io = TokioIo::new(upgraded);
    match read(&mut io, REPLY).await? {
        Some(nothing) if nothing.is_empty() => Ok(io),
        // It says why: that the wait is over, as a rule.
        Some(_) => Err(LocalError::Crowded),
        None => Err(LocalError::Broken("it ended before it was our turn".to_owned())),
    }
}

/// A turn at a daemon's store.
struct Turn<T> {
    runtime: Option<tokio::runtime::Runtime>,
    /// Nothing, once it broke off: a reply that comes late is to nothing that is asked then.
    io: Option<T>,
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Line for Turn<T> {
    fn ask(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        let (runtime, mut io) =
            self.runtime.as_ref().zip(self.io.take()).ok_or(io::ErrorKind::NotConnected)?;
        let asked = async {
            let asked = async {
                write(&mut io, request).await?;
                read(&mut io, REPLY).await?.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset))
            };
            tokio::time::timeout(THINKS, asked).await.map_err(|_| io::ErrorKind::TimedOut)?
        };
        let reply = runtime.block_on(asked)?;
        self.io = Some(io);
        Ok(reply)
    }
}

impl<T> Drop for Turn<T> {
    /// Wherever it is dropped, nothing is waited for.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{LocalStore, SocketStore, Store, answer as answer_from, conforms};

    /// A store behind a socket, as a daemon has it; what may be exchanged is not for the engine to say.
    fn over_a_socket(store: Arc<LocalStore>) -> SocketStore {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let stream = |stream: std::os::unix::net::UnixStream| {
            stream.set_nonblocking(true).unwrap();
            tokio::net::UnixStream::from_std(stream).unwrap()
        };
        std::thread::spawn(move || {
            runtime().block_on(async {
                let mut io = stream(theirs);
                let answering = move |request: &[u8]| answer_from(&*store, request, |_, _| Ok(()));
                answer(answering, &mut io).await.unwrap();
            });
        });
        let runtime = runtime();
        let io = runtime.block_on(async {
            let mut io = stream(ours);
            assert_eq!(read(&mut io, REPLY).await.unwrap(), Some(Vec::new()));
            io
        });
        SocketStore::over(Box::new(Turn { runtime: Some(runtime), io: Some(io) }))
    }

    #[test]
    fn a_store_behind_a_socket_is_an_engine_as_any_other() {
        // A daemon keeps its store from one turn to the next.
        let kept = Mutex::new(std::collections::BTreeMap::new());
        conforms("the daemon's socket", &|dir| {
            let mut kept = kept.lock();
            let store = kept.entry(dir.to_owned()).or_insert_with(|| {
                let dir = dir.join("store");
                crate::files::create_private_dir(&dir).unwrap();
                Arc::new(LocalStore::write(&dir).unwrap())
            });
            Box::new(over_a_socket(Arc::clone(store)))
        });
    }

    #[test]
    fn a_daemon_that_is_gone_is_an_error_and_no_answer() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(theirs);
        ours.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let io = runtime.block_on(async { tokio::net::UnixStream::from_std(ours).unwrap() });
        let store = SocketStore::over(Box::new(Turn { runtime: Some(runtime), io: Some(io) }));
        assert!(matches!(store.value("root"), Err(StoreError::Io { .. })));
        assert!(matches!(store.exchange("root", None, Some(b"new")), Err(StoreError::Io { .. })));
    }

    #[tokio::test]
    async fn a_message_is_no_longer_than_there_is_of_it() {
        let long = [&REQUEST.to_be_bytes()[..], b"short"].concat();
        let too_long = [&(REQUEST + 1).to_be_bytes()[..], b"short"].concat();
        for (bytes, error) in [(long, io::ErrorKind::UnexpectedEof), (too_long, io::ErrorKind::InvalidData)] {
            assert_eq!(read(&mut &bytes[..], REQUEST).await.unwrap_err().kind(), error);
        }
        assert_eq!(read(&mut &b""[..], REQUEST).await.unwrap(), None);
    }
}
