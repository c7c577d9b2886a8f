//! What came of a run: for the audit, and for who asked for it.

use std::{collections::BTreeMap, time::Duration};

use super::{api, api::RunResult, left};
use crate::{
    audit::OutcomeFacts,
    names::RunId,
    policy::{ExitCodes, Limit, OutputMode, RunTerms},
    redact::{Counts, NeedleSet},
    run::{Ended, RunOutcome, RunOutput},
    supervise,
};

/// To what a duration is rounded up where only success or failure is told.
const STATUS_TICK_MS: u64 = 1000;

/// What is told of a signal where only success or failure is: a program chooses which one ends it.
const REDUCED_SIGNAL: &str = "SIGKILL";

pub(super) fn outcome_facts(ending: RunOutcome, duration: Duration, counts: &Counts) -> OutcomeFacts {
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
        redactions: counts.0.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
    }
}

/// The same of a run that ran; in what is kept of its files is no value either.
pub(super) fn ended_facts(ended: &Ended, needles: &NeedleSet) -> OutcomeFacts {
    OutcomeFacts {
        file_hits: left::file_hit_lines(&ended.left.hits, needles),
        written: left::counts(&ended.left),
        ..outcome_facts(ended.ending, ended.duration, &ended.counts)
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

/// What of a run's output is returned, as its output mode has it.
pub(super) fn result(output: RunOutput, terms: &RunTerms, run_id: &RunId, sandbox: String) -> RunResult {
    let (outcome, exit_code, signal) = ending_parts(output.ended.ending);
    let masked = output.ended.counts.total();
    let mut result = RunResult {
        outcome,
        // A program chooses which: where only success or failure is told, that is told.
        limit: limit_of(output.ended.ending).filter(|_| terms.output != OutputMode::Status),
        exit_code,
        signal,
        stdout: String::new(),
        stderr: String::new(),
        stdout_truncated: false,
        stderr_truncated: false,
        withheld: false,
        redactions: None,
        not_looked_into: output.not_looked_into.iter().map(api::NotLookedIntoEntry::of).collect(),
        file_hits: left::file_hits(&output.ended.left.hits),
        written: left::written(&output.ended.left),
        notes: left::notes(&output.ended.left).into_iter().chain(gone_without(&output.ended)).collect(),
        promise: terms.promise,
        promise_why: terms.promise_why.clone(),
        run_id: run_id.to_string(),
        duration_ms: millis(output.ended.duration),
        timeout_seconds: terms.timeout.as_secs().max(1),
        sandbox,
    };
    if terms.exit_code == ExitCodes::Reduced || terms.output == OutputMode::Status {
        result.exit_code = result.exit_code.map(|code| i32::from(code != 0));
        result.signal = result.signal.map(|_| REDUCED_SIGNAL.to_owned());
    }
    match terms.output {
        // How long it took, to the tick, says more than success or failure.
        OutputMode::Status => result.duration_ms = result.duration_ms.next_multiple_of(STATUS_TICK_MS),
        // What was not looked into may hold anything.
        OutputMode::Withhold if masked > 0 || !result.not_looked_into.is_empty() => result.withheld = true,
        OutputMode::Redacted | OutputMode::Withhold => {
            result.stdout = output.stdout.text.into_inner();
            result.stderr = output.stderr.text.into_inner();
            result.stdout_truncated = output.stdout.truncated;
            result.stderr_truncated = output.stderr.truncated;
            result.redactions = Some(masked).filter(|count| *count > 0);
        }
    }
    if result.withheld || terms.output == OutputMode::Status {
        // A program chooses the names of what it writes.
        result.written.clear();
        result.notes = left::note_without_names(&output.ended.left).into_iter().collect();
    }
    result
}
