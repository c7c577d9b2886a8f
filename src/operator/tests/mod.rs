//! The room over a vault in memory: what a change does, what it puts on record, what a failure says.

mod failures;
mod policies;
mod secrets;
mod tokens;

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{Admin, AuditFilter, AuditFound, Failure, FailureKind, WeakValues};
use crate::{
    broker::{ResolveContext, Surroundings, testing::BEGIN},
    clock::{Clock, testing::SetClock},
    names::{ScopeName, SecretName},
    value::SecretValue,
    vault::{Pin, SecretMeta, UnlockMethod, UnlockMethodKind, testing::MemoryStore},
};

/// A value that nobody guesses.
const STRONG: &str = "q7Vn2-Xw9Kt-4mZr8-Lb3Py";

/// A policy of the scope `s`, with one rule.
const POLICY: &str = "scope = \"s\"\n[[allow]]\nid = \"a\"\ndeliver = \"env\"\nsecrets = [\"app/key\"]\ncommands = [[\"true\"]]\n";

/// A home with an empty vault.
struct Home {
    dir: tempfile::TempDir,
    admin: Admin,
    clock: Arc<SetClock>,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let clock = Arc::new(SetClock::at(Timestamp::from_second(BEGIN).unwrap()));
        let around =
            Surroundings { clock: clock.clone(), engine: MemoryStore::engine(), ..Surroundings::default() };
        let opener = UnlockMethod::IdentityFile(None);
        let kind = UnlockMethodKind::IdentityFile;
        let admin = Admin::init(&around, &home, kind, &opener, Pin::Unwanted).unwrap();
        Self { dir, admin, clock }
    }

    /// The same with a policy of the scope `s`.
    fn with_policy(text: &str) -> Self {
        let home = Self::new();
        home.apply(text);
        home
    }

    /// The time by its clock, in seconds.
    fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    /// Lets so many seconds go by.
    fn advance(&self, seconds: i64) {
        self.clock.advance(std::time::Duration::from_secs(seconds.unsigned_abs()));
    }

    fn machine(&self) -> ResolveContext {
        let here = self.dir.path().to_owned();
        ResolveContext { user_home: here.clone(), path: Vec::new(), cwd: here }
    }

    fn apply(&self, text: &str) {
        let plan = self.admin.plan_policy(text, &self.machine()).unwrap();
        self.admin.apply_policy(plan).unwrap();
    }

    fn try_set(&self, secrets: &[(&str, &str)], weak: WeakValues) -> Result<Vec<u64>, Failure> {
        let changes = secrets.iter().map(|(name, value)| {
            let value = SecretValue::new(value.as_bytes().to_vec());
            (secret(name), value, SecretMeta::default())
        });
        let set = self.admin.set(changes.collect(), weak)?;
        Ok(set.iter().map(|info| info.version).collect())
    }

    fn set(&self, name: &str, value: &str) -> u64 {
        self.try_set(&[(name, value)], WeakValues::Refuse).unwrap()[0]
    }

    #[expect(clippy::disallowed_methods, reason = "a test knows the values that it has set")]
    fn value(&self, name: &str, version: Option<u64>) -> String {
        let value = self.admin.reveal(&secret(name), version).unwrap();
        String::from_utf8(value.expose_secret().to_vec()).unwrap()
    }

    /// What operators did, as it is on record: `ACTION TARGET`, and the detail where there is one.
    fn on_record(&self) -> Vec<String> {
        let word = |event: &serde_json::Value, field: &str| {
            event.get(field).and_then(|word| word.as_str()).map(str::to_owned)
        };
        let mut found = Vec::new();
        let filter = AuditFilter { kind: Some("admin".to_owned()), ..AuditFilter::default() };
        self.admin
            .audit_read(&filter, &mut |one| match one {
                AuditFound::Event(event) => {
                    let parts = ["action", "target", "detail"].iter().filter_map(|field| word(&event, field));
                    found.push(parts.collect::<Vec<_>>().join(" "));
                }
                AuditFound::Damage { damaged } => panic!("{damaged}"),
            })
            .unwrap();
        found
    }

    /// Every line of the log.
    fn log(&self) -> String {
        let mut log = String::new();
        let all = AuditFilter::default();
        self.admin.audit_read(&all, &mut |one| log.push_str(&format!("{one:?}\n"))).unwrap();
        log
    }
}

fn secret(name: &str) -> SecretName {
    SecretName::parse(name).unwrap()
}

fn scope(name: &str) -> ScopeName {
    ScopeName::parse(name).unwrap()
}

/// The failure is of a kind, and its first hint has these words.
#[track_caller]
fn fails<T>(done: Result<T, Failure>, kind: FailureKind, hint: &str) -> Failure {
    let Err(failure) = done else { panic!("it was done") };
    assert_eq!(failure.kind, kind, "{failure:?}");
    assert!(failure.hints.iter().any(|line| line.contains(hint)), "{hint:?}: {failure:?}");
    failure
}
