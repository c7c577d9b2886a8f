//! The built binary from outside: what a stranger, an agent and an attacker meet.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests start programs and stop where something is wrong"
)]

mod arrows;
mod attacks;
mod damage;
mod durability;
mod files;
mod runs;
mod stage;
mod states;
mod tap;
