//! Between a run and its supervisor: one socket, over which the child's streams, what to start, orders
//! and the report go.
//!
//! Values go this way only: a supervisor's arguments and environment can be read by every process of the
//! same user.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::{
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags,
    },
    process::WaitStatus,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    policy::Limit,
    sandbox::{CgroupVersion, Containment, Kept, Locks},
};

/// What to start.
#[derive(Serialize, Deserialize)]
pub(crate) struct Spec {
    pub program: PathBuf,
    pub argv: Vec<String>,
    /// The whole environment; values in base64, as they are any bytes.
    pub env: Vec<(String, Zeroizing<String>)>,
    pub cwd: PathBuf,
    /// Gone when the run is.
    pub scratch: PathBuf,
    pub session: TtyMode,
    /// The umask that the child starts with.
    pub umask: Option<u32>,
    /// What contains it.
    pub contain: Option<Containment>,
    /// What it may use, and what keeps it within that.
    pub kept: Option<Kept>,
}

/// Whose terminal and process group the child is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TtyMode {
    /// One of its own.
    Own,
    /// That of a person at a terminal.
    Shared,
}

/// What a run tells its supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// SIGTERM to the whole tree.
    Terminate,
    /// SIGKILL to the whole tree.
    Kill,
    /// This signal to the program.
    Signal(u8),
}

/// What a supervisor tells its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// By itself, with this code.
    Exited(i32),
    /// The same, without something that it wanted beyond this limit.
    ExitedWithout(i32, Limit),
    /// By itself, or by a signal of somebody else's.
    Signaled(i32),
    /// After it was told to.
    Ended,
    /// As it came to the end of what it may use.
    Limited(Limit),
    /// It was told to before the program was there: that never ran.
    NeverRan,
    /// It never ran; with the number of the operating system's error.
    Failed(i32),
    /// It was not started, as it could not be contained; with the step that failed.
    NotContained(i32),
}

impl Order {
    pub(crate) fn encode(self) -> [u8; 2] {
        match self {
            Self::Terminate => [b'T', 0],
            Self::Kill => [b'K', 0],
            Self::Signal(number) => [b'S', number],
        }
    }

    pub(crate) fn decode(bytes: [u8; 2]) -> Self {
        match bytes {
            [b'T', _] => Self::Terminate,
            [b'S', number] => Self::Signal(number),
            _ => Self::Kill,
        }
    }
}

impl Report {
    pub(crate) fn encode(self) -> [u8; 5] {
        let (tag, number) = match self {
            Self::Exited(code) => (b'E', code),
            Self::ExitedWithout(code, limit) => (b'W', (number_of(limit) << 16) | (code & 0xffff)),
            Self::Signaled(signal) => (b'S', signal),
            Self::Ended => (b'T', 0),
            Self::Limited(limit) => (b'R', number_of(limit)),
            Self::NeverRan => (b'N', 0),
            Self::Failed(errno) => (b'F', errno),
            Self::NotContained(step) => (b'C', step),
        };
        let [a, b, c, d] = number.to_be_bytes();
        [tag, a, b, c, d]
    }

    pub(crate) fn decode([tag, a, b, c, d]: [u8; 5]) -> Self {
        let number = i32::from_be_bytes([a, b, c, d]);
        match tag {
            b'E' => Self::Exited(number),
            b'S' => Self::Signaled(number),
            b'C' => Self::NotContained(number),
            b'T' => Self::Ended,
            b'W' => Self::ExitedWithout(number & 0xffff, limit_of(number >> 16)),
            b'R' => Self::Limited(limit_of(number)),
            b'N' => Self::NeverRan,
            _ => Self::Failed(number),
        }
    }

    /// What a process that was waited for says of itself.
    pub(crate) fn of(status: WaitStatus) -> Self {
        status
            .exit_status()
            .map_or_else(|| Self::Signaled(status.terminating_signal().unwrap_or_default()), Self::Exited)
    }
}

fn number_of(limit: Limit) -> i32 {
    match limit {
        Limit::Processes => 1,
        Limit::Memory => 2,
        Limit::Disk => 3,
    }
}

fn limit_of(number: i32) -> Limit {
    match number {
        1 => Limit::Processes,
        2 => Limit::Memory,
        _ => Limit::Disk,
    }
}

/// What a supervisor found that tried this machine out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Whether namespaces can be set up, and locks be apart in them; where not, the step that failed.
    pub namespaces: Result<Locks, i32>,
    /// The control groups that it could make.
    pub cgroups: Option<CgroupVersion>,
}

impl Found {
    pub(crate) fn encode(self) -> [u8; 6] {
        let [tag, a, b, c, d] =
            self.namespaces.map_or_else(Report::NotContained, |locks| Report::Exited(locks.code())).encode();
        let cgroups = match self.cgroups {
            None => 0,
            Some(CgroupVersion::V1) => 1,
            Some(CgroupVersion::V2) => 2,
        };
        [tag, a, b, c, d, cgroups]
    }

