//! What tests of several files here make.

use http::{HeaderMap, HeaderName};

/// Headers, one a line.
pub(super) fn headers(lines: &str) -> HeaderMap {
    let lines = lines.lines().map(|line| line.split_once(": ").unwrap());
    lines.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
}
