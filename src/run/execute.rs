//! A run with its output captured: started, read, and ended in time.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixStream, unix::pipe},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

#[cfg(target_os = "linux")]
use super::{
    Ended, Launch, LeftBehind, Listening, OnListening, Piece, RunError, RunOutcome, RunOutput, Stream,
    reader::{Reader, Redaction},
    scan,
    stage::RunDir,
    supervisors::{Supervisor, SupervisorProcess, Supervisors},
};
use crate::{
    policy::Limit,
    redact::{Capture, Captured, LedgerPage, MaskLedger, NeedleSet, Redacted},
    sandbox::{CHANGED, Step},
    supervise::{
        Role,
        discard::discard,
        tree::{self, Registered},
        wire::{self, First, Order, Report, TtyMode},
    },
};

/// How long a supervisor may take to end a tree, once it is to be killed.
const END_WITHIN: Duration = Duration::from_secs(30);

/// Runs a program to its end. Where `cancel` is cancelled already, or before the program is let through, it never
/// runs.
///
/// # Errors
/// [`RunError`]: then nothing was started.
pub async fn execute(
    launch: Launch,
    needles: NeedleSet,
    progress: Option<mpsc::Sender<Piece>>,
    cancel: CancellationToken,
    listening: Option<OnListening>,
) -> Result<RunOutput, RunError> {
    let started = Instant::now();
    let (launch, stage) = RunDir::ready(launch, TtyMode::Own).await?;
    let (stdin, feeder) = input(launch.start.stdin.clone()).map_err(setup)?;
    let (stdout, out) = output().map_err(setup)?;
    let (stderr, err) = output().map_err(setup)?;
    let supervisor = Supervised::obtain(&launch, &stage)?;
    if cancel.is_cancelled() {
        return Ok(never_ran(started));
    }
    let capture = |page| Capture::new(page, &needles, launch.start.output_limit);
    let redact_out = Redaction::start(1, capture(LedgerPage::Stdout), progress.clone()).map_err(setup)?;
    let redact_err = Redaction::start(2, capture(LedgerPage::Stderr), progress).map_err(setup)?;
    let streams = [stdin, stdout, stderr];
    let mut supervised = Supervised::start(supervisor, &launch, &stage, streams, listening).await?;
    let setup = started.elapsed();
    let feeding = feeder.map(|(pipe, bytes)| tokio::spawn(feed(pipe, bytes)));
    let (out, err) = (redact_out.read(out), redact_err.read(err));
    let (report, forced) = supervised.finish(launch.start.timeout, launch.start.grace, cancel).await;
    let (out, mut err) = (captured(out).await, captured(err).await);
    if let Some(feeding) = feeding {
        feeding.abort();
    }
    contained(report)?;
    let ending = ending(report, forced);
    if let Some(Report::Failed(errno)) = report {
        let why = io::Error::from_raw_os_error(errno);
        let words = format!("the program could not be started: {why}");
        err.text = needles.mask(&words, LedgerPage::Stderr, &mut err.ledger);
    }
    let mut ledger = out.ledger;
    ledger.add(err.ledger);
    let left = look_at_files(&stage, &launch, needles).await;
    Ok(RunOutput {
        ended: Ended { ending, without: without(report), ledger, left, setup, duration: started.elapsed() },
        stdout: Stream { text: out.text, truncated: out.truncated },
        stderr: Stream { text: err.text, truncated: err.truncated },
    })
}

/// What came of a run that was cancelled before anybody was told to start it.
fn never_ran(started: Instant) -> RunOutput {
    let nothing = || Stream { text: Redacted::nothing(), truncated: false };
    RunOutput {
        ended: Ended::before_it_began(RunOutcome::Cancelled, started),
        stdout: nothing(),
        stderr: nothing(),
    }
}

impl Ended {
    /// A run that was ended before anybody was told to start it.
    pub(super) fn before_it_began(ending: RunOutcome, since: Instant) -> Self {
        Self {
            ending,
            without: None,
            ledger: MaskLedger::default(),
            left: LeftBehind::default(),
            duration: since.elapsed(),
            setup: Duration::ZERO,
        }
    }
}

