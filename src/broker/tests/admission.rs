//! Admission: credential, scope, secrets, command, limits; what comes of it, and what is on record.

use std::collections::BTreeMap;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{Bench, HOUR};
use crate::{
    broker::{
        Bearer, Bound, Caller, Credential, LocalSession, Refused, Way,
        admit::Admitted,
        api::RunParams,
        asked::{Asked, Streams},
        documents::{self, StoredToken},
        refusal::Code,
    },
    names::{GrantId, ScopeName},
    policy::Asker,
    token::{self, Class},
};

pub(super) const VALUE: &str = "q7Vn2-Xw9Kt-4mZr8-Lb3Py";

/// A scope with a rule a way of delivery, one that takes any of a team's secrets, and a bar.
const DEV: &str = r#"
scope = "dev"
[limits]
runs_per_minute = 1000
[env]
agent = ["LOG_LEVEL"]
[sandbox]
mode = "off"
cwd = ["/usr"]

[[allow]]
id = "env"
secrets = ["app/key", "app/absent"]
deliver = "env"
commands = [["true", "--check", "*"]]

[[allow]]
id = "file"
secrets = ["app/file"]
deliver = "file"
stdin = "text"
commands = [["false"]]

[[allow]]
id = "team"
secrets = ["team/*"]
deliver = "env"
commands = [["true", "{int:1..9}"]]

[[deny]]
secrets = ["team/root"]
"#;

const SLOW: &str = r#"
scope = "slow"
[limits]
runs_per_minute = 3
concurrent_runs = 2
[sandbox]
mode = "off"
[[allow]]
secrets = ["app/key"]
deliver = "env"
commands = [["true"]]
"#;

pub(super) fn bench() -> Bench {
    let bench = Bench::new(&[DEV, SLOW]);
    let names = ["app/key", "app/file", "team/one", "team/root", "outside"];
    bench.secrets(&names.map(|name| (name, VALUE)));
    bench
}

impl Bench {
    /// A token of a subject of its own: refusals of one principal are summed up.
    pub(super) fn of(&self, subject: &str, scope: &str, amend: impl FnOnce(&mut StoredToken)) -> Credential {
        let order = token::Order {
            class: Class::Session,
            sub: subject.to_owned(),
            scope: ScopeName::parse(scope).unwrap(),
            secrets: None,
            commands: None,
            ttl: std::time::Duration::from_secs(HOUR.unsigned_abs()),
        };
        self.token_of(order, self.now(), amend).shown()
    }

    pub(super) async fn ask(&self, credential: &Credential, params: RunParams) -> Result<Admitted, Refused> {
        self.ask_by(credential, params, Way::Tool).await
    }

    async fn ask_by(
        &self,
        credential: &Credential,
        params: RunParams,
        way: Way,
    ) -> Result<Admitted, Refused> {
        let caller = Caller { credential: credential.clone(), environment: Default::default(), way };
        let entered = self.broker.enter(credential).await.map_err(|refusal| self.broker.refused(refusal))?;
        let asked = Asked { caller, params, streams: Streams::Captured, default_cwd: None };
        self.broker.admitting(entered, asked, CancellationToken::new()).await
    }
}

pub(super) fn run(command: &[&str], secrets: Option<&[&str]>) -> RunParams {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    RunParams { command: words(command), secrets: secrets.map(words), ..RunParams::default() }
}

pub(super) fn check() -> RunParams {
    run(&["true", "--check", "x"], Some(&["app/key"]))
}

fn env(name: &str) -> Option<BTreeMap<String, String>> {
    Some(BTreeMap::from([(name.to_owned(), "debug".to_owned())]))
}

