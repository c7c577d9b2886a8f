//! The run's own certificate authority: its key is only in memory, and only the run's program trusts it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::EgressError;

/// Before now, for clocks that differ.
const EARLIER: Duration = Duration::from_secs(3600);
/// Hosts whose certificates are kept.
const KEPT: usize = 256;

/// Signs a certificate for each host that is intercepted.
pub(super) struct RunCa {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
    /// One key for all the hosts: whoever has it has this process.
    leaf: KeyPair,
    lifetime: Duration,
    made: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl RunCa {
    /// Makes a new authority that lives so long.
    pub(super) fn new(lifetime: Duration) -> Result<Self, EgressError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "authy-mcp, for one run only");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = (SystemTime::now() - EARLIER).into();
        params.not_after = (SystemTime::now() + lifetime).into();
        let key = KeyPair::generate().map_err(EgressError::certificate)?;
        let certificate = params.self_signed(&key).map_err(EgressError::certificate)?;
        let leaf = KeyPair::generate().map_err(EgressError::certificate)?;
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Ok(Self { issuer: Issuer::new(params, key), pem, der, leaf, lifetime, made: Mutex::default() })
    }

    /// Its certificate, as PEM.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// The same, decoded.
    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// What a server that stands for a host shows.
    pub(super) fn server(&self, host: &str) -> Result<Arc<ServerConfig>, EgressError> {
        let mut made = self.made.lock();
        if let Some(config) = made.get(host) {
            return Ok(Arc::clone(config));
        }
        if made.len() >= KEPT {
            made.clear();
        }
        let config = Arc::new(self.make(host)?);
        made.insert(host.to_owned(), Arc::clone(&config));
        Ok(config)
    }

    fn make(&self, host: &str) -> Result<ServerConfig, EgressError> {
        let mut params = CertificateParams::new(vec![host.to_owned()]).map_err(EgressError::certificate)?;
        params.distinguished_name.push(DnType::CommonName, host);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = (SystemTime::now() - EARLIER).into();
        params.not_after = (SystemTime::now() + self.lifetime).into();
        let certificate = params.signed_by(&self.leaf, &self.issuer).map_err(EgressError::certificate)?;
        let chain = vec![certificate.der().clone(), self.der.clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.leaf.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(super::tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(EgressError::Tls)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(EgressError::Tls)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}
