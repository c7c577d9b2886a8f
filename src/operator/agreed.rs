//! Runs that somebody has to agree to, while the operator changes what they rest on. Each change is made by the one who
//! is asked, before they answer: it would wait in vain for a vault that a run still held.

use std::{collections::VecDeque, path::Path, pin::Pin as Pinned, sync::Arc};

use parking_lot::Mutex;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{Admin, Failure, secrets::WeakValues, tokens::TokenOrder};
use crate::{
    broker::{
        Bearer, Broker, Caller, Credential, ResolveContext, Settings, Surroundings, Way,
        api::RunParams,
        consent::{Consent, Pending},
        refusal::{Code, Refusal},
    },
    names::{ScopeName, SecretName},
    policy::RunTerms,
    value::SecretValue,
    vault::{Pin, SecretMeta, UnlockMethod, UnlockMethodKind},
};

/// What is done while somebody is asked.
type Meanwhile = Box<dyn FnOnce(&Admin) -> Result<(), Refusal> + Send>;

/// Agrees to everything, after something was done.
struct Asked {
    home: std::path::PathBuf,
    meanwhile: Mutex<VecDeque<Meanwhile>>,
    seen: Mutex<Vec<Pending>>,
}

impl Consent for Asked {
    fn is_needed(&self, _: &RunTerms) -> bool {
        true
    }

    fn answer<'a>(
        &'a self,
        pending: &'a Pending,
        _: &'a CancellationToken,
    ) -> Pinned<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>> {
        self.seen.lock().push(pending.clone());
        let next = self.meanwhile.lock().pop_front();
        let home = self.home.clone();
        Box::pin(async move {
            let Some(next) = next else { return Ok(()) };
            tokio::task::spawn_blocking(move || next(&unlocked(&home))).await.unwrap()
        })
    }
}

fn unlocked(home: &Path) -> Admin {
    Admin::unlock(&Surroundings::default(), home, &UnlockMethod::IdentityFile(None)).unwrap()
}

fn scope() -> ScopeName {
    ScopeName::parse("s").unwrap()
}

fn apply(admin: &Admin, more: &str) -> Result<(), Failure> {
    let text = format!(
        "scope = \"s\"\n[sandbox]\nmode = \"off\"\n[limits]\nruns_per_minute = 2\n[[allow]]\nsecrets = [\"a/key\"]\ndeliver = \"env\"\ncommands = [[\"true\"]]\n{more}"
    );
    let machine = ResolveContext { user_home: "/".into(), path: Vec::new(), cwd: "/".into() };
    admin.apply_policy(admin.plan_policy(&text, &machine)?)
}

/// A vault with one secret, one policy and one token that is good for one run.
struct Stage {
    dir: tempfile::TempDir,
    token: SecretString,
}

impl Stage {
    fn set() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let opener = UnlockMethod::IdentityFile(None);
        let admin = Admin::init(
            &Surroundings::default(),
            &dir.path().join("home"),
            UnlockMethodKind::IdentityFile,
            &opener,
            Pin::Unwanted,
        );
        let admin = admin.unwrap();
        let value = SecretValue::new(b"tok_9fQ2xT7vLm4Z/kW8+hN3pR6sYb1".to_vec());
        let secret = (SecretName::parse("a/key").unwrap(), value, SecretMeta::default());
        admin.set(vec![secret], WeakValues::Refuse).unwrap();
        apply(&admin, "").unwrap();
        let order = TokenOrder { scope: scope(), ttl: None, max_uses: Some(1), subject: None, file: None };
        let (token, _) = admin.issue_token(&order).unwrap();
        Self { dir, token }
    }

    /// What a call comes to, which runs were asked for, and the audit's events after it.
    async fn call(
        &self,
        meanwhile: Vec<Meanwhile>,
    ) -> (Result<RunTerms, Refusal>, Vec<Pending>, Vec<String>) {
        let home = self.dir.path().join("home");
        let consent = Arc::new(Asked {
            home: home.clone(),
            meanwhile: Mutex::new(meanwhile.into()),
            seen: Mutex::default(),
        });
        let settings = Settings::of_a_test(home.clone(), Surroundings::default());
        let broker = Broker::with_consent(settings, Arc::clone(&consent) as Arc<dyn Consent>);
        let credential = Credential::Token(Bearer::of_request(self.token.clone()));
        let caller = Caller { credential, environment: Arc::default(), way: Way::Tool };
        let params = RunParams { command: vec!["true".to_owned()], ..RunParams::default() };
        let came = broker.admitted_terms(caller, params).await;
        let seen = consent.seen.lock().clone();
        let log = std::fs::read_to_string(home.join("audit/log.jsonl")).unwrap();
        let events = log.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["event"].as_str().unwrap().to_owned()
        });
        (came, seen, events.collect())
    }
}

