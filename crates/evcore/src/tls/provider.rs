//! The cryptography that all connections share, and what of it to offer.

use std::sync::{Arc, OnceLock};

use rustls::crypto::{ring, CryptoProvider};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use super::TlsError;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

impl TlsVersion {
    /// `"TLSv1.2"` or `"TLSv1.3"`, as OpenSSL and Node write them.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_2 => "TLSv1.2",
            Self::V1_3 => "TLSv1.3",
        }
    }
}

/// The IANA names of all cipher suites that there are, the preferred first.
pub fn cipher_suites() -> impl Iterator<Item = String> {
    ring::ALL_CIPHER_SUITES.iter().map(|suite| suite_name(*suite))
}

pub(super) fn suite_name(suite: SupportedCipherSuite) -> String {
    let name = suite.suite().as_str().unwrap_or_default();
    // rustls' own spelling for those of 1.3.
    name.replacen("TLS13_", "TLS_", 1)
}

/// What a configuration may offer.
#[derive(Clone, Default)]
pub(super) struct Offer {
    pub(super) versions: Vec<TlsVersion>,
    pub(super) cipher_suites: Vec<String>,
    pub(super) alpn: Vec<Vec<u8>>,
}

impl Offer {
    pub(super) fn provider(&self) -> Result<Arc<CryptoProvider>, TlsError> {
        let all = provider();
        if self.cipher_suites.is_empty() {
            return Ok(all);
        }
        let mut chosen = CryptoProvider { cipher_suites: Vec::new(), ..(*all).clone() };
        for name in &self.cipher_suites {
            let suite = all.cipher_suites.iter().find(|suite| suite_name(**suite) == *name);
            let suite = suite.ok_or_else(|| {
                let known: Vec<_> = cipher_suites().collect();
                let known = known.join(", ");
                TlsError::config(format!("there is no cipher suite {name:?}; there are {known}"))
            })?;
            chosen.cipher_suites.push(*suite);
        }
        Ok(Arc::new(chosen))
    }

    pub(super) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        if self.versions.is_empty() {
            return rustls::ALL_VERSIONS.to_vec();
        }
        let of = |version: &TlsVersion| match version {
            TlsVersion::V1_2 => &rustls::version::TLS12,
            TlsVersion::V1_3 => &rustls::version::TLS13,
        };
        self.versions.iter().map(of).collect()
    }

    /// The protocols, each of which has to have 1 to 255 bytes.
    pub(super) fn alpn(&self) -> Result<Vec<Vec<u8>>, TlsError> {
        match self.alpn.iter().find(|name| name.is_empty() || name.len() > 255) {
            None => Ok(self.alpn.clone()),
            Some(name) => Err(TlsError::config(format!(
                "an application protocol has 1 to 255 bytes and not {}",
                name.len()
            ))),
        }
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(ring::default_provider())).clone()
}
