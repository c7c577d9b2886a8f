//! The supervisor: this binary, once for each run. It holds the run's values no longer than it takes to
//! start the program, can't be read by what it starts, and outlives the program just long enough to end
//! everything that it left behind.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, WaitOptions, kill_process, wait},
};

#[cfg(target_os = "linux")]
use super::sandbox::{Init, start_init};
use super::{
    RunAs,
    discard::discard,
    program::{Program, start_program},
    sandbox::Shape,
    tree,
    wire::{self, Order, Report, Session},
};
use crate::policy::Network;

/// How often the program's end is looked for where the kernel doesn't tell.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often what fell to this process is reaped.
const REAP_EVERY: Duration = Duration::from_secs(1);

/// What this binary is started as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// The supervisor of a run outside of namespaces.
    Plain,
    /// The supervisor of a run in namespaces, on the host's network.
    Namespaces,
    /// The supervisor of a run in namespaces, with a network of its own.
    OwnNetwork,
    /// One that tries namespaces out, and prints what came of it.
    Rehearsal,
    /// What such a trial runs.
    Nothing,
    /// One that removes what a run of another user left, which that user alone can.
    Sweep,
}

impl Role {
    const ALL: [Self; 6] =
        [Self::Plain, Self::Namespaces, Self::OwnNetwork, Self::Rehearsal, Self::Nothing, Self::Sweep];

    /// Whom a run of this shape, with this network, is supervised by.
    pub(super) fn of(shape: Shape, network: Network) -> Self {
        match (shape, network) {
            (Shape::Namespaces, Network::Open) => Self::Namespaces,
            (Shape::Namespaces, Network::None | Network::Proxy) => Self::OwnNetwork,
            _ => Self::Plain,
        }
    }

    fn has_namespaces(self) -> bool {
        matches!(self, Self::Namespaces | Self::OwnNetwork)
    }

    /// The word behind [`super::SUPERVISE`].
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Namespaces => "namespaces",
            Self::OwnNetwork => "own-network",
            Self::Rehearsal => "rehearsal",
            Self::Nothing => "nothing",
            Self::Sweep => "sweep",
        }
    }
}

