//! `admin import`: the secrets of a .env file, one by one accounted for.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::{Globals, open, output::Output, usage_failure};
use crate::{
    names::SecretName,
    operator::{Admin, Failure, WeakValues},
    setup::importers::{self, Candidates, Importers},
    value::SecretValue,
    vault::SecretMeta,
};

/// The largest file, in KiB.
const LARGEST: usize = 16 * 1024;

/// Import the secrets of a .env file; the file is left unchanged.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Entries that are no secret (PORT, NODE_ENV, switches, numbers, URLs without a password) are left out and \
named. Values are taken as they are written: nothing is expanded.

Examples:
  authy-mcp admin import .env
  authy-mcp admin import .env.production --prefix myapp/prod/
  authy-mcp admin import .env --all")]
pub(super) struct Args {
    /// The file.
    file: PathBuf,
    /// What stands before each name, as myapp/.
    #[arg(long, value_name = "PREFIX", default_value = "")]
    prefix: String,
    /// Import settings, too, and values that can't be kept out of output.
    #[arg(long)]
    all: bool,
}

/// Which entries are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Which {
    Secrets,
    All,
}

pub(super) fn import(args: &Args, globals: &Globals, out: &Output) -> Result<(), Failure> {
    let which = if args.all { Which::All } else { Which::Secrets };
    import_file(&open::admin(globals)?, &args.file, &args.prefix, which, out)
}

/// Reads a file and sets what is taken of it, all or nothing.
pub(in crate::cli) fn import_file(
    admin: &Admin,
    file: &Path,
    prefix: &str,
    which: Which,
    out: &Output,
) -> Result<(), Failure> {
    let text = open::read_text(file, LARGEST)?;
    let Sorted { taken, left } = sorted(candidates(file, &text)?, prefix, which)?;
    let weak = if which == Which::All { WeakValues::Allow } else { WeakValues::Refuse };
    let set = if taken.is_empty() { Vec::new() } else { admin.set(taken, weak)? };
    let answer = json!({
        "imported": set,
        "left_out": left.iter().map(|(name, why)| json!({"name": name, "why": why})).collect::<Vec<_>>(),
    });
    out.answer(&answer, |_| {
        let mut lines: Vec<String> =
            set.iter().map(|info| format!("took {} (version {})", info.name, info.version)).collect();
        lines.extend(left.iter().map(|(name, why)| format!("left {name}: {why}")));
        lines.push(format!(
            "{} taken over, {} left out; {} is as it was",
            set.len(),
            left.len(),
            file.display()
        ));
        lines
    });
    Ok(())
}

/// What of a file is taken over, and what is left out.
struct Sorted {
    taken: Vec<(SecretName, SecretValue, SecretMeta)>,
    /// By name, with the reason.
    left: Vec<(String, &'static str)>,
}

fn sorted(candidates: Candidates, prefix: &str, which: Which) -> Result<Sorted, Failure> {
    let mut sorted = Sorted { taken: Vec::new(), left: Vec::new() };
    for candidate in candidates {
        let reason =
            importers::no_secret(&candidate.name, &candidate.value).or_else(|| weak(&candidate.value));
        match reason.filter(|_| which == Which::Secrets) {
            Some(reason) => sorted.left.push((candidate.name.to_string(), reason)),
            None if candidate.value.is_empty() => {
                sorted.left.push((candidate.name.to_string(), "it is empty"));
            }
            None => {
                let name = candidate
                    .secret(prefix)
                    .map_err(|error| usage_failure(error.to_string(), "give a prefix as myapp/"))?;
                let meta = SecretMeta { description: None, env: Some(candidate.name.clone()) };
                let value = SecretValue::new(candidate.value.as_bytes().to_vec());
                sorted.taken.push((name, value, meta));
            }
        }
    }
    Ok(sorted)
}

/// What stands in a file, all of it.
fn candidates(file: &Path, text: &str) -> Result<Candidates, Failure> {
    let importer = Importers::all().of(file).ok_or_else(|| {
        usage_failure(format!("no importer reads {}", file.display()), "give a .env file: NAME=value lines")
    })?;
    importer.read(text).map_err(|error| {
        usage_failure(
            format!("{}, {error}; nothing was taken over", file.display()),
            "fix the line and import again",
        )
    })
}

/// A value that could not be kept out of output is left out rather than failing the whole file.
fn weak(value: &str) -> Option<&'static str> {
    crate::redact::weakness(value.as_bytes())
        .map(|_| "its value is too weak to be kept out of output (--all takes it)")
}
