//! What a reader finds in a text: its leaves, each with where it stands and what that place says of it.

use zeroize::Zeroizing;

/// What is known of a leaf by where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sense {
    /// It is no secret: a name, a host, a public key.
    Plain,
    /// Nothing: its look decides.
    Open,
    /// It may be a secret: it is one if it would pass as a value itself.
    Likely,
    /// It is one, however weak.
    Secret,
}

/// What is looked for of a leaf: the later, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    /// One line of a key that holds public bytes alone, with the end of the line: by itself it is no secret, and nobody
    /// who sees it come back unmasked believes that; within a longer row of symbols it is the public key.
    PublicLine,
    /// One line of a key, of which the body has the pieces.
    KeyLine,
    /// One of many lines.
    Line,
    /// What of a key is private, in the writing that it was kept in, whatever lines it is printed in.
    Body,
    /// Bytes with public ones in them: in all that a tool writes bytes as.
    Bytes,
    /// A private number of a key: in all that a tool writes it as, also pieces of it.
    Number,
    /// A secret of its own.
    Whole,
}

/// A value of a structure.
pub(super) struct Leaf {
    /// Where it stands in its text.
    pub(super) place: String,
    pub(super) sense: Sense,
    pub(super) extent: Extent,
    pub(super) content: Content,
}

/// What a value of a structure is.
pub(super) enum Content {
    /// It may be taken apart again.
    Text(Zeroizing<String>),
    /// Bytes that stand for nothing else: a number.
    Bytes(Zeroizing<Vec<u8>>),
}

impl Leaf {
    pub(super) fn new(place: impl Into<String>, sense: Sense, text: &str) -> Self {
        let content = Content::Text(Zeroizing::new(text.to_owned()));
        Self { place: place.into(), sense, extent: Extent::Whole, content }
    }

    pub(super) fn line(place: impl Into<String>, sense: Sense, text: &str) -> Self {
        Self { extent: Extent::Line, ..Self::new(place, sense, text) }
    }

    pub(super) fn key_line(place: impl Into<String>, text: &str) -> Self {
        Self { extent: Extent::KeyLine, ..Self::new(place, Sense::Secret, text) }
    }

    pub(super) fn public_line(place: impl Into<String>, text: &str) -> Self {
        let bytes = Zeroizing::new(format!("{text}\n").into_bytes());
        Self { extent: Extent::PublicLine, ..Self::number(place, bytes) }
    }

    pub(super) fn body(place: impl Into<String>, text: &str) -> Self {
        Self { extent: Extent::Body, ..Self::new(place, Sense::Secret, text) }
    }

    pub(super) fn number(place: impl Into<String>, bytes: Zeroizing<Vec<u8>>) -> Self {
        let content = Content::Bytes(bytes);
        Self { place: place.into(), sense: Sense::Secret, extent: Extent::Number, content }
    }

    pub(super) fn bytes(place: impl Into<String>, bytes: Zeroizing<Vec<u8>>) -> Self {
        Self { extent: Extent::Bytes, ..Self::number(place, bytes) }
    }
}

/// What a reader makes of a text that is of its format.
pub(super) enum Read {
    Leaves(Vec<Leaf>),
    /// It is public as a whole: a certificate, a public key.
    Public,
}

/// Reads a text of which something is known; nothing if it has another format.
pub(super) type Reader = fn(&str, Sense) -> Option<Read>;

/// A place inside of another; either may be empty.
pub(super) fn inside(outer: &str, inner: &str) -> String {
    match (outer.is_empty(), inner.is_empty()) {
        (_, true) => outer.to_owned(),
        (true, _) => inner.to_owned(),
        _ => format!("{outer}, {inner}"),
    }
}
