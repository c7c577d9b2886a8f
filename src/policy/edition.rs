//! By which rules a document is read.

/// By which rules a stored policy is read: what was applied before goes on as it did, with less promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Edition {
    /// Braces were themselves, standard input was any text, `[env]` took names from a list of what was known to be
    /// bad.
    BeforeTypes,
    /// A placeholder was replaced in any header, also where `inject` put the value in.
    Typed,
    /// As this version applies.
    NamedHeaders,
}
