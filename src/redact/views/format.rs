//! A format: how it begins, how that is told from chance, and how it is unpacked.

use super::block::Block;

/// Bytes of a beginning that any format is judged by.
pub(super) const LONGEST_OPENING: usize = 32;

/// A format of compressed data, or of archives.
pub(super) struct Format {
    pub(super) name: &'static str,
    /// How it begins.
    pub(super) magic: &'static [u8],
    /// Whether it is looked for only where a text of base64 or hex begins, and not within one: a short magic is
    /// everywhere.
    pub(super) begins_a_writing: bool,
    pub(super) found: Found,
    pub(super) check: Check,
    /// Bytes behind the data.
    pub(super) trailer: usize,
}

/// Where its magic is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Everywhere,
    /// In base64 and in hex: as it stands, it is seen as what it is.
    Written,
}

/// How a beginning is told from chance.
#[derive(Clone, Copy)]
pub(super) enum Check {
    /// A header of gzip or zlib, and a first block.
    Deflated,
    /// Its first bytes.
    Opening(fn(&[u8]) -> Opening),
}

/// What first bytes are.
pub(super) enum Opening {
    Waiting,
    No,
    /// Data of the format that nobody here reads.
    Unreadable,
    Data(Body),
}

/// What stands behind a beginning.
#[derive(Clone, Copy)]
pub(super) struct Body {
    pub(super) method: Method,
    /// Bytes of the header.
    pub(super) header: usize,
    /// Bytes behind the data.
    pub(super) trailer: usize,
    /// The less, the sooner it is given up.
    pub(super) promise: Block,
}

/// How it is unpacked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// As it stands: only its writing is undone.
    Stored,
    Deflate,
    Bzip2,
    Zstd,
}

impl Method {
    /// Whether it takes megabytes.
    pub(super) fn is_large(self) -> bool {
        matches!(self, Self::Bzip2 | Self::Zstd)
    }
}
