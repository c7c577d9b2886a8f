//! `[env]`: which variables a child gets beside its secrets, and who chooses them.

use std::collections::BTreeMap;

use super::{argv::Element, env_names, typed::PathGlob, words::HomeMode};
use crate::names::EnvName;

/// `[env]`.
#[derive(Debug, Clone, Default)]
pub struct EnvPart {
    /// Directories before the system's, `~` not yet replaced.
    pub path: Vec<String>,
    /// From the server's environment.
    pub pass: Variables,
    /// That a call may set.
    pub agent: Variables,
    /// Which HOME.
    pub home: HomeMode,
    /// What a policy that was applied by an earlier version names, and this one neither passes nor lets a call set.
    pub(super) dropped: Vec<EnvName>,
}

/// Variables, each with the texts that it may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables(pub(super) BTreeMap<EnvName, Texts>);

/// The texts that a variable may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Texts {
    /// Those that are harmless for its name.
    Harmless,
    /// Those of a type.
    Typed(Element),
}

impl Variables {
    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &EnvName> {
        self.0.keys()
    }

    /// Whether a variable may have a text.
    pub fn fits(&self, name: &EnvName, text: &str) -> bool {
        match self.0.get(name) {
            None => false,
            Some(Texts::Harmless) => env_names::harmless(name.as_str(), text) == Some(true),
            Some(Texts::Typed(element)) => element.covers(text) && !text.contains('\0'),
        }
    }

    /// The first that has no type of the policy's own.
    pub(super) fn untyped(&self) -> Option<&EnvName> {
        self.0.iter().find(|(_, texts)| **texts == Texts::Harmless).map(|(name, _)| name)
    }

    /// The first that names a file.
    pub(super) fn with_path(&self) -> Option<&EnvName> {
        let has_path = |texts: &Texts| match texts {
            Texts::Harmless => false,
            Texts::Typed(element) => element.has_path(),
        };
        self.0.iter().find(|(_, texts)| has_path(texts)).map(|(name, _)| name)
    }

    /// The paths that a variable's text names, with what each must fit once links are followed.
    pub(super) fn paths(&self, name: &EnvName, text: &str) -> Vec<(PathGlob, String)> {
        match self.0.get(name) {
            Some(Texts::Typed(element)) => element.paths(text),
            None | Some(Texts::Harmless) => Vec::new(),
        }
    }

    /// Each as a policy would write it: the name, and its type where it has one.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(name, texts)| match texts {
            Texts::Harmless => name.to_string(),
            Texts::Typed(element) => format!("{name} ({})", element.as_str()),
        })
    }
}
