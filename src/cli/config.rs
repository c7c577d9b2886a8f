//! `authy-mcp config`: the entry with which a client starts the server.

use std::{process::ExitCode, time::Duration};

use super::{Globals, failures, open, output::Output, usage_failure};
use crate::{
    names::ScopeName,
    operator::{Admin, Failure, FailureKind, TokenOrder},
    setup::{
        self,
        clients::{self, ClientSpec, Clients, Entry, WriteError},
    },
    vault::UnlockMethodKind,
};

/// Print or write the MCP entry of a client.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(super) struct Args {
    /// The client.
    client: String,
    /// The scope of its sessions.
    #[arg(long)]
    scope: ScopeName,
    /// Write the entry into the client's own file; the old file is kept as .bak.
    #[arg(long)]
    write: bool,
    /// Issue a token even if the server could open the vault by itself.
    #[arg(long)]
    token: bool,
    /// How long the token is valid, e.g. 90d (default: as long as the scope allows).
    #[arg(long, value_name = "TIME")]
    ttl: Option<String>,
}

fn after_help() -> String {
    format!(
        "\
The entry has absolute paths and no secret. If an identity file unlocks the vault, the server opens it by \
itself (--scope); otherwise a token is issued into the home's tokens/ and named in the entry.

Clients: {}; and agents-md, which prints a paragraph for a project's AGENTS.md.

Examples:
  authy-mcp config claude-code --scope dev --write
  authy-mcp config json --scope dev
  authy-mcp config agents-md --scope dev >> AGENTS.md",
        Clients::all().words()
    )
}

pub(super) fn config(args: &Args, globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    if args.client == "agents-md" {
        out.raw(clients::agents_paragraph(args.scope.as_str()).as_bytes());
        return Ok(ExitCode::SUCCESS);
    }
    let client = client(&args.client)?;
    let admin = open::admin(globals)?;
    let ttl = args.ttl.as_deref().map(super::admin::token::duration).transpose()?;
    let entry = entry(&admin, client, &args.scope, args.token, ttl, globals)?;
    if !args.write {
        out.raw(client.text(&entry).as_bytes());
        return Ok(ExitCode::SUCCESS);
    }
    write(client, &entry, out)?;
    Ok(ExitCode::SUCCESS)
}

/// For `init`: writes the entry of a client.
pub(super) fn write_for(admin: &Admin, word: &str, scope: &str, out: &Output) -> Result<(), Failure> {
    let scope = ScopeName::parse(scope).map_err(|error| usage_failure(error.to_string(), "as dev"))?;
    let client = client(word)?;
    write(client, &entry(admin, client, &scope, false, None, &Globals::default())?, out)
}

fn client(word: &str) -> Result<&'static ClientSpec, Failure> {
    let known = Clients::all();
    known.find(word).ok_or_else(|| {
        usage_failure(format!("unknown client {word}"), format!("one of {}, agents-md", known.words()))
    })
}

fn entry(
    admin: &Admin,
    client: &ClientSpec,
    scope: &ScopeName,
    token: bool,
    ttl: Option<Duration>,
    globals: &Globals,
) -> Result<Entry, Failure> {
    let home = admin.home();
    let mut args = vec!["serve".to_owned()];
    if open::info(home)?.unlock == UnlockMethodKind::IdentityFile && !token {
        admin.policy_text(scope)?;
        args.extend(["--scope".to_owned(), scope.to_string()]);
        if let Some(file) = &globals.identity_file {
            let file = std::path::absolute(file).map_err(|error| failures::unreadable(file, &error))?;
            args.extend(["--identity-file".to_owned(), file.display().to_string()]);
        }
    } else {
        let order = TokenOrder {
            scope: scope.clone(),
            ttl,
            max_uses: None,
            subject: None,
            file: Some(format!("{scope}-{}.jwt", client.word)),
        };
        let file = admin.issue_token_file(&order)?;
        args.extend(["--token-file".to_owned(), file.display().to_string()]);
    }
    Ok(Entry { command: open::binary()?, args, home: setup::home_for_clients(home) })
}

fn write(client: &ClientSpec, entry: &Entry, out: &Output) -> Result<(), Failure> {
    let home = setup::user_home()?;
    let project = setup::cwd()?;
    let Some(file) = client.file(&home, &project) else {
        return Err(usage_failure(
            "this client has no file of its own",
            "leave --write out and copy the entry",
        ));
    };
    match client.write(&file, entry) {
        Ok(()) => {
            out.line(&format!("wrote the entry authy-mcp into {}", file.display()));
            out.line("next: restart the client, and ask it to call list_allowed");
            Ok(())
        }
        Err(error @ (WriteError::NotPlain { .. } | WriteError::ByHand)) => {
            out.raw(client.text(entry).as_bytes());
            let hint = format!("put the entry above into {} by hand", file.display());
            Err(Failure::new(FailureKind::Failed, error.to_string(), hint))
        }
        Err(error) => {
            Err(Failure::new(FailureKind::Failed, error.to_string(), "leave --write out and copy the entry"))
        }
    }
}
