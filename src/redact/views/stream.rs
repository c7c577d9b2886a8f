//! A stream as its views speak of it: whether it goes on, what was found in it, and where a piece of it stands.

/// Bytes before what is undecided that views may look back at.
pub(in crate::redact) const LOOK_BACK: u64 = 64;

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

/// Where in the stream a piece stands, as far as it was read.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) upto: u64,
}

impl Extent {
    pub(super) fn length(self) -> u64 {
        self.upto - self.start
    }
}