/// A call by a good token: what it asks for, and the rules that allow it, or the refusal. What was allowed is on
/// record as that before anything runs, and what was refused as that.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_session_may_run_with_what() {
    let rows: Vec<(&str, RunParams, Result<&str, Code>)> = vec![
        ("a secret in the environment", check(), Ok("env")),
        ("in a file", run(&["false"], Some(&["app/file"])), Ok("file")),
        ("named twice", run(&["true", "--check", "x"], Some(&["app/key", "app/key"])), Ok("env")),
        ("not named, of the one rule that names it", run(&["false"], None), Ok("file")),
        ("not named, of a rule with a glob", run(&["true", "3"], None), Err(Code::SecretsRequired)),
        ("a number within its bounds", run(&["true", "9"], Some(&["team/one"])), Ok("team")),
        ("out of them", run(&["true", "10"], Some(&["team/one"])), Err(Code::CommandNotAllowed)),
        ("none of the kind", run(&["true", "x"], Some(&["team/one"])), Err(Code::CommandNotAllowed)),
        ("a secret behind the bar", run(&["true", "3"], Some(&["team/root"])), Err(Code::NotAvailable)),
        ("one that is not there", run(&["true", "3"], Some(&["team/two"])), Err(Code::NotAvailable)),
        (
            "one of the rule's that is not there",
            run(&["true", "--check", "x"], Some(&["app/absent"])),
            Err(Code::NotAvailable),
        ),
        ("one of no rule", run(&["true", "3"], Some(&["outside"])), Err(Code::NotAvailable)),
        ("one of another rule", run(&["false"], Some(&["app/key"])), Err(Code::CommandNotAllowed)),
        (
            "one that it has and one that it has not",
            run(&["false"], Some(&["app/file", "outside"])),
            Err(Code::NotAvailable),
        ),
        ("another program", run(&["sh", "-c", "true"], Some(&["app/key"])), Err(Code::CommandNotAllowed)),
        ("an argument more", run(&["false", "x"], Some(&["app/file"])), Err(Code::CommandNotAllowed)),
        (
            "an option where a word goes",
            run(&["true", "--check", "--x"], Some(&["app/key"])),
            Err(Code::CommandNotAllowed),
        ),
        ("no command", run(&[], Some(&["app/key"])), Err(Code::BadArgument)),
        ("a name that is none", run(&["false"], Some(&["../x"])), Err(Code::BadArgument)),
        ("too many names", run(&["false"], Some(&vec!["app/file"; 257])), Err(Code::BadArgument)),
        ("a variable that a call may set", RunParams { env: env("LOG_LEVEL"), ..check() }, Ok("env")),
        ("one that it may not", RunParams { env: env("PATH"), ..check() }, Err(Code::EnvNotAllowed)),
        ("a directory of the policy's", RunParams { cwd: Some("/usr".to_owned()), ..check() }, Ok("env")),
        ("another one", RunParams { cwd: Some("/etc".to_owned()), ..check() }, Err(Code::CwdNotAllowed)),
        (
            "a way out of one",
            RunParams { cwd: Some("/usr/../etc".to_owned()), ..check() },
            Err(Code::CwdNotAllowed),
        ),
        (
            "standard input",
            RunParams { stdin: Some("in".to_owned()), ..run(&["false"], Some(&["app/file"])) },
            Ok("file"),
        ),
        (
            "where the rule takes none",
            RunParams { stdin: Some("in".to_owned()), ..check() },
            Err(Code::StdinNotAllowed),
        ),
    ];
    let bench = bench();
    let mut wanted = Vec::new();
    for (number, (what, params, outcome)) in rows.into_iter().enumerate() {
        let credential = bench.of(&format!("agent-{number}"), "dev", |_| ());
        match (bench.ask(&credential, params).await, outcome) {
            (Ok(admitted), Ok(rule)) => {
                assert_eq!(admitted.intent.terms().rules, [rule], "{what}");
                assert_eq!(admitted.intent.terms().asker, Asker::Tool, "{what}");
                // All that the program gets is masked in what it says.
                assert!(!admitted.needles.set.text(VALUE).get().contains(VALUE), "{what}");
                wanted.push(format!("intent dev token:agent-{number}"));
            }
            (Err(refused), Err(code)) => {
                assert_eq!(refused.body.code, code, "{what}: {:?}", refused.body);
                assert!(!refused.body.hint.is_empty(), "{what}");
                wanted.push(format!("denied dev token:agent-{number} {}", code.as_str()));
            }
            (got, _) => panic!("{what}: {:?}", got.err().map(|refused| refused.body)),
        }
    }
    assert_eq!(bench.on_record(), wanted);
}

/// Who asks: what is refused before anybody is known is on record as nobody's, or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_may_ask() {
    let bench = bench();
    let revoked = bench.of("revoked", "dev", |_| ());
    bench.change(|vault, now| {
        let mut all = documents::revocations(vault).unwrap();
        all.not_before.insert("revoked".to_owned(), now.as_second() + 60);
        documents::put_revocations(vault, &all, now).unwrap();
    });
    let local = |scope: &str| {
        Credential::LocalScope(LocalSession::new(ScopeName::parse(scope).unwrap(), Bound::Process))
    };
    let text = |text: &str| Credential::Token(Bearer::of_request(SecretString::from(text)));
    let rows = [
        ("a token", bench.of("good", "dev", |_| ()), Ok(()), Some("intent dev token:good")),
        ("a scope", local("dev"), Ok(()), Some("intent dev local:")),
        (
            "another's scope",
            local("ops"),
            Err(Code::CommandNotAllowed),
            Some("denied unknown command_not_allowed"),
        ),
        ("a revoked token", revoked, Err(Code::TokenInvalid), Some("denied unknown token_invalid")),
        (
            "a spent token",
            bench.of("spent", "dev", |token| token.info.max_uses = Some(0)),
            Err(Code::TokenExpired),
            Some("denied unknown token_expired"),
        ),
        // Costs a check of a signature, and no line.
        ("no token of ours", text("sesame"), Err(Code::TokenInvalid), None),
        ("nothing", Credential::missing("no token"), Err(Code::TokenInvalid), None),
        ("a tree", Credential::Tree(GrantId::random()), Err(Code::TokenInvalid), None),
    ];
    for (what, credential, outcome, line) in rows {
        let before = bench.on_record().len();
        let got = bench.ask(&credential, check()).await.map(drop).map_err(|refused| refused.body.code);
        assert_eq!(got, outcome, "{what}");
        let record = bench.on_record();
        let new: Vec<_> = record[before..].iter().map(String::as_str).collect();
        match line {
            Some(line) => assert!(matches!(new[..], [one] if one.starts_with(line)), "{what}: {new:?}"),
            None => assert!(new.is_empty(), "{what}: {new:?}"),
        }
    }
    let credential = bench.of("shell", "dev", |_| ());
    let admitted = bench.ask_by(&credential, check(), Way::Run).await.ok().unwrap();
    assert_eq!(admitted.intent.terms().asker, Asker::TokenHolder, "a terminal proves nobody");
}

