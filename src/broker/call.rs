//! What agents can ask, once for every way by which they do: a variant a tool, with its parameters and its answer. MCP
//! and the daemon's socket carry these and know no more of a tool than its row.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    api::{ListAllowed, RunParams, RunResult, TokenAnswer, TokenParams},
    refusal::{Code, Refusal},
};

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// What the session may use and run.
    ListAllowed,
    /// To run a command with secrets.
    RunWithSecrets(RunParams),
    /// To narrow the session, or for a narrower credential under it.
    RequestToken(TokenParams),
}

/// What is answered.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Reply {
    /// To [`Call::ListAllowed`].
    Allowed(ListAllowed),
    /// To [`Call::RunWithSecrets`].
    Ran(RunResult),
    /// To [`Call::RequestToken`].
    Token(TokenAnswer),
}

/// The kinds of calls, as they go over a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// [`Call::ListAllowed`].
    ListAllowed,
    /// [`Call::RunWithSecrets`].
    RunWithSecrets,
    /// [`Call::RequestToken`].
    RequestToken,
}

/// How the answer to a call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// At once, as a whole.
    Whole,
    /// After pieces on the way, and it can be cancelled.
    Streamed,
}

impl CallKind {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::ListAllowed, Self::RunWithSecrets, Self::RequestToken];

    /// Its path on the daemon's socket.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::ListAllowed => "/v1/list_allowed",
            Self::RunWithSecrets => "/v1/run",
            Self::RequestToken => "/v1/request_token",
        }
    }

    /// How its answer comes.
    pub(crate) fn manner(self) -> Manner {
        match self {
            Self::ListAllowed | Self::RequestToken => Manner::Whole,
            Self::RunWithSecrets => Manner::Streamed,
        }
    }

    /// A call of this kind, of its parameters; nothing where they can't be read.
    pub(crate) fn call(self, params: Value) -> Option<Call> {
        match self {
            Self::ListAllowed => Some(Call::ListAllowed),
            Self::RunWithSecrets => read(params).map(Call::RunWithSecrets),
            Self::RequestToken => read(params).map(Call::RequestToken),
        }
    }

    /// An answer to a call of this kind; nothing where it can't be read.
    pub(crate) fn reply(self, body: Value) -> Option<Reply> {
        match self {
            Self::ListAllowed => read(body).map(Reply::Allowed),
            Self::RunWithSecrets => read(body).map(Reply::Ran),
            Self::RequestToken => read(body).map(Reply::Token),
        }
    }
}

impl Call {
    /// Of which kind it is.
    pub(crate) fn kind(&self) -> CallKind {
        match self {
            Self::ListAllowed => CallKind::ListAllowed,
            Self::RunWithSecrets(_) => CallKind::RunWithSecrets,
            Self::RequestToken(_) => CallKind::RequestToken,
        }
    }

    /// Its parameters, as [`CallKind::call`] reads them.
    pub(crate) fn params(&self) -> Value {
        match self {
            Self::ListAllowed => Value::Null,
            Self::RunWithSecrets(params) => written(params),
            Self::RequestToken(params) => written(params),
        }
    }
}

impl Reply {
    /// What is said of an answer to something else than what was asked.
    pub(crate) fn to_something_else() -> Refusal {
        Refusal::new(Code::Busy, "the answer is to something else than what was asked", "call again")
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

fn written(params: &impl Serialize) -> Value {
    serde_json::to_value(params).unwrap_or_default()
}
