//! Process 1 of a run: puts the view together, starts the program, reaps, and takes everything with it.

use std::{
    fs,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
};

use rustix::process::{Pid, Signal, WaitOptions, wait, waitpid};

use super::{
    DIRS, Role, SUPERVISE,
    gate::{Defaults, Gate, Waiting, gate},
    program::{Program, fork_program},
    wire::{self, Report, Spec, TtyMode},
};
use crate::{
    policy::Network,
    sandbox::{
        At, Containment, Failed, Locks, PathRule, SandboxBackend, Seen, Step, landlock_abi, mounts,
        namespaces::{self, leave_the_rest, next_child_is_init},
    },
};

/// A run's process 1, as its supervisor has it.
pub(crate) struct Init {
    /// Its number here.
    pub pid: Pid,
    /// Where its program waits.
    pub gate: Gate,
    said: io::PipeReader,
}

impl Init {
    /// What it said before it ended; nothing where it was killed.
    pub(crate) fn report(&mut self) -> Option<Report> {
        let mut bytes = [0; 5];
        self.said.read_exact(&mut bytes).ok().map(|()| Report::decode(bytes))
    }

    /// Readable once its program has ended.
    pub(crate) fn said(&self) -> BorrowedFd<'_> {
        self.said.as_fd()
    }
}

/// Forks a run's process 1. `call` is where the listening sockets go.
pub(crate) fn start_init(
    contained: &Containment,
    program: Program<'_>,
    call: &UnixStream,
    defaults: &Defaults,
) -> Result<Init, i32> {
    start(contained, program, call, defaults).map_err(|Failed(number)| number)
}

fn start(
    contained: &Containment,
    program: Program<'_>,
    call: &UnixStream,
    defaults: &Defaults,
) -> Result<Init, Failed> {
    next_child_is_init().at(Step::Namespaces)?;
    let (gate, waiting) = gate(defaults).at(Step::Fork)?;
    let (said, mut say) = io::pipe().at(Step::Fork)?;
    match fork::fork().at(Step::Fork)? {
        fork::Fork::Parent(pid) => {
            let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData).at(Step::Fork)?;
            Ok(Init { pid, gate, said })
        }
        fork::Fork::Child => {
            drop((said, gate));
            let report = live(contained, program, call, waiting)
                .unwrap_or_else(|Failed(number)| Report::NotContained(number));
            // A supervisor that is gone has nobody to tell.
            let _ = say.write_all(&report.encode());
            std::process::exit(0);
        }
    }
}

/// The life of process 1. It ends with the program, or with its supervisor.
fn live(
    contained: &Containment,
    program: Program<'_>,
    call: &UnixStream,
    waiting: Waiting,
) -> Result<Report, Failed> {
    // First of all: whatever happens to the supervisor from here on, this process and so its whole namespace go with it. One
    // that is gone already opens no gate.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).at(Step::Fork)?;
    // Before any mount: those that follow must be this run's alone.
    leave_the_rest().at(Step::Namespaces)?;
    if !contained.listen.is_empty() {
        let listening = namespaces::loopback_sockets(&contained.listen).at(Step::Listen)?;
        wire::hand_over(call, &listening).at(Step::Listen)?;
    }
    // The view is complete before there is a program, and before the filters, which refuse what it is made with. They are
    // the program's alone: it takes them on itself, when it has been forked.
    mounts::enter(contained)?;
    match fork_program(program, Some(contained), waiting, None) {
        Ok((mut forked, _)) => Ok(forked.failure().unwrap_or_else(|| reap_until(forked.pid))),
        Err(report) => Ok(report),
    }
}

/// Reaps whatever ends, until it is the program.
fn reap_until(program: Pid) -> Report {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == program => return Report::of(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Report::Signaled(9),
        }
    }
}

