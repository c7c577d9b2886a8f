//! What the fuzz targets of this room are given: the messages between a run and its supervisor.

use std::{
    io::{self, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use super::wire::{self, Order, Report, Spec};

/// An order, as a supervisor understands it, written again.
pub fn order_again(bytes: [u8; 2]) -> [u8; 2] {
    Order::decode(bytes).encode()
}

/// A report, as a run understands it, written again.
pub fn report_again(bytes: [u8; 5]) -> [u8; 5] {
    Report::decode(bytes).encode()
}

/// What to start, read and written again; nothing where it is none.
pub fn spec_again(json: &[u8]) -> Option<Vec<u8>> {
    let spec: Spec = serde_json::from_slice(json).ok()?;
    serde_json::to_vec(&spec).ok()
}

/// What a supervisor takes to start of these bytes, which come with so many descriptors, written again.
///
/// # Errors
/// [`io::Error`] where they are no message, and where there can be no socket.
pub fn receive(head: [u8; 4], rest: &[u8], descriptors: usize) -> io::Result<Vec<u8>> {
    let (mut run, mut supervisor) = UnixStream::pair()?;
    let null = || std::fs::File::open("/dev/null").map(OwnedFd::from);
    let descriptors = (0..descriptors).map(|_| null()).collect::<io::Result<Vec<_>>>()?;
    wire::send_with(&run, &head, &descriptors)?;
    run.write_all(rest)?;
    drop(run);
    let (_, spec) = wire::receive(&mut supervisor)?;
    serde_json::to_vec(&spec).map_err(io::Error::other)
}
