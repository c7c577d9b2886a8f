//! `authy-mcp run`: a command with secrets on this process's own streams.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{Globals, output::Output, runtime, serve, sockets, token_file, usage_failure};
use crate::{
    broker::{
        Attached, Bound, Broker, Call, Caller, Credential, LocalSession, Meanwhile, Reply, Service, Settings,
        Way,
        api::{Outcome, RunParams, RunResult},
        refusal::{Code, Refusal},
    },
    daemon::{self, AuthMode, Client, Host, HostSettings, Lifetime, Listener, OpenTo},
    names::{EnvName, ScopeName},
    operator::{Failure, FailureKind},
    run::{RunOutcome, Spares},
    setup,
    supervise::{Nursery, Process},
    vault::{self, HomeInfo},
};

/// Run a command with secrets, on this terminal or in front of another MCP server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Standard streams are passed through and redacted as they come; signals are passed on. Exits as the program \
does (128 plus the signal's number if a signal ended it), or with 125 (not run), 126 (denied, or can't be \
started) or 127 (not found).

With --token-file the command runs in the daemon, as its user for runs. Standard input is sent whole, and \
output comes when the command has ended, within the policy's limits.

A program that gets no secret from the policy is treated as an agent: authy-mcp serve, started inside it \
without a credential, has a session of the scope that is valid only in this process tree.

Examples:
  authy-mcp run --scope reports --secret db/readonly -- psql -f today.sql
  authy-mcp run --scope github -- github-mcp-server stdio
  authy-mcp run --scope dev -- claude
  authy-mcp run --socket /run/authy-mcp/daemon.sock --token-file ~/dev.jwt \\
      -- npm test")]
pub(super) struct Args {
    /// The scope whose policy decides.
    #[arg(long, required_unless_present = "token_file")]
    scope: Option<ScopeName>,
    /// A token, for a daemon of another user (with --socket): the command runs there.
    #[arg(long, value_name = "FILE", conflicts_with = "scope")]
    token_file: Option<PathBuf>,
    /// A secret to use (default: those that the one matching rule names without a glob).
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// Where to start (default: here, if the policy lets runs start here).
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "ARGV")]
    argv: Vec<String>,
}

const NOT_RUN: u8 = 125;
const DENIED: u8 = 126;
const NOT_FOUND: u8 = 127;

pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let out = Output::new(globals.json);
    // Before anything is opened, asked for or started. Where it can't be, the run's supervisor is this binary.
    let nursery = args.scope.as_ref().and_then(|_| Nursery::fork().ok());
    let settings = match serve::settings(globals) {
        Ok(settings) => Settings { nursery, spares: Spares::None, ..settings },
        Err(failure) => {
            out.failure(&failure);
            return Ok(ExitCode::from(NOT_RUN));
        }
    };
    let Some(scope) = &args.scope else { return over_there(args, globals, settings, &out) };
    crate::supervise::become_subreaper();
    let params = params(args);
    let near = setup::cwd()?;
    let local = LocalSession::new(scope.clone(), Bound::Tree);
    let caller = serve::caller(Credential::LocalScope(local.clone()));
    let info = vault::home_info(&settings.home).ok();
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let broker = Broker::new(settings);
        let stop = CancellationToken::new();
        let mut serving = None;
        let hand = || {
            let (variable, socket, host) = session(&broker, &local, &info)?;
            serving = Some(tokio::spawn(host.serve(stop.clone())));
            Some((variable, socket))
        };
        let done = broker.run_attached(&caller, params, near, hand).await;
        stop.cancel();
        if let Some(serving) = serving {
            // Its socket goes with it.
            let _ = serving.await;
        }
        broker.close_after_run().await;
        done
    });
    // Whoever still reads our input would hold the runtime; nothing is lost with it.
    runtime.shutdown_background();
    Ok(match done {
        Ok(Attached { ending, notes }) => {
            notes.iter().for_each(|note| out.note(&format!("authy-mcp: {}", note.get())));
            if let Some(failure) = ended_early(ending) {
                out.failure(&failure);
            }
            ExitCode::from(code_of(ending))
        }
        Err(refused) => refusal(&out, &refused.body),
    })
}

fn params(args: &Args) -> RunParams {
    RunParams {
        command: args.argv.clone(),
        secrets: Some(args.secrets.clone()).filter(|names| !names.is_empty()),
        cwd: args.cwd.clone(),
        ..RunParams::default()
    }
}

fn refusal(out: &Output, refusal: &Refusal) -> ExitCode {
    out.failure(&Failure::of_a_run(refusal));
    ExitCode::from(code_of_refusal(refusal.code))
}

