//! Secrets: set, rotated, brought back, removed, looked at.

use super::{Home, STRONG, fails, secret};
use crate::operator::{FailureKind, WeakValues};

#[test]
fn a_secret_is_set_rotated_brought_back_and_removed() {
    let home = Home::new();
    let name = secret("app/key");
    let values = ["one", "two"].map(|word| format!("{STRONG}-{word}"));
    assert_eq!((home.set("app/key", &values[0]), home.set("app/key", &values[1])), (1, 2));
    assert_eq!(home.value("app/key", None), values[1]);
    assert_eq!(home.value("app/key", Some(1)), values[0]);

    // Brought back is a version of its own: what was in between is still there.
    assert_eq!(home.admin.rollback(&name, 1).unwrap().version, 3);
    assert_eq!(home.value("app/key", None), values[0]);
    let kept = home.admin.history(&name).unwrap();
    let kept: Vec<_> = kept.iter().map(|version| (version.version, version.current)).collect();
    assert_eq!(kept, [(1, false), (2, false), (3, true)]);

    home.admin.remove(&name).unwrap();
    assert!(home.admin.list().unwrap().is_empty());
    fails(home.admin.get(&name), FailureKind::NotFound, "admin list");
    // Its versions are gone with it.
    assert_eq!(home.set("app/key", &values[1]), 1);
    assert_eq!(
        home.on_record()[1..],
        ["set app/key", "set app/key", "rollback app/key version 1", "rm app/key", "set app/key"]
    );
    let log = home.log();
    assert!(log.contains("revealed") && !log.contains(STRONG), "{log}");
}

#[test]
fn the_last_ten_versions_are_kept() {
    let home = Home::new();
    for number in 1..=12 {
        assert_eq!(home.set("app/key", &format!("{STRONG}-{number}")), number);
    }
    let kept = home.admin.history(&secret("app/key")).unwrap();
    assert_eq!(kept.iter().map(|version| version.version).collect::<Vec<_>>(), (3..=12).collect::<Vec<_>>());
    let gone = home.admin.rollback(&secret("app/key"), 2);
    let failure = fails(gone, FailureKind::NotFound, "authy-mcp admin history app/key");
    assert_eq!(failure.message, "app/key has no version 2 that is kept");
}

#[test]
fn what_is_not_there_is_not_found_and_the_hint_says_where_to_look() {
    let home = Home::new();
    let name = secret("app/key");
    let all = "authy-mcp admin list";
    fails(home.admin.get(&name), FailureKind::NotFound, all);
    fails(home.admin.remove(&name), FailureKind::NotFound, all);
    fails(home.admin.history(&name), FailureKind::NotFound, all);
    fails(home.admin.rollback(&name, 1), FailureKind::NotFound, all);
    fails(home.admin.reveal(&name, None), FailureKind::NotFound, all);
    home.set("app/key", STRONG);
    fails(home.admin.reveal(&name, Some(7)), FailureKind::NotFound, all);
}

#[test]
fn a_value_that_can_not_be_kept_out_of_output_is_refused_unless_it_is_insisted_on() {
    let home = Home::new();
    let weak = [
        "",
        "   ",
        "abc",
        "aaaaaaaaaaaa",
        "password",
        "123456789",
        "abcdefgh",
        "en_US.UTF-8",
        "us-east-1",
        "10.0.0.1:8080",
        "production",
    ];
    for value in weak {
        let failure =
            fails(home.try_set(&[("a", value)], WeakValues::Refuse), FailureKind::Denied, "--allow-weak");
        assert!(failure.message.starts_with("the value of a "), "{failure:?}");
        // The value is in no message, whole or in part.
        assert!(value.trim().is_empty() || !failure.in_a_line().contains(value), "{failure:?}");
    }
    assert!(home.admin.list().unwrap().is_empty());
    assert_eq!(home.on_record().len(), 1, "nothing but the vault's beginning");
    assert_eq!(home.try_set(&[("a", "abc")], WeakValues::Allow).unwrap(), [1]);
    for strong in [STRONG, "ghp_16C7e42F292c6912E7710c838347Ae178B4a"] {
        home.try_set(&[("b", strong)], WeakValues::Refuse).unwrap();
    }
}

#[test]
fn secrets_are_set_all_or_none() {
    let home = Home::new();
    home.set("kept", STRONG);
    let some = [("kept", "another-value-6Tz1-Qm4x"), ("weak", "abc")];
    let failure = fails(home.try_set(&some, WeakValues::Refuse), FailureKind::Denied, "--generate");
    assert!(failure.message.contains("weak"), "{failure:?}");
    let large = "x9".repeat(600_000);
    let some = [("kept", "another-value-6Tz1-Qm4x"), ("large", large.as_str())];
    fails(home.try_set(&some, WeakValues::Allow), FailureKind::Usage, "keep large files");
    assert_eq!(home.value("kept", None), STRONG);
    assert_eq!(home.admin.list().unwrap().len(), 1);
    // What was tried and failed is on record; what was refused before is not.
    assert_eq!(home.on_record()[1..], ["set kept", "set_failed kept large the value is larger than 1 MiB"]);
    assert_eq!(home.try_set(&[("b", STRONG), ("kept", STRONG)], WeakValues::Refuse).unwrap(), [1, 2]);
}
