//! How a server goes about TLS.

use std::cell::RefCell;
use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::ring::Ticketer;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::ServerConfig;

use super::identity::{revocation_lists, roots, Encoded};
use super::provider::Offer;
use super::{TlsError, TlsIdentity, TlsVersion};

/// What servers show, offer and ask for. Clones share it, its certificate and its sessions.
///
/// ```no_run
/// use evcore::tls::{TlsIdentity, TlsServerConfig};
///
/// let identity = TlsIdentity::from_pem(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
/// let config = TlsServerConfig::builder(identity).alpn(["http/1.1"]).build()?;
///
/// // Later, without interrupting anybody:
/// let renewed = TlsIdentity::from_pem(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
/// config.set_certificate(renewed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TlsServerConfig {
    pub(super) config: Arc<ServerConfig>,
    chooser: Arc<Chooser>,
}

impl TlsServerConfig {
    /// Starts the configuration of a server that shows `identity`.
    pub fn builder(identity: TlsIdentity) -> TlsServerBuilder {
        TlsServerBuilder {
            identity,
            choose: None,
            offer: Offer::default(),
            client_auth: TlsClientAuth::None,
            client_roots: Vec::new(),
            revoked: Vec::new(),
            sessions: 256,
            tickets: true,
        }
    }

    /// Shows `identity` from the next handshake on, in all clones of the configuration. Connections
    /// that stand and sessions that are resumed are not touched.
    pub fn set_certificate(&self, identity: TlsIdentity) {
        let mut current = self.chooser.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = identity.key;
    }
}

impl fmt::Debug for TlsServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServerConfig").finish_non_exhaustive()
    }
}

/// Whether a server asks its clients for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsClientAuth {
    /// It does not.
    #[default]
    None,
    /// It does, and takes clients without one. A wrong one ends the handshake.
    Optional,
    /// It does, and takes nobody without one.
    Required,
}

/// What a client has said of itself, for the choice of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsClientHello<'a> {
    /// The name of the server that it wants (SNI).
    pub server_name: Option<&'a str>,
    /// The application protocols that it offers (ALPN), the preferred first.
    pub alpn: Vec<&'a [u8]>,
}

