//! Sessions: a credential, what the vault says at a moment, and whether it is one.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{BEGIN, Bench, HOUR, Issued};
use crate::{
    broker::{
        Bearer, Bound, Credential, LocalSession,
        documents::{self, Narrowing, Parent, StoredToken},
        holder::Holder,
        refusal::Code,
        session::{self, Session},
    },
    names::{GrantId, ScopeName, TokenId},
    supervise::Process,
    token::{self, Class, TokenKeys},
};

const POLICY: &str = "scope = \"dev\"\nlimits.token_ttl = \"2h\"\n[[allow]]\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = [[\"true\"]]\n";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + second).unwrap()
}

fn scope(name: &str) -> ScopeName {
    ScopeName::parse(name).unwrap()
}

fn order(class: Class, scope_name: &str, ttl: u64) -> token::Order {
    let ttl = std::time::Duration::from_secs(ttl);
    token::Order {
        class,
        sub: "ann".to_owned(),
        scope: scope(scope_name),
        secrets: None,
        commands: None,
        ttl,
    }
}

impl Bench {
    fn own(&self, amend: impl FnOnce(&mut StoredToken)) -> Issued {
        self.token(Class::Session, at(0), amend)
    }

    fn under(&self, parent: Parent) -> Issued {
        self.token(Class::Delegated, at(0), |token| token.parent = Some(parent))
    }

    fn under_token(&self, id: &TokenId) -> Issued {
        self.under(Parent::Token(id.clone()))
    }

    fn revoke(&self, id: &TokenId) {
        self.change(|vault, now| {
            let mut revoked = documents::revocations(vault).unwrap();
            revoked.tokens.insert(id.clone(), now);
            documents::put_revocations(vault, &revoked, now).unwrap();
        });
    }

    fn narrow(&self, id: &TokenId, narrow: impl FnOnce(&mut Narrowing)) {
        let mut narrowing = Narrowing {
            id: GrantId::random(),
            secrets: None,
            commands: None,
            ends: None,
            uses_left: None,
            session: None,
            process: None,
            made_at: None,
        };
        narrow(&mut narrowing);
        self.change(|vault, now| documents::put_narrowings(vault, id.as_str(), &[narrowing], now).unwrap());
    }

    /// Tokens under tokens, so many with the operator's.
    fn depth(&self, depth: usize) -> Credential {
        let first = self.own(|_| ());
        (1..depth).fold(first, |above, _| self.under_token(&above.id)).shown()
    }

    fn under_process(&self, process: Process, bound: Bound, shown_by: Option<Process>) -> Credential {
        let holder = Holder::of(process).expect("there is a /proc");
        let issued = self.under(Parent::Local { principal: "local:1#a".to_owned(), process: holder, bound });
        Credential::Token(Bearer { shown_by, ..Bearer::of_request(issued.text) })
    }
}

fn this() -> Process {
    Process::this().expect("there is a /proc")
}

/// A process by this number that began at another time: it has ended.
fn ended() -> Process {
    let text = this().to_string();
    let (pid, _) = text.split_once('@').unwrap();
    format!("{pid}@1").parse().unwrap()
}

fn local(name: &str) -> Credential {
    Credential::LocalScope(LocalSession::new(scope(name), Bound::Process))
}

#[expect(clippy::disallowed_methods, reason = "a test takes a token apart")]
fn with_another_signature(issued: &Issued) -> Credential {
    let text = issued.text.expose_secret();
    let (claims, signature) = text.rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    Credential::Token(Bearer::of_request(SecretString::from(format!("{claims}.{turned}"))))
}

/// Makes a credential, and does to it what the row says.
type Make = fn(&Bench) -> Credential;

