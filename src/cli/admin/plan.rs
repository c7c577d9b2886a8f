//! What a policy that is about to be applied promises, in lines.

use super::super::output;
use crate::operator::{PolicyPlan, RulePromise};

/// What may be promised of each rule and why no more, and what is pinned, a line each.
pub(super) fn promise_lines(plan: &PolicyPlan) -> Vec<String> {
    let promise = |rule: &RulePromise| {
        let word = output::word(&rule.promised.promise);
        match &rule.promised.why {
            Some(why) => format!("promise  rule {}: {word}: {why}", rule.rule),
            None => format!("promise  rule {}: {word}", rule.rule),
        }
    };
    let pins = plan.pins.iter().map(|pin| format!("pins     {pin}"));
    plan.promises.iter().map(promise).chain(pins).collect()
}
