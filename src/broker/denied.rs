//! Refusals as the audit has them: redacted, bounded, summed up where they come in numbers.

use std::sync::{Arc, atomic::Ordering};

use super::{Broker, api::RunParams, blocking, refusal::Refusal};
use crate::{
    audit::Note,
    names::SecretName,
    redact::{LedgerPage, MaskLedger, NeedleSet},
};

/// The longest command, in bytes of all its arguments, that is looked at for values at all: the audit
/// keeps less.
const ARGV_BYTES: usize = 4096;
/// As many names as that are looked at.
const NAMES: usize = 64;

/// A refused call as a note. What is long is cut here already, before anything is done with each part of it.
pub(crate) fn note(
    principal: Option<String>,
    scope: Option<String>,
    refusal: &Refusal,
    params: &RunParams,
    needles: &NeedleSet,
) -> Note {
    let (argv, cut) = argv(needles, &params.command);
    let names = params.secrets.as_deref().unwrap_or_default();
    let known = names.iter().take(NAMES).filter_map(|name| SecretName::parse(name).ok());
    Note::Denied {
        principal: principal.unwrap_or_else(|| "unknown".to_owned()),
        scope,
        code: refusal.code.as_str().to_owned(),
        rule: refusal.rule.clone(),
        argv,
        secrets: known.map(Into::into).collect(),
        cut: cut || names.len() > NAMES,
    }
}

/// An argument longer than what is left is dropped with everything behind it: half an argument would make
/// another rule than the one that was asked for.
fn argv(needles: &NeedleSet, argv: &[String]) -> (Vec<String>, bool) {
    let mut left = ARGV_BYTES;
    let fit = argv.iter().take_while(|argument| {
        let fits = argument.len() < left;
        left = left.saturating_sub(argument.len() + 1);
        fits
    });
    // What is refused is no run.
    let mut ledger = MaskLedger::of_no_run();
    let redact = |text: &String| needles.mask(text, LedgerPage::Rest, &mut ledger).into_inner();
    let redacted: Vec<String> = fit.map(redact).collect();
    let cut = redacted.len() < argv.len();
    (redacted, cut)
}

impl Broker {
    /// Writes what was summed up once its time is over.
    pub(crate) fn sum_denials_soon(self: &Arc<Self>) {
        let Some(due) = self.denials.next_due() else { return };
        if self.summing.swap(true, Ordering::AcqRel) {
            return;
        }
        let broker = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                // What is left is written at the end.
                () = broker.closing.cancelled() => return,
            }
            broker.summing.store(false, Ordering::Release);
            let writer = Arc::clone(&broker);
            blocking(move || writer.write_sums()).await;
            broker.anchor_soon();
            broker.sum_denials_soon();
        });
    }

    fn write_sums(&self) {
        let written = self.open().and_then(|open| {
            open.audit.record_all(self.denials.due(self.around.clock.instant())).map_err(Refusal::from)
        });
        if let Err(refusal) = written {
            tracing::warn!(code = ?refusal.code, "summed refusals could not be recorded");
        }
    }
}
