//! How many connections there may be, and how long each may take.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

/// How much, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// To send the head of a request; also how long a connection without a request is kept.
    pub header: Duration,
    /// How long nobody may read an answer that is being sent.
    pub unread: Duration,
    /// Connections that have proven nothing yet.
    pub unproven: usize,
    /// Connections of one caller.
    pub each: usize,
    /// Connections of all callers. Past it each has one, so that nobody shuts another out.
    pub all: usize,
}

impl Bounds {
    /// As many as this process has descriptors for, beside those that it needs itself.
    #[must_use]
    pub(crate) fn within_descriptors(self) -> Self {
        let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
        let most = descriptors.unwrap_or(usize::MAX);
        Self {
            unproven: self.unproven.min((most / 4).max(1)),
            each: self.each.min((most / 4).max(1)),
            all: self.all.min((most / 2).max(1)),
            ..self
        }
    }
}
