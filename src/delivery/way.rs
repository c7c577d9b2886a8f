//! What a way for secrets is, what it is given and what it puts together.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    pin::Pin,
    sync::Arc,
};

use crate::{
    audit::Note,
    names::{EnvName, RunId, SecretName},
    policy::{How, Promise, RunTerms, Timed},
    proxy::{EgressError, Right},
    redact::Needles,
    run::{Listening, Materials},
    sandbox::{Endpoint, SandboxPlan},
    value::SecretValue,
};

/// The first port of a run's own loopback on which somebody listens; the others follow. Beyond the ports that a
/// system gives out by itself (ip_local_port_range).
pub(super) const FIRST_PORT: u16 = 61_080;

/// Listeners of one run at most: it is handed no more sockets.
pub(super) const MOST_LISTENERS: usize = 64;

/// A way for secrets.
pub(crate) trait Delivery: Sync {
    /// Whether a secret goes this way.
    fn takes(&self, how: &How) -> bool;

    /// Into whose hands a value gets.
    fn hands(&self) -> Hands;

    /// What may be promised of a run with these values, before anything is made for it.
    ///
    /// # Errors
    /// [`DeliveryError`], for a value that is not delivered.
    fn judge(&self, _secrets: &[Revealed], terms: &RunTerms) -> Result<Promise, DeliveryError> {
        Ok(terms.promise)
    }

    /// Puts in place what the program finds. Called for every run, also for one that has no secret of this way.
    ///
    /// # Errors
    /// [`DeliveryError`]: then nothing is started.
    fn deliver(
        &self,
        secrets: Vec<Revealed>,
        run: &ForRun<'_>,
        outfit: &mut Outfit,
    ) -> Result<(), DeliveryError>;
}

/// Into whose hands a value gets: it decides what is looked for in a run's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hands {
    /// The program's: every form of the value is looked for.
    Program,
    /// Ours alone: nothing is looked for by which the program could try guesses.
    Ours,
}

/// A secret of a run with its value, on its way.
pub(crate) struct Revealed {
    /// Which.
    pub name: SecretName,
    /// The variable that tells the program of it.
    pub env: EnvName,
    /// The way, with all that it needs.
    pub how: How,
    /// The value.
    pub value: SecretValue,
}

/// What a delivery may know of the run.
pub(crate) struct ForRun<'a> {
    /// What was allowed.
    pub terms: &'a RunTerms,
    /// What will contain it.
    pub plan: &'a SandboxPlan,
    /// What is looked for in its output.
    pub known: &'a [Needles],
    /// Whether anything holds it to its time.
    pub timed: Timed,
}

/// What deliveries have put together for a run.
#[derive(Default)]
pub(crate) struct Outfit {
    /// What the program finds.
    pub materials: Materials,
    /// What is masked in its output beside values.
    pub needles: Vec<Needles>,
    pub(super) references: BTreeMap<String, String>,
    pub(super) beside: Vec<(usize, Box<dyn Beside>)>,
}

impl Outfit {
    /// Ports of the run's own loopback for what serves it, as many as it asks for.
    pub(crate) fn listen(&mut self, number: usize) -> Vec<u16> {
        let first = self.materials.listen.len();
        let ports: Vec<u16> = (FIRST_PORT..).skip(first).take(number.min(MOST_LISTENERS + 1)).collect();
        let at = |port: &u16| Endpoint::Stream(SocketAddrV4::new(Ipv4Addr::LOCALHOST, *port));
        self.materials.listen.extend(ports.iter().map(at));
        ports
    }

    /// Places of one's own choice on the run's loopback; how many they are. Too many are refused with all that was asked for,
    /// not left out: a name would stand for an address where nobody listens.
    pub(crate) fn listen_at(&mut self, endpoints: impl IntoIterator<Item = Endpoint>) -> usize {
        let before = self.materials.listen.len();
        self.materials.listen.extend(endpoints.into_iter().take((MOST_LISTENERS + 1).saturating_sub(before)));
        self.materials.listen.len() - before
    }

