//! `authy-mcp daemon`, `unlock`, `lock`, `status`: one process that keeps the keys, for every server.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ExitCode, Stdio},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Globals,
    open::{self, Ask},
    output::{self, Output},
    runtime, serve, usage_failure,
};
use crate::{
    broker::{Broker, Settings, remembered},
    daemon::{
        self, Admits, Client, Host, HostSettings, Life, Listener, LocalError, LocalKey, OpenTo, Socket,
        Starter, Status, Trust,
    },
    listen,
    operator::{Failure, FailureKind},
    policy,
    run::Spares,
    setup, supervise,
    supervise::{Manner, Process, RunAs},
    vault::{self, HomeInfo, Opener, UnlockKind},
};

/// Without a call for so long, a daemon that a person unlocked locks itself.
const IDLE: Duration = Duration::from_secs(8 * 3600);
/// And after so long in any case.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A daemon that was started for a server alone ends sooner: another is started when it is needed.
const IDLE_STARTED: Duration = Duration::from_secs(15 * 60);
/// How long a fresh daemon may take until it listens, or an old one until it is gone.
const WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What a daemon says on standard output once it listens.
const READY: &str = "ready";

/// Host the broker for every server of this home.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Runs until it is locked, idle for too long, or too old. unlock starts one by itself, and so do servers if \
no person is needed; this command is for service managers.

Examples:
  authy-mcp daemon
  authy-mcp daemon --passphrase-file /run/credentials/authy-mcp --idle 12h
  authy-mcp daemon --socket /run/authy-mcp/daemon.sock \\
      --socket-group authy-agents --run-as authy-run")]
pub(super) struct DaemonArgs {
    #[command(flatten)]
    life: LifeArgs,
    /// Leave the terminal, and say when it listens.
    #[arg(long)]
    background: bool,
    /// Let members of this group call, each with a token (with --socket, in a directory of the daemon's own).
    #[arg(long, value_name = "GROUP")]
    socket_group: Option<String>,
    /// Start every program as this user, by the capabilities that the unit gives.
    #[arg(long, value_name = "USER")]
    run_as: Option<String>,
    /// Read the identity from standard input: from the process that opened it.
    #[arg(long, hide = true)]
    handed_over: bool,
    /// How many descriptors programs may have, where whoever starts this has raised its own limit.
    #[arg(long, hide = true)]
    descriptors: Option<u64>,
}

/// Unlock the vault into a daemon, for every server of this home.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Starts a new daemon and hands it the identity through a pipe; an old daemon finishes its runs. Shows how \
often the vault was changed and when it was last used: if that is not what you expect, look at authy-mcp \
admin audit show.

Examples:
  authy-mcp unlock
  authy-mcp unlock --idle 1h --life 10h")]
pub(super) struct UnlockArgs {
    #[command(flatten)]
    life: LifeArgs,
}

#[derive(Debug, Clone, clap::Args)]
struct LifeArgs {
    /// Lock after this time without a call, e.g. 8h.
    #[arg(long, value_name = "TIME")]
    idle: Option<String>,
    /// Lock after this time regardless of activity, e.g. 24h.
    #[arg(long, value_name = "TIME")]
    life: Option<String>,
    /// Keep a passphrase's keys also inside a container's user namespace, whose maker can read them.
    #[arg(long)]
    allow_user_namespace: bool,
}

impl LifeArgs {
    fn parse(&self, idle: Duration) -> Result<Life, Failure> {
        let time = |text: &Option<String>, default| match text {
            None => Ok(default),
            Some(text) => policy::parse_duration(text).ok_or_else(|| {
                usage_failure(format!("invalid duration {text:?}"), "write 30s, 15m, 8h or 7d")
            }),
        };
        Ok(Life { idle: time(&self.idle, idle)?, longest: time(&self.life, LONGEST)? })
    }

    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for (flag, value) in [("--idle", &self.idle), ("--life", &self.life)] {
            words.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        words.extend(self.allow_user_namespace.then(|| "--allow-user-namespace".to_owned()));
        words
    }
}

