//! A call from end to end, each part of it in each way: credential × scope × secrets × command × limits. What comes first
//! decides: a credential that is not valid is told nothing of the policy, and a call that the policy refuses takes no
//! place and no use.

use std::time::Duration;

use secrecy::SecretString;

use super::{Bench, HOUR, admission::VALUE, outcomes::terms};
use crate::{
    broker::{
        Bearer, Bound, Credential, LocalSession,
        documents::{self, StoredToken},
        limits::RunPermit,
        refusal::Code,
    },
    names::{ScopeName, TokenId},
    policy::RunTerms,
    token::{self, Class, LEEWAY, TokenKeys},
};

/// `DIR` is where the pinned script is.
const POLICY: &str = r#"
scope = "dev"
limits.token_ttl = "30d"
limits.runs_per_minute = 3
limits.concurrent_runs = 2
sandbox.mode = "off"

[[allow]]
id = "check"
secrets = ["app/key", "app/two", "app/absent"]
deliver = "env"
commands = [["true", "--check", "*"]]

[[allow]]
id = "script"
pin = true
secrets = ["app/key", "app/two", "app/absent"]
deliver = "env"
commands = [["sh", "DIR/script"]]
"#;

/// Longer than any limit's window, and any window in which refusals are summed up.
const LATER: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Good,
    Session,
    /// By its signature.
    Expired,
    /// By the policy of today, which lets no token live that long.
    TooOld,
    Revoked,
    Spent,
    /// By its record.
    OfAnotherScope,
    /// Of another vault.
    OfAnotherAudience,
}

const WHO: [Who; 8] = [
    Who::Good,
    Who::Session,
    Who::Expired,
    Who::TooOld,
    Who::Revoked,
    Who::Spent,
    Who::OfAnotherScope,
    Who::OfAnotherAudience,
];

/// The scopes: with the policy, with one of other secrets, without one.
const SCOPES: [&str; 3] = ["dev", "ops", "bare"];

const SECRETS: [Option<&[&str]>; 6] = [
    Some(&["app/key"]),
    Some(&["app/key", "app/two"]),
    Some(&["app/absent"]),
    Some(&["outside"]),
    Some(&["app/key", "outside"]),
    // Those that the one rule names, of which one does not exist.
    None,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Allowed,
    NotAllowed,
    /// A secret's placeholder, which a variable has none of.
    SecretInArgv,
    /// A script that is not what it was when it was pinned.
    Changed,
}

const COMMANDS: [Command; 4] =
    [Command::Allowed, Command::NotAllowed, Command::SecretInArgv, Command::Changed];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Free,
    TooOften,
    TooManyAtOnce,
}

const LIMITS: [Limit; 3] = [Limit::Free, Limit::TooOften, Limit::TooManyAtOnce];

fn scope(name: &str) -> ScopeName {
    ScopeName::parse(name).unwrap()
}

impl Bench {
    fn of_the_table() -> Self {
        let bench = Self::new(&[]);
        let dir = bench.dir.path().display().to_string();
        let script = bench.dir.path().join("script");
        std::fs::write(&script, "exit 0\n").unwrap();
        let policy = POLICY.replace("DIR", &dir);
        bench.policy(&policy);
        bench.policy(&policy.replace("\"dev\"", "\"ops\"").replace("app/", "ops/"));
        std::fs::write(&script, "exit 1\n").unwrap();
        bench.secrets(&["app/key", "app/two", "outside"].map(|name| (name, VALUE)));
        bench
    }

