//! Who is at the other end of a connection to the daemon's socket.

use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};

use super::proof::Proven;
use crate::{listen::Listener, supervise::Process};

/// The process at the other end, by the kernel's word, as it was when it connected; and what it has proven since, on this
/// connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    uid: Option<u32>,
    pub(super) process: Option<Process>,
    pub(super) proven: Arc<Proven>,
}

/// Whose process a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Own,
    Other,
}

impl Peer {
    pub(super) fn side(&self) -> Side {
        if self.uid == Some(rustix::process::getuid().as_raw()) { Side::Own } else { Side::Other }
    }

    /// What counts as one peer: a process of ours, or another user with all of its processes.
    pub(super) fn name(&self) -> String {
        match (self.side(), self.process) {
            (Side::Own, Some(process)) => process.to_string(),
            _ => format!("uid {}", self.uid.map_or_else(|| "?".to_owned(), |uid| uid.to_string())),
        }
    }
}

/// Where the daemon listens.
pub(super) struct Doorway(pub UnixListener);

impl Listener for Doorway {
    type Stream = UnixStream;
    type Peer = Peer;

    async fn accept(&self) -> std::io::Result<(UnixStream, Peer)> {
        let (stream, _) = self.0.accept().await?;
        let cred = stream.peer_cred().ok();
        let peer = Peer {
            uid: cred.map(|cred| cred.uid()),
            process: cred.and_then(|cred| cred.pid()).and_then(Process::now),
            proven: Arc::default(),
        };
        Ok((stream, peer))
    }

    fn name(peer: &Peer) -> String {
        peer.name()
    }
}
