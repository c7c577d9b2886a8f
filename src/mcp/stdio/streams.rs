//! Standard input and output on threads of their own: a read or a write that blocks holds neither the tasks that
//! serve nor the end of the process.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    thread,
};

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::flow::Flow;

/// The longest line, in bytes. It is held whole, so it bounds what a client can make this process hold.
pub(super) const LONGEST_LINE: usize = 16 << 20;
const CHUNK: usize = 64 * 1024;

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// A line, without its end.
    Line(Vec<u8>),
    /// One of more than [`LONGEST_LINE`], which is left out.
    TooLong,
}

/// Reads standard input, no faster than it is taken.
pub(super) fn input() -> io::Result<mpsc::Receiver<Input>> {
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (send, receive) = mpsc::channel(1);
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut lines = Lines::default();
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = read(&stdin, &mut chunk).unwrap_or(0);
            let found = if length == 0 { lines.end() } else { lines.push(&chunk[..length]) };
            for input in found {
                if send.blocking_send(input).is_err() {
                    return;
                }
            }
            if length == 0 {
                return;
            }
        }
    })?;
    Ok(receive)
}

/// Takes lines apart.
#[derive(Default)]
struct Lines {
    held: Vec<u8>,
    leaving_out: bool,
}

impl Lines {
    fn push(&mut self, chunk: &[u8]) -> Vec<Input> {
        let mut found = Vec::new();
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            if !self.leaving_out && self.held.len() + text.len() > LONGEST_LINE {
                self.held = Vec::new();
                self.leaving_out = true;
                found.push(Input::TooLong);
            }
            if !self.leaving_out {
                self.held.extend_from_slice(text);
            }
            if ends && !std::mem::take(&mut self.leaving_out) {
                found.push(Input::Line(std::mem::take(&mut self.held)));
            }
        }
        found
    }

    /// The last line needs no end of its own.
    fn end(&mut self) -> Vec<Input> {
        let last = std::mem::take(&mut self.held);
        if last.is_empty() { Vec::new() } else { vec![Input::Line(last)] }
    }
}

/// Where answers are written, one after the other.
#[derive(Clone)]
pub(super) struct Output(mpsc::UnboundedSender<Item>);

struct Item {
    text: Vec<u8>,
    written: oneshot::Sender<()>,
}

/// Writes to standard output. `gone` is cancelled where nobody reads it any more: also when there is nothing to be
/// written, as a client that is gone must not wait for its run to print something.
pub(super) fn output(flow: Arc<Flow>, gone: CancellationToken) -> io::Result<Output> {
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let watched = stdout.try_clone()?;
    let (send, mut items) = mpsc::unbounded_channel::<Item>();
    let nobody = gone.clone();
    thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        while let Some(item) = items.blocking_recv() {
            if write(&stdout, &item.text).is_err() {
                return gone.cancel();
            }
            flow.was_written(item.text.len());
            // Nobody may wait for it.
            let _ = item.written.send(());
        }
    })?;
    thread::Builder::new().name("reader gone".to_owned()).spawn(move || {
        // Without anything to wait for, what is told is the other end's end (poll(2)).
        if ready(watched.as_fd(), PollFlags::empty()).is_ok() {
            nobody.cancel();
        }
    })?;
    Ok(Output(send))
}

impl Output {
    /// Queues a message; the future is ready once it is written.
    pub(super) fn send(
        &self,
        mut text: Vec<u8>,
        flow: &Flow,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static + use<> {
        text.push(b'\n');
        flow.will_be_written(text.len());
        let (written, done) = oneshot::channel();
        let sent = self.0.send(Item { text, written });
        async move {
            sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(done.await.map_err(|_| io::ErrorKind::BrokenPipe)?)
        }
    }
}

/// A stream may have been left non-blocking by whoever has it, too.
fn read(mut from: &File, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready(from.as_fd(), PollFlags::IN)?,
            done => return done,
        }
    }
}

fn write(mut to: &File, mut text: &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        match to.write(text) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => text = &text[length..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready(to.as_fd(), PollFlags::OUT)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn ready(stream: BorrowedFd<'_>, what: PollFlags) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(stream, what)], None) {
            Err(rustix::io::Errno::INTR) => {}
            done => return Ok(done.map(drop)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Input {
        Input::Line(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        let text = "first\n\nthird\r\nlast";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            let mut found: Vec<Input> =
                text.as_bytes().chunks(size).flat_map(|chunk| lines.push(chunk)).collect();
            found.extend(lines.end());
            assert_eq!(found, [line("first"), line(""), line("third\r"), line("last")], "{size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out_and_what_follows_is_not() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..16 {
            assert_eq!(lines.push(&chunk), []);
        }
        assert_eq!(lines.held.len(), LONGEST_LINE);
        assert_eq!(lines.push(b"x"), [Input::TooLong]);
        assert_eq!(lines.held.capacity(), 0);
        assert_eq!(lines.push(&chunk), []);
        assert_eq!(lines.push(b"x\nnext\n"), [line("next")]);
        assert_eq!(lines.push(&chunk), []);
        assert_eq!(lines.push(b"\n").len(), 1, "one that is as long as it may be is taken");
    }
}
