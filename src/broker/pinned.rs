//! What the operator vouched for when a policy was applied: what pinned rules hold, and the programs of rules that
//! they reviewed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{ground, resolve::ResolveContext};
use crate::{
    policy::{Document, Finding, Pinned, ProgramMark, Resolved, Review, Rule, Severity},
    sandbox::{digest_program, program_chain},
    system,
};

/// Whether the operator's word is given anew: for a document that they apply it is, for a rule that they add to one it
/// stays what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// As of now.
    Given,
    /// As of then.
    Kept,
}

/// Who applies a policy, and when.
pub(crate) struct Applied<'a> {
    pub by: &'a str,
    pub at: String,
    pub word: Word,
}

/// Digests the interpreters of pinned programs, and the files that pinned commands name in full.
pub(crate) fn hold(document: &Document, resolved: &mut Resolved, machine: &ResolveContext) {
    let mut pinned = Pinned::default();
    let search: Vec<PathBuf> =
        document.path_dirs(&machine.user_home).into_iter().chain(system::path()).collect();
    let start = document.cwd_dirs(&machine.user_home).into_iter().next();
    for pattern in
        document.allow.iter().filter(|rule| rule.pin).flat_map(|rule| rule.commands.iter().flatten())
    {
        let Some(program) = resolved.programs.get(&pattern.program) else { continue };
        for interpreter in program_chain(program, &search).into_iter().skip(1) {
            if let Ok(digest) = digest_program(&interpreter) {
                pinned.interpreters.insert(interpreter, hex::encode(digest));
            }
        }
        for text in pattern.literals() {
            let path = match &start {
                Some(start) => start.join(text),
                None => PathBuf::from(text),
            };
            // What is no file is no script; a directory of scripts is not held, and docs say so.
            if let Some(digest) =
                Some(path).filter(|path| path.is_absolute()).and_then(|p| digest_program(&p).ok())
            {
                pinned.files.insert(text.to_owned(), hex::encode(digest));
            }
        }
    }
    resolved.pinned = Some(pinned);
}

/// Puts the operator's word on record, with the programs of which it is said.
///
/// # Errors
/// A finding for each program that whoever calls may be able to change: no word holds for what can be exchanged.
pub(crate) fn review(
    document: &Document,
    resolved: &mut Resolved,
    before: Option<&Resolved>,
    applied: &Applied<'_>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut reviews = BTreeMap::new();
    for rule in document.allow.iter().filter(|rule| rule.reviewed) {
        let (programs, exchangeable) = programs_of(rule, document, resolved);
        if let Some(path) = exchangeable.filter(|_| !rule.pin) {
            findings.push(Finding {
                severity: Severity::Error,
                line: rule.line(),
                column: 1,
                message: format!(
                    "rule {} is reviewed, and {} can be changed by others than the administrator",
                    rule.id,
                    path.display()
                ),
                hint: "write pin = true in it, which holds the program to what it is now".to_owned(),
            });
        }
        let words = rule.words();
        let kept =
            before.and_then(|before| before.reviews.get(&words)).filter(|_| applied.word == Word::Kept);
        let given = || Review { by: applied.by.to_owned(), at: applied.at.clone(), programs };
        reviews.insert(words, kept.cloned().unwrap_or_else(given));
    }
    resolved.reviews = reviews;
    findings
}

/// A rule's programs and their interpreters as they are now, and the first that others may exchange.
fn programs_of(
    rule: &Rule,
    document: &Document,
    resolved: &Resolved,
) -> (BTreeMap<PathBuf, ProgramMark>, Option<PathBuf>) {
    let search: Vec<PathBuf> = document.path_dirs(&resolved.home).into_iter().chain(system::path()).collect();
    let named = rule.commands.iter().flatten().filter_map(|pattern| resolved.programs.get(&pattern.program));
    // By the name that it is found by, too: where that is a link, it may be led elsewhere.
    let all: Vec<PathBuf> =
        named.flat_map(|path| std::iter::once(path.clone()).chain(program_chain(path, &search))).collect();
    let exchangeable = all.iter().find(|path| !ground::administrators_alone(path)).cloned();
    let marks = all.into_iter().filter_map(|path| Some((path.clone(), ground::mark(&path).ok()?)));
    (marks.collect(), exchangeable)
}

/// What a plan's pinned rules hold beside their programs, a line each.
pub(crate) fn lines(resolved: &Resolved) -> Vec<String> {
    let Some(pinned) = &resolved.pinned else { return Vec::new() };
    let interpreters = pinned.interpreters.keys().map(|path| path.display().to_string());
    let files = pinned.files.keys().map(|text| Path::new(text).display().to_string());
    interpreters.chain(files).collect()
}
