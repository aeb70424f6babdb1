//! What there is to know of a connection.

use rustls::{HandshakeKind, ProtocolVersion};

use super::engine::Connection;
use super::provider::suite_name;
use super::{TlsEngine, TlsError, TlsVersion};

/// What happened to a [`TlsEngine`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsEvent {
    /// The handshake is done: bytes can pass.
    Open,
    /// The peer has said farewell: nothing more will come, and nothing is missing.
    PeerClosed,
    /// The connection has failed. An alert that says so may be in the outgoing bytes.
    Failed(TlsError),
}

/// How far a connection is (`bufferevent_ssl_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "bufferevent_ssl_state")]
pub enum TlsState {
    /// A client's handshake is under way (`BUFFEREVENT_SSL_CONNECTING`).
    #[doc(alias = "BUFFEREVENT_SSL_CONNECTING")]
    Connecting,
    /// A server's handshake is under way (`BUFFEREVENT_SSL_ACCEPTING`).
    #[doc(alias = "BUFFEREVENT_SSL_ACCEPTING")]
    Accepting,
    /// The handshake is done (`BUFFEREVENT_SSL_OPEN`).
    #[doc(alias = "BUFFEREVENT_SSL_OPEN")]
    Open,
}

impl TlsEngine {
    /// What happened next, in order.
    pub fn next_event(&mut self) -> Option<TlsEvent> {
        self.events.pop_front()
    }

    /// How far the connection is.
    pub fn state(&self) -> TlsState {
        match self.connection {
            _ if !self.handshaking => TlsState::Open,
            Connection::Client(_) => TlsState::Connecting,
            Connection::Server(_) => TlsState::Accepting,
        }
    }

    /// Whether bytes cannot pass yet.
    #[inline]
    pub fn is_handshaking(&self) -> bool {
        self.handshaking
    }

    /// Whether nothing more will come: the peer has said farewell, or has ended its stream and that
    /// is allowed.
    #[inline]
    pub fn has_peer_closed(&self) -> bool {
        self.peer_closed && self.staged.is_empty()
    }

    /// Whether the connection has failed, so that no more can be read or written.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether the end of the stream counts as the peer's farewell
    /// (`bufferevent_openssl_get_allow_dirty_shutdown`).
    #[doc(alias = "bufferevent_openssl_get_allow_dirty_shutdown")]
    pub fn allow_dirty_shutdown(&self) -> bool {
        self.allow_dirty_shutdown
    }

    /// Sets whether the end of the stream counts as the peer's farewell, for peers that say none;
    /// somebody in between can then cut the stream short unnoticed
    /// (`bufferevent_openssl_set_allow_dirty_shutdown`).
    #[doc(alias = "bufferevent_openssl_set_allow_dirty_shutdown")]
    pub fn set_allow_dirty_shutdown(&mut self, allow: bool) {
        self.allow_dirty_shutdown = allow;
    }

    /// Takes the oldest of the errors that have happened, refusals included; 16 are kept
    /// (`bufferevent_get_openssl_error`).
    #[doc(alias = "bufferevent_get_openssl_error")]
    pub fn take_error(&mut self) -> Option<TlsError> {
        self.errors.pop_front()
    }

    /// The version that was agreed on.
    pub fn version(&self) -> Option<TlsVersion> {
        match self.common().protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some(TlsVersion::V1_2),
            ProtocolVersion::TLSv1_3 => Some(TlsVersion::V1_3),
            _ => None,
        }
    }

    /// The IANA name of the cipher suite that was agreed on.
    #[doc(alias = "SSL_get_cipher_name")]
    pub fn cipher_suite(&self) -> Option<String> {
        self.common().negotiated_cipher_suite().map(suite_name)
    }

    /// The application protocol that was agreed on.
    #[doc(alias = "SSL_get0_alpn_selected")]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.common().alpn_protocol()
    }

    /// The name under which the client wants the server.
    #[doc(alias = "SSL_get_servername")]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The peer's certificates in DER, its own first; none if it has shown none.
    #[doc(alias = "SSL_get_peer_cert_chain")]
    pub fn peer_certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.common().peer_certificates().into_iter().flatten().map(AsRef::as_ref)
    }

    /// Whether the session is one of an earlier connection.
    #[doc(alias = "SSL_session_reused")]
    pub fn was_resumed(&self) -> bool {
        self.common().handshake_kind() == Some(HandshakeKind::Resumed)
    }
}
