//! How much of a document is read: what is too much is refused before it is worked on.

use super::{
    raw::{At, RawCommands, RawDocument, RawRule},
    reader::{Reader, finding},
};
use crate::policy::document::DocumentError;

/// The largest document that is applied, in bytes: every call reads it again.
const LARGEST: usize = 256 << 10;
/// The most rules, and the most patterns of all rules together, that are applied.
const MOST_RULES: usize = 1000;

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
