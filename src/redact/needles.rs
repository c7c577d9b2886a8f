//! Needles: what is looked for of one secret.

use std::{fmt, sync::Arc};

use secrecy::ExposeSecret;

use super::forms::{Arena, Form, Forms, Guess, MatchMode, forms};
use crate::{names::SecretName, value::SecretValue};

/// The byte forms of one version of one secret. Cheap to clone, wiped when the last is dropped.
#[derive(Clone)]
pub struct Needles {
    pub(super) name: SecretName,
    pub(super) mask: Arc<[u8]>,
    /// Those that nobody guesses come first.
    forms: Arc<Forms>,
    /// How many of them are looked for.
    upto: usize,
}

impl Needles {
    /// Works out the forms of a value, which is masked as `[redacted:NAME]`. A value of fewer than four
    /// bytes has none.
    pub fn of(name: &SecretName, value: &SecretValue) -> Self {
        Self::of_masked(name, value, format!("[redacted:{name}]").as_bytes())
    }

    /// The same, with another text in the value's place: a placeholder that stands for it elsewhere.
    #[expect(clippy::disallowed_methods, reason = "a value becomes what is looked for")]
    pub fn of_masked(name: &SecretName, value: &SecretValue, mask: &[u8]) -> Self {
        let forms = forms(value.expose_secret());
        Self { name: name.clone(), mask: mask.into(), upto: forms.list.len(), forms: Arc::new(forms) }
    }

    #[cfg(test)]
    pub(super) fn exact(needles: &[&[u8]], mask: &str) -> Self {
        let forms = Forms::exact(needles);
        let name = SecretName::parse("exact/needles").expect("a name");
        Self { name, mask: mask.as_bytes().into(), upto: forms.list.len(), forms: Arc::new(forms) }
    }

    /// Only those forms that nobody guesses: their masks answer no question. None of a value that can be
    /// guessed; of a value that can't, not the parts of it that can.
    #[must_use]
    pub fn beyond_guessing(&self) -> Self {
        let upto = self.forms.list.partition_point(|form| form.guess == Guess::Hopeless);
        Self { upto, ..self.clone() }
    }

    /// Whether everything that is looked for is beyond guessing.
    pub fn are_beyond_guessing(&self) -> bool {
        self.forms().iter().all(|form| form.guess == Guess::Hopeless)
    }

    pub(super) fn forms(&self) -> &[Form] {
        &self.forms.list[..self.upto]
    }

    /// What is looked for of a form.
    pub(super) fn bytes(&self, form: &Form) -> &[u8] {
        self.forms.bytes(form)
    }

    /// Where their bytes are.
    pub(super) fn arena(&self) -> &Arc<Arena> {
        &self.forms.arena
    }

    /// The forms that are looked for as they stand: for a benchmark that looks for them in another way.
    #[doc(hidden)]
    pub fn literal(&self) -> impl Iterator<Item = &[u8]> {
        self.forms().iter().filter(|form| form.sight == MatchMode::Literal).map(|form| self.forms.bytes(form))
    }
}

impl fmt::Debug for Needles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needles({}, {} forms)", self.name, self.upto)
    }
}
