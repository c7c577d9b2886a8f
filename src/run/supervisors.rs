//! Where a run's supervisor comes from: one that waits, one that the nursery forks, or this binary.
//!
//! Making namespaces is most of what a short run costs. A supervisor that waits has made them; it holds nothing and knows
//! nothing: what it will start reaches it when it is needed, over its socket, and it ends when that is closed. It serves
//! one run, and so does its network.

use std::{
    collections::HashMap,
    ffi::OsString,
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::{process::Child, time::sleep};

use super::pool::Pool;
use crate::{
    sandbox::{CgroupVersion, Locks, SandboxCapabilities},
    supervise::{
        self, Newborn, Nursery, Role, RunAs, SUPERVISE, Unborn,
        tree::Registered,
        wire::{self, Found, Spec},
    },
};

/// After so long without a run, no more than one supervisor of a kind waits.
const QUIET: Duration = Duration::from_secs(60);

/// Whether supervisors wait for runs to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spares {
    /// As many of each kind as there were runs at once.
    Kept,
    /// Each is started when it is needed; where there is a nursery, the one for the first run at once.
    None,
}

/// So long after a run the next supervisors are started: what came of the run is on record and answered first, on a machine
/// with few processors.
const ANSWERED_WITHIN: Duration = Duration::from_millis(2);

/// How long a supervisor that waits may take to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(5);

/// Starts supervisors.
pub struct Supervisors {
    binary: PathBuf,
    run_as: Option<RunAs>,
    descriptors: Option<u64>,
    spares: Spares,
    nursery: Mutex<Option<Nursery>>,
    trial: Mutex<Trial>,
    waiting: Mutex<HashMap<Role, Pool<Supervisor>>>,
}

/// What is known of the supervisor that tries namespaces out.
enum Trial {
    /// There was none yet.
    None,
    /// It was asked for.
    Asked(UnixStream),
    /// It is there.
    Born(Box<Supervisor>),
    /// It has said what it found, or there can be none.
    Over,
}

/// A supervisor that has been told nothing yet.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub socket: UnixStream,
    pub process: SupervisorProcess,
    pub registered: Option<Registered>,
}

impl From<Newborn> for Supervisor {
    fn from(Newborn { socket, process, registered }: Newborn) -> Self {
        Self { socket, process: SupervisorProcess::Forked(process), registered: Some(registered) }
    }
}

/// A supervisor's process.
#[derive(Debug)]
pub(super) enum SupervisorProcess {
    /// A child of this process: this binary.
    Executed(Child),
    /// A child of the nursery, which waits for it; by a descriptor.
    Forked(OwnedFd),
}

impl SupervisorProcess {
    fn runs(&self) -> bool {
        match self {
            // It knows its number for as long as it was not waited for.
            Self::Executed(child) => child.id().is_some(),
            Self::Forked(process) => has_ended(process.as_fd(), Some(&Timespec::default())) == Some(false),
        }
    }

    /// Whether somebody else waits for its end.
    pub(super) fn is_waited_for(&self) -> bool {
        matches!(self, Self::Forked(_))
    }

    /// Waits for its end; what it leaves has fallen to this process then.
    pub(super) async fn wait(&mut self) {
        match self {
            Self::Executed(child) => drop(child.wait().await),
            Self::Forked(process) => {
                let Ok(process) = process.try_clone() else { return };
                // It can't fail but by a panic, and there is none in it.
                let _ = tokio::task::spawn_blocking(move || {
                    has_ended(process.as_fd(), None);
                    reap(process.as_fd());
                })
                .await;
            }
        }
    }

    /// Ends it, and no other.
    pub(super) fn kill(&mut self) {
        let _ = match self {
            Self::Executed(child) => child.start_kill(),
            Self::Forked(process) => kill(process.as_fd()),
        };
    }
}

