//! An MCP server that lets an AI agent use secrets and never see them.
//!
//! The rooms, in the order in which data flows back from the edge; arrows point one way, and
//! `tests/it/arrows.rs` holds the `use` lines against this list:
//!
//! - [`cli`], [`mcp`]: words in, words out. [`setup`]: paths and client configurations.
//! - [`daemon`]: a broker for other processes, on a Unix socket, and its client.
//! - [`broker`]: agents; the one place where a request becomes an action. [`operator`]: people who can unlock the vault.
//! - [`policy`]: documents and decisions, pure. [`token`]: credentials.
//! - [`run`]: child processes. [`sandbox`]: what contains one. [`mod@supervise`]: the other process.
//! - [`delivery`]: how a value gets to where it is used. [`proxy`]: by which sealed values go out. [`redact`]: needles, the streaming redactor, what may leave.
//! - [`vault`]: secrets, versions, envelopes. [`store`]: bytes only. [`audit`]: events and their chain.
//! - [`shown`]: foreign text as a person is shown it. [`listen`]: connections within bounds.
//! - [`names`], [`value`]: what is parsed once, at the edge, and what is never printed. [`files`]: private files.
//! - [`system`]: the machine's lists. [`clock`]: how late it is.
//!
//! Security is a value that one holds: [`policy::Policy::decide`] makes an [`policy::Allowed`],
//! [`audit::AuditLog::record_intent`] consumes it and returns an [`audit::Intent`], and
//! [`vault::Vault::reveal`] gives a value for no less than that.

pub(crate) mod audit;
pub(crate) mod broker;
pub(crate) mod cli;
pub(crate) mod clock;
pub(crate) mod daemon;
pub(crate) mod delivery;
pub(crate) mod files;
pub(crate) mod listen;
pub(crate) mod mcp;
pub(crate) mod names;
pub(crate) mod operator;
pub(crate) mod policy;
pub(crate) mod proxy;
pub(crate) mod redact;
pub(crate) mod run;
pub(crate) mod sandbox;
pub(crate) mod setup;
pub(crate) mod shown;
pub(crate) mod store;
pub(crate) mod supervise;
pub(crate) mod system;
mod terminal;
pub(crate) mod token;
pub(crate) mod value;
pub(crate) mod vault;

pub use cli::main;
pub use supervise::{SUPERVISE, supervise};

/// What fuzz targets, benches and tests of this repository reach in for: no interface, and not kept stable.
#[doc(hidden)]
pub mod testing {
    pub use crate::{daemon::fuzzing as daemon, store::fuzzing as store};

    /// The audit log, as it is written and read.
    pub mod audit {
        pub use crate::audit::{
            AuditKeys, AuditLog, Filter, Found, Head, Intent, Note, events, last_denial, said_last_change,
            verify,
        };
    }

    /// The schemas of the tools.
    pub mod mcp {
        pub use crate::mcp::schemas;
    }

    /// Names.
    pub mod names {
        pub use crate::names::{EnvName, HostPattern, RunId, ScopeName, SecretName, SecretPattern};
    }

    /// Documents, and the terms of a run.
    pub mod policy {
        pub use crate::policy::{
            Allowed, ArgvPattern, BaseUrl, CwdTerm, Document, EgressAllowlist, HomeMode, How, Inject,
            Network, OfService, PathPattern, RevealTerms, RunTerms, SaidOff, SandboxMode, SandboxTerms, Seal,
            Service, ServiceInject, SigV4, SubstitutionSite, Terms, Tls, UpstreamProxy, policy_schema,
        };
    }

    /// The proxy for sealed values.
    pub mod proxy {
        pub use crate::proxy::{Egress, ProxyTerms, Record, Running, Sealed, Sockets, fuzzing::*};
    }

    /// Needles.
    pub mod redact {
        pub use crate::redact::{NeedleSet, Needles, bits, taken_apart};
    }

    /// A run.
    pub mod run {
        pub use crate::run::{
            ControlNames, Launch, Materials, RunOutcome, Sandbox, Spares, Start, Supervisors, Unseen, execute,
        };
    }

    /// What contains one.
    pub mod sandbox {
        pub use crate::sandbox::SandboxPlan;
        #[cfg(target_os = "linux")]
        pub use crate::sandbox::system_calls;
    }

    /// Clients and importers.
    pub mod setup {
        pub use crate::setup::{clients, importers};
    }

    /// The other process.
    pub mod supervise {
        pub use crate::supervise::{Nursery, fuzzing::*, machine};
    }

    /// Tokens, as they are issued and checked.
    pub mod token {
        pub use crate::token::{Class, LEEWAY, Order, Revocations, TokenKeys};
    }

    /// Values.
    pub mod value {
        pub use crate::value::SecretValue;
    }

    /// The vault.
    pub mod vault {
        pub use crate::vault::{PARTS, UnlockMethod, Vault, fuzz_envelope, unlock};
    }
}
