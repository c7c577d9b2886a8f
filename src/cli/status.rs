//! `authy-mcp status`: whether a daemon runs, and how it is.

use std::process::ExitCode;

use serde_json::json;

use super::{Globals, exit_code, open, output::Output, runtime, sockets::socket};
use crate::{
    broker::remembered,
    daemon::{Client, LocalError, Status, Trust},
    operator::{Failure, FailureKind},
    vault::{self, UnlockMethodKind},
};

pub(super) fn status(globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    let home = open::home()?;
    let socket = socket(globals, &home);
    let found = runtime()?.block_on(Client::status(&socket));
    // Whoever names another user's daemon has no home to look into.
    let info = match (found, socket.trust) {
        (Err(LocalError::Nobody), Trust::OwnUser) => open::info(&home)?,
        (Err(error), _) => return Err(error.into()),
        (Ok(status), trust) => {
            let own = trust == Trust::OwnUser;
            let refused = own.then(|| open::refused_by_daemon(globals, &home)).flatten();
            let mut answer = json!({"running": true, "socket": socket.path, "daemon": status});
            if let Some(refused) = &refused {
                answer["refused"] = json!(refused);
            }
            out.answer(&answer, |_| {
                let refused = refused.iter().map(|no| format!("degraded: {}", no.in_a_line()));
                lines(&status).into_iter().chain(refused).collect()
            });
            return Ok(ExitCode::SUCCESS);
        }
    };
    let person = info.unlock == UnlockMethodKind::Passphrase;
    let backups = vault::backups(&home);
    let memory = remembered(&home);
    let answer = json!({
        "running": false, "socket": socket.path, "vault": info.fingerprint, "backups": backups,
        "remembered": memory,
    });
    out.answer(&answer, |_| {
        vec![
            format!("no daemon is running for {} ({})", home.display(), info.fingerprint),
            if person {
                "the vault is locked; authy-mcp unlock opens it for your agents".to_owned()
            } else {
                "one is started when a server needs it".to_owned()
            },
            memory.clone(),
        ]
    });
    Ok(if person { exit_code(FailureKind::Locked) } else { ExitCode::SUCCESS })
}

fn lines(status: &Status) -> Vec<String> {
    vec![
        format!("daemon {} (version {}) for {}", status.pid, status.version, status.home.display()),
        format!("vault {} unlocked since {}", status.vault, status.unlocked_since),
        format!("locks after {} without a call, and at {}", hours(status.idle_lock_seconds), status.locks_at),
        format!(
            "{} calls, {} refused; {} runs, {} at this moment; latency: p50 {} ms, p99 {} ms",
            status.calls,
            status.denials,
            status.runs,
            status.running,
            status.latency_ms.p50,
            status.latency_ms.p99
        ),
        format!("memory locked: {}", if status.memory_locked { "yes" } else { "no" }),
        backups_line(status.upkeep.backups, status.upkeep.newest_backup.as_deref()),
        status.upkeep.remembered.clone(),
    ]
    .into_iter()
    .chain(status.upkeep.problems.iter().map(|problem| format!("degraded: {problem}")))
    .collect()
}

pub(super) fn backups_line(kept: usize, newest: Option<&str>) -> String {
    match newest {
        None => "no automatic backup yet".to_owned(),
        Some(newest) => format!("{kept} automatic backups, the newest of {newest}, in the home's backups/"),
    }
}

pub(super) fn hours(seconds: u64) -> String {
    match seconds {
        whole if whole % 3600 == 0 => format!("{} h", whole / 3600),
        whole if whole % 60 == 0 => format!("{} min", whole / 60),
        whole => format!("{whole} s"),
    }
}
