//! One place of the file system, as a contained run sees it.

use std::{net::SocketAddrV4, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Where a contained run finds its private directories.
pub(crate) const INSIDE: &str = "/run/authy-mcp";

/// One place, absolute, links followed by nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PathRule {
    pub path: PathBuf,
    pub seen: Seen,
    /// The device and inode that must lie there, where that is known.
    pub inode: Option<(u64, u64)>,
}

/// How a place is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Seen {
    /// As it is, not to be written.
    Read,
    /// As it is, and may be written.
    Write,
    /// A part of what may be written, that may not be: nor be moved or replaced, since it is a mount of its own.
    Closed,
    /// A part of what may be written, that may not be moved or replaced.
    Held,
    /// Empty, or not at all.
    Hidden,
    /// A directory of which only what is listed besides is seen, each by itself: what is hidden in it stays so,
    /// whatever is put there or takes its place meanwhile.
    Parts,
    /// A part of such a directory: as what may be read, if it is still there.
    Part,
    /// A link in such a directory, and where it leads.
    Link(PathBuf),
    /// As a copy that nobody changes, made from the file that lies there, if it has this SHA-256.
    Copy([u8; 32]),
}

/// Where a run finds somebody outside of it, on its own loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Endpoint {
    /// By connections.
    Stream(SocketAddrV4),
    /// By datagrams.
    Datagrams(SocketAddrV4),
}

/// A file of the run's own that its program finds in the place of files of the system's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cover {
    /// Where it lies in the run's private directory.
    pub file: PathBuf,
    /// Over what, absolute, links followed already. What the view does not have, or lets be written, stays as it is.
    pub places: Vec<PathBuf>,
}
