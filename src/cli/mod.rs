//! The command line: words in, words out.
//!
//! One file a subcommand. Arguments become requests to the broker or to its operator's side; answers
//! become lines, or JSON with `--json`. Nothing here decides, and no secret comes from an argument or a
//! variable.

mod admin;
mod config;
mod demo;
mod doctor;
mod failures;
mod globals;
mod hosting;
mod init;
mod life;
mod lock;
mod open;
mod output;
mod overview;
mod prompt;
mod run;
mod serve;
mod sockets;
mod starting;
mod status;
mod token_file;
mod unlock;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    operator::{Failure, FailureKind},
    supervise,
    supervise::{Manner, Side},
    vault::{self, UnlockMethodKind},
};
use globals::{Globals, exit_code, runtime, runtime_for_many, usage_failure};
use output::Output;

/// Lets AI agents use secrets and never see them.
#[derive(Debug, Parser)]
#[command(name = "authy-mcp", version, about, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Begin with:
  authy-mcp init
  authy-mcp admin import .env --prefix myapp/
  authy-mcp admin allow dev --secret 'myapp/*' --cwd . -- npm test
  authy-mcp config claude-code --scope dev --write

AUTHY_MCP_HOME names another home than the default.

Exit codes: 0 done, 1 failed, 2 usage, 3 locked, 4 denied, 5 not found, 6 busy, 7 damaged.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a vault.
    Init(init::Args),
    /// Manage secrets, policies, tokens, and the audit log.
    Admin(admin::Args),
    /// Serve MCP over stdio, or over HTTP.
    Serve(serve::Args),
    /// Run a command with secrets, on this terminal or in front of another MCP server.
    Run(run::Args),
    /// Host the broker for every server of this home.
    Daemon(hosting::DaemonArgs),
    /// Unlock the vault into a daemon, for every server of this home.
    Unlock(unlock::UnlockArgs),
    /// Stop the daemon and its runs, and wipe the keys.
    Lock,
    /// Show the daemon: health, limits, counts.
    Status,
    /// Print or write the MCP entry of a client.
    Config(config::Args),
    /// Check this machine and the vault, and say how to fix what is wrong.
    Doctor,
    /// See it work, in a temporary vault.
    Demo,
    /// Print completions for a shell.
    Completions {
        /// bash, zsh, fish, elvish or powershell.
        shell: clap_complete::Shell,
    },
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    crate::supervise::private_umask();
    let out = Output::new(arguments.globals.json);
    let limits = supervise::survive_file_limits().map_err(|error| failures::hardening(&error));
    match limits.and_then(|()| isolate_before_prompt(&arguments)) {
        Ok(Side::Child) => {}
        Ok(Side::Parent(code)) => return ExitCode::from(code),
        Err(failure) => {
            out.failure(&failure);
            return exit_code(failure.kind);
        }
    }
    let logging = output::log_to(arguments.globals.verbose, arguments.globals.log_file.as_deref());
    let done = logging.and_then(|()| dispatch(&arguments, &out));
    match done {
        Ok(code) => code,
        Err(failure) => {
            out.failure(&failure);
            exit_code(failure.kind)
        }
    }
}

/// Where a passphrase may be asked for, the command goes on in a child that nobody reads: whoever opened this
/// process's memory as it started sees nothing of what is typed, or of what it opens.
fn isolate_before_prompt(arguments: &Arguments) -> Result<Side, Failure> {
    let by_passphrase = || {
        let info = open::home().ok().and_then(|home| vault::home_info(&home).ok());
        info.is_some_and(|info| info.unlock == UnlockMethodKind::Passphrase)
    };
    let asks = match &arguments.command {
        Some(Command::Init(_)) => true,
        Some(
            Command::Admin(_) | Command::Run(_) | Command::Unlock(_) | Command::Config(_) | Command::Doctor,
        ) => by_passphrase(),
        _ => false,
    };
    if !asks {
        return Ok(Side::Child);
    }
    supervise::set_nondumpable()
        .and_then(|()| supervise::continue_in_child(Manner::Command))
        .map_err(|error| failures::hardening(&error))
}

