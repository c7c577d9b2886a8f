//! Redaction: needles, the streaming redactor, and [`Redacted`], what may leave.
//!
//! Pure. What enters: values, as needles, and the bytes that a child wrote. What leaves has every known
//! needle masked as `[redacted:NAME]`. A net, never a boundary: a program that wants to carry a value
//! out can always transform it into something that no net knows.

mod capture;
mod find;
mod forms;
mod index;
mod needles;
mod scan;
mod spans;
mod stream;
mod strength;
mod views;
mod weak;
mod window;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(crate) use capture::{Capture, Captured};
pub use needles::{NeedleSet, Needles};
pub(crate) use stream::Redactor;
pub use strength::bits;
pub(crate) use strength::{GUESSABLE_BELOW, PREFIXES, is_guessable};
pub(crate) use weak::weakness;

/// Something in which every known needle has been masked. Only this room makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// What may be shown.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// What may be shown, taken out.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// What was masked: how often, by kind of form (`raw`, `line`, `base64`, `hex`, …).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(pub BTreeMap<&'static str, u64>);

impl Counts {
    /// All masks together.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Adds another stream's counts.
    pub fn add(&mut self, other: &Counts) {
        for (kind, count) in &other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }
}

impl NeedleSet {
    /// Masks a whole text.
    pub fn text(&self, text: &str) -> Redacted<String> {
        Redacted(self.mask(text))
    }

    /// Masks a whole text, and says what was masked.
    pub fn counted(&self, text: &str) -> (Redacted<String>, Counts) {
        let (masked, counts) = self.masked(text);
        (Redacted(masked), counts)
    }

    /// Masks every key and every string of a JSON document, and every number that is a secret.
    pub fn json(&self, json: Value) -> Redacted<Value> {
        Redacted(self.mask_json(json))
    }

    fn mask(&self, text: &str) -> String {
        self.masked(text).0
    }

    fn masked(&self, text: &str) -> (String, Counts) {
        let mut out = Vec::with_capacity(text.len());
        let mut redactor = self.redactor();
        redactor.push(text.as_bytes(), &mut out);
        redactor.finish(&mut out);
        let masked = String::from_utf8(out)
            .unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned());
        (masked, redactor.counts().clone())
    }

    fn mask_json(&self, json: Value) -> Value {
        match json {
            Value::String(text) => Value::String(self.mask(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.mask_json(item)).collect(),
            Value::Object(fields) => Value::Object(self.mask_fields(fields)),
            Value::Number(number) => {
                let text = number.to_string();
                let masked = self.mask(&text);
                if masked == text { Value::Number(number) } else { Value::String(masked) }
            }
            plain @ (Value::Null | Value::Bool(_)) => plain,
        }
    }

    /// Two keys may become one by masking: the later gets a number, so that nothing is lost.
    fn mask_fields(&self, fields: Map<String, Value>) -> Map<String, Value> {
        let mut masked = Map::new();
        for (key, value) in fields {
            let key = self.mask(&key);
            let mut free = key.clone();
            let mut number = 2;
            while masked.contains_key(&free) {
                free = format!("{key}#{number}");
                number += 1;
            }
            masked.insert(free, self.mask_json(value));
        }
        masked
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
