//! What keeps a process's memory to itself, as far as an unprivileged process can.

use std::{fs, io};

use nix::{
    sys::{
        signal::{SigSet, Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use rustix::process::{Resource, Rlimit};

/// Which of two processes goes on here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that was started, and has nothing more to do; with the exit code of its child, where it
    /// waited for it.
    Parent(u8),
    /// Its child.
    Child,
}

/// No core is written, and no other process of this user reads this one's memory, environment or
/// descriptors, or traces it (`PR_SET_DUMPABLE`, see `proc(5)` and `ptrace(2)`).
///
/// # Errors
/// Of the operating system.
pub(crate) fn set_nondumpable() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

/// From here on a file that grows past the limit on file sizes (`ulimit -f`) is an error of who writes it, as a full
/// disk is, and not the end of the process. What is run has the default: handlers end with becoming a program.
///
/// # Errors
/// Of the operating system.
pub(crate) fn survive_file_limits() -> io::Result<()> {
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default()).map(drop)
}

/// How a process goes on in a child of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Nobody waits: the child leaves the session, and its parent ends.
    Background,
    /// For a service manager: the parent stands in front, and when it is gone, the child ends in order.
    Service,
    /// For a person: the parent stands in front, and when it is gone, so is the child.
    Command,
}

/// Goes on in a child, whose memory is none that somebody could have opened before [`set_nondumpable`]. Call it
/// before there is a second thread.
///
/// # Errors
/// Of the operating system.
pub(crate) fn continue_in_child(manner: Manner) -> io::Result<Side> {
    match (fork::fork()?, manner) {
        (fork::Fork::Parent(_), Manner::Background) => Ok(Side::Parent(0)),
        (fork::Fork::Parent(child), _) => wait_and_forward(Pid::from_raw(child)),
        (fork::Fork::Child, Manner::Background) => {
            rustix::process::setsid()?;
            Ok(Side::Child)
        }
        (fork::Fork::Child, Manner::Service) => end_with_parent(rustix::process::Signal::TERM),
        (fork::Fork::Child, Manner::Command) => end_with_parent(rustix::process::Signal::KILL),
    }
}

fn end_with_parent(signal: rustix::process::Signal) -> io::Result<Side> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(signal))?;
    #[cfg(not(target_os = "linux"))]
    let _ = signal;
    Ok(Side::Child)
}

/// Passes on what tells the child to end, and ends as it does.
fn wait_and_forward(child: Pid) -> io::Result<Side> {
    let mut awaited = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGCHLD] {
        awaited.add(signal);
    }
    awaited.thread_block()?;
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG))? {
            WaitStatus::StillAlive => {}
            WaitStatus::Exited(_, code) => return Ok(Side::Parent(u8::try_from(code).unwrap_or(1))),
            WaitStatus::Signaled(_, signal, _) => return Ok(Side::Parent(128 + signal as u8)),
            _ => return Ok(Side::Parent(1)),
        }
        if let Some(signal) = next(&awaited)? {
            // Where it has ended meanwhile, the next look finds that.
            let _ = kill(child, signal);
        }
    }
}

/// The next signal that is to be passed on: a terminal sends its own to both.
#[cfg(target_os = "linux")]
fn next(awaited: &SigSet) -> io::Result<Option<Signal>> {
    let found = nix::sys::signalfd::SignalFd::new(awaited)?.read_signal()?;
    let sent = found.filter(|found| found.ssi_code != nix::libc::SI_KERNEL);
    let signal = sent.and_then(|found| Signal::try_from(i32::try_from(found.ssi_signo).ok()?).ok());
    Ok(signal.filter(|signal| *signal != Signal::SIGCHLD))
}

#[cfg(not(target_os = "linux"))]
fn next(awaited: &SigSet) -> io::Result<Option<Signal>> {
    Ok(Some(awaited.wait()?).filter(|signal| *signal != Signal::SIGCHLD))
}

/// Whether `/proc` is that of another pid namespace than this process's: then it shows other processes under
/// their numbers, and nothing that it says of one may be relied on.
pub(crate) fn proc_is_anothers() -> bool {
    let this = std::process::id().to_string();
    fs::read_link("/proc/self").is_ok_and(|found| found.as_os_str() != this.as_str())
        || (cfg!(target_os = "linux") && fs::read_link("/proc/self").is_err())
}

/// Whether this process is in a user namespace that is not the machine's own: its maker reads what is
/// in here, dumpable or not. Its own maps every user to itself (`user_namespaces(7)`).
pub(crate) fn in_a_user_namespace() -> bool {
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else { return false };
    let fields: Vec<&str> = map.split_ascii_whitespace().collect();
    fields != ["0", "0", "4294967295"]
}

/// Keeps what is in memory now out of swap, and what comes later where there is no limit (past one, growing
/// would fail); whether the system let it.
pub(crate) fn lock_memory() -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{MlockAllFlags, mlockall};
        let unlimited = rustix::process::getrlimit(Resource::Memlock).current.is_none();
        let later =
            if unlimited { MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT } else { MlockAllFlags::empty() };
        mlockall(MlockAllFlags::CURRENT | later).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Lets go of the standard streams of whoever started this process.
///
/// # Errors
/// Of the operating system.
pub(crate) fn leave_streams() -> io::Result<()> {
    let null = fs::File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
