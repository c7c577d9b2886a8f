//! Policies that an earlier version applied: what they do until they are applied again.

use jiff::Timestamp;

use super::{Admin, failure::Failure};
use crate::{
    broker::{
        ResolveContext,
        documents::{StoredPolicy, put_policy},
    },
    names::ScopeName,
    policy::{Effect, Promise},
    vault::{Pin, UnlockMethod, UnlockMethodKind},
};

const TEXT: &str = "scope = \"s\"\n[env]\nagent = [\"TAR_OPTIONS\"]\npass = [\"NODE_OPTIONS\"]\n[[allow]]\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = [[\"true\", \"{a: .b}\"]]\n";

/// A policy as 0.1.0 stored it: without an edition.
fn stored() -> StoredPolicy {
    let json = serde_json::json!({
        "text": TEXT,
        "resolved": {"home": "/home/u", "programs": {"true": "/usr/bin/true"}, "digests": {}, "search": ["/usr/bin"]},
    });
    serde_json::from_value(json).unwrap()
}

#[test]
fn a_policy_of_before_is_read_as_it_was_and_promises_less() {
    let policy = stored().compile().unwrap();
    assert_eq!(policy.promises()[0].1.promise, Promise::BestEffort);
    assert_eq!(policy.dropped_variables().len(), 2);
    assert!(StoredPolicy { edition: StoredPolicy::EDITION, ..stored() }.compile().is_err());
}

#[test]
fn what_is_out_of_date_is_named_until_it_is_applied_again() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let admin = Admin::init(
        &crate::broker::Surroundings::default(),
        &home,
        UnlockMethodKind::IdentityFile,
        &UnlockMethod::IdentityFile(None),
        Pin::Unwanted,
    )
    .unwrap();
    let scope = ScopeName::parse("s").unwrap();
    admin
        .change("policy_apply", "s".to_owned(), None, |open| {
            put_policy(&mut open.vault, &scope, &stored(), Timestamp::now()).map_err(Failure::from)
        })
        .unwrap();
    let named = admin.out_of_date().unwrap();
    assert_eq!(named.len(), 1);
    let said = named[0].notes.join("\n");
    for words in ["TAR_OPTIONS", "NODE_OPTIONS", "standard input"] {
        assert!(said.contains(words), "{said}");
    }
    let machine = ResolveContext { user_home: dir.path().into(), path: Vec::new(), cwd: dir.path().into() };
    let failure = admin.plan_policy(TEXT, &machine).err().unwrap();
    assert_eq!(failure.findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [3, 4, 8]);
    let mended =
        TEXT.replace("TAR_OPTIONS", "LANG").replace("NODE_OPTIONS", "CI").replace("{a: .b}", "{{a: .b}}");
    let plan = admin.plan_policy(&mended, &machine).unwrap();
    assert!(
        plan.changes
            .iter()
            .any(|change| change.effect == Effect::Narrows && change.text.contains("standard input")),
        "{:?}",
        plan.changes
    );
    admin.apply_policy(plan).unwrap();
    assert!(admin.out_of_date().unwrap().is_empty());
}

/// A sealed rule as it was applied before headers had to be named.
const SEALED: &str = "scope = \"s\"\n[[allow]]\nid = \"api\"\nsecrets = [\"app/key\"]\ndeliver = \"sealed\"\nhosts = [\"api.example.com\"]\ninject = \"bearer\"\ncommands = \"any\"\n";

fn sealed(text: &str, edition: u32) -> StoredPolicy {
    let services = crate::policy::Document::parse(text).unwrap().services();
    let resolved = crate::policy::Resolved { values_judged: true, services, ..Default::default() };
    StoredPolicy { text: text.to_owned(), resolved, edition }
}

#[test]
fn a_placeholder_in_any_header_is_best_effort_and_named_until_the_policy_is_applied_again() {
    let before = sealed(SEALED, 1).compile().unwrap();
    assert_eq!(before.promises()[0].1.promise, Promise::BestEffort);
    let notes = before.notes_of_an_earlier_version(sealed(SEALED, 1).edition());
    assert!(
        notes.len() == 1 && notes[0].contains("rule api replaces its placeholder in any header"),
        "{notes:?}"
    );
    let now = sealed(SEALED, StoredPolicy::EDITION).compile().unwrap();
    assert_eq!(now.promises()[0].1.promise, Promise::Sealed);
    assert!(now.notes_of_an_earlier_version(sealed(SEALED, StoredPolicy::EDITION).edition()).is_empty());
    // What is written in the same words gives less from now on.
    let changes = crate::policy::changes(
        Some(&sealed(SEALED, 1).document().unwrap()),
        &sealed(SEALED, 2).document().unwrap(),
    );
    assert!(changes.iter().any(|change| change.text.contains("placeholder in any header")), "{changes:?}");
}

#[test]
fn a_newer_entry_of_a_service_changes_nothing_and_is_named() {
    let text = SEALED.replace("hosts = [\"api.example.com\"]\ninject = \"bearer\"", "service = \"stripe\"");
    let mut stored = sealed(&text, StoredPolicy::EDITION);
    let service = stored.resolved.services.get_mut("stripe").unwrap();
    (service.entry, service.hosts) = (0, vec!["api.before.example".to_owned()]);
    let policy = stored.clone().compile().unwrap();
    let notes = policy.notes_of_an_earlier_version(stored.edition());
    assert!(
        notes.len() == 1 && notes[0].contains("the service stripe is entry 0 here, and there is entry 1"),
        "{notes:?}"
    );
    let seal = policy.document().allow[0].seal.clone().unwrap();
    assert_eq!(seal.hosts[0].as_str(), "api.before.example");
    let json = serde_json::to_string(&stored).unwrap();
    assert_eq!(serde_json::from_str::<StoredPolicy>(&json).unwrap().resolved, stored.resolved);
}
