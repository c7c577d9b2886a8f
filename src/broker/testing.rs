//! A broker for tests: over a store in memory, by a clock that is set, with a runner that starts nothing. Only the audit
//! and the files beside the vault are on the disk, in a directory that goes with it.

use std::{collections::VecDeque, io, path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Anchors, Bearer, Broker, Caller, Credential, Hidden, Opened, ResolveContext, Settings, Surroundings, Way,
    api::{RunParams, RunResult},
    documents::{self, NarrowedUnder, StoredPolicy, StoredToken, TokenInfo},
    keys::VaultKeys,
    pinned,
    refusal::{Code, Refusal},
    resolve,
    surroundings::{Ready, Runner, Running},
};
use crate::{
    audit::{self, Filter, Found, Note},
    clock::testing::SetClock,
    names::{EnvName, ScopeName, SecretName, TokenId},
    policy::{Document, Resolved},
    redact::{MaskLedger, Redacted},
    run::{Ended, Launch, LeftBehind, Piece, RunOutcome, RunOutput, Signals, Spares, Stream},
    token::{self, Class},
    value::SecretValue,
    vault::{self, Engine, Pin, SecretMeta, UnlockMethod, UnlockMethodKind, Vault, testing::MemoryStore},
};

/// When a bench begins, in seconds.
pub(crate) const BEGIN: i64 = 2_000_000_000;

impl Settings {
    /// Of a vault that an identity file opens, where nothing is started.
    pub(crate) fn of_a_test(home: PathBuf, around: Surroundings) -> Self {
        Self {
            home,
            opener: Some(UnlockMethod::IdentityFile(None)),
            supervisor: PathBuf::from("/nothing/is/started"),
            nursery: None,
            spares: Spares::None,
            user_home: PathBuf::from("/"),
            hidden: Hidden::default(),
            run_as: None,
            descriptors: None,
            anchors: Anchors::Follow,
            around,
        }
    }
}

/// What a run was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Started {
    /// The program's name, and its arguments.
    pub command: Vec<String>,
    /// The secrets that it was given, each with its variable, those in files last.
    pub secrets: Vec<String>,
    /// Its other variables.
    pub env: Vec<String>,
}

impl Started {
    fn of(launch: &Launch) -> Self {
        let (start, materials) = launch.parts();
        let given = materials.env_secrets.iter().chain(&materials.file_secrets);
        Self {
            command: start.argv.clone(),
            secrets: given.map(|(env, name, _)| format!("{env}={name}")).collect(),
            env: materials.env.keys().map(ToString::to_string).collect(),
        }
    }
}

type Answer = Box<dyn FnOnce(Ready) -> Running<RunOutput> + Send>;

/// A runner that starts nothing: it notes what it was to start, and answers what the test says.
#[derive(Default)]
pub(crate) struct Recorder {
    answers: Mutex<VecDeque<Answer>>,
    started: Mutex<Vec<Started>>,
    signals: Mutex<Vec<u8>>,
}

impl Recorder {
    /// The next run becomes this. One for which nothing was said exits with 0.
    pub(crate) fn next(&self, answer: impl FnOnce(Ready) -> Running<RunOutput> + Send + 'static) {
        self.answers.lock().push_back(Box::new(answer));
    }

    /// This signal comes before the next run is admitted.
    pub(crate) fn signal(&self, number: u8) {
        self.signals.lock().push(number);
    }

    /// What was started since this was last asked.
    pub(crate) fn started(&self) -> Vec<Started> {
        std::mem::take(&mut self.started.lock())
    }

    fn answer(&self, ready: Ready) -> Running<RunOutput> {
        self.started.lock().push(Started::of(&ready.launch));
        match self.answers.lock().pop_front() {
            Some(answer) => answer(ready),
            None => Box::pin(async { Ok(ended(RunOutcome::Exited(0))) }),
        }
    }
}

impl Runner for Recorder {
    fn captured(&self, ready: Ready, _: Option<mpsc::Sender<Piece>>) -> Running<RunOutput> {
        self.answer(ready)
    }

    fn signals(&self) -> io::Result<Signals> {
        let (send, received) = mpsc::channel(16);
        for number in self.signals.lock().drain(..) {
            send.try_send(number).unwrap();
        }
        Ok(Signals::sent_by(received))
    }

