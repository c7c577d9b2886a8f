//! Supervisors of a process that starts one run, forked as that process begins: while it has one thread, and holds
//! nothing.
//!
//! Such a command pays for each start of this binary. What is forked needs none, and one of the two enters its namespaces
//! while the vault is being opened, and says whether this machine lets it: that is what the run's plan goes by. From
//! there on each is a supervisor as any other: unreadable, and told what to start over its socket, by which it also ends.

use std::{
    fs,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::{Role, supervisor, tree::Registered, wire::Report};

/// Two supervisors that wait, for whatever the first run will be.
#[derive(Debug)]
pub struct Ahead {
    /// In namespaces, with a network of its own.
    contained: Option<Forked>,
    /// Anything else, as it is told.
    other: Option<Forked>,
    namespaces: Option<Result<(), String>>,
}

/// A supervisor that was forked.
#[derive(Debug)]
pub(crate) struct Forked {
    pub socket: UnixStream,
    pub pid: Pid,
    pub registered: Registered,
}

impl Ahead {
    /// Forks them. To be called before anything is opened or asked for: their memory is what this process's is now.
    ///
    /// # Errors
    /// Of the operating system; where this process has a second thread; and on other systems than Linux.
    pub(crate) fn fork() -> io::Result<Self> {
        // Only the thread that forks goes on in the child: what another one holds would be held there for good.
        if !cfg!(target_os = "linux") || fs::read_dir("/proc/self/task")?.count() != 1 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let contained = Some(Forked::fork(supervisor::supervise_in_own_network)?);
        let other = Forked::fork(supervise_as_told).ok();
        Ok(Self { contained, other, namespaces: None })
    }

    /// Whether namespaces can be set up; where not, the step that failed and why. Waits until that is known.
    pub(crate) fn namespaces(&mut self) -> Result<(), String> {
        let Self { contained, namespaces, .. } = self;
        let found = namespaces.get_or_insert_with(|| {
            let mut said = [0; 5];
            let read = contained.as_mut().map(|waiting| waiting.socket.read_exact(&mut said));
            match read.map(|read| read.map(|()| Report::decode(said))) {
                Some(Ok(Report::Exited(0))) => Ok(()),
                #[cfg(target_os = "linux")]
                Some(Ok(Report::NotContained(number))) => Err(crate::sandbox::Step::describe(number)),
                _ => Err("trying them out ended early".to_owned()),
            }
        });
        found.clone()
    }

    /// The one that can be of this role, where it still waits.
    pub(crate) fn take(&mut self, role: Role) -> Option<Forked> {
        match role {
            Role::OwnNetwork => {
                // What it says of the machine comes before all else.
                self.namespaces().ok()?;
                self.contained.take()
            }
            Role::Plain | Role::Namespaces => {
                let mut other = self.other.take()?;
                other.socket.write_all(&[letter(role)]).ok()?;
                Some(other)
            }
            Role::Rehearsal | Role::Nothing | Role::Sweep => None,
        }
    }
}

/// Whom no run needed ends at once: it holds nothing.
impl Drop for Ahead {
    fn drop(&mut self) {
        for waiting in [self.contained.take(), self.other.take()].into_iter().flatten() {
            // It has not been waited for, so that no other has its number; one that has ended is what is wanted.
            let _ = kill_process(waiting.pid, Signal::KILL);
            let _ = waitpid(Some(waiting.pid), WaitOptions::empty());
        }
    }
}

impl Forked {
    fn fork(become_supervisor: fn() -> io::Result<()>) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        match fork::fork()? {
            fork::Fork::Parent(child) => {
                let pid = Pid::from_raw(child).ok_or(io::ErrorKind::InvalidData)?;
                Ok(Self { socket, pid, registered: Registered::new(child.unsigned_abs()) })
            }
            fork::Fork::Child => {
                drop(socket);
                let done = leave(theirs).and_then(|()| become_supervisor());
                std::process::exit(i32::from(done.is_err()));
            }
        }
    }
}

/// Takes leave of what the process had that forked: its streams, its directory, and all that it has open.
fn leave(theirs: UnixStream) -> io::Result<()> {
    super::leave_streams()?;
    rustix::stdio::dup2_stdin(&theirs)?;
    drop(theirs);
    std::env::set_current_dir("/")?;
    supervisor::close_inherited();
    Ok(())
}

/// What a role is called over the socket.
fn letter(role: Role) -> u8 {
    if role == Role::Namespaces { b'N' } else { b'P' }
}

fn supervise_as_told() -> io::Result<()> {
    // It may wait as long as a person thinks of a passphrase: nobody gets hold of it meanwhile.
    super::set_nondumpable()?;
    let mut told = [0; 1];
    UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?).read_exact(&mut told)?;
    let role = [Role::Plain, Role::Namespaces].into_iter().find(|role| [letter(*role)] == told);
    supervisor::supervise_as(role.ok_or(io::ErrorKind::InvalidData)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_second_thread_forks_nothing() {
        // Tests are threads beside the one that started them.
        assert_eq!(Ahead::fork().unwrap_err().kind(), io::ErrorKind::Unsupported);
    }
}
