//! The gate before a program: it stands there contained and ready, and becomes what was decided once its supervisor
//! has looked at its orders. A cancel is a state: one that came at any moment before is seen here.
//!
//! Until then the handlers of the supervisor would swallow a signal, and the program would start after it was told to
//! end. Behind [`Waiting::stand`] signals do what they do by default: one that comes between the gate and the program
//! ends what would have become it.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::process::Signal;

use super::wire;

/// Which process it is; with a descriptor of it, where the kernel has those (pidfd_open(2)).
const HERE: u8 = b'H';
const READY: u8 = b'R';
const GO: u8 = b'G';

/// Whether signals do what they do by default.
pub(crate) type Defaults = Arc<AtomicBool>;

/// The supervisor's side.
pub(crate) struct Gate {
    socket: UnixStream,
    program: Option<OwnedFd>,
}

/// The side of the process that waits.
pub(crate) struct Waiting {
    socket: UnixStream,
    defaults: Defaults,
}

/// Where the program stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    /// Not there yet.
    Away,
    /// It waits to be let through.
    Ready,
    /// It ended before it was there.
    Gone,
}

/// A gate, and who will wait at it.
pub(crate) fn gate(defaults: &Defaults) -> io::Result<(Gate, Waiting)> {
    let (ours, theirs) = UnixStream::pair()?;
    let waiting = Waiting { socket: theirs, defaults: Arc::clone(defaults) };
    Ok((Gate { socket: ours, program: None }, waiting))
}

impl Gate {
    /// What came from the other side, which must be something.
    pub(crate) fn read(&mut self) -> Stands {
        let mut word = [0; 1];
        match (wire::receive_with(&self.socket, &mut word), word) {
            (Ok(_), [READY]) => Stands::Ready,
            (Ok(descriptors), [HERE]) => {
                self.program = descriptors.into_iter().next();
                Stands::Away
            }
            _ => Stands::Gone,
        }
    }

    /// Lets the program through.
    pub(crate) fn open(&self) -> io::Result<()> {
        (&self.socket).write_all(&[GO])
    }

    /// Sends a signal to the program itself: in namespaces the supervisor knows it by nothing else.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(program) = &self.program {
            return Ok(rustix::process::pidfd_send_signal(program, signal)?);
        }
        let _ = signal;
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl AsFd for Gate {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Waiting {
    /// Says which process it is: to be called while it may still send descriptors. From here on signals do what
    /// they do by default, in this process alone.
    pub(crate) fn stand(&self) -> io::Result<()> {
        self.defaults.store(true, Ordering::SeqCst);
        wire::send_with(&self.socket, &[HERE], &this_process())
    }

    /// Waits to be let through, and fails where it is not to be.
    pub(crate) fn pass(&mut self) -> io::Result<()> {
        let mut word = [0; 1];
        self.socket.write_all(&[READY])?;
        self.socket.read_exact(&mut word)?;
        if word == [GO] { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    }
}

fn this_process() -> Vec<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{PidfdFlags, getpid, pidfd_open};
        pidfd_open(getpid(), PidfdFlags::empty()).into_iter().collect()
    }
    #[cfg(not(target_os = "linux"))]
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_passes_who_is_not_let_through() {
        let defaults = Defaults::default();
        let (mut ours, mut theirs) = gate(&defaults).unwrap();
        let passing = std::thread::spawn(move || theirs.pass().map_err(|error| error.kind()));
        assert_eq!(ours.read(), Stands::Ready);
        ours.open().unwrap();
        assert_eq!(passing.join().unwrap(), Ok(()));
        assert_eq!(ours.read(), Stands::Gone);

        // A supervisor that is gone lets nobody through.
        let (ours, mut theirs) = gate(&defaults).unwrap();
        drop(ours);
        assert!(theirs.pass().is_err());
        let (mut ours, mut theirs) = gate(&defaults).unwrap();
        let passing = std::thread::spawn(move || theirs.pass().is_err());
        assert_eq!(ours.read(), Stands::Ready);
        drop(ours);
        assert!(passing.join().unwrap());
    }

    #[test]
    fn who_stands_there_has_the_defaults_and_is_known() {
        let defaults = Defaults::default();
        let (mut ours, theirs) = gate(&defaults).unwrap();
        theirs.stand().unwrap();
        assert!(defaults.load(Ordering::SeqCst));
        assert_eq!(ours.read(), Stands::Away);
        assert_eq!(ours.program.is_some(), cfg!(target_os = "linux"));
    }
}
