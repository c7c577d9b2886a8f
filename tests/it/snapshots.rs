//! What people and models read, held as it is: help, refusals, findings, failures, tables, descriptions.
//!
//! A change of a text shows here as a difference. Where it is meant, `AUTHY_MCP_UPDATE=1 cargo test --test it
//! snapshots` writes `tests/snapshots` anew, and the commit shows what changed.

mod commands;
mod golden;
mod help;
mod policies;
mod refusals;
mod steady;
mod tools;
