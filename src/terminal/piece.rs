//! What is shown, in parts.

/// A part of what is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A character, or a control that begins a new line.
    Text(char),
    /// Anything that moves the cursor, or changes how things look.
    Sequence(Vec<u8>),
}