async fn captured(reader: Reader) -> Captured {
    // A thread that broke has nothing that may be shown.
    reader.finish().await.unwrap_or_else(Captured::nothing)
}

/// Searches what the run wrote, off the tasks that serve.
pub(super) async fn look_at_files(stage: &RunDir, launch: &Launch, needles: NeedleSet) -> LeftBehind {
    if stage.written.is_empty() {
        return LeftBehind::default();
    }
    let (places, since, on_hit) = (Arc::clone(&stage.written), stage.since, launch.sandbox.terms.on_file_hit);
    let control = Arc::clone(&stage.control);
    let searched =
        tokio::task::spawn_blocking(move || scan::search(&places, since, &needles, on_hit, &control));
    match searched.await {
        Ok(looked) => looked,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// A run that could not be contained never ran.
pub(super) fn contained(report: Option<Report>) -> Result<(), RunError> {
    match report {
        #[cfg(target_os = "linux")]
        Some(Report::NotContained(number)) if number & 0xffff == CHANGED => Err(RunError::ProgramChanged),
        #[cfg(target_os = "linux")]
        Some(Report::NotContained(number)) => Err(RunError::NotContained(Step::describe(number))),
        _ => Ok(()),
    }
}

/// What was done to a run before it ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forced {
    No,
    TimedOut,
    Cancelled,
}

/// What a run came to. One that ended by itself did so whatever was wanted of it meanwhile.
pub(super) fn ending(report: Option<Report>, forced: Forced) -> RunOutcome {
    match (report, forced) {
        (Some(Report::Failed(_) | Report::NotContained(_)), _) => RunOutcome::FailedToStart,
        (Some(Report::Limited(limit)), _) => RunOutcome::ResourceLimit(limit),
        (Some(Report::Exited(code) | Report::ExitedWithout(code, _)), _) => RunOutcome::Exited(code),
        (Some(Report::Signaled(signal)), _) => RunOutcome::Signaled(signal),
        (_, Forced::TimedOut) => RunOutcome::TimedOut,
        (_, Forced::Cancelled) | (Some(Report::Ended | Report::NeverRan), Forced::No) => {
            RunOutcome::Cancelled
        }
        // The program killed its supervisor: it is taken to have killed itself.
        (None, Forced::No) => RunOutcome::Signaled(9),
    }
}

/// What it exited without, as a limit had it.
pub(super) fn without(report: Option<Report>) -> Option<Limit> {
    match report {
        Some(Report::ExitedWithout(_, limit)) => Some(limit),
        _ => None,
    }
}

pub(super) fn setup(error: io::Error) -> RunError {
    RunError::io("connect its streams", error)
}

/// What a run of another user leaves where its supervisor is killed: only that user can remove it.
struct Leftovers {
    supervisors: Arc<Supervisors>,
    scratch: PathBuf,
}

/// A supervisor at work.
pub(super) struct Supervised {
    socket: UnixStream,
    process: Option<(SupervisorProcess, Option<Registered>)>,
    /// What it said where it ended before it listened.
    ended: Option<Option<Report>>,
    left: Option<Leftovers>,
    scratch: PathBuf,
    supervisors: Arc<Supervisors>,
    role: Role,
}

impl Supervised {
    /// Whoever will supervise the run, and is told nothing yet: what comes from here on is seen by it.
    pub(super) fn obtain(launch: &Launch, stage: &RunDir) -> Result<Supervisor, RunError> {
        let obtained = launch.start.supervisors.obtain(stage.role);
        obtained.map_err(|error| RunError::io("start its supervisor", error))
    }

    pub(super) async fn start(
        supervisor: Supervisor,
        launch: &Launch,
        stage: &RunDir,
        streams: [OwnedFd; 3],
        listening: Option<OnListening>,
    ) -> Result<Self, RunError> {
        let supervisor = launch
            .start
            .supervisors
            .instruct(supervisor, stage.role, &streams, &stage.spec)
            .map_err(|error| RunError::io("instruct its supervisor", error))?;
        // The program's ends are its own from here on: its end is seen by them.
        drop(streams);
        let Supervisor { socket: mut ours, process, registered } = supervisor;
        let ended = listen(&mut ours, launch, listening).await?;
        ours.set_nonblocking(true).map_err(setup)?;
        let socket = UnixStream::from_std(ours).map_err(setup)?;
        let supervisors = Arc::clone(&launch.start.supervisors);
        let left = supervisors.run_as().map(|_| Leftovers {
            supervisors: Arc::clone(&supervisors),
            scratch: stage.spec.scratch.clone(),
        });
        let process = Some((process, registered));
        let scratch = stage.spec.scratch.clone();
        Ok(Self { socket, process, ended, left, scratch, supervisors, role: stage.role })
    }

    /// Waits for the end; ends the tree when the time is over or the caller wants it.
    pub(super) async fn finish(
        &mut self,
        limit: Duration,
        grace: Duration,
        cancel: CancellationToken,
    ) -> (Option<Report>, Forced) {
        if let Some(report) = self.ended() {
            return self.reap(report, Forced::No).await;
        }
        let forced = tokio::select! {
            report = report(&mut self.socket) => return self.reap(report, Forced::No).await,
            () = cancel.cancelled() => Forced::Cancelled,
            () = sleep(limit) => Forced::TimedOut,
        };
        let report = self.end(grace).await;
        self.reap(report, forced).await
    }

    /// Ends the tree: SIGTERM, and what is left after the grace is killed.
    pub(super) async fn end(&mut self, grace: Duration) -> Option<Report> {
        self.order(Order::Terminate).await;
        if let Ok(report) = timeout(grace, report(&mut self.socket)).await {
            return report;
        }
        self.order(Order::Kill).await;
        timeout(END_WITHIN, report(&mut self.socket)).await.unwrap_or_default()
    }

    /// What a supervisor said that ended before it listened.
    pub(super) fn ended(&mut self) -> Option<Option<Report>> {
        self.ended.take()
    }

    pub(super) async fn order(&mut self, order: Order) {
        // A supervisor that can't be told any more has ended, and its tree with it.
        let _ = self.socket.write_all(&order.encode()).await;
    }

    pub(super) fn socket(&mut self) -> &mut UnixStream {
        &mut self.socket
    }

    /// Waits for the supervisor itself. One that has reported has nothing left to do but to end, which nobody has to
    /// wait for; one that ended without a report was killed: what it watched over has fallen to this process.
    pub(super) async fn reap(&mut self, report: Option<Report>, forced: Forced) -> (Option<Report>, Forced) {
        let unwaited =
            self.process.take().filter(|(process, _)| report.is_none() || !process.is_waited_for());
        let ending = unwaited.map(|process| tokio::spawn(wait_for(process)));
        if report.is_none() {
            if let Some(ending) = ending {
                // It can't fail but by a panic, and there is none in it.
                let _ = ending.await;
            }
            let scratch = self.scratch.clone();
            // Off the tasks that serve: a run may have made a million files.
            let ended = tokio::task::spawn_blocking(move || {
                tree::end_orphans();
                discard(&scratch)
            });
            // What it can't remove is removed by who can.
            let _ = ended.await;
            if let Some(left) = &self.left {
                // As the user whose it is.
                left.supervisors.sweep(&left.scratch).await;
            }
        }
        if let Some(left) = &self.left {
            left.remove();
        }
        self.supervisors.prepare(self.role);
        (report, forced)
    }
}

async fn wait_for((mut process, registered): (SupervisorProcess, Option<Registered>)) {
    if timeout(END_WITHIN, process.wait()).await.is_err() {
        process.kill();
        process.wait().await;
    }
    drop(registered);
}

/// Takes the sockets of a run's own loopback, and hands them on; or the report of a run that never got so far.
async fn listen(
    socket: &mut StdUnixStream,
    launch: &Launch,
    listening: Option<OnListening>,
) -> Result<Option<Option<Report>>, RunError> {
    if launch.materials.listen.is_empty() {
        return Ok(None);
    }
    let mut theirs = socket.try_clone().map_err(setup)?;
    let first = tokio::task::spawn_blocking(move || wire::take_over(&mut theirs)).await;
    match first.map_err(io::Error::other).and_then(|first| first).map_err(setup)? {
        First::Ended(report) => Ok(Some(report)),
        First::Listening(descriptors) => {
            if let Some(listening) = listening {
                let asked = launch.materials.listen.iter().copied();
                listening(asked.zip(descriptors).map(|(at, fd)| Listening::of(at, fd)).collect());
            }
            Ok(None)
        }
    }
}

impl Leftovers {
    /// The empty directory lies in one of this process's, whose user alone can remove it from there.
    fn remove(&self) {
        let removed = std::fs::remove_dir(&self.scratch);
        if removed.is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            tracing::warn!(scratch = %self.scratch.display(), "what a run left could not be removed");
        }
    }
}