type Choose =
    dyn Fn(&TlsClientHello<'_>) -> Result<Option<TlsIdentity>, String> + Send + Sync + 'static;

/// Builds a [`TlsServerConfig`].
#[must_use]
#[derive(Clone)]
pub struct TlsServerBuilder {
    identity: TlsIdentity,
    choose: Option<Arc<Choose>>,
    offer: Offer,
    client_auth: TlsClientAuth,
    client_roots: Vec<Encoded>,
    revoked: Vec<Encoded>,
    sessions: usize,
    tickets: bool,
}

impl TlsServerBuilder {
    /// Has `choose` say which certificate to show a client; with `Ok(None)` it is the configuration's
    /// own. With an error the handshake fails, on this side with
    /// [`TlsErrorKind::ChoiceRefused`](super::TlsErrorKind::ChoiceRefused) and its words. A panic in
    /// it does the same.
    pub fn choose_certificate(
        mut self,
        choose: impl Fn(&TlsClientHello<'_>) -> Result<Option<TlsIdentity>, String>
            + Send
            + Sync
            + 'static,
    ) -> Self {
        self.choose = Some(Arc::new(choose));
        self
    }

    /// Asks clients for a certificate, or requires one, that these roots have issued.
    pub fn client_auth_pem(mut self, auth: TlsClientAuth, roots: &[u8]) -> Self {
        self.client_auth = auth;
        self.client_roots.push(Encoded::Pem(roots.to_vec()));
        self
    }

    /// As [`client_auth_pem`](Self::client_auth_pem), one root in DER. May be called several times.
    pub fn client_auth_der(mut self, auth: TlsClientAuth, root: impl Into<Vec<u8>>) -> Self {
        self.client_auth = auth;
        self.client_roots.push(Encoded::Der(root.into()));
        self
    }

    /// Refuses the client certificates in these revocation lists. One of which no list says anything
    /// is taken.
    pub fn revocation_lists_pem(mut self, pem: &[u8]) -> Self {
        self.revoked.push(Encoded::Pem(pem.to_vec()));
        self
    }

    /// As [`revocation_lists_pem`](Self::revocation_lists_pem), one list in DER.
    pub fn revocation_list_der(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.revoked.push(Encoded::Der(der.into()));
        self
    }

    /// Speaks these application protocols (ALPN), the preferred first. A client that offers only
    /// others is refused; one that offers none is not.
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.offer.alpn = protocols.into_iter().map(|name| name.as_ref().to_vec()).collect();
        self
    }

    /// Speaks these versions only; both by default.
    pub fn versions(mut self, versions: &[TlsVersion]) -> Self {
        self.offer.versions = versions.to_vec();
        self
    }

    /// Speaks these cipher suites only, in this order, by their names in
    /// [`cipher_suites`](super::cipher_suites).
    pub fn cipher_suites<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.offer.cipher_suites = names.into_iter().map(Into::into).collect();
        self
    }

    /// Remembers this many sessions for clients without tickets; 256 by default, none with 0.
    pub fn sessions(mut self, most: usize) -> Self {
        self.sessions = most;
        self
    }

    /// Whether to give clients tickets, with which they resume a session that the server need not
    /// remember; yes by default. The tickets' keys are of this configuration and change every six
    /// hours.
    pub fn tickets(mut self, give: bool) -> Self {
        self.tickets = give;
        self
    }

    /// The configuration.
    ///
    /// # Errors
    /// [`TlsErrorKind::InvalidConfig`](super::TlsErrorKind::InvalidConfig), with what is wrong.
    pub fn build(self) -> Result<TlsServerConfig, TlsError> {
        let provider = self.offer.provider()?;
        let alpn = self.offer.alpn()?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.offer.versions())
            .map_err(|error| TlsError::config(format!("versions and cipher suites: {error}")))?;
        let builder = if self.client_auth == TlsClientAuth::None {
            builder.with_no_client_auth()
        } else {
            let roots = Arc::new(roots(&self.client_roots)?);
            let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .with_crls(revocation_lists(&self.revoked)?)
                .allow_unknown_revocation_status();
            if self.client_auth == TlsClientAuth::Optional {
                verifier = verifier.allow_unauthenticated();
            }
            let verifier = verifier.build();
            builder.with_client_cert_verifier(
                verifier.map_err(|error| TlsError::config(error.to_string()))?,
            )
        };
        let current = RwLock::new(self.identity.key);
        let chooser = Arc::new(Chooser { current, choose: self.choose });
        let mut config = builder.with_cert_resolver(chooser.clone());
        config.alpn_protocols = alpn;
        config.session_storage = match self.sessions {
            0 => Arc::new(NoServerSessionStorage {}),
            most => ServerSessionMemoryCache::new(most),
        };
        if self.tickets {
            config.ticketer =
                Ticketer::new().map_err(|error| TlsError::config(error.to_string()))?;
        } else if self.sessions == 0 {
            config.send_tls13_tickets = 0;
        }
        Ok(TlsServerConfig { config: Arc::new(config), chooser })
    }
}

impl fmt::Debug for TlsServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServerBuilder").finish_non_exhaustive()
    }
}

/// What the choice of a certificate has brought to light, for the engine in whose call it was made.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) server_name: Option<String>,
    pub(super) refused: Option<String>,
}

thread_local! {
    // rustls gives the choice nothing of the connection and takes no reason from it, but it is made
    // within the engine's own call.
    static ASKED: RefCell<Option<Asked>> = const { RefCell::new(None) };
}

/// Takes what the last choice on this thread has brought to light.
pub(super) fn take_asked() -> Option<Asked> {
    ASKED.take()
}

struct Chooser {
    current: RwLock<Arc<CertifiedKey>>,
    choose: Option<Arc<Choose>>,
}

impl Chooser {
    fn ask(&self, hello: &ClientHello<'_>) -> Result<Option<TlsIdentity>, String> {
        let Some(choose) = &self.choose else { return Ok(None) };
        let hello = TlsClientHello {
            server_name: hello.server_name(),
            alpn: hello.alpn().into_iter().flatten().collect(),
        };
        // What the closure holds is its own affair, and the handshake ends here.
        catch_unwind(AssertUnwindSafe(|| choose(&hello)))
            .unwrap_or_else(|_| Err("the callback has panicked".into()))
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let server_name = hello.server_name().map(str::to_owned);
        let (key, refused) = match self.ask(&hello) {
            Ok(Some(identity)) => (Some(identity.key), None),
            Ok(None) => {
                let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
                (Some(current.clone()), None)
            }
            Err(why) => (None, Some(why)),
        };
        // Last, since the callback may have run another handshake.
        ASKED.set(Some(Asked { server_name, refused }));
        key
    }
}

impl fmt::Debug for Chooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chooser").finish_non_exhaustive()
    }
}
