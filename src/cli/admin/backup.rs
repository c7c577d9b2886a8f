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
use crate::broker::admin::{Admin, Failure};

/// Rebuild the vault from a backup; what is there is kept aside.
#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// The backup.
    dir: PathBuf,
    /// Don't ask.
    #[arg(long)]
    yes: bool,
}

pub(super) fn backup(dir: &Path, admin: &Admin, out: &Output) -> Result<(), Failure> {
    let records = admin.backup(dir)?;
    out.answer(&json!({"records": records, "dir": dir}), |_| {
        vec![
            format!("wrote {records} records to {}", dir.display()),
            "each is an age file: age -d -i identity.txt records/FILE.age shows one (it has the identity, or what unlocks it, beside them: keep it as you keep the vault)".to_owned(),
        ]
    });
    Ok(())
}

pub(super) fn restore(args: &Restore, globals: &Globals, out: &Output) -> Result<(), Failure> {
    let home = open::home()?;
    let info = open::info(&args.dir)?;
    prompt::confirm(
        &format!("replace the vault in {} by the backup of {}?", home.display(), info.fingerprint),
        args.yes,
    )?;
    let opener = open::opener(globals, &args.dir, &info, Ask::Person)?.ok_or_else(|| {
        usage_failure("the backup is locked, and nobody can be asked here", "give --passphrase-file FILE")
    })?;
    let records = Admin::restore(&home, &args.dir, &opener)?;
    out.answer(&json!({"records": records}), |_| {
        vec![format!(
            "restored {records} records; the vault that was there is kept beside it, as {}.replaced-…",
            home.display()
        )]
    });
    Ok(())
}

pub(super) fn verify(admin: &Admin, out: &Output) -> Result<ExitCode, Failure> {
    let report = admin.verify()?;
    let good = report.damage.is_empty();
    out.answer(&report, |report| {
        let mut lines: Vec<String> = report.damage.iter().map(|what| format!("DAMAGED  {what}")).collect();
        let word = if good { "all is well" } else { "not all is well" };
        lines.push(format!("{word}: {} records read and compared, epoch {}", report.records, report.epoch));
        let newest = report.backups.newest.map(|newest| newest.to_string());
        lines.push(super::super::daemon::backups_line(report.backups.kept, newest.as_deref()));
        lines
    });
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(7) })
}
