//! Policies: planned, compared, applied, removed.

use super::{Home, POLICY, fails, scope};
use crate::{
    operator::FailureKind,
    policy::{DeliveryMode, Effect, NewRule, Promise},
};

fn with(more: &str) -> String {
    POLICY.replacen("scope = \"s\"\n", &format!("scope = \"s\"\n{more}\n"), 1)
}

fn replaced(from: &str, to: &str) -> String {
    assert!(POLICY.contains(from), "{from}");
    POLICY.replace(from, to)
}

/// What gives anybody more is marked, each time: a row is what is applied, what is planned, and what is said of it.
#[test]
fn what_widens_is_marked() {
    let two_secrets = replaced("[\"app/key\"]", "[\"app/key\", \"app/two\"]");
    let two_commands = replaced("[[\"true\"]]", "[[\"true\"], [\"false\"]]");
    let any_argument = replaced("[[\"true\"]]", "[[\"true\", \"**\"]]");
    let withheld = replaced("id = \"a\"", "id = \"a\"\noutput = \"withhold\"");
    let filed = replaced("deliver = \"env\"", "deliver = \"file\"");
    let denied = with("") + "[[deny]]\nsecrets = [\"app/*\"]\n";
    let pairs = [
        ("a secret more", POLICY, &two_secrets, "app/two"),
        ("a command more", POLICY, &two_commands, "false"),
        ("any argument", POLICY, &any_argument, "**"),
        ("output that was withheld", &withheld, &POLICY.to_owned(), "output"),
        ("a bar less", &denied, &POLICY.to_owned(), "app/*"),
        (
            "more runs a minute",
            &with("limits.runs_per_minute = 5"),
            &with("limits.runs_per_minute = 6"),
            "5 → 6",
        ),
        ("longer runs", &with("limits.timeout = \"5s\""), &with("limits.timeout = \"6s\""), "timeout"),
        ("longer tokens", &with("limits.token_ttl = \"1h\""), &with("limits.token_ttl = \"2h\""), "token"),
        ("tokens in answers", POLICY, &with("delegate = true"), ""),
        ("the network", POLICY, &with("sandbox.network = \"open\""), "network"),
        ("no sandbox", POLICY, &with("sandbox.mode = \"off\""), "sandbox"),
        ("what a call may set", POLICY, &with("env.agent = [\"CI\"]"), "CI"),
        ("what is passed on", POLICY, &with("env.pass = [\"LANG\"]"), "LANG"),
    ];
    let mut both_ways = Vec::new();
    for (what, narrow, wide, word) in pairs {
        let home = Home::with_policy(narrow);
        let plan = home.admin.plan_policy(wide, &home.machine()).unwrap();
        let wider: Vec<_> = plan.changes.iter().filter(|change| change.effect == Effect::Widens).collect();
        assert!(wider.iter().any(|change| change.text.contains(word)), "{what}: {:?}", plan.changes);
        home.admin.apply_policy(plan).unwrap();
        // And the way back is none, as far as that is clear: a rule that says less is taken for another one.
        let back = home.admin.plan_policy(narrow, &home.machine()).unwrap();
        assert!(
            back.changes.iter().any(|change| change.effect == Effect::Narrows),
            "{what}: {:?}",
            back.changes
        );
        if back.changes.iter().any(|change| change.effect == Effect::Widens) {
            both_ways.push(what);
        }
    }
    assert_eq!(both_ways, ["a secret more", "any argument", "output that was withheld"]);
    // Neither is more than the other: both ways are marked.
    let home = Home::with_policy(POLICY);
    let plan = home.admin.plan_policy(&filed, &home.machine()).unwrap();
    assert!(plan.changes.iter().any(|change| change.effect == Effect::Widens), "{:?}", plan.changes);
}

