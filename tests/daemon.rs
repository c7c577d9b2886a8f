//! The same tests as in `it`, with the broker in a daemon that servers start by themselves.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests start programs and stop where something is wrong"
)]
#![allow(dead_code, reason = "the stage is that of other tests, too")]

/// Whether servers go to a daemon, which they start by themselves.
pub(crate) const DAEMON: bool = true;

#[path = "it/attacks.rs"]
mod attacks;
#[path = "it/audit.rs"]
mod audit;
#[path = "it/backups.rs"]
mod backups;
#[path = "it/cancel.rs"]
mod cancel;
#[path = "it/contained.rs"]
mod contained;
#[path = "it/doors.rs"]
mod doors;
#[path = "it/framing.rs"]
mod framing;
#[path = "it/guesses.rs"]
mod guesses;
#[path = "it/homes.rs"]
mod homes;
#[path = "it/hosted.rs"]
mod hosted;
#[path = "it/hostile.rs"]
mod hostile;
#[path = "it/lent.rs"]
mod lent;
#[path = "it/log.rs"]
mod log;
#[path = "it/nursery.rs"]
mod nursery;
#[path = "it/promises.rs"]
mod promises;
#[path = "it/revoked.rs"]
mod revoked;
#[path = "it/rights.rs"]
mod rights;
#[path = "it/runs.rs"]
mod runs;
#[path = "it/stage.rs"]
mod stage;
#[path = "it/states.rs"]
mod states;
#[path = "it/tap.rs"]
mod tap;
