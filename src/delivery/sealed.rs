//! Sealed: the program gets a placeholder, and the proxy puts the value in on the way to the hosts that the policy
//! names.

use std::{ffi::OsString, pin::Pin, sync::Arc, time::Duration};

use secrecy::ExposeSecret;

use super::{Beside, Delivery, DeliveryError, ForRun, Hands, Outfit, Revealed, Right, Serving, found};
use crate::{
    audit::Note,
    names::{EnvName, RunId},
    policy::{How, Network, Promise, RunTerms, Timed},
    proxy::{Egress, ProxyTerms, RESOLVER, Record, Running, Sealed, Sockets},
    redact,
    run::Listening,
    sandbox::Endpoint,
};

/// The file of roots, as `{file:NAME}` names it: no secret's name has two slashes.
const BUNDLE: &str = "authy-mcp//roots";
/// How long a certificate authority outlives the longest that its run may take.
const LONGER: Duration = Duration::from_secs(3600);
/// How long it lives where nothing limits the run: an agent's session, at a person's terminal.
const UNLIMITED: Duration = Duration::from_secs(30 * 24 * 3600);

/// The value stays here, and goes out by the run's proxy.
pub(super) struct ByProxy;

impl Delivery for ByProxy {
    fn takes(&self, how: &How) -> bool {
        matches!(how, How::Sealed(_))
    }

    fn hands(&self) -> Hands {
        Hands::Ours
    }

    /// A host that says again what it is sent answers guesses, so a rule has to say that it seals what can be guessed.
    /// Under a policy that was applied before its values were judged it is sealed all the same, and nothing but best
    /// effort is promised.
    #[expect(clippy::disallowed_methods, reason = "a value is judged before it is sealed")]
    fn judge(&self, secrets: &[Revealed], terms: &RunTerms) -> Result<Promise, DeliveryError> {
        let unsaid = secrets.iter().find(|Revealed { name, how, value, .. }| {
            !terms.guessable.contains(name)
                && !how.seal().is_some_and(|seal| seal.only_names(name))
                && redact::is_guessable(value.expose_secret())
        });
        match unsaid {
            None => Ok(terms.promise),
            Some(_) if !terms.values_judged => Ok(Promise::BestEffort),
            Some(secret) => Err(DeliveryError::Guessable {
                secret: secret.name.clone(),
                rule: terms.rules.first().cloned(),
            }),
        }
    }

    fn deliver(
        &self,
        secrets: Vec<Revealed>,
        run: &ForRun<'_>,
        outfit: &mut Outfit,
    ) -> Result<(), DeliveryError> {
        if run.plan.network != Network::Proxy {
            return if secrets.is_empty() { Ok(()) } else { Err(DeliveryError::NoProxy) };
        }
        let variables: Vec<_> =
            secrets.iter().map(|secret| (secret.name.clone(), secret.env.clone())).collect();
        let lifetime = match run.timed {
            Timed::Yes => run.terms.timeout.saturating_add(LONGER),
            Timed::No => UNLIMITED,
        };
        let mut sealed = Vec::new();
        for Revealed { name, how, value, .. } in secrets {
            let How::Sealed(seal) = how else { return Err(DeliveryError::NoWay(name)) };
            sealed.push(Sealed { name, seal: *seal, value });
        }
        let reach = run.terms.reach.clone();
        let egress = Egress::new(ProxyTerms { sealed, reach, known: run.known.to_vec(), lifetime })?;
        let ports = outfit.listen(egress.listeners());
        let resolver = [Endpoint::Datagrams(RESOLVER), Endpoint::Stream(RESOLVER)];
        let doors = egress.doors(&ports).into_iter().map(Endpoint::Stream);
        let beside = outfit.listen_at(resolver.into_iter().chain(doors));
        outfit.materials.files.push((BUNDLE.to_owned(), egress.ca_bundle()));
        found::put(outfit, &egress, run.terms, BUNDLE);
        for (name, text) in egress.environment(&ports, &format!("{{file:{BUNDLE}}}")) {
            let Ok(name) = EnvName::parse(&name) else { continue };
            // What the policy sets itself stays as it is.
            if !run.terms.set_env.contains_key(&name) {
                outfit.materials.env.insert(name, text.into());
            }
        }
        for (name, variable) in variables {
            let Some(placeholder) = egress.placeholder(&name) else { continue };
            outfit.materials.env.insert(variable, OsString::from(placeholder));
            outfit.refer(&name, placeholder);
        }
        outfit.needles.extend(egress.needles());
        outfit.serve(ports.len() + beside, Ready { egress, own: ports.len() });
        Ok(())
    }
}

