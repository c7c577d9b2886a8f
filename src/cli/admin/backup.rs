//! `admin backup`, `restore`, `verify`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::json;

use super::super::{
    Globals,
    open::{self, Ask},
    output::Output,
    prompt, usage_failure,
};
use crate::{
    operator::restore::{self, AnotherVault},
    operator::{Admin, Failure, FailureKind},
    vault::{self, Accepted},
};

/// Rebuild the vault from a backup; what is there is kept aside.
#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// The backup.
    dir: PathBuf,
    /// Don't ask.
    #[arg(long)]
    yes: bool,
    /// Take it even if it is of another vault, or unlocked more easily than the present one.
    #[arg(long)]
    another_vault: bool,
}

/// Read and compare everything in the vault.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
If nothing outside of its home remembers a vault, another program may have put an old one back. Where \
nobody can be asked, such a vault is refused until you accept it. Look at authy-mcp admin audit show \
first.

Examples:
  authy-mcp admin verify
  authy-mcp admin verify --accept abcd-efgh-jkmn-pqrs")]
pub(super) struct Verify {
    /// Accept the vault as it is, with what unlocks it, although nothing else remembers it.
    #[arg(long, value_name = "FINGERPRINT")]
    accept: Option<String>,
    /// With --accept: remember it nowhere outside of the home from now on.
    #[arg(long, requires = "accept")]
    no_pin: bool,
}

pub(super) fn backup(dir: &Path, admin: &Admin, out: &Output) -> Result<(), Failure> {
    let records = admin.backup(dir)?;
    out.answer(&json!({"records": records, "dir": dir}), |_| {
        vec![
            format!("wrote {records} records to {}", crate::shown::shown_path(dir)),
            "each is an age file: age -d -i identity.txt records/FILE.age shows one (it has the identity, or what unlocks it, beside them: keep it as you keep the vault)".to_owned(),
        ]
    });
    Ok(())
}

pub(super) fn restore(args: &Restore, globals: &Globals, out: &Output) -> Result<(), Failure> {
    let home = open::home()?;
    let info = open::info(&args.dir)?;
    let differences = restore::differences(vault::home_info(&home).ok().as_ref(), &info);
    let another = if args.another_vault { AnotherVault::Allow } else { AnotherVault::Refuse };
    if let (AnotherVault::Refuse, Some(first)) = (another, differences.first()) {
        let hint = "if that is what you want: authy-mcp admin restore DIR --another-vault";
        return Err(Failure::new(FailureKind::Denied, first.clone(), hint));
    }
    let mut question = differences.join("\n");
    if !question.is_empty() {
        question.push('\n');
    }
    question.push_str(&format!(
        "replace the vault in {} by the backup of {}?",
        home.display(),
        info.fingerprint
    ));
    prompt::confirm(&question, args.yes)?;
    let opener = open::opener(globals, &args.dir, &info, Ask::Person)?.ok_or_else(|| {
        usage_failure("the backup is locked, and nobody can be asked here", "give --passphrase-file FILE")
    })?;
    let report = Admin::restore(&open::surroundings(), &home, &args.dir, &opener, another)?;
    out.answer(&report, |report| {
        let mut lines = vec![format!("restored {} records", report.records)];
        lines.extend(report.kept.iter().map(|kept| format!("the vault that was there is kept in {}", crate::shown::shown_path(kept))));
        lines.extend(report.widens.iter().map(|what| format!("WIDENS  {what}")));
        if !report.void_tokens.is_empty() {
            let count = report.void_tokens.len();
            lines.push(format!("{count} token(s) are void from now on: authy-mcp config CLIENT --scope SCOPE --write issues new ones"));
        }
        lines.extend(report.notes.iter().cloned());
        lines
    });
    Ok(())
}

pub(super) fn verify(args: &Verify, globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    let admin = match &args.accept {
        None => open::diagnosis(globals)?,
        Some(fingerprint) => {
            let accepted = if args.no_pin { Accepted::Unpinned } else { Accepted::Pinned };
            open::accepted(globals, fingerprint, accepted)?
        }
    };
    let report = admin.verify().map_err(Failure::of_verify)?;
    let good = report.damage.is_empty();
    for warning in admin.warnings() {
        out.note(&warning);
    }
    out.answer(&report, |report| {
        let mut lines: Vec<String> = report.damage.iter().map(|what| format!("DAMAGED  {what}")).collect();
        let word = if good { "all is well" } else { "not all is well" };
        lines.push(format!("{word}: {} records read and compared, epoch {}", report.records, report.epoch));
        let newest = report.backups.newest.map(|newest| newest.to_string());
        lines.push(super::super::status::backups_line(report.backups.kept, newest.as_deref()));
        lines
    });
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(7) })
}
