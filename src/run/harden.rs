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
pub enum Side {
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
pub fn keep_private() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

/// Goes on in a child, whose memory is none that somebody could have opened before [`keep_private`]. In the
/// background the child leaves its session; in the foreground the parent passes signals on and waits for it,
/// and the child ends with its parent. Call it before there is a second thread.
///
/// # Errors
/// Of the operating system.
pub fn go_on_in_a_child(background: bool) -> io::Result<Side> {
    match fork::fork()? {
        fork::Fork::Parent(_) if background => Ok(Side::Parent(0)),
        fork::Fork::Parent(child) => stand_in_front_of(child),
        fork::Fork::Child => {
            if background {
                rustix::process::setsid()?;
            } else {
                #[cfg(target_os = "linux")]
                rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
            }
            Ok(Side::Child)
        }
    }
}

/// What a service manager sees of a daemon: passes on what tells it to end, and ends as it does.
fn stand_in_front_of(child: i32) -> io::Result<Side> {
    let child = Pid::from_raw(child);
    let mut awaited = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD] {
        awaited.add(signal);
    }
    awaited.thread_block()?;
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG))? {
            WaitStatus::StillAlive => {}
            WaitStatus::Exited(_, code) => return Ok(Side::Parent(u8::try_from(code).unwrap_or(1))),
            _ => return Ok(Side::Parent(1)),
        }
        match awaited.wait()? {
            Signal::SIGCHLD => {}
            // Where it has ended meanwhile, the next look finds that.
            signal => drop(kill(child, signal)),
        }
    }
}

/// Whether this process is in a user namespace that is not the machine's own: its maker reads what is
/// in here, dumpable or not. Its own maps every user to itself (`user_namespaces(7)`).
pub fn in_a_user_namespace() -> bool {
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else { return false };
    let fields: Vec<&str> = map.split_ascii_whitespace().collect();
    fields != ["0", "0", "4294967295"]
}

/// Keeps what is in memory now out of swap; whether the system let it.
pub fn lock_memory() -> bool {
    #[cfg(target_os = "linux")]
    return rustix::mm::mlockall(rustix::mm::MlockAllFlags::CURRENT).is_ok();
    #[cfg(not(target_os = "linux"))]
    return false;
}

/// Lets go of the standard streams of whoever started this process.
///
/// # Errors
/// Of the operating system.
pub fn leave_streams() -> io::Result<()> {
    let null = fs::File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
