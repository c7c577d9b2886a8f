//! The nursery: a process that holds nothing, and forks a supervisor whenever its server asks for one.
//!
//! It is forked as the server begins, while that has one thread and holds nothing: no identity, no secret, no client.
//! What a server has later (threads, keys, connections) can't be forked, and to execute this binary for each run costs
//! more than a short run itself. A supervisor that is forked here is one as any other: told what to start over its
//! socket, by which it also ends.
//!
//! The parent of these supervisors is the nursery, not the server. So the server gets a descriptor of each with its birth
//! (pidfd_open(2)), opened before its number could be another's; it sees the end by that, and kills by that. When the
//! server is gone, so is the nursery. When the nursery was killed, supervisors go on, and fall to the server.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{
            ffi::{OsStrExt, OsStringExt},
            net::UnixStream,
        },
    },
    slice,
    time::Duration,
};

use rustix::process::{Pid, WaitOptions, waitpid};

use super::{
    brood::Brood,
    own::{self, GROUP},
    supervisor::{self, Signals},
    tree::Registered,
    wire,
};

/// A nursery that takes longer than this to answer is none: it was stopped.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// So long it waits, once nobody can ask any more, for those that it has forked: they end what they watch over.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// A nursery, as its server has it.
#[derive(Debug)]
pub struct Nursery {
    socket: UnixStream,
    pid: Pid,
    _registered: Registered,
}

/// A supervisor that was forked.
#[derive(Debug)]
pub(crate) struct Newborn {
    pub socket: UnixStream,
    /// The process, whatever becomes of its number.
    pub process: OwnedFd,
    pub registered: Registered,
}

/// Why there is no supervisor.
#[derive(Debug)]
pub(crate) enum Unborn {
    /// The nursery is gone, or does not answer: it is not to be asked again.
    Gone,
    /// It could not fork.
    Refused(io::Error),
}

impl Nursery {
    /// Forks it. To be called before anything is opened or asked for: its memory is what this process's is now.
    ///
    /// # Errors
    /// Of the operating system; where this process has a second thread; and on other systems than Linux.
    pub fn fork() -> io::Result<Self> {
        // Only the thread that forks goes on in the child: what another one holds would be held there for good.
        if !cfg!(target_os = "linux") || fs::read_dir("/proc/self/task")?.count() != 1 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let (socket, theirs) = UnixStream::pair()?;
        match fork::fork()? {
            fork::Fork::Parent(child) => {
                socket.set_read_timeout(Some(ANSWERS_WITHIN))?;
                socket.set_write_timeout(Some(ANSWERS_WITHIN))?;
                let pid = Pid::from_raw(child).ok_or(io::ErrorKind::InvalidData)?;
                Ok(Self { socket, pid, _registered: Registered::new(child) })
            }
            fork::Fork::Child => {
                drop(socket);
                std::process::exit(i32::from(live(theirs).is_err()));
            }
        }
    }

    /// Asks for a supervisor that is told these words, and does not wait for it: [`Self::born`] does. What was asked for
    /// is born in turn.
    pub(crate) fn ask(&self, words: &[OsString]) -> Result<UnixStream, Unborn> {
        let (ours, theirs) = UnixStream::pair().map_err(Unborn::Refused)?;
        send(&self.socket, words, theirs).map_err(|_| Unborn::Gone)?;
        Ok(ours)
    }

    /// The process at the other end of the socket that was asked for.
    pub(crate) fn born(&self, socket: UnixStream) -> Result<Newborn, Unborn> {
        let mut number = [0; 4];
        let received = wire::receive_with(&self.socket, &mut number).map_err(|_| Unborn::Gone)?;
        let number = i32::from_be_bytes(number);
        match received.into_iter().next() {
            Some(process) => Ok(Newborn { socket, process, registered: Registered::new(number) }),
            None => Err(Unborn::Refused(io::Error::from_raw_os_error(number))),
        }
    }
}

/// It ends by its socket. One that was killed has ended: nobody else waits for it.
impl Drop for Nursery {
    fn drop(&mut self) {
        let _ = waitpid(Some(self.pid), WaitOptions::NOHANG);
    }
}

