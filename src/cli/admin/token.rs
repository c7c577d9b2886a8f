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
    files,
    names::{ScopeName, TokenId},
    operator::{Failure, FailureKind, NarrowingEntry, TokenDetail, TokenEntry, TokenOrder, TokenState},
    policy::parse_duration,
    shown::shown,
};

/// Manage tokens.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A token lets its holder run what its scope allows, and nothing else; it is shown once.

Examples:
  authy-mcp admin token issue --scope dev --ttl 8h --out agent.jwt
  authy-mcp admin token list
  authy-mcp admin token show t_abc
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
    /// List the tokens that have not ended: for which client, under what issued, until when, and whether narrowed.
    List,
    /// Show a token, and what its sessions gave up with request_token.
    Show {
        /// Its identity, as list shows it.
        id: TokenId,
    },
    /// Take back what sessions of a token gave up: it has again what its scope allows.
    Lift {
        /// Its identity, as list shows it.
        id: TokenId,
    },
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
        .ok_or_else(|| usage_failure(format!("invalid duration {text:?}"), "write 30m, 8h or 90d"))
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
        Command::Show { id } => {
            out.answer(&open::admin(globals)?.token(id)?, show);
            Ok(())
        }
        Command::Lift { id } => {
            let lifted = open::admin(globals)?.lift_narrowings(id)?;
            out.answer(&serde_json::json!({"token": id, "lifted": lifted}), |_| {
                vec![match lifted {
                    0 => format!("{id} is not narrowed"),
                    1 => format!("lifted 1 narrowing of {id}; it holds from the next call on"),
                    some => format!("lifted {some} narrowings of {id}; it holds from the next call on"),
                }]
            });
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

fn list(tokens: &[TokenEntry]) -> Vec<String> {
    if tokens.is_empty() {
        return vec!["no tokens: authy-mcp admin token issue --scope SCOPE".to_owned()];
    }
    let heads = ["ID", "SCOPE", "CLIENT", "SUBJECT", "UNDER", "UNTIL", "RUNS", "STATE"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(tokens.iter().map(|token| {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            token.info.id.to_string(),
            token.info.scope.to_string(),
            or_none(&token.client.as_deref().map(shown)),
            shown(&token.info.subject),
            or_none(&token.parent),
            time(token.ends),
            runs(token),
            state(token),
        ]
    }));
    output::table(&rows)
}

fn runs(token: &TokenEntry) -> String {
    token.info.max_uses.map_or_else(|| "any".to_owned(), |most| format!("{} of {most}", token.info.uses))
}

fn state(token: &TokenEntry) -> String {
    let state = match token.state {
        TokenState::Good => "good",
        TokenState::Revoked => "revoked",
        TokenState::Ended => "ended",
        TokenState::Spent => "used up",
    };
    if token.narrowed { format!("{state}, narrowed") } else { state.to_owned() }
}

fn show(token: &TokenDetail) -> Vec<String> {
    let TokenDetail { entry, narrowings } = token;
    let mut lines = vec![
        format!("token {} of the scope {}: {}", entry.info.id, entry.info.scope, state(entry)),
        format!("subject {}", shown(&entry.info.subject)),
        format!("issued {}, until {}", time(entry.info.issued_at), time(entry.ends)),
        format!("runs {}", runs(entry)),
    ];
    lines.extend(entry.client.as_ref().map(|client| format!("for the client {}", shown(client))));
    lines.extend(
        entry.parent.as_ref().map(|parent| format!("issued under {parent}, and worth no more than it")),
    );
    if narrowings.is_empty() {
        lines.push("no session of it gave anything up".to_owned());
    }
    lines.extend(narrowings.iter().flat_map(narrowing));
    if !narrowings.is_empty() {
        lines.push(format!("authy-mcp admin token lift {} takes this back", entry.info.id));
    }
    lines
}

/// Patterns come from agents: quoted, and nothing in them but what can be seen.
fn narrowing(narrowing: &NarrowingEntry) -> Vec<String> {
    let whose = match (&narrowing.session, narrowing.session_ended) {
        (None, _) => "everybody who shows it".to_owned(),
        (Some(session), false) => format!("the session {session} only"),
        (Some(session), true) => format!("the session {session} only, which has ended"),
    };
    let made = narrowing.made_at.as_deref().map(|at| format!(" at {at}")).unwrap_or_default();
    let mut lines = vec![format!("narrowed{made} for {whose} ({})", narrowing.id)];
    lines.extend(narrowing.secrets.as_ref().map(|names| match names.as_slice() {
        [] => "  no secret left".to_owned(),
        names => format!("  secrets left: {}", names.join(", ")),
    }));
    for command in narrowing.commands.iter().flatten() {
        lines.push(format!("  command left: {command:?}"));
    }
    if narrowing.commands.as_ref().is_some_and(Vec::is_empty) {
        lines.push("  no command left".to_owned());
    }
    lines.extend(narrowing.ends_at.as_ref().map(|end| format!("  until {end}")));
    lines.extend(narrowing.uses_left.map(|left| format!("  {left} runs left")));
    lines
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
            format!("every token of {}", shown(subject))
        }
        (None, None) => return Err(usage_failure("no token is named", "authy-mcp admin token list")),
    };
    out.answer(&serde_json::json!({"revoked": what}), |_| {
        vec![format!(
            "revoked {what}, and what was issued under it: no call is taken, and what runs is ended"
        )]
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::TokenInfo;

    fn entry(state: TokenState, narrowed: bool, max_uses: Option<u32>) -> TokenEntry {
        let info = TokenInfo {
            id: TokenId::parse("t_abc").unwrap(),
            scope: ScopeName::parse("dev").unwrap(),
            subject: "ann".to_owned(),
            issued_at: 0,
            expires_at: 7200,
            max_uses,
            uses: 1,
            revoked: false,
        };
        TokenEntry {
            info,
            client: None,
            parent: None,
            ends_at: "1970-01-01T01:00:00Z".to_owned(),
            ends: 3600,
            delegated: false,
            narrowed,
            state,
        }
    }

    #[test]
    fn a_length_of_time_is_read_or_shown_as_it_was_typed() {
        for (text, seconds) in [("45s", 45), ("30m", 1800), ("8h", 28_800), ("90d", 7_776_000)] {
            assert_eq!(duration(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for text in ["", "8", "h", "-1h", "2 minutes", "1e3s", "99999999999999999999d"] {
            let failure = duration(text).unwrap_err();
            assert_eq!(failure.message, format!("invalid duration {text:?}"));
            assert_eq!((failure.kind, &*failure.hints[0]), (FailureKind::Usage, "write 30m, 8h or 90d"));
        }
    }

    #[test]
    fn tokens_are_a_table_with_the_moment_at_which_they_really_end() {
        let under = TokenEntry {
            client: Some("claude".to_owned()),
            parent: Some("t_top".to_owned()),
            ..entry(TokenState::Good, true, Some(2))
        };
        assert_eq!(
            list(&[entry(TokenState::Revoked, false, None), under]),
            [
                "ID     SCOPE  CLIENT  SUBJECT  UNDER  UNTIL             RUNS    STATE",
                "t_abc  dev    -       ann      -      1970-01-01 01:00  any     revoked",
                "t_abc  dev    claude  ann      t_top  1970-01-01 01:00  1 of 2  good, narrowed",
            ]
        );
        assert_eq!(list(&[]), ["no tokens: authy-mcp admin token issue --scope SCOPE"]);
    }

    #[test]
    fn each_state_is_a_word() {
        for (token, word) in [
            (entry(TokenState::Good, false, None), "good"),
            (entry(TokenState::Revoked, false, None), "revoked"),
            (entry(TokenState::Ended, true, None), "ended, narrowed"),
            (entry(TokenState::Spent, false, None), "used up"),
        ] {
            assert_eq!(state(&token), word);
        }
    }
}