/// A proxy, and how many of its sockets are its own: behind them come the resolver's two and the hosts'.
struct Ready {
    egress: Egress,
    own: usize,
}

impl Beside for Ready {
    fn serve(
        self: Box<Self>,
        sockets: Vec<Listening>,
        right: Arc<dyn Right>,
    ) -> Result<Box<dyn Serving>, DeliveryError> {
        let (mut streams, mut datagrams) = (Vec::new(), None);
        for socket in sockets {
            match socket {
                Listening::Stream(listener) => streams.push(listener),
                Listening::Datagrams(socket) => datagrams = Some(socket),
            }
        }
        let mut rest = streams.split_off(self.own.min(streams.len())).into_iter();
        let resolver = datagrams.zip(rest.next());
        let sockets = Sockets { own: streams, resolver, doors: rest.collect() };
        Ok(Box::new(self.egress.while_allowed(right).serve(sockets)?))
    }
}

impl Serving for Running {
    fn records(&self, run: &RunId) -> Vec<Note> {
        self.take_records().into_iter().map(|record| note(run, record)).collect()
    }

    fn stop(&self) {
        Running::stop(self);
    }

    fn end<'a>(self: Box<Self>, run: &'a RunId) -> Pin<Box<dyn Future<Output = Vec<Note>> + Send + 'a>> {
        Box::pin(async move {
            let (records, beyond) = Running::end(*self).await;
            let mut notes: Vec<Note> = records.into_iter().map(|record| note(run, record)).collect();
            if beyond > 0 {
                notes.push(Note::MoreRequests { run: run.clone(), number: beyond });
            }
            notes
        })
    }
}

fn note(run: &RunId, record: Record) -> Note {
    Note::Request {
        run: run.clone(),
        host: record.host,
        method: record.method,
        path: record.path,
        status: record.status,
        refused: record.refused.map(str::to_owned),
        secrets: record.secrets.iter().map(ToString::to_string).collect(),
        sent: record.sent,
        received: record.received,
        scrubs: record.scrubs,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        names::SecretName,
        policy::{Decision, Document, Policy, Request, Resolved, SecretFacts},
        value::SecretValue,
    };

    /// The terms of a run that has `db/pin` sealed.
    fn terms(more: &str, values_judged: bool) -> RunTerms {
        let text = format!(
            "scope = \"s\"\n[[allow]]\nid = \"api\"\nsecrets = [\"db/pin\"]\ndeliver = \"sealed\"\nhosts = [\"api.example.com\"]\ninject = \"bearer\"\ncommands = \"any\"\n{more}"
        );
        let resolved = Resolved { values_judged, ..Resolved::default() };
        let policy = Policy::new(Document::parse(&text).unwrap(), resolved);
        let secret = SecretName::parse("db/pin").unwrap();
        let request = Request {
            command: vec!["true".to_owned()],
            secrets: Some(vec![secret.clone()]),
            resolved_program: Some("/bin/true".into()),
            ..Request::default()
        };
        let facts = [SecretFacts { name: secret, env: None, description: None }];
        let Decision::Allow(allowed) = policy.decide(&request, &facts) else { panic!("it is allowed") };
        allowed.terms().clone()
    }

    fn checked(more: &str, values_judged: bool, value: &str) -> Option<Promise> {
        let terms = terms(more, values_judged);
        let secret = terms.secrets[0].clone();
        let value = SecretValue::new(value.as_bytes().to_vec());
        let secrets = [Revealed { name: secret.name, env: secret.env, how: secret.how, value }];
        match ByProxy.judge(&secrets, &terms) {
            Ok(promise) => Some(promise),
            Err(DeliveryError::Guessable { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn sealing_what_can_be_guessed_has_to_be_said_and_what_was_applied_before_is_best_effort() {
        const HARD: &str = "sk-proj-9fQ2xLw7Vb4NcT8mZr1KpY6hJd3GsA5eUo2W";
        for (more, judged, value, expected) in [
            ("", true, "48291736", None),
            ("guessable = false", true, "Falcon27!granite", None),
            ("guessable = true", true, "48291736", Some(Promise::Sealed)),
            ("", true, HARD, Some(Promise::Sealed)),
            ("", false, "48291736", Some(Promise::BestEffort)),
            ("", false, HARD, Some(Promise::Sealed)),
            ("guessable = true", false, "48291736", Some(Promise::Sealed)),
        ] {
            assert_eq!(checked(more, judged, value), expected, "{more} {judged} {value}");
        }
        assert_eq!(
            terms("guessable = true", true).guessable,
            BTreeSet::from([SecretName::parse("db/pin").unwrap()])
        );
    }
}
