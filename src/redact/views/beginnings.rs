//! How compressed data begins, in each way to write it, and where a text has such a beginning.

use std::sync::LazyLock;

use aho_corasick::packed::{Config, MatchKind, Searcher};

use super::writing::Writing;

/// The longest of the beginnings.
pub(super) const LONGEST_BEGINNING: u64 = 6;

/// How compressed data begins: gzip's magic number and method, and zlib's header at each level.
const BEGINNINGS: [(&[u8], Writing); 26] = [
    (b"\x1f\x8b\x08", Writing::Plain),
    (b"x\x01", Writing::Plain),
    (b"x\x9c", Writing::Plain),
    (b"x\xda", Writing::Plain),
    (b"H4sI", Writing::Base64),
    (b"eAE", Writing::Base64),
    (b"eAF", Writing::Base64),
    (b"eAG", Writing::Base64),
    (b"eAH", Writing::Base64),
    (b"eF4", Writing::Base64),
    (b"eF5", Writing::Base64),
    (b"eF6", Writing::Base64),
    (b"eF7", Writing::Base64),
    (b"eJw", Writing::Base64),
    (b"eJx", Writing::Base64),
    (b"eJy", Writing::Base64),
    (b"eJz", Writing::Base64),
    (b"eNo", Writing::Base64),
    (b"eNp", Writing::Base64),
    (b"eNq", Writing::Base64),
    (b"eNr", Writing::Base64),
    (b"1f8b08", Writing::Hex),
    (b"1F8B08", Writing::Hex),
    (b"789c", Writing::Hex),
    (b"78da", Writing::Hex),
    (b"7801", Writing::Hex),
];

static FINDER: LazyLock<Option<Searcher>> = LazyLock::new(|| {
    let mut config = Config::new();
    config.match_kind(MatchKind::LeftmostFirst);
    config.builder().extend(BEGINNINGS.iter().map(|(bytes, _)| *bytes)).build()
});

/// Where data may begin in a text, and how it is written: all places, also those within each other.
pub(super) fn places(text: &[u8]) -> impl Iterator<Item = (usize, usize, Writing)> + '_ {
    let mut from = 0;
    std::iter::from_fn(move || {
        let found = FINDER.as_ref()?.find_in(text, (from..text.len()).into())?;
        from = found.start() + 1;
        Some((found.start(), found.end(), BEGINNINGS[found.pattern().as_usize()].1))
    })
}

/// Whether a text is a part of a beginning, of which more may follow.
pub(super) fn may_follow(text: &[u8]) -> bool {
    BEGINNINGS.iter().any(|(bytes, _)| bytes.len() > text.len() && bytes.starts_with(text))
}