/// Where this home's daemon listens: where the person says, and else at its own place.
pub(super) fn socket(globals: &Globals, home: &Path) -> Socket {
    match named_socket(globals) {
        Some(path) => Socket { path, trust: Trust::Owner },
        None => Socket::own(own_socket(home)),
    }
}

/// The socket that the person named.
pub(super) fn named_socket(globals: &Globals) -> Option<PathBuf> {
    let named = globals.socket.clone().or_else(setup::socket)?;
    Some(std::path::absolute(&named).unwrap_or(named))
}

pub(super) fn own_socket(home: &Path) -> PathBuf {
    daemon::socket_path(setup::runtime_dir().as_deref(), home)
}

/// What starts a daemon for a server, where nobody has to be asked.
pub(super) fn starter(
    globals: &Globals,
    home: &Path,
    info: &HomeInfo,
    descriptors: Option<u64>,
) -> Option<Starter> {
    if info.unlock == UnlockKind::Passphrase || named_socket(globals).is_some() {
        return None;
    }
    let (globals, home) = (globals.clone(), home.to_owned());
    Some(Box::new(move || {
        let mut words = vec!["--idle".to_owned(), format!("{}s", IDLE_STARTED.as_secs())];
        words.extend(descriptors.iter().map(|most| format!("--descriptors={most}")));
        start(&globals, &home, &words, Stdio::null(), Stdio::piped())
            .and_then(|mut child| wait_until_ready(&mut child))
            .map_err(|error| error.to_string())
    }))
}

/// Starts a daemon that leaves this process: with nothing of our environment but where things are.
fn start(
    globals: &Globals,
    home: &Path,
    words: &[String],
    stdin: Stdio,
    stdout: Stdio,
) -> Result<Child, Failure> {
    let failed = |error: io::Error| {
        Failure::new(FailureKind::Failed, format!("the daemon can't be started: {error}"), "authy-mcp doctor")
    };
    #[expect(clippy::disallowed_methods, reason = "the daemon is this binary, started by itself")]
    let mut command = std::process::Command::new(open::binary()?);
    command.env_clear().envs(setup::daemon_environment(home)).current_dir("/");
    if let Some(file) = &globals.identity_file {
        let file = std::path::absolute(file).map_err(failed)?;
        command.arg("--identity-file").arg(file);
    }
    if let Some(file) = &globals.log_file {
        let file = std::path::absolute(file).map_err(failed)?;
        command.arg("--log-file").arg(file);
    }
    if let Some(socket) = named_socket(globals) {
        command.arg("--socket").arg(socket);
    }
    command.args((0..globals.verbose).map(|_| "-v"));
    command.args(["daemon", "--background"]).args(words);
    command.stdin(stdin).stdout(stdout).stderr(Stdio::null());
    command.spawn().map_err(failed)
}

/// The daemon's own process.
pub(super) fn daemon(args: &DaemonArgs, globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    let home = open::home()?;
    let info = open::info(&home)?;
    let life = args.life.parse(IDLE)?;
    own_namespace(&info, &args.life)?;
    // Before the fork: a service manager hands its sockets to the number of this process, and the child has another.
    let place = Place::of(args, globals, &home)?;
    // Unreadable first, then the fork, and keys in the child alone: a fork before would leave the child readable for a
    // moment, and keys before would be seen by who opened this memory in time (docs/decisions/0001-fork-before-keys.md).
    // Whoever holds this process's memory open already sees the memory of the one that ends here.
    supervise::keep_private().map_err(|error| hardening(&error))?;
    let manner = if args.background { Manner::Background } else { Manner::Service };
    let side = supervise::go_on_in_a_child(manner).map_err(|error| hardening(&error))?;
    if let supervise::Side::Parent(code) = side {
        return Ok(ExitCode::from(code));
    }
    host(args, globals, out, &home, &info, life, place)
        .inspect_err(|failure| tracing::error!(%failure, "the daemon can't go on"))
}

