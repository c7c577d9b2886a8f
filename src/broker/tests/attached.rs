//! Runs on the caller's own streams, beside those whose output is captured; and what a run is handed: a session of its
//! own, or a token that another session issued.

use super::{
    Bench, HOUR,
    admission::{VALUE, run},
};
use crate::{
    broker::{
        Bearer, Bound, Credential, LocalSession,
        api::{Purpose, TokenParams},
        refusal::Code,
        testing::ended,
    },
    names::{EnvName, ScopeName},
    run::{RunError, RunOutcome},
};
use parking_lot::Mutex;

const POLICY: &str = r#"
scope = "dev"
delegate = true
[limits]
runs_per_minute = 1000
[sandbox]
mode = "off"

[[allow]]
id = "env"
secrets = ["app/key"]
deliver = "env"
commands = [["true", "--check", "*"]]

[[allow]]
id = "file"
secrets = ["app/file"]
deliver = "file"
commands = [["false"]]

[[allow]]
id = "agent"
secrets = []
deliver = "env"
commands = [["sh", "**"]]
"#;

fn bench() -> Bench {
    let bench = Bench::new(&[POLICY]);
    bench.secrets(&["app/key", "app/file", "outside"].map(|name| (name, VALUE)));
    bench
}

fn local() -> Credential {
    Credential::LocalScope(LocalSession::new(ScopeName::parse("dev").unwrap(), Bound::Tree))
}

/// A row is a call, what it comes to by both ways, what is on record, and whether the run is handed a session: only one
/// that is given no value may be an agent.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_run_on_our_own_streams_is_admitted_as_any_other() {
    type Words = &'static [&'static str];
    let check: Words = &["true", "--check", "x"];
    let rows: [(&str, Words, Option<Words>, Result<bool, Code>); 9] = [
        ("a value in the environment", check, Some(&["app/key"]), Ok(false)),
        ("a value in a file", &["false"], Some(&["app/file"]), Ok(false)),
        ("a rule's own secret", &["false"], None, Ok(false)),
        ("no value", &["sh", "-c", "x"], None, Ok(true)),
        ("no value, and one is asked for", &["sh"], Some(&["app/key"]), Err(Code::CommandNotAllowed)),
        ("another command", &["env"], Some(&["app/key"]), Err(Code::CommandNotAllowed)),
        ("a secret outside", check, Some(&["outside"]), Err(Code::NotAvailable)),
        ("a placeholder", &["true", "--check", "{{app/key}}"], Some(&["app/key"]), Err(Code::SecretInArgv)),
        ("no command", &[], Some(&["app/key"]), Err(Code::BadArgument)),
    ];
    let bench = bench();
    let mut seen = 0;
    for (what, command, secrets, outcome) in rows {
        let handed = Mutex::new(0);
        let hand = || {
            *handed.lock() += 1;
            Some((EnvName::parse("SESSION").unwrap(), "/a/socket".to_owned()))
        };
        let credential = local();
        bench.new_lines(&mut seen);
        let captured = bench.run(&credential, run(command, secrets)).await.map(drop);
        let captured = (captured, bench.new_lines(&mut seen), bench.runner.started());
        // Refusals of one kind are summed up.
        bench.clock.advance(std::time::Duration::from_secs(120));
        let attached = bench.attached(&credential, run(command, secrets), hand).await.map(drop);
        let attached = (attached, bench.new_lines(&mut seen), bench.runner.started());
        assert_eq!((&attached.0, &attached.1), (&captured.0, &captured.1), "{what}");
        assert_eq!(attached.0, outcome.map(drop), "{what}");
        assert_eq!(attached.2.len(), usize::from(outcome.is_ok()), "{what}");
        assert_eq!(*handed.lock(), usize::from(outcome == Ok(true)), "{what}");
        let session = attached.2.iter().filter(|run| run.env.contains(&"SESSION".to_owned())).count();
        assert_eq!(session, usize::from(outcome == Ok(true)), "{what}");
        let secrets = |runs: &[crate::broker::testing::Started]| {
            runs.iter().map(|run| run.secrets.clone()).collect::<Vec<_>>()
        };
        assert_eq!(secrets(&attached.2), secrets(&captured.2), "{what}");
        bench.clock.advance(std::time::Duration::from_secs(120));
    }
}

/// A row is what becomes of the run, what the caller is told, and what is on record.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_becomes_of_a_run_on_our_own_streams() {
    let bench = bench();
    let rows = [
        (Ok(RunOutcome::Exited(3)), Ok(RunOutcome::Exited(3)), "exited"),
        (Ok(RunOutcome::Signaled(15)), Ok(RunOutcome::Signaled(15)), "signaled"),
        (Ok(RunOutcome::Cancelled), Ok(RunOutcome::Cancelled), "cancelled"),
        (Err(RunError::ProgramChanged), Err(Code::ProgramChanged), "failed_to_start"),
        (Err(RunError::ProgramNotFound), Err(Code::ProgramNotFound), "failed_to_start"),
        (Err(RunError::NotContained("x".to_owned())), Err(Code::SandboxUnavailable), "failed_to_start"),
    ];
    for (becomes, told, on_record) in rows {
        bench.runner.next(|_| Box::pin(async { becomes.map(ended) }));
        let done = bench.attached(&local(), run(&["false"], None), || None).await;
        assert_eq!(done, told);
        assert_eq!(bench.on_record().pop().unwrap(), format!("outcome dev {on_record}"));
    }
}

