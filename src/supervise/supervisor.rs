//! The supervisor: this binary, once for each run. It holds the run's values no longer than it takes to
//! start the program, can't be read by what it starts, and outlives the program just long enough to end
//! everything that it left behind.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::{ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

#[cfg(not(target_os = "linux"))]
use super::keeper_elsewhere::Keeper;
use super::{
    Role, RunAs,
    discard::discard,
    gate::{Defaults, gate},
    own::{GROUP, Joined, Own, leave_group, try_groups},
    program::{Program, fork_program},
    tree,
    watch::{Started, Watch},
    wire::{self, Found, Report, Spec, TtyMode},
};
#[cfg(target_os = "linux")]
use super::{
    init::{rehearse_namespaces, start_init, try_view},
    keeper::Keeper,
};
use crate::sandbox::{Counted, Locks, SandboxCapabilities};

/// The supervisor's own main: what `authy-mcp` becomes when it is started as `__supervise ROLE …`. Standard input is the
/// socket to the run.
pub fn supervise() -> ExitCode {
    // What a client left open is closed before anything is opened that must stay.
    close_inherited();
    let words: Vec<OsString> = std::env::args_os().skip(2).collect();
    match live_as_told(&words, None) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The words of a supervisor: its role, and where a run is of another user, that one's number and group behind it; then
/// the limit of its descriptors, where there is one.
pub(crate) fn words(role: Role, run_as: Option<&RunAs>, descriptors: Option<u64>) -> Vec<OsString> {
    let role = [role.as_str().to_owned()];
    let user = run_as.into_iter().flat_map(RunAs::words);
    let limit = descriptors.map(|most| format!("{DESCRIPTORS}{most}"));
    role.into_iter().chain(user).chain(limit).map(OsString::from).collect()
}

/// What a process does that was started or forked with these words. `taken` are its signals, where they are taken already.
pub(super) fn live_as_told(words: &[OsString], taken: Option<Signals>) -> io::Result<()> {
    let begins = |word: &OsString, prefix: &str| word.to_str().is_some_and(|word| word.starts_with(prefix));
    let (limits, words): (Vec<&OsString>, Vec<&OsString>) =
        words.iter().partition(|word| begins(word, DESCRIPTORS));
    let (groups, words): (Vec<&OsString>, Vec<&OsString>) =
        words.into_iter().partition(|word| begins(word, GROUP));
    limits.iter().for_each(|limit| limit_descriptors(limit));
    let word = words.first();
    let role = Role::ALL.into_iter().find(|role| word.is_some_and(|word| *word == role.as_str()));
    let role = role.ok_or(io::ErrorKind::InvalidInput)?;
    // Who becomes another user can make no group any more.
    let group =
        if role.supervises() { Own::group(groups.first().map(|word| word.as_os_str())) } else { None };
    let done = become_user(&words).and_then(|()| live(role, &words, group, taken));
    // Whatever came of it: nobody else removes that group.
    if role.supervises() && groups.is_empty() {
        leave_group();
    }
    done
}

fn live(role: Role, words: &[&OsString], group: Option<Joined>, taken: Option<Signals>) -> io::Result<()> {
    match role {
        Role::Plain | Role::Namespaces | Role::OwnNetwork => {
            supervise_one(role, Own::prepare(role, group)?, taken)
        }
        Role::Trial => {
            let own = Own::prepare(role, group)?;
            say_what_came_of_it(&own)?;
            supervise_one(Role::OwnNetwork, own, taken)
        }
        Role::Sweep => words.get(3).map_or(Ok(()), |dir| discard(Path::new(dir))),
        Role::Rehearsal => rehearse(),
        Role::Nothing => Ok(()),
    }
}

/// What this machine lets a run be contained by. `binary` is this one: namespaces are tried out in a process of their
/// own.
pub fn machine(binary: &Path) -> SandboxCapabilities {
    let namespaces = try_namespaces(binary).map(|()| Locks::Shared);
    SandboxCapabilities::with(namespaces, try_groups(), counted(None))
}

/// Whether the kernel counts the processes of those whom runs are of.
pub(crate) fn counted(run_as: Option<&RunAs>) -> Counted {
    // Root of a namespace is somebody else outside of it (user_namespaces(7)).
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let mut fields = map.split_ascii_whitespace();
    let is_root = fields.next() == Some("0") && fields.next() == Some("0");
    if is_root && run_as.is_none() && rustix::process::geteuid().is_root() {
        Counted::No
    } else {
        Counted::Yes
    }
}

fn try_namespaces(supervisor: &Path) -> Result<(), String> {
    #[expect(clippy::disallowed_methods, reason = "this binary tries out what it will do for a run")]
    let mut command = std::process::Command::new(supervisor);
    command
        .arg(super::SUPERVISE)
        .arg(Role::Rehearsal.as_str())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null());
    let done = command.output().map_err(|error| error.to_string())?;
    match (done.status.success(), done.stdout.as_slice()) {
        (true, []) if cfg!(target_os = "linux") => Ok(()),
        (true, []) => Err("this system has none".to_owned()),
        (true, why) => Err(String::from_utf8_lossy(why).into_owned()),
        (false, _) => Err(format!("trying them out ended with {}", done.status)),
    }
}