/// The nursery's life, and that of whoever it forks.
fn live(socket: UnixStream) -> io::Result<()> {
    // It ends by its socket, behind those that it has forked: their groups are its to remove. It does so also if somebody has
    // stopped it.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::CONT))?;
    let socket = leave(socket)?;
    super::set_nondumpable()?;
    #[cfg(target_os = "linux")]
    rustix::thread::set_name(c"authy-nursery")?;
    let signals = supervisor::take_signals()?;
    // Asked for once, and known to everyone who is forked.
    #[cfg(target_os = "linux")]
    {
        crate::sandbox::landlock_abi();
        crate::sandbox::shares::shares();
    }
    own::prepare_groups();
    match tend(socket, &signals)? {
        None => Ok(()),
        Some((words, theirs)) => {
            rustix::stdio::dup2_stdin(&theirs)?;
            drop(theirs);
            supervisor::live_as_told(&words, Some(signals))
        }
    }
}

/// Takes leave of what the process had that forked: its streams, its directory, and all that it has open.
fn leave(socket: UnixStream) -> io::Result<UnixStream> {
    super::leave_streams()?;
    rustix::stdio::dup2_stdin(&socket)?;
    drop(socket);
    std::env::set_current_dir("/")?;
    supervisor::close_inherited();
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?.into();
    rustix::stdio::dup2_stdin(fs::File::open("/dev/null")?)?;
    Ok(socket)
}

/// Forks whom it is asked for, and reaps who has ended, until nobody can ask any more. In who was forked it returns what
/// that one was told.
fn tend(socket: UnixStream, signals: &Signals) -> io::Result<Option<(Vec<OsString>, UnixStream)>> {
    let mut brood = Brood::new();
    loop {
        if !is_asked(&socket, &brood)? {
            brood.reap();
            continue;
        }
        let Ok((mut words, theirs)) = receive(&socket) else {
            brood.reap_all(ENDS_WITHIN);
            return Ok(None);
        };
        let group = brood.next_group();
        // Before the fork, never behind it: what comes from then on is the newborn's own.
        signals.forget();
        match fork::fork() {
            Ok(fork::Fork::Child) => {
                words.extend(group.map(|name| OsString::from(format!("{GROUP}{name}"))));
                return Ok(Some((words, theirs)));
            }
            Ok(fork::Fork::Parent(number)) => {
                let pid = Pid::from_raw(number).ok_or(io::ErrorKind::InvalidData)?;
                let process = brood.add(pid, group)?;
                wire::send_with(&socket, &number.to_be_bytes(), slice::from_ref(process))?;
            }
            Err(error) => {
                let number = error.raw_os_error().unwrap_or_default();
                wire::send_with(&socket, &number.to_be_bytes(), &[])?;
            }
        }
    }
}

/// Waits until somebody asks, or one of these has ended.
fn is_asked(socket: &UnixStream, brood: &Brood) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut waited = vec![PollFd::new(socket, PollFlags::IN)];
    waited.extend(brood.ends());
    match poll(&mut waited, None) {
        Ok(_) => Ok(waited.first().is_some_and(|socket| !socket.revents().is_empty())),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Between two words: none of them has it.
const NUL: u8 = 0;

fn send(socket: &UnixStream, words: &[OsString], theirs: UnixStream) -> io::Result<()> {
    let text = words.join(OsStr::from_bytes(&[NUL])).into_vec();
    let length = u16::try_from(text.len()).map_err(io::Error::other)?;
    wire::send_with(socket, &length.to_be_bytes(), &[theirs.into()])?;
    (&mut &*socket).write_all(&text)
}

/// What [`send`] sent.
fn receive(socket: &UnixStream) -> io::Result<(Vec<OsString>, UnixStream)> {
    let mut length = [0; 2];
    let theirs = wire::receive_with(socket, &mut length)?.into_iter().next();
    let mut text = vec![0; u16::from_be_bytes(length).into()];
    (&mut &*socket).read_exact(&mut text)?;
    let words = text.split(|byte| *byte == NUL).map(|word| OsString::from_vec(word.to_vec())).collect();
    Ok((words, theirs.ok_or(io::ErrorKind::InvalidData)?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_second_thread_forks_nothing() {
        // Tests are threads beside the one that started them.
        assert_eq!(Nursery::fork().unwrap_err().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn words_come_as_they_were_sent_with_the_socket() {
        let (server, nursery) = UnixStream::pair().unwrap();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let words = ["own-network", "47", "48", "a b", ""].map(OsString::from);
        send(&server, &words, theirs).unwrap();
        let (received, mut theirs) = receive(&nursery).unwrap();
        assert_eq!(received, words);
        theirs.write_all(b"x").unwrap();
        let mut byte = [0; 1];
        ours.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"x");
        // Whoever has nobody to fork for ends.
        drop(server);
        assert!(receive(&nursery).is_err());
    }
}