    /// Has the run be served at the last places that were asked for, so many of them.
    pub(crate) fn serve(&mut self, number: usize, beside: impl Beside + 'static) {
        self.beside.push((number, Box::new(beside)));
    }

    /// Has `{{name}}` in arguments and standard input stand for a text.
    pub(crate) fn refer(&mut self, name: &SecretName, text: &str) {
        self.references.insert(format!("{{{{{name}}}}}"), text.to_owned());
    }

    /// A text with what its references stand for.
    pub(crate) fn resolved(&self, text: &str) -> String {
        self.references.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// What the program finds, what is masked beside values, and what serves it.
    pub(crate) fn into_parts(self) -> (Materials, Vec<Needles>, Services) {
        (self.materials, self.needles, Services(self.beside))
    }
}

/// What is ready to serve a run, each with the number of its sockets.
pub(crate) struct Services(Vec<(usize, Box<dyn Beside>)>);

impl Services {
    /// Whether there is nothing to serve.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Serves on the run's sockets, in the order in which they were asked for. What can't be opened serves nothing:
    /// the program finds nobody there.
    pub(crate) fn serve(self, mut sockets: Vec<Listening>, right: &Arc<dyn Right>) -> Vec<Box<dyn Serving>> {
        let mut serving = Vec::new();
        for (number, beside) in self.0 {
            let rest = sockets.split_off(number.min(sockets.len()));
            match beside.serve(std::mem::replace(&mut sockets, rest), Arc::clone(right)) {
                Ok(served) => serving.push(served),
                Err(error) => tracing::warn!(%error, "what serves a run could not be opened"),
            }
        }
        serving
    }
}

/// What is ready to serve a run from outside.
pub(crate) trait Beside: Send {
    /// Serves on the sockets that were asked for, for as long as the right holds.
    ///
    /// # Errors
    /// [`DeliveryError`].
    fn serve(
        self: Box<Self>,
        sockets: Vec<Listening>,
        right: Arc<dyn Right>,
    ) -> Result<Box<dyn Serving>, DeliveryError>;
}

/// What serves a run from outside, until it is dropped.
pub(crate) trait Serving: Send {
    /// What has happened since it was asked last, for the record.
    fn records(&self, run: &RunId) -> Vec<Note>;

    /// From here on it does nothing for the run any more.
    fn stop(&self);

    /// Ends it; all that is not on record yet.
    fn end<'a>(self: Box<Self>, run: &'a RunId) -> Pin<Box<dyn Future<Output = Vec<Note>> + Send + 'a>>;
}

/// Why a secret is not delivered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliveryError {
    /// No delivery takes it.
    #[error("nothing delivers {0}")]
    NoWay(SecretName),
    /// It needs the sandbox and its proxy.
    #[error("a sealed secret needs the sandbox and its proxy, which this run would not have")]
    NoProxy,
    /// Its value could be guessed, and its rule does not allow for that.
    #[error("the value of {secret} could be guessed, and its rule does not say guessable = true")]
    Guessable {
        /// Which.
        secret: SecretName,
        /// The rule, where it is one's alone.
        rule: Option<String>,
    },
    /// More is to be listened on than a run is handed sockets.
    #[error("the rules of this run have too many base URLs, and hosts with ports of their own")]
    TooManyListeners,
    /// Its value could not be taken out of what comes back.
    #[error(transparent)]
    Value(EgressError),
    /// The roots that the policy names can't be read.
    #[error(transparent)]
    Roots(EgressError),
    /// The proxy can't be made.
    #[error(transparent)]
    Proxy(EgressError),
}

impl From<EgressError> for DeliveryError {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::TooShort(_) => Self::Value(error),
            EgressError::ExtraCa => Self::Roots(error),
            EgressError::Certificate(_) | EgressError::Tls(_) | EgressError::Listen(_) => Self::Proxy(error),
        }
    }
}
