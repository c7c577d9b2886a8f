//! What came of a run: for the audit, and for who asked for it.

use std::{collections::BTreeMap, time::Duration};

use super::{api, api::RunResult, guessable, left, masked};
use crate::{
    audit::OutcomeFacts,
    names::RunId,
    policy::{ExitCodes, Limit, OutputMode, Promise, RunTerms},
    redact::{LedgerPage, MaskLedger, NeedleSet},
    run::{Ended, RunOutcome, RunOutput},
    supervise,
};

/// To what a duration is rounded up where only success or failure is told.
const STATUS_TICK_MS: u64 = 1000;

/// What is told of a signal where only success or failure is: a program chooses which one ends it.
const REDUCED_SIGNAL: &str = "SIGKILL";

/// What is known of a run before it starts, and told when it has ended.
pub(crate) struct About {
    pub(super) run_id: RunId,
    pub(super) terms: RunTerms,
    /// What may be promised of it, which may be less than what its terms have.
    pub(super) promise: Promise,
    pub(super) sandbox: String,
}

pub(super) fn outcome_facts(ending: RunOutcome, duration: Duration, ledger: &MaskLedger) -> OutcomeFacts {
    let (outcome, _, _) = ending_parts(ending);
    OutcomeFacts {
        outcome: outcome.as_str().to_owned(),
        exit_code: match ending {
            RunOutcome::Exited(code) => Some(code),
            _ => None,
        },
        limit: limit_of(ending).map(|limit| limit.as_str().to_owned()),
        duration_ms: millis(duration),
        file_hits: Vec::new(),
        written: BTreeMap::new(),
        redactions: ledger.masked().0.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
    }
}

/// The same of a run that ran; in what is kept of its files is no value either.
pub(super) fn ended_facts(ended: &Ended, needles: &NeedleSet) -> OutcomeFacts {
    OutcomeFacts {
        file_hits: left::file_hit_lines(&ended.left.hits, needles),
        written: left::counts(&ended.left),
        ..outcome_facts(ended.ending, ended.duration, &ended.ledger)
    }
}

pub(super) fn ending_parts(ending: RunOutcome) -> (api::Outcome, Option<i32>, Option<String>) {
    match ending {
        RunOutcome::Exited(code) => (api::Outcome::Exited, Some(code), None),
        RunOutcome::Signaled(signal) => (api::Outcome::Signaled, None, Some(supervise::signal_name(signal))),
        RunOutcome::TimedOut => (api::Outcome::TimedOut, None, None),
        RunOutcome::ResourceLimit(_) => (api::Outcome::ResourceLimit, None, None),
        RunOutcome::Cancelled => (api::Outcome::Cancelled, None, None),
        RunOutcome::Revoked => (api::Outcome::Revoked, None, None),
        RunOutcome::FailedToStart => (api::Outcome::FailedToStart, None, None),
    }
}

/// What a run came to the end of.
fn limit_of(ending: RunOutcome) -> Option<Limit> {
    match ending {
        RunOutcome::ResourceLimit(limit) => Some(limit),
        _ => None,
    }
}

/// What a run's end does not say: that it was refused something, and went on. Told where names of files are.
pub(super) fn gone_without(ended: &Ended) -> Option<String> {
    let limit = ended.without?;
    let why = match limit {
        Limit::Processes => "a process or thread could not be started: the run had all that it may have",
        Limit::Memory => "the kernel ended one of its processes: the run had all the memory that it may have",
        Limit::Disk => "something could not be written: the run had all the disk that it may have",
    };
    Some(format!("{why} (limits.{})", limit.as_str()))
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What is returned of a run, as its output mode has it, masked; and the run, with a ledger that has all of it.
pub(super) fn result(output: RunOutput, about: &About, needles: &NeedleSet) -> (RunResult, Ended) {
    let RunOutput { mut ended, stdout, stderr } = output;
    let (outcome, exit_code, signal) = ending_parts(ended.ending);
    let weakened = about.promise != about.terms.promise;
    let mut result = RunResult {
        outcome,
        limit: limit_of(ended.ending),
        exit_code,
        signal,
        stdout: stdout.text.into_inner(),
        stderr: stderr.text.into_inner(),
        stdout_truncated: stdout.truncated,
        stderr_truncated: stderr.truncated,
        withheld: false,
        redactions: None,
        not_looked_into: Vec::new(),
        file_hits: left::file_hits(&ended.left.hits),
        written: left::written(&ended.left),
        notes: left::notes(&ended.left).into_iter().chain(gone_without(&ended)).collect(),
        promise: about.promise,
        promise_why: if weakened { Some(guessable::WHY.to_owned()) } else { about.terms.promise_why.clone() },
        run_id: about.run_id.to_string(),
        duration_ms: millis(ended.duration),
        timeout_seconds: about.terms.timeout.as_secs().max(1),
        sandbox: about.sandbox.clone(),
    };
    masked::mask_result(&mut result, needles, &mut ended.ledger);
    count(&mut result, &ended.ledger);
    reduce(&mut result, &about.terms, &ended);
    (result, ended)
}

fn count(result: &mut RunResult, ledger: &MaskLedger) {
    result.redactions = Some(ledger.masked().total()).filter(|count| *count > 0);
    result.not_looked_into = ledger.not_looked_into().map(not_looked_into).collect();
}

fn not_looked_into((page, kind, bytes): (LedgerPage, &'static str, u64)) -> api::NotLookedIntoEntry {
    api::NotLookedIntoEntry { stream: page.as_str().to_owned(), kind: kind.to_owned(), bytes }
}

/// Leaves out what its output mode does not tell.
fn reduce(result: &mut RunResult, terms: &RunTerms, ended: &Ended) {
    if terms.exit_code == ExitCodes::Reduced || terms.output == OutputMode::Status {
        result.exit_code = result.exit_code.map(|code| i32::from(code != 0));
        result.signal = result.signal.take().map(|_| REDUCED_SIGNAL.to_owned());
    }
    match terms.output {
        OutputMode::Redacted => return,
        // What was not looked into may hold anything.
        OutputMode::Withhold if ended.ledger.is_clean() => return,
        OutputMode::Withhold => result.withheld = true,
        OutputMode::Status => {
            // A program chooses which: where only success or failure is told, that is told.
            result.limit = None;
            // How long it took, to the tick, says more than success or failure.
            result.duration_ms = result.duration_ms.next_multiple_of(STATUS_TICK_MS);
            result.not_looked_into.clear();
        }
    }
    result.stdout.clear();
    result.stderr.clear();
    (result.stdout_truncated, result.stderr_truncated) = (false, false);
    // A program chooses how often it shows what, how much of it nobody looks into, and the names of what it writes.
    result.redactions = None;
    let roughly = |part: &mut api::NotLookedIntoEntry| part.bytes = part.bytes.next_power_of_two();
    result.not_looked_into.iter_mut().for_each(roughly);
    result.written.clear();
    result.notes = left::note_without_names(&ended.left).into_iter().collect();
}
