//! What a process of this binary is that is neither a server nor a command.

use crate::{policy::Network, sandbox::SandboxBackend};

/// What a process is told to be: this binary, started by itself, or forked by its nursery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// The supervisor of a run outside of namespaces.
    Plain,
    /// The supervisor of a run in namespaces, on the host's network.
    Namespaces,
    /// The supervisor of a run in namespaces, with a network of its own.
    OwnNetwork,
    /// [`Role::OwnNetwork`], by which a server finds out what this machine lets a run be contained by: it says first
    /// whether namespaces can be set up.
    Trial,
    /// One that tries namespaces out, and prints what came of it.
    Rehearsal,
    /// What such a trial runs.
    Nothing,
    /// One that removes what a run of another user left, which that user alone can.
    Sweep,
}

impl Role {
    pub(super) const ALL: [Self; 7] = [
        Self::Plain,
        Self::Namespaces,
        Self::OwnNetwork,
        Self::Trial,
        Self::Rehearsal,
        Self::Nothing,
        Self::Sweep,
    ];

    /// Whom a run of this shape, with this network, is supervised by.
    pub(crate) fn of(shape: SandboxBackend, network: Network) -> Self {
        match (shape, network) {
            (SandboxBackend::Namespaces, Network::Open) => Self::Namespaces,
            (SandboxBackend::Namespaces, Network::None | Network::Proxy) => Self::OwnNetwork,
            _ => Self::Plain,
        }
    }

    /// Whether it has a run to watch over, from its beginning or when it is told to.
    pub(super) fn supervises(self) -> bool {
        matches!(self, Self::Plain | Self::Namespaces | Self::OwnNetwork | Self::Trial)
    }

    pub(super) fn has_namespaces(self) -> bool {
        matches!(self, Self::Namespaces | Self::OwnNetwork | Self::Trial)
    }

    /// The word behind [`SUPERVISE`](super::SUPERVISE).
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Namespaces => "namespaces",
            Self::OwnNetwork => "own-network",
            Self::Trial => "trial",
            Self::Rehearsal => "rehearsal",
            Self::Nothing => "nothing",
            Self::Sweep => "sweep",
        }
    }
}
