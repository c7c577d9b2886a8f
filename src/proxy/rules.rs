//! What one run may reach, and which value goes where: asked for every request by host, method and path.

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::{addresses::Named, authority::HostPort};
use crate::{
    names::{HostPattern, SecretName},
    policy::{EgressAllowlist, Seal},
    redact,
    value::SecretValue,
};

/// A sealed secret of the run.
pub(super) struct SealedSecret {
    pub name: SecretName,
    pub seal: Seal,
    pub placeholder: String,
    pub value: SecretValue,
}

impl SealedSecret {
    /// The value, where it is put on the wire.
    #[expect(clippy::disallowed_methods, reason = "a sealed value goes into a request here")]
    pub(super) fn bytes(&self) -> &[u8] {
        self.value.expose_secret()
    }

    /// The value as text; nothing where it is none.
    pub(super) fn text(&self) -> Option<Zeroizing<String>> {
        std::str::from_utf8(self.bytes()).ok().map(|text| Zeroizing::new(text.to_owned()))
    }

    /// Whether it is a secret that can be guessed: what only says who signs is none.
    pub(super) fn is_guessable(&self) -> bool {
        !self.seal.only_names(&self.name) && redact::is_guessable(self.bytes())
    }

    /// Whether it may go to a host at all.
    pub(super) fn goes_to(&self, to: &HostPort) -> bool {
        self.seal.hosts.iter().any(|host| host.covers(&to.host, to.port))
    }

    /// Whether it may go with this request.
    fn goes_with(&self, request: &Asked<'_>) -> bool {
        let method = self.seal.methods.as_ref().is_none_or(|methods| methods.contains(request.method));
        let path =
            || self.seal.paths.as_ref().is_none_or(|paths| paths.iter().any(|p| p.covers(request.path)));
        self.goes_to(request.to) && method && path()
    }
}

/// What decides on a request.
pub(super) struct Asked<'a> {
    pub to: &'a HostPort,
    pub method: &'a str,
    pub path: &'a str,
}

/// How connections to a host are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Opened, and each request looked at.
    Intercept,
    /// Passed on as bytes.
    Tunnel,
}

/// The hosts and the sealed secrets of one run.
pub(super) struct EgressRules {
    pub held: Vec<SealedSecret>,
    pub reach: EgressAllowlist,
}

impl EgressRules {
    /// What becomes of connections to a host; `None` where it isn't reached.
    pub(super) fn way(&self, to: &HostPort) -> Option<Way> {
        if self.held.iter().any(|held| held.goes_to(to)) {
            return Some(Way::Intercept);
        }
        self.reach.hosts.iter().any(|host| host.covers(&to.host, to.port)).then_some(Way::Tunnel)
    }

    /// The secrets that may go with a request; `None` where the request may not be made at all.
    pub(super) fn for_request(&self, request: &Asked<'_>) -> Option<Vec<&SealedSecret>> {
        let fitting: Vec<&SealedSecret> = self.held.iter().filter(|held| held.goes_with(request)).collect();
        let plain = || self.reach.hosts.iter().any(|host| host.covers(&request.to.host, request.to.port));
        (!fitting.is_empty() || plain()).then_some(fitting)
    }

    /// Every host that the policy names for the run.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &HostPattern> {
        self.held.iter().flat_map(|held| &held.seal.hosts).chain(&self.reach.hosts)
    }

    /// The secrets that may go to a host at all.
    pub(super) fn names_for(&self, to: &HostPort) -> Vec<&SecretName> {
        self.held.iter().filter(|held| held.goes_to(to)).map(|held| &held.name).collect()
    }

    /// A secret by name.
    pub(super) fn get(&self, name: &SecretName) -> Option<&SealedSecret> {
        self.held.iter().find(|held| held.name == *name)
    }

    /// How the policy names a host: with a port if anything that covers it does.
    pub(super) fn named(&self, to: &HostPort) -> Option<Named> {
        let covering = |host: &&HostPattern| host.covers(&to.host, to.port);
        let found: Vec<&HostPattern> = self.hosts().filter(covering).collect();
        let exact = |host: &&HostPattern| host.port().is_some() && !host.is_wildcard();
        match found.as_slice() {
            [] => None,
            found if found.iter().any(exact) => Some(Named::WithPort),
            _ => Some(Named::Plainly),
        }
    }
}
