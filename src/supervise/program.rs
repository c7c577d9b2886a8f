//! How a process becomes the program that was decided: forked, contained, and only then executed.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStringExt, process::CommandExt},
    },
    process::Command,
};

use rustix::process::Pid;

use crate::sandbox::Containment;

use super::{
    gate::{Gate, Waiting},
    wire::{self, Report, Spec},
};

/// What to start, on which streams.
pub(crate) struct Program<'a> {
    pub spec: &'a Spec,
    pub streams: [OwnedFd; 3],
    /// Whether it has a user namespace of its own, by which its processes are counted.
    #[cfg(target_os = "linux")]
    pub namespace: crate::sandbox::namespaces::UserNamespace,
}

/// A process that is to become a program.
pub(crate) struct Forked {
    pub pid: Pid,
    said: io::PipeReader,
}

impl Forked {
    /// Why it never became the program; nothing where it did, or where it was ended on the way. Waits until that
    /// is certain.
    pub(crate) fn failure(&mut self) -> Option<Report> {
        let mut bytes = [0; 5];
        // The pipe is closed by becoming the program.
        self.said.read_exact(&mut bytes).ok().map(|()| Report::decode(bytes))
    }
}

/// Forks a program-to-be, which waits at its gate. To be called by a process with one thread. The other side of
/// the gate must not be open in what waits: it would not see it closed.
///
/// # Errors
/// [`Report::Failed`]: then nothing runs.
pub(crate) fn fork_program(
    program: Program<'_>,
    contained: Option<&Containment>,
    waiting: Waiting,
    other_side: Option<Gate>,
) -> Result<(Forked, Option<Gate>), Report> {
    let failed = |error: io::Error| Report::Failed(error.raw_os_error().unwrap_or_default());
    let (said, mut say) = io::pipe().map_err(failed)?;
    match fork::fork().map_err(failed)? {
        fork::Fork::Parent(pid) => {
            let pid = Pid::from_raw(pid).ok_or(Report::Failed(0))?;
            Ok((Forked { pid, said }, other_side))
        }
        fork::Fork::Child => {
            drop((said, other_side));
            let report = become_program(program, contained, waiting);
            // Whoever forked is gone where this fails, and this process goes with it.
            let _ = say.write_all(&report.encode());
            std::process::exit(127);
        }
    }
}

/// Never returns where all goes well.
fn become_program(program: Program<'_>, contained: Option<&Containment>, mut waiting: Waiting) -> Report {
    let failed = |error: &io::Error| Report::Failed(error.raw_os_error().unwrap_or_default());
    // Before the filters: they may let no descriptor be sent.
    if let Err(error) = waiting.stand() {
        return failed(&error);
    }
    let [stdin, stdout, stderr] = program.streams;
    let joined = rustix::stdio::dup2_stdin(&stdin)
        .and_then(|()| rustix::stdio::dup2_stdout(&stdout))
        .and_then(|()| rustix::stdio::dup2_stderr(&stderr));
    if let Err(error) = joined {
        return failed(&error.into());
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = super::keeper::restrict_use(program.spec, program.namespace) {
        return Report::NotContained(crate::sandbox::Step::Limits.failed(&error));
    }
    let mut command = match command(program.spec) {
        Ok(command) => command,
        Err(error) => return failed(&error),
    };
    #[cfg(target_os = "linux")]
    if let Some(Err(number)) = contained.map(crate::sandbox::contain_program) {
        return Report::NotContained(number);
    }
    #[cfg(target_os = "macos")]
    if let Some(Err(error)) =
        contained.map(|contained| crate::sandbox::seatbelt::wrap(&mut command, contained))
    {
        return failed(&error);
    }
    // Last of all: between this and the program there is nothing that takes time.
    if waiting.pass().is_err() {
        return Report::NeverRan;
    }
    failed(&command.exec())
}

fn command(spec: &Spec) -> io::Result<Command> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where a decided run is started")]
    let mut command = Command::new(&spec.program);
    if let Some((name, arguments)) = spec.argv.split_first() {
        command.arg0(name).args(arguments);
    }
    command.env_clear().current_dir(&spec.cwd);
    for (name, value) in &spec.env {
        command.env(name, OsString::from_vec(wire::decode_value(value)?.to_vec()));
    }
    Ok(command)
}
