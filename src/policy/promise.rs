//! What may be promised of a rule: computed from what is known to be good, never claimed, and never from a list of
//! what is bad, which has no end.
//!
//! - `sealed`: the delivery is sealed; the child never has the value, whatever it runs.
//! - `reviewed`: the program is one of [`super::known`], its call fits the grammar there, and nothing that decides what
//!   it does can be written or chosen by whoever calls: no file, no directory, no variable, no input, no argument
//!   beyond a type's bounds.
//! - `reviewed_by_operator`: the operator says so, and the programs are those of which it was said.
//! - `best_effort`: everything else, with the first reason why.
//!
//! What lies on the machine is looked at by others ([`Ground`]); what nobody looked at counts as anybody's.

use std::{collections::BTreeSet, path::PathBuf};

use super::{
    applied::Policy,
    decision::{Promise, Promised},
    document::Rule,
    edition::Edition,
    env_names,
    ground::{Ground, Hold},
    known::{self, Known},
    resolved::ProgramMark,
    sealed::Seal,
    services,
    words::{DeliveryMode, HomeMode, Network, SandboxMode, Stdin},
};
use crate::{names::EnvName, system};

impl Policy {
    /// What may be promised of a rule whose secrets go by these variables.
    pub(super) fn promised(&self, rule: &Rule, carried: &[EnvName]) -> Promised {
        if rule.seal.as_ref().is_some_and(Seal::replaces_in_any_header) {
            return Promised::best_effort(
                "its placeholder is replaced in any header, also in those that hosts keep: apply the policy again",
            );
        }
        if rule.deliver == DeliveryMode::Sealed {
            // The flag gives something up, and says so to whoever relies on the promise.
            let why = rule.guessable.then(|| {
                "guessable = true: a host that says again what it is sent answers guesses at the value"
                    .to_owned()
            });
            return Promised { promise: Promise::Sealed, why };
        }
        if rule.reviewed {
            return self.operators_word(rule);
        }
        match self.known_good(rule, carried) {
            Ok(why) => Promised { promise: Promise::Reviewed, why: Some(why.to_owned()) },
            Err(why) => Promised::best_effort(why),
        }
    }

    fn operators_word(&self, rule: &Rule) -> Promised {
        let Some(review) = self.resolved.reviews.get(&rule.words()) else {
            return Promised::best_effort("reviewed = true is not on record: apply the policy again");
        };
        if let Some(path) = review.programs.keys().find(|path| self.ground.changed.contains(*path)) {
            let why = format!("{} has changed since the operator reviewed it", path.display());
            return Promised::best_effort(why);
        }
        let why = format!("on the word of {}, {}", review.by, review.at);
        Promised { promise: Promise::ReviewedByOperator, why: Some(why) }
    }

