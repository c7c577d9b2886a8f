//! `reviewed = true`: what the operator says and nobody can compute. Where it could be said of anything, it is
//! refused.

use std::{collections::BTreeSet, ops::Range};

use super::{
    document::Rule,
    edit,
    read::reader::Reader,
    sandbox::SandboxPart,
    words::{DeliveryMode, Network, Stdin},
};
use crate::names::EnvName;

impl Reader<'_> {
    /// Refuses the operator's word where the caller chooses what runs, or where what it tells goes.
    pub(super) fn check_reviewed(&mut self, at: Range<usize>, rule: &Rule, sandbox: &SandboxPart) {
        let free = rule.commands.iter().flatten().find_map(|pattern| pattern.free());
        let rest = rule.commands.iter().flatten().any(|pattern| pattern.any_rest);
        let wrong = if rule.deliver == DeliveryMode::Sealed {
            Some(("a sealed rule promises more already", "leave reviewed out"))
        } else if rule.commands.is_none() {
            Some(("nobody can have reviewed any command", "name the commands"))
        } else if rest {
            Some((
                "nobody can have reviewed ** for arguments",
                "write the arguments out, or as {int:…}, {enum:…}, {path:…}",
            ))
        } else if rule.stdin == Stdin::Text {
            Some(("nobody can have reviewed what comes by standard input", "write stdin = \"none\""))
        } else if sandbox.network == Network::Open && free.is_some() {
            Some((
                "with an open network, an argument of the caller's own can say where a secret goes",
                "write {host:…}, {enum:…} or {path:…} for the *, or network = \"none\"",
            ))
        } else {
            None
        };
        if let Some((message, hint)) = wrong {
            self.error(at, message, hint);
        }
    }
}

impl Rule {
    /// The line where it begins.
    pub fn line(&self) -> usize {
        self.line
    }

    /// All that the operator's word is about: another rule, or the same one changed, is not what was reviewed.
    pub(crate) fn words(&self) -> String {
        edit::rule_grants(self).join("\n")
    }

    /// The variables that its secrets go by, as far as it says so itself.
    pub(super) fn variables(&self) -> Vec<EnvName> {
        let literal = self.secrets.iter().filter_map(|pattern| pattern.literal());
        let defaults = literal.filter(|name| !self.env.contains_key(name)).map(|name| name.default_env());
        self.env.values().cloned().chain(defaults).collect::<BTreeSet<_>>().into_iter().collect()
    }
}
