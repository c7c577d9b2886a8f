//! Needles for the tests of other rooms, which may not know values.

use serde_json::Value;

use super::{LedgerPage, MaskLedger, NeedleSet, Needles, Redacted};
use crate::{names::SecretName, value::SecretValue};

/// What is looked for where one secret may turn up.
pub(crate) fn needles(secret: &str, value: &str) -> NeedleSet {
    let name = SecretName::parse(secret).expect("a name");
    NeedleSet::new([&Needles::of(&name, &SecretValue::new(value.as_bytes().to_vec()))])
}

/// What is masked of no run's.
impl NeedleSet {
    pub(crate) fn text(&self, text: &str) -> Redacted<String> {
        self.mask(text, LedgerPage::Rest, &mut MaskLedger::of_no_run())
    }

    pub(crate) fn json(&self, json: Value) -> Redacted<Value> {
        self.mask_json(json, &mut MaskLedger::of_no_run())
    }
}
