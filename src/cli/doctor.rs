//! `authy-mcp doctor`: what is well, what is weak, what is wrong, and what to do about it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    Globals,
    open::{self, Ask},
    output::{self, Output},
};
use crate::{
    broker::remembered,
    daemon::{Client, LocalError},
    operator::{Admin, Failure, TokenEntry, TokenState},
    policy::{Network, RunLimits, SandboxTerms},
    sandbox::{LimitKeeper, SandboxBackend, SandboxCapabilities, SandboxPlan, remedy},
    setup::{self, above::exposed_above, clients::Clients},
    supervise,
    vault::{self, HomeInfo, Memory, UnlockMethodKind},
};

/// Tokens that end sooner are warned of, in seconds.
const SOON: i64 = 14 * 24 * 3600;

/// Where to read on.
const TIER_1: &str = "see SECURITY.md, tier 1";

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    state: State,
    what: String,
    /// What to do about it, in the order in which to try it; a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
}

#[derive(Default)]
struct Report(Vec<Check>);

impl Report {
    fn add(&mut self, state: State, what: impl Into<String>, hint: impl Into<String>) {
        let hints = Some(hint.into()).filter(|hint| !hint.is_empty());
        self.add_with(state, what, hints.into_iter().collect());
    }

    fn add_with(&mut self, state: State, what: impl Into<String>, hints: Vec<String>) {
        self.0.push(Check { state, what: what.into(), hints });
    }

    /// What could not be looked at, unless something before could not be for the same reason.
    fn failed(&mut self, failure: Failure) {
        if !self.says(&failure.message) {
            self.add_with(State::Failed, failure.message, failure.hints);
        }
    }

    /// Whether a text says nothing but what has failed already.
    fn says(&self, text: &str) -> bool {
        self.0.iter().any(|check| check.state == State::Failed && text.contains(&check.what))
    }
}

