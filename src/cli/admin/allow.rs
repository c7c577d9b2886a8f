//! `admin allow`: a rule, as one line.

use std::path::PathBuf;

use super::{
    super::{
        Globals, failures, open,
        output::{self, Output},
        prompt, usage_failure,
    },
    plan,
};
use crate::{
    names::ScopeName,
    operator::{Admin, Failure, LastDenial, PolicyPlan},
    policy::{DeliveryMode, Effect, Network, NewRule, OutputMode, SandboxMode, SetByProxy},
    setup,
    shown::{shown, shown_command, shown_line},
};

/// Allow a scope to run a command with secrets.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Adds a rule to the scope's policy, or creates the policy.

In a command, * is one argument that does not begin with - \\ @ + or |. {int:1..100}, {enum:a|b}, \
{host:a|b} and {path:DIR/*.sql} limit what a call can choose, and ** at the end is any rest. {{ and }} are \
braces.

Examples:
  authy-mcp admin allow dev --secret 'myapp/*' --cwd . -- npm test
  authy-mcp admin allow gh --secret github/token -- gh '**'
  authy-mcp admin allow ai --secret openai/key --host api.openai.com --bearer \\
      --any
  authy-mcp admin allow --last")]
pub(super) struct Args {
    /// The scope.
    #[arg(required_unless_present = "last")]
    scope: Option<ScopeName>,
    /// A secret, or a pattern over names, as myapp/* or **.
    #[arg(long = "secret", value_name = "PATTERN")]
    secrets: Vec<String>,
    /// How the value gets to the program: env, file or sealed (which --host implies).
    #[arg(long, value_name = "HOW", default_value = "env", value_parser = deliver)]
    deliver: DeliveryMode,
    /// Where a sealed secret may go, as api.example.com: the program gets a placeholder, and the value is put
    /// in on its way there.
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// Let the proxy set Authorization: Bearer by itself.
    #[arg(long)]
    bearer: bool,
    /// Seal a value that can be guessed: a host that echoes what it is sent answers guesses.
    #[arg(long)]
    guessable: bool,
    /// What of the output is returned: redacted, withhold or status.
    #[arg(long, value_name = "MODE", value_parser = output_mode)]
    output: Option<OutputMode>,
    /// A directory where runs of the scope may start.
    #[arg(long, value_name = "DIR")]
    cwd: Vec<PathBuf>,
    /// A path that runs of the scope may read, besides the system's directories and where they start.
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// A path that runs of the scope may write, besides private directories.
    #[arg(long, value_name = "PATH")]
    write: Vec<PathBuf>,
    /// Network for runs in this scope: none (default), proxy (default if a rule is sealed) or open.
    #[arg(long, value_name = "WHICH", value_parser = network)]
    network: Option<Network>,
    /// How much of the sandbox must be enforced: required (default), best-effort or off. For a rule without
    /// secrets, an agent's own, it applies to that rule only.
    #[arg(long, value_name = "MODE", value_parser = sandbox)]
    sandbox: Option<SandboxMode>,
    /// A name for the rule.
    #[arg(long)]
    id: Option<String>,
    /// Allow any command. Redaction is a net, not a boundary.
    #[arg(long, conflicts_with = "argv")]
    any: bool,
    /// Turn the latest refusal into a rule, after showing it.
    #[arg(long, conflicts_with_all = ["scope", "secrets", "argv", "any"])]
    last: bool,
    /// Don't ask.
    #[arg(long)]
    yes: bool,
    /// The program and its arguments, or a pattern over them.
    #[arg(last = true, value_name = "ARGV")]
    argv: Vec<String>,
}

pub(super) fn allow(args: &Args, globals: &Globals, out: &Output) -> Result<(), Failure> {
    let admin = open::admin(globals)?;
    let (scope, rule) = if args.last { last(&admin, args, out)? } else { given(args)? };
    apply_rule(&admin, &scope, &rule, args.yes, out)
}

/// For `init`: allows one command.
pub(in crate::cli) fn allow_command(
    admin: &Admin,
    scope: &str,
    secrets: Vec<String>,
    argv: Vec<String>,
    out: &Output,
) -> Result<(), Failure> {
    let scope = ScopeName::parse(scope).map_err(|error| usage_failure(error.to_string(), "as dev"))?;
    let here = setup::cwd()?;
    let rule = NewRule {
        secrets,
        deliver: DeliveryMode::Env,
        command: Some(argv),
        cwd: vec![here.display().to_string()],
        ..NewRule::default()
    };
    apply_rule(admin, &scope, &rule, false, out)
}

fn apply_rule(
    admin: &Admin,
    scope: &ScopeName,
    rule: &NewRule,
    yes: bool,
    out: &Output,
) -> Result<(), Failure> {
    let machine = setup::machine()?;
    let plan = admin.plan_rule(scope, rule, &machine)?;
    apply(admin, plan, yes, out)
}

/// Shows what a plan changes, asks, and applies it.
pub(super) fn apply(admin: &Admin, plan: PolicyPlan, yes: bool, out: &Output) -> Result<(), Failure> {
    let scope = plan.document.scope.clone();
    if plan.changes.is_empty() {
        out.line(&format!("the policy of {scope} says the same already"));
    }
    for change in &plan.changes {
        let mark = match change.effect {
            Effect::Widens => "widens ",
            Effect::Narrows => "narrows",
        };
        out.line(&format!("{mark}  {}", shown_line(&change.text)));
    }
    for line in plan::promise_lines(&plan) {
        out.line(&line);
    }
    for warning in &plan.warnings {
        out.note(&output::finding_line(warning));
    }
    if !plan.changes.is_empty() {
        prompt::confirm(&format!("apply this to {scope}?"), yes)?;
    }
    let answer = serde_json::json!({
        "scope": scope, "changes": plan.changes, "warnings": plan.warnings,
        "promises": plan.promises, "pins": plan.pins,
    });
    admin.apply_policy(plan)?;
    out.answer(&answer, |_| vec![format!("applied; see it with: authy-mcp admin policy show {scope}")]);
    Ok(())
}

fn given(args: &Args) -> Result<(ScopeName, NewRule), Failure> {
    if args.argv.is_empty() && !args.any {
        return Err(usage_failure(
            "no command is given",
            "put it behind --: authy-mcp admin allow dev --secret NAME -- npm test",
        ));
    }
    let scope = args.scope.clone().ok_or_else(|| usage_failure("no scope is given", "as dev"))?;
    let rule = NewRule {
        id: args.id.clone(),
        secrets: args.secrets.clone(),
        deliver: if args.bearer || !args.hosts.is_empty() { DeliveryMode::Sealed } else { args.deliver },
        command: Some(args.argv.clone()).filter(|_| !args.any),
        hosts: args.hosts.clone(),
        inject: if args.bearer { SetByProxy::Bearer } else { SetByProxy::Nothing },
        guessable: args.guessable,
        output: args.output,
        cwd: whole(&args.cwd)?,
        read: whole(&args.read)?,
        write: whole(&args.write)?,
        network: args.network,
        sandbox: args.sandbox,
    };
    Ok((scope, rule))
}

/// Paths as a policy has them: whole, links followed now.
fn whole(paths: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let whole = paths.iter().map(|path| {
        let real = std::fs::canonicalize(path).map_err(|error| failures::unreadable(path, &error))?;
        Ok(real.display().to_string())
    });
    whole.collect()
}

fn deliver(word: &str) -> Result<DeliveryMode, String> {
    let known = [DeliveryMode::Env, DeliveryMode::File, DeliveryMode::Sealed];
    known
        .into_iter()
        .find(|known| known.as_str() == word)
        .ok_or_else(|| "it is env, file or sealed".to_owned())
}

fn output_mode(word: &str) -> Result<OutputMode, String> {
    let known = [OutputMode::Redacted, OutputMode::Withhold, OutputMode::Status];
    known
        .into_iter()
        .find(|known| known.as_str() == word)
        .ok_or_else(|| "it is redacted, withhold or status".to_owned())
}

fn network(word: &str) -> Result<Network, String> {
    let known = [Network::None, Network::Proxy, Network::Open];
    known
        .into_iter()
        .find(|known| known.as_str() == word)
        .ok_or_else(|| "it is none, proxy or open".to_owned())
}

fn sandbox(word: &str) -> Result<SandboxMode, String> {
    let known = [SandboxMode::Required, SandboxMode::BestEffort, SandboxMode::Off];
    known
        .into_iter()
        .find(|known| known.as_str() == word)
        .ok_or_else(|| "it is required, best-effort or off".to_owned())
}

/// A refused command as a pattern for itself alone: what an agent wrote in braces is no type.
fn as_written(argv: Vec<String>) -> Vec<String> {
    let mut words = argv.into_iter();
    let program = words.next();
    program.into_iter().chain(words.map(|word| crate::policy::quoted(&word))).collect()
}

/// The latest refusal as a rule. What an agent wrote is shown as a field each, and never becomes a glob: a `*`
/// that it wrote would otherwise allow more than it asked for.
fn last(admin: &Admin, args: &Args, out: &Output) -> Result<(ScopeName, NewRule), Failure> {
    let denial = admin.last_denial()?;
    out.line(&format!("{}  {} was refused ({}):", denial.time, denial.scope, shown(&denial.code)));
    out.line(&format!("  command: {}", shown_command(&denial.argv)));
    let secrets: Vec<String> = denial.secrets.iter().map(|name| shown(name)).collect();
    out.line(&format!(
        "  secrets: {}",
        if secrets.is_empty() { "none".to_owned() } else { secrets.join(", ") }
    ));
    if denial.code != "command_not_allowed" {
        return Err(usage_failure(
            format!("a rule doesn't help against the last refusal, {}", denial.code),
            helps(&denial),
        ));
    }
    if let Some(why) = no_rule(&denial) {
        let by_hand = format!("authy-mcp admin allow {} --secret NAME -- PROGRAM ARGUMENT", denial.scope);
        return Err(usage_failure(why, format!("write the rule yourself: {by_hand}")));
    }
    let rule = NewRule {
        id: args.id.clone(),
        secrets: denial.secrets,
        deliver: args.deliver,
        command: Some(as_written(denial.argv)),
        output: args.output,
        ..NewRule::default()
    };
    Ok((denial.scope, rule))
}

/// Why a refused command as it is on record is not the one that was asked for.
fn no_rule(denial: &LastDenial) -> Option<&'static str> {
    if denial.cut || denial.argv.is_empty() {
        return Some(
            "the command is not whole: it was too long to be kept, and what was cut would not be in the rule",
        );
    }
    let marked = |argument: &String| argument.contains('*') || argument.contains("[redacted:");
    denial
        .argv
        .iter()
        .any(marked)
        .then_some("this command can't be turned into a rule as it stands: it has a * or a mask in it")
}

/// What helps against a refusal that no new rule answers.
fn helps(denial: &LastDenial) -> String {
    let scope = &denial.scope;
    match denial.code.as_str() {
        "not_available" => format!(
            "if the scope is to have the secret: authy-mcp admin allow {scope} --secret NAME -- PROGRAM ARGUMENT"
        ),
        "env_not_allowed" => format!(
            "add the variable to [env] agent: authy-mcp admin policy show {scope} >{scope}.toml, then authy-mcp admin policy apply {scope}.toml"
        ),
        "cwd_not_allowed" => format!(
            "let runs start there: authy-mcp admin allow {scope} --cwd DIR --secret NAME -- PROGRAM ARGUMENT"
        ),
        "rate_limited" => "call again later, or raise [limits] in the policy".to_owned(),
        "token_invalid" | "token_expired" => {
            format!("authy-mcp admin token issue --scope {scope}")
        }
        _ => "authy-mcp admin audit show --denied --last 5".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::operator::FailureKind;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn read(line: &str) -> Result<(ScopeName, NewRule), Failure> {
        given(&Line::try_parse_from(std::iter::once("allow").chain(line.split(' '))).unwrap().args)
    }

    /// A row is a command line, how it delivers, what the proxy sets, and the command.
    #[test]
    fn a_line_is_a_rule() {
        let npm = || Some(vec!["npm".to_owned(), "test".to_owned()]);
        let rows = [
            ("dev --secret a -- npm test", DeliveryMode::Env, SetByProxy::Nothing, npm()),
            ("dev --secret a --deliver file -- npm test", DeliveryMode::File, SetByProxy::Nothing, npm()),
            ("dev --secret a --host h -- npm test", DeliveryMode::Sealed, SetByProxy::Nothing, npm()),
            ("dev --secret a --bearer -- npm test", DeliveryMode::Sealed, SetByProxy::Bearer, npm()),
            (
                "dev --secret a --deliver file --host h -- npm test",
                DeliveryMode::Sealed,
                SetByProxy::Nothing,
                npm(),
            ),
            ("dev --secret a --any", DeliveryMode::Env, SetByProxy::Nothing, None),
        ];
        for (line, deliver, inject, command) in rows {
            let (scope, rule) = read(line).unwrap();
            assert_eq!(scope.as_str(), "dev", "{line}");
            assert_eq!((rule.deliver, rule.inject, rule.command), (deliver, inject, command), "{line}");
            assert_eq!(rule.secrets, ["a"], "{line}");
            // What is not typed is not in the rule.
            assert_eq!((rule.output, rule.network, rule.sandbox, rule.guessable), (None, None, None, false));
        }
        let (_, rule) =
            read("dev --output withhold --network open --sandbox off --guessable --id x --any").unwrap();
        assert_eq!((rule.output, rule.network), (Some(OutputMode::Withhold), Some(Network::Open)));
        assert_eq!((rule.sandbox, rule.guessable), (Some(SandboxMode::Off), true));
        assert_eq!(rule.id.as_deref(), Some("x"));
    }

    #[test]
    fn a_line_without_a_command_is_no_rule() {
        let failure = read("dev --secret a").unwrap_err();
        assert_eq!((failure.kind, &*failure.message), (FailureKind::Usage, "no command is given"));
        assert!(failure.hints[0].contains("put it behind --"), "{failure:?}");
        let failure = read("dev --any --cwd /no/such/directory").unwrap_err();
        assert!(failure.message.contains("/no/such/directory"), "{failure:?}");
    }

    fn denial(argv: &[&str], cut: bool, code: &str) -> LastDenial {
        LastDenial {
            time: "2030-01-01T00:00:00Z".to_owned(),
            scope: ScopeName::parse("dev").unwrap(),
            code: code.to_owned(),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            secrets: Vec::new(),
            cut,
        }
    }

    /// What an agent wrote must not become more than what it wrote.
    #[test]
    fn a_refused_command_becomes_a_rule_for_itself_alone() {
        let rows: [(&[&str], bool, bool); 6] = [
            (&["npm", "test"], false, true),
            (&["npm", "test"], true, false),
            (&[], false, false),
            (&["npm", "*"], false, false),
            (&["npm", "a*b"], false, false),
            (&["npm", "[redacted:app/key]"], false, false),
        ];
        for (argv, cut, may) in rows {
            assert_eq!(no_rule(&denial(argv, cut, "command_not_allowed")).is_none(), may, "{argv:?} {cut}");
        }
        let written = as_written(["npm", "{int:1..9}", "plain"].map(str::to_owned).to_vec());
        assert_eq!(written, ["npm", "{{int:1..9}}", "plain"]);
    }

    #[test]
    fn each_refusal_that_no_rule_helps_against_has_a_remedy() {
        for (code, remedy) in [
            ("not_available", "authy-mcp admin allow dev --secret NAME"),
            ("env_not_allowed", "[env] agent"),
            ("cwd_not_allowed", "--cwd DIR"),
            ("rate_limited", "[limits]"),
            ("token_invalid", "authy-mcp admin token issue --scope dev"),
            ("token_expired", "authy-mcp admin token issue --scope dev"),
            ("program_changed", "authy-mcp admin audit show --denied"),
        ] {
            let said = helps(&denial(&["npm"], false, code));
            assert!(said.contains(remedy), "{code}: {said}");
        }
    }
}
