//! What a view gives back as the bytes of a stream go by.

/// What was found in a view: bytes of the stream, and what they are called.
pub(in crate::redact) struct Hit {
    pub(in crate::redact) start: u64,
    pub(in crate::redact) end: u64,
    pub(in crate::redact) label: u32,
    pub(in crate::redact) kind: Option<&'static str>,
}

/// Whether the stream goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::redact) enum Stream {
    GoesOn,
    Ended,
}
