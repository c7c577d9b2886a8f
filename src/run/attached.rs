//! A run on the caller's own standard streams: for people, and in front of other MCP servers.

use std::{
    io::{self, IsTerminal},
    os::fd::{AsFd, OwnedFd},
    pin::pin,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::unix::pipe,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Ended, Launch, OnListening, RunError, RunOutcome,
    execute::{Forced, Supervised, contained, ending, look_at_files, output, report, setup, without},
    masker::{Masker, Next},
    screens::{Screens, Shown},
    stage::RunDir,
};
use crate::{
    redact::{LedgerPage, MaskLedger, NeedleSet},
    supervise::wire::{Order, Report, TtyMode},
};

/// After so much silence what is held back is shown: a prompt must not wait for its line's end.
const SILENCE: Duration = Duration::from_millis(20);
/// How long the streams are read after the tree has ended.
const DRAIN: Duration = Duration::from_secs(2);
const CHUNK: usize = 64 * 1024;

/// Runs a program on the caller's own standard streams, redacting both outputs as they come (held
/// bytes are flushed at a line feed and after 20 ms of silence), without timeout or limit, passing
/// signals on. Where one came before, the program never runs.
///
/// # Errors
/// [`RunError`]: then nothing was started.
pub(crate) async fn pass_through(
    launch: Launch,
    needles: NeedleSet,
    listening: Option<OnListening>,
    mut signals: Signals,
    revoked: CancellationToken,
) -> Result<Ended, RunError> {
    let started = Instant::now();
    let session = match signals.source {
        Source::Terminal => TtyMode::Shared,
        Source::Processes => TtyMode::Own,
    };
    let (launch, stage) = RunDir::ready(launch, session).await?;
    let stdin: OwnedFd = io::stdin().as_fd().try_clone_to_owned().map_err(setup)?;
    let (stdout, out) = output().map_err(setup)?;
    let (stderr, err) = output().map_err(setup)?;
    let supervisor = Supervised::obtain(&launch, &stage)?;
    // In this order: a terminal's signal that came before there was a supervisor is seen here, a later one by that.
    if let Some(number) = signals.ended_by() {
        return Ok(Ended::before_it_began(RunOutcome::Signaled(number.into()), started));
    }
    let mask_out = Masker::start(LedgerPage::Stdout, needles.redactor()).map_err(setup)?;
    let mask_err = Masker::start(LedgerPage::Stderr, needles.redactor()).map_err(setup)?;
    let streams = [stdin, stdout, stderr];
    // As the person has it, before the program can change it.
    let screens = Screens::of_this_process(&needles);
    let mut supervised = Supervised::start(supervisor, &launch, &stage, streams, listening).await?;
    let setup = started.elapsed();
    let out = tokio::spawn(copy(out, screens.stdout(tokio::io::stdout()), mask_out));
    let err = tokio::spawn(copy(err, screens.stderr(tokio::io::stderr()), mask_err));
    let (report, forced) = until_over(&mut supervised, &mut signals, &revoked, launch.start.grace).await;
    let (report, forced) = supervised.reap(report, forced).await;
    let mut ledger = MaskLedger::default();
    for stream in [out, err] {
        if let Ok(Ok(masked)) = timeout(DRAIN, stream).await {
            ledger.add(masked);
        }
    }
    screens.put_back();
    contained(report)?;
    let left = look_at_files(&stage, &launch, needles).await;
    Ok(Ended {
        ending: ending(report, forced),
        without: without(report),
        ledger,
        left,
        duration: started.elapsed(),
        setup,
    })
}

/// Passes signals on until the program has ended, or is ended because what allowed it was taken back.
async fn until_over(
    supervised: &mut Supervised,
    signals: &mut Signals,
    revoked: &CancellationToken,
    grace: Duration,
) -> (Option<Report>, Forced) {
    loop {
        if let Some(report) = supervised.ended() {
            return (report, Forced::No);
        }
        tokio::select! {
            report = report(supervised.socket()) => return (report, Forced::No),
            number = signals.next_to_pass() => supervised.order(Order::Signal(number)).await,
            () = revoked.cancelled() => return (supervised.end(grace).await, Forced::Cancelled),
        }
    }
}

