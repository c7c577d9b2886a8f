//! `authy-mcp admin`: what only the person who can unlock the vault may do.

pub(super) mod allow;
mod audit;
mod backup;
pub(super) mod import;
mod plan;
mod policy;
mod secrets;
pub(super) mod token;

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

use super::{Globals, open, output::Output};
use crate::{names::SecretName, operator::Failure};

/// Manage secrets, policies, tokens, and the audit log.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set a secret: prompt for it, read stdin or a file, or generate it.
    Set(secrets::Set),
    /// Import the secrets of a .env file; the file is left unchanged.
    Import(import::Args),
    /// List the secrets.
    List,
    /// Show what is known of a secret; its value only with --reveal.
    Get(secrets::Get),
    /// Remove a secret and its versions.
    Rm(secrets::Remove),
    /// List the versions of a secret that are kept.
    History {
        /// The secret.
        name: SecretName,
    },
    /// Make an older version the newest.
    Rollback {
        /// The secret.
        name: SecretName,
        /// The version, as history shows it.
        version: u64,
    },
    /// Allow a scope to run a command with secrets.
    Allow(allow::Args),
    /// Manage policies.
    Policy(policy::Args),
    /// Manage tokens.
    Token(token::Args),
    /// Read and check the audit log.
    Audit(audit::Args),
    /// Write a backup that stock age opens.
    Backup {
        /// An empty directory, or one that isn't there yet.
        dir: PathBuf,
    },
    /// Rebuild the vault from a backup; what is there is kept aside.
    Restore(backup::Restore),
    /// Read and compare everything in the vault; accept one that nothing else remembers.
    Verify(backup::Verify),
}

pub(super) fn admin(args: &Args, globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    match &args.command {
        Command::Set(args) => secrets::set(args, globals, out),
        Command::Import(args) => import::import(args, globals, out),
        Command::List => secrets::list(&open::admin(globals)?, out),
        Command::Get(args) => secrets::get(args, globals, out),
        Command::Rm(args) => secrets::remove(args, globals, out),
        Command::History { name } => secrets::history(name, &open::admin(globals)?, out),
        Command::Rollback { name, version } => secrets::rollback(name, *version, &open::admin(globals)?, out),
        Command::Allow(args) => allow::allow(args, globals, out),
        Command::Policy(args) => policy::policy(args, globals, out),
        Command::Token(args) => token::token(args, globals, out),
        Command::Audit(args) => return audit::audit(args, globals, out),
        Command::Backup { dir } => backup::backup(dir, &open::admin(globals)?, out),
        Command::Restore(args) => backup::restore(args, globals, out),
        Command::Verify(args) => return backup::verify(args, globals, out),
    }
    .map(|()| ExitCode::SUCCESS)
}
