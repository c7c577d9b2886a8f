//! `authy-mcp serve`: always starts and lists its tools; what is wrong is said call by call.

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    Globals,
    open::{self, Ask},
    runtime, runtime_for_many, sockets, starting, token_file, usage_failure,
};
use crate::{
    broker::{Anchors, Bearer, Bound, Broker, Caller, Credential, LocalSession, Service, Settings, Way},
    daemon::{self, Client, Socket},
    listen,
    mcp::{Exposure, HttpSettings, serve_http, serve_stdio},
    names::{GrantId, ScopeName},
    operator::{Failure, FailureKind},
    run::Spares,
    setup,
    supervise::Nursery,
    vault,
};

/// How long the end waits for what still works.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// Serve MCP over stdio, or over HTTP.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Over stdio the credential is --token-file, AUTHY_MCP_TOKEN, or --scope if this process can open the vault \
by itself; inside authy-mcp run --scope S -- AGENT none is needed. Calls go to the daemon if there is one. \
Over HTTP every request brings its own bearer token.

SIGTERM, SIGINT and SIGHUP end the server and its runs (exit code 0), and so does a client that closes its \
end.

Examples:
  authy-mcp serve --scope dev
  authy-mcp serve --token-file ~/.local/share/authy-mcp/tokens/dev-cursor.jwt
  authy-mcp serve --http 127.0.0.1:8765")]
pub(super) struct Args {
    /// The scope of this session.
    #[arg(long, conflicts_with_all = ["token_file", "http"])]
    scope: Option<ScopeName>,
    /// A file with the session's token.
    #[arg(long, value_name = "FILE", conflicts_with = "http")]
    token_file: Option<std::path::PathBuf>,
    /// Listen here, as 127.0.0.1:8765, instead of serving standard input.
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// A name by which clients call the server, beside localhost.
    #[arg(long, value_name = "HOST", requires = "http")]
    allow_host: Vec<String>,
    /// A browser origin that may call, as http://localhost:6274.
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    allow_origin: Vec<String>,
    /// Listen on an address that others can reach. Tokens then travel in the clear: put TLS in front.
    #[arg(long, requires = "http")]
    expose: bool,
}

pub(super) fn serve(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    // Before anything is opened, read or raised, and while there is one thread. Where it can't be, supervisors are started.
    let nursery = Nursery::fork().ok();
    let before = listen::raise_descriptor_limit();
    let broker = service(args, globals, nursery, before)?;
    crate::supervise::become_subreaper();
    let runtime = if args.http.is_some() { runtime_for_many() } else { runtime() }?;
    let served = runtime.block_on(async {
        match args.http {
            None => stdio(broker, caller(credential(args))).await,
            Some(addr) => http(broker, args, addr).await,
        }
    });
    // What is being written to the disk is: nothing else may hold the process.
    runtime.shutdown_timeout(LAST_WRITES);
    served.map(|()| ExitCode::SUCCESS)
}

/// The daemon where there is or can be one, and else the broker of this process.
fn service(
    args: &Args,
    globals: &Globals,
    nursery: Option<Nursery>,
    descriptors: Option<u64>,
) -> Result<Arc<dyn Service>, Failure> {
    let settings = Settings { nursery, descriptors, ..settings(globals)? };
    let home = settings.home.clone();
    let here = Broker::new(settings);
    if globals.no_daemon {
        return Ok(Arc::new(here));
    }
    if let Some((socket, _)) = session_of_a_run(args) {
        return Ok(Arc::new(Client::new(Socket::own(socket), here, None)));
    }
    let start =
        vault::home_info(&home).ok().and_then(|info| starting::starter(globals, &home, &info, descriptors));
    Ok(Arc::new(Client::new(sockets::socket(globals, &home), here, start)))
}

/// The broker of the home; without what opens the vault where only a person could.
pub(super) fn settings(globals: &Globals) -> Result<Settings, Failure> {
    let home = open::home()?;
    let info = vault::home_info(&home).ok();
    let opener = match &info {
        Some(info) => open::opener(globals, &home, info, Ask::Nobody)?,
        None => Some(vault::UnlockMethod::IdentityFile(globals.identity_file.clone())),
    };
    Ok(Settings {
        opener,
        // Where it can't be found, tools are listed all the same, and each run is refused.
        supervisor: open::binary().unwrap_or_else(|_| PathBuf::from(setup::OWN_BINARY)),
        nursery: None,
        spares: Spares::Kept,
        user_home: setup::user_home()?,
        hidden: open::hidden(globals, &home, info.as_ref())?,
        home,
        run_as: None,
        descriptors: None,
        anchors: Anchors::AtOnce,
        around: open::surroundings(),
    })
}

/// Whoever calls through this process.
pub(super) fn caller(credential: Credential) -> Caller {
    Caller { credential, environment: Arc::new(setup::environment()), way: Way::Tool }
}

/// The session that a run around this process has to give, where nothing else was given.
fn session_of_a_run(args: &Args) -> Option<(PathBuf, GrantId)> {
    if args.scope.is_some() || args.token_file.is_some() || args.http.is_some() || setup::token().is_some() {
        return None;
    }
    let socket = setup::run_socket()?;
    let instance = daemon::instance_of(&socket)?;
    Some((socket, instance))
}

fn credential(args: &Args) -> Credential {
    if let Some(path) = &args.token_file {
        return token_file::token_from(path);
    }
    match (&args.scope, setup::token()) {
        (Some(scope), _) => Credential::LocalScope(LocalSession::new(scope.clone(), Bound::Process)),
        (None, Some(token)) => Credential::Token(Bearer::of_process(token)),
        (None, None) => session_of_a_run(args).map_or_else(
            || Credential::missing("the server was started without a credential"),
            |(_, instance)| Credential::Tree(instance),
        ),
    }
}

async fn stdio(broker: Arc<dyn Service>, caller: Caller) -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        return Err(usage_failure(
            "standard input is a terminal, and MCP clients speak over a pipe",
            "authy-mcp config CLIENT --scope SCOPE writes the entry with which a client starts this",
        ));
    }
    Ok(serve_stdio(broker, caller, stop_signal()?).await?)
}

async fn http(broker: Arc<dyn Service>, args: &Args, addr: SocketAddr) -> Result<(), Failure> {
    let settings = HttpSettings {
        addr,
        allow_hosts: args.allow_host.clone(),
        allow_origins: args.allow_origin.clone(),
        exposure: if args.expose { Exposure::Anywhere } else { Exposure::Loopback },
    };
    let ready = |addr: SocketAddr| {
        // On standard error: standard output stays empty, as with stdio.
        let line = format!("listening on http://{addr}/mcp\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    };
    Ok(serve_http(broker, Arc::new(setup::environment()), settings, ready, stop_signal()?).await?)
}

/// Cancelled by SIGTERM, SIGINT or SIGHUP.
pub(super) fn stop_signal() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let mut signals =
            signal(kind).map_err(|error| Failure::new(FailureKind::Failed, error.to_string(), ""))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signals.recv().await;
            stop.cancel();
        });
    }
    Ok(stop)
}