/// Has a daemon run the command: nothing of it is in this process, and the vault may be another user's.
fn over_there(args: &Args, globals: &Globals, settings: Settings, out: &Output) -> Result<ExitCode, Failure> {
    let socket = sockets::socket(globals, &settings.home);
    let file = args.token_file.as_deref().unwrap_or(Path::new("/dev/null"));
    let caller = Caller { way: Way::Run, ..serve::caller(token_file::token_from(file)) };
    let stdin = match io::stdin() {
        terminal if terminal.is_terminal() => None,
        piped => Some(io::read_to_string(piped).map_err(|error| {
            usage_failure(format!("standard input is not text: {error}"), "send text, or none: </dev/null")
        })?),
    };
    let params = RunParams { stdin: stdin.filter(|text| !text.is_empty()), ..params(args) };
    let done = runtime()?.block_on(async {
        let cancel = serve::stop_signal()?;
        let client = Client::new(socket, Broker::new(settings), None);
        Ok::<_, Failure>(
            client.call(&caller, Call::RunWithSecrets(params), Meanwhile { progress: None, cancel }).await,
        )
    })?;
    Ok(match done {
        Ok(answer) => {
            let Reply::Ran(ran) = answer.body else {
                return Ok(refusal(out, &Reply::to_something_else()));
            };
            out.raw(ran.stdout.as_bytes());
            out.raw_note(ran.stderr.as_bytes());
            ran.notes.iter().for_each(|note| out.note(&format!("authy-mcp: {note}")));
            let ending = ending_of(&ran);
            if let Some(failure) = ended_early(ending) {
                out.failure(&failure);
            }
            ExitCode::from(code_of(ending))
        }
        Err(refused) => refusal(out, &refused.body),
    })
}

fn ending_of(ran: &RunResult) -> RunOutcome {
    match ran.outcome {
        Outcome::Exited => RunOutcome::Exited(ran.exit_code.unwrap_or_default()),
        Outcome::Signaled => {
            RunOutcome::Signaled(ran.signal.as_deref().map_or(0, crate::supervise::signal_number))
        }
        Outcome::TimedOut => RunOutcome::TimedOut,
        Outcome::Cancelled => RunOutcome::Cancelled,
        Outcome::Revoked => RunOutcome::Revoked,
        // Which one is not told where only success or failure is; it exits the same.
        Outcome::ResourceLimit => ran.limit.map_or(RunOutcome::Cancelled, RunOutcome::ResourceLimit),
        Outcome::FailedToStart => RunOutcome::FailedToStart,
    }
}

/// A session of the scope for the program, where it is an agent: `serve` in its process tree finds it,
/// nobody else can use it, and it ends with the run.
fn session(
    broker: &Arc<Broker>,
    local: &LocalSession,
    info: &Option<HomeInfo>,
) -> Option<(EnvName, String, Host)> {
    let socket = daemon::run_socket_path(setup::runtime_dir().as_deref(), &local.instance);
    let bound = Host::bind(HostSettings {
        socket: socket.clone(),
        listener: Listener::Fresh,
        lock: socket.with_extension("lock"),
        open_to: OpenTo::OwnUser,
        home: broker.home().to_owned(),
        vault: info.as_ref()?.fingerprint.clone(),
        broker: Arc::clone(broker),
        admits: AuthMode::Tree { root: Process::this()?, session: local.clone() },
        life: Lifetime::OF_A_RUN,
        take_over: Duration::ZERO,
        memory_locked: false,
    });
    match bound {
        Ok(host) => Some((EnvName::parse(setup::RUN).ok()?, socket.to_str()?.to_owned(), host)),
        Err(error) => {
            tracing::warn!(%error, "the program gets no session of its scope");
            None
        }
    }
}

/// What is said of a run that did not end by itself.
fn ended_early(ending: RunOutcome) -> Option<Failure> {
    match ending {
        RunOutcome::Revoked => Some(Failure::new(
            FailureKind::Denied,
            "the run was ended: what allowed it was taken back",
            "authy-mcp admin audit show says what was changed",
        )),
        RunOutcome::ResourceLimit(limit) => Some(Failure::new(
            FailureKind::Failed,
            format!("the run was ended: it came to its limit of {}", limit.as_str()),
            format!("let it use less, or raise {} under [limits] in its policy", limit.as_str()),
        )),
        _ => None,
    }
}

