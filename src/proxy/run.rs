//! All that serving one run needs, in one place that is dropped, and wiped, when the run has ended.

use std::{
    net::Ipv4Addr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use hyper_util::{client::legacy::Client, rt::TokioTimer};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use zeroize::Zeroizing;

use super::{
    EgressError, ProxyTerms, Right,
    authority::HostPort,
    body::Body,
    ca,
    cookies::Cookies,
    dial::Dial,
    ledger::Ledger,
    masks::Masks,
    names::Names,
    placeholder,
    rules::{EgressRules, SealedSecret},
    tls,
};
use crate::{
    names::SecretName,
    policy::BaseUrl,
    redact::{LedgerPage, MaskLedger, NeedleSet, Needles},
    value::SecretValue,
};

/// How long a program may take to say what it wants.
pub(super) const ASKS_WITHIN: Duration = Duration::from_secs(30);
/// Connections of one run at once.
const CONNECTIONS: usize = 256;
/// Answers of one run that are looked into whole at once, each with up to 16 MiB: others wait for their turn.
const WHOLE_ANSWERS: usize = 8;
/// How long a connection to a host is kept for the next request.
const KEPT_IDLE: Duration = Duration::from_secs(30);
/// Windows of an HTTP/2 stream and connection, in bytes: what is under way at most (RFC 9113, section 5.2).
pub(super) const STREAM_WINDOW: u32 = 1 << 20;
pub(super) const CONNECTION_WINDOW: u32 = 4 << 20;
/// A value shorter than this can't be found again in what comes back.
const SHORTEST: usize = 8;

/// Shared by everything that serves a run.
pub(super) type Shared = Arc<Run>;

/// One run, as its proxy sees it.
pub(super) struct Run {
    pub rules: Arc<EgressRules>,
    /// What the run can resolve.
    pub names: Names,
    pub masks: Masks,
    pub ca: ca::RunCa,
    /// What the program trusts: the system's roots, the operator's, and the run's own.
    pub bundle: String,
    pub client: Client<Dial, Body>,
    /// For what is upgraded, which HTTP/2 can't be here.
    pub sockets: Client<Dial, Body>,
    pub credential: Zeroizing<String>,
    pub bases: Vec<BaseUrl>,
    /// The ports on which the base URLs are, in order.
    pub base_ports: OnceLock<Vec<u16>>,
    pub ledger: Arc<Ledger>,
    pub cookies: Cookies,
    /// What is asked before a value leaves.
    pub right: OnceLock<Arc<dyn Right>>,
    pub tasks: TaskTracker,
    pub ended: CancellationToken,
    pub connections: Arc<Semaphore>,
    pub tunnels: Arc<Semaphore>,
    /// Room for answers that are looked into whole.
    pub whole: Arc<Semaphore>,
}

impl Run {
    /// Makes it, and the roots that it takes hosts by.
    pub(super) fn new(terms: ProxyTerms) -> Result<(Self, tls::Roots), EgressError> {
        let ca = ca::RunCa::new(terms.lifetime)?;
        let mut bases: Vec<BaseUrl> = Vec::new();
        for base in terms.sealed.iter().flat_map(|sealed| &sealed.seal.base_urls) {
            if !bases.contains(base) {
                bases.push(base.clone());
            }
        }
        let system = tls::system_roots();
        let extra = terms.reach.extra_ca.clone();
        let roots = tls::Roots::read(&system, extra.as_deref())?;
        let config = tls::client(&roots)?;
        let bundle = format!("{system}\n{}\n{}", extra.unwrap_or_default(), ca.pem());
        let held = terms.sealed.into_iter().map(hold).collect::<Result<Vec<SealedSecret>, EgressError>>()?;
        let masks = masks(&held, &terms.known);
        let rules = Arc::new(EgressRules { held, reach: terms.reach });
        let (tasks, ended) = (TaskTracker::new(), CancellationToken::new());
        let spawner = Spawner { tasks: tasks.clone(), ended: ended.clone() };
        let both = Dial::new(Arc::clone(&rules), config.clone(), &[b"h2", b"http/1.1"]);
        let one = Dial::new(Arc::clone(&rules), config, &[b"http/1.1"]);
        let run = Self {
            client: client(spawner.clone(), both),
            sockets: client(spawner, one),
            names: Names::of(&rules),
            rules,
            masks,
            ca,
            bundle,
            credential: placeholder::word(),
            bases,
            base_ports: OnceLock::new(),
            ledger: Arc::default(),
            cookies: Cookies::default(),
            right: OnceLock::new(),
            tasks,
            ended,
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            tunnels: Arc::new(Semaphore::new(CONNECTIONS)),
            whole: Arc::new(Semaphore::new(WHOLE_ANSWERS)),
        };
        Ok((run, roots))
    }

    /// Serves something until it or the run ends.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        Spawner { tasks: self.tasks.clone(), ended: self.ended.clone() }.spawn(work);
    }

    pub(super) fn executor(&self) -> Spawner {
        Spawner { tasks: self.tasks.clone(), ended: self.ended.clone() }
    }

    /// Whether the run still may. What is under way ends with a no.
    pub(super) async fn is_allowed(&self) -> bool {
        let allowed = match self.right.get() {
            Some(right) => right.holds().await,
            None => true,
        };
        allowed && !self.ended.is_cancelled()
    }

    /// Whether it is the run's credential (RFC 7617), compared without telling how much of it was right.
    pub(super) fn is_credential(&self, value: &HeaderValue) -> bool {
        let given = value.to_str().ok().and_then(|text| {
            let (scheme, credential) = text.split_once(' ')?;
            let decoded = STANDARD.decode(credential.trim()).ok()?;
            scheme.eq_ignore_ascii_case("basic").then_some(decoded)
        });
        let wanted = format!("run:{}", self.credential.as_str());
        given.is_some_and(|given| bool::from(given.ct_eq(wanted.as_bytes())))
    }

    /// Which base URL is at an address of this proxy: a client sends those by the proxy, too.
    pub(super) fn base_at(&self, to: &HostPort) -> Option<usize> {
        let here = to.address() == Some(Ipv4Addr::LOCALHOST.into());
        self.base_ports.get()?.iter().position(|port| here && *port == to.port)
    }

    /// A path as the audit has it: without values, bounded, a placeholder as what it stands for.
    pub(super) fn shown(&self, path: &str) -> String {
        // The audit's record of a request: nobody is told of it.
        let mut ledger = MaskLedger::of_no_run();
        let mut text = self.masks.needles.mask(path, LedgerPage::Rest, &mut ledger).into_inner();
        for held in &self.rules.held {
            text = text.replace(&held.placeholder, &format!("{{{{{}}}}}", held.name));
        }
        text.chars().filter(|c| !c.is_control()).take(512).collect()
    }
}

