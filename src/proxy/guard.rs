//! What a request to a host with a secret may not have: another's credentials, another site behind it, or another method,
//! path or host than it says.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    forms,
    refusal::{self, Refusal},
    rules::SealedSecret,
    run::Shared,
    target::{Target, Via},
};
use crate::{
    names::SecretName,
    policy::{
        credentials::{self, InQuery},
        other_request,
    },
    redact,
};

/// A request before anything is put into it.
pub(super) struct Guard<'a> {
    run: &'a Shared,
    target: &'a Target,
    /// The secrets that may go to the host at all.
    held: Vec<&'a SealedSecret>,
}

impl<'a> Guard<'a> {
    pub(super) fn new(run: &'a Shared, target: &'a Target) -> Self {
        let held = run.rules.held.iter().filter(|held| held.goes_to(&target.to)).collect();
        Self { run, target, held }
    }

    /// Whether a field of a form may not make the request one of another method.
    pub(super) fn holds_methods(&self) -> bool {
        self.held.iter().any(|held| held.seal.methods.is_some())
    }

    /// Looks at all but the body.
    pub(super) fn check(&self, headers: &HeaderMap, query: Option<&str>) -> Result<(), Refusal> {
        if self.held.is_empty() {
            return Ok(());
        }
        self.check_names(headers)?;
        self.check_origin(headers)?;
        let mut fields = query.into_iter().flat_map(forms::fields);
        if self.holds_methods() && fields.any(|(name, _)| forms::overrides(name.as_bytes())) {
            return Err(refusal::OVERRIDE);
        }
        if self.held.iter().any(|held| held.seal.inject.is_some()) {
            self.check_credentials(headers)?;
            self.check_query(query.unwrap_or_default())?;
        }
        Ok(())
    }

