//! The daemon's API: HTTP over a Unix socket, and its client.
//!
//! What enters are agents' calls, each with its credential; what leaves is masked before it does, since
//! nobody at the other end knows what to mask. No passphrase and no identity ever crosses the socket. The daemon
//! keeps the vault's database; an operator's command, which opens the identity itself, has a turn at it over the socket:
//! ciphertext and MACs, and a root that is the very next of this vault ([`lend`]). `--scope` without a token is
//! taken only with a proof of the identity, or from a process of a run's own tree. Processes of other users
//! are let in where the daemon is open to their group: with a token, and to nothing that is the operator's.
//!
//! ```text
//! GET  /v1/status         who is there: health, limits, counts; no name of a secret or scope
//! POST /v1/challenge      { nonce } → { nonce, proof }: the daemon proves itself, and offers a nonce
//! POST /v1/check | list_allowed | request_token     { credential, params } → { answer } | { refused }
//! POST /v1/run            { call, credential, environment, params } → one JSON line a piece, then the result
//! POST /v1/cancel         { call }
//! POST /v1/look           the vault is looked at: what is seen can't be put back
//! POST /v1/engine         (proof) a turn at the vault's database, as long as the connection is open
//! POST /v1/retire         (proof) finish what runs, make room for a fresh daemon
//! POST /v1/lock           end what runs, wipe the keys, exit
//! ```

mod client;
mod connection;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod idle;
mod lend;
mod peer;
mod proof;
mod reply;
mod server;
mod socket;
mod stats;
mod wire;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::names::GrantId;

pub(crate) use client::{Client, Starter};
pub(crate) use error::LocalError;
pub(crate) use host::{Host, HostSettings, Lifetime};
pub(crate) use lend::Operator;
pub(crate) use proof::LocalKey;
pub(crate) use server::AuthMode;
pub(crate) use socket::{Listener, OpenTo, Socket, Trust, group, handed_over};
pub(crate) use wire::Status;

/// The longest path that a Unix socket's address takes, with room for a suffix.
const LONGEST_PATH: usize = 100;

/// Where a run with a session to give listens: outside of the home, whose path its program needn't know.
pub(crate) fn run_socket_path(runtime: Option<&Path>, instance: &GrantId) -> PathBuf {
    runtime.map_or_else(shared_dir, |dir| dir.join("authy-mcp")).join(format!("run-{instance}.sock"))
}

/// The session that such a socket's name is of.
pub(crate) fn instance_of(socket: &Path) -> Option<GrantId> {
    GrantId::parse(socket.file_stem()?.to_str()?.strip_prefix("run-")?).ok()
}

fn shared_dir() -> PathBuf {
    PathBuf::from(format!("/tmp/authy-mcp-{}", rustix::process::getuid().as_raw()))
}

/// Where a home's daemon listens: `<home-hash>.sock` in the user's runtime directory, or in the home
/// itself where there is none.
pub(crate) fn socket_path(runtime: Option<&Path>, home: &Path) -> PathBuf {
    let real = std::fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
    let hash = hex::encode(Sha256::digest(real.as_os_str().as_encoded_bytes()));
    let name = format!("{}.sock", &hash[..24]);
    let in_home = home.join("run").join("daemon.sock");
    match runtime {
        Some(dir) => dir.join("authy-mcp").join(name),
        None if in_home.as_os_str().len() <= LONGEST_PATH => in_home,
        None => shared_dir().join(name),
    }
}
