//! What is asked of a terminal before something is shown there.

/// A terminal as it is at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub rows: u16,
    pub columns: u16,
    pub line_feed: LineFeed,
}

/// What a line feed does (`ONLCR`, termios(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineFeed {
    /// The cursor goes to the beginning of the next line.
    Returns,
    /// It goes down, in a terminal that a program has to itself.
    Falls,
}

impl Window {
    /// One that is not known.
    pub(crate) const USUAL: Self = Self { rows: 24, columns: 80, line_feed: LineFeed::Returns };
}
