//! Starts a daemon as a process of its own, and waits until it listens.

use std::{
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
    sync::{Arc, mpsc},
    time::Duration,
};

use super::{Globals, open, sockets::named_socket};
use crate::{
    daemon::Starter,
    operator::{Failure, FailureKind},
    setup,
    vault::{HomeInfo, UnlockMethodKind},
};

/// A daemon that was started for a server alone ends sooner: another is started when it is needed.
const IDLE_STARTED: Duration = Duration::from_secs(15 * 60);

/// How long a fresh daemon may take until it listens, or an old one until it is gone.
pub(super) const WITHIN: Duration = Duration::from_secs(20);

/// What a daemon says on standard output once it listens.
pub(super) const READY: &str = "ready";

/// What starts a daemon for a server, where nobody has to be asked.
pub(super) fn starter(
    globals: &Globals,
    home: &Path,
    info: &HomeInfo,
    descriptors: Option<u64>,
) -> Option<Starter> {
    if info.unlock == UnlockMethodKind::Passphrase || named_socket(globals).is_some() {
        return None;
    }
    let (globals, home) = (globals.clone(), home.to_owned());
    Some(Arc::new(move || {
        let mut words = vec!["--idle".to_owned(), format!("{}s", IDLE_STARTED.as_secs())];
        words.extend(descriptors.iter().map(|most| format!("--descriptors={most}")));
        start(&globals, &home, &words, Stdio::null(), Stdio::piped())
            .and_then(|mut child| wait_until_ready(&mut child))
            .map_err(|error| error.to_string())
    }))
}

/// Starts a daemon that leaves this process: with nothing of our environment but where things are.
pub(super) fn start(
    globals: &Globals,
    home: &Path,
    words: &[String],
    stdin: Stdio,
    stdout: Stdio,
) -> Result<Child, Failure> {
    let failed = |error: io::Error| {
        Failure::new(FailureKind::Failed, format!("the daemon can't be started: {error}"), "authy-mcp doctor")
    };
    #[expect(clippy::disallowed_methods, reason = "the daemon is this binary, started by itself")]
    let mut command = std::process::Command::new(open::binary()?);
    command.env_clear().envs(setup::daemon_environment(home)).current_dir("/");
    if let Some(file) = &globals.identity_file {
        let file = std::path::absolute(file).map_err(failed)?;
        command.arg("--identity-file").arg(file);
    }
    if let Some(file) = &globals.log_file {
        let file = std::path::absolute(file).map_err(failed)?;
        command.arg("--log-file").arg(file);
    }
    if let Some(socket) = named_socket(globals) {
        command.arg("--socket").arg(socket);
    }
    command.args((0..globals.verbose).map(|_| "-v"));
    command.args(["daemon", "--background"]).args(words);
    command.stdin(stdin).stdout(stdout).stderr(Stdio::null());
    command.spawn().map_err(failed)
}

/// Waits for the line that says so, or for the daemon's end.
pub(super) fn wait_until_ready(child: &mut Child) -> Result<(), Failure> {
    let failed = |what: &str| {
        Failure::new(
            FailureKind::Failed,
            format!("the daemon did not start: {what}"),
            "run it in sight: authy-mcp daemon -v",
        )
        .or("authy-mcp doctor checks the rest")
    };
    let Some(stdout) = child.stdout.take() else { return Err(failed("it has no output")) };
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        // Nobody waits any more where this fails.
        let _ = send.send(read.map(|_| line));
    });
    // It leaves a child of its own behind.
    let ended = child.wait().map_err(|error| failed(&error.to_string()))?;
    if !ended.success() {
        return Err(failed(&format!("it ended with {ended}")));
    }
    match receive.recv_timeout(WITHIN) {
        Ok(Ok(line)) if line.trim() == READY => Ok(()),
        Ok(_) => Err(failed("it ended before it listened; another process may hold its place")),
        Err(_) => Err(failed("it does not listen")),
    }
}
