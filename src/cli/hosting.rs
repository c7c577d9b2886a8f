//! `authy-mcp daemon`: one process that keeps the keys, for every server.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{
    Globals,
    failures::hardening,
    life::{IDLE, LifeArgs},
    open::{self, Ask},
    output::Output,
    runtime_for_many, serve,
    sockets::{named_socket, own_socket},
    starting::{READY, WITHIN},
    usage_failure,
};
use crate::{
    broker::{Anchors, Broker, Settings},
    daemon::{self, AuthMode, Host, HostSettings, Lifetime, Listener, LocalError, LocalKey, OpenTo},
    listen,
    operator::{Failure, FailureKind},
    run::Spares,
    setup, supervise,
    supervise::{Manner, Nursery, RunAs},
    vault::{HomeInfo, UnlockMethod, UnlockMethodKind},
};

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

/// The daemon's own process.
pub(super) fn daemon(args: &DaemonArgs, globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    let home = open::home()?;
    let info = open::info(&home)?;
    // Before the fork: a service manager hands its sockets to the number of this process, and the child has another.
    let mut endpoint = DaemonEndpoint::of(args, globals, &home, &info)?;
    // Unreadable first, then the fork, and keys in the child alone: a fork before would leave the child readable for a
    // moment, and keys before would be seen by who opened this memory in time (docs/decisions/0001-fork-before-keys.md).
    // Whoever holds this process's memory open already sees the memory of the one that ends here.
    supervise::set_nondumpable().map_err(|error| hardening(&error))?;
    let manner = if args.background { Manner::Background } else { Manner::Service };
    let side = supervise::continue_in_child(manner).map_err(|error| hardening(&error))?;
    if let supervise::Side::Parent(code) = side {
        return Ok(ExitCode::from(code));
    }
    // Unreadable as this process is, and before a key is in it.
    let nursery = Nursery::fork().ok();
    broker(args, globals, &home, &info, (nursery, endpoint.run_as.take()))
        .and_then(|broker| host(args, out, &broker, endpoint))
        .inspect_err(|failure| tracing::error!(%failure, "the daemon can't go on"))
}

/// Which vault a daemon is for and for how long, where it listens, to whom, and as whom it starts programs: looked up
/// before it is forked.
struct DaemonEndpoint {
    home: PathBuf,
    /// The vault's fingerprint.
    vault: String,
    life: Lifetime,
    socket: PathBuf,
    listener: Listener,
    open_to: OpenTo,
    run_as: Option<RunAs>,
}

impl DaemonEndpoint {
    fn of(args: &DaemonArgs, globals: &Globals, home: &Path, info: &HomeInfo) -> Result<Self, Failure> {
        let life = args.life.parse(IDLE)?;
        own_namespace(info, &args.life)?;
        let named = named_socket(globals);
        let open_to = match &args.socket_group {
            None => OpenTo::OwnUser,
            Some(_) if named.is_none() => {
                return Err(usage_failure(
                    "a socket for a group must be named",
                    "add --socket FILE, in a directory that the group may enter",
                ));
            }
            Some(name) => OpenTo::Group(daemon::group(name)?),
        };
        let run_as = args.run_as.as_deref().map(RunAs::named).transpose()?;
        let (pid, count) = setup::listen_words();
        let listener = daemon::handed_over(pid.as_deref(), count.as_deref())?;
        let socket = match &listener {
            Listener::Fresh => named.unwrap_or_else(|| own_socket(home)),
            Listener::Handed(listener) => {
                let path = listener.local_addr().ok().and_then(|addr| Some(addr.as_pathname()?.to_owned()));
                path.ok_or_else(|| {
                    usage_failure("the socket that was handed over has no path", "ListenStream=%t/…")
                })?
            }
        };
        let (home, vault) = (home.to_owned(), info.fingerprint.clone());
        Ok(Self { home, vault, life, socket, listener, open_to, run_as })
    }
}

/// A passphrase's keys are kept only where nobody else made the namespace: before it is asked for, too. And a
/// daemon tells processes apart by `/proc`, which must be its own.
pub(super) fn own_namespace(info: &HomeInfo, life: &LifeArgs) -> Result<(), Failure> {
    if supervise::proc_is_anothers() {
        return Err(Failure::new(
            FailureKind::Denied,
            "/proc is of another pid namespace: who calls can't be told from it",
            "unlock outside of the namespace, or mount its own /proc in it",
        ));
    }
    if info.unlock != UnlockMethodKind::Passphrase
        || life.allow_user_namespace
        || !supervise::in_a_user_namespace()
    {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Denied,
        "this is a user namespace that is not the machine's own: the process that made it can read the keys",
        "unlock outside of it, or insist with --allow-user-namespace in a container of your own",
    ))
}

/// The broker of this home, with what opens its vault.
fn broker(
    args: &DaemonArgs,
    globals: &Globals,
    home: &Path,
    info: &HomeInfo,
    (nursery, run_as): (Option<Nursery>, Option<RunAs>),
) -> Result<Arc<Broker>, Failure> {
    let opener = if args.handed_over {
        let mut text = Zeroizing::new(String::new());
        io::stdin().read_to_string(&mut text).map_err(|error| hardening(&error))?;
        Some(UnlockMethod::Identity(SecretString::from(text.as_str())))
    } else {
        let ask = if args.background { Ask::Nobody } else { Ask::Person };
        open::opener(globals, home, info, ask)?
    };
    let before = listen::raise_descriptor_limit();
    // What the identity is read into, and then what was made of it.
    supervise::lock_memory();
    let user_home = match &run_as {
        Some(run_as) => run_as.home.clone(),
        None => setup::user_home()?,
    };
    Ok(Broker::new(Settings {
        home: home.to_owned(),
        opener,
        supervisor: open::binary()?,
        nursery,
        spares: Spares::Kept,
        user_home,
        hidden: open::hidden(globals, home, Some(info))?,
        run_as,
        descriptors: args.descriptors.or(before),
        anchors: Anchors::Follow,
        around: open::surroundings(),
    }))
}

/// Listens until it is told to stop.
fn host(
    args: &DaemonArgs,
    out: &Output,
    broker: &Arc<Broker>,
    endpoint: DaemonEndpoint,
) -> Result<ExitCode, Failure> {
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
    runtime_for_many()?.block_on(async {
        // Before anybody sees that it is there, and may tell it to stop.
        let stop = serve::stop_signal()?;
        let socket = endpoint.socket.clone();
        let bound = Host::bind(HostSettings {
            socket: endpoint.socket,
            listener: endpoint.listener,
            lock: own_socket(&endpoint.home).with_extension("lock"),
            open_to: endpoint.open_to,
            home: endpoint.home,
            vault: endpoint.vault,
            broker: Arc::clone(broker),
            admits: AuthMode::Proven(LocalKey::new(key)),
            life: endpoint.life,
            take_over: if args.handed_over { WITHIN } else { Duration::ZERO },
            memory_locked,
        });
        let host = match bound {
            // Somebody else was faster, which is as good.
            Err(LocalError::Taken) if args.background && !args.handed_over => return Ok(ExitCode::SUCCESS),
            bound => bound?,
        };
        broker.keep(&socket);
        broker.report_interrupted().await;
        // What this machine can do is known by the first call.
        let machine = Arc::clone(broker);
        tokio::task::spawn_blocking(move || _ = machine.machine());
        out.line(READY);
        if args.background {
            supervise::leave_streams().map_err(|error| hardening(&error))?;
        }
        let ended = host.serve(stop).await?;
        tracing::info!(?ended, "the daemon has ended");
        Ok(ExitCode::SUCCESS)
    })
}