/// The word by which a supervisor is told how many descriptors the program may have.
const DESCRIPTORS: &str = "descriptors=";

/// Gives the program the limit that the server was started with: the server has raised its own.
fn limit_descriptors(word: &OsStr) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = word.to_str().and_then(|word| word.strip_prefix(DESCRIPTORS)?.parse::<u64>().ok());
    let Some(most) = most else { return };
    let maximum = getrlimit(Resource::Nofile).maximum;
    // A lower limit than the present one can always be had.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum });
}

/// Before anything is taken: until [`harden`], other processes of that user can read this one, and find nothing.
fn become_user(words: &[&OsString]) -> io::Result<()> {
    let [_, uid, gid, ..] = words else { return Ok(()) };
    let run_as = uid.to_str().zip(gid.to_str()).and_then(|(uid, gid)| RunAs::from_words(uid, gid));
    run_as.ok_or(io::ErrorKind::InvalidInput)?.become_for_good()
}

/// Prints nothing where namespaces can be set up, and else the step that failed.
fn rehearse() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Err(why) = rehearse_namespaces() {
        io::stdout().write_all(why.as_bytes())?;
    }
    Ok(())
}

/// Says whether namespaces and groups can be set up: by that the first run is planned.
fn say_what_came_of_it(own: &Own) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let found = own.entered.and_then(|_| try_view());
    #[cfg(not(target_os = "linux"))]
    let found = own.entered.map(|_| Locks::Shared);
    let found = Found { namespaces: found, cgroups: own.version() };
    UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?).write_all(&found.encode())
}

fn supervise_one(role: Role, mut own: Own, taken: Option<Signals>) -> io::Result<()> {
    // In this order. The namespace was entered while this process could still be read, since one that can't be read can't
    // write its maps; now it becomes unreadable; and only then does it take what it is to start, values included. A
    // namespace that failed is reported behind that, when there is somebody to tell.
    let signals = harden(taken)?;
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (streams, spec) = wire::receive(&mut socket)?;
    if spec.session == TtyMode::Own {
        rustix::process::setsid()?;
    }
    if let Some(bits) = spec.umask {
        rustix::process::umask(rustix::fs::Mode::from_bits_truncate(bits));
    }
    let scratch = spec.scratch.clone();
    let started = start_kept(&spec, streams, &mut own, (role, &socket, &signals.defaults));
    let terminal = (spec.session == TtyMode::Shared).then_some(signals.of_terminal);
    let report = match started {
        Ok((started, keeper)) => {
            // The program has the values, or is about to: nothing here needs them for the rest of the run.
            drop(spec);
            Watch { started, orders: &socket, terminal, keeper }.until_its_end()?
        }
        Err(report) => report,
    };
    // The tree ends before its files go, or it would make new ones; and both before anybody is told that the run has
    // ended, since what is done then (a search of what was written, a result) relies on nothing being left to write.
    tree::end_all();
    let _ = discard(&scratch);
    socket.set_nonblocking(false)?;
    socket.write_all(&report.encode())
}

