//! `admin audit`: what happened.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::Value;

use super::super::{Globals, open, output::Output, prompt};
use crate::{
    operator::{Admin, AuditFilter, AuditFound, AuditReport, Close, Failure},
    policy::parse_duration,
    shown::shown,
};

/// How often `--follow` looks for new events.
const LOOKS_EVERY: Duration = Duration::from_millis(500);
const DAMAGED: u8 = 7;

/// Read, check and archive the audit log.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every line is checked before it is shown. A line that fails is marked DAMAGED, and the exit code is 7.

Examples:
  authy-mcp admin audit show --last 20
  authy-mcp admin audit show --since 2h --denied
  authy-mcp admin audit archive /mnt/backup/authy-audit")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show events, oldest first.
    Show(Show),
    /// Check the whole chain and name everything that is wrong with it.
    Verify,
    /// Print the events as JSON lines.
    Export,
    /// Move closed segments of the log into a directory.
    ///
    /// A segment is closed at 64 MiB. What is moved is verified, copied and compared first, and an event
    /// records each file with its digest. Nothing else removes a part of the log.
    Archive {
        /// The directory; made if it doesn't exist.
        dir: PathBuf,
        /// Close the present segment first, so that it is moved, too.
        #[arg(long)]
        close: bool,
    },
    /// Keep a damaged log aside, whole, and begin a new one that says so.
    Restart {
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Show {
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
    /// Only events that name this secret.
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,
    /// Only refusals.
    #[arg(long)]
    denied: bool,
    /// Only since then: a time as 2026-11-26T12:00:00Z, or how long ago, as 2h.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Go on with new events until interrupted.
    #[arg(long)]
    follow: bool,
}

pub(super) fn audit(args: &Args, globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    let admin = match &args.command {
        Command::Show(_) | Command::Verify | Command::Export => open::diagnosis(globals)?,
        Command::Archive { .. } | Command::Restart { .. } => open::admin(globals)?,
    };
    match &args.command {
        Command::Show(args) => show(&admin, args, globals.json, out),
        Command::Verify => Ok(verified(&admin.audit_verify()?, out)),
        Command::Export => {
            let mut whole = true;
            admin.audit_read(&AuditFilter::default(), &mut |found| {
                whole &= matches!(found, AuditFound::Event(_));
                out.json_line(&found);
            })?;
            Ok(code(whole))
        }
        Command::Archive { dir, close } => archive(&admin, dir, *close, out),
        Command::Restart { yes } => {
            prompt::confirm("keep the log aside and begin a new one?", *yes)?;
            let kept = admin.audit_restart()?;
            out.answer(&serde_json::json!({"kept": kept}), |_| {
                vec![format!("the old log is kept, whole, as {}", shown(&kept.display().to_string()))]
            });
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn show(admin: &Admin, args: &Show, json: bool, out: &Output) -> Result<ExitCode, Failure> {
    let mut filter = AuditFilter {
        last: args.last,
        run: args.run.clone(),
        scope: args.scope.clone(),
        kind: args.kind.clone(),
        secret: args.secret.clone(),
        denied: args.denied,
        since: args.since,
        after: None,
    };
    let mut whole = true;
    // One answer is one array; what goes on for ever is lines.
    let mut array = (json && !args.follow).then(|| out.json_array());
    let mut print = |found: AuditFound| {
        whole &= matches!(found, AuditFound::Event(_));
        match &mut array {
            Some(array) => array.item(&found),
            None if json => out.json_line(&found),
            None => out.line(&text_of(&found)),
        }
    };
    let mut seen = admin.audit_read(&filter, &mut print)?;
    if args.follow {
        loop {
            thread::sleep(LOOKS_EVERY);
            filter = AuditFilter { after: Some(seen), last: None, ..filter };
            seen = seen.max(admin.audit_read(&filter, &mut print)?);
        }
    }
    if let Some(array) = array {
        array.end();
    }
    Ok(code(whole))
}

fn verified(report: &AuditReport, out: &Output) -> ExitCode {
    let good = report.damage.is_empty();
    out.answer(report, |report| {
        let mut lines: Vec<String> = report.damage.iter().map(|what| format!("DAMAGED  {what}")).collect();
        lines.extend(report.warnings.iter().map(|what| format!("WARNING  {what}")));
        lines.extend(report.archived.iter().map(|what| format!("archived  {what}")));
        if !report.pending.is_empty() {
            lines.push(format!("runs without an outcome: {}", report.pending.join(", ")));
        }
        let word = if good { "the chain holds" } else { "the chain does not hold" };
        lines.push(format!(
            "{word}: {} events, {} signed checkpoints{}",
            report.events,
            report.checkpoints,
            if report.segments > 1 { format!(", {} segments", report.segments) } else { String::new() }
        ));
        lines
    });
    code(good)
}

fn archive(admin: &Admin, dir: &Path, close: bool, out: &Output) -> Result<ExitCode, Failure> {
    let close = if close { Close::TheCurrentToo } else { Close::Nothing };
    let moved = admin.audit_archive(dir, close)?;
    out.answer(&serde_json::json!({"archived": moved}), |_| {
        moved.iter().map(|file| format!("archived {}", shown(&file.display().to_string()))).collect()
    });
    Ok(ExitCode::SUCCESS)
}

fn code(whole: bool) -> ExitCode {
    if whole { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) }
}

fn since(text: &str) -> Result<Timestamp, String> {
    let ago = |time: Duration| Timestamp::now().checked_sub(time).ok();
    text.parse().ok().or_else(|| parse_duration(text).and_then(ago)).ok_or_else(|| {
        format!("invalid time {text:?}: write 2026-11-26T12:00:00Z, or how long ago, as 30m, 2h or 7d")
    })
}

fn text_of(found: &AuditFound) -> String {
    match found {
        AuditFound::Event(event) => line(event),
        AuditFound::Damage { damaged } => format!("DAMAGED  {damaged}"),
    }
}

/// One event as a line: when, what, then whatever else it says, in the log's own order.
fn line(event: &Value) -> String {
    const ELSEWHERE: [&str; 7] = ["seq", "time", "event", "prev", "mac", "signature", "state"];
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    let seq = event.get("seq").and_then(Value::as_u64).unwrap_or_default();
    let time = text("time");
    let rest = event.as_object().into_iter().flatten().filter(|(key, _)| !ELSEWHERE.contains(&key.as_str()));
    let rest: Vec<String> =
        rest.filter_map(|(key, value)| Some(format!("{}={}", shown(key), short(value)?))).collect();
    format!("{seq:>5}  {}  {:<10}  {}", time.get(..19).unwrap_or(time), shown(text("event")), rest.join(" "))
}

/// A value as it fits on a line; digests are shortened, empty things left out.
fn short(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => {
            Some(format!("[{}]", items.iter().filter_map(short).collect::<Vec<_>>().join(", ")))
        }
        Value::Object(fields) => {
            let fields =
                fields.iter().filter_map(|(key, value)| Some(format!("{}:{}", shown(key), short(value)?)));
            Some(format!("{{{}}}", fields.collect::<Vec<_>>().join(", ")))
        }
        Value::String(text) if text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()) => {
            Some(format!("{}…", &text[..12]))
        }
        Value::String(text) => Some(shown(text)),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
    }
}
