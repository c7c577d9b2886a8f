//! What is asked for, and what the machine has for it: what admission hands to what prepares a run.

use std::path::PathBuf;

use super::{api::RunParams, service::Caller};
use crate::{policy::Timed, sandbox::SandboxPlan};

/// The program and its interpreters, each with its digest.
pub(super) type Chain = Vec<(PathBuf, [u8; 32])>;

/// Where a run's streams go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    /// Into the result; such a run has a timeout.
    Captured,
    /// To a person's terminal, or another server's client.
    Attached,
}

impl Streams {
    /// What holds such a run to its time.
    pub(super) fn timed(self) -> Timed {
        match self {
            Self::Captured => Timed::Yes,
            Self::Attached => Timed::No,
        }
    }
}

/// What a caller asks for.
pub(super) struct Asked {
    pub(super) caller: Caller,
    pub(super) params: RunParams,
    /// Where the run's streams go.
    pub(super) streams: Streams,
    /// Where it starts if the call names no directory, and the policy lets runs start there.
    pub(super) default_cwd: Option<PathBuf>,
}

/// What was found out of the machine for a run, before anything is spent or revealed.
pub(super) struct Setup {
    pub(super) plan: SandboxPlan,
    pub(super) chain: Chain,
}
