//! The needles of any number of secrets together: what masks a text, a document, or a stream.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use serde_json::{Map, Value};

use super::{
    find::Finder,
    ledger::{LedgerPage, MaskLedger},
    needles::Needles,
    redacted::{Counts, Redacted},
    stream::{Masking, Redactor},
    tables::Tables,
};

/// The needles of any number of secrets, ready to be looked for. Cheap to clone; wiped when the last is
/// dropped, but for the hashes of the tables.
#[derive(Clone)]
pub struct NeedleSet(Arc<Tables>);

static NOTHING: LazyLock<NeedleSet> = LazyLock::new(|| NeedleSet(Arc::new(Tables::new())));

impl NeedleSet {
    /// Builds the tables. Of two secrets with the same form, the one whose name comes first has it.
    pub fn new<'a>(needles: impl IntoIterator<Item = &'a Needles>) -> Self {
        let mut sorted: Vec<&Needles> = needles.into_iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        let mut tables = Tables::new();
        tables.reserve(&sorted);
        sorted.into_iter().for_each(|needles| tables.add(needles));
        tables.settle();
        Self(Arc::new(tables))
    }

    /// Adds the needles of one secret more: at its own cost, whatever is there, unless somebody else holds the set,
    /// who keeps it as it was. Of two secrets with the same form, the one that was there first has it.
    pub fn add(&mut self, needles: &Needles) {
        let tables = Arc::make_mut(&mut self.0);
        tables.add(needles);
        tables.settle();
    }

    /// A set without a secret, which masks nothing.
    pub fn empty() -> Self {
        NOTHING.clone()
    }

    /// Whether no secret is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A redactor for one stream.
    pub fn redactor(&self) -> Redactor {
        Redactor::new(Arc::clone(&self.0), Masking::Named)
    }

    /// A redactor for what was made by somebody else and has to arrive as it was made: what it gives out is as long as what
    /// it took in.
    pub(crate) fn scrubber(&self) -> Redactor {
        Redactor::new(Arc::clone(&self.0), Masking::SameLength)
    }

    /// Which needles a whole text holds, in any form: how often, by kind.
    pub fn finds(&self, bytes: &[u8]) -> Counts {
        let mut finder = self.finder();
        finder.push(bytes);
        finder.finish()
    }

    /// The same for a stream: a file that needn't fit into memory.
    pub fn finder(&self) -> Finder {
        Finder::new(self.redactor())
    }

    /// Needles as they are, without any forms, all masked as `mask`.
    #[cfg(test)]
    pub(super) fn exact(needles: &[&[u8]], mask: &str) -> Self {
        Self::new([&Needles::exact(needles, mask)])
    }

    /// Masks a whole text, and enters what it masked.
    pub(crate) fn mask(&self, text: &str, page: LedgerPage, ledger: &mut MaskLedger) -> Redacted<String> {
        Redacted(self.masked(text, page, ledger))
    }

    /// Masks every key and every string of a JSON document, and every number that is a secret.
    pub(crate) fn mask_json(&self, json: Value, ledger: &mut MaskLedger) -> Redacted<Value> {
        Redacted(self.masked_json(json, ledger))
    }

    fn masked(&self, text: &str, page: LedgerPage, ledger: &mut MaskLedger) -> String {
        let mut out = Vec::with_capacity(text.len());
        let mut redactor = self.redactor();
        redactor.push(text.as_bytes(), &mut out);
        redactor.finish(&mut out);
        ledger.enter(page, &redactor);
        String::from_utf8(out)
            .unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned())
    }

    fn masked_json(&self, json: Value, ledger: &mut MaskLedger) -> Value {
        match json {
            Value::String(text) => Value::String(self.masked(&text, LedgerPage::Rest, ledger)),
            Value::Array(items) => items.into_iter().map(|item| self.masked_json(item, ledger)).collect(),
            Value::Object(fields) => Value::Object(self.masked_fields(fields, ledger)),
            Value::Number(number) => {
                let text = number.to_string();
                let masked = self.masked(&text, LedgerPage::Rest, ledger);
                if masked == text { Value::Number(number) } else { Value::String(masked) }
            }
            plain @ (Value::Null | Value::Bool(_)) => plain,
        }
    }

    /// Two keys may become one by masking: the later gets a number, so that nothing is lost.
    fn masked_fields(&self, fields: Map<String, Value>, ledger: &mut MaskLedger) -> Map<String, Value> {
        let mut masked = Map::new();
        for (key, value) in fields {
            let key = self.masked(&key, LedgerPage::Rest, ledger);
            let mut free = key.clone();
            let mut number = 2;
            while masked.contains_key(&free) {
                free = format!("{key}#{number}");
                number += 1;
            }
            masked.insert(free, self.masked_json(value, ledger));
        }
        masked
    }
}

impl fmt::Debug for NeedleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NeedleSet({} needles)", self.0.len())
    }
}
