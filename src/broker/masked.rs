//! Masks what is told of a run, field by field, and enters it in the run's ledger.

use super::{
    api::{FileHitEntry, RunResult, WrittenEntry},
    refusal::Refusal,
};
use crate::redact::{LedgerPage, MaskLedger, NeedleSet};

/// Masks a result. A field that it gets has to be looked through here, or to be one that nobody outside chooses.
pub(super) fn mask_result(result: &mut RunResult, needles: &NeedleSet, ledger: &mut MaskLedger) {
    let RunResult {
        stdout,
        stderr,
        file_hits,
        written,
        notes,
        promise_why,
        sandbox,
        outcome: _,
        limit: _,
        exit_code: _,
        signal: _,
        stdout_truncated: _,
        stderr_truncated: _,
        withheld: _,
        redactions: _,
        not_looked_into: _,
        promise: _,
        run_id: _,
        duration_ms: _,
        timeout_seconds: _,
    } = result;
    mask(stdout, needles, LedgerPage::Stdout, ledger);
    mask(stderr, needles, LedgerPage::Stderr, ledger);
    let hits = file_hits.iter_mut().map(|FileHitEntry { path, removed: _ }| path);
    let written = written.iter_mut().map(|WrittenEntry { path, kind: _ }| path);
    let rest = hits.chain(written).chain(notes).chain(promise_why).chain([sandbox]);
    rest.for_each(|text| mask(text, needles, LedgerPage::Rest, ledger));
}

/// Masks what is told of a run that could not be started.
pub(super) fn mask_refusal(refusal: &mut Refusal, needles: &NeedleSet, ledger: &mut MaskLedger) {
    let Refusal { code: _, message, hint, rule, allowed, operator_command } = refusal;
    let rest = allowed.iter_mut().flatten().chain(rule).chain(operator_command);
    [message, hint].into_iter().chain(rest).for_each(|text| mask(text, needles, LedgerPage::Rest, ledger));
}

fn mask(text: &mut String, needles: &NeedleSet, page: LedgerPage, ledger: &mut MaskLedger) {
    if !text.is_empty() {
        *text = needles.mask(text, page, ledger).into_inner();
    }
}
