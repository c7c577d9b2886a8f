//! Child processes: argv without a shell, an environment that starts empty, output redacted as it
//! comes, and a tree that ends with its run.
//!
//! What enters are terms that a policy set and values that an intent covers. A small supervisor (a process of this
//! same binary, one a run) is the subreaper of the run's tree: it ends the tree when it is told to, when the program
//! ends, and when whoever started the run is gone.

mod attached;
mod background;
mod control;
mod execute;
mod masker;
mod place;
mod pool;
mod reader;
mod scan;
mod screens;
mod stage;
mod supervisors;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::{TcpListener, UdpSocket},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use crate::{
    names::{EnvName, RunId, SecretName},
    policy::{CwdTerm, HomeMode, Limit, SandboxTerms},
    redact::{MaskLedger, Redacted},
    sandbox::{Endpoint, SandboxPlan, ViewError},
    value::SecretValue,
};

pub(crate) use attached::{Signals, pass_through};
pub use control::ControlNames;
pub(crate) use control::{WrittenFate, WrittenFile, WrittenKind};
pub use execute::execute;
pub(crate) use scan::{Fate, FileHit, LeftBehind};
pub use supervisors::{Spares, Supervisors};

/// Everything that one run needs. It can't be made without what contains it, nor without the digests that are on
/// record:
///
/// ```
/// # use authy_mcp::testing::run::{Launch, Materials, Sandbox, Start};
/// fn launch(sandbox: Sandbox, start: Start, materials: Materials) -> Launch {
///     Launch::new(sandbox, Vec::new(), start, materials)
/// }
/// ```
///
/// ```compile_fail,E0061
/// # use authy_mcp::testing::run::{Launch, Materials, Start};
/// fn launch(start: Start, materials: Materials) -> Launch {
///     Launch::new(Vec::new(), start, materials) // nothing contains it
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use authy_mcp::testing::run::{Launch, Materials, Sandbox, Start};
/// fn launch(start: Start, materials: Materials) -> Launch {
///     Launch::new(Sandbox::none(), Vec::new(), start, materials) // nobody said that it is off
/// }
/// ```
pub struct Launch {
    sandbox: Sandbox,
    chain: Vec<(PathBuf, [u8; 32])>,
    start: Start,
    materials: Materials,
    /// Sockets that the run is given.
    given: Vec<PathBuf>,
}

/// What is started, where, and within which limits.
pub struct Start {
    /// The run's identity.
    pub run_id: RunId,
    /// Where its supervisor comes from.
    pub supervisors: Arc<Supervisors>,
    /// The program, absolute.
    pub program: PathBuf,
    /// SHA-256 that it must have.
    pub pin: Option<[u8; 32]>,
    /// `argv[0]` and the rest.
    pub argv: Vec<String>,
    /// PATH's directories, in order.
    pub path: Vec<PathBuf>,
    /// Which HOME.
    pub home: HomeMode,
    /// The user's home, for [`HomeMode::User`].
    pub user_home: PathBuf,
    /// Where it starts.
    pub cwd: CwdTerm,
    /// Bytes for standard input; closed where there are none.
    pub stdin: Option<Vec<u8>>,
    /// Of the run; SIGTERM then, SIGKILL 10 s later.
    pub timeout: Duration,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Bytes a stream that are kept (head and tail).
    pub output_limit: usize,
}

/// What a program finds: variables, values, files, and ports where somebody listens.
#[derive(Default)]
pub struct Materials {
    /// Variables that aren't secret, complete (PATH, HOME and TMPDIR aside).
    pub env: BTreeMap<EnvName, OsString>,
    /// Values that go into variables.
    pub env_secrets: Vec<(EnvName, SecretName, SecretValue)>,
    /// Values that go into private files; the variable gets the path, and so does `{file:NAME}` in `env`.
    pub file_secrets: Vec<(EnvName, SecretName, SecretValue)>,
    /// Files that aren't secret, for the run's private directory, by what `{file:…}` calls them.
    pub files: Vec<(String, Vec<u8>)>,
    /// Which of those the program finds in the place of files of the system's: what `{file:…}` calls it, and the
    /// places, links followed.
    pub covers: Vec<(String, Vec<PathBuf>)>,
    /// Where whoever starts the run is to be found on its own loopback.
    pub listen: Vec<Endpoint>,
}

/// A socket in a run's own network.
#[derive(Debug)]
pub enum Listening {
    /// For connections.
    Stream(TcpListener),
    /// For datagrams.
    Datagrams(UdpSocket),
}

impl Listening {
    fn of(endpoint: Endpoint, descriptor: OwnedFd) -> Self {
        match endpoint {
            Endpoint::Stream(_) => Self::Stream(descriptor.into()),
            Endpoint::Datagrams(_) => Self::Datagrams(descriptor.into()),
        }
    }
}

impl Launch {
    /// A run in its sandbox. `chain` is the program and its interpreters by real path, with the digests that are on
    /// record.
    pub fn new(
        sandbox: Sandbox,
        chain: Vec<(PathBuf, [u8; 32])>,
        start: Start,
        materials: Materials,
    ) -> Self {
        Self { sandbox, chain, start, materials, given: Vec::new() }
    }

