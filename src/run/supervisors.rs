//! Where a run's supervisor comes from: one that was started ahead and waits, or a fresh one.
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

use tokio::process::Child;

use crate::supervise::{
    DESCRIPTORS, Role, RunAs, SUPERVISE,
    tree::Registered,
    wire::{self, Spec},
};

/// Whether supervisors are started ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spares {
    /// One of each kind that was needed waits for the next run.
    Kept,
    /// Each is started when it is needed: by a process that starts one run.
    None,
}

/// Starts supervisors.
pub struct Supervisors {
    binary: PathBuf,
    run_as: Option<RunAs>,
    spares: Spares,
    descriptors: Option<u64>,
    waiting: Mutex<HashMap<Role, Supervisor>>,
}

/// A supervisor that has been told nothing yet.
pub(super) struct Supervisor {
    pub socket: UnixStream,
    pub child: Child,
    pub registered: Option<Registered>,
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
        Arc::new(Self { binary, run_as, spares, descriptors, waiting: Mutex::default() })
    }

    /// This program.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The user whom runs are of, where it is not this process's own.
    pub fn run_as(&self) -> Option<&RunAs> {
        self.run_as.as_ref()
    }

    /// Hands a run to a supervisor. One that waited and has been killed meanwhile is replaced.
    pub(super) fn instruct(&self, role: Role, streams: &[OwnedFd; 3], spec: &Spec) -> io::Result<Supervisor> {
        let waiting = self.waiting.lock().remove(&role);
        if let Some(mut supervisor) = waiting
            && matches!(supervisor.child.try_wait(), Ok(None))
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
        if self.spares == Spares::None {
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
        Ok(Supervisor { socket: ours, child, registered })
    }
}
