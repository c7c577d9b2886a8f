//! What a command holds besides its program: the files that a call names by a type, and what a pin covers.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    applied::Policy,
    argv::ArgvPattern,
    decision::{PinnedRun, Request},
    document::Rule,
    typed::PathGlob,
};
use crate::names::EnvName;

impl Policy {
    /// The patterns of the rules that cover the command.
    fn covering<'a>(
        &'a self,
        rules: &'a [&Rule],
        request: &'a Request,
    ) -> impl Iterator<Item = &'a ArgvPattern> {
        let resolved =
            |pattern: &ArgvPattern| self.resolved.programs.get(&pattern.program).map(PathBuf::as_path);
        let all = rules.iter().flat_map(|rule| rule.commands.iter().flatten());
        all.filter(move |pattern| pattern.matches(&request.command, resolved(pattern)))
    }

    /// The files that the call names by a type. Where several patterns cover the command, the first is what it was
    /// allowed by, for each rule.
    pub(super) fn paths(
        &self,
        rules: &[&Rule],
        request: &Request,
        agent_env: &BTreeMap<EnvName, String>,
    ) -> Vec<(PathGlob, String)> {
        let first = rules.iter().filter_map(|rule| {
            let rule = std::slice::from_ref(rule);
            self.covering(rule, request).next().map(|pattern| pattern.paths(&request.command))
        });
        let named = first.flatten().collect::<Vec<_>>();
        let set = agent_env.iter().flat_map(|(name, text)| self.document.env.agent.paths(name, text));
        named.into_iter().chain(set).collect()
    }

    /// What else a pinned command holds.
    pub(super) fn pinned(&self, rules: &[&Rule], request: &Request) -> PinnedRun {
        let Some(pinned) = self.resolved.pinned.as_ref().filter(|_| rules.iter().any(|rule| rule.pin)) else {
            return PinnedRun::default();
        };
        let held: Vec<&Rule> = rules.iter().copied().filter(|rule| rule.pin).collect();
        let literal =
            self.covering(&held, request).flat_map(|pattern| &pattern.args).filter_map(|e| e.literal());
        let files = literal.filter_map(|text| Some((text.to_owned(), pinned.files.get(text)?.clone())));
        PinnedRun { interpreters: Some(pinned.interpreters.clone()), files: files.collect() }
    }
}
