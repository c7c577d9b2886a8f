//! Sealed delivery: a proxy of the run's own, in which placeholders become values on their way to the hosts
//! that the policy names, and values become placeholders again on their way back.
//!
//! What enters: the terms of a policy, the values that an intent covers, and what an untrusted program sends.
//! What leaves towards the program never has a value in it; what leaves towards a host has one only where
//! the rule says so. Every message is parsed and written anew, nothing of an intercepted connection is
//! passed on as it came. Nothing here reads an environment, starts a program or touches the vault.
//!
//! It stands on hyper and rustls themselves, not on a proxy framework (hudsucker): what decides here is known
//! before TLS is accepted (the CONNECT target, then the TLS name), connections upstream go to an address that
//! was checked, and both sides of a WebSocket are rewritten frame by frame.
//!
//! ```text
//!  program ─ door (credential) ─┬─ tunnel: bytes to a host without secrets
//!                               └─ intercept (the run's CA) ─ request: form, rules, placeholders, inject
//!                                                              │ dial: resolved once, pinned, verified
//!  program ◀─ response: headers, trailers, body scrubbed ◀─────┘ host
//! ```

mod addresses;
mod authority;
mod body;
mod brotli;
mod ca;
mod care;
mod coded;
mod cookies;
mod decode;
mod dial;
mod dns;
mod filled;
mod forms;
#[doc(hidden)]
pub(crate) mod fuzzing;
mod guard;
mod inject;
mod json_keys;
mod keystore;
mod ledger;
mod listener;
mod masks;
mod names;
mod outgoing;
mod placeholder;
mod range;
mod refusal;
mod refused;
mod request;
mod resolver;
mod response;
mod rules;
mod run;
mod scrub;
mod sigv4;
mod substitute;
mod target;
mod terms;
#[cfg(test)]
mod testing;
mod tls;
mod websocket;

use std::{fmt, net::SocketAddrV4, sync::Arc};

use tokio_util::sync::DropGuard;

use crate::{names::SecretName, redact::Needles, value::SecretValue};

pub use ledger::Record;
pub(crate) use names::{RESOLVER, hosts_first};
pub(crate) use terms::{EgressError, Right};
pub use terms::{ProxyTerms, Sealed, Sockets};
pub(crate) use tls::is_bundle;

/// A run's proxy, before it serves: what the program must be told.
pub struct Egress {
    run: Arc<run::Run>,
    /// What is needed of them until it serves.
    roots: tls::Roots,
}

/// Variables that name a proxy; clients read one case or the other.
const PROXY: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
/// Variables that name a file of roots, of OpenSSL and Go, curl, Python, Node, git, AWS, Cargo, pip, Deno, npm,
/// gRPC, Bundler, Perl, the Google Cloud SDK and Nix.
const ROOTS: &[&str] = &[
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "PIP_CERT",
    "DENO_CERT",
    "npm_config_cafile",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "BUNDLE_SSL_CA_CERT",
    "PERL_LWP_SSL_CA_FILE",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "NIX_SSL_CERT_FILE",
];

impl Egress {
    /// Makes the placeholders, the credential and the certificate authority of a run.
    ///
    /// # Errors
    /// [`EgressError`].
    pub fn new(terms: ProxyTerms) -> Result<Self, EgressError> {
        run::Run::new(terms).map(|(run, roots)| Self { run: Arc::new(run), roots })
    }

    /// Binds it to a right: without one it serves as long as it lives.
    #[must_use]
    pub fn while_allowed(self, right: Arc<dyn Right>) -> Self {
        // Nobody has bound it before: it is ours alone until it serves.
        let _ = self.run.right.set(right);
        self
    }

    /// What stands for a secret in the program's environment, arguments and standard input.
    pub fn placeholder(&self, name: &SecretName) -> Option<&str> {
        self.run.rules.get(name).map(|held| held.placeholder.as_str())
    }

    /// The needles of the placeholders: in output each is masked as its secret is. One that stands for a value
    /// that can be guessed is shown as it is: nothing of its value is looked for, and nothing is to look as if
    /// it were.
    pub fn needles(&self) -> Vec<Needles> {
        let held = self.run.rules.held.iter().filter(|held| !held.is_guessable());
        held.map(|held| Needles::of(&held.name, &SecretValue::new(held.placeholder.clone().into_bytes())))
            .collect()
    }

    /// How many listeners it serves on: the proxy's, and one for each base URL.
    pub fn listeners(&self) -> usize {
        1 + self.run.bases.len()
    }

    /// Where the hosts of the policy are to be found, each at its own port, by clients that ask for no proxy. `taken` are
    /// ports that the run is served on otherwise.
    pub fn doors(&self, taken: &[u16]) -> Vec<SocketAddrV4> {
        self.run.names.doors(taken)
    }

    /// The run's `/etc/hosts`.
    pub(crate) fn hosts_file(&self) -> String {
        self.run.names.hosts_file()
    }

    /// The variables that tell clients of it. `ports` are those of the listeners on 127.0.0.1, in order, as
    /// the program reaches them; `ca_bundle` is where [`Egress::ca_bundle`] lies.
    pub fn environment(&self, ports: &[u16], ca_bundle: &str) -> Vec<(String, String)> {
        let credential = self.run.credential.as_str();
        let mut variables = vec![("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned())];
        let mut ports = ports.iter();
        if let Some(port) = ports.next() {
            let proxy = format!("http://run:{credential}@127.0.0.1:{port}");
            variables.extend(PROXY.iter().map(|name| ((*name).to_owned(), proxy.clone())));
        }
        for (base, port) in self.run.bases.iter().zip(ports) {
            let address = format!("http://127.0.0.1:{port}/{credential}{}", base.path);
            variables.push((base.env.to_string(), address));
        }
        variables.extend(ROOTS.iter().map(|name| ((*name).to_owned(), ca_bundle.to_owned())));
        variables
    }

    /// The system's roots, the operator's, and the run's own, as PEM.
    pub fn ca_bundle(&self) -> Vec<u8> {
        self.run.bundle.clone().into_bytes()
    }

    /// The same as a key store of Java's.
    pub(crate) fn java_roots(&self) -> Vec<u8> {
        let roots: Vec<&[u8]> =
            self.roots.iter().chain([self.run.ca.certificate()]).map(|der| &der[..]).collect();
        keystore::java(&roots)
    }

    /// Serves on these until the answer is dropped.
    ///
    /// # Errors
    /// [`EgressError::Listen`].
    pub fn serve(self, sockets: impl Into<Sockets>) -> Result<Running, EgressError> {
        listener::open(&self.run, sockets.into()).map_err(EgressError::Listen)?;
        let ended = self.run.ended.clone().drop_guard();
        Ok(Running { run: self.run, _ended: ended })
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Egress({} sealed)", self.run.rules.held.len())
    }
}

/// A proxy that serves. Ends when it is dropped.
pub struct Running {
    run: Arc<run::Run>,
    _ended: DropGuard,
}

impl Running {
    /// Ends what is under way, and whatever the program tries from here on; its records are kept.
    pub fn stop(&self) {
        self.run.ended.cancel();
    }

    /// The requests that ended since the last time.
    pub fn take_records(&self) -> Vec<Record> {
        self.run.ledger.take()
    }

    /// Ends it, waits for what it had under way, and returns the last records and how many were not kept.
    pub async fn end(self) -> (Vec<Record>, u64) {
        self.run.ended.cancel();
        self.run.tasks.close();
        self.run.tasks.wait().await;
        (self.run.ledger.take(), self.run.ledger.beyond())
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({} sealed)", self.run.rules.held.len())
    }
}
