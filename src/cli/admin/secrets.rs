//! Secrets: set, list, look at, remove, go back.

use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::super::{
    Globals, failures, open,
    output::{self, Output},
    prompt::{self, Terminal},
    usage_failure,
};
use crate::{
    files,
    names::{EnvName, SecretName},
    operator::{Admin, Failure, FailureKind, WeakValues, masked_parts},
    redact::{Masked, MaskedPart},
    value::{MAX_VALUE_BYTES, SecretValue},
    vault::{SecretInfo, SecretMeta},
};

/// Set a secret: prompt for it, read stdin or a file, or generate it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
One newline at the end of standard input is dropped (--raw keeps it); a file is taken as it is.

Examples:
  authy-mcp admin set openai/api-key
  pass show db | authy-mcp admin set db/password --env PGPASSWORD
  authy-mcp admin set tls/key --from-file server.key
  authy-mcp admin set app/session-key --generate 48")]
pub(super) struct Set {
    /// Its name, as openai/api-key.
    name: SecretName,
    /// Not taken: a value on the command line is in the shell's history and in every process list.
    #[arg(hide = true)]
    value: Option<String>,
    /// Take the value from this file, every byte of it.
    #[arg(long, value_name = "FILE", conflicts_with = "generate")]
    from_file: Option<PathBuf>,
    /// Make up a value of N letters and digits; it is not shown.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "32")]
    generate: Option<usize>,
    /// Keep the newline at the end of standard input.
    #[arg(long)]
    raw: bool,
    /// Take a value that can't be kept out of output: short, or words, dates and settings that are easy to guess.
    #[arg(long)]
    allow_weak: bool,
    /// What it is for; agents see this.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The variable it goes by.
    #[arg(long, value_name = "NAME")]
    env: Option<EnvName>,
}

pub(super) fn set(args: &Set, globals: &Globals, out: &Output) -> Result<(), Failure> {
    if args.value.is_some() {
        return Err(usage_failure(
            "a value is not taken from the command line: it is in the shell's history and the process list now, so change it",
            format!("authy-mcp admin set {} asks for it, or reads it from standard input", args.name),
        ));
    }
    if args.generate.is_some_and(|length| !(8..=4096).contains(&length)) {
        return Err(usage_failure("a generated value has 8 to 4096 characters", "leave N out for 32"));
    }
    let admin = open::admin(globals)?;
    let value = new_value(args)?;
    let meta = SecretMeta { description: args.description.clone(), env: args.env.clone() };
    let weak = if args.allow_weak { WeakValues::Allow } else { WeakValues::Refuse };
    if args.allow_weak && value.len() < 4 {
        out.note("note: a value of fewer than 4 bytes is not masked in output at all");
    }
    let masked = masked_parts(&value);
    let set = admin.set(vec![(args.name.clone(), value, meta)], weak)?;
    if masked.in_part {
        out.note(&format!(
            "note: the value is {NOT_FURTHER}: authy-mcp admin get {} lists those that are",
            args.name
        ));
    }
    out.answer(&set, |set| {
        set.iter()
            .map(|info| format!("set {} (version {}, ${})", info.name, info.version, variable(info)))
            .collect()
    });
    Ok(())
}

fn variable(info: &SecretInfo) -> EnvName {
    info.meta.env.clone().unwrap_or_else(|| info.name.default_env())
}

fn new_value(args: &Set) -> Result<SecretValue, Failure> {
    if let Some(length) = args.generate {
        return Ok(generated(length));
    }
    if let Some(path) = &args.from_file {
        return read_limited(fs::File::open(path).map_err(|error| failures::unreadable(path, &error))?, path);
    }
    if io::stdin().is_terminal() {
        let mut terminal = Terminal::open()
            .ok_or_else(|| usage_failure("the terminal can't be opened", "pipe the value in"))?;
        let typed = terminal.new_secret(&format!("value of {} (not shown): ", args.name))?;
        return Ok(SecretValue::new(typed.as_bytes().to_vec()));
    }
    let value = read_limited(io::stdin().lock(), Path::new("standard input"))?;
    Ok(if args.raw { value } else { without_newline(value) })
}

fn read_limited(source: impl Read, path: &Path) -> Result<SecretValue, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    let most = MAX_VALUE_BYTES as u64 + 1;
    source.take(most).read_to_end(&mut bytes).map_err(|error| failures::unreadable(path, &error))?;
    if bytes.len() > MAX_VALUE_BYTES {
        return Err(usage_failure(
            "the value is larger than 1 MiB",
            "keep large files encrypted elsewhere, and their key here",
        ));
    }
    Ok(SecretValue::from_zeroizing(bytes))
}

