//! Tokens: issued, revoked, renewed, used up, ended; and what was given up under them.

use std::time::Duration;

use super::{Home, POLICY, fails, scope};
use crate::{
    broker::documents::{self, Narrowing, StoredToken},
    clock::Clock,
    names::{GrantId, TokenId},
    operator::{FailureKind, TokenInfo, TokenOrder, TokenState},
    token::Class,
};

const HOUR: i64 = 3600;

fn order() -> TokenOrder {
    TokenOrder { scope: scope("s"), ttl: None, max_uses: None, subject: None, file: None }
}

fn policy_with(token_ttl: &str) -> String {
    POLICY.replacen("scope = \"s\"\n", &format!("scope = \"s\"\nlimits.token_ttl = \"{token_ttl}\"\n"), 1)
}

impl Home {
    fn issue(&self, order: &TokenOrder) -> TokenId {
        self.admin.issue_token(order).unwrap().1.id
    }

    fn of(&self, subject: &str) -> TokenId {
        self.issue(&TokenOrder { subject: Some(subject.to_owned()), ..order() })
    }

    fn state(&self, id: &TokenId) -> TokenState {
        self.admin.token(id).unwrap().entry.state
    }

    /// Makes of a token one of another time, or one that was used.
    fn amend(&self, id: &TokenId, amend: impl FnOnce(&mut StoredToken)) {
        self.admin
            .change("test", id.to_string(), None, |open| {
                let mut token = documents::token(&open.vault, id)?.unwrap();
                amend(&mut token);
                documents::put_token(&mut open.vault, &token, self.clock.now())?;
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn a_token_lives_no_longer_than_its_scope_allows() {
    let home = Home::with_policy(&policy_with("2h"));
    for (ttl, lives) in [
        (None, Some(7200)),
        (Some(1), Some(1)),
        (Some(7200), Some(7200)),
        (Some(7201), None),
        (Some(0), None),
    ] {
        let issued = home.admin.issue_token(&TokenOrder { ttl: ttl.map(Duration::from_secs), ..order() });
        match lives {
            Some(lives) => {
                let (_, info) = issued.unwrap();
                assert_eq!(info.expires_at - info.issued_at, lives, "{ttl:?}");
            }
            None => {
                let failure = fails(issued, FailureKind::Usage, "token_ttl");
                assert_eq!(failure.message, "a token of s lives between 1 s and 7200 s");
            }
        }
    }
    let nowhere = home.admin.issue_token(&TokenOrder { scope: scope("other"), ..order() });
    fails(nowhere, FailureKind::NotFound, "authy-mcp admin allow other");
}

/// A row is what is done to a token, and how it stands then.
#[test]
fn how_a_token_stands() {
    type Done = fn(&Home, &TokenId);
    let rows: &[(&str, Done, TokenState)] = &[
        ("nothing", |_, _| (), TokenState::Good),
        ("revoked", |home, id| home.admin.revoke_token(id).unwrap(), TokenState::Revoked),
        (
            "revoked with its subject",
            |home, _| home.admin.revoke_subject("ann").unwrap(),
            TokenState::Revoked,
        ),
        ("another subject is", |home, _| home.admin.revoke_subject("bob").unwrap(), TokenState::Good),
        ("in its last second", |home, _| home.advance(HOUR - 1), TokenState::Good),
        ("ended", |home, _| home.advance(HOUR), TokenState::Ended),
        ("used", |home, id| home.amend(id, |token| token.info.uses = 1), TokenState::Good),
        ("used up", |home, id| home.amend(id, |token| token.info.uses = 2), TokenState::Spent),
        (
            "older than today's policy lets one be",
            |home, _| {
                home.advance(HOUR / 2);
                home.apply(&policy_with("30m"));
            },
            TokenState::Ended,
        ),
        (
            "its scope has no policy",
            |home, _| home.admin.remove_policy(&scope("s")).unwrap(),
            TokenState::Good,
        ),
    ];
    for (what, done, state) in rows {
        let home = Home::with_policy(POLICY);
        let id = home.issue(&TokenOrder {
            subject: Some("ann".to_owned()),
            max_uses: Some(2),
            ttl: Some(Duration::from_secs(HOUR.unsigned_abs())),
            ..order()
        });
        done(&home, &id);
        assert_eq!(home.state(&id), *state, "{what}");
        let listed = home.admin.tokens().unwrap();
        // The list leaves out those whose signed end has come.
        assert_eq!(
            listed.iter().map(|token| token.state).next(),
            (*what != "ended").then_some(*state),
            "{what}"
        );
        if let Some(token) = listed.first() {
            assert_eq!(token.info.revoked, *state == TokenState::Revoked, "{what}");
        }
    }
}

#[test]
fn what_is_issued_in_the_second_of_a_revocation_is_good() {
    let home = Home::with_policy(POLICY);
    let before = home.of("ann");
    home.admin.revoke_subject("ann").unwrap();
    let behind = home.of("ann");
    assert_eq!((home.state(&before), home.state(&behind)), (TokenState::Revoked, TokenState::Good));
}

#[test]
fn a_token_that_was_never_issued_is_not_found() {
    let home = Home::with_policy(POLICY);
    let id = TokenId::random();
    let list = "authy-mcp admin token list";
    fails(home.admin.revoke_token(&id), FailureKind::NotFound, list);
    fails(home.admin.token(&id), FailureKind::NotFound, list);
    fails(home.admin.lift_narrowings(&id), FailureKind::NotFound, list);
    let record = home.on_record();
    assert_eq!(record.last().unwrap(), &format!("token_revoke_failed {id} no token {id} was issued"));
}

/// A row is how old a token of so many seconds is, and whether it is renewed.
#[test]
fn a_token_in_a_file_is_renewed_when_half_of_its_time_is_over() {
    let day = 24 * HOUR;
    for (age, of, renewed) in
        [(0, day, false), (day / 2 - 60, day, false), (day / 2 + 60, day, true), (day + 60, day, true)]
    {
        let home = Home::with_policy(POLICY);
        let file = TokenOrder {
            file: Some("s-claude.jwt".to_owned()),
            subject: Some("ann".to_owned()),
            ttl: Some(Duration::from_secs(of.unsigned_abs())),
            ..order()
        };
        let path = home.admin.issue_token_file(&file).unwrap();
        let first = std::fs::read_to_string(&path).unwrap();
        home.advance(age);
        let done = home.admin.renew_tokens().unwrap();
        assert_eq!(!done.is_empty(), renewed, "{age} of {of}");
        assert_eq!(std::fs::read_to_string(&path).unwrap() != first, renewed, "{age} of {of}");
        if renewed {
            let newest = home.admin.tokens().unwrap().pop().unwrap();
            let TokenInfo { subject, issued_at, expires_at, .. } = &newest.info;
            assert_eq!((subject.as_str(), expires_at - issued_at), ("ann", of), "as long as it was");
            assert_eq!(newest.client.as_deref(), Some("claude"));
            // Once: what is new is not old.
            assert_eq!(home.admin.renew_tokens().unwrap(), [""; 0]);
        }
    }
}

#[test]
fn what_is_revoked_superseded_or_in_no_file_is_not_renewed() {
    let home = Home::with_policy(POLICY);
    let old = |id: &TokenId| {
        home.amend(id, |token| {
            (token.info.issued_at, token.info.expires_at) = (home.now() - 2 * HOUR, home.now() + HOUR)
        });
    };
    let loose = home.of("ann");
    old(&loose);
    assert_eq!(home.admin.renew_tokens().unwrap(), [""; 0], "it is in no file");

    let file = TokenOrder { file: Some("s-claude.jwt".to_owned()), ..order() };
    let first = home.issue(&file);
    old(&first);
    let second = home.issue(&file);
    assert_eq!(home.admin.token(&first).unwrap().entry.client, None, "its file is another's now");
    assert_eq!(home.admin.token(&second).unwrap().entry.client.as_deref(), Some("claude"));
    assert_eq!(home.admin.renew_tokens().unwrap(), [""; 0], "it was superseded");

    old(&second);
    home.admin.revoke_token(&second).unwrap();
    assert_eq!(home.admin.renew_tokens().unwrap(), [""; 0], "it was revoked");
}

#[test]
fn what_was_given_up_is_shown_and_taken_back() {
    let home = Home::with_policy(POLICY);
    let id = home.of("ann");
    assert_eq!(home.admin.lift_narrowings(&id).unwrap(), 0);
    let narrowing = Narrowing {
        id: GrantId::random(),
        secrets: Some(Vec::new()),
        commands: None,
        ends: None,
        uses_left: Some(0),
        session: None,
        process: None,
        made_at: Some(0),
    };
    home.admin
        .change("test", id.to_string(), None, |open| {
            let grants = documents::token(&open.vault, &id)?.unwrap().grants();
            documents::put_narrowings(
                &mut open.vault,
                &grants,
                std::slice::from_ref(&narrowing),
                home.clock.now(),
            )?;
            Ok(())
        })
        .unwrap();
    let shown = home.admin.token(&id).unwrap();
    assert_eq!(
        (shown.entry.state, shown.entry.narrowed, shown.narrowings.len()),
        (TokenState::Spent, true, 1)
    );
    assert_eq!(shown.narrowings[0].secrets.as_deref(), Some([].as_slice()));
    assert_eq!(shown.narrowings[0].made_at.as_deref(), Some("1970-01-01T00:00:00Z"));
    assert_eq!(home.admin.lift_narrowings(&id).unwrap(), 1);
    let shown = home.admin.token(&id).unwrap();
    assert_eq!((shown.entry.state, shown.entry.narrowed), (TokenState::Good, false));
    assert!(home.on_record().contains(&format!("token_lift {id} 1 narrowings")), "{:?}", home.on_record());
}

#[test]
fn what_a_session_issued_is_marked_as_such() {
    let home = Home::with_policy(POLICY);
    let id = home.of("ann");
    assert!(!home.admin.token(&id).unwrap().entry.delegated);
    home.amend(&id, |token| token.class = Class::Delegated);
    assert!(home.admin.token(&id).unwrap().entry.delegated);
}