/// A use is taken by a run that may start, and by nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_refused_call_takes_no_use() {
    let bench = bench();
    let credential = bench.of("ann", "dev", |token| token.info.max_uses = Some(2));
    let ask = async |params| bench.ask(&credential, params).await.map(drop).map_err(|no| no.body.code);
    assert_eq!(ask(run(&["sh"], Some(&["app/key"]))).await, Err(Code::CommandNotAllowed));
    assert_eq!(ask(check()).await, Ok(()));
    assert_eq!(ask(run(&["true", "3"], Some(&["outside"]))).await, Err(Code::NotAvailable));
    assert_eq!(ask(check()).await, Ok(()));
    assert_eq!(ask(check()).await, Err(Code::TokenExpired));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_too_much_is_refused_before_it_takes_a_use() {
    let bench = bench();
    let credential = bench.of("ann", "slow", |token| token.info.max_uses = Some(4));
    let ask = async || bench.ask(&credential, run(&["true"], Some(&["app/key"]))).await;
    let code = |asked: Result<Admitted, Refused>| asked.err().map(|refused| refused.body.code);
    let first = ask().await.ok().unwrap();
    let second = ask().await.ok().unwrap();
    assert_eq!(code(ask().await), Some(Code::RateLimited), "two go on");
    drop(first);
    assert_eq!(code(ask().await), None);
    drop(second);
    assert_eq!(code(ask().await), Some(Code::RateLimited), "three in a minute");
    let open = bench.open();
    let Credential::Token(bearer) = &credential else { unreachable!("a token") };
    let revoked = documents::revocations(&open.vault).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test reads whose the token is")]
    let text = secrecy::ExposeSecret::expose_secret(&*bearer.text);
    let (_, claims) = bench.keys.token.verify(text, &revoked, bench.now()).unwrap();
    let stored = documents::token(&open.vault, &claims.jti).unwrap().unwrap();
    assert_eq!(stored.info.uses, 3);
}

/// A call that was taken back before it was looked at is no denial, and nothing is put on record.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_that_was_taken_back_leaves_nothing() {
    let bench = bench();
    let credential = bench.of("ann", "dev", |_| ());
    let entered = bench.broker.enter(&credential).await.unwrap();
    let caller = Caller { credential, environment: Default::default(), way: Way::Tool };
    let asked = Asked { caller, params: check(), streams: Streams::Captured, default_cwd: None };
    let cancel = CancellationToken::new();
    cancel.cancel();
    let refused = bench.broker.admitting(entered, asked, cancel).await.err().unwrap();
    assert_eq!(refused.body.code, Code::Busy);
    assert_eq!(bench.on_record(), [""; 0]);
}

/// The vault is given back before the intent is on the disk: what is taken in between is not revealed.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_right_that_is_taken_while_the_disk_is_waited_for_is_gone() {
    let bench = bench();
    let credential = bench.of("ann", "dev", |_| ());
    let admitted = bench.ask(&credential, check()).await.map_err(|refused| refused.body.code).unwrap();
    let stands = || bench.broker.stands_yet(&admitted.watched).map_err(|refusal| refusal.code);
    assert_eq!(stands(), Ok(()));
    bench.secrets(&[("other/key", VALUE)]);
    assert_eq!(stands(), Ok(()), "a change that takes no right");
    bench.change(|vault, now| {
        let mut all = documents::revocations(vault).unwrap();
        all.not_before.insert("ann".to_owned(), now.as_second() + 60);
        documents::put_revocations(vault, &all, now).unwrap();
    });
    assert_eq!(stands(), Err(Code::TokenInvalid));
}
