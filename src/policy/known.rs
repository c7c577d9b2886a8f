//! Programs that are known not to tell a secret, and what has to hold for that.
//!
//! An entry is a program by its path with links resolved, the arguments with which it is known, the variables that it
//! looks at, and the reason. The list is short on purpose: an interpreter, a pager, a build tool, a reader, a client
//! with a configuration file of its own can't be on it, and whoever needs one says `reviewed = true` on their own
//! word. A client of a database can't be on it as long as it needs an open network.

use std::path::Path;

use super::{argv::Element, typed::Piece};
use crate::names::EnvName;

/// A program, and how it is known.
pub(super) struct Known {
    /// Where it is, links resolved; the second is where `/bin` is a directory of its own.
    paths: [&'static str; 2],
    arguments: Grammar,
    /// What it looks at among variables: a secret in one of these would decide what it does. `*` at the end stands for
    /// any rest.
    looks_at: &'static [&'static str],
    /// Why it can't tell a secret, whatever it is called with under its grammar.
    pub(super) why: &'static str,
}

/// The arguments with which a program is known.
#[derive(Clone, Copy)]
enum Grammar {
    /// It does the same whatever they are.
    Ignored,
    /// Times in whole numbers, with the unit `s`, `m`, `h` or `d` or none.
    Times,
}

/// What the C library and the locale look at in every program.
const LIBRARY: &[&str] = &[
    "LANG",
    "LANGUAGE",
    "LC_*",
    "LOC*",
    "NLSPATH",
    "OUTPUT_CHARSET",
    "TZ*",
    "MALLOC_*",
    "GCONV_PATH",
    "GLIBC_*",
    "POSIXLY_CORRECT",
];

const KNOWN: &[Known] = &[
    Known {
        paths: ["/usr/bin/true", "/bin/true"],
        arguments: Grammar::Ignored,
        looks_at: LIBRARY,
        why: "it does nothing, and says nothing of what it was given",
    },
    Known {
        paths: ["/usr/bin/false", "/bin/false"],
        arguments: Grammar::Ignored,
        looks_at: LIBRARY,
        why: "it does nothing but fail, and says nothing of what it was given",
    },
    Known {
        paths: ["/usr/bin/sleep", "/bin/sleep"],
        arguments: Grammar::Times,
        looks_at: LIBRARY,
        why: "it waits as long as the policy says, and looks at nothing",
    },
];

/// The entry of a program.
pub(super) fn of(path: &Path) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.paths.iter().any(|known| Path::new(known) == path))
}

impl Known {
    /// Whether the program is known with such arguments. None of them is free: whoever asks has looked at that.
    pub(super) fn takes(&self, arguments: &[Element]) -> bool {
        match self.arguments {
            Grammar::Ignored => true,
            Grammar::Times => !arguments.is_empty() && arguments.iter().all(is_time),
        }
    }

    /// Whether the program looks at a variable.
    pub(super) fn reads(&self, name: &EnvName) -> bool {
        self.looks_at.iter().any(|looked| crate::names::glob_matches(looked, name.as_str()))
    }
}

fn is_time(element: &Element) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match (element.literal(), element.typed()) {
        (Some(text), _) => digits(text.strip_suffix(['s', 'm', 'h', 'd']).unwrap_or(text)),
        (None, Some([Piece::Int(..)])) => true,
        (None, Some([Piece::Int(..), Piece::Text(unit)])) => matches!(unit.as_str(), "s" | "m" | "h" | "d"),
        _ => false,
    }
}