/// Whether a process has ended by then; nothing where that can't be found out.
fn has_ended(process: BorrowedFd<'_>, within: Option<&Timespec>) -> Option<bool> {
    loop {
        let mut waited = [PollFd::from_borrowed_fd(process, PollFlags::IN)];
        match poll(&mut waited, within) {
            Ok(ready) => return Some(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

#[cfg(target_os = "linux")]
fn kill(process: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::process::pidfd_send_signal(process, rustix::process::Signal::KILL)?)
}

/// Its nursery does that. Where that was killed, it is this process's child.
#[cfg(target_os = "linux")]
fn reap(process: BorrowedFd<'_>) {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let _ = waitid(WaitId::PidFd(process), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
}

#[cfg(not(target_os = "linux"))]
fn kill(_: BorrowedFd<'_>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn reap(_: BorrowedFd<'_>) {}

impl Supervisors {
    /// `binary` is this program; `run_as` the user whom runs are of, where it is not this process's own;
    /// `descriptors` how many of them programs may have, where it is not as many as this process.
    pub fn new(
        binary: PathBuf,
        run_as: Option<RunAs>,
        nursery: Option<Nursery>,
        spares: Spares,
        descriptors: Option<u64>,
    ) -> Arc<Self> {
        let this = Self {
            binary,
            run_as,
            descriptors,
            spares,
            nursery: Mutex::new(nursery),
            trial: Mutex::new(Trial::None),
            waiting: Mutex::default(),
        };
        if spares == Spares::None {
            this.ask_for_trial(&mut this.trial.lock());
        }
        Arc::new(this)
    }

    /// This program.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The user whom runs are of, where it is not this process's own.
    pub fn run_as(&self) -> Option<&RunAs> {
        self.run_as.as_ref()
    }

    /// What this machine lets a run be contained by: as a supervisor found that waits for the first run from then on, or
    /// where there is none, by a rehearsal.
    pub(crate) fn machine(&self) -> SandboxCapabilities {
        match self.tried() {
            Some((namespaces, cgroups)) => {
                SandboxCapabilities::with(namespaces, cgroups, supervise::counted(self.run_as()))
            }
            None => supervise::machine(&self.binary),
        }
    }

    /// Whether namespaces can be set up, and locks be apart in them, and where not, the step that failed and why; and which
    /// control groups can be made. Nothing where nobody says it.
    fn tried(&self) -> Option<(Result<Locks, String>, Option<CgroupVersion>)> {
        let mut trial = self.trial.lock();
        self.ask_for_trial(&mut trial);
        self.settle(&mut trial);
        let Trial::Born(mut supervisor) = std::mem::replace(&mut *trial, Trial::Over) else { return None };
        let mut said = [0; 6];
        supervisor.socket.set_read_timeout(Some(LISTENS_WITHIN)).ok()?;
        supervisor.socket.read_exact(&mut said).ok()?;
        supervisor.socket.set_read_timeout(None).ok()?;
        let Found { namespaces, cgroups } = Found::decode(said)?;
        if namespaces.is_ok() {
            self.waiting.lock().entry(Role::OwnNetwork).or_default().put(*supervisor);
        }
        #[cfg(target_os = "linux")]
        let namespaces = namespaces.map_err(crate::sandbox::Step::describe);
        #[cfg(not(target_os = "linux"))]
        let namespaces = namespaces.map_err(|number| number.to_string());
        Some((namespaces, cgroups))
    }

    fn ask_for_trial(&self, trial: &mut Trial) {
        if let Trial::None = trial {
            let asked = self.nursery.lock().as_ref().map(|nursery| nursery.ask(&self.words(Role::Trial)));
            *trial = asked.and_then(Result::ok).map_or(Trial::Over, Trial::Asked);
        }
    }

    /// Births come in turn: whoever asks for another supervisor sees this one's first.
    fn settle(&self, trial: &mut Trial) {
        *trial = match std::mem::replace(trial, Trial::Over) {
            Trial::Asked(socket) => {
                let mut nursery = self.nursery.lock();
                match nursery.as_ref().map(|nursery| nursery.born(socket)) {
                    Some(Ok(born)) => Trial::Born(Box::new(born.into())),
                    // One whose answer was not read would give it to whoever asks next.
                    Some(Err(Unborn::Gone)) => {
                        *nursery = None;
                        Trial::Over
                    }
                    Some(Err(Unborn::Refused(_))) | None => Trial::Over,
                }
            }
            other => other,
        };
    }

    /// Hands a run to a supervisor. One that waited and has been killed meanwhile is replaced.
    pub(super) fn instruct(
        &self,
        mut supervisor: Supervisor,
        role: Role,
        streams: &[OwnedFd; 3],
        spec: &Spec,
    ) -> io::Result<Supervisor> {
        // One that was stopped takes nothing: it would hold up the run, and what serves others.
        supervisor.socket.set_write_timeout(Some(LISTENS_WITHIN))?;
        if wire::send(&mut supervisor.socket, streams, spec).is_err() {
            supervisor.process.kill();
            supervisor = self.start(&self.words(role))?;
            wire::send(&mut supervisor.socket, streams, spec)?;
        }
        Ok(supervisor)
    }

    /// A supervisor for a run that begins: from here on it hears what a terminal sends.
    pub(super) fn obtain(&self, role: Role) -> io::Result<Supervisor> {
        self.settle(&mut self.trial.lock());
        let waiting = self.waiting.lock().entry(role).or_default().take();
        match waiting {
            Some(supervisor) if supervisor.process.runs() => Ok(supervisor),
            _ => self.start(&self.words(role)),
        }
    }

    /// Has those ready that the next runs need, off the tasks that serve, once a run has ended.
    pub(super) fn prepare(self: &Arc<Self>, role: Role) {
        if self.spares == Spares::None {
            return;
        }
        let (lacks, is_unwatched) = {
            let mut waiting = self.waiting.lock();
            let pool = waiting.entry(role).or_default();
            (pool.begins_to_fill(), pool.is_unwatched())
        };
        if lacks {
            let this = Arc::clone(self);
            tokio::spawn(async move {
                sleep(ANSWERED_WITHIN).await;
                tokio::task::spawn_blocking(move || this.fill(role));
            });
        }
        if is_unwatched {
            tokio::spawn(rest(Arc::downgrade(self), role));
        }
    }

    fn fill(&self, role: Role) {
        while self.waiting.lock().entry(role).or_default().still_lacks() {
            let started = self.start(&self.words(role));
            let mut waiting = self.waiting.lock();
            let pool = waiting.entry(role).or_default();
            match started {
                Ok(supervisor) => pool.put(supervisor),
                // Where none can be started now, the next run says so.
                Err(_) => return pool.gives_up(),
            }
        }
    }

    fn words(&self, role: Role) -> Vec<OsString> {
        supervise::words(role, self.run_as.as_ref(), self.descriptors)
    }

    /// Removes what a run of another user left, which that user alone can.
    pub(super) async fn sweep(&self, scratch: &Path) {
        let mut words = self.words(Role::Sweep);
        words.push(scratch.into());
        // What it could not remove is said by whoever asked.
        if let Ok(mut sweeper) = self.start(&words) {
            sweeper.process.wait().await;
        }
    }

    /// By the nursery; where there is none, or none any more, by this binary.
    fn start(&self, words: &[OsString]) -> io::Result<Supervisor> {
        // The trial is neither asked for nor born in between: births come in turn.
        let mut trial = self.trial.lock();
        self.settle(&mut trial);
        let mut nursery = self.nursery.lock();
        let born = nursery.as_ref().map(|nursery| nursery.ask(words).and_then(|asked| nursery.born(asked)));
        match born {
            Some(Ok(born)) => return Ok(born.into()),
            Some(Err(Unborn::Refused(error))) => return Err(error),
            Some(Err(Unborn::Gone)) => {
                tracing::warn!("the nursery is gone: supervisors are started from here on");
                *nursery = None;
            }
            None => {}
        }
        drop((nursery, trial));
        self.execute(words)
    }

    fn execute(&self, words: &[OsString]) -> io::Result<Supervisor> {
        let (ours, theirs) = UnixStream::pair()?;
        #[expect(clippy::disallowed_methods, reason = "a supervisor starts what was decided")]
        let mut command = tokio::process::Command::new(&self.binary);
        let child = command
            .arg(SUPERVISE)
            .args(words)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let registered = child.id().and_then(|pid| Some(Registered::new(pid.try_into().ok()?)));
        Ok(Supervisor { socket: ours, process: SupervisorProcess::Executed(child), registered })
    }
}

/// Lets go of those that nobody has needed for a while.
async fn rest(supervisors: Weak<Supervisors>, role: Role) {
    loop {
        sleep(QUIET).await;
        let Some(supervisors) = supervisors.upgrade() else { return };
        let let_go = supervisors.waiting.lock().get_mut(&role).and_then(Pool::look);
        if let_go.is_some() {
            return;
        }
    }
}
