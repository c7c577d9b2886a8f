//! Whom the proxy trusts upstream: the system's roots, read from the places where systems keep them and
//! nowhere that an environment names, and the operator's own.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::EgressError;
use crate::system::CERTIFICATES;

/// One set of primitives for both sides.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The system's roots, as PEM; nothing where it has none.
pub(super) fn system_roots() -> String {
    CERTIFICATES.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
}

/// Roots, decoded: the system's as far as they can be read, and the operator's, each of which must be good.
pub(super) struct Roots {
    system: Vec<CertificateDer<'static>>,
    extra: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Decodes both texts.
    pub(super) fn read(system: &str, extra: Option<&str>) -> Result<Self, EgressError> {
        let system = CertificateDer::pem_slice_iter(system.as_bytes()).filter_map(Result::ok).collect();
        let extra = CertificateDer::pem_slice_iter(extra.unwrap_or_default().as_bytes());
        let extra = extra.collect::<Result<_, _>>().map_err(|_| EgressError::ExtraCa)?;
        Ok(Self { system, extra })
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.system.iter().chain(&self.extra)
    }
}

/// What upstream servers must show, by these roots.
pub(super) fn client(by: &Roots) -> Result<ClientConfig, EgressError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(by.system.iter().cloned());
    for certificate in &by.extra {
        roots.add(certificate.clone()).map_err(|_| EgressError::ExtraCa)?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(EgressError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// Whether a text is a bundle of certificates.
pub(crate) fn is_bundle(pem: &str) -> bool {
    Roots::read("", Some(pem)).is_ok_and(|roots| !roots.extra.is_empty() && client(&roots).is_ok())
}
