//! The supervisor: this binary, once for each run. It holds the run's values no longer than it takes to
//! start the program, can't be read by what it starts, and outlives the program just long enough to end
//! everything that it left behind.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStringExt, net::UnixStream, process::CommandExt},
    },
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, WaitOptions, kill_process, waitpid},
};

use super::{
    tree,
    wire::{self, Order, Report, Session, Spec},
};

/// How often ended processes are looked for where the kernel doesn't tell: soon at first, as most
/// commands are short.
const LOOK_EVERY: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(20)];
const SOON: Duration = Duration::from_millis(200);

/// The supervisor's own main: what `authy-mcp` becomes when it is started as `__supervise`. Standard
/// input is the socket to the run.
pub fn supervise() -> ExitCode {
    match try_supervise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn try_supervise() -> io::Result<()> {
    harden()?;
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (streams, spec) = wire::receive(&mut socket)?;
    if spec.session == Session::Own {
        rustix::process::setsid()?;
    }
    if let Some(bits) = spec.umask {
        rustix::process::umask(rustix::fs::Mode::from_bits_truncate(bits));
    }
    let scratch = spec.scratch.clone();
    let report = match start(&spec, streams) {
        Ok(program) => {
            drop(spec);
            watch(&mut socket, program)?
        }
        Err(error) => Report::Failed(error.raw_os_error().unwrap_or_default()),
    };
    tree::end_all();
    // The private files go before anybody is told that the run has ended.
    let _ = fs::remove_dir_all(scratch);
    socket.set_nonblocking(false)?;
    socket.write_all(&report.encode())
}

/// Before any value is here: descriptors that a client left open are closed, the program can't read this
/// process, orphans fall to it, and signals of a terminal are the program's.
fn harden() -> io::Result<()> {
    close_inherited();
    super::harden::keep_private()?;
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    take_signals()
}

/// Signals of a terminal, or of whoever means the program, don't end this process. They are caught, not
/// blocked or ignored: a program inherits both of these, and would not end when it is asked to.
fn take_signals() -> io::Result<()> {
    use signal_hook::consts::{
        SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
    };
    for signal in [SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    Ok(())
}

fn close_inherited() {
    let Ok(entries) = fs::read_dir("/dev/fd") else { return };
    let open: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The one of the listing itself is closed already.
        let _ = nix::unistd::close(descriptor);
    }
}

fn start(spec: &Spec, streams: [OwnedFd; 3]) -> io::Result<Pid> {
    let [stdin, stdout, stderr] = streams;
    #[expect(clippy::disallowed_methods, reason = "this is the one place where a decided run is started")]
    let mut command = Command::new(&spec.program);
    if let Some((name, arguments)) = spec.argv.split_first() {
        command.arg0(name).args(arguments);
    }
    command.env_clear().current_dir(&spec.cwd);
    for (name, value) in &spec.env {
        command.env(name, OsString::from_vec(wire::decode_value(value)?.to_vec()));
    }
    let child =
        command.stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).stderr(Stdio::from(stderr)).spawn()?;
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Waits for the program's end, doing what it is told meanwhile. When whoever started the run is gone,
/// the tree is ended.
fn watch(socket: &mut UnixStream, program: Pid) -> io::Result<Report> {
    let started = Instant::now();
    let mut orders = Some(socket.try_clone()?);
    loop {
        while let Ok(Some((pid, status))) = waitpid(None, WaitOptions::NOHANG) {
            if pid == program {
                return Ok(status.exit_status().map_or_else(
                    || Report::Signaled(status.terminating_signal().unwrap_or_default()),
                    Report::Exited,
                ));
            }
        }
        let pause = LOOK_EVERY[usize::from(started.elapsed() > SOON)];
        let Some(waiting) = &mut orders else {
            std::thread::sleep(pause);
            continue;
        };
        if readable(waiting, pause)? {
            let mut bytes = [0; 2];
            let order = waiting.read_exact(&mut bytes).map_or(Order::Kill, |()| Order::decode(bytes));
            obey(order, program);
            if order == Order::Kill {
                orders = None;
            }
        }
    }
}

fn obey(order: Order, program: Pid) {
    match order {
        Order::Terminate => tree::signal_all(Signal::TERM),
        Order::Kill => {
            tree::signal_all(Signal::STOP);
            tree::signal_all(Signal::KILL);
        }
        Order::Signal(number) => {
            if let Some(signal) = Signal::from_named_raw(i32::from(number)) {
                // A program that has ended meanwhile needs no signal.
                let _ = kill_process(program, signal);
            }
        }
    }
}

fn readable(socket: &UnixStream, within: Duration) -> io::Result<bool> {
    let mut waited = [PollFd::new(socket, PollFlags::IN)];
    let timeout = Timespec::try_from(within).map_err(io::Error::other)?;
    match poll(&mut waited, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
