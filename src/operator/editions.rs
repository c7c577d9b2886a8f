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