/// Where a daemon listens, to whom, and as whom it starts programs: looked up before it is forked.
struct Place {
    socket: PathBuf,
    listener: Listener,
    open_to: OpenTo,
    run_as: Option<RunAs>,
}

impl Place {
    fn of(args: &DaemonArgs, globals: &Globals, home: &Path) -> Result<Self, Failure> {
        let named = named_socket(globals);
        let open_to = match &args.socket_group {
            None => OpenTo::OwnUser,
            Some(_) if named.is_none() => {
                return Err(usage_failure(
                    "a socket for a group must be named",
                    "add --socket FILE, in a directory that the group may enter",
                ));
            }
            Some(name) => OpenTo::Group(daemon::group(name).map_err(|error| local(&error))?),
        };
        let run_as = args.run_as.as_deref().map(RunAs::named).transpose().map_err(|error| {
            Failure::new(
                FailureKind::Denied,
                error.to_string(),
                "docs/tier-3.md has the unit that sets it up",
            )
        })?;
        let (pid, count) = setup::listen_words();
        let listener =
            daemon::handed_over(pid.as_deref(), count.as_deref()).map_err(|error| local(&error))?;
        let socket = match &listener {
            Listener::Fresh => named.unwrap_or_else(|| own_socket(home)),
            Listener::Handed(listener) => {
                let path = listener.local_addr().ok().and_then(|addr| Some(addr.as_pathname()?.to_owned()));
                path.ok_or_else(|| {
                    usage_failure("the socket that was handed over has no path", "ListenStream=%t/…")
                })?
            }
        };
        Ok(Self { socket, listener, open_to, run_as })
    }
}

/// A passphrase's keys are kept only where nobody else made the namespace: before it is asked for, too. And a
/// daemon tells processes apart by `/proc`, which must be its own.
fn own_namespace(info: &HomeInfo, life: &LifeArgs) -> Result<(), Failure> {
    if supervise::proc_is_anothers() {
        return Err(Failure::new(
            FailureKind::Denied,
            "/proc is of another pid namespace: who calls can't be told from it",
            "unlock outside of the namespace, or mount its own /proc in it",
        ));
    }
    if info.unlock != UnlockKind::Passphrase || life.allow_user_namespace || !supervise::in_a_user_namespace()
    {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Denied,
        "this is a user namespace that is not the machine's own: the process that made it can read the keys",
        "unlock outside of it, or insist with --allow-user-namespace in a container of your own",
    ))
}

pub(super) fn hardening(error: &io::Error) -> Failure {
    Failure::new(
        FailureKind::Failed,
        format!("could not make this process non-dumpable: {error}"),
        "authy-mcp doctor",
    )
}