/// The supervisor's report; nothing where it was killed.
pub(super) async fn report(socket: &mut UnixStream) -> Option<Report> {
    let mut bytes = [0; 5];
    socket.read_exact(&mut bytes).await.ok().map(|_| Report::decode(bytes))
}

/// The child's standard input: nothing, or a pipe that is fed.
fn input(bytes: Option<Vec<u8>>) -> io::Result<(OwnedFd, Option<(pipe::Sender, Vec<u8>)>)> {
    match bytes {
        None => Ok((std::fs::File::open("/dev/null")?.into(), None)),
        Some(bytes) => {
            let (reader, writer) = io::pipe()?;
            Ok((reader.into(), Some((pipe::Sender::from_owned_fd(writer.into())?, bytes))))
        }
    }
}

async fn feed(mut pipe: pipe::Sender, bytes: Vec<u8>) {
    // A program that does not read all of it is free to.
    let _ = pipe.write_all(&bytes).await;
}

/// A stream of the child: its end of the pipe, and ours.
pub(super) fn output() -> io::Result<(OwnedFd, pipe::Receiver)> {
    let (reader, writer) = io::pipe()?;
    Ok((writer.into(), pipe::Receiver::from_owned_fd(reader.into())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Limit;

    #[test]
    fn a_run_came_to_what_its_program_did() {
        use Forced::{Cancelled, No, TimedOut};
        let table = [
            (Some(Report::Exited(0)), No, RunOutcome::Exited(0)),
            // It ended while it was about to be told to.
            (Some(Report::Exited(0)), Cancelled, RunOutcome::Exited(0)),
            (Some(Report::ExitedWithout(7, Limit::Processes)), No, RunOutcome::Exited(7)),
            (Some(Report::Signaled(11)), TimedOut, RunOutcome::Signaled(11)),
            (Some(Report::Ended), Cancelled, RunOutcome::Cancelled),
            (Some(Report::Ended), TimedOut, RunOutcome::TimedOut),
            (Some(Report::NeverRan), Cancelled, RunOutcome::Cancelled),
            (Some(Report::NeverRan), TimedOut, RunOutcome::TimedOut),
            (Some(Report::Limited(Limit::Memory)), No, RunOutcome::ResourceLimit(Limit::Memory)),
            (Some(Report::Limited(Limit::Disk)), Cancelled, RunOutcome::ResourceLimit(Limit::Disk)),
            (Some(Report::Failed(2)), Cancelled, RunOutcome::FailedToStart),
            (Some(Report::NotContained(1)), TimedOut, RunOutcome::FailedToStart),
            (None, Cancelled, RunOutcome::Cancelled),
            (None, No, RunOutcome::Signaled(9)),
        ];
        for (report, forced, expected) in table {
            assert_eq!(ending(report, forced), expected, "{report:?} {forced:?}");
        }
    }
}