/// Copies a stream, masked. Ends early where nobody reads any more: the program then finds its pipe closed.
async fn copy(
    mut from: pipe::Receiver,
    mut to: Shown<impl AsyncWrite + AsFd + Unpin>,
    masker: Masker,
) -> MaskLedger {
    let mut chunk = vec![0; CHUNK];
    let mut safe = Vec::new();
    loop {
        let read = match timeout(SILENCE, read_some(&mut from, &mut chunk)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(length)) => {
                safe.extend(masker.ask(Next::Push(chunk[..length].to_vec())).await);
                chunk[length - 1] == b'\n'
            }
            Err(_) => true,
        };
        if read {
            safe.extend(masker.ask(Next::Pause).await);
        }
        if to.write(&mut safe).await.is_err() {
            return masker.ledger().await;
        }
        if read && !wait_for_more(&from).await {
            break;
        }
    }
    safe.extend(masker.ask(Next::End).await);
    // Nobody is left to tell where this fails.
    let _ = to.write(&mut safe).await;
    masker.ledger().await
}

async fn read_some(from: &mut (impl AsyncRead + Unpin), chunk: &mut [u8]) -> io::Result<usize> {
    from.read(chunk).await
}

/// Once nothing is held back, silence needs no clock.
async fn wait_for_more(from: &pipe::Receiver) -> bool {
    from.readable().await.is_ok()
}

/// Where signals come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The program shares its foreground, or it could not read from it: the terminal signals both.
    Terminal,
    Processes,
}

/// Signals to this process: for the program, once there is one, and the end of the run before.
pub(crate) struct Signals {
    source: Source,
    received: mpsc::Receiver<u8>,
    ended_by: Option<u8>,
}

/// Those that a terminal sends to the program by itself.
const FROM_TERMINALS: [i32; 3] = [2, 3, WINDOW];
const FROM_PROCESSES: [i32; 4] = [1, 10, 12, 15];
/// The window's size has changed: the only one of them that ends nobody.
const WINDOW: i32 = 28;

#[cfg(test)]
impl Signals {
    /// Signals that a test sends.
    pub(crate) fn sent_by(received: mpsc::Receiver<u8>) -> Self {
        Self { source: Source::Processes, received, ended_by: None }
    }
}

impl Signals {
    /// From here on signals do nothing else to this process.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn take() -> io::Result<Self> {
        let source = if io::stdin().is_terminal() { Source::Terminal } else { Source::Processes };
        let (send, received) = mpsc::channel(16);
        for number in FROM_PROCESSES.into_iter().chain(FROM_TERMINALS) {
            let (mut stream, send) = (signal(SignalKind::from_raw(number))?, send.clone());
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    if send.send(u8::try_from(number).unwrap_or_default()).await.is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { source, received, ended_by: None })
    }

    /// The signal that came before there was a program, and ends the run.
    pub(crate) fn ended_by(&mut self) -> Option<u8> {
        while let Ok(number) = self.received.try_recv() {
            self.came(number);
        }
        self.ended_by
    }

    /// Waits for what comes before the program; a signal that comes meanwhile cancels it.
    pub(crate) async fn beside<T>(&mut self, cancel: &CancellationToken, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                Some(number) = self.received.recv() => {
                    self.came(number);
                    if self.ended_by.is_some() {
                        cancel.cancel();
                    }
                }
            }
        }
    }

    fn came(&mut self, number: u8) {
        if i32::from(number) != WINDOW {
            self.ended_by.get_or_insert(number);
        }
    }

    /// The next signal that the program has not got by itself.
    async fn next_to_pass(&mut self) -> u8 {
        loop {
            match self.received.recv().await {
                Some(number) if !self.has_it(number) => return number,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    fn has_it(&self, number: u8) -> bool {
        self.source == Source::Terminal && FROM_TERMINALS.contains(&number.into())
    }
}