pub(super) fn doctor(globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    let mut report = Report::default();
    let home = open::home()?;
    match open::info(&home) {
        Err(failure) => report.failed(failure),
        Ok(info) => {
            report.add(State::Ok, format!("the vault {} is in {}", info.fingerprint, home.display()), "");
            permissions(&mut report, &home);
            tier(&mut report, &info);
            memory(&mut report, &home, &info);
            daemon_state(&mut report, globals, &home, &info)?;
            contents(&mut report, globals, &home, &info);
        }
    }
    clients(&mut report);
    search_path(&mut report);
    sandbox(&mut report)?;
    out.answer(&report.0, |checks| checks.iter().flat_map(lines).collect());
    let failed = report.0.iter().any(|check| check.state == State::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn lines(check: &Check) -> Vec<String> {
    let mark = match check.state {
        State::Ok => "ok     ",
        State::Warning => "warning",
        State::Failed => "FAILED ",
    };
    let mut lines = vec![format!("{mark}  {}", check.what)];
    lines.extend(check.hints.iter().map(|hint| format!("         {hint}")));
    lines
}

fn permissions(report: &mut Report, home: &Path) {
    let mut open = Vec::new();
    let mut waiting = vec![home.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.permissions().mode() & 0o077 != 0 && !below_closed(&path, home) {
            open.push(path.clone());
        }
        if meta.is_dir() {
            waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    let exposed = exposed_above(home);
    if open.is_empty() && exposed.is_empty() {
        report.add(State::Ok, "nobody else can read the home, or put another in its place", "");
    }
    for exposed in exposed {
        report.add(State::Failed, exposed.what(), exposed.remedy());
    }
    for path in open {
        let close = format!("chmod go= {}", path.display());
        report.add(State::Failed, format!("{} is open to others", path.display()), close);
    }
}

/// sled makes its files by the umask, inside a directory that is closed.
fn below_closed(path: &Path, home: &Path) -> bool {
    let index = home.join("store").join("index");
    path.starts_with(&index) && path != index
}

fn daemon_state(report: &mut Report, globals: &Globals, home: &Path, info: &HomeInfo) -> Result<(), Failure> {
    let socket = super::sockets::socket(globals, home);
    let found = super::runtime()?.block_on(Client::status(&socket));
    match found {
        Ok(status) if status.vault != info.fingerprint => report.add(
            State::Failed,
            format!("a daemon of another vault ({}) listens for this home", status.vault),
            "authy-mcp lock, then authy-mcp unlock",
        ),
        Ok(status) => {
            report.add(State::Ok, format!("a daemon has the vault unlocked until {}", status.locks_at), "");
            if !status.memory_locked {
                report.add(
                    State::Warning,
                    "the daemon's memory may be swapped to the disk",
                    "raise the limit of locked memory (ulimit -l), or encrypt the swap",
                );
            }
        }
        Err(LocalError::Nobody) if info.unlock == UnlockMethodKind::Passphrase => report.add(
            State::Warning,
            "no daemon is running: agents find the vault locked",
            "authy-mcp unlock opens it for them",
        ),
        Err(LocalError::Nobody) => {
            report.add(State::Ok, "no daemon is running; a server that needs one starts it", "");
        }
        Err(error) => report.add(State::Failed, error.to_string(), "authy-mcp unlock"),
    }
    Ok(())
}

fn tier(report: &mut Report, info: &HomeInfo) {
    match info.unlock {
        UnlockMethodKind::IdentityFile => report.add_with(
            State::Warning,
            "the vault is unlocked by an identity file: it is protected against other users, not against your own programs",
            vec![
                "an agent that has a shell of its own beside this server can read the file".to_owned(),
                TIER_1.to_owned(),
            ],
        ),
        UnlockMethodKind::Keyring => report.add(
            State::Warning,
            "the vault is unlocked by the keyring: while that is unlocked, your own programs can ask it",
            TIER_1,
        ),
        UnlockMethodKind::Passphrase => report.add(State::Ok, "the vault is unlocked by a passphrase", ""),
    }
}

/// What remembers the vault's last change outside of its home.
fn memory(report: &mut Report, home: &Path, info: &HomeInfo) {
    let said = remembered(home);
    match vault::memory(home, info) {
        Memory::Kept(_) => report.add(State::Ok, said, ""),
        Memory::Never => report.add(
            State::Warning,
            said,
            format!(
                "authy-mcp admin verify --accept {} has it remembered, outside of a container",
                info.fingerprint
            ),
        ),
        Memory::Lacking(_) => report.add(
            State::Failed,
            said,
            format!("if the vault is as you left it: authy-mcp admin verify --accept {}", info.fingerprint),
        ),
    }
}

fn contents(report: &mut Report, globals: &Globals, home: &Path, info: &HomeInfo) {
    let opened = open::opener(globals, home, info, Ask::Nobody).and_then(|opener| match opener {
        Some(opener) => Admin::look(&open::surroundings(), home, &opener).map(Some),
        None => Ok(None),
    });
    let admin = match opened {
        Err(failure) => return report.failed(failure),
        Ok(None) => {
            return report.add(
                State::Warning,
                "the vault is locked, so its contents were not looked at",
                "give --passphrase-file FILE",
            );
        }
        Ok(Some(admin)) => admin,
    };
    records(report, &admin);
    for warning in admin.warnings() {
        report.add(State::Warning, warning, "");
    }
    audit_log(report, &admin);
    for (scope, rule, secret) in admin.guessable_seals().unwrap_or_default() {
        let (what, fix) = output::guessable_seal(&scope, &rule, &secret);
        report.add(State::Warning, what, fix);
    }
    scopes_and_tokens(report, &admin);
}

/// Every record of the vault, and its backups.
fn records(report: &mut Report, admin: &Admin) {
    let found = match admin.verify() {
        Err(failure) => return report.failed(failure.of_verify()),
        Ok(found) => found,
    };
    if found.damage.is_empty() {
        let read = format!("{} records read and compared, epoch {}", found.records, found.epoch);
        report.add(State::Ok, read, "");
        let newest = found.backups.newest.map(|newest| newest.to_string());
        let (state, hint) = match &newest {
            Some(_) => (State::Ok, ""),
            None => (State::Warning, "one is made with the next change"),
        };
        report.add(state, super::status::backups_line(found.backups.kept, newest.as_deref()), hint);
    }
    for damage in found.damage {
        report.add(State::Failed, damage, "authy-mcp admin restore DIR brings a backup back");
    }
}

fn audit_log(report: &mut Report, admin: &Admin) {
    let found = match admin.audit_verify() {
        Err(failure) => return report.failed(failure),
        Ok(found) => found,
    };
    if found.damage.is_empty() {
        report.add(State::Ok, format!("{} audit events in an unbroken chain", found.events), "");
        for warning in found.warnings {
            report.add(State::Warning, format!("audit log: {warning}"), "keep the clock set, by NTP");
        }
    }
    // Where the vault can't be opened, that is damage of the log, too: how far it went can't be told.
    for damage in found.damage.into_iter().filter(|damage| !report.says(damage)).collect::<Vec<_>>() {
        let hint = "authy-mcp admin audit restart keeps it aside and begins anew";
        report.add(State::Failed, format!("audit log: {damage}"), hint);
    }
}

fn scopes_and_tokens(report: &mut Report, admin: &Admin) {
    match admin.scopes() {
        Ok(scopes) if scopes.is_empty() => {
            report.add(
                State::Warning,
                "no scope has a policy, so agents may do nothing",
                "authy-mcp admin allow SCOPE --secret NAME -- PROGRAM",
            );
        }
        Ok(scopes) => {
            let names: Vec<&str> = scopes.iter().map(crate::names::ScopeName::as_str).collect();
            report.add(State::Ok, format!("scopes with a policy: {}", names.join(", ")), "");
        }
        Err(failure) => report.failed(failure),
    }
    out_of_date(report, admin);
    match admin.tokens() {
        Ok(tokens) => tokens.iter().for_each(|token| token_ends(report, token)),
        Err(failure) => report.failed(failure),
    }
}

/// A helper's token lives an hour and is nobody's to renew; one of an operator's that ends stops a client.
fn token_ends(report: &mut Report, token: &TokenEntry) {
    let left = token.ends - Timestamp::now().as_second();
    if token.delegated || token.info.revoked || left >= SOON {
        return;
    }
    let (id, scope) = (&token.info.id, &token.info.scope);
    let whose = token.client.as_ref().map(|client| format!(" for {client}")).unwrap_or_default();
    let when = match token.state {
        TokenState::Good if left >= 7200 => format!("ends in {} h", left / 3600),
        TokenState::Good => format!("ends in {} min", left / 60),
        TokenState::Spent => "has no runs left".to_owned(),
        TokenState::Ended | TokenState::Revoked => "has ended".to_owned(),
    };
    let renew = match &token.client {
        Some(client) => vec![
            "authy-mcp unlock renews it".to_owned(),
            format!("or: authy-mcp config {client} --scope {scope} --token"),
        ],
        None => vec![format!("authy-mcp admin token issue --scope {scope} --out FILE")],
    };
    report.add_with(State::Warning, format!("the token {id} of {scope}{whose} {when}"), renew);
}

/// Policies of before go on, and do or promise less than they say.
fn out_of_date(report: &mut Report, admin: &Admin) {
    match admin.out_of_date() {
        Err(failure) => report.failed(failure),
        Ok(policies) => {
            for policy in policies {
                let what = format!(
                    "the policy of {} was applied by an earlier version: {}",
                    policy.scope,
                    policy.notes.join("; ")
                );
                report.add(State::Warning, what, policy.remedy());
            }
        }
    }
}

fn clients(report: &mut Report) {
    let (Ok(home), Ok(project)) = (setup::user_home(), setup::cwd()) else { return };
    let files = Clients::all().rows().filter_map(|client| Some((client.word, client.file(&home, &project)?)));
    let with: Vec<&str> = files
        .filter(|(_, file)| fs::read_to_string(file).is_ok_and(|text| text.contains("authy-mcp")))
        .map(|(word, _)| word)
        .collect();
    if with.is_empty() {
        report.add(
            State::Warning,
            "no client here or in this project starts authy-mcp",
            "authy-mcp config CLIENT --scope SCOPE --write",
        );
    } else {
        report.add(State::Ok, format!("clients that start authy-mcp: {}", with.join(", ")), "");
    }
}

fn search_path(report: &mut Report) {
    let writable = |dir: &PathBuf| fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o002 != 0);
    for dir in setup::path_dirs().iter().filter(|dir| !dir.is_absolute() || writable(dir)) {
        report.add(
            State::Warning,
            format!(
                "PATH has {}, which is relative or writable by everybody: authy-mcp does not look for programs there",
                dir.display()
            ),
            "take it out",
        );
    }
}

/// What of a sandbox this machine gives, for each network that a policy can ask for.
fn sandbox(report: &mut Report) -> Result<(), Failure> {
    let machine = supervise::machine(&open::binary()?);
    let remedy = || remedy(&machine).unwrap_or_default();
    for network in [Network::None, Network::Proxy, Network::Open] {
        let terms = SandboxTerms { network, limits: RunLimits::DEFAULT, ..SandboxTerms::default() };
        match SandboxPlan::make(&terms, &machine) {
            Ok(plan) => {
                let hint = if plan.shape == SandboxBackend::Namespaces { "" } else { remedy() };
                report.add(State::Ok, format!("runs are contained by {plan}"), hint);
            }
            Err(lack) => {
                let what = format!("runs with network = \"{}\" are refused: {lack}", network.as_str());
                report.add(State::Warning, what, remedy());
            }
        }
    }
    limits(report, &machine);
    Ok(())
}

/// What keeps a run within its limits here.
fn limits(report: &mut Report, machine: &SandboxCapabilities) {
    let terms = SandboxTerms { limits: RunLimits::DEFAULT, ..SandboxTerms::default() };
    let Ok(plan) = SandboxPlan::make(&terms, machine) else { return };
    match plan.kept().map(|kept| kept.by) {
        Some(LimitKeeper::Cgroup(_)) => {
            report.add(State::Ok, "a control group of its own keeps each run within its limits", "");
        }
        Some(LimitKeeper::Watch) if !machine.counts_processes() => report.add(
            State::Warning,
            "each run is looked at ten times a second, and ended where it is over its limits; but nothing counts root's processes: \
             runs are refused where the policy itself limits them",
            "start the server as an ordinary user, or make /sys/fs/cgroup writable",
        ),
        Some(LimitKeeper::Watch) => report.add(
            State::Ok,
            "each run is looked at ten times a second, and ended where it is over its limits: in between it can use more",
            "for control groups, start the server where a user's own manager has it: systemd-run --user --scope authy-mcp serve …",
        ),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_several_things_from_being_looked_at_is_said_once() {
        let damaged = || Failure::damaged("the vault is damaged: store/: current is cut or changed");
        let mut report = Report::default();
        report.failed(damaged().of_verify());
        report.failed(damaged());
        report.failed(Failure::damaged("the audit log is damaged at event 3"));
        let said: Vec<String> = report.0.iter().flat_map(lines).collect();
        assert_eq!(
            said,
            [
                "FAILED   the vault is damaged: store/: current is cut or changed",
                "         authy-mcp admin restore DIR brings a backup back",
                "FAILED   the audit log is damaged at event 3",
                "         authy-mcp admin verify names all of it",
                "         authy-mcp admin restore DIR brings a backup back",
            ]
        );
        assert!(report.says(&damaged().in_a_line()) && !report.says("the vault is damaged: another file"));
    }

    /// What is well says nothing of what isn't.
    #[test]
    fn only_what_has_failed_stands_for_more() {
        let mut report = Report::default();
        report.add(State::Warning, "locked", "unlock it");
        report.failed(Failure::damaged("locked"));
        assert_eq!(report.0.len(), 2);
    }
}