    /// Nothing where it is no such answer.
    pub(crate) fn decode([tag, a, b, c, d, cgroups]: [u8; 6]) -> Option<Self> {
        let namespaces = match Report::decode([tag, a, b, c, d]) {
            Report::Exited(code) => Ok(Locks::of(code)),
            Report::NotContained(step) => Err(step),
            _ => return None,
        };
        let cgroups = match cgroups {
            1 => Some(CgroupVersion::V1),
            2 => Some(CgroupVersion::V2),
            _ => None,
        };
        Some(Self { namespaces, cgroups })
    }
}

/// What to start takes no more bytes than this: the kernel takes 6 MiB of arguments and environment (execve(2)), which
/// JSON makes longer by no more than six times.
const LONGEST_SPEC: usize = 64 << 20;

/// Hands a supervisor the child's three streams, and what to start.
pub(crate) fn send(socket: &mut UnixStream, streams: &[OwnedFd; 3], spec: &Spec) -> io::Result<()> {
    let json = Zeroizing::new(serde_json::to_vec(spec).map_err(io::Error::other)?);
    let length = u32::try_from(json.len()).map_err(io::Error::other)?.to_be_bytes();
    let borrowed = [streams[0].as_fd(), streams[1].as_fd(), streams[2].as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&borrowed));
    rustix::net::sendmsg(&*socket, &[IoSlice::new(&length)], &mut control, SendFlags::empty())?;
    socket.write_all(&json)
}

/// Takes what [`send`] sent.
pub(crate) fn receive(socket: &mut UnixStream) -> io::Result<([OwnedFd; 3], Spec)> {
    let mut length = [0; 4];
    let streams = receive_with(socket, &mut length)?;
    let streams = <[OwnedFd; 3]>::try_from(streams).map_err(|_| io::ErrorKind::InvalidData)?;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    if length > LONGEST_SPEC {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut json = Zeroizing::new(vec![0; length]);
    socket.read_exact(&mut json)?;
    Ok((streams, serde_json::from_slice(&json).map_err(io::Error::other)?))
}

/// The most sockets that a run listens on; one message takes 253 (`SCM_MAX_FD`, unix(7)).
pub(crate) const MOST_LISTENERS: usize = 64;
/// What comes with them.
const LISTENING: u8 = b'L';

/// Hands listening sockets to whoever started the run, before the program starts.
pub(crate) fn hand_over(socket: &UnixStream, descriptors: &[OwnedFd]) -> io::Result<()> {
    send_with(socket, &[LISTENING], descriptors)
}

/// Sends a few bytes, and descriptors with them.
pub(crate) fn send_with(socket: &UnixStream, bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
    let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_LISTENERS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::empty())?;
    Ok(())
}

/// What a run's supervisor says first.
pub(crate) enum First {
    /// It listens.
    Listening(Vec<OwnedFd>),
    /// It has ended already.
    Ended(Option<Report>),
}

/// Takes what [`hand_over`] sent, or the report of a run that did not get that far.
pub(crate) fn take_over(socket: &mut UnixStream) -> io::Result<First> {
    let mut first = [0; 1];
    let descriptors = receive_with(socket, &mut first)?;
    if first == [LISTENING] {
        return Ok(First::Listening(descriptors));
    }
    let mut rest = [0; 4];
    let read = socket.read_exact(&mut rest);
    let [a, b, c, d] = rest;
    Ok(First::Ended(read.ok().map(|()| Report::decode([first[0], a, b, c, d]))))
}

/// Reads these bytes whole, and the descriptors that come with them.
pub(crate) fn receive_with(socket: &UnixStream, bytes: &mut [u8]) -> io::Result<Vec<OwnedFd>> {
    // A time limit on the socket takes away that a call goes on behind a signal (signal(7)).
    loop {
        match receive_once(socket, bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            received => return received,
        }
    }
}

fn receive_once(socket: &UnixStream, bytes: &mut [u8]) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_LISTENERS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
    let length = bytes.len();
    let got = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, flags)?;
    if got.bytes != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok(rights.flatten().collect())
}

pub(crate) fn encode_value(value: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(value))
}

pub(crate) fn decode_value(text: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    STANDARD.decode(text).map(Zeroizing::new).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_nothing_to_start_has_is_refused_before_there_is_room_for_it() {
        let (run, mut supervisor) = UnixStream::pair().unwrap();
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        send_with(&run, &u32::MAX.to_be_bytes(), &[null(), null(), null()]).unwrap();
        drop(run);
        assert!(receive(&mut supervisor).is_err_and(|error| error.kind() == io::ErrorKind::InvalidData));
    }
}