/// The supervisor's own main: what `authy-mcp` becomes when it is started as `__supervise ROLE`, and where a run
/// is of another user, that one's number and group behind it. Standard input is the socket to the run.
pub fn supervise() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(2).collect();
    let word = words.first();
    let role = Role::ALL.into_iter().find(|role| word.is_some_and(|word| word == role.word()));
    let done = match role {
        Some(role @ (Role::Plain | Role::Namespaces | Role::OwnNetwork)) => {
            become_user(&words, role).and_then(|()| try_supervise(role))
        }
        Some(Role::Sweep) => become_user(&words, Role::Sweep).and_then(|()| sweep(&words)),
        Some(Role::Rehearsal) => rehearse(),
        Some(Role::Nothing) => Ok(()),
        None => Err(io::ErrorKind::InvalidInput.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Before anything is taken. Who is switched can't be read, and could not write the maps of its namespace.
fn become_user(words: &[OsString], role: Role) -> io::Result<()> {
    let [_, uid, gid, ..] = words else { return Ok(()) };
    let run_as = uid.to_str().zip(gid.to_str()).and_then(|(uid, gid)| RunAs::from_words(uid, gid));
    run_as.ok_or(io::ErrorKind::InvalidInput)?.become_for_good()?;
    #[cfg(target_os = "linux")]
    if role.has_namespaces() {
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
    }
    let _ = role;
    Ok(())
}

fn sweep(words: &[OsString]) -> io::Result<()> {
    words.get(3).map_or(Ok(()), |dir| discard(Path::new(dir)))
}

/// Prints nothing where namespaces can be set up, and else the step that failed.
fn rehearse() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Err(why) = super::sandbox::rehearse_namespaces() {
        io::stdout().write_all(why.as_bytes())?;
    }
    Ok(())
}

fn try_supervise(role: Role) -> io::Result<()> {
    close_inherited();
    let entered = enter_namespace(role);
    harden()?;
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (streams, spec) = wire::receive(&mut socket)?;
    if spec.session == Session::Own {
        rustix::process::setsid()?;
    }
    if let Some(bits) = spec.umask {
        rustix::process::umask(rustix::fs::Mode::from_bits_truncate(bits));
    }
    let scratch = spec.scratch.clone();
    let program = Program { spec: &spec, streams };
    let started = entered.map_err(Report::NotContained).and_then(|()| Started::start(program, role, &socket));
    let report = match started {
        Ok(started) => {
            drop(spec);
            started.watch(&mut socket)?
        }
        Err(report) => report,
    };
    tree::end_all();
    // The private files go before anybody is told that the run has ended.
    let _ = discard(&scratch);
    socket.set_nonblocking(false)?;
    socket.write_all(&report.encode())
}

/// Before anything is here that must not be read: who can't be read can't write the maps of its namespace.
fn enter_namespace(role: Role) -> Result<(), i32> {
    #[cfg(target_os = "linux")]
    if role.has_namespaces() {
        use super::sandbox::{Step, enter_own_network, enter_user_namespace};
        enter_user_namespace().map_err(|error| Step::UserNamespace.failed(&error))?;
        if role == Role::OwnNetwork {
            enter_own_network().map_err(|error| Step::Network.failed(&error))?;
        }
    }
    let _ = role;
    Ok(())
}

/// What was started: a program, or the process 1 that has it.
struct Started {
    pid: Pid,
    #[cfg(target_os = "linux")]
    init: Option<Init>,
}

impl Started {
    #[cfg(target_os = "linux")]
    fn start(program: Program<'_>, role: Role, call: &UnixStream) -> Result<Self, Report> {
        let meant =
            program.spec.contain.as_ref().map(|contained| Role::of(contained.shape, contained.network));
        if meant.is_some_and(|meant| meant != role) {
            let error = io::ErrorKind::InvalidInput.into();
            return Err(Report::NotContained(super::sandbox::Step::Network.failed(&error)));
        }
        match &program.spec.contain {
            Some(contained) if role.has_namespaces() => {
                let init = start_init(contained, program, call).map_err(Report::NotContained)?;
                Ok(Self { pid: init.pid, init: Some(init) })
            }
            contained => {
                let contained = contained.as_ref();
                Ok(Self { pid: start_program(program, contained)?, init: None })
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn start(program: Program<'_>, _: Role, _: &UnixStream) -> Result<Self, Report> {
        let contained = program.spec.contain.as_ref();
        Ok(Self { pid: start_program(program, contained)? })
    }

    /// Waits for the end. Process 1 says how its program ended; one that was killed took it along.
    fn watch(self, socket: &mut UnixStream) -> io::Result<Report> {
        let ended = watch(socket, self.pid)?;
        #[cfg(target_os = "linux")]
        if let Some(init) = self.init {
            return Ok(init.report().unwrap_or(Report::Signaled(9)));
        }
        Ok(ended)
    }
}

/// Before any value is here: descriptors that a client left open are closed, the program can't read this
/// process, orphans fall to it, and signals of a terminal are the program's.
fn harden() -> io::Result<()> {
    super::harden::keep_private()?;
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    take_signals()
}

/// Signals of a terminal, or of whoever means the program, don't end this process. They are caught, not
/// blocked or ignored: a program inherits both of these, and would not end when it is asked to.
fn take_signals() -> io::Result<()> {
    use signal_hook::consts::{
        SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
    };
    for signal in [SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    Ok(())
}

fn close_inherited() {
    let Ok(entries) = fs::read_dir("/dev/fd") else { return };
    let open: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The one of the listing itself is closed already.
        let _ = nix::unistd::close(descriptor);
    }
}

/// Waits for the program's end, doing what it is told meanwhile. When whoever started the run is gone,
/// the tree is ended.
fn watch(socket: &UnixStream, program: Pid) -> io::Result<Report> {
    let ending = Ending::of(program);
    let mut orders = Some(socket.try_clone()?);
    loop {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == program {
                return Ok(Report::of(status));
            }
        }
        if !ending.or_readable(orders.as_ref())? {
            continue;
        }
        if let Some(waiting) = &mut orders {
            let mut bytes = [0; 2];
            let order = waiting.read_exact(&mut bytes).map_or(Order::Kill, |()| Order::decode(bytes));
            obey(order, program);
            if order == Order::Kill {
                orders = None;
            }
        }
    }
}

/// What tells of a program's end: a descriptor of it (pidfd_open(2)), or the clock where there is none.
struct Ending {
    #[cfg(target_os = "linux")]
    descriptor: Option<OwnedFd>,
}

impl Ending {
    fn of(program: Pid) -> Self {
        #[cfg(target_os = "linux")]
        {
            let flags = rustix::process::PidfdFlags::empty();
            Self { descriptor: rustix::process::pidfd_open(program, flags).ok() }
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = program;
            Self {}
        }
    }

    fn descriptor(&self) -> Option<&OwnedFd> {
        #[cfg(target_os = "linux")]
        return self.descriptor.as_ref();
        #[cfg(not(target_os = "linux"))]
        return None;
    }

    /// Waits until the program may have ended, or the socket is readable; whether it is the socket.
    fn or_readable(&self, socket: Option<&UnixStream>) -> io::Result<bool> {
        let within = if self.descriptor().is_some() { REAP_EVERY } else { LOOK_EVERY };
        let mut waited: Vec<PollFd<'_>> = Vec::with_capacity(2);
        waited.extend(socket.map(|socket| PollFd::new(socket, PollFlags::IN)));
        waited.extend(self.descriptor().map(|ending| PollFd::new(ending, PollFlags::IN)));
        let timeout = Timespec::try_from(within).map_err(io::Error::other)?;
        match poll(&mut waited, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(socket.is_some() && !waited[0].revents().is_empty())
    }
}

fn obey(order: Order, program: Pid) {
    match order {
        Order::Terminate => tree::signal_all(Signal::TERM),
        Order::Kill => {
            tree::signal_all(Signal::STOP);
            tree::signal_all(Signal::KILL);
        }
        Order::Signal(number) => {
            if let Some(signal) = Signal::from_named_raw(i32::from(number)) {
                // A program that has ended meanwhile needs no signal.
                let _ = kill_process(program, signal);
            }
        }
    }
}
