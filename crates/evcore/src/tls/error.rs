//! What can go wrong with TLS, each under a name that stays.

use std::io;

use rustls::{AlertDescription, CertificateError, Error as RustlsError};

use crate::buffer::BufferError;

/// Declares the kinds with their names, so that neither can be forgotten.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident = $name:literal,)+) => {
        /// The kinds of [`TlsError`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum TlsErrorKind {
            $($(#[$doc])+ $kind,)+
        }

        impl TlsErrorKind {
            /// The kind's name, which does not change from version to version.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

kinds! {
    /// A certificate of the peer is past its time.
    CertificateExpired = "CERT_EXPIRED",
    /// A certificate of the peer is not valid yet.
    CertificateNotYetValid = "CERT_NOT_YET_VALID",
    /// No root that is trusted has issued the peer's certificate, or an intermediate one is missing.
    CertificateUnknownIssuer = "CERT_UNKNOWN_ISSUER",
    /// The server's certificate is for other names.
    CertificateNameMismatch = "CERT_NAME_MISMATCH",
    /// A signature in the peer's chain, or the one that proves that it has the key, is wrong.
    CertificateBadSignature = "CERT_BAD_SIGNATURE",
    /// A revocation list names the peer's certificate.
    CertificateRevoked = "CERT_REVOKED",
    /// A certificate of the peer cannot be read.
    CertificateMalformed = "CERT_MALFORMED",
    /// A certificate of the peer is not for this use.
    CertificateWrongPurpose = "CERT_WRONG_PURPOSE",
    /// A certificate of the peer needs an algorithm or an extension that is not supported.
    CertificateUnsupported = "CERT_UNSUPPORTED",
    /// The peer has sent no certificate where one is required.
    CertificateRequired = "CERT_REQUIRED",
    /// The peer's certificate was refused for another reason.
    CertificateRejected = "CERT_REJECTED",
    /// The callback that chooses the server's certificate has refused the connection.
    ChoiceRefused = "CERT_CHOICE_REFUSED",
    /// The two sides have no application protocol (ALPN) in common.
    NoApplicationProtocol = "NO_APPLICATION_PROTOCOL",
    /// The two sides have no version, cipher or other parameter in common.
    PeerIncompatible = "PEER_INCOMPATIBLE",
    /// The peer has broken the rules of TLS.
    PeerMisbehaved = "PEER_MISBEHAVED",
    /// The peer has sent something that is not TLS.
    Malformed = "MALFORMED_MESSAGE",
    /// A record has been changed on its way, or is of another connection.
    BadRecord = "BAD_RECORD",
    /// The peer has ended the connection with an alert; [`TlsError::alert`] says which.
    PeerAlert = "PEER_ALERT",
    /// The stream has ended without the peer's farewell: bytes may be missing.
    Truncated = "TRUNCATED",
    /// A renegotiation was asked for; there is none.
    RenegotiationRefused = "RENEGOTIATION_REFUSED",
    /// The method needs TLS 1.3, or a handshake that is done.
    NotNow = "NOT_NOW",
    /// Nothing more can be sent, since this side has said farewell.
    Closed = "CLOSED",
    /// Certificates, keys or settings that cannot be used.
    InvalidConfig = "INVALID_CONFIG",
    /// A buffer has refused: it is frozen, full or out of memory.
    Buffer = "BUFFER",
    /// Something else; the message says what.
    Other = "OTHER",
}

/// An error of TLS (`bufferevent_get_openssl_error` gives such).
///
/// A bufferevent gives it wrapped in an [`io::Error`]; [`TlsError::of`] finds it there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", kind.name())]
pub struct TlsError {
    kind: TlsErrorKind,
    alert: Option<u8>,
    message: String,
}

impl TlsError {
    pub(super) fn new(kind: TlsErrorKind, message: impl Into<String>) -> Self {
        Self { kind, alert: None, message: message.into() }
    }

    pub(super) fn config(message: impl Into<String>) -> Self {
        Self::new(TlsErrorKind::InvalidConfig, message)
    }

    /// The error within an [`io::Error`], such as
    /// [`BufferEvent::take_error`](crate::BufferEvent::take_error) gives.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// What kind of error it is.
    pub fn kind(&self) -> TlsErrorKind {
        self.kind
    }

    /// The kind's name, which does not change from version to version.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// What happened, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The number of the alert that the peer has sent, for a [`TlsErrorKind::PeerAlert`].
    pub fn alert(&self) -> Option<u8> {
        self.alert
    }
}

impl From<RustlsError> for TlsError {
    fn from(error: RustlsError) -> Self {
        let kind = match &error {
            RustlsError::InvalidCertificate(error) => of_certificate(error),
            RustlsError::NoCertificatesPresented => TlsErrorKind::CertificateRequired,
            RustlsError::NoApplicationProtocol => TlsErrorKind::NoApplicationProtocol,
            RustlsError::PeerIncompatible(_) => TlsErrorKind::PeerIncompatible,
            RustlsError::PeerMisbehaved(_)
            | RustlsError::InappropriateMessage { .. }
            | RustlsError::InappropriateHandshakeMessage { .. } => TlsErrorKind::PeerMisbehaved,
            RustlsError::InvalidMessage(_) => TlsErrorKind::Malformed,
            RustlsError::DecryptError | RustlsError::PeerSentOversizedRecord => {
                TlsErrorKind::BadRecord
            }
            RustlsError::HandshakeNotComplete => TlsErrorKind::NotNow,
            RustlsError::AlertReceived(_) => TlsErrorKind::PeerAlert,
            _ => TlsErrorKind::Other,
        };
        let alert = match &error {
            RustlsError::AlertReceived(alert) => Some(u8::from(*alert)),
            _ => None,
        };
        // rustls words this one for readers of its source.
        let message = match &error {
            RustlsError::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                "the peer speaks none of our application protocols".into()
            }
            RustlsError::AlertReceived(alert) => format!("the peer has sent the alert {alert:?}"),
            error => error.to_string(),
        };
        Self { kind, alert, message }
    }
}

fn of_certificate(error: &CertificateError) -> TlsErrorKind {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => TlsErrorKind::CertificateExpired,
        E::NotValidYet | E::NotValidYetContext { .. } => TlsErrorKind::CertificateNotYetValid,
        E::UnknownIssuer => TlsErrorKind::CertificateUnknownIssuer,
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            TlsErrorKind::CertificateNameMismatch
        }
        E::BadSignature => TlsErrorKind::CertificateBadSignature,
        E::Revoked => TlsErrorKind::CertificateRevoked,
        E::BadEncoding => TlsErrorKind::CertificateMalformed,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            TlsErrorKind::CertificateWrongPurpose
        }
        E::UnhandledCriticalExtension
        | E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            TlsErrorKind::CertificateUnsupported
        }
        _ => TlsErrorKind::CertificateRejected,
    }
}

impl From<BufferError> for TlsError {
    fn from(error: BufferError) -> Self {
        Self::new(TlsErrorKind::Buffer, error.to_string())
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match error.kind {
            TlsErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            TlsErrorKind::InvalidConfig => io::ErrorKind::InvalidInput,
            TlsErrorKind::Closed => io::ErrorKind::BrokenPipe,
            TlsErrorKind::RenegotiationRefused => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