    fn attached(&self, ready: Ready, _: Signals) -> Running<Ended> {
        let answer = self.answer(ready);
        Box::pin(async { answer.await.map(|output| output.ended) })
    }
}

/// A run that wrote nothing.
pub(crate) fn ended(ending: RunOutcome) -> RunOutput {
    let nothing = || Stream { text: Redacted::nothing(), truncated: false };
    RunOutput {
        ended: Ended {
            ending,
            without: None,
            ledger: MaskLedger::default(),
            left: LeftBehind::default(),
            duration: Duration::ZERO,
            setup: Duration::ZERO,
        },
        stdout: nothing(),
        stderr: nothing(),
    }
}

/// How long a token lives, in seconds, unless a test says otherwise.
pub(crate) const HOUR: i64 = 3600;

/// A home, its broker, and its keys.
pub(crate) struct Bench {
    pub dir: tempfile::TempDir,
    pub keys: Arc<VaultKeys>,
    pub broker: Arc<Broker>,
    pub clock: Arc<SetClock>,
    pub runner: Arc<Recorder>,
}

impl Bench {
    /// With the policies of some scopes.
    pub(crate) fn new(policies: &[&str]) -> Self {
        let bench = Self::over(MemoryStore::engine());
        policies.iter().for_each(|text| bench.policy(text));
        bench
    }

