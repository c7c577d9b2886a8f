//! What agents ask of a broker, wherever it is: in this process, or in the daemon.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Answer, Broker, Credential, Refused,
    call::{Call, Reply},
};
use crate::{redact::NeedleSet, run::Piece};

/// An answer that is being worked out.
pub(crate) type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who calls, and through which server: both come with every request.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Rebuilt into a session at every request.
    pub credential: Credential,
    /// The environment of the server through which the call came; a policy may pass variables of it.
    pub environment: Arc<BTreeMap<String, String>>,
    /// By which way the call came.
    pub way: Way,
}

/// By which way a call came, as the caller says it: neither is worth more than the credential beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// A tool call over MCP.
    #[default]
    Tool,
    /// `authy-mcp run`.
    Run,
}

/// What goes on between the caller and a call that takes a while.
#[derive(Default)]
pub(crate) struct Meanwhile {
    /// Gets redacted output as it comes.
    pub progress: Option<mpsc::Sender<Piece>>,
    /// Ends the call.
    pub cancel: CancellationToken,
}

/// The calls of agents.
pub(crate) trait Service: Send + Sync {
    /// Whose a credential is, by its signature alone: nothing is opened, locked or waited for. What it returns is
    /// a name for the caller, the same for all credentials that were handed on from one.
    fn know<'a>(&'a self, caller: &'a Caller) -> Pending<'a, Result<String, Refused>>;

    /// Whether a credential is good at this moment.
    fn check<'a>(&'a self, caller: &'a Caller) -> Pending<'a, Result<(), Refused>>;

    /// Does what a call asks for.
    fn call<'a>(
        &'a self,
        caller: &'a Caller,
        call: Call,
        meanwhile: Meanwhile,
    ) -> Pending<'a, Result<Answer<Reply>, Refused>>;

    /// What must be masked in anything that goes out beside an answer, as far as this process knows.
    fn needles_for_anyone(&self) -> NeedleSet;

    /// Ends what this server's callers left running.
    fn close(&self) -> Pending<'_, ()>;
}

impl Service for Arc<Broker> {
    fn know<'a>(&'a self, caller: &'a Caller) -> Pending<'a, Result<String, Refused>> {
        Box::pin(self.known_caller(&caller.credential))
    }

    fn check<'a>(&'a self, caller: &'a Caller) -> Pending<'a, Result<(), Refused>> {
        Box::pin(self.check_credential(&caller.credential))
    }

    fn call<'a>(
        &'a self,
        caller: &'a Caller,
        call: Call,
        meanwhile: Meanwhile,
    ) -> Pending<'a, Result<Answer<Reply>, Refused>> {
        let credential = &caller.credential;
        match call {
            Call::ListAllowed => {
                Box::pin(async move { Ok(self.list_allowed(credential).await?.map(Reply::Allowed)) })
            }
            Call::RunWithSecrets(params) => Box::pin(async move {
                let Meanwhile { progress, cancel } = meanwhile;
                Ok(self.run_with_secrets(caller, params, progress, cancel).await?.map(Reply::Ran))
            }),
            Call::RequestToken(params) => {
                Box::pin(async move { Ok(self.request_token(credential, params).await?.map(Reply::Token)) })
            }
        }
    }

    fn needles_for_anyone(&self) -> NeedleSet {
        Broker::needles_for_anyone(self)
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(Broker::close(self))
    }
}
