//! `admin audit`: what happened.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::super::{Globals, open, output::Output, prompt};
use crate::broker::admin::{AuditFilter, Failure};

/// Read and check the audit log.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show events, oldest first.
    Show {
        /// Only the last N.
        #[arg(long, value_name = "N")]
        last: Option<usize>,
        /// Only this run.
        #[arg(long, value_name = "ID")]
        run: Option<String>,
        /// Only this scope.
        #[arg(long)]
        scope: Option<String>,
        /// Only this kind: intent, outcome, denied, admin, checkpoint.
        #[arg(long)]
        kind: Option<String>,
    },
    /// Walk the whole chain and name everything that is wrong with it.
    Verify,
    /// Print the events as JSON lines.
    Export,
    /// Keep a damaged log aside, whole, and begin a new one that says so.
    Restart {
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

pub(super) fn audit(args: &Args, globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    let admin = open::admin(globals)?;
    match &args.command {
        Command::Show { last, run, scope, kind } => {
            let filter =
                AuditFilter { last: *last, run: run.clone(), scope: scope.clone(), kind: kind.clone() };
            out.answer(&admin.audit_events(&filter)?, |events| events.iter().map(line).collect());
        }
        Command::Verify => {
            let report = admin.audit_verify()?;
            let good = report.damage.is_empty();
            out.answer(&report, |report| {
                let mut lines: Vec<String> =
                    report.damage.iter().map(|what| format!("DAMAGED  {what}")).collect();
                if !report.pending.is_empty() {
                    lines.push(format!("runs without an outcome: {}", report.pending.join(", ")));
                }
                let word = if good { "the chain holds" } else { "the chain does not hold" };
                lines.push(format!(
                    "{word}: {} events, {} signed checkpoints",
                    report.events, report.checkpoints
                ));
                lines
            });
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(7) });
        }
        Command::Export => {
            for event in admin.audit_events(&AuditFilter::default())? {
                out.raw(format!("{event}\n").as_bytes());
            }
        }
        Command::Restart { yes } => {
            prompt::confirm("keep the log aside and begin a new one?", *yes)?;
            let kept = admin.audit_restart()?;
            out.answer(&serde_json::json!({"kept": kept}), |_| {
                vec![format!("the old log is kept, whole, as {}", kept.display())]
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One event as a line: when, what, then whatever else it says, in the log's own order.
fn line(event: &Value) -> String {
    const ELSEWHERE: [&str; 6] = ["seq", "time", "event", "prev", "mac", "signature"];
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let seq = event.get("seq").and_then(Value::as_u64).unwrap_or_default();
    let time = text("time");
    let rest = event.as_object().into_iter().flatten().filter(|(key, _)| !ELSEWHERE.contains(&key.as_str()));
    let rest: Vec<String> =
        rest.filter_map(|(key, value)| Some(format!("{key}={}", short(value)?))).collect();
    format!("{seq:>5}  {}  {:<10}  {}", time.get(..19).unwrap_or(&time), text("event"), rest.join(" "))
}

/// A value as it fits on a line; digests are shortened, empty things left out.
fn short(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Array(items) if items.is_empty() => None,
        Value::String(text) if text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()) => {
            Some(format!("{}…", &text[..12]))
        }
        Value::String(text) if text.contains(' ') => Some(format!("{text:?}")),
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
