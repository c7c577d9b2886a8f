//! The built binary from outside: what a stranger, an agent and an attacker meet, with the broker in each
//! process. `daemon.rs` has the same tests with the broker in a daemon.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests start programs and stop where something is wrong"
)]

/// Whether servers go to a daemon, which they start by themselves.
pub(crate) const DAEMON: bool = false;

mod arrows;
mod attacks;
mod audit;
mod backups;
mod cancel;
mod circles;
mod contained;
mod control;
mod damage;
mod documents;
mod doors;
mod durability;
mod files;
mod framing;
mod freshness;
mod guesses;
mod homes;
mod hostile;
mod house;
mod leaks;
mod limits;
mod log;
mod nursery;
mod parts;
mod promises;
mod put_back;
mod revoked;
mod rights;
mod runs;
mod screens;
mod sealed;
mod snapshots;
mod stage;
mod states;
mod surroundings;
mod tap;
mod terms;
mod upgrade;
