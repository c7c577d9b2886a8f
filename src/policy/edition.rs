//! By which rules a document is read, and how much of one: what is too much is refused before it is worked on.

use super::{
    document::DocumentError,
    read::raw::{At, RawCommands, RawDocument, RawRule},
    read::{Reader, finding},
};

/// The largest document that is applied, in bytes: every call reads it again.
const LARGEST: usize = 256 << 10;
/// The most rules, and the most patterns of all rules together, that are applied.
const MOST_RULES: usize = 1000;

/// By which rules a stored policy is read: what was applied before goes on as it did, with less promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edition {
    /// Braces were themselves, standard input was any text, `[env]` took names from a list of what was known to be
    /// bad.
    BeforeTypes,
    /// As this version applies.
    Typed,
}

/// Refuses a document that is too long to be applied.
///
/// # Errors
/// With its length.
pub(super) fn check_length(text: &str) -> Result<(), DocumentError> {
    if text.len() <= LARGEST {
        return Ok(());
    }
    let message = format!("the policy has {} bytes, and at most {LARGEST} are read", text.len());
    let hint = "take values and long descriptions out of it, or make several scopes";
    Err(DocumentError(vec![finding(text, 0..0, message, hint)]))
}

impl Reader<'_> {
    /// Whether the document was applied by a version that took more: then what is refused now is left out, and said.
    pub(super) fn is_stored(&self) -> bool {
        self.edition == Edition::BeforeTypes
    }

    pub(super) fn check_count(&mut self, raw: &RawDocument) {
        let patterns = |rule: &At<RawRule>| match rule.get().commands.get() {
            RawCommands::Word(_) => 1,
            RawCommands::Patterns(patterns) => patterns.len().max(1),
        };
        let mut count = 0;
        let over = raw.allow.iter().find(|rule| {
            count += patterns(rule);
            count > MOST_RULES
        });
        if let Some(rule) = over {
            let message = format!("the policy has more than {MOST_RULES} rules and command patterns");
            self.error(rule.span(), message, "use globs and types for what differs, or make several scopes");
        }
    }
}
