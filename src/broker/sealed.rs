//! Runs that reach the network by the egress proxy: what a run is told of it, what it serves while the run
//! goes on, and the audit of every request.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    Broker, blocking,
    refusal::{Code, Refusal},
    watch::Live,
};
use crate::{
    audit::{AuditLog, Intent, Note},
    names::{EnvName, RunId, SecretName},
    policy::{Network, RunTerms},
    proxy::{Egress, EgressError, Record, Running, Sealed, Terms},
    redact::Needles,
    run::{Materials, OnListening, Start},
    sandbox::Plan,
};

/// The port of a run's proxy on the run's own loopback; those of its base URLs follow. Beyond the ports that a
/// system gives out by itself (ip_local_port_range).
const FIRST_PORT: u16 = 61_080;
/// Base URLs of one run at most: a run is handed no more sockets.
const MOST_BASES: usize = 31;
/// The file of roots, as `{file:NAME}` names it: no secret's name has two slashes.
pub(crate) const BUNDLE: &str = "authy-mcp//roots";
/// How long a certificate authority outlives the longest that its run may take.
const LONGER: Duration = Duration::from_secs(3600);
/// How long it lives where nothing limits the run: an agent's session, at a person's terminal.
const UNLIMITED: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often requests go on record while a run goes on.
const RECORDED_WITHIN: Duration = Duration::from_secs(1);

/// Where a run's streams go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Into the result; such a run has a timeout.
    Captured,
    /// To a person's terminal, or another server's client.
    Attached,
}

/// Makes a run's proxy, where it has one. Values that have none to go by are refused.
pub(crate) fn egress(
    plan: &Plan,
    terms: &RunTerms,
    sealed: Vec<Sealed>,
    known: Vec<Needles>,
    streams: Streams,
) -> Result<Option<Egress>, Refusal> {
    if plan.network != Network::Proxy {
        return if sealed.is_empty() { Ok(None) } else { Err(no_proxy()) };
    }
    let lifetime = match streams {
        Streams::Captured => terms.timeout.saturating_add(LONGER),
        Streams::Attached => UNLIMITED,
    };
    let made =
        Egress::new(Terms { sealed, reach: terms.reach.clone(), known, lifetime }).map_err(from_egress)?;
    if made.listeners() > MOST_BASES + 1 {
        return Err(Refusal::new(
            Code::BadArgument,
            "the rules of this run have too many base URLs",
            "use fewer secrets at a time",
        ));
    }
    Ok(Some(made))
}

fn no_proxy() -> Refusal {
    Refusal::new(
        Code::SandboxUnavailable,
        "a sealed secret needs the sandbox and its proxy, which this run would not have",
        "ask the operator to run: authy-mcp doctor, and to look at [sandbox] mode and network",
    )
}

fn from_egress(error: EgressError) -> Refusal {
    let hint = match &error {
        EgressError::TooShort(_) => "ask the operator to set a longer value, or to deliver it as env",
        EgressError::ExtraCa => "ask the operator to apply the policy again, with a good extra_ca",
        _ => "try again; if it stays so, ask the operator to run: authy-mcp doctor",
    };
    Refusal::new(Code::SandboxUnavailable, error.to_string(), hint)
}

/// Tells a program of its proxy: variables, placeholders for what it asks for, and where to listen. What the
/// policy sets itself stays as it is.
pub(crate) fn tell(start: &mut Start, materials: &mut Materials, egress: &Egress, terms: &RunTerms) {
    let bases = u16::try_from(egress.listeners()).unwrap_or(1);
    materials.listen = (FIRST_PORT..FIRST_PORT + bases).collect();
    materials.files.push((BUNDLE.to_owned(), egress.ca_bundle()));
    let variables = egress.environment(&materials.listen, &format!("{{file:{BUNDLE}}}"));
    for (name, text) in variables {
        let Ok(name) = EnvName::parse(&name) else { continue };
        if !terms.set_env.contains_key(&name) {
            materials.env.insert(name, text.into());
        }
    }
    let mut references = BTreeMap::new();
    for secret in &terms.secrets {
        let Some(placeholder) = egress.placeholder(&secret.name) else { continue };
        materials.env.insert(secret.env.clone(), OsString::from(placeholder));
        references.insert(reference(&secret.name), placeholder.to_owned());
    }
    let replaced =
        |text: &str| references.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    for argument in start.argv.iter_mut().skip(1) {
        *argument = replaced(argument);
    }
    if let Some(text) = start.stdin.as_ref().and_then(|stdin| std::str::from_utf8(stdin).ok()) {
        start.stdin = Some(replaced(text).into_bytes());
    }
}

