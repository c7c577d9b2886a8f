//! What a broker is made with.

use std::{path::PathBuf, sync::Arc};

use super::surroundings::Surroundings;
use crate::{
    run::{ControlNames, Spares},
    supervise::{Nursery, RunAs},
    vault::UnlockMethod,
};

/// How a broker reaches its home.
pub(crate) struct Settings {
    /// `$AUTHY_MCP_HOME`.
    pub home: PathBuf,
    /// What opens the vault, if anything does without a person.
    pub opener: Option<UnlockMethod>,
    /// This binary, which supervises runs.
    pub supervisor: PathBuf,
    /// Where supervisors are forked, if this process has one.
    pub nursery: Option<Nursery>,
    /// Whether supervisors wait for runs to come.
    pub spares: Spares,
    /// The user's home directory.
    pub user_home: PathBuf,
    /// What no run sees.
    pub hidden: Hidden,
    /// The user that runs are of, where it is not this process's own.
    pub run_as: Option<RunAs>,
    /// How many descriptors programs may have, where this process has raised its own limit.
    pub descriptors: Option<u64>,
    /// When what remembers the audit outside of the home has an intent.
    pub anchors: Anchors,
    /// The clock, the vault's engine, and what starts programs.
    pub around: Surroundings,
}

/// When what remembers the audit outside of the home has an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchors {
    /// Before anything is revealed: nothing else remembers it once this process is gone.
    AtOnce,
    /// Within a second: a daemon lives on, and remembers it meanwhile.
    Follow,
}

/// What no run sees, whatever a policy shows it of what lies around.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hidden {
    /// Credentials and clients' configurations, unless a policy names them.
    pub places: Vec<PathBuf>,
    /// Clients' configurations in the directory where a run starts, relative to it.
    pub in_projects: Vec<PathBuf>,
    /// The vault's own, and the daemon's sockets: never.
    pub never: Vec<PathBuf>,
    /// What no run may write, where it may write: what other programs run or trust unasked.
    pub control: Arc<ControlNames>,
}
