//! Where a run's supervisor comes from: one that was started or forked ahead and waits, or a fresh one.
//!
//! Starting this binary is most of what a short run costs. One that waits holds nothing and knows nothing: what
//! it will start reaches it when it is needed, over its socket, and it ends when that is closed.

use std::{
    collections::HashMap,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::process::Child;

use crate::{
    sandbox::SandboxCapabilities,
    supervise::{
        self, Ahead, DESCRIPTORS, Forked, Role, RunAs, SUPERVISE,
        tree::Registered,
        wire::{self, Spec},
    },
};

/// Whether supervisors are started ahead.
#[derive(Debug)]
pub enum Spares {
    /// One of each kind that was needed waits for the next run.
    Kept,
    /// Each is started when it is needed.
    None,
    /// The first was forked: by a process that starts one run, as a rule.
    Forked(Ahead),
}

/// Starts supervisors.
pub struct Supervisors {
    binary: PathBuf,
    run_as: Option<RunAs>,
    kept: bool,
    descriptors: Option<u64>,
    waiting: Mutex<HashMap<Role, Supervisor>>,
    forked: Mutex<Option<Ahead>>,
}

/// A supervisor that has been told nothing yet.
pub(super) struct Supervisor {
    pub socket: UnixStream,
    pub process: Process,
    pub registered: Option<Registered>,
}

impl From<Forked> for Supervisor {
    fn from(Forked { socket, pid, registered }: Forked) -> Self {
        Self { socket, process: Process::Forked(pid), registered: Some(registered) }
    }
}

/// A supervisor's process, a child of this one.
pub(super) enum Process {
    /// This binary.
    Executed(Child),
    /// One that this process began with.
    Forked(Pid),
}

impl Process {
    fn runs(&mut self) -> bool {
        match self {
            Self::Executed(child) => matches!(child.try_wait(), Ok(None)),
            Self::Forked(pid) => matches!(waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None)),
        }
    }

    /// Waits for its end.
    pub(super) async fn wait(&mut self) {
        match self {
            Self::Executed(child) => drop(child.wait().await),
            Self::Forked(pid) => {
                let pid = *pid;
                // It can't fail but by being waited for already.
                let _ = tokio::task::spawn_blocking(move || waitpid(Some(pid), WaitOptions::empty())).await;
            }
        }
    }

    /// Ends it. One that has ended is not waited for yet, so that no other has its number.
    pub(super) fn kill(&mut self) {
        let _ = match self {
            Self::Executed(child) => child.start_kill(),
            Self::Forked(pid) => kill_process(*pid, Signal::KILL).map_err(Into::into),
        };
    }
}

impl Supervisors {
    /// `binary` is this program; `run_as` the user whom runs are of, where it is not this process's own;
    /// `descriptors` how many of them programs may have, where it is not as many as this process.
    pub fn new(
        binary: PathBuf,
        run_as: Option<RunAs>,
        spares: Spares,
        descriptors: Option<u64>,
    ) -> Arc<Self> {
        let kept = matches!(spares, Spares::Kept);
        let forked = Mutex::new(match spares {
            Spares::Forked(ahead) => Some(ahead),
            Spares::Kept | Spares::None => None,
        });
        Arc::new(Self { binary, run_as, kept, descriptors, waiting: Mutex::default(), forked })
    }

    /// This program.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The user whom runs are of, where it is not this process's own.
    pub fn run_as(&self) -> Option<&RunAs> {
        self.run_as.as_ref()
    }

    /// What this machine lets a run be contained by: as the supervisor found that was forked, or by a rehearsal.
    pub(crate) fn machine(&self) -> SandboxCapabilities {
        match self.forked.lock().as_mut() {
            Some(ahead) => SandboxCapabilities::with(ahead.namespaces()),
            None => supervise::machine(&self.binary),
        }
    }

    /// Hands a run to a supervisor. One that waited and has been killed meanwhile is replaced.
    pub(super) fn instruct(&self, role: Role, streams: &[OwnedFd; 3], spec: &Spec) -> io::Result<Supervisor> {
        // Taken by the first run, whatever that is; whom it doesn't need ends with this function.
        let mut ahead = self.forked.lock().take();
        let waiting = self.waiting.lock().remove(&role);
        let waiting = waiting.or_else(|| ahead.as_mut()?.take(role).map(Supervisor::from));
        if let Some(mut supervisor) = waiting
            && supervisor.process.runs()
            && wire::send(&mut supervisor.socket, streams, spec).is_ok()
        {
            return Ok(supervisor);
        }
        let mut fresh = self.start(role)?;
        wire::send(&mut fresh.socket, streams, spec)?;
        Ok(fresh)
    }

    /// Starts one ahead for the next run, off the tasks that serve.
    pub(super) fn prepare(self: &Arc<Self>, role: Role) {
        if !self.kept {
            return;
        }
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let mut waiting = this.waiting.lock();
            if waiting.contains_key(&role) {
                return;
            }
            // Where none can be started now, the next run says so.
            if let Ok(supervisor) = this.start(role) {
                waiting.insert(role, supervisor);
            }
        });
    }

    fn start(&self, role: Role) -> io::Result<Supervisor> {
        let (ours, theirs) = UnixStream::pair()?;
        #[expect(clippy::disallowed_methods, reason = "a supervisor starts what was decided")]
        let mut command = tokio::process::Command::new(&self.binary);
        let child = command
            .args([SUPERVISE, role.as_str()])
            .args(self.run_as.iter().flat_map(RunAs::words))
            .args(self.descriptors.map(|most| format!("{DESCRIPTORS}{most}")))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let registered = child.id().map(Registered::new);
        Ok(Supervisor { socket: ours, process: Process::Executed(child), registered })
    }
}