/// A signal that comes before there is a program ends the run, which then never was one.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_signal_before_the_run_starts_nothing() {
    let bench = bench();
    bench.runner.signal(15);
    let done = bench.attached(&local(), run(&["false"], None), || None).await;
    assert_eq!(done, Ok(RunOutcome::Signaled(15)));
    assert_eq!((bench.runner.started(), bench.on_record()), (Vec::new(), Vec::new()));
    // The window's size ends nobody.
    bench.runner.signal(28);
    assert_eq!(bench.attached(&local(), run(&["false"], None), || None).await, Ok(RunOutcome::Exited(0)));
}

/// What a session asks for, for a helper.
fn wish(amend: impl FnOnce(&mut TokenParams)) -> TokenParams {
    let mut params = TokenParams {
        purpose: Purpose::Subagent,
        secrets: None,
        commands: None,
        ttl_seconds: None,
        max_uses: None,
        reason: String::new(),
    };
    amend(&mut params);
    params
}

impl Bench {
    /// The token that a session hands on.
    async fn handed_on(&self, by: &Credential, amend: impl FnOnce(&mut TokenParams)) -> Credential {
        let answer = self.broker.request_token(by, wish(amend)).await;
        let answer = answer.map_err(|refused| refused.body).unwrap().body;
        let text = secrecy::SecretString::from(answer.token.expect("the policy says delegate"));
        Credential::Token(Bearer::of_request(text))
    }
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|word| (*word).to_owned()).collect()
}

/// A row is what is handed on, and how often each of three runs is good: with one secret, with another, with none.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_handed_on_is_no_more_than_was_asked_for() {
    type Amend = fn(&mut TokenParams);
    const NO: Result<(), Code> = Err(Code::NotAvailable);
    const NOT_ALLOWED: Result<(), Code> = Err(Code::CommandNotAllowed);
    const OVER: Result<(), Code> = Err(Code::TokenExpired);
    let rows: [(&str, Amend, i64, [Result<(), Code>; 3]); 9] = [
        ("all of it", |_| (), 0, [Ok(()), Ok(()), Ok(())]),
        ("one secret", |w| w.secrets = Some(words(&["app/key"])), 0, [Ok(()), NO, Ok(())]),
        ("a secret that the session has not", |w| w.secrets = Some(words(&["outside"])), 0, [NO, NO, Ok(())]),
        ("no secret", |w| w.secrets = Some(Vec::new()), 0, [NO, NO, Ok(())]),
        (
            "one command",
            |w| w.commands = Some(vec![words(&["false"])]),
            0,
            [NOT_ALLOWED, Ok(()), NOT_ALLOWED],
        ),
        ("two runs", |w| w.max_uses = Some(2), 0, [Ok(()), Ok(()), OVER]),
        ("a minute, within it", |w| w.ttl_seconds = Some(60), 59, [Ok(()), Ok(()), Ok(())]),
        ("a minute, behind it", |w| w.ttl_seconds = Some(60), 60, [OVER, OVER, OVER]),
        // No longer than the session itself.
        ("ten years, behind the session", |w| w.ttl_seconds = Some(315_360_000), HOUR, [OVER, OVER, OVER]),
    ];
    for (what, amend, seconds, outcomes) in rows {
        let bench = bench();
        let session = bench.of("ann", "dev", |_| ());
        let helper = bench.handed_on(&session, amend).await;
        bench.clock.advance(std::time::Duration::from_secs(seconds.unsigned_abs()));
        let calls = [
            run(&["true", "--check", "x"], Some(&["app/key"])),
            run(&["false"], Some(&["app/file"])),
            run(&["sh"], None),
        ];
        for (number, (call, outcome)) in calls.into_iter().zip(outcomes).enumerate() {
            let done = bench.run(&helper, call).await.map(drop);
            assert_eq!(done, outcome, "{what}, run {number}");
        }
    }
}

/// A run below takes its use above, too, and ends with what is above.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_handed_on_comes_out_of_what_the_session_has() {
    let bench = bench();
    let session = bench.of("ann", "dev", |token| token.info.max_uses = Some(2));
    let helper = bench.handed_on(&session, |wish| wish.max_uses = Some(9)).await;
    let below = bench.handed_on(&helper, |_| ()).await;
    let call = || run(&["false"], None);
    for credential in [&below, &session] {
        assert_eq!(bench.run(credential, call()).await.map(drop), Ok(()));
    }
    for credential in [&session, &helper, &below] {
        assert_eq!(bench.run(credential, call()).await.map(drop), Err(Code::TokenExpired));
    }
    let lines = bench.on_record();
    let of_below = lines.iter().filter(|line| line.starts_with("intent dev token:ann/")).count();
    assert_eq!((of_below, lines.iter().filter(|line| line.starts_with("intent")).count()), (1, 2));
}