fn intents(events: &[String]) -> usize {
    events.iter().filter(|event| *event == "intent").count()
}

fn then(change: impl FnOnce(&Admin) -> Result<(), Failure> + Send + 'static) -> Meanwhile {
    Box::new(move |admin| {
        change(admin).map_err(|failure| panic!("the vault was held while somebody was asked: {failure:?}"))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_agreed_to_is_what_runs() {
    let (came, asked, events) = Stage::set().call(vec![then(|_| Ok(()))]).await;
    assert_eq!((came.unwrap().args.len(), asked.len(), intents(&events)), (0, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_changed_meanwhile_is_decided_and_asked_again() {
    let change = then(|admin| apply(admin, "timeout = \"7s\"\n"));
    let (came, asked, events) = Stage::set().call(vec![change]).await;
    assert_eq!(came.unwrap().timeout.as_secs(), 7);
    assert_eq!((asked.len(), intents(&events)), (2, 1));
    assert_ne!(asked[0], asked[1], "another agreement");
    assert_eq!(asked[0].run, asked[1].run, "for the same run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_changes_each_time_is_not_asked_for_without_end() {
    let changes = (1..=9).map(|n| then(move |admin| apply(admin, &format!("timeout = \"{n}s\"\n"))));
    let (came, asked, events) = Stage::set().call(changes.collect()).await;
    assert_eq!((came.unwrap_err().code, asked.len(), intents(&events)), (Code::Busy, 3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_ends_meanwhile_reveals_nothing() {
    let revoke = |admin: &Admin| {
        let id = admin.tokens()?.remove(0).info.id;
        admin.revoke_token(&id)
    };
    let narrower = |admin: &Admin| {
        let machine = ResolveContext { user_home: "/".into(), path: Vec::new(), cwd: "/".into() };
        let text =
            "scope = \"s\"\n[[allow]]\nsecrets = [\"a/key\"]\ndeliver = \"env\"\ncommands = [[\"false\"]]\n";
        admin.apply_policy(admin.plan_policy(text, &machine)?)
    };
    for (change, code) in [
        (then(revoke), Code::TokenInvalid),
        (then(narrower), Code::CommandNotAllowed),
        (then(|admin| admin.remove_policy(&scope())), Code::CommandNotAllowed),
        (then(|admin| admin.remove(&SecretName::parse("a/key").unwrap())), Code::NotAvailable),
    ] {
        let (came, asked, events) = Stage::set().call(vec![change]).await;
        assert_eq!((came.unwrap_err().code, asked.len(), intents(&events)), (code, 1, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_is_on_record_and_takes_no_use() {
    let stage = Stage::set();
    let no: Meanwhile =
        Box::new(|_| Err(Refusal::new(Code::DeniedByPerson, "a person said no", "ask them why")));
    let (came, _, events) = stage.call(vec![no]).await;
    assert_eq!((came.unwrap_err().code, intents(&events)), (Code::DeniedByPerson, 0));
    assert!(events.iter().any(|event| event == "denied"), "{events:?}");
    let (came, _, events) = stage.call(Vec::new()).await;
    assert!(came.is_ok() && intents(&events) == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_that_two_were_asked_about_is_taken_once() {
    let stage = Arc::new(Stage::set());
    let (first, handle) = (Arc::clone(&stage), tokio::runtime::Handle::current());
    let other: Meanwhile = Box::new(move |_| {
        let (came, ..) = handle.block_on(first.call(Vec::new()));
        assert!(came.is_ok());
        Ok(())
    });
    let (came, _, events) = stage.call(vec![other]).await;
    assert_eq!((came.unwrap_err().code, intents(&events)), (Code::TokenExpired, 1));
}
