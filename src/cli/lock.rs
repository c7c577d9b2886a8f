//! `authy-mcp lock`: ends the daemon, and what it runs.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{Globals, open, output::Output, runtime, sockets::socket, starting::WITHIN};
use crate::{
    daemon::{Client, LocalError, Status},
    operator::{Failure, FailureKind},
    supervise::Process,
};

const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(super) fn lock(globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    let socket = socket(globals, &open::home()?);
    let locked = runtime()?.block_on(async {
        let process = Client::status(&socket).await.ok().and_then(|status| process_of(&status));
        match Client::lock(&socket).await {
            Err(LocalError::Nobody) if process.is_none() => Ok(false),
            // It was there a moment ago, and is ending by itself.
            Err(LocalError::Nobody) => wait_until_gone(process).await.map(|()| true),
            Err(error) => Err(error.into()),
            Ok(()) => wait_until_gone(process).await.map(|()| true),
        }
    })?;
    out.answer(&json!({"locked": true, "was_running": locked}), |_| {
        vec![if locked { "locked: what was running has ended" } else { "no daemon was running" }.to_owned()]
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) fn process_of(status: &Status) -> Option<Process> {
    Process::now(i32::try_from(status.pid).ok()?)
}

pub(super) async fn wait_until_gone(process: Option<Process>) -> Result<(), Failure> {
    let until = Instant::now() + 2 * WITHIN;
    while Instant::now() < until {
        if !process.is_some_and(Process::is_alive) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let stopping = "the daemon is still stopping its runs";
    Err(Failure::new(FailureKind::Busy, stopping, "authy-mcp status shows it").or("kill it if it never does"))
}
