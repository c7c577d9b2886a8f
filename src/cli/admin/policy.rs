//! `admin policy`: whole documents.

use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use clap::Subcommand;

use super::{
    super::{
        Globals, failures, open,
        output::{self, Output},
        prompt, usage_failure,
    },
    allow, plan,
};
use crate::{
    names::{ScopeName, SecretName},
    operator::{Admin, Failure, FailureKind},
    policy::{Request, Ruling},
    setup,
};

/// A little more than a policy may have (256 KiB), so that one that is too long is told from one that isn't.
const MOST_READ: u64 = (256 << 10) + 1;

/// Manage policies.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A policy is a TOML document; schemas/policy.schema.json describes it:

  scope = \"deploy\"
  [sandbox]
  network = \"open\"              # default: none
  cwd = [\"~/src/site\"]          # where runs may start
  write = [\"{cwd}/dist\"]        # what they may write
  [[allow]]
  secrets = [\"site/*\"]
  deliver = \"env\"               # env, file or sealed
  commands = [[\"npm\", \"run\", \"deploy\", \"{enum:staging|live}\"]]

In a command, * is one argument that does not begin with - \\ @ + or |, and ** at the end is any rest. \
Types limit what a call can choose: {int:1..100}, {enum:a|b}, {host:a|b}, {path:DIR/*.sql}. A policy has \
at most 256 KiB and 1000 rules.")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Apply a document: shows what changes, marks what widens, and asks.
    Apply {
        /// The document.
        file: PathBuf,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
    /// Check a document, or ask whether a scope allows a command.
    Check(Check),
    /// List the scopes that have a policy.
    List,
    /// Print a scope's policy.
    Show {
        /// The scope.
        scope: ScopeName,
    },
    /// Remove a scope's policy: its sessions can do nothing from then on.
    Rm {
        /// The scope.
        scope: ScopeName,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Check a document, or ask whether a scope allows a command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  authy-mcp admin policy check --file deploy.toml
  authy-mcp admin policy check deploy --secret site/token -- npm run deploy")]
struct Check {
    /// The scope to ask.
    #[arg(required_unless_present = "file")]
    scope: Option<ScopeName>,
    /// A document to check instead.
    #[arg(long, value_name = "FILE", conflicts_with = "scope")]
    file: Option<PathBuf>,
    /// A secret that the run would use.
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<SecretName>,
    /// Where it would start.
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(last = true, value_name = "ARGV")]
    argv: Vec<String>,
}

pub(super) fn policy(args: &Args, globals: &Globals, out: &Output) -> Result<(), Failure> {
    match &args.command {
        Command::Apply { file, yes } => {
            let text = read(file)?;
            let machine = setup::machine()?;
            let admin = open::admin(globals)?;
            let plan = admin.plan_policy(&text, &machine)?;
            allow::apply(&admin, plan, *yes, out)
        }
        Command::Check(args) => check(args, globals, out),
        Command::List => {
            let scopes = open::admin(globals)?.scopes()?;
            out.answer(&scopes, |scopes| match scopes.as_slice() {
                [] => vec![
                    "no scope has a policy yet: authy-mcp admin allow SCOPE --secret NAME -- PROGRAM"
                        .to_owned(),
                ],
                scopes => scopes.iter().map(ToString::to_string).collect(),
            });
            Ok(())
        }
        Command::Show { scope } => {
            let text = open::admin(globals)?.policy_text(scope)?;
            if io::stdout().is_terminal() {
                // What a refusal has brought into a rule was an agent's.
                text.lines().for_each(|line| out.line(line));
            } else {
                out.raw(text.as_bytes());
            }
            Ok(())
        }
        Command::Rm { scope, yes } => {
            let admin = open::admin(globals)?;
            admin.policy_text(scope)?;
            prompt::confirm(&format!("remove the policy of {scope}?"), *yes)?;
            admin.remove_policy(scope)?;
            out.answer(&serde_json::json!({"removed": scope}), |_| {
                vec![format!("removed the policy of {scope}")]
            });
            Ok(())
        }
    }
}

/// A document's text. No more is read than a policy may have: what is named may have no end.
fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let open = fs::File::open(file).map_err(|error| failures::unreadable(file, &error))?;
    let read = open.take(MOST_READ).read_to_string(&mut text);
    read.map_err(|error| failures::unreadable(file, &error))?;
    Ok(text)
}

fn check(args: &Check, globals: &Globals, out: &Output) -> Result<(), Failure> {
    let admin = open::admin(globals)?;
    match &args.file {
        Some(file) => check_document(file, &admin, out),
        None => check_command(args, &admin, out),
    }
}

/// Checks a document as if it were applied.
fn check_document(file: &Path, admin: &Admin, out: &Output) -> Result<(), Failure> {
    let machine = setup::machine()?;
    let plan = admin.plan_policy(&read(file)?, &machine)?;
    let answer = serde_json::json!({
        "scope": plan.document.scope, "warnings": plan.warnings, "promises": plan.promises, "pins": plan.pins,
    });
    out.answer(&answer, |_| {
        let warnings = &plan.warnings;
        let mut lines: Vec<String> = warnings.iter().map(output::finding_line).collect();
        lines.extend(plan::promise_lines(&plan));
        let scope = &plan.document.scope;
        lines.push(format!("the policy of {scope} is good: {} warning(s)", warnings.len()));
        lines
    });
    Ok(())
}

/// Says what a scope's policy says to a command, step by step.
fn check_command(args: &Check, admin: &Admin, out: &Output) -> Result<(), Failure> {
    let scope = args.scope.as_ref().ok_or_else(|| usage_failure("no scope is given", "as deploy"))?;
    if args.argv.is_empty() {
        return Err(usage_failure(
            "no command is given",
            format!("authy-mcp admin policy check {scope} --secret NAME -- PROGRAM ARGUMENT"),
        ));
    }
    let request = Request {
        command: args.argv.clone(),
        secrets: Some(args.secrets.clone()).filter(|names| !names.is_empty()),
        cwd: args.cwd.clone(),
        ..Request::default()
    };
    let explained = admin.explain(scope, &request)?;
    out.answer(&explained, |explained| {
        explained.steps.iter().map(|step| crate::shown::shown_line(step)).collect()
    });
    if explained.ruling == Ruling::Allowed {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Denied,
        format!("scope {scope} does not allow this command"),
        format!("to allow it: authy-mcp admin allow {scope} --secret NAME -- PROGRAM ARGUMENT"),
    ))
}
