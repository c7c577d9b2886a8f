//! `admin token`: what sessions carry.

use std::{path::PathBuf, time::Duration};

use clap::Subcommand;
use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::super::{
    Globals, open,
    output::{self, Output},
    usage_failure,
};
use crate::{
    broker::admin::{Failure, FailureKind, TokenInfo, TokenOrder},
    name::{ScopeName, TokenId},
    policy::parse_duration,
    store::files,
};

/// Manage tokens.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A token lets its holder run what its scope allows, and nothing else; it is shown once.

Examples:
  authy-mcp admin token issue --scope dev --ttl 8h --out agent.jwt
  authy-mcp admin token revoke t_abc")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Issue a token, on standard output or into a file.
    Issue {
        /// The scope it is bound to.
        #[arg(long)]
        scope: ScopeName,
        /// How long it lives, as 8h; as long as the scope allows by default.
        #[arg(long, value_name = "TIME")]
        ttl: Option<String>,
        /// How many runs it is good for.
        #[arg(long, value_name = "N")]
        max_uses: Option<u32>,
        /// Who it is for; tokens of one subject can be revoked together.
        #[arg(long, value_name = "NAME")]
        subject: Option<String>,
        /// A file for it (0600).
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List the tokens that have not ended.
    List,
    /// Revoke a token, and those that were issued under it.
    Revoke {
        /// Its identity, as list shows it.
        #[arg(required_unless_present = "subject")]
        id: Option<TokenId>,
        /// Revoke every token of this subject that was issued before now.
        #[arg(long, value_name = "NAME", conflicts_with = "id")]
        subject: Option<String>,
    },
}

/// A length of time from the command line.
pub(in crate::cli) fn duration(text: &str) -> Result<Duration, Failure> {
    parse_duration(text)
        .ok_or_else(|| usage_failure(format!("{text:?} is no length of time"), "write 30m, 8h or 90d"))
}

pub(super) fn token(args: &Args, globals: &Globals, out: &Output) -> Result<(), Failure> {
    match &args.command {
        Command::Issue { scope, ttl, max_uses, subject, out: file } => {
            let ttl = ttl.as_deref().map(duration).transpose()?;
            let order = TokenOrder {
                scope: scope.clone(),
                ttl,
                max_uses: *max_uses,
                subject: subject.clone(),
                file: None,
            };
            issue(&order, file.as_deref(), globals, out)
        }
        Command::List => {
            let tokens = open::admin(globals)?.tokens()?;
            out.answer(&tokens, |tokens| list(tokens));
            Ok(())
        }
        Command::Revoke { id, subject } => revoke(id.as_ref(), subject.as_deref(), globals, out),
    }
}

#[expect(clippy::disallowed_methods, reason = "a token is handed to the operator, once")]
fn issue(
    order: &TokenOrder,
    file: Option<&std::path::Path>,
    globals: &Globals,
    out: &Output,
) -> Result<(), Failure> {
    if order.max_uses == Some(0) {
        return Err(usage_failure(
            "a token is good for at least one run",
            "leave --max-uses out for any number",
        ));
    }
    let (token, info) = open::admin(globals)?.issue_token(order)?;
    match file {
        None if globals.json => {
            let answer = serde_json::json!({"token": token.expose_secret(), "info": info});
            out.answer(&answer, |_| Vec::new());
        }
        None => out.raw(format!("{}\n", token.expose_secret()).as_bytes()),
        Some(path) => {
            files::write_private(path, token.expose_secret().as_bytes()).map_err(|error| {
                Failure::new(
                    FailureKind::Failed,
                    format!("{} can't be written: {error}", path.display()),
                    format!("authy-mcp admin token revoke {}", info.id),
                )
            })?;
            out.answer(&info, |info| {
                vec![format!(
                    "wrote the token {} to {} (0600), until {}",
                    info.id,
                    path.display(),
                    time(info.expires_at)
                )]
            });
        }
    }
    Ok(())
}

fn list(tokens: &[TokenInfo]) -> Vec<String> {
    if tokens.is_empty() {
        return vec!["no tokens: authy-mcp admin token issue --scope SCOPE".to_owned()];
    }
    let mut rows = vec![["ID", "SCOPE", "SUBJECT", "UNTIL", "RUNS", "STATE"].map(str::to_owned).to_vec()];
    rows.extend(tokens.iter().map(|token| {
        let runs =
            token.max_uses.map_or_else(|| "any".to_owned(), |most| format!("{} of {most}", token.uses));
        let state = if token.revoked { "revoked" } else { "good" };
        vec![
            token.id.to_string(),
            token.scope.to_string(),
            token.subject.clone(),
            time(token.expires_at),
            runs,
            state.to_owned(),
        ]
    }));
    output::table(&rows)
}

fn time(second: i64) -> String {
    Timestamp::from_second(second).map(|at| at.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default()
}

fn revoke(
    id: Option<&TokenId>,
    subject: Option<&str>,
    globals: &Globals,
    out: &Output,
) -> Result<(), Failure> {
    let admin = open::admin(globals)?;
    let what = match (id, subject) {
        (Some(id), _) => {
            admin.revoke_token(id)?;
            id.to_string()
        }
        (None, Some(subject)) => {
            admin.revoke_subject(subject)?;
            format!("every token of {subject}")
        }
        (None, None) => return Err(usage_failure("no token is named", "authy-mcp admin token list")),
    };
    out.answer(&serde_json::json!({"revoked": what}), |_| {
        vec![format!("revoked {what}; it holds from the next call on")]
    });
    Ok(())
}