fn host(
    args: &DaemonArgs,
    globals: &Globals,
    out: &Output,
    home: &Path,
    info: &HomeInfo,
    life: Life,
    place: Place,
) -> Result<ExitCode, Failure> {
    let opener = if args.handed_over {
        let mut text = Zeroizing::new(String::new());
        io::stdin().read_to_string(&mut text).map_err(|error| hardening(&error))?;
        Some(Opener::Identity(SecretString::from(text.as_str())))
    } else {
        let ask = if args.background { Ask::Nobody } else { Ask::Person };
        open::opener(globals, home, info, ask)?
    };
    let before = listen::raise_descriptor_limit();
    // What the identity is read into, and then what was made of it.
    supervise::lock_memory();
    let user_home = match &place.run_as {
        Some(run_as) => run_as.home.clone(),
        None => setup::user_home().map_err(open::environment)?,
    };
    let broker = Broker::new(Settings {
        home: home.to_owned(),
        opener,
        supervisor: open::binary()?,
        spares: Spares::Kept,
        user_home,
        hidden: open::hidden(globals, home, Some(info))?,
        run_as: place.run_as,
        descriptors: args.descriptors.or(before),
    });
    let Some(key) = broker.local_key() else {
        return Err(Failure::new(
            FailureKind::Locked,
            "the vault could not be unlocked",
            "authy-mcp unlock asks for what opens it",
        ));
    };
    let memory_locked = supervise::lock_memory();
    supervise::become_subreaper();
    // Threads begin here: a fork would have taken only one of them along.
    runtime()?.block_on(async {
        // Before anybody sees that it is there, and may tell it to stop.
        let stop = serve::stop_signal()?;
        let bound = Host::bind(HostSettings {
            socket: place.socket,
            listener: place.listener,
            lock: own_socket(home).with_extension("lock"),
            open_to: place.open_to,
            home: home.to_owned(),
            vault: info.fingerprint.clone(),
            broker: Arc::clone(&broker),
            admits: Admits::Proven(LocalKey::new(key)),
            life,
            take_over: if args.handed_over { WITHIN } else { Duration::ZERO },
            memory_locked,
        });
        let host = match bound {
            // Somebody else was faster, which is as good.
            Err(LocalError::Taken) if args.background && !args.handed_over => return Ok(ExitCode::SUCCESS),
            bound => bound.map_err(|error| local(&error))?,
        };
        broker.report_interrupted().await;
        out.line(READY);
        if args.background {
            supervise::leave_streams().map_err(|error| hardening(&error))?;
        }
        let ended = host.serve(stop).await.map_err(|error| local(&error))?;
        tracing::info!(?ended, "the daemon has ended");
        Ok(ExitCode::SUCCESS)
    })
}

#[expect(clippy::disallowed_methods, reason = "the identity goes to the daemon, through a pipe")]
pub(super) fn unlock(args: &UnlockArgs, globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    args.life.parse(IDLE)?;
    let home = open::home()?;
    let info = open::info(&home)?;
    own_namespace(&info, &args.life)?;
    let admin = open::admin(globals)?;
    let (epoch, last_used) = admin.last_use()?;
    let renewed = admin.renew_tokens()?;
    let out_of_date = admin.out_of_date()?;
    // What can't be read here is said where it is used.
    for (scope, rule, secret) in admin.guessable_seals().unwrap_or_default() {
        let (what, fix) = output::guessable_seal(&scope, &rule, &secret);
        out.note(&format!("warning: {what}: {fix}"));
    }
    admin.note_unlock()?;
    let socket = socket(globals, &home);
    let key = LocalKey::new(admin.local_key());
    let runtime = runtime()?;
    runtime.block_on(make_room(&socket, &key, out))?;

    let mut words = vec!["--handed-over".to_owned()];
    words.extend(args.life.words());
    let mut child = start(globals, &home, &words, Stdio::piped(), Stdio::piped())?;
    let broken = |error: io::Error| local(&LocalError::Io(error));
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(admin.identity().expose_secret().as_bytes()).map_err(broken)?;
    }
    wait_until_ready(&mut child)?;
    // Before anybody is told that it is unlocked: who took the socket meanwhile can't prove that they know the identity.
    runtime.block_on(Client::prove(&socket, &key)).map_err(|error| local(&error))?;
    let status = runtime.block_on(Client::status(&socket)).map_err(|error| local(&error))?;
    let answer = json!({
        "daemon": status, "epoch": epoch, "last_used": last_used, "renewed": renewed,
        "out_of_date": out_of_date, "home": home, "vault": info.fingerprint,
    });
    out.answer(&answer, |_| {
        let mut lines = vec![
            format!("unlocked the vault {} in {}", info.fingerprint, home.display()),
            format!(
                "changed {epoch} times, last used {}: if that is not what you expect, see authy-mcp admin audit show",
                last_used.as_deref().unwrap_or("never")
            ),
            format!(
                "locks after {} without a call, and at {}; authy-mcp lock locks it now",
                hours(status.idle_lock_seconds),
                status.locks_at
            ),
        ];
        lines.extend(renewed.iter().map(|file| format!("renewed the token in {file}")));
        for policy in &out_of_date {
            lines.push(format!("the policy of {} was applied by an earlier version:", policy.scope));
            lines.extend(policy.notes.iter().map(|note| format!("  {note}")));
            lines.push(format!("  apply it again: {}", policy.remedy()));
        }
        lines
    });
    Ok(ExitCode::SUCCESS)
}

