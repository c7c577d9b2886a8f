//! What leaves the room, with what must be masked in it.

use super::refusal::Refusal;
use crate::redact::NeedleSet;

/// An answer, and what must be masked in it before it goes anywhere.
pub(crate) struct Answer<T> {
    /// The answer itself; streams in it are redacted already.
    pub body: T,
    /// What is looked for in it: of everything that this scope was given since the broker was started, what
    /// its mask tells nothing of.
    pub needles: NeedleSet,
}

impl<T> Answer<T> {
    /// The same answer, as something else.
    pub(crate) fn map<U>(self, into: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { body: into(self.body), needles: self.needles }
    }
}

/// A refusal, and what must be masked in it.
pub(crate) type Refused = Box<Answer<Refusal>>;
