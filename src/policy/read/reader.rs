//! What reads a document: it goes on after an error to find the next, and tells all with their places.

use std::{ops::Range, path::Path};

use super::raw::At;
use crate::{
    names::NameError,
    policy::{
        document::{Finding, Severity},
        edition::Edition,
        services::Services,
    },
};

/// Reads a document, and goes on after an error to find the next.
pub(in crate::policy) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) edition: Edition,
    /// What the services are that it names.
    pub(super) services: &'a Services,
    pub(super) errors: Vec<Finding>,
    pub(super) unenforceable: Vec<Finding>,
}

impl Reader<'_> {
    /// Whether the document was applied by a version that took more: then what is refused now is left out, and said.
    pub(super) fn is_stored(&self) -> bool {
        self.edition == Edition::BeforeTypes
    }

    pub(in crate::policy) fn error(&mut self, span: Range<usize>, message: impl Into<String>, hint: &str) {
        self.errors.push(finding(self.text, span, message, hint));
    }

    pub(super) fn refuse(&mut self, span: Range<usize>, message: impl Into<String>, hint: &str) {
        self.unenforceable.push(finding(self.text, span, message, hint));
    }

    pub(super) fn dir(&mut self, dir: &At<String>) -> Option<String> {
        let text = dir.get();
        let rooted = text.starts_with('/') || text == "~" || text.starts_with("~/");
        let plain = !Path::new(text).components().any(|c| c == std::path::Component::ParentDir)
            && !text.contains('\0');
        if rooted && plain {
            return Some(text.clone());
        }
        self.error(
            dir.span(),
            "a directory is absolute, or begins with ~/, and has no ..",
            "write its whole path",
        );
        None
    }

    pub(super) fn name<T>(&mut self, at: &At<String>, parse: fn(&str) -> Result<T, NameError>) -> Option<T> {
        match parse(at.get()) {
            Ok(name) => Some(name),
            Err(error) => {
                self.error(at.span(), error.to_string(), "fix the name");
                None
            }
        }
    }
}

/// An error at a place of the text.
pub(super) fn finding(text: &str, span: Range<usize>, message: impl Into<String>, hint: &str) -> Finding {
    let (line, column) = place(text, span.start);
    Finding { severity: Severity::Error, line, column, message: message.into(), hint: hint.to_owned() }
}

/// Line and column of a byte, both from 1.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
