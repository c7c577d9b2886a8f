//! What every command is given, and how it ends.

use std::{path::PathBuf, process::ExitCode};

use tokio::runtime::{Builder, Runtime};

use crate::operator::{Failure, FailureKind};

/// Under what the options of every command stand in its help, below its own.
const GLOBAL: &str = "Global options";

/// Options of every command.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Globals {
    /// Read the vault's passphrase from this descriptor.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "N")]
    pub(super) passphrase_fd: Option<u32>,
    /// Read the vault's passphrase from this file (which nobody else may read).
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
    /// Path to the age identity (default: the path chosen by init).
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub(super) identity_file: Option<PathBuf>,
    /// Keep everything in this process: use no daemon, and start none.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(super) no_daemon: bool,
    /// The daemon's socket, if another user runs it or it has another path (also AUTHY_MCP_SOCKET).
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub(super) socket: Option<PathBuf>,
    /// Print JSON, for programs.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(super) json: bool,
    /// Log more (-v, -vv, -vvv), on standard error.
    #[arg(short, long, global = true, help_heading = GLOBAL, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Log to this file instead.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub(super) log_file: Option<PathBuf>,
}

pub(super) fn exit_code(kind: FailureKind) -> ExitCode {
    ExitCode::from(match kind {
        FailureKind::Failed => 1,
        FailureKind::Usage => 2,
        FailureKind::Locked => 3,
        FailureKind::Denied => 4,
        FailureKind::NotFound => 5,
        FailureKind::Busy => 6,
        FailureKind::Damaged => 7,
    })
}

/// Tasks on one thread, which is all that a command and the server of one client need: what takes long there has threads of
/// its own, and every thread that a task changes to costs more than most tasks do.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    started(Builder::new_current_thread())
}

/// Tasks on as many threads as there are processors, for who serves many.
pub(super) fn runtime_for_many() -> Result<Runtime, Failure> {
    started(Builder::new_multi_thread())
}

fn started(mut builder: Builder) -> Result<Runtime, Failure> {
    builder.enable_all().build().map_err(|error| {
        Failure::new(
            FailureKind::Failed,
            format!("threads can't be started: {error}"),
            "close other programs and try again",
        )
    })
}

pub(super) fn usage_failure(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Usage, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_code_and_the_help_says_which() {
        let rows = [
            (FailureKind::Failed, 1, "failed"),
            (FailureKind::Usage, 2, "usage"),
            (FailureKind::Locked, 3, "locked"),
            (FailureKind::Denied, 4, "denied"),
            (FailureKind::NotFound, 5, "not found"),
            (FailureKind::Busy, 6, "busy"),
            (FailureKind::Damaged, 7, "damaged"),
        ];
        for (kind, code, word) in rows {
            assert_eq!(exit_code(kind), ExitCode::from(code), "{kind:?}");
            let told = format!("{code} {word}");
            assert!(crate::cli::EXAMPLES.contains(&told), "{told}");
            let json = serde_json::to_value(kind).unwrap();
            assert_eq!(json, word.replace(' ', "_"), "{kind:?}");
        }
    }
}