    /// Whether the program itself is given a value.
    pub fn gives_values(&self) -> bool {
        !self.materials.env_secrets.is_empty() || !self.materials.file_secrets.is_empty()
    }

    /// How it is contained.
    pub fn contained_by(&self) -> &SandboxPlan {
        &self.sandbox.plan
    }

    /// Gives the run a socket, and names it in a variable.
    pub fn agent_session(&mut self, name: EnvName, socket: PathBuf) {
        self.materials.env.insert(name, socket.clone().into());
        self.given.push(socket);
    }
}

#[cfg(test)]
impl Launch {
    /// What it is made of, for a runner that starts nothing.
    pub(crate) fn parts(&self) -> (&Start, &Materials) {
        (&self.start, &self.materials)
    }
}

/// What contains a run, and what it may reach.
#[derive(Debug, Clone)]
pub struct Sandbox {
    plan: SandboxPlan,
    terms: SandboxTerms,
    unseen: Unseen,
}

/// What no run sees, whatever a policy shows it of what lies around.
#[derive(Debug, Clone)]
pub struct Unseen {
    /// Credentials and clients' configurations: not seen unless the policy names them.
    pub hidden: Vec<PathBuf>,
    /// Settings of the user's that hold a login, likewise: not seen where the home is shown.
    pub settings: Vec<PathBuf>,
    /// Clients' configurations in projects, likewise.
    pub covered: Vec<PathBuf>,
    /// What of the system others may not read, for root's runs: not seen unless it is a place of the run.
    pub closed: Vec<PathBuf>,
    /// The vault and the daemon's sockets: never seen.
    pub never: Vec<PathBuf>,
    /// What other programs run or trust unasked: not to be written.
    pub control: Arc<ControlNames>,
}

impl Sandbox {
    /// How a run is contained on this machine, what the policy lets it reach, and what it never sees.
    pub fn new(plan: SandboxPlan, terms: SandboxTerms, unseen: Unseen) -> Self {
        Self { plan, terms, unseen }
    }
}

/// Takes the sockets on which whoever started a run listens, in the order of [`Materials::listen`].
pub(crate) type OnListening = Box<dyn FnOnce(Vec<Listening>) + Send>;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// By itself.
    Exited(i32),
    /// By a signal.
    Signaled(i32),
    /// It took too long.
    TimedOut,
    /// The caller ended it.
    Cancelled,
    /// What allowed it was taken back.
    Revoked,
    /// It came to the end of what it may use.
    ResourceLimit(Limit),
    /// It never ran.
    FailedToStart,
}

/// One stream's output.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Redacted, cut, and made valid UTF-8 (in that order).
    pub text: Redacted<String>,
    /// Whether something was left out in the middle.
    pub truncated: bool,
}

/// What came of a run, wherever its streams went.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub ending: RunOutcome,
    /// What it exited without: something that it wanted beyond this limit.
    pub without: Option<Limit>,
    /// What was masked in what is told of it, and what was not looked into.
    pub(crate) ledger: MaskLedger,
    /// What it left behind where it may write.
    pub left: LeftBehind,
    /// How long it took.
    pub duration: Duration,
    /// Of that, how long until the program was started.
    pub setup: Duration,
}

/// What came of a run whose streams were captured.
#[derive(Debug)]
pub struct RunOutput {
    /// How it ended.
    pub ended: Ended,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
}

/// A piece of output as it comes.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Which stream: 1 or 2.
    pub fd: u8,
    /// What it wrote.
    pub text: Redacted<String>,
}

/// Why a run couldn't be started.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The directory isn't where it was allowed to be.
    #[error("the working directory is not inside one that the policy names")]
    Cwd,
    /// The directory would make this a place to be written.
    #[error(
        "the working directory would let the run write in {}, which is run or trusted by other programs",
        .0.display()
    )]
    CwdInControlFile(PathBuf),
    /// The program isn't there or can't be run.
    #[error("the program can't be started")]
    ProgramNotFound,
    /// The program isn't what was pinned.
    #[error("the program has changed since the policy was applied")]
    ProgramChanged,
    /// What the policy names can't be shown.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A step of containing it failed.
    #[error("the run can't be contained: {0}")]
    NotContained(String),
    /// A value with a NUL can't be put into a variable.
    #[error("the value of {0} can't be put into a variable: it has a NUL byte")]
    NulInValue(SecretName),
    /// The operating system.
    #[error("the run can't be set up: {what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

impl RunError {
    /// A program that can't be read: it is not there for this user, or the machine has a fault.
    pub(crate) fn program(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
        match error.kind() {
            NotFound | NotADirectory | PermissionDenied => Self::ProgramNotFound,
            _ => Self::io("read the program", error),
        }
    }

    /// A step of setting a run up that failed.
    pub(crate) fn io(what: &str, source: std::io::Error) -> Self {
        Self::Io { what: what.to_owned(), source }
    }
}
