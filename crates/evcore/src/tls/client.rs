//! How a client goes about TLS.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};

use super::identity::{revocation_lists, roots, system_roots, Encoded};
use super::provider::Offer;
use super::verify::AnyCertificate;
use super::{TlsError, TlsIdentity, TlsVersion};

/// What clients offer and whom they trust. Clones share it, and the sessions that it remembers.
///
/// ```no_run
/// use evcore::tls::TlsClientConfig;
///
/// // The roots that the system trusts.
/// let usual = TlsClientConfig::new()?;
/// // Those of a company, and HTTP/2.
/// let ours = TlsClientConfig::builder()
///     .roots_pem(&std::fs::read("roots.pem")?)
///     .alpn(["h2", "http/1.1"])
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TlsClientConfig {
    pub(super) config: Arc<ClientConfig>,
}

impl TlsClientConfig {
    /// A configuration that trusts the system's roots and is at its defaults otherwise.
    ///
    /// # Errors
    /// As [`TlsClientBuilder::build`].
    pub fn new() -> Result<Self, TlsError> {
        Self::builder().build()
    }

    /// Starts a configuration.
    pub fn builder() -> TlsClientBuilder {
        TlsClientBuilder {
            offer: Offer::default(),
            roots: Vec::new(),
            revoked: Vec::new(),
            identity: None,
            sessions: 256,
            server_name: true,
            trust_anybody: false,
        }
    }
}

impl fmt::Debug for TlsClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClientConfig").finish_non_exhaustive()
    }
}

/// Builds a [`TlsClientConfig`].
#[derive(Clone)]
#[must_use]
pub struct TlsClientBuilder {
    offer: Offer,
    roots: Vec<Encoded>,
    revoked: Vec<Encoded>,
    identity: Option<TlsIdentity>,
    sessions: usize,
    server_name: bool,
    trust_anybody: bool,
}

impl TlsClientBuilder {
    /// Trusts these roots, and no longer the system's. May be called several times.
    pub fn roots_pem(mut self, pem: &[u8]) -> Self {
        self.roots.push(Encoded::Pem(pem.to_vec()));
        self
    }

    /// Trusts this root, and no longer the system's. May be called several times.
    pub fn root_der(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.roots.push(Encoded::Der(der.into()));
        self
    }

    /// Refuses the certificates in these revocation lists. Needs roots of its own; a certificate of
    /// which no list says anything is taken.
    pub fn revocation_lists_pem(mut self, pem: &[u8]) -> Self {
        self.revoked.push(Encoded::Pem(pem.to_vec()));
        self
    }

    /// As [`revocation_lists_pem`](Self::revocation_lists_pem), one list in DER.
    pub fn revocation_list_der(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.revoked.push(Encoded::Der(der.into()));
        self
    }

    /// Shows this to servers that ask for a certificate.
    pub fn identity(mut self, identity: TlsIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Offers these application protocols (ALPN), the preferred first.
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.offer.alpn = protocols.into_iter().map(|name| name.as_ref().to_vec()).collect();
        self
    }

    /// Offers these versions only; both by default.
    pub fn versions(mut self, versions: &[TlsVersion]) -> Self {
        self.offer.versions = versions.to_vec();
        self
    }

    /// Offers these cipher suites only, in this order, by their names in
    /// [`cipher_suites`](super::cipher_suites).
    pub fn cipher_suites<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.offer.cipher_suites = names.into_iter().map(Into::into).collect();
        self
    }

    /// Remembers the sessions with this many servers, to be resumed; 256 by default, none with 0.
    pub fn sessions(mut self, most: usize) -> Self {
        self.sessions = most;
        self
    }

    /// Whether to tell the server under which name it was asked for (SNI); yes by default.
    pub fn send_server_name(mut self, send: bool) -> Self {
        self.server_name = send;
        self
    }

    /// Takes any certificate of any server, which leaves the connection open to whoever sits in
    /// between.
    pub fn danger_trust_anybody(mut self) -> Self {
        self.trust_anybody = true;
        self
    }

    /// The configuration.
    ///
    /// # Errors
    /// [`TlsErrorKind::InvalidConfig`](super::TlsErrorKind::InvalidConfig), with what is wrong.
    pub fn build(self) -> Result<TlsClientConfig, TlsError> {
        let provider = self.offer.provider()?;
        let alpn = self.offer.alpn()?;
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.offer.versions())
            .map_err(|error| TlsError::config(format!("versions and cipher suites: {error}")))?;
        let verifier: Arc<dyn ServerCertVerifier> = if self.trust_anybody {
            Arc::new(AnyCertificate(provider))
        } else {
            let roots: Arc<RootCertStore> =
                if self.roots.is_empty() { system_roots()? } else { Arc::new(roots(&self.roots)?) };
            WebPkiServerVerifier::builder_with_provider(roots, provider)
                .with_crls(revocation_lists(&self.revoked)?)
                .allow_unknown_revocation_status()
                .build()
                .map_err(|error| TlsError::config(error.to_string()))?
        };
        // Nothing dangerous in it unless it was asked for: this is how a verifier is handed over.
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match self.identity {
            Some(identity) => {
                builder.with_client_cert_resolver(Arc::new(OwnCertificate(identity.key)))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn;
        config.enable_sni = self.server_name;
        config.resumption = match self.sessions {
            0 => Resumption::disabled(),
            most => Resumption::in_memory_sessions(most),
        };
        Ok(TlsClientConfig { config: Arc::new(config) })
    }
}

impl fmt::Debug for TlsClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClientBuilder").finish_non_exhaustive()
    }
}

/// Shows one certificate to every server that asks.
#[derive(Debug)]
struct OwnCertificate(Arc<CertifiedKey>);

impl ResolvesClientCert for OwnCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