/// Whether this machine lets a view be made, by a process 1 that makes what it can refuse, and ends. The process that
/// asks has entered its user namespace, and no other is its own afterwards. Where it does, whether locks can be apart.
pub(crate) fn try_view() -> Result<Locks, i32> {
    let tried = || -> Result<Result<Locks, i32>, Failed> {
        let (mut said, mut say) = io::pipe().at(Step::Fork)?;
        let asker = fork_and(|| {
            // A pid namespace is over with its process 1, so the one that forks it is not the one that asks.
            let made = next_child_is_init().at(Step::Namespaces).and_then(|()| {
                fork_and(|| {
                    tell(&mut say, leave_the_rest().at(Step::Namespaces).and_then(|()| mounts::try_out()))
                })
            });
            match made {
                Ok(init) => drop(waitpid(Some(init), WaitOptions::empty())),
                Err(failed) => tell(&mut say, Err(failed)),
            }
        })?;
        drop(say);
        let mut bytes = [0; 5];
        let report = said.read_exact(&mut bytes).map(|()| Report::decode(bytes));
        waitpid(Some(asker), WaitOptions::empty()).at(Step::Fork)?;
        Ok(match report.at(Step::Fork)? {
            Report::NotContained(number) => Err(number),
            Report::Exited(code) => Ok(Locks::of(code)),
            _ => Ok(Locks::Shared),
        })
    };
    tried().unwrap_or_else(|Failed(number)| Err(number))
}

/// Forks a process that does this, and ends. To be called by a process with one thread.
fn fork_and(work: impl FnOnce()) -> Result<Pid, Failed> {
    match fork::fork().at(Step::Fork)? {
        fork::Fork::Parent(pid) => Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData).at(Step::Fork),
        fork::Fork::Child => {
            work();
            std::process::exit(0);
        }
    }
}

fn tell(say: &mut io::PipeWriter, tried: Result<Locks, Failed>) {
    let ended = |locks: Locks| Report::Exited(locks.code());
    let report = tried.map_or_else(|Failed(number)| Report::NotContained(number), ended);
    // Whoever asked is gone where this fails.
    let _ = say.write_all(&report.encode());
}

/// Sets everything up as for a run, and runs nothing but this binary's own `true`; what failed, in words.
pub(crate) fn rehearse_namespaces() -> Result<(), String> {
    let described = |number: i32| Step::describe(number);
    let io = |step: Step| move |error: io::Error| described(step.failed(&error));
    let namespace = namespaces::enter_user_namespace().map_err(io(Step::UserNamespace))?;
    namespaces::enter_own_network().map_err(io(Step::Network))?;
    let scratch = tempfile::tempdir().map_err(io(Step::Root))?;
    let spec = rehearsal(scratch.path()).map_err(io(Step::Root))?;
    let Some(contained) = &spec.contain else { return Ok(()) };
    let (call, _other) = UnixStream::pair().map_err(io(Step::Fork))?;
    let null = || fs::File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    let streams = [(); 3].map(|()| null());
    let [Ok(stdin), Ok(stdout), Ok(stderr)] = streams else {
        return Err("/dev/null can't be opened".to_owned());
    };
    let program = Program { spec: &spec, streams: [stdin, stdout, stderr], namespace };
    let mut init = start_init(contained, program, &call, &Defaults::default()).map_err(described)?;
    init.gate.open().map_err(io(Step::Fork))?;
    match init.report() {
        Some(Report::Exited(0)) => Ok(()),
        Some(Report::NotContained(number)) => Err(described(number)),
        Some(Report::Failed(errno)) => Err(io::Error::from_raw_os_error(errno).to_string()),
        other => Err(format!("a program in it ended with {other:?}")),
    }
}

fn rehearsal(scratch: &Path) -> io::Result<Spec> {
    for dir in DIRS {
        fs::create_dir(scratch.join(dir))?;
    }
    let binary = fs::canonicalize("/proc/self/exe")?;
    let contain = Containment {
        shape: SandboxBackend::Namespaces,
        network: Network::None,
        places: vec![PathRule { path: binary.clone(), seen: Seen::Read, inode: None }],
        scratch: scratch.to_owned(),
        listen: Vec::new(),
        covers: Vec::new(),
        landlock: landlock_abi() > 0,
        locks: Locks::Shared,
        given: false,
        terminal: false,
        memory: None,
    };
    Ok(Spec {
        argv: vec!["authy-mcp".to_owned(), SUPERVISE.to_owned(), Role::Nothing.as_str().to_owned()],
        program: binary,
        env: Vec::new(),
        cwd: "/".into(),
        scratch: scratch.to_owned(),
        session: TtyMode::Own,
        umask: None,
        contain: Some(contain),
        kept: None,
    })
}
