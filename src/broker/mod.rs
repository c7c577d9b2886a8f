//! The broker: the one place where a request becomes an action.
//!
//! A request enters with its credential; the session is rebuilt from that credential each time. What
//! leaves is an answer with the needles of the scope beside it, so that the edge can mask every byte
//! of it. Nobody but the broker sees policy, vault and audit at once.

pub mod admin;
pub mod api;
pub mod refusal;

use std::{path::PathBuf, sync::Arc};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::{name::ScopeName, redact::NeedleSet, run::Piece, vault::Opener};
use api::{ListAllowed, RunParams, RunResult, TokenAnswer, TokenParams};
use refusal::Refusal;

/// Who calls: rebuilt into a session at every request.
#[derive(Clone)]
pub enum Credential {
    /// A bearer token.
    Token(Arc<SecretString>),
    /// A scope named by whoever can open the vault by themselves.
    LocalScope(ScopeName),
    /// Nothing was given, or what was given can't be read: every call is refused, in these words.
    Missing(String),
}

/// An answer, and what must be masked in it before it goes anywhere.
pub struct Answer<T> {
    /// The answer itself; streams in it are redacted already.
    pub body: T,
    /// Everything that this scope was given since the broker was started.
    pub needles: NeedleSet,
}

/// A refusal, and what must be masked in it.
pub type Refused = Box<Answer<Refusal>>;

/// How a broker reaches its home.
pub struct Settings {
    /// `$AUTHY_MCP_HOME`.
    pub home: PathBuf,
    /// What opens the vault, if anything does without a person.
    pub opener: Option<Opener>,
    /// This binary, which supervises runs.
    pub supervisor: PathBuf,
    /// The user's home directory.
    pub user_home: PathBuf,
    /// The server's environment, from which a policy may pass variables.
    pub environment: Vec<(String, String)>,
}

/// The broker of one home, in this process.
pub struct Broker {}

impl Broker {
    /// Makes a broker; nothing is opened yet.
    pub fn new(_settings: Settings) -> Arc<Self> {
        todo!()
    }
    /// What the session may use and run.
    ///
    /// # Errors
    /// A refusal.
    pub async fn list_allowed(
        self: &Arc<Self>,
        _credential: &Credential,
    ) -> Result<Answer<ListAllowed>, Refused> {
        todo!()
    }
    /// Runs a command with secrets. `progress` gets redacted output as it comes, `cancel` ends the run.
    ///
    /// # Errors
    /// A refusal.
    pub async fn run_with_secrets(
        self: &Arc<Self>,
        _credential: &Credential,
        _params: RunParams,
        _progress: Option<tokio::sync::mpsc::Sender<Piece>>,
        _cancel: CancellationToken,
    ) -> Result<Answer<RunResult>, Refused> {
        todo!()
    }
    /// Narrows the session, or asks for a credential.
    ///
    /// # Errors
    /// A refusal.
    pub async fn request_token(
        self: &Arc<Self>,
        _credential: &Credential,
        _params: TokenParams,
    ) -> Result<Answer<TokenAnswer>, Refused> {
        todo!()
    }
    /// What must be masked in anything that goes to this credential's holder outside an answer
    /// (protocol errors, argument errors). Never fails: an unknown credential was given nothing.
    pub fn needles_for(&self, _credential: &Credential) -> NeedleSet {
        todo!()
    }
    /// Whether a bearer token is good at this moment, for the 401 of the HTTP door.
    ///
    /// # Errors
    /// A refusal.
    pub async fn check_credential(self: &Arc<Self>, _credential: &Credential) -> Result<(), Refused> {
        todo!()
    }
}