/// Tells an old daemon to finish; what listens there and is none of ours loses its place.
async fn make_room(socket: &Socket, key: &LocalKey, out: &Output) -> Result<(), Failure> {
    match Client::retire(socket, key).await {
        Ok(()) | Err(LocalError::Nobody) => Ok(()),
        Err(LocalError::Version { .. }) => {
            let process = Client::status(socket).await.ok().and_then(|status| process_of(&status));
            Client::lock(socket).await.map_err(|error| local(&error))?;
            wait_until_gone(process).await
        }
        Err(error) => {
            out.note(&format!("{error}; it is put aside"));
            match fs::remove_file(&socket.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(local(&LocalError::Io(error))),
                _ => Ok(()),
            }
        }
    }
}

/// Waits for the line that says so, or for the daemon's end.
fn wait_until_ready(child: &mut Child) -> Result<(), Failure> {
    let failed = |what: &str| {
        Failure::new(
            FailureKind::Failed,
            format!("the daemon did not start: {what}"),
            "run it in sight: authy-mcp daemon -v; authy-mcp doctor checks the rest",
        )
    };
    let Some(stdout) = child.stdout.take() else { return Err(failed("it has no output")) };
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        // Nobody waits any more where this fails.
        let _ = send.send(read.map(|_| line));
    });
    // It leaves a child of its own behind.
    let ended = child.wait().map_err(|error| failed(&error.to_string()))?;
    if !ended.success() {
        return Err(failed(&format!("it ended with {ended}")));
    }
    match receive.recv_timeout(WITHIN) {
        Ok(Ok(line)) if line.trim() == READY => Ok(()),
        Ok(_) => Err(failed("it ended before it listened; another process may hold its place")),
        Err(_) => Err(failed("it does not listen")),
    }
}

pub(super) fn lock(globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    let socket = socket(globals, &open::home()?);
    let locked = runtime()?.block_on(async {
        let process = Client::status(&socket).await.ok().and_then(|status| process_of(&status));
        match Client::lock(&socket).await {
            Err(LocalError::Nobody) => Ok(false),
            Err(error) => Err(local(&error)),
            Ok(()) => wait_until_gone(process).await.map(|()| true),
        }
    })?;
    out.answer(&json!({"locked": true, "was_running": locked}), |_| {
        vec![if locked { "locked: what was running has ended" } else { "no daemon was running" }.to_owned()]
    });
    Ok(ExitCode::SUCCESS)
}

fn process_of(status: &Status) -> Option<Process> {
    Process::now(i32::try_from(status.pid).ok()?)
}

async fn wait_until_gone(process: Option<Process>) -> Result<(), Failure> {
    let until = Instant::now() + 2 * WITHIN;
    while Instant::now() < until {
        if !process.is_some_and(Process::is_alive) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Failure::new(
        FailureKind::Busy,
        "the daemon is still stopping its runs",
        "authy-mcp status shows it; kill it if it never does",
    ))
}

