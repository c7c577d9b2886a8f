//! Asking a person, at the terminal itself: never on standard input, which may be a pipe that somebody
//! else fills.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
};

use rustix::termios::{
    LocalModes, OptionalActions, Termios, ioctl_tiocexcl, ioctl_tiocnxcl, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use super::usage_failure;
use crate::operator::{Failure, FailureKind};
use crate::shown::quiet;

/// The terminal, while something is asked.
pub(super) struct Terminal(File);

impl Terminal {
    /// The terminal of this process; nothing where there is none.
    pub(super) fn open() -> Option<Self> {
        OpenOptions::new().read(true).write(true).open("/dev/tty").ok().map(Self)
    }

    /// Asks for something that is not shown while it is typed. Meanwhile nobody else can open the terminal.
    pub(super) fn secret(&mut self, question: &str) -> Result<Zeroizing<String>, Failure> {
        let quiet = Quiet::begin(&self.0).map_err(broken)?;
        let answer = ask(&self.0, question);
        drop(quiet);
        writeln!(self.0).map_err(broken)?;
        answer
    }

    /// Asks twice, until both are the same.
    pub(super) fn new_secret(&mut self, question: &str) -> Result<Zeroizing<String>, Failure> {
        for _ in 0..3 {
            let first = self.secret(question)?;
            let second = self.secret("again: ")?;
            if *first == *second {
                return Ok(first);
            }
            self.say("these are not the same")?;
        }
        Err(usage_failure("the two were never the same", "try again"))
    }

    /// Asks for a line.
    pub(super) fn line(&mut self, question: &str) -> Result<String, Failure> {
        ask(&self.0, question).map(|answer| answer.trim().to_owned())
    }

    /// Asks for yes or no; no is what an empty answer means.
    pub(super) fn confirm(&mut self, question: &str) -> Result<Confirmed, Failure> {
        let answer = self.line(&format!("{question} [y/N] "))?.to_ascii_lowercase();
        Ok(if answer == "y" || answer == "yes" { Confirmed::Yes } else { Confirmed::No })
    }

    pub(super) fn say(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.0, "{}", quiet(text)).map_err(broken)
    }
}

/// Asks, and reads a line.
fn ask(mut terminal: &File, question: &str) -> Result<Zeroizing<String>, Failure> {
    write!(terminal, "{}", quiet(question)).and_then(|()| terminal.flush()).map_err(broken)?;
    let mut answer = Zeroizing::new(Vec::new());
    let mut byte = [0];
    loop {
        match terminal.read(&mut byte).map_err(broken)? {
            0 if answer.is_empty() => return Err(cancelled()),
            0 => break,
            _ if byte[0] == b'\n' => break,
            // Ctrl-C, which the terminal doesn't turn into a signal while a secret is typed.
            _ if byte[0] == 3 => return Err(cancelled()),
            _ => answer.push(byte[0]),
        }
    }
    String::from_utf8(std::mem::take(&mut *answer))
        .map(Zeroizing::new)
        .map_err(|_| usage_failure("what was typed is not UTF-8", "use --from-file for other bytes"))
}

/// What a person said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmed {
    Yes,
    No,
}

/// Asks for a yes where `yes` was not given already; where nobody can be asked, says how to give it.
pub(super) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let Some(mut terminal) = Terminal::open() else {
        return Err(usage_failure("nobody can be asked here", "give --yes to go ahead"));
    };
    match terminal.confirm(question)? {
        Confirmed::Yes => Ok(()),
        Confirmed::No => Err(Failure::new(FailureKind::Denied, "nothing was changed", "")),
    }
}

/// The terminal without echo, and for us alone; as it was when this is dropped.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn begin(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        ioctl_tiocexcl(terminal)?;
        let begun = Self { terminal, before };
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(begun)
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no mending.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
        let _ = ioctl_tiocnxcl(self.terminal);
    }
}

fn broken(error: io::Error) -> Failure {
    Failure::new(
        FailureKind::Failed,
        format!("the terminal can't be used: {error}"),
        "use --passphrase-fd or --passphrase-file",
    )
}

fn cancelled() -> Failure {
    Failure::new(FailureKind::Denied, "cancelled; nothing was changed", "")
}