fn dispatch(arguments: &Arguments, out: &Output) -> Result<ExitCode, Failure> {
    let globals = &arguments.globals;
    match &arguments.command {
        None => overview::show(out),
        Some(Command::Init(args)) => init::init(args, globals, out),
        Some(Command::Admin(args)) => admin::admin(args, globals, out),
        Some(Command::Serve(args)) => serve::serve(args, globals),
        Some(Command::Run(args)) => run::run(args, globals),
        Some(Command::Daemon(args)) => hosting::daemon(args, globals, out),
        Some(Command::Unlock(args)) => unlock::unlock(args, globals, out),
        Some(Command::Lock) => lock::lock(globals, out),
        Some(Command::Status) => status::status(globals, out),
        Some(Command::Config(args)) => config::config(args, globals, out),
        Some(Command::Doctor) => doctor::doctor(globals, out),
        Some(Command::Demo) => runtime()?.block_on(demo::play(out, open::binary()?)),
        Some(Command::Completions { shell }) => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "authy-mcp", &mut text);
            out.raw(&text);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// clap's own words, with its help on standard output and its errors on standard error.
fn usage(error: &clap::Error) -> ExitCode {
    // Where even that can't be printed, the exit code says it.
    let _ = error.print();
    if error.use_stderr() { exit_code(FailureKind::Usage) } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// What a command line is read as (a part of its `Debug`), or why it is not taken.
    #[test]
    fn a_command_line_is_one_operation_or_an_error_of_use() {
        use clap::error::ErrorKind::{
            ArgumentConflict, DisplayHelp, DisplayVersion, InvalidSubcommand, MissingRequiredArgument,
            UnknownArgument, ValueValidation,
        };
        let rows = [
            ("", Ok("command: None")),
            ("status", Ok("command: Some(Status)")),
            ("status --json", Ok("json: true")),
            ("--json status", Ok("json: true")),
            ("-vv doctor", Ok("verbose: 2")),
            ("admin set k --generate", Ok("generate: Some(32)")),
            ("admin set k --generate 48", Ok("generate: Some(48)")),
            ("admin set k --generate many", Err(ValueValidation)),
            ("admin set k --generate --from-file f", Err(ArgumentConflict)),
            ("admin set k", Ok("allow_weak: false")),
            ("admin set", Err(MissingRequiredArgument)),
            ("admin set ../k", Err(ValueValidation)),
            ("admin set k --env 1A", Err(ValueValidation)),
            ("admin get k --reveal --version 2", Ok("version: Some(2)")),
            ("admin get k --version 2", Err(MissingRequiredArgument)),
            ("admin get k --out f", Err(MissingRequiredArgument)),
            ("admin rm k", Ok("yes: false")),
            ("admin rollback k 1", Ok("version: 1")),
            ("admin rollback k", Err(MissingRequiredArgument)),
            ("admin allow dev --secret a -- npm test", Ok(r#"argv: ["npm", "test"]"#)),
            ("admin allow dev npm", Err(UnknownArgument)),
            ("admin allow --secret a -- npm", Err(MissingRequiredArgument)),
            ("admin allow --last", Ok("last: true")),
            ("admin allow --last dev", Err(ArgumentConflict)),
            ("admin allow dev --any -- npm", Err(ArgumentConflict)),
            ("admin allow dev --any --network all", Err(ValueValidation)),
            ("admin allow dev --any --deliver pipe", Err(ValueValidation)),
            ("admin token issue --scope dev --max-uses 3", Ok("max_uses: Some(3)")),
            ("admin token issue", Err(MissingRequiredArgument)),
            ("admin token revoke --subject ann", Ok(r#"subject: Some("ann")"#)),
            ("admin token revoke", Err(MissingRequiredArgument)),
            ("admin token revoke t_a --subject ann", Err(ArgumentConflict)),
            ("run --scope dev -- sh -c --json", Ok(r#"argv: ["sh", "-c", "--json"]"#)),
            ("run --scope dev -- sh -c --json", Ok("json: false")),
            ("run --scope dev", Err(MissingRequiredArgument)),
            ("run -- true", Err(MissingRequiredArgument)),
            ("run --scope dev --token-file f -- true", Err(ArgumentConflict)),
            ("frobnicate", Err(InvalidSubcommand)),
            ("status --frobnicate", Err(UnknownArgument)),
            ("--help", Err(DisplayHelp)),
            ("--version", Err(DisplayVersion)),
        ];
        for (line, read) in rows {
            let words = std::iter::once("authy-mcp").chain(line.split_whitespace());
            match (Arguments::try_parse_from(words), read) {
                (Ok(arguments), Ok(part)) => {
                    let arguments = format!("{arguments:?}");
                    assert!(arguments.contains(part), "{line}: {arguments}");
                }
                (Err(error), Err(kind)) => {
                    assert_eq!(error.kind(), kind, "{line}");
                    // What was asked for, and no error, is on standard output, with 0.
                    assert_eq!(error.use_stderr(), !matches!(kind, DisplayHelp | DisplayVersion), "{line}");
                }
                (read, _) => panic!("{line}: {read:?}"),
            }
        }
    }

    #[test]
    fn every_command_has_help() {
        fn walk(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            command.get_subcommands().for_each(walk);
        }
        walk(&Arguments::command());
    }

    /// Wrapping is clap's alone: a paragraph is one line, and what stands further in (examples, tables) is left as
    /// it is, so it fits into a terminal of 80 columns.
    #[test]
    fn help_is_wrapped_once() {
        fn walk(command: &clap::Command) {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.windows(2) {
                let one_paragraph = pair.iter().all(|line| !line.is_empty() && !line.starts_with(' '));
                assert!(!one_paragraph, "{}: {pair:?}", command.get_name());
            }
            for line in lines.iter().filter(|line| line.starts_with(' ')) {
                assert!(line.chars().count() < 80, "{}: {line}", command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Arguments::command());
    }
}
