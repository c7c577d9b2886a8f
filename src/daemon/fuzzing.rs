//! What the fuzz targets of this room are given: the bodies of calls and answers, read and written again.

use serde::{Serialize, de::DeserializeOwned};

use super::wire::{Answered, Cancel, Challenge, Challenged, Posted, Status};
use crate::broker::Credential;

/// What crosses the socket.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// A call, from a client.
    Call,
    /// The end of one.
    Cancel,
    /// The question who is there.
    Challenge,
    /// Its answer, from a daemon.
    Challenged,
    /// An answer to a call.
    Reply,
    /// What a daemon says of itself.
    Status,
}

/// Reads a body as the other side does, and writes it again; nothing where it is none.
pub fn again(body: Body, bytes: &[u8]) -> Option<Vec<u8>> {
    match body {
        Body::Call => written_again::<Posted>(bytes),
        Body::Cancel => written_again::<Cancel>(bytes),
        Body::Challenge => written_again::<Challenge>(bytes),
        Body::Challenged => written_again::<Challenged>(bytes),
        Body::Reply => written_again::<Answered>(bytes),
        Body::Status => written_again::<Status>(bytes),
    }
}

fn written_again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Vec<u8>> {
    let body: T = serde_json::from_slice(bytes).ok()?;
    serde_json::to_vec(&body).ok()
}

/// What a broker is given of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// A bearer token.
    Token,
    /// A scope.
    Scope,
    /// The session of a process tree.
    Tree,
    /// No credential.
    Nothing,
}

/// What a broker is given of a call; nothing where the body is none.
pub fn given(body: &[u8]) -> Option<Given> {
    let call: Posted = serde_json::from_slice(body).ok()?;
    Some(match call.credential.into_credential(call.session, None) {
        Credential::Token(_) => Given::Token,
        Credential::LocalScope(_) => Given::Scope,
        Credential::Tree(_) => Given::Tree,
        Credential::Missing { .. } => Given::Nothing,
    })
}
