//! The terminal of the person who started an attached run: what of the run's output reaches it, and how it is put back.

use std::{
    io::{self, IsTerminal, Write},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use rustix::termios::{
    OptionalActions, OutputModes, QueueSelector, Termios, tcflush, tcgetattr, tcgetpgrp, tcgetwinsize,
    tcsetattr,
};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{
    redact::NeedleSet,
    terminal::{LineFeed, Terminal, TerminalStream, Window},
};

/// The terminals among this process's streams.
pub(super) struct Screens {
    stdout: Option<Arc<Terminal>>,
    stderr: Option<Arc<Terminal>>,
    /// How the terminal of standard input was set.
    before: Option<Termios>,
}

impl Screens {
    /// What is a terminal of standard output and error. Both are one if they are the same: what one begins, the other can
    /// end.
    pub(super) fn of_this_process(needles: &NeedleSet) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let of = |stream: BorrowedFd<'_>| stream.is_terminal().then(|| Terminal::new(needles.clone()));
        let stdout = of(out.as_fd());
        let same = device(out.as_fd()) == device(err.as_fd());
        let stderr = match &stdout {
            Some(terminal) if err.is_terminal() && same => Some(Arc::clone(terminal)),
            _ => of(err.as_fd()),
        };
        Self { stdout, stderr, before: tcgetattr(io::stdin()).ok() }
    }

    pub(super) fn stdout<W>(&self, to: W) -> Shown<W> {
        Shown { to, on: self.stdout.as_ref().map(Terminal::stream) }
    }

    pub(super) fn stderr<W>(&self, to: W) -> Shown<W> {
        Shown { to, on: self.stderr.as_ref().map(Terminal::stream) }
    }

    /// Puts back what the run has changed, once nothing of it is left to change it again.
    pub(super) fn put_back(self) {
        let typed = [&self.stdout, &self.stderr].into_iter().flatten().any(|one| one.typed_by_itself());
        // A terminal that is gone needs no mending.
        if let Some(terminal) = &self.stdout {
            let _ = io::stdout().write_all(&terminal.put_back()).and_then(|()| io::stdout().flush());
        }
        if let Some(terminal) = &self.stderr {
            let _ = io::stderr().write_all(&terminal.put_back());
        }
        let stdin = io::stdin();
        let foreground = tcgetpgrp(&stdin).is_ok_and(|group| group == rustix::process::getpgrp());
        if let Some(before) = self.before.filter(|_| foreground) {
            let _ = tcsetattr(&stdin, OptionalActions::Now, &before);
            if typed {
                // Reports of the mouse that nobody read would be typed into the shell.
                let _ = tcflush(&stdin, QueueSelector::IFlush);
            }
        }
    }
}

fn device(stream: BorrowedFd<'_>) -> Option<u64> {
    rustix::fs::fstat(stream).ok().map(|found| found.st_rdev)
}

/// A stream of this process's, with what it is shown on if that is a terminal.
pub(super) struct Shown<W> {
    to: W,
    on: Option<TerminalStream>,
}

impl<W: AsyncWrite + Unpin + AsFd> Shown<W> {
    /// Writes what is safe to be shown, and leaves nothing of it.
    pub(super) async fn write(&mut self, safe: &mut Vec<u8>) -> io::Result<()> {
        if safe.is_empty() {
            return Ok(());
        }
        let shown = match &mut self.on {
            Some(stream) => {
                let shown = stream.pass(safe, window(self.to.as_fd()));
                safe.clear();
                shown
            }
            None => std::mem::take(safe),
        };
        self.to.write_all(&shown).await?;
        self.to.flush().await
    }
}

fn window(terminal: BorrowedFd<'_>) -> Window {
    let returns = OutputModes::OPOST | OutputModes::ONLCR;
    let line_feed = match tcgetattr(terminal) {
        Ok(found) if !found.output_modes.contains(returns) => LineFeed::Falls,
        _ => LineFeed::Returns,
    };
    match tcgetwinsize(terminal) {
        Ok(size) => Window { rows: size.ws_row, columns: size.ws_col, line_feed },
        Err(_) => Window { line_feed, ..Window::USUAL },
    }
}
