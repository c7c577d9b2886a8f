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

/// What upstream servers must show, by these roots.
pub(super) fn client(system: &str, extra: Option<&str>) -> Result<ClientConfig, EgressError> {
    let mut roots = RootCertStore::empty();
    let system = CertificateDer::pem_slice_iter(system.as_bytes()).filter_map(Result::ok);
    roots.add_parsable_certificates(system);
    for certificate in extra.into_iter().flat_map(|pem| CertificateDer::pem_slice_iter(pem.as_bytes())) {
        let certificate = certificate.map_err(|_| EgressError::ExtraCa)?;
        roots.add(certificate).map_err(|_| EgressError::ExtraCa)?;
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
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found.is_ok_and(|found| !found.is_empty() && client("", Some(pem)).is_ok())
}