    fn credential(&self, who: Who, of: &str) -> Credential {
        let day = 24 * HOUR;
        let token = |days: i64, amend: &dyn Fn(&mut StoredToken)| {
            let ttl = Duration::from_secs((days * day).unsigned_abs());
            let (sub, scope) = ("ann".to_owned(), scope(of));
            let order =
                token::Order { class: Class::Session, sub, scope, secrets: None, commands: None, ttl };
            self.token_of(order, self.now(), amend)
        };
        match who {
            Who::Good => token(30, &|_| ()).shown(),
            Who::Session => Credential::LocalScope(LocalSession::new(scope(of), Bound::Process)),
            Who::Expired => {
                let issued = token(1, &|_| ());
                // Behind the seconds that another clock may be wrong by.
                self.clock.advance(Duration::from_secs((day + LEEWAY).unsigned_abs()));
                issued.shown()
            }
            Who::TooOld => {
                let issued = token(90, &|_| ());
                self.clock.advance(Duration::from_secs((30 * day).unsigned_abs()));
                issued.shown()
            }
            Who::Revoked => {
                let issued = token(30, &|_| ());
                self.revoked(&issued.id);
                issued.shown()
            }
            Who::Spent => token(30, &|token| token.info.max_uses = Some(0)).shown(),
            Who::OfAnotherScope => token(30, &|token| token.info.scope = scope("other")).shown(),
            Who::OfAnotherAudience => Credential::Token(Bearer::of_request(self.of_another_vault(of))),
        }
    }

    fn revoked(&self, id: &TokenId) {
        self.change(|vault, now| {
            let mut revoked = documents::revocations(vault).unwrap();
            revoked.tokens.insert(id.clone(), now);
            documents::put_revocations(vault, &revoked, now).unwrap();
        });
    }

    fn of_another_vault(&self, of: &str) -> SecretString {
        let keys = TokenKeys::new("authy-mcp:other".to_owned(), &[1; 32], &[2; 32]);
        let (sub, scope, ttl) = ("ann".to_owned(), scope(of), Duration::from_secs(3600));
        let order = token::Order { class: Class::Session, sub, scope, secrets: None, commands: None, ttl };
        keys.issue(order, self.now()).0
    }

    /// Runs of the scope up to one of its limits; those that are returned go on.
    fn fill(&self, of: &str, limit: Limit) -> Vec<RunPermit> {
        let bounds = RunTerms { runs_per_minute: 9, concurrent_runs: 9, ..terms() };
        let now = crate::clock::Clock::instant(&*self.clock);
        let begin = || self.broker.limits.enter(&scope(of), &bounds, now).ok().unwrap();
        match limit {
            Limit::Free => Vec::new(),
            Limit::TooOften => {
                (0..3).for_each(|_| drop(begin()));
                Vec::new()
            }
            Limit::TooManyAtOnce => vec![begin(), begin()],
        }
    }

