//! How much one event may say. Every event goes through [`bound`], whoever wrote what is in it: a
//! refused call with a hundred thousand names must not fill the disk.
//!
//! Lengths are those of the JSON, in which one byte can be six.

use jiff::Timestamp;

use super::{
    Head,
    change::Change,
    event::{Allowance, Body, Event, IntentFacts, Note, OutcomeFacts, Own},
};

/// A principal, a scope, a host, a rule's id.
const NAME: usize = 320;
/// A word of ours, a digest.
const WORD: usize = 64;
/// A path: what Linux takes for one.
const PATH: usize = 4096;
/// A sentence, a path of a URL, what an operator changed.
const TEXT: usize = 1024;
const TARGET: usize = 2048;
/// The arguments of a refused command.
const DENIED_ARGV: usize = 2048;
/// The names of a refused call.
const DENIED_SECRETS: usize = 512;
/// What a run was given: as much as a policy writes.
const GIVEN: usize = 16 * 1024;
const KINDS: usize = 32;

impl Body {
    /// An event that comes after a head, now: the one way to a line, and so the place where it is bounded.
    pub(super) fn after(head: Head, mut event: Event, change: Option<Change>) -> Self {
        let cut = bound(&mut event);
        Self { seq: head.seq + 1, time: Timestamp::now(), event, change, cut, prev: hex::encode(head.hash) }
    }
}

/// Cuts what is too long, and says whether anything was.
pub(super) fn bound(event: &mut Event) -> bool {
    let mut cut = Cut(false);
    match event {
        Event::Note(note) => cut.note(note),
        Event::Own(Own::Intent { facts, what, .. }) => {
            cut.intent(facts);
            cut.allowance(what);
        }
        Event::Own(Own::Outcome { facts, .. }) => cut.outcome(facts),
        Event::Own(Own::Restarted { kept, .. }) => cut.text(kept, NAME),
        Event::Own(Own::Archived { to, .. }) => cut.text(to, PATH),
        Event::Own(
            Own::Checkpoint { .. } | Own::Changed { .. } | Own::Recovered { .. } | Own::Segment { .. },
        ) => {}
    }
    cut.0
}

/// The same for a note that is kept before it is written. It remembers that it was cut.
pub(super) fn bound_note(note: &mut Note) {
    let mut found = Cut(false);
    found.note(note);
    if let Note::Denied { cut, .. } = note {
        *cut |= found.0;
    }
}

struct Cut(bool);

impl Cut {
    fn note(&mut self, note: &mut Note) {
        match note {
            Note::Denied { principal, scope, code, rule, argv, secrets, cut } => {
                self.0 |= *cut;
                self.text(principal, NAME);
                self.some(scope, NAME);
                self.text(code, WORD);
                self.some(rule, NAME);
                self.list(argv, DENIED_ARGV);
                self.list(secrets, DENIED_SECRETS);
            }
            Note::DenialsSummed { principal, codes, .. } => {
                self.text(principal, NAME);
                self.map(codes);
            }
            Note::Request { host, method, path, refused, secrets, .. } => {
                self.text(host, NAME);
                self.text(method, WORD);
                self.text(path, TEXT);
                self.some(refused, TEXT);
                self.list(secrets, TARGET);
            }
            Note::MoreRequests { .. } => {}
            Note::Admin { principal, action, target, detail } => {
                self.text(principal, NAME);
                self.text(action, WORD);
                self.text(target, TARGET);
                self.some(detail, TEXT);
            }
        }
    }

    fn intent(&mut self, facts: &mut IntentFacts) {
        self.text(&mut facts.principal, NAME);
        self.some(&mut facts.token, NAME);
        self.some(&mut facts.program_sha256, WORD);
        self.some(&mut facts.argv_sha256, WORD);
        self.list(&mut facts.interpreters, GIVEN);
        self.some(&mut facts.cwd, PATH);
        self.some(&mut facts.by, WORD);
        self.list(&mut facts.sandbox, TEXT);
    }

    fn allowance(&mut self, what: &mut Allowance) {
        match what {
            Allowance::Run { rules, program, secrets, .. } => {
                self.list(rules, GIVEN);
                self.text(program, PATH);
                self.list(secrets, GIVEN);
            }
            Allowance::Reveal { secrets, .. } => self.list(secrets, GIVEN),
        }
    }

    fn outcome(&mut self, facts: &mut OutcomeFacts) {
        self.text(&mut facts.outcome, WORD);
        self.list(&mut facts.file_hits, PATH);
        self.map(&mut facts.written);
        self.map(&mut facts.redactions);
    }

    fn text(&mut self, text: &mut String, most: usize) {
        let mut length = 0;
        let end = text.char_indices().find(|(_, c)| {
            length += json_bytes(*c);
            length > most
        });
        if let Some((end, _)) = end {
            text.truncate(end);
            self.0 = true;
        }
    }

    fn some(&mut self, text: &mut Option<String>, most: usize) {
        if let Some(text) = text {
            self.text(text, most);
        }
    }

    /// An item that is longer than what is left is dropped with everything behind it: half an argument
    /// would make another command than the one that was asked for.
    fn list(&mut self, items: &mut Vec<String>, most: usize) {
        let mut left = most;
        let fit = items.iter().take_while(|item| {
            // No text is shorter as JSON: megabytes are not counted one by one.
            let length =
                if item.len() < left { 3 + item.chars().map(json_bytes).sum::<usize>() } else { most };
            let fits = item.len() < left && length <= left;
            left = left.saturating_sub(length);
            fits
        });
        let fit = fit.count();
        self.0 |= fit < items.len();
        items.truncate(fit);
    }

    fn map(&mut self, kinds: &mut std::collections::BTreeMap<String, u64>) {
        while kinds.len() > KINDS {
            self.0 |= kinds.pop_last().is_some();
        }
        let long = |key: &String| key.len() > WORD;
        self.0 |= kinds.keys().any(long);
        kinds.retain(|key, _| !long(key));
    }
}

fn json_bytes(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        c if c.is_ascii_control() => 6,
        c => c.len_utf8(),
    }
}