/// What stands for a placeholder in arguments and standard input.
fn reference(name: &SecretName) -> String {
    format!("{{{{{name}}}}}")
}

/// A run's proxy while the run goes on.
pub(crate) struct Proxy {
    running: Arc<Mutex<Option<Running>>>,
    recording: Option<(JoinHandle<Result<(), Refusal>>, oneshot::Sender<()>)>,
}

impl Broker {
    /// Serves as soon as the run listens; puts its requests on record as they end.
    pub(crate) fn open_proxy(
        self: &Arc<Self>,
        egress: Option<Egress>,
        intent: &Intent<RunTerms>,
        audit: &Arc<AuditLog>,
        live: &Arc<Live>,
    ) -> (Option<OnListening>, Proxy) {
        let running: Arc<Mutex<Option<Running>>> = Arc::default();
        let Some(egress) = egress else { return (None, Proxy { running, recording: None }) };
        let egress = egress.while_allowed(Arc::new(self.right_of(live)));
        let (end, ended) = oneshot::channel();
        let records = self.clone().record_requests(
            Arc::clone(&running),
            Arc::clone(audit),
            intent.run_id().clone(),
            (ended, live.over()),
        );
        let recording = tokio::spawn(records);
        let place = Arc::clone(&running);
        let listening: OnListening = Box::new(move |listeners| match egress.serve(listeners) {
            Ok(served) => *lock(&place) = Some(served),
            Err(error) => tracing::warn!(%error, "a run's proxy could not be opened"),
        });
        (Some(listening), Proxy { running, recording: Some((recording, end)) })
    }

    /// Where a request can't go on record, no more are made.
    async fn record_requests(
        self: Arc<Self>,
        running: Arc<Mutex<Option<Running>>>,
        audit: Arc<AuditLog>,
        run: RunId,
        (mut ended, revoked): (oneshot::Receiver<()>, CancellationToken),
    ) -> Result<(), Refusal> {
        let mut stopped = false;
        loop {
            let over = tokio::select! {
                _ = &mut ended => true,
                () = revoked.cancelled(), if !stopped => {
                    // Its placeholders stand for nothing any more, whatever its processes do until they are gone.
                    stopped = true;
                    lock(&running).as_ref().inspect(|running| running.stop());
                    false
                }
                () = tokio::time::sleep(RECORDED_WITHIN) => false,
            };
            let records = if over {
                let last = lock(&running).take();
                match last {
                    Some(served) => served.end().await,
                    None => Default::default(),
                }
            } else {
                (lock(&running).as_ref().map(Running::take_records).unwrap_or_default(), 0)
            };
            let written = self.write_requests(&audit, &run, records).await;
            if over || written.is_err() {
                drop(lock(&running).take());
                return written;
            }
        }
    }

    async fn write_requests(
        self: &Arc<Self>,
        audit: &Arc<AuditLog>,
        run: &RunId,
        (records, beyond): (Vec<Record>, u64),
    ) -> Result<(), Refusal> {
        let mut notes: Vec<Note> = records.into_iter().map(|record| note(run, record)).collect();
        if beyond > 0 {
            notes.push(Note::MoreRequests { run: run.clone(), number: beyond });
        }
        if notes.is_empty() {
            return Ok(());
        }
        let audit = Arc::clone(audit);
        let written = blocking(move || notes.into_iter().try_for_each(|note| audit.record(note, None))).await;
        self.anchor_soon();
        written.map_err(Refusal::from)
    }
}

impl Proxy {
    /// Ends it, once its run has; all its requests are on record then.
    pub(crate) async fn end(self) -> Result<(), Refusal> {
        let Some((recording, end)) = self.recording else { return Ok(()) };
        drop(end);
        let written = match recording.await {
            Ok(written) => written,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        };
        drop(lock(&self.running).take());
        written
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