    fn command(&self, command: Command) -> Vec<String> {
        let script = self.dir.path().join("script").display().to_string();
        let words: &[&str] = match command {
            Command::Allowed => &["true", "--check", "x"],
            Command::NotAllowed => &["false"],
            Command::SecretInArgv => &["true", "--check", "{{app/key}}"],
            Command::Changed => &["sh", &script],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}

/// What a call comes to, and what is on record of it.
fn wanted(
    who: Who,
    scope: &str,
    secrets: Option<&[&str]>,
    command: Command,
    limit: Limit,
) -> (Option<Code>, Vec<String>) {
    let (refused, known) = match (of_credential(who, scope), scope) {
        (Some((code, line)), _) => (Some(code), line),
        // The session is not made, so nobody is known yet.
        (None, "bare") => (Some(Code::CommandNotAllowed), Line::OfNobody),
        (None, _) => (of_policy(scope, secrets, command).or(of_limit(limit)), Line::OfCaller),
    };
    let lines = match (refused, known) {
        (Some(_), Line::None) => Vec::new(),
        (Some(code), Line::OfNobody) => vec![format!("denied unknown {}", code.as_str())],
        (Some(code), Line::OfCaller) => vec![format!("denied {scope} CALLER {}", code.as_str())],
        (None, _) => vec![format!("intent {scope} CALLER"), format!("outcome {scope} exited")],
    };
    (refused, lines)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    None,
    OfNobody,
    OfCaller,
}

fn of_credential(who: Who, scope: &str) -> Option<(Code, Line)> {
    match who {
        Who::Good | Who::Session => None,
        // Only a policy lets tokens live shorter.
        Who::TooOld if scope == "bare" => None,
        // By the signature alone: the vault is not opened, and nothing is written.
        Who::Expired => Some((Code::TokenExpired, Line::None)),
        Who::OfAnotherAudience => Some((Code::TokenInvalid, Line::None)),
        Who::TooOld | Who::Spent => Some((Code::TokenExpired, Line::OfNobody)),
        Who::Revoked | Who::OfAnotherScope => Some((Code::TokenInvalid, Line::OfNobody)),
    }
}

fn of_policy(scope: &str, secrets: Option<&[&str]>, command: Command) -> Option<Code> {
    let named = |name: &str| secrets.is_some_and(|names| names.contains(&name));
    let available = scope == "dev" && !named("outside") && !named("app/absent");
    match (secrets, command) {
        (Some(_), _) if !available => Some(Code::NotAvailable),
        (_, Command::NotAllowed) => Some(Code::CommandNotAllowed),
        (None, _) => Some(Code::NotAvailable),
        (Some(_), Command::SecretInArgv) if named("app/key") => Some(Code::SecretInArgv),
        (Some(_), Command::Changed) => Some(Code::ProgramChanged),
        (Some(_), _) => None,
    }
}

fn of_limit(limit: Limit) -> Option<Code> {
    (limit != Limit::Free).then_some(Code::RateLimited)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_comes_first_decides() {
    for who in WHO {
        let bench = Bench::of_the_table();
        for scope in SCOPES {
            let credential = bench.credential(who, scope);
            let mut seen = 0;
            bench.new_lines(&mut seen);
            for secrets in SECRETS {
                for (command, limit) in COMMANDS.into_iter().flat_map(|c| LIMITS.map(|limit| (c, limit))) {
                    let what = format!("{who:?} {scope} {secrets:?} {command:?} {limit:?}");
                    let held = bench.fill(scope, limit);
                    let named = secrets.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
                    let params = crate::broker::api::RunParams {
                        command: bench.command(command),
                        secrets: named,
                        ..Default::default()
                    };
                    let done = bench.run(&credential, params).await;
                    let (refused, lines) = wanted(who, scope, secrets, command, limit);
                    assert_eq!(done.err(), refused, "{what}");
                    let caller = match &credential {
                        Credential::LocalScope(local) => local.principal(),
                        _ => "token:ann".to_owned(),
                    };
                    let lines: Vec<_> = lines.iter().map(|line| line.replace("CALLER", &caller)).collect();
                    assert_eq!(bench.new_lines(&mut seen), lines, "{what}");
                    let started = bench.runner.started();
                    let given: Vec<_> = started.iter().flat_map(|run| &run.secrets).collect();
                    let names = secrets.filter(|_| refused.is_none()).unwrap_or_default();
                    assert_eq!(
                        (started.len(), given.len()),
                        (usize::from(refused.is_none()), names.len()),
                        "{what}"
                    );
                    drop(held);
                    bench.clock.advance(LATER);
                }
            }
        }
    }
}

/// A use is announced with the intent, and made before anything is revealed.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_last_use_is_taken_once() {
    let bench = Bench::of_the_table();
    let credential = bench.of("ann", "dev", |token| token.info.max_uses = Some(1));
    let mut seen = 0;
    bench.new_lines(&mut seen);
    let call = || super::admission::check();
    assert!(bench.run(&credential, call()).await.is_ok());
    let lines = bench.new_lines(&mut seen);
    assert_eq!(lines, ["intent dev token:ann", "changed", "outcome dev exited"]);
    assert_eq!(bench.run(&credential, call()).await.err(), Some(Code::TokenExpired));
    assert_eq!(bench.new_lines(&mut seen), ["denied unknown token_expired"]);
    assert_eq!(bench.runner.started().len(), 1);
}

/// What was recorded last counts, where the clock is behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_clock_that_was_set_back_makes_no_token_valid_again() {
    let bench = Bench::of_the_table();
    let credential = bench.of("ann", "dev", |_| ());
    let begun = bench.now();
    bench.clock.advance(Duration::from_secs(HOUR.unsigned_abs()));
    // Something happens at that time, as anything does.
    bench.secrets(&[("app/two", VALUE)]);
    assert_eq!(bench.run(&credential, super::admission::check()).await.err(), Some(Code::TokenExpired));
    bench.clock.set(begun);
    assert_eq!(bench.run(&credential, super::admission::check()).await.err(), Some(Code::TokenExpired));
    assert_eq!(bench.on_record().len(), 1, "once by its signature, once by the vault");
}
