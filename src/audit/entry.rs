//! What is appended at once, and how surely.

use super::{change::Change, event::Event};

/// Whether an event is on the disk before anything goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    Now,
    Later,
}

/// An event, and the change that it announces.
pub(super) type Entry = (Event, Option<Change>);
