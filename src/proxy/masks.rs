//! What is taken out of what goes back to the program.

use crate::redact::NeedleSet;

/// The needles of a run's answers.
#[derive(Clone)]
pub(super) struct Masks {
    pub needles: NeedleSet,
    /// The same in lower case, as header names come.
    pub names: NeedleSet,
}

impl Masks {
    /// Whether a header's name has a value in it: names come in lower case.
    pub(super) fn in_name(&self, name: &str) -> bool {
        let mut redactor = self.names.redactor();
        let mut out = Vec::new();
        redactor.push(name.as_bytes(), &mut out);
        redactor.finish(&mut out);
        redactor.counts().total() > 0
    }
}