    /// Over a store of one's own.
    pub(crate) fn over(engine: Engine) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let clock = Arc::new(SetClock::at(Timestamp::from_second(BEGIN).unwrap()));
        let runner = Arc::new(Recorder::default());
        let (clock_of, runner_of) = (Arc::clone(&clock), Arc::clone(&runner));
        let around = Surroundings { clock: clock_of, engine, runner: runner_of };
        let opener = UnlockMethod::IdentityFile(None);
        let key = vault::init(&home, UnlockMethodKind::IdentityFile, &opener, Pin::Unwanted, &around.engine)
            .unwrap();
        let keys = Arc::new(VaultKeys::new(key, &around));
        let settings = Settings { user_home: dir.path().to_owned(), ..Settings::of_a_test(home, around) };
        Self { dir, keys, broker: Broker::new(settings), clock, runner }
    }

    /// The time by the broker's clock.
    pub(crate) fn now(&self) -> Timestamp {
        crate::clock::Clock::now(&*self.clock)
    }

    /// The vault, as an operator's command opens it.
    pub(crate) fn open(&self) -> Opened {
        let turn = vault::Turn { order: vault::Order::First, wait: super::WAIT };
        Opened::new(self.broker.home(), Arc::clone(&self.keys), turn).unwrap()
    }

    /// Changes the vault, as an operator does.
    pub(crate) fn change(&self, make: impl FnOnce(&mut Vault, Timestamp)) {
        let mut open = self.open();
        make(&mut open.vault, self.now());
        let (principal, action) = ("operator:test".to_owned(), "test".to_owned());
        open.record_present(Note::Admin { principal, action, target: String::new(), detail: None }).unwrap();
    }

    /// Applies a policy.
    pub(crate) fn policy(&self, text: &str) {
        let here = self.dir.path().to_owned();
        let machine = ResolveContext { user_home: here.clone(), path: Vec::new(), cwd: here };
        let document = Document::parse(text).unwrap();
        let mut resolved = resolve::resolve(&document, &machine).unwrap();
        pinned::hold(&document, &mut resolved, &machine);
        let resolved = Resolved { values_judged: true, ..resolved };
        let stored = StoredPolicy { text: text.to_owned(), resolved, edition: StoredPolicy::EDITION };
        self.change(|vault, now| documents::put_policy(vault, &document.scope, &stored, now).unwrap());
    }

    /// Sets secrets.
    pub(crate) fn secrets(&self, values: &[(&str, &str)]) {
        self.change(|vault, now| {
            let changes = values.iter().map(|(name, value)| {
                let value = SecretValue::new(value.as_bytes().to_vec());
                (SecretName::parse(name).unwrap(), value, SecretMeta::default())
            });
            vault.set_secrets(changes.collect(), now).unwrap();
        });
    }

    /// Issues a token of the scope `dev` that begins at a moment, with a record that is as `amend` has it.
    pub(crate) fn token(
        &self,
        class: Class,
        begins: Timestamp,
        amend: impl FnOnce(&mut StoredToken),
    ) -> Issued {
        let order = token::Order {
            class,
            sub: "ann".to_owned(),
            scope: ScopeName::parse("dev").unwrap(),
            secrets: None,
            commands: None,
            ttl: Duration::from_secs(HOUR.unsigned_abs()),
        };
        self.token_of(order, begins, amend)
    }

    /// The same for what an order says.
    pub(crate) fn token_of(
        &self,
        order: token::Order,
        begins: Timestamp,
        amend: impl FnOnce(&mut StoredToken),
    ) -> Issued {
        let class = order.class;
        let (text, claims) = self.keys.token.issue(order, begins);
        let mut stored = StoredToken {
            class,
            parent: None,
            info: TokenInfo::new(&claims, None),
            file: None,
            secrets: None,
            commands: None,
            narrowed_under: NarrowedUnder::Id,
        };
        amend(&mut stored);
        self.change(|vault, now| documents::put_token(vault, &stored, now).unwrap());
        Issued { text, id: claims.jti }
    }

    /// What was allowed, refused and what came of it, as it is on record: `EVENT SCOPE PRINCIPAL CODE`.
    pub(crate) fn on_record(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let audit = self.broker.home().join("audit");
        audit::events(&audit, &self.keys.audit(), None, &Filter::default(), &mut |found| match found {
            Found::Event(event) => lines.extend(line_of(&event)),
            Found::Damage { damaged } => panic!("{damaged}"),
        })
        .unwrap();
        lines
    }

    /// Every event since this was last asked with the same `seen`, in order: `EVENT SCOPE PRINCIPAL CODE`.
    pub(crate) fn new_lines(&self, seen: &mut usize) -> Vec<String> {
        let log = std::fs::read_to_string(self.broker.home().join("audit/log.jsonl")).unwrap();
        let new = log[*seen..].lines().map(|line| words_of(&serde_json::from_str(line).unwrap()));
        let new = new.collect();
        *seen = log.len();
        new
    }

    /// Asks for a run, as a tool call does.
    pub(crate) async fn run(&self, credential: &Credential, params: RunParams) -> Result<RunResult, Code> {
        self.answered(credential, params).await.map_err(|refusal| refusal.code)
    }

    /// The same, with the words of a refusal.
    pub(crate) async fn answered(
        &self,
        credential: &Credential,
        params: RunParams,
    ) -> Result<RunResult, Refusal> {
        let cancel = CancellationToken::new();
        let done = self.broker.run_with_secrets(&caller(credential), params, None, cancel).await;
        done.map(|answer| answer.body).map_err(|refused| refused.body)
    }

    /// Asks for a run on this process's streams, as `authy-mcp run` does.
    pub(crate) async fn attached(
        &self,
        credential: &Credential,
        params: RunParams,
        hand: impl FnOnce() -> Option<(EnvName, String)> + Send,
    ) -> Result<RunOutcome, Code> {
        let default_cwd = self.dir.path().to_owned();
        let done = self.broker.run_attached(&caller(credential), params, default_cwd, hand).await;
        done.map(|done| done.ending).map_err(|refused| refused.body.code)
    }
}

fn caller(credential: &Credential) -> Caller {
    Caller { credential: credential.clone(), environment: Arc::default(), way: Way::Tool }
}

fn line_of(event: &Value) -> Option<String> {
    let kind = event["event"].as_str().filter(|kind| ["intent", "outcome", "denied"].contains(kind));
    kind.map(|_| words_of(event))
}

fn words_of(event: &Value) -> String {
    let fields = ["event", "scope", "principal", "code", "outcome"];
    let words: Vec<&str> = fields.iter().filter_map(|field| event.get(field)?.as_str()).collect();
    words.join(" ")
}

/// A token, and its identity.
pub(crate) struct Issued {
    pub text: SecretString,
    pub id: TokenId,
}

impl Issued {
    /// As it comes over HTTP, from anybody.
    pub(crate) fn shown(&self) -> Credential {
        Credential::Token(Bearer::of_request(self.text.clone()))
    }
}
