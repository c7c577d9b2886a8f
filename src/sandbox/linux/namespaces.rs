//! Namespaces, and the loopback of a network of one's own.

use std::{
    fs, io,
    net::{TcpListener, UdpSocket},
    os::fd::OwnedFd,
};

use nix::sched::CloneFlags;
use rustix::{
    net::{AddressFamily, SendFlags, SocketFlags, SocketType},
    process::{getegid, geteuid},
};

use crate::sandbox::Endpoint;

/// Whether a process has a user namespace of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserNamespace {
    /// What it does to counts and limits there, it does to the machine's.
    None,
    Own,
}

/// Enters a user namespace in which this user is what it is outside. To be called before this process
/// makes itself unreadable: its maps could not be written afterwards. Whoever is root without being let make
/// user namespaces goes without: the other namespaces are root's to make.
pub(crate) fn enter_user_namespace() -> io::Result<UserNamespace> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    match nix::sched::unshare(CloneFlags::CLONE_NEWUSER) {
        Err(_) if user == 0 => return Ok(UserNamespace::None),
        made => made?,
    }
    // user_namespaces(7): a process without privileges maps itself alone, after it has given up setgroups.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    Ok(UserNamespace::Own)
}

/// From now on children are in a pid namespace of their own, the first of them as process 1. System V objects are of the
/// namespace that this process enters with them: what they take can be seen from outside of their view.
pub(crate) fn next_child_is_init() -> io::Result<()> {
    Ok(nix::sched::unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC)?)
}

/// Enters a network of one's own: a loopback, and nothing else. It takes the longest of all, and can be done ahead.
pub(crate) fn enter_own_network() -> io::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNET)?;
    loopback_up()
}

/// Mounts and the host's name: both of one's own.
pub(crate) fn leave_the_rest() -> io::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)?;
    // The name is told to nobody who does not know it: it is one more thing that says which machine this is.
    Ok(nix::unistd::sethostname("sandbox")?)
}

/// Brings the loopback up: `RTM_NEWLINK` for interface 1 with `IFF_UP` (rtnetlink(7)).
fn loopback_up() -> io::Result<()> {
    const LENGTH: usize = 32;
    let mut message = Vec::with_capacity(LENGTH);
    message.extend((LENGTH as u32).to_ne_bytes());
    message.extend(libc::RTM_NEWLINK.to_ne_bytes());
    message.extend(((libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16).to_ne_bytes());
    message.extend([0; 8]);
    message.extend([0; 4]);
    message.extend(1_i32.to_ne_bytes());
    message.extend((libc::IFF_UP as u32).to_ne_bytes());
    message.extend((libc::IFF_UP as u32).to_ne_bytes());
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    rustix::net::send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0_u8; 128];
    let (length, _) = rustix::net::recv(&socket, &mut answer, rustix::net::RecvFlags::empty())?;
    // An NLMSG_ERROR: the header's 16 bytes, then the error as a negative number, or 0.
    let errno = answer.get(16..20).filter(|_| length >= 20).and_then(|bytes| bytes.try_into().ok());
    match errno.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Listens on the loopback of this namespace: whoever is handed the descriptors answers on them from anywhere. Ports of
/// the system's are bound while this process has the capability for its own network (user_namespaces(7)); the
/// program has none.
pub(crate) fn loopback_sockets(endpoints: &[Endpoint]) -> io::Result<Vec<OwnedFd>> {
    let bound = endpoints.iter().map(|endpoint| match endpoint {
        Endpoint::Stream(at) => TcpListener::bind(at).map(OwnedFd::from),
        Endpoint::Datagrams(at) => UdpSocket::bind(at).map(OwnedFd::from),
    });
    bound.collect()
}