    /// Why the rule's commands can't tell a secret, or the first reason why nobody knows that.
    fn known_good(&self, rule: &Rule, carried: &[EnvName]) -> Result<&'static str, String> {
        let why = self.fits_what_is_known(rule, carried)?;
        self.stands_on_firm_ground(rule)?;
        Ok(why)
    }

    /// All that can be told without looking at the machine.
    fn fits_what_is_known(&self, rule: &Rule, carried: &[EnvName]) -> Result<&'static str, String> {
        let Some(patterns) = &rule.commands else {
            return Err("any command may have its secrets".to_owned());
        };
        let mut why = "it has no secrets";
        for pattern in patterns {
            let known = self.known_program(&pattern.program).ok_or_else(|| {
                format!("{} is not one of the programs that are known not to tell a secret", pattern.program)
            })?;
            if let Some(free) = pattern.free() {
                return Err(format!("{free} lets the caller choose what {} is told", pattern.program));
            }
            if pattern.args.iter().any(super::argv::Element::has_path) {
                return Err(format!("{} is given a file that the caller chooses", pattern.program));
            }
            if !known.takes(&pattern.args) {
                return Err(format!("{} is not known with these arguments", pattern.program));
            }
            if let Some(name) = carried.iter().find(|name| known.reads(name)) {
                return Err(format!("{} looks at {name} itself", pattern.program));
            }
            why = known.why;
        }
        self.nothing_is_the_callers(rule)?;
        Ok(why)
    }

    /// Input, variables, network and places that would let a call, or what it left somewhere, decide.
    fn nothing_is_the_callers(&self, rule: &Rule) -> Result<(), String> {
        let document = &self.document;
        if rule.stdin == Stdin::Text {
            return Err("its standard input is the caller's".to_owned());
        }
        if let Some(name) = document.env.agent.untyped() {
            return Err(format!("a call may set {name}, which has no type"));
        }
        if let Some(name) = document.env.pass.untyped() {
            return Err(format!("{name} comes from the process that starts the server, and has no type"));
        }
        let with_path = document.env.agent.with_path().or(document.env.pass.with_path());
        if let Some(name) = with_path {
            return Err(format!("{name} names a file that the caller chooses"));
        }
        if let Some(name) = rule.set_env.keys().find(|name| env_names::never_a_calls(name.as_str())) {
            return Err(format!("its set_env has {name}, which decides what programs load"));
        }
        let sandbox = &document.sandbox;
        if rule.sandbox.unwrap_or(sandbox.mode) != SandboxMode::Required {
            return Err("its sandbox need not stand".to_owned());
        }
        if sandbox.network == Network::Open {
            return Err("its network is open".to_owned());
        }
        if document.env.home == HomeMode::User {
            return Err("it has your HOME, with files that programs read unasked".to_owned());
        }
        if let Some(dir) = document.cwd.first() {
            return Err(format!(
                "it starts in {dir}, where the caller may leave files that programs read unasked"
            ));
        }
        Ok(())
    }

    /// Whether what the rule's programs are, and what they load, is the administrator's alone.
    fn stands_on_firm_ground(&self, rule: &Rule) -> Result<(), String> {
        for pattern in rule.commands.iter().flatten() {
            let program = self.resolved.programs.get(&pattern.program);
            let found = program.and_then(|path| self.ground.paths.get(path));
            let Some(found) = found else { return Err(format!("nobody looked at {}", pattern.program)) };
            if known::of(&found.real).is_none() {
                return Err(format!(
                    "{} is {}, which is not known not to tell a secret",
                    pattern.program,
                    found.real.display()
                ));
            }
            if found.hold == Hold::Anybodys && !rule.pin {
                return Err(format!(
                    "{} can be changed by you or by others, and is not pinned",
                    found.real.display()
                ));
            }
        }
        let loaded = self.directories().into_iter().chain(system::LOADED.iter().map(PathBuf::from));
        for path in loaded {
            if !self.ground.holds(&path) {
                return Err(format!("{} can be written by you or by others", path.display()));
            }
        }
        Ok(())
    }

    /// The entry of a program, by the name that it was resolved to; its links are another question.
    fn known_program(&self, written: &str) -> Option<&'static Known> {
        known::of(self.resolved.programs.get(written)?)
    }

    /// Where the child finds programs: the policy's directories, then the system's.
    fn directories(&self) -> Vec<PathBuf> {
        let own = self.document.path_dirs(&self.resolved.home);
        own.into_iter().chain(system::path()).collect()
    }

    /// The paths that have to be looked at before anything better than best effort can be said. Most policies have
    /// none.
    pub(crate) fn ground_in_question(&self) -> BTreeSet<PathBuf> {
        let mut paths = BTreeSet::new();
        for rule in
            self.document.allow.iter().filter(|rule| !rule.reviewed && rule.deliver != DeliveryMode::Sealed)
        {
            if self.fits_what_is_known(rule, &[]).is_ok() {
                let programs = rule.commands.iter().flatten().map(|pattern| &pattern.program);
                paths.extend(programs.filter_map(|program| self.resolved.programs.get(program).cloned()));
            }
        }
        if !paths.is_empty() {
            paths.extend(self.directories());
            paths.extend(system::LOADED.iter().map(PathBuf::from));
        }
        paths
    }

    /// The programs that the operator reviewed, as they were.
    pub(crate) fn programs_under_review(&self) -> impl Iterator<Item = (&PathBuf, &ProgramMark)> {
        self.resolved.reviews.values().flat_map(|review| &review.programs)
    }

    /// The same policy on what was found.
    #[must_use]
    pub(crate) fn on(self, ground: Ground) -> Self {
        Self { ground, ..self }
    }

    /// What a policy that an earlier version applied does less, or promises less, than it says, or would say now.
    pub(crate) fn notes_of_an_earlier_version(&self, edition: Edition) -> Vec<String> {
        let mut notes = if edition < Edition::Typed { self.notes_before_types() } else { Vec::new() };
        let header = self
            .document
            .allow
            .iter()
            .filter(|rule| rule.seal.as_ref().is_some_and(Seal::replaces_in_any_header));
        notes.extend(header.map(|rule| {
            format!("rule {} replaces its placeholder in any header, also in those that hosts keep, so it is best effort", rule.id)
        }));
        let shipped = services::shipped();
        notes.extend(self.resolved.services.iter().filter_map(|(name, applied)| {
            let newer = shipped.get(name).filter(|now| now.entry > applied.entry)?;
            Some(format!(
                "the service {name} is entry {} here, and there is entry {}",
                applied.entry, newer.entry
            ))
        }));
        notes
    }

    fn notes_before_types(&self) -> Vec<String> {
        let dropped = self.document.env.dropped.iter();
        let dropped =
            dropped.map(|name| format!("{name} is no longer passed, nor set by a call: it has no type"));
        let text =
            self.document.allow.iter().filter(|rule| rule.stdin == Stdin::Text && !rule.secrets.is_empty());
        let text = text
            .filter(|rule| rule.deliver != DeliveryMode::Sealed)
            .map(|rule| format!("rule {} takes any text on standard input, so it is best effort", rule.id));
        dropped.chain(text).collect()
    }

    /// What may be promised of each rule, by its id.
    pub(crate) fn promises(&self) -> Vec<(String, Promised)> {
        self.document
            .allow
            .iter()
            .map(|rule| (rule.id.clone(), self.promised(rule, &rule.variables())))
            .collect()
    }
}
