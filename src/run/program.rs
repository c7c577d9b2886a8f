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

use super::{
    sandbox::Containment,
    wire::{self, Report, Spec},
};

/// What to start, on which streams.
pub(super) struct Program<'a> {
    pub spec: &'a Spec,
    pub streams: [OwnedFd; 3],
}

/// Starts a program. To be called by a process with one thread.
///
/// # Errors
/// [`Report::NotContained`] or [`Report::Failed`]: then nothing runs.
pub(super) fn start_program(program: Program<'_>, contained: Option<&Containment>) -> Result<Pid, Report> {
    let failed = |error: io::Error| Report::Failed(error.raw_os_error().unwrap_or_default());
    let (mut said, mut say) = io::pipe().map_err(failed)?;
    match fork::fork().map_err(failed)? {
        fork::Fork::Parent(pid) => {
            drop((say, program));
            let mut bytes = [0; 5];
            match said.read_exact(&mut bytes) {
                Ok(()) => Err(Report::decode(bytes)),
                // The pipe was closed by becoming the program.
                Err(_) => Pid::from_raw(pid).ok_or(Report::Failed(0)),
            }
        }
        fork::Fork::Child => {
            drop(said);
            let report = become_program(program, contained);
            // Whoever forked is gone where this fails, and this process goes with it.
            let _ = say.write_all(&report.encode());
            std::process::exit(127);
        }
    }
}

/// Never returns where all goes well.
fn become_program(program: Program<'_>, contained: Option<&Containment>) -> Report {
    let failed = |error: &io::Error| Report::Failed(error.raw_os_error().unwrap_or_default());
    let [stdin, stdout, stderr] = program.streams;
    let joined = rustix::stdio::dup2_stdin(&stdin)
        .and_then(|()| rustix::stdio::dup2_stdout(&stdout))
        .and_then(|()| rustix::stdio::dup2_stderr(&stderr));
    if let Err(error) = joined {
        return failed(&error.into());
    }
    let mut command = match command(program.spec) {
        Ok(command) => command,
        Err(error) => return failed(&error),
    };
    #[cfg(target_os = "linux")]
    if let Some(Err(number)) = contained.map(super::sandbox::contain_program) {
        return Report::NotContained(number);
    }
    #[cfg(target_os = "macos")]
    if let Some(contained) = contained {
        super::sandbox::macos::wrap(&mut command, contained);
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