/// A row: what it is, the credential, at which second after its beginning it is shown, and the refusal.
type Row = (&'static str, Make, i64, Option<Code>);

fn hold(rows: &[Row]) {
    let bench = Bench::new(&[POLICY]);
    for (what, make, second, code) in rows {
        let credential = make(&bench);
        let open = bench.open();
        let session = Session::authenticate(&open.vault, &bench.keys, &credential, at(*second));
        let checked = session::check(&open.vault, &bench.keys, &credential, at(*second));
        let got = session.as_ref().err().map(|refusal| refusal.code);
        assert_eq!(got, *code, "{what}: {:?}", session.err());
        // The doors ask for less: whether a credential is good, with a policy or without one.
        let checked = checked.err().map(|refusal| refusal.code);
        assert_eq!(checked, code.filter(|code| *code != Code::CommandNotAllowed), "{what}, at a door");
    }
}

const EXPIRED: Option<Code> = Some(Code::TokenExpired);
const INVALID: Option<Code> = Some(Code::TokenInvalid);

#[test]
fn what_is_shown_by_an_agent_itself() {
    hold(&[
        ("an operator's token", |b| b.own(|_| ()).shown(), 0, None),
        ("in its last second", |b| b.own(|_| ()).shown(), HOUR - 1, None),
        ("at its end", |b| b.own(|_| ()).shown(), HOUR, EXPIRED),
        ("by a clock that is a little behind", |b| b.own(|_| ()).shown(), -5, None),
        ("before it begins", |b| b.own(|_| ()).shown(), -6, INVALID),
        (
            "longer than today's policy lets one live",
            |b| b.token_of(order(Class::Session, "dev", 3 * 3600), at(0), |_| ()).shown(),
            2 * HOUR,
            EXPIRED,
        ),
        ("with a use left", |b| b.own(|t| (t.info.max_uses, t.info.uses) = (Some(2), 1)).shown(), 0, None),
        ("used up", |b| b.own(|t| (t.info.max_uses, t.info.uses) = (Some(2), 2)).shown(), 0, EXPIRED),
        (
            "revoked",
            |b| {
                let issued = b.own(|_| ());
                b.revoke(&issued.id);
                issued.shown()
            },
            0,
            INVALID,
        ),
        ("of another scope, by its record", |b| b.own(|t| t.info.scope = scope("ops")).shown(), 0, INVALID),
        (
            "of another subject, by its record",
            |b| b.own(|t| t.info.subject = "bob".to_owned()).shown(),
            0,
            INVALID,
        ),
        ("of another end, by its record", |b| b.own(|t| t.info.expires_at += 1).shown(), 0, INVALID),
        ("of another class, by its record", |b| b.own(|t| t.class = Class::Delegated).shown(), 0, INVALID),
        ("not on record", |b| b.own(|t| t.info.id = TokenId::random()).shown(), 0, INVALID),
        ("with another signature", |b| with_another_signature(&b.own(|_| ())), 0, INVALID),
        (
            "of another vault",
            |_| {
                let keys = TokenKeys::new("authy-mcp:other".to_owned(), &[1; 32], &[2; 32]);
                let (text, _) = keys.issue(order(Class::Session, "dev", 60), at(0));
                Credential::Token(Bearer::of_request(text))
            },
            0,
            INVALID,
        ),
        ("no token", |_| Credential::Token(Bearer::of_request(SecretString::from("sesame"))), 0, INVALID),
        ("nothing", |_| Credential::missing("no token"), 0, INVALID),
        ("a tree for which nobody vouches", |_| Credential::Tree(GrantId::random()), 0, INVALID),
        ("a scope, by its name", |_| local("dev"), 0, None),
        ("a scope without a policy, by its name", |_| local("ops"), 0, Some(Code::CommandNotAllowed)),
        (
            "a token of a scope without a policy",
            |b| b.token_of(order(Class::Session, "ops", 60), at(0), |_| ()).shown(),
            0,
            Some(Code::CommandNotAllowed),
        ),
    ]);
}

/// What was issued by a session is worth no more than all that it rests on, at this moment.
#[test]
fn what_is_handed_on_ends_with_what_it_rests_on() {
    hold(&[
        ("under a good one", |b| b.under_token(&b.own(|_| ()).id).shown(), 0, None),
        (
            "under one that was revoked",
            |b| {
                let parent = b.own(|_| ());
                let issued = b.under_token(&parent.id);
                b.revoke(&parent.id);
                issued.shown()
            },
            0,
            INVALID,
        ),
        (
            "two below one that was revoked",
            |b| {
                let parent = b.own(|_| ());
                let issued = b.under_token(&b.under_token(&parent.id).id);
                b.revoke(&parent.id);
                issued.shown()
            },
            0,
            INVALID,
        ),
        (
            "under one that has ended",
            |b| b.under_token(&b.own(|t| t.info.expires_at = BEGIN + 9).id).shown(),
            9,
            EXPIRED,
        ),
        (
            "under one that has not",
            |b| b.under_token(&b.own(|t| t.info.expires_at = BEGIN + 9).id).shown(),
            8,
            None,
        ),
        (
            "under one that is used up",
            |b| b.under_token(&b.own(|t| t.info.max_uses = Some(0)).id).shown(),
            0,
            EXPIRED,
        ),
        ("under one that was never issued", |b| b.under_token(&TokenId::random()).shown(), 0, INVALID),
        ("under nothing", |b| b.token(Class::Delegated, at(0), |_| ()).shown(), 0, INVALID),
        // Its record goes with what it was issued under: then it has ended.
        (
            "not on record any more",
            |b| b.token(Class::Delegated, at(0), |t| t.info.id = TokenId::random()).shown(),
            0,
            EXPIRED,
        ),
        ("eight deep", |b| b.depth(8), 0, None),
        ("nine deep", |b| b.depth(9), 0, INVALID),
        ("under a process that runs", |b| b.under_process(this(), Bound::Process, None), 0, None),
        ("under a process that has ended", |b| b.under_process(ended(), Bound::Process, None), 0, EXPIRED),
        ("of a tree, shown by it", |b| b.under_process(this(), Bound::Tree, Process::this()), 0, None),
        ("of a tree, shown by nobody known", |b| b.under_process(this(), Bound::Tree, None), 0, INVALID),
    ]);
}

#[test]
fn what_was_given_up_ends_a_session_too() {
    fn narrowed(bench: &Bench, narrow: fn(&mut Narrowing)) -> Issued {
        let issued = bench.own(|_| ());
        bench.narrow(&issued.id, narrow);
        issued
    }
    hold(&[
        ("until then", |b| narrowed(b, |n| n.ends = Some(BEGIN + 9)).shown(), 8, None),
        ("and no longer", |b| narrowed(b, |n| n.ends = Some(BEGIN + 9)).shown(), 9, EXPIRED),
        ("with a run left", |b| narrowed(b, |n| n.uses_left = Some(1)).shown(), 0, None),
        ("with none left", |b| narrowed(b, |n| n.uses_left = Some(0)).shown(), 0, EXPIRED),
        (
            "by another session",
            |b| narrowed(b, |n| (n.uses_left, n.session) = (Some(0), Some(GrantId::random()))).shown(),
            0,
            None,
        ),
        (
            "by what is above it",
            |b| b.under_token(&narrowed(b, |n| n.uses_left = Some(0)).id).shown(),
            0,
            EXPIRED,
        ),
    ]);
}
