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

use crate::stage::{Stage, pins};

/// The stage, whose vault is remembered outside of its home: what is printed says so, and says something else where
/// the user has no home directory to keep that in.
#[track_caller]
fn remembered(stage: Stage) -> Stage {
    assert!(
        stage.pin().is_some(),
        "nothing remembers the vault in {}: run these tests as a user whose home directory is there and writable",
        pins().unwrap_or_default().display()
    );
    stage
}