fn code_of(ending: RunOutcome) -> u8 {
    match ending {
        RunOutcome::Exited(code) => u8::try_from(code & 0xff).unwrap_or(NOT_RUN),
        RunOutcome::Signaled(signal) => u8::try_from(128 + signal).unwrap_or(NOT_RUN),
        RunOutcome::FailedToStart | RunOutcome::Revoked => DENIED,
        RunOutcome::TimedOut | RunOutcome::Cancelled | RunOutcome::ResourceLimit(_) => NOT_RUN,
    }
}

fn code_of_refusal(code: Code) -> u8 {
    match code {
        Code::ProgramNotFound => NOT_FOUND,
        Code::VaultLocked | Code::Busy | Code::Damaged | Code::AuditUnavailable | Code::BadArgument => {
            NOT_RUN
        }
        _ => DENIED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Limit;

    #[test]
    fn a_run_exits_as_its_program_does_or_by_the_help() {
        let rows = [
            (RunOutcome::Exited(0), 0),
            (RunOutcome::Exited(3), 3),
            (RunOutcome::Exited(-1), 255),
            (RunOutcome::Exited(256), 0),
            (RunOutcome::Signaled(9), 137),
            (RunOutcome::Signaled(15), 143),
            (RunOutcome::Signaled(200), NOT_RUN),
            (RunOutcome::FailedToStart, DENIED),
            (RunOutcome::Revoked, DENIED),
            (RunOutcome::TimedOut, NOT_RUN),
            (RunOutcome::ResourceLimit(Limit::Disk), NOT_RUN),
            (RunOutcome::Cancelled, NOT_RUN),
        ];
        for (ending, code) in rows {
            assert_eq!(code_of(ending), code, "{ending:?}");
        }
        assert_eq!((NOT_RUN, DENIED, NOT_FOUND), (125, 126, 127), "as the help has them");
    }

    /// What is no fault of the command's own is 125: whoever retries may.
    #[test]
    fn a_refusal_has_the_code_of_a_shell() {
        let rows = [
            (Code::ProgramNotFound, 127),
            (Code::VaultLocked, 125),
            (Code::Busy, 125),
            (Code::Damaged, 125),
            (Code::AuditUnavailable, 125),
            (Code::BadArgument, 125),
            (Code::NotAvailable, 126),
            (Code::CommandNotAllowed, 126),
            (Code::SecretInArgv, 126),
            (Code::ProgramChanged, 126),
            (Code::TokenExpired, 126),
            (Code::TokenInvalid, 126),
            (Code::SandboxUnavailable, 126),
            (Code::RateLimited, 126),
        ];
        for (code, exits) in rows {
            assert_eq!(code_of_refusal(code), exits, "{code:?}");
        }
    }

    #[test]
    fn what_a_daemon_ran_ends_as_it_would_here() {
        let ran = |outcome, exit_code, signal: Option<&str>| RunResult {
            outcome,
            exit_code,
            signal: signal.map(str::to_owned),
            ..RunResult::of_nothing()
        };
        let rows = [
            (ran(Outcome::Exited, Some(3), None), 3),
            (ran(Outcome::Signaled, None, Some("SIGKILL")), 137),
            (ran(Outcome::Signaled, None, Some("SIGTERM")), 143),
            (ran(Outcome::TimedOut, None, None), NOT_RUN),
            (ran(Outcome::ResourceLimit, None, None), NOT_RUN),
            (RunResult { limit: Some(Limit::Memory), ..ran(Outcome::ResourceLimit, None, None) }, NOT_RUN),
            (ran(Outcome::Cancelled, None, None), NOT_RUN),
            (ran(Outcome::Revoked, None, None), DENIED),
            (ran(Outcome::FailedToStart, None, None), DENIED),
        ];
        for (ran, code) in rows {
            assert_eq!(code_of(ending_of(&ran)), code, "{:?}", ran.outcome);
        }
    }

    #[test]
    fn what_is_typed_is_what_is_asked_for() {
        let args = |secrets: &[&str]| Args {
            scope: None,
            token_file: None,
            secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
            cwd: Some("/w".to_owned()),
            argv: vec!["a".to_owned(), "$B".to_owned()],
        };
        let asked = params(&args(&["k"]));
        assert_eq!(
            (asked.command, asked.cwd),
            (vec!["a".to_owned(), "$B".to_owned()], Some("/w".to_owned()))
        );
        assert_eq!(asked.secrets, Some(vec!["k".to_owned()]));
        // None named: the one rule that fits names them.
        assert_eq!(params(&args(&[])).secrets, None);
        assert!(asked.env.is_none() && asked.stdin.is_none() && asked.timeout_seconds.is_none());
    }
}