#[expect(clippy::disallowed_methods, reason = "one newline is dropped from what was typed or piped")]
fn without_newline(value: SecretValue) -> SecretValue {
    let bytes = value.expose_secret();
    let bytes = bytes.strip_suffix(b"\n").map_or(bytes, |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    SecretValue::new(bytes.to_vec())
}

/// Letters and digits, each as likely as any other.
fn generated(length: usize) -> SecretValue {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut value = Vec::with_capacity(length);
    let mut random = Zeroizing::new([0; 64]);
    while value.len() < length {
        getrandom::fill(&mut *random).expect("the operating system gives randomness");
        let even = random.iter().filter(|byte| **byte < 248).map(|byte| ALPHABET[usize::from(byte % 62)]);
        value.extend(even.take(length - value.len()));
    }
    SecretValue::new(value)
}

pub(super) fn list(admin: &Admin, out: &Output) -> Result<(), Failure> {
    let secrets = admin.list()?;
    out.answer(&secrets, |secrets| {
        if secrets.is_empty() {
            return vec!["no secrets yet: authy-mcp admin set NAME".to_owned()];
        }
        let mut rows =
            vec![["NAME", "VERSION", "UPDATED", "VARIABLE", "DESCRIPTION"].map(str::to_owned).to_vec()];
        rows.extend(secrets.iter().map(|info| {
            let description = info.meta.description.as_deref().map(crate::shown::shown).unwrap_or_default();
            vec![
                info.name.to_string(),
                info.version.to_string(),
                time(info.updated),
                variable(info).to_string(),
                description,
            ]
        }));
        output::table(&rows)
    });
    Ok(())
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// Show what is known of a secret, and which parts of its value are masked in output; the value only with --reveal.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  authy-mcp admin get db/password
  authy-mcp admin get db/password --reveal
  authy-mcp admin get tls/key --reveal --out server.key")]
pub(super) struct Get {
    /// The secret.
    name: SecretName,
    /// Show the value, on a terminal; the audit log records it.
    #[arg(long)]
    reveal: bool,
    /// Write the value to this file instead, or to standard output with -.
    #[arg(long, value_name = "FILE", requires = "reveal")]
    out: Option<PathBuf>,
    /// An older version.
    #[arg(long, value_name = "N", requires = "reveal")]
    version: Option<u64>,
}

pub(super) fn get(args: &Get, globals: &Globals, out: &Output) -> Result<(), Failure> {
    if args.reveal {
        return reveal(args, globals, out);
    }
    let admin = open::admin(globals)?;
    let known = Known { info: admin.get(&args.name)?, masked: admin.masked(&args.name)? };
    out.answer(&known, |Known { info, masked }| {
        let mut lines = vec![
            format!("{} (version {})", info.name, info.version),
            format!("variable  ${}", variable(info)),
            format!("created   {}", time(info.created)),
            format!("updated   {}", time(info.updated)),
        ];
        lines.extend(
            info.meta.description.as_ref().map(|text| format!("for       {}", crate::shown::shown(text))),
        );
        lines.extend(masked_lines(masked));
        lines
    });
    Ok(())
}

/// What is known of a secret.
#[derive(Serialize)]
struct Known {
    #[serde(flatten)]
    info: SecretInfo,
    #[serde(flatten)]
    masked: Masked,
}

/// What is said of a value that has more parts, or parts deeper within each other, than are looked for.
const NOT_FURTHER: &str =
    "not taken apart further: it has more parts, or deeper ones, than are looked for by themselves";

/// So many parts are listed for a person; a key has more lines than a screen.
const PARTS_SHOWN: usize = 24;

fn masked_lines(masked: &Masked) -> Vec<String> {
    let all = &masked.masked;
    let of = |part: &MaskedPart| format!("{} ({} bytes)", crate::shown::shown_line(&part.path), part.bytes);
    let mut lines: Vec<String> = all.iter().take(PARTS_SHOWN).map(of).collect();
    if all.is_empty() {
        lines.push("nothing: it is shorter than 4 bytes".to_owned());
    }
    if all.len() > PARTS_SHOWN {
        lines.push(format!("and {} more, which --json lists", all.len() - PARTS_SHOWN));
    }
    if masked.in_part {
        lines.push(format!("it is {NOT_FURTHER}"));
    }
    let before = |at: usize| if at == 0 { "masked  " } else { "        " };
    lines.iter().enumerate().map(|(at, line)| format!("{}  {line}", before(at))).collect()
}

#[expect(clippy::disallowed_methods, reason = "the operator asked to see the value")]
fn reveal(args: &Get, globals: &Globals, out: &Output) -> Result<(), Failure> {
    if args.out.is_none() && !io::stdout().is_terminal() {
        return Err(usage_failure(
            "standard output is not a terminal, and a value must not end up in a log by accident",
            "give --out FILE, or --out - to insist",
        ));
    }
    let value = open::admin(globals)?.reveal(&args.name, args.version)?;
    match args.out.as_deref() {
        None => {
            out.raw(value.expose_secret());
            out.raw(b"\n");
        }
        Some(path) if path == Path::new("-") => out.raw(value.expose_secret()),
        Some(path) => {
            files::create_private(path, value.expose_secret()).map_err(|error| {
                let message = format!("{} can't be written: {error}", path.display());
                Failure::new(FailureKind::Failed, message, "name a file that isn't there yet")
            })?;
            out.line(&format!(
                "wrote the value of {} to {} (0600)",
                args.name,
                crate::shown::shown_path(path)
            ));
        }
    }
    Ok(())
}

/// Remove a secret and its versions.
#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    /// The secret.
    name: SecretName,
    /// Don't ask.
    #[arg(long)]
    yes: bool,
}

pub(super) fn remove(args: &Remove, globals: &Globals, out: &Output) -> Result<(), Failure> {
    let admin = open::admin(globals)?;
    let info = admin.get(&args.name)?;
    prompt::confirm(
        &format!("remove {} and its {} version(s) for good?", info.name, info.version),
        args.yes,
    )?;
    admin.remove(&args.name)?;
    out.answer(&json!({"removed": args.name}), |_| vec![format!("removed {}", args.name)]);
    Ok(())
}

pub(super) fn history(name: &SecretName, admin: &Admin, out: &Output) -> Result<(), Failure> {
    let versions = admin.history(name)?;
    out.answer(&versions, |versions| {
        let mark = |current: bool| if current { "  current" } else { "" };
        versions.iter().map(|v| format!("{}  {}{}", v.version, time(v.created), mark(v.current))).collect()
    });
    Ok(())
}

pub(super) fn rollback(name: &SecretName, version: u64, admin: &Admin, out: &Output) -> Result<(), Failure> {
    let info = admin.rollback(name, version)?;
    out.answer(&info, |info| {
        vec![format!("{} has the value of version {version} again, as version {}", info.name, info.version)]
    });
    Ok(())
}