pub(super) fn status(globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    let home = open::home()?;
    let socket = socket(globals, &home);
    let found = runtime()?.block_on(Client::status(&socket));
    // Whoever names another user's daemon has no home to look into.
    let info = match (&found, socket.trust) {
        (Err(LocalError::Nobody), Trust::OwnUser) => open::info(&home)?,
        (Err(error), _) => return Err(local(error)),
        (Ok(status), trust) => {
            let own = trust == Trust::OwnUser;
            let refused = own.then(|| open::refused_by_daemon(globals, &home)).flatten();
            let mut answer = json!({"running": true, "socket": socket.path, "daemon": status});
            if let Some(refused) = &refused {
                answer["refused"] = json!(refused);
            }
            out.answer(&answer, |_| {
                let refused = refused.iter().map(|no| format!("degraded: {}", no.in_a_line()));
                lines(status).into_iter().chain(refused).collect()
            });
            return Ok(ExitCode::SUCCESS);
        }
    };
    let person = info.unlock == UnlockKind::Passphrase;
    let backups = vault::backups(&home);
    let memory = remembered(&home);
    let answer = json!({
        "running": false, "socket": socket.path, "vault": info.fingerprint, "backups": backups,
        "remembered": memory,
    });
    out.answer(&answer, |_| {
        vec![
            format!("no daemon is running for {} ({})", home.display(), info.fingerprint),
            if person {
                "the vault is locked; authy-mcp unlock opens it for your agents".to_owned()
            } else {
                "one is started when a server needs it".to_owned()
            },
            memory.clone(),
        ]
    });
    Ok(if person { super::exit_code(FailureKind::Locked) } else { ExitCode::SUCCESS })
}

fn lines(status: &Status) -> Vec<String> {
    vec![
        format!("daemon {} (version {}) for {}", status.pid, status.version, status.home.display()),
        format!("vault {} unlocked since {}", status.vault, status.unlocked_since),
        format!("locks after {} without a call, and at {}", hours(status.idle_lock_seconds), status.locks_at),
        format!(
            "{} calls, {} refused; {} runs, {} at this moment; latency: p50 {} ms, p99 {} ms",
            status.calls,
            status.denials,
            status.runs,
            status.running,
            status.latency_ms.p50,
            status.latency_ms.p99
        ),
        format!("memory locked: {}", if status.memory_locked { "yes" } else { "no" }),
        backups_line(status.upkeep.backups, status.upkeep.newest_backup.as_deref()),
        status.upkeep.remembered.clone(),
    ]
    .into_iter()
    .chain(status.upkeep.problems.iter().map(|problem| format!("degraded: {problem}")))
    .collect()
}

pub(super) fn backups_line(kept: usize, newest: Option<&str>) -> String {
    match newest {
        None => "no automatic backup yet".to_owned(),
        Some(newest) => format!("{kept} automatic backups, the newest of {newest}, in the home's backups/"),
    }
}

fn hours(seconds: u64) -> String {
    match seconds {
        whole if whole % 3600 == 0 => format!("{} h", whole / 3600),
        whole if whole % 60 == 0 => format!("{} min", whole / 60),
        whole => format!("{whole} s"),
    }
}

fn local(error: &LocalError) -> Failure {
    let (kind, hint) = match error {
        LocalError::Nobody => (FailureKind::Locked, "authy-mcp unlock"),
        LocalError::Taken => (FailureKind::Busy, "authy-mcp status shows it; authy-mcp lock ends it"),
        LocalError::Impostor(_) => (FailureKind::Denied, "authy-mcp unlock puts a daemon of yours there"),
        LocalError::NotOurs(_) => {
            (FailureKind::Denied, "remove it, or set XDG_RUNTIME_DIR to a directory of yours")
        }
        LocalError::NoGroup(_) => (FailureKind::NotFound, "getent group shows those that there are"),
        LocalError::Version { .. } => (FailureKind::Failed, "authy-mcp lock, then authy-mcp unlock"),
        LocalError::Crowded => (FailureKind::Busy, "try again in a moment"),
        LocalError::Broken(_) | LocalError::Io(_) => (FailureKind::Failed, "authy-mcp status"),
    };
    Failure::new(kind, error.to_string(), hint)
}
