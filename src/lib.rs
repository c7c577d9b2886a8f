//! An MCP server that lets an AI agent use secrets and never see them.
//!
//! The rooms, in the order in which data flows back from the edge; arrows point one way, and
//! `tests/it/arrows.rs` holds the `use` lines against this list:
//!
//! - [`cli`], [`mcp`]: words in, words out. [`setup`]: paths and client configurations.
//! - [`daemon`]: a broker for other processes, on a Unix socket, and its client.
//! - [`broker`]: agents; the one place where a request becomes an action. [`operator`]: people who can unlock the vault.
//! - [`policy`]: documents and decisions, pure. [`token`]: credentials.
//! - [`run`]: child processes. [`sandbox`]: what contains one. [`supervise`]: the other process.
//! - [`delivery`]: how a value gets to where it is used. [`proxy`]: by which sealed values go out. [`redact`]: needles, the streaming redactor, what may leave.
//! - [`vault`]: secrets, versions, envelopes. [`store`]: bytes only. [`audit`]: events and their chain.
//! - [`shown`]: foreign text as a person is shown it. [`listen`]: connections within bounds.
//! - [`names`], [`value`]: what is parsed once, at the edge, and what is never printed. [`files`]: private files.
//! - [`system`]: the machine's lists.
//!
//! Security is a value that one holds: [`policy::Policy::decide`] makes an [`policy::Allowed`],
//! [`audit::AuditLog::record_intent`] consumes it and returns an [`audit::Intent`], and
//! [`vault::Vault::reveal`] gives a value for no less than that.

pub mod audit;
pub mod broker;
pub mod cli;
pub mod daemon;
pub mod delivery;
pub mod files;
pub mod listen;
pub mod mcp;
pub mod names;
pub mod operator;
pub mod policy;
pub mod proxy;
pub mod redact;
pub mod run;
pub mod sandbox;
pub mod setup;
pub mod shown;
pub mod store;
pub mod supervise;
pub(crate) mod system;
pub mod token;
pub mod value;
pub mod vault;

/// What fuzz targets, benches and tests of this repository reach in for: no interface, and not kept stable.
#[doc(hidden)]
pub mod testing {
    pub use crate::{
        daemon::fuzzing as daemon,
        names::{HostPattern, ScopeName, SecretName, SecretPattern},
        policy::{ArgvPattern, Document, PathPattern},
        proxy::fuzzing as proxy,
        redact::{NeedleSet, Needles},
        setup::env_file,
        store::fuzzing as store,
        supervise::fuzzing as supervise,
        value::SecretValue,
        vault::fuzz_envelope as envelope,
    };

    /// The audit log, as it is written and read.
    pub mod audit {
        pub use crate::audit::{
            AuditKeys, AuditLog, Filter, Found, Head, Note, events, last_denial, said_last_change, verify,
        };
    }

    /// Tokens, as they are issued and checked.
    pub mod token {
        pub use crate::token::{Class, LEEWAY, Order, Revocations, TokenKeys};
    }
}
