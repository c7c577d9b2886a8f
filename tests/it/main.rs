//! The built binary from outside: what a stranger, an agent and an attacker meet.

mod arrows;
mod attacks;
mod damage;
mod durability;
mod files;
mod runs;
mod stage;
mod states;
mod tap;