#[test]
fn a_first_policy_is_new_and_the_same_again_is_no_change() {
    let home = Home::new();
    let plan = home.admin.plan_policy(POLICY, &home.machine()).unwrap();
    assert!(
        !plan.changes.is_empty() && plan.changes.iter().all(|change| change.effect == Effect::Widens),
        "{:?}",
        plan.changes
    );
    assert_eq!(
        plan.promises.iter().map(|one| one.promised.promise).collect::<Vec<_>>(),
        [Promise::BestEffort]
    );
    // Nothing is done by planning.
    assert!(home.admin.scopes().unwrap().is_empty());
    home.admin.apply_policy(plan).unwrap();
    assert_eq!(home.admin.scopes().unwrap(), [scope("s")]);
    assert_eq!(home.admin.policy_text(&scope("s")).unwrap(), POLICY);
    assert!(home.admin.plan_policy(POLICY, &home.machine()).unwrap().changes.is_empty());
    let record = home.on_record();
    assert!(record[1].starts_with("policy_apply s sha256 "), "{record:?}");
    home.admin.remove_policy(&scope("s")).unwrap();
    assert!(home.admin.scopes().unwrap().is_empty());
    assert_eq!(home.on_record()[2..], ["policy_rm s"]);
}

#[test]
fn a_plan_is_applied_to_what_it_was_made_for_only() {
    let home = Home::new();
    let wide = replaced("[[\"true\"]]", "[[\"true\", \"**\"]]");
    let first = home.admin.plan_policy(POLICY, &home.machine()).unwrap();
    home.apply(&wide);
    let failure = fails(home.admin.apply_policy(first), FailureKind::Failed, "policy apply FILE");
    assert!(failure.message.contains("changed by somebody else"), "{failure:?}");
    assert_eq!(home.admin.policy_text(&scope("s")).unwrap(), wide);
}

#[test]
fn a_wrong_document_changes_nothing_and_every_mistake_has_its_place() {
    let home = Home::with_policy(POLICY);
    let wrong = "scope = \"s\"\nlimits.timeout = \"soon\"\n[[allow]]\ndeliver = \"env\"\nsecrets = [\"app/key\"]\ncommands = [[]]\n";
    let done = home.admin.plan_policy(wrong, &home.machine());
    let failure = fails(done, FailureKind::Usage, "apply again");
    assert_eq!(failure.message, "the policy has 2 errors; nothing was changed");
    let lines: Vec<_> = failure.findings.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [2, 6], "{failure:?}");
    let done = home.admin.plan_policy("scope = \"s\"\nscopes = 1\n", &home.machine());
    let failure = fails(done, FailureKind::Usage, "apply again");
    assert_eq!(failure.message, "the policy has 1 error; nothing was changed");
    let absent = POLICY.replace("\"true\"", "\"no-such-program\"");
    let done = home.admin.plan_policy(&absent, &home.machine());
    assert_eq!(fails(done, FailureKind::Usage, "").findings[0].line, 6);
    assert_eq!(home.admin.policy_text(&scope("s")).unwrap(), POLICY);
    assert_eq!(home.on_record().len(), 2);
}

#[test]
fn a_rule_of_one_line_is_added_to_what_is_there() {
    let home = Home::with_policy(POLICY);
    let rule = NewRule {
        id: Some("b".to_owned()),
        secrets: vec!["app/two".to_owned()],
        deliver: DeliveryMode::Env,
        command: Some(vec!["false".to_owned()]),
        ..NewRule::default()
    };
    let plan = home.admin.plan_rule(&scope("s"), &rule, &home.machine()).unwrap();
    assert!(
        plan.changes.iter().any(|change| change.effect == Effect::Widens && change.text.contains("app/two"))
    );
    home.admin.apply_policy(plan).unwrap();
    let text = home.admin.policy_text(&scope("s")).unwrap();
    assert!(text.starts_with(POLICY) && text.contains("\"b\""), "{text}");
}

#[test]
fn a_scope_without_a_policy_is_not_found() {
    let home = Home::new();
    let allow = "authy-mcp admin allow s --secret NAME";
    fails(home.admin.policy_text(&scope("s")), FailureKind::NotFound, allow);
    fails(home.admin.remove_policy(&scope("s")), FailureKind::NotFound, allow);
    fails(home.admin.explain(&scope("s"), &crate::policy::Request::default()), FailureKind::NotFound, allow);
}