/// Starts what was decided, within its limits: these stand before there is anything that they limit.
#[cfg(target_os = "linux")]
fn start_kept(
    spec: &Spec,
    streams: [OwnedFd; 3],
    own: &mut Own,
    (role, call, defaults): (Role, &UnixStream, &Defaults),
) -> Result<(Started, Option<Keeper>), Report> {
    let namespace = own.entered.map_err(Report::NotContained)?;
    let keeper = own.keep(spec, namespace).map_err(Report::NotContained)?;
    let program = Program { spec, streams, namespace };
    let started = own.forks(spec, || start(program, role, call, defaults))?;
    Ok((started, keeper))
}

#[cfg(not(target_os = "linux"))]
fn start_kept(
    spec: &Spec,
    streams: [OwnedFd; 3],
    own: &mut Own,
    (role, call, defaults): (Role, &UnixStream, &Defaults),
) -> Result<(Started, Option<Keeper>), Report> {
    own.entered.map_err(Report::NotContained)?;
    Ok((start(Program { spec, streams }, role, call, defaults)?, None))
}

/// Starts the program, or the process 1 that will; it waits at its gate.
#[cfg(target_os = "linux")]
fn start(
    program: Program<'_>,
    role: Role,
    call: &UnixStream,
    defaults: &Defaults,
) -> Result<Started, Report> {
    let contained = program.spec.contain.as_ref();
    let meant = contained.map(|contained| Role::of(contained.shape, contained.network));
    if meant.is_some_and(|meant| meant != role) {
        let error = io::ErrorKind::InvalidInput.into();
        return Err(Report::NotContained(crate::sandbox::Step::Network.failed(&error)));
    }
    match contained.filter(|_| role.has_namespaces()) {
        Some(contained) => {
            start_init(contained, program, call, defaults).map(Started::Init).map_err(Report::NotContained)
        }
        None => start_here(program, defaults),
    }
}

#[cfg(not(target_os = "linux"))]
fn start(program: Program<'_>, _: Role, _: &UnixStream, defaults: &Defaults) -> Result<Started, Report> {
    start_here(program, defaults)
}

fn start_here(program: Program<'_>, defaults: &Defaults) -> Result<Started, Report> {
    let failed = |error: io::Error| Report::Failed(error.raw_os_error().unwrap_or_default());
    let (ours, waiting) = gate(defaults).map_err(failed)?;
    let contained = program.spec.contain.as_ref();
    let (forked, ours) = fork_program(program, contained, waiting, Some(ours))?;
    ours.map(|gate| Started::Program(forked, gate)).ok_or(Report::Failed(0))
}

/// Before any value is here: descriptors that a client left open are closed, the program can't read this
/// process, orphans fall to it, and signals of a terminal are the program's.
fn harden(taken: Option<Signals>) -> io::Result<Signals> {
    super::harden::set_nondumpable()?;
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        rustix::thread::set_name(c"authy-supervise")?;
    }
    taken.map_or_else(take_signals, Ok)
}

/// What signals do to this process, and to what it forks.
pub(super) struct Signals {
    /// Whether they do what they do by default: in a process that is about to become a program.
    defaults: Defaults,
    /// The last that a terminal sent.
    of_terminal: Arc<AtomicUsize>,
}

impl Signals {
    /// Whatever a terminal has sent so far was meant for nobody who comes after it.
    pub(super) fn forget(&self) {
        self.of_terminal.store(0, Ordering::SeqCst);
    }
}

/// Signals of a terminal, or of whoever means the program, don't end this process. They are caught, not
/// blocked or ignored: a program inherits both of these, and would not end when it is asked to.
pub(super) fn take_signals() -> io::Result<Signals> {
    use signal_hook::{
        consts::{SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2},
        flag,
    };
    let signals = Signals { defaults: Defaults::default(), of_terminal: Arc::default() };
    for signal in [SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2] {
        flag::register_conditional_default(signal, Arc::clone(&signals.defaults))?;
    }
    for signal in [SIGHUP, SIGINT, SIGQUIT] {
        let number = usize::try_from(signal).unwrap_or_default();
        flag::register_usize(signal, Arc::clone(&signals.of_terminal), number)?;
    }
    Ok(signals)
}

pub(super) fn close_inherited() {
    let Ok(entries) = fs::read_dir("/dev/fd") else { return };
    let open: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The one of the listing itself is closed already.
        let _ = nix::unistd::close(descriptor);
    }
}
