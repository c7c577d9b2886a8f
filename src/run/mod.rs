//! Child processes: argv without a shell, an environment that starts empty, output redacted as it
//! comes, and a tree that ends with its run.
//!
//! What enters are terms that a policy set and values that an intent covers. A small supervisor (this
//! same binary, started for each run) is the subreaper of the run's tree: it ends the tree when it
//! is told to, when the program ends, and when whoever started it is gone.

mod attached;
mod digest;
mod execute;
mod harden;
mod process;
mod stage;
mod supervisor;
mod tree;
mod wire;

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use crate::{
    name::{EnvName, RunId, SecretName},
    policy::{CwdTerm, HomeMode},
    redact::{Counts, Redacted},
    value::SecretValue,
};

pub use attached::pass_through;
pub use digest::digest_program;
pub use execute::execute;
pub use harden::{Side, go_on_in_a_child, in_a_user_namespace, keep_private, leave_streams, lock_memory};
pub use process::Process;
pub use supervisor::supervise;
pub use tree::{become_subreaper, private_umask, signal_name};

/// The argument with which this binary is started as a supervisor.
pub const SUPERVISE: &str = "__supervise";

/// Everything that one run needs.
pub struct Launch {
    /// The run's identity.
    pub run_id: RunId,
    /// This binary, which supervises.
    pub supervisor: PathBuf,
    /// The program, absolute.
    pub program: PathBuf,
    /// SHA-256 that it must have.
    pub pin: Option<[u8; 32]>,
    /// `argv[0]` and the rest.
    pub argv: Vec<String>,
    /// Variables that aren't secret, complete (PATH, HOME and TMPDIR aside).
    pub env: BTreeMap<EnvName, OsString>,
    /// Values that go into variables.
    pub env_secrets: Vec<(EnvName, SecretName, SecretValue)>,
    /// Values that go into private files; the variable gets the path, and so does `{file:NAME}` in `env`.
    pub file_secrets: Vec<(EnvName, SecretName, SecretValue)>,
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

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself.
    Exited(i32),
    /// By a signal.
    Signaled(i32),
    /// It took too long.
    TimedOut,
    /// The caller ended it.
    Cancelled,
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

/// What came of a run.
#[derive(Debug)]
pub struct RunOutput {
    /// How it ended.
    pub ending: Ending,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
    /// What was masked.
    pub counts: Counts,
    /// How long it took.
    pub duration: Duration,
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
    /// The program isn't there or can't be run.
    #[error("the program can't be started")]
    ProgramNotFound,
    /// The program isn't what was pinned.
    #[error("the program has changed since the policy was applied")]
    ProgramChanged,
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
    fn io(what: &str, source: std::io::Error) -> Self {
        Self::Io { what: what.to_owned(), source }
    }
}