    /// A page of another site, which a browser in the run shows, does not speak for the run (Fetch, section 3.2; Fetch
    /// Metadata, section 2.4; RFC 6455, section 10.2). What is no browser says nothing of an origin.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let own = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| self.is_own_origin(origin));
        let here = |site: &HeaderValue| site == "same-origin" || site == "none";
        let sites = headers.get_all("sec-fetch-site");
        let foreign = !headers.get_all(header::ORIGIN).iter().all(own) || !sites.iter().all(here);
        if foreign { Err(refusal::FOREIGN_ORIGIN) } else { Ok(()) }
    }

    fn is_own_origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let ports = self.run.base_ports.get().into_iter().flatten().zip(&self.run.bases);
        let mut bases =
            ports.filter(|(_, base)| base.host == self.target.to.host && base.port == self.target.to.port);
        origin == self.target.origin() || bases.any(|(port, _)| origin == format!("http://127.0.0.1:{port}"))
    }

    /// What the host is sent is of our account, or of nobody's.
    fn check_credentials(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        for (name, value) in headers {
            let ours = match name.as_str() {
                "cookie" => self.are_ours(value),
                "sec-websocket-protocol" => Self::names_no_credential(value),
                "proxy-authorization" => {
                    matches!(self.target.via, Via::Proxy) || self.run.is_credential(value)
                }
                name if self.takes_credentials(name) => self.is_ours(value),
                _ => true,
            };
            if !ours {
                return Err(refusal::FOREIGN_CREDENTIAL);
            }
        }
        Ok(())
    }

    fn takes_credentials(&self, name: &str) -> bool {
        credentials::may_be_header(name) || self.held.iter().any(|held| held.seal.sets(name))
    }

    /// Nothing, or a placeholder of a secret of this host, as the credentials of some scheme.
    fn is_ours(&self, value: &HeaderValue) -> bool {
        let Ok(text) = value.to_str().map(str::trim) else { return false };
        let (scheme, credentials) = text.split_once(' ').unwrap_or(("", text));
        let signature = || text.starts_with("AWS4-") && self.signs(text);
        text.is_empty()
            || self.is_placeholder(scheme, credentials.trim())
            || signature()
            || self.is_of_another_host(text)
    }

    fn is_placeholder(&self, scheme: &str, credentials: &str) -> bool {
        if scheme.eq_ignore_ascii_case("basic") {
            let pair = STANDARD.decode(credentials).ok().and_then(|pair| String::from_utf8(pair).ok());
            let pair = pair.unwrap_or_default();
            let (user, password) = pair.split_once(':').unwrap_or((&pair, ""));
            let as_user = |placeholder: &str| user == placeholder && password.len() <= NO_PASSWORD;
            return self.placeholders().any(|placeholder| password == placeholder || as_user(placeholder));
        }
        // `Token token="…"`, as some write it.
        let word = credentials.rsplit('=').next().unwrap_or_default().trim_matches('"');
        let plain = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        plain && self.placeholders().any(|placeholder| word == placeholder)
    }

    /// A placeholder that this host is never sent: that is another refusal, where placeholders are replaced.
    fn is_of_another_host(&self, text: &str) -> bool {
        let mut others = self.run.rules.held.iter().filter(|held| !held.goes_to(&self.target.to));
        others.any(|held| text.contains(&held.placeholder))
    }

    fn signs(&self, text: &str) -> bool {
        self.placeholders().any(|placeholder| text.contains(&format!("Credential={placeholder}/")))
    }

    fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.held.iter().map(|held| held.placeholder.as_str())
    }

    /// Cookies that the host gave, and placeholders.
    fn are_ours(&self, value: &HeaderValue) -> bool {
        let Ok(text) = value.to_str() else { return false };
        let secrets: Vec<&SecretName> = self.held.iter().map(|held| &held.name).collect();
        text.split(';').map(str::trim).filter(|cookie| !cookie.is_empty()).all(|cookie| {
            let value = cookie.split_once('=').map_or("", |(_, value)| value).trim_matches('"');
            self.placeholders().any(|placeholder| value == placeholder)
                || self.run.cookies.are_of(&self.target.to, &secrets, cookie)
        })
    }

    /// What has no headers to set writes credentials there (`openai-insecure-api-key.…`, `base64url.bearer.authorization.…`).
    fn names_no_credential(value: &HeaderValue) -> bool {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        !["key", "bearer", "token", "auth"].iter().any(|word| text.contains(word))
    }

    fn check_query(&self, query: &str) -> Result<(), Refusal> {
        for (name, value) in forms::fields(query) {
            let ours = || value.is_empty() || self.placeholders().any(|placeholder| value == placeholder);
            if self.may_hold_credentials(name, value) && !ours() {
                return Err(refusal::FOREIGN_CREDENTIAL);
            }
        }
        Ok(())
    }

    fn may_hold_credentials(&self, name: &str, value: &str) -> bool {
        forms::readings(name.as_bytes()).iter().any(|name| {
            let name = String::from_utf8_lossy(name);
            let services = self.held.iter().filter_map(|held| held.seal.service.as_ref());
            let mut own = services.flat_map(|service| &service.entry.queries);
            let squeezed = credentials::squeezed(&name);
            own.any(|query| credentials::squeezed(query) == squeezed)
                || match credentials::in_query(&name) {
                    InQuery::Credential => true,
                    InQuery::PerhapsCredential => !redact::is_guessable(&forms::decoded(value.as_bytes())),
                    InQuery::Other => false,
                }
        })
    }

    /// A header's name is letters, digits and hyphens: what else there is, servers read as another name (`_` as `-` by CGI
    /// and WSGI). And none makes the request another one. The header that takes a secret is called what it is called.
    fn check_names(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let has_paths = self.held.iter().any(|held| held.seal.paths.is_some());
        for name in headers.keys().map(HeaderName::as_str) {
            if self.held.iter().any(|held| held.seal.header() == Some(name)) {
                continue;
            }
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return Err(refusal::HEADER_NAME);
            }
            if other_request::is_meant_by(name) || (has_paths && other_request::has_a_path(name)) {
                return Err(refusal::OVERRIDE);
            }
        }
        Ok(())
    }
}

/// Some clients write a word where there is no password (`x-oauth-basic`, `X`).
const NO_PASSWORD: usize = 16;
