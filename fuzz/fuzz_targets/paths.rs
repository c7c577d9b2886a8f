//! Patterns of paths and of secrets' names: what one covers is what its grammar says, found by another way, and soon.

#![no_main]

use authy_mcp::testing::{
    names::{SecretName, SecretPattern},
    policy::PathPattern,
};
use libfuzzer_sys::fuzz_target;

// A pattern and what it is held against, a line each.
fuzz_target!(|text: &str| {
    let Some((pattern, text)) = text.split_once('\n') else { return };
    if let Some(pattern) = PathPattern::parse(pattern) {
        assert_eq!(PathPattern::parse(pattern.as_str()).as_ref(), Some(&pattern));
        let covers = pattern.covers(text);
        assert!(!covers || is_plain(text), "{text:?} can be read in two ways");
        assert_eq!(covers, is_plain(text) && segments(pattern.as_str(), text, 0));
    }
    if let (Ok(pattern), Ok(name)) = (SecretPattern::parse(pattern), SecretName::parse(text)) {
        assert_eq!(pattern.matches(&name), segments(pattern.as_str(), text, 1));
        assert!(pattern.literal().is_none_or(|literal| pattern.matches(&literal)));
        let env = name.default_env();
        assert!(env.as_str().len() >= name.as_str().len());
    }
});

/// A path that every server reads as the same segments.
fn is_plain(path: &str) -> bool {
    path.starts_with('/')
        && !path.contains("//")
        && path.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && !b"%\\;".contains(&byte))
        && !path.split('/').any(|segment| segment == "." || segment == "..")
}

/// Whether a pattern covers a text, segment by segment; a `**` at the end takes so many of them at least.
fn segments(pattern: &str, text: &str, last: usize) -> bool {
    let (pattern, text): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), text.split('/').collect());
    // Where one could be in the text: behind so many segments.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for (number, glob) in pattern.iter().enumerate() {
        let mut next = vec![false; text.len() + 1];
        if *glob == "**" {
            let least = if number + 1 == pattern.len() { last } else { 0 };
            if let Some(first) = reached.iter().position(|here| *here) {
                next.iter_mut().skip(first + least).for_each(|here| *here = true);
            }
        } else {
            for at in (0..text.len()).filter(|at| reached[*at]) {
                next[at + 1] = characters(glob, text[at]);
            }
        }
        reached = next;
    }
    reached[text.len()]
}

/// The same for `*` within a segment.
fn characters(glob: &str, text: &str) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for glob in glob.bytes() {
        let mut next = vec![false; text.len() + 1];
        if glob == b'*' {
            if let Some(first) = reached.iter().position(|here| *here) {
                next[first..].fill(true);
            }
        } else {
            for (at, byte) in text.bytes().enumerate() {
                next[at + 1] = reached[at] && byte == glob;
            }
        }
        reached = next;
    }
    reached[text.len()]
}
