//! The room over a vault in a temporary directory: who is let in, what is admitted and put on record, what is
//! returned. No program is started: a run is admitted, and let go of.

mod admission;
mod driving;
mod limits;
mod outcomes;
mod sessions;

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;

use super::{
    Bearer, Broker, Credential, Hidden, Opened, ResolveContext, Settings,
    keys::Keys,
    records::{self, NarrowedUnder, StoredPolicy, StoredToken, TokenInfo},
    resolve,
};
use crate::{
    audit::{self, Filter, Found, Note},
    names::{ScopeName, SecretName, TokenId},
    policy::{Document, Resolved},
    run::Spares,
    token::{self, Class},
    value::SecretValue,
    vault::{self, Opener, Pin, SecretMeta, UnlockKind, Vault},
};

/// How long a token lives, in seconds, unless a test says otherwise.
const HOUR: i64 = 3600;

impl Settings {
    /// Of a vault that an identity file opens, where nothing is started.
    pub(crate) fn of_a_test(home: PathBuf) -> Self {
        Self {
            home,
            opener: Some(Opener::IdentityFile(None)),
            supervisor: PathBuf::from("/nothing/is/started"),
            spares: Spares::None,
            user_home: PathBuf::from("/"),
            hidden: Hidden::default(),
            run_as: None,
            descriptors: None,
        }
    }
}

/// A home, its broker, and its keys.
struct Bench {
    dir: tempfile::TempDir,
    keys: Arc<Keys>,
    broker: Arc<Broker>,
}

impl Bench {
    /// With the policies of some scopes.
    fn new(policies: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let opener = Opener::IdentityFile(None);
        let key = vault::init(&home, UnlockKind::IdentityFile, &opener, Pin::Unwanted).unwrap();
        let broker = Broker::new(Settings { user_home: dir.path().to_owned(), ..Settings::of_a_test(home) });
        let bench = Self { dir, keys: Arc::new(Keys::new(key)), broker };
        policies.iter().for_each(|text| bench.policy(text));
        bench
    }

    fn open(&self) -> Opened {
        Opened::new(self.broker.home(), Arc::clone(&self.keys)).unwrap()
    }

    /// Changes the vault, as an operator does.
    fn change(&self, make: impl FnOnce(&mut Vault, Timestamp)) {
        let mut open = self.open();
        make(&mut open.vault, Timestamp::now());
        let (principal, action) = ("operator:test".to_owned(), "test".to_owned());
        open.record_present(Note::Admin { principal, action, target: String::new(), detail: None }).unwrap();
    }

    fn policy(&self, text: &str) {
        let here = self.dir.path().to_owned();
        let machine = ResolveContext { user_home: here.clone(), path: Vec::new(), cwd: here };
        let document = Document::parse(text).unwrap();
        let resolved = resolve::resolve(&document, &machine).unwrap();
        let resolved = Resolved { values_judged: true, ..resolved };
        let stored = StoredPolicy { text: text.to_owned(), resolved, edition: StoredPolicy::EDITION };
        self.change(|vault, now| records::put_policy(vault, &document.scope, &stored, now).unwrap());
    }

    fn secrets(&self, values: &[(&str, &str)]) {
        self.change(|vault, now| {
            let changes = values.iter().map(|(name, value)| {
                let value = SecretValue::new(value.as_bytes().to_vec());
                (SecretName::parse(name).unwrap(), value, SecretMeta::default())
            });
            vault.set_secrets(changes.collect(), now).unwrap();
        });
    }

    /// Issues a token of the scope `dev` that begins at a moment, with a record that is as `amend` has it.
    fn token(&self, class: Class, begins: Timestamp, amend: impl FnOnce(&mut StoredToken)) -> Issued {
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

    fn token_of(
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
        self.change(|vault, now| records::put_token(vault, &stored, now).unwrap());
        Issued { text, id: claims.jti }
    }

    /// What was allowed, refused and what came of it, as it is on record: `EVENT SCOPE PRINCIPAL CODE`.
    fn on_record(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let audit = self.broker.home().join("audit");
        audit::events(&audit, &self.keys.audit(), None, &Filter::default(), &mut |found| match found {
            Found::Event(event) => lines.extend(line_of(&event)),
            Found::Damage { damaged } => panic!("{damaged}"),
        })
        .unwrap();
        lines
    }
}

fn line_of(event: &Value) -> Option<String> {
    let word = |field: &str| event.get(field).and_then(Value::as_str);
    let kind = word("event").filter(|kind| ["intent", "outcome", "denied"].contains(kind))?;
    let rest = ["scope", "principal", "code", "outcome"].into_iter().filter_map(word);
    Some(std::iter::once(kind).chain(rest).collect::<Vec<_>>().join(" "))
}

/// A token, and its identity.
struct Issued {
    text: SecretString,
    id: TokenId,
}

impl Issued {
    /// As it comes over HTTP, from anybody.
    fn shown(&self) -> Credential {
        Credential::Token(Bearer::of_request(self.text.clone()))
    }
}
