//! What a caller shows of itself, and the process that stands behind it. Nothing here is believed: a session
//! is made of it anew at every request.

use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{
    names::{GrantId, ScopeName},
    supervise::Process,
};

/// Who calls: rebuilt into a session at every request.
#[derive(Clone)]
pub(crate) enum Credential {
    /// A bearer token.
    Token(Bearer),
    /// A scope named by whoever can open the vault by themselves.
    LocalScope(LocalSession),
    /// A scope, by being in the process tree of the run that was given it.
    Tree(GrantId),
    /// Nothing was given, or what was given can't be used: every call is refused, in these words.
    Missing {
        /// What is wrong.
        why: String,
        /// What to do.
        hint: String,
    },
}

/// A bearer token, and who shows it.
#[derive(Clone)]
pub(crate) struct Bearer {
    /// The token.
    pub text: Arc<SecretString>,
    /// Over stdio, the session of the process that shows it. Over HTTP there is none but the token's own: nothing
    /// that a request could name besides is proven by it.
    pub session: Option<GrantId>,
    /// The process that shows it, by the kernel's word. Nothing over HTTP, where anybody may be behind it.
    pub shown_by: Option<Process>,
}

/// For whom what a session without a token issued is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    /// Whoever has it, until the session's process ends.
    Process,
    /// That process and what it started, until it ends.
    Tree,
}

/// The session of a process that needs no token: what it gives up, it alone gives up, and what it issues ends
/// with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalSession {
    /// The scope it named.
    pub scope: ScopeName,
    /// Which session.
    pub instance: GrantId,
    /// The process that it ends with; nothing where there is no `/proc` to tell.
    pub process: Option<Process>,
    /// For whom what it issues is good.
    pub bound: Bound,
}

impl Credential {
    /// No credential at all.
    pub(crate) fn missing(why: impl Into<String>) -> Self {
        let hint = "start the server with --token-file FILE (authy-mcp config CLIENT --scope SCOPE writes one), or with --scope SCOPE";
        Self::Missing { why: why.into(), hint: hint.to_owned() }
    }
}

impl Bearer {
    /// A token that came with one request, from anybody.
    pub(crate) fn of_request(text: SecretString) -> Self {
        Self { text: Arc::new(text), session: None, shown_by: None }
    }

    /// The token of this process: a session of its own.
    pub(crate) fn of_process(text: SecretString) -> Self {
        Self { text: Arc::new(text), session: Some(GrantId::random()), shown_by: Process::this() }
    }
}

impl LocalSession {
    /// A session of this process.
    pub(crate) fn new(scope: ScopeName, bound: Bound) -> Self {
        Self { scope, instance: GrantId::random(), process: Process::this(), bound }
    }

    /// `local:UID#INSTANCE`.
    pub(crate) fn principal(&self) -> String {
        let instance = self.instance.as_str().trim_start_matches("g_");
        format!("local:{}#{instance}", rustix::process::getuid().as_raw())
    }
}
