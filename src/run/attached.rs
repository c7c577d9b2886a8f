//! A run on the caller's own standard streams: for people, and in front of other MCP servers.

use std::{
    io::{self, IsTerminal},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::unix::pipe,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::timeout,
};

use super::{
    Ending, FileHit, Launch, OnListening, RunError,
    execute::{Forced, Supervised, contained, ending, look_at_files, output, report, setup},
    stage::Stage,
    wire::{Order, Session},
};
use crate::redact::{Counts, NeedleSet, Redactor};

/// After so much silence what is held back is shown: a prompt must not wait for its line's end.
const SILENCE: Duration = Duration::from_millis(20);
/// How long the streams are read after the tree has ended.
const DRAIN: Duration = Duration::from_secs(2);
const CHUNK: usize = 64 * 1024;

/// Runs a program on the caller's own standard streams, redacting both outputs as they come (held
/// bytes are flushed at a line feed and after 20 ms of silence), without timeout or limit, passing
/// signals on.
///
/// # Errors
/// [`RunError`]: then nothing was started.
pub async fn pass_through(
    launch: Launch,
    needles: NeedleSet,
    listening: Option<OnListening>,
) -> Result<Passed, RunError> {
    // At a terminal the program shares its foreground, or it could not read from it; the terminal then
    // signals it by itself.
    let at_terminal = io::stdin().is_terminal();
    let session = if at_terminal { Session::Shared } else { Session::Own };
    let stage = Stage::build(&launch, session)?;
    let stdin: OwnedFd = io::stdin().as_fd().try_clone_to_owned().map_err(setup)?;
    let (stdout, out) = output().map_err(setup)?;
    let (stderr, err) = output().map_err(setup)?;
    let mut signals = signals(at_terminal).map_err(setup)?;
    let mut supervised = Supervised::start(&launch, &stage, [stdin, stdout, stderr], listening).await?;
    let out = tokio::spawn(copy(out, tokio::io::stdout(), needles.redactor()));
    let err = tokio::spawn(copy(err, tokio::io::stderr(), needles.redactor()));
    let report = loop {
        if let Some(report) = supervised.ended() {
            break report;
        }
        tokio::select! {
            report = report(supervised.socket()) => break report,
            Some(number) = signals.recv() => supervised.order(Order::Signal(number)).await,
        }
    };
    let (report, _) = supervised.reap(report, Forced::No).await;
    let mut counts = Counts::default();
    for stream in [out, err] {
        if let Ok(Ok(masked)) = timeout(DRAIN, stream).await {
            counts.add(&masked);
        }
    }
    contained(report)?;
    let file_hits = look_at_files(&stage, &launch, needles).await;
    Ok(Passed { ending: ending(report, Forced::No), counts, file_hits })
}

/// What came of a run on the caller's own streams.
#[derive(Debug)]
pub struct Passed {
    /// How it ended.
    pub ending: Ending,
    /// What was masked.
    pub counts: Counts,
    /// Files that it wrote and that hold a secret.
    pub file_hits: Vec<FileHit>,
}

/// Copies a stream, masked. Ends early where nobody reads any more: the program then finds its pipe closed.
async fn copy(mut from: pipe::Receiver, mut to: impl AsyncWrite + Unpin, mut redactor: Redactor) -> Counts {
    let mut chunk = vec![0; CHUNK];
    let mut safe = Vec::new();
    loop {
        let read = match timeout(SILENCE, read_some(&mut from, &mut chunk)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(length)) => {
                redactor.push(&chunk[..length], &mut safe);
                chunk[length - 1] == b'\n'
            }
            Err(_) => true,
        };
        if read {
            redactor.flush_idle(&mut safe);
        }
        if write(&mut to, &mut safe).await.is_err() {
            return redactor.counts().clone();
        }
        if read && !wait_for_more(&from).await {
            break;
        }
    }
    redactor.finish(&mut safe);
    // Nobody is left to tell where this fails.
    let _ = write(&mut to, &mut safe).await;
    redactor.counts().clone()
}

async fn read_some(from: &mut (impl AsyncRead + Unpin), chunk: &mut [u8]) -> io::Result<usize> {
    from.read(chunk).await
}

/// Once nothing is held back, silence needs no clock.
async fn wait_for_more(from: &pipe::Receiver) -> bool {
    from.readable().await.is_ok()
}

async fn write(to: &mut (impl AsyncWrite + Unpin), safe: &mut Vec<u8>) -> io::Result<()> {
    if safe.is_empty() {
        return Ok(());
    }
    to.write_all(safe).await?;
    safe.clear();
    to.flush().await
}

/// Signals that are passed on: at a terminal, those that it does not send to the program by itself.
fn signals(at_terminal: bool) -> io::Result<mpsc::Receiver<u8>> {
    const ALWAYS: [i32; 4] = [1, 10, 12, 15];
    const FROM_TERMINALS: [i32; 3] = [2, 3, 28];
    let (send, receive) = mpsc::channel(16);
    let listen = |number: i32, pass: bool| -> io::Result<()> {
        let mut stream = signal(SignalKind::from_raw(number))?;
        let send = send.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                let number = u8::try_from(number).unwrap_or_default();
                if pass && send.send(number).await.is_err() {
                    return;
                }
            }
        });
        Ok(())
    };
    for number in ALWAYS {
        listen(number, true)?;
    }
    for number in FROM_TERMINALS {
        listen(number, !at_terminal)?;
    }
    Ok(receive)
}
