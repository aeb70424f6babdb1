//! Certificates, keys, roots and revocation lists, from PEM and DER.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::RootCertStore;

use super::provider::provider;
use super::TlsError;

/// A certificate chain with its private key: what one side shows of itself. Clones share it.
///
/// ```no_run
/// use evcore::tls::TlsIdentity;
///
/// let identity = TlsIdentity::from_pem(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TlsIdentity {
    pub(super) key: Arc<CertifiedKey>,
}

impl TlsIdentity {
    /// From PEM: the chain, the own certificate first, and the key (PKCS#8, PKCS#1 or SEC1), which
    /// may stand in the same bytes.
    ///
    /// # Errors
    /// [`TlsErrorKind::InvalidConfig`](super::TlsErrorKind::InvalidConfig), with what is wrong: no
    /// certificate or key in the bytes, a key under a password, a key of another certificate.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates_from_pem(chain)?;
        if chain.is_empty() {
            return Err(TlsError::config("there is no certificate in the chain's PEM"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            PemError::NoItemsFound if contains(key, b"ENCRYPTED") => TlsError::config(
                "the private key is under a password; take that away first (openssl pkey)",
            ),
            PemError::NoItemsFound => TlsError::config("there is no private key in the PEM"),
            error => TlsError::config(format!("the private key's PEM: {error}")),
        })?;
        Self::new(chain, key)
    }

    /// From DER: the chain, the own certificate first, and the key.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(
        chain: impl IntoIterator<Item = Vec<u8>>,
        key: Vec<u8>,
    ) -> Result<Self, TlsError> {
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        if chain.is_empty() {
            return Err(TlsError::config("the chain has no certificate"));
        }
        let key = PrivateKeyDer::try_from(key)
            .map_err(|error| TlsError::config(format!("the private key's DER: {error}")))?;
        Self::new(chain, key)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch) => {
                TlsError::config("the private key is not the one of the first certificate")
            }
            error => TlsError::config(format!("the certificate and its key: {error}")),
        })?;
        Ok(Self { key: Arc::new(key) })
    }

    /// The certificates in DER, the own one first.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.key.cert.iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for TlsIdentity {
    /// Tells nothing of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity")
            .field("certificates", &self.key.cert.len())
            .finish_non_exhaustive()
    }
}

/// Certificates or lists as they were given, to be read when the configuration is built.
#[derive(Clone)]
pub(super) enum Encoded {
    Pem(Vec<u8>),
    Der(Vec<u8>),
}

/// The store of the roots in `given`, of which each has to have one at least.
pub(super) fn roots(given: &[Encoded]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for encoded in given {
        let certificates = match encoded {
            Encoded::Pem(pem) => certificates_from_pem(pem)?,
            Encoded::Der(der) => vec![CertificateDer::from(der.clone())],
        };
        if certificates.is_empty() {
            return Err(TlsError::config("there is no certificate in the roots' PEM"));
        }
        for (index, certificate) in certificates.into_iter().enumerate() {
            store.add(certificate).map_err(|error| {
                TlsError::config(format!("root certificate {}: {error}", index + 1))
            })?;
        }
    }
    Ok(store)
}

pub(super) fn revocation_lists(
    given: &[Encoded],
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let mut lists = Vec::new();
    for encoded in given {
        match encoded {
            Encoded::Der(der) => lists.push(der.clone().into()),
            Encoded::Pem(pem) => {
                let before = lists.len();
                for list in CertificateRevocationListDer::pem_slice_iter(pem) {
                    lists.push(list.map_err(|error| {
                        TlsError::config(format!("the revocation list's PEM: {error}"))
                    })?);
                }
                if lists.len() == before {
                    return Err(TlsError::config("there is no revocation list in the PEM"));
                }
            }
        }
    }
    Ok(lists)
}

/// The roots that the system trusts, read once in the life of the process.
///
/// They are read and then verified by the same code as any other roots, and not by the system's own
/// verifier: a failure then has the same name on every platform, and no handshake waits for what the
/// system may ask of the network.
pub(super) fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // Some systems keep certificates that nobody can read; they are of no use to anybody else either.
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why = found.errors.first().map(ToString::to_string).unwrap_or_default();
        return Err(TlsError::config(format!(
            "the system has no root certificates; give some, or set SSL_CERT_FILE. {why}"
        )));
    }
    Ok(ROOTS.get_or_init(|| Arc::new(store)).clone())
}

fn certificates_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::config(format!("the certificate's PEM: {error}")))
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
