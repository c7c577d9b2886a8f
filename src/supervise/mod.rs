//! The other process: the supervisor of one run, and what the server's own process keeps to itself.
//!
//! This binary, started once for each run, is the subreaper of the run's tree: it ends the tree when it is told to,
//! when the program ends, and when the process that started it is gone. What may be in memory here is a property of
//! this room: values enter over one socket ([`wire`]), after the process made itself unreadable, and stay only until
//! the program is started. Nothing of the vault, no key and no policy text ever enters.

mod brood;
pub(crate) mod discard;
#[cfg(target_os = "linux")]
mod disk;
#[doc(hidden)]
pub(crate) mod fuzzing;
mod gate;
mod harden;
#[cfg(target_os = "linux")]
mod init;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(not(target_os = "linux"))]
mod keeper_elsewhere;
mod nursery;
mod own;
mod process;
mod program;
mod role;
mod supervisor;
pub(crate) mod tree;
#[cfg(target_os = "linux")]
mod usage;
mod user;
mod watch;
pub(crate) mod wire;

pub(crate) use harden::{
    Manner, Side, continue_in_child, in_a_user_namespace, leave_streams, lock_memory, proc_is_anothers,
    set_nondumpable, survive_file_limits,
};
pub use nursery::Nursery;
pub(crate) use nursery::{Newborn, Unborn};
pub(crate) use process::Process;
pub(crate) use role::Role;
pub(crate) use supervisor::{counted, words};
pub use supervisor::{machine, supervise};
pub(crate) use tree::{become_subreaper, private_umask, signal_name, signal_number};
pub(crate) use user::{RunAs, RunAsError};

/// The argument with which this binary is started as a supervisor; the user that it becomes may follow.
pub const SUPERVISE: &str = "__supervise";

/// What stands ready in a run's private directory.
pub(crate) const DIRS: [&str; 3] = ["home", "work", "tmp"];