/// The hosts' connections end with the run, too.
#[derive(Clone)]
pub(super) struct Spawner {
    tasks: TaskTracker,
    ended: CancellationToken,
}

impl Spawner {
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = ended.cancelled() => {}
            }
        });
    }
}

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, work: F) {
        self.spawn(async move {
            let _ = work.await;
        });
    }
}

fn client(executor: Spawner, dial: Dial) -> Client<Dial, Body> {
    Client::builder(executor)
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEPT_IDLE)
        .http1_max_buf_size(256 << 10)
        .http2_max_header_list_size(256 << 10)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .build(dial)
}

fn hold(sealed: super::Sealed) -> Result<SealedSecret, EgressError> {
    let super::Sealed { name, seal, value } = sealed;
    if value.len() < SHORTEST {
        return Err(EgressError::TooShort(name));
    }
    let mut held = SealedSecret { name, seal, placeholder: String::new(), value };
    held.placeholder =
        if held.is_guessable() { placeholder::shapeless() } else { placeholder::placeholder(held.bytes()) };
    Ok(held)
}

/// What is taken out of answers: the values of this run become their placeholders, all others of the scope
/// what they become in output.
fn masks(held: &[SealedSecret], known: &[Needles]) -> Masks {
    let own: Vec<Needles> = held.iter().flat_map(own_needles).collect();
    let lower: Vec<Needles> = held.iter().map(|held| lower_case(&held.name, held.bytes())).collect();
    Masks { needles: NeedleSet::new(own.iter().chain(known)), names: NeedleSet::new(&lower) }
}

/// The value, and the form that it takes as the password of a user.
fn own_needles(held: &SealedSecret) -> Vec<Needles> {
    let mask = &held.placeholder;
    let mut found = vec![Needles::of_masked(&held.name, &held.value, mask.as_bytes())];
    if let Some(crate::policy::Inject::Basic { user }) = &held.seal.inject {
        let basic = super::inject::basic(user, held.bytes());
        let mask = super::inject::basic(user, mask.as_bytes());
        let basic = SecretValue::new(basic.as_bytes().to_vec());
        found.push(Needles::of_masked(&held.name, &basic, mask.as_bytes()));
    }
    found
}

fn lower_case(name: &SecretName, value: &[u8]) -> Needles {
    Needles::of(name, &SecretValue::new(value.to_ascii_lowercase()))
}
