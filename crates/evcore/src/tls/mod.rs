//! TLS 1.2 and 1.3, by rustls.
//!
//! A [`TlsClientConfig`] or [`TlsServerConfig`] says what to offer and whom to trust, and serves any
//! number of connections. A [`TlsEngine`] is one end of one connection, without any input or output
//! of its own: ciphertext and plaintext go in and out through an [`EvBuffer`](crate::EvBuffer).
//! [`BufferEvent::tls_client`](crate::BufferEvent::tls_client) and its like put one over a socket or
//! any other bufferevent.
//!
//! Everything that can fail says so by a [`TlsError`], whose [`kind`](TlsError::kind) has a stable
//! name.
//!
//! What is not there: versions below 1.2, renegotiation (TLS 1.3's [key
//! update](TlsEngine::update_keys) is its successor), private keys under a password.

#![forbid(unsafe_code)]

mod client;
mod engine;
mod error;
mod identity;
mod info;
mod provider;
mod server;
mod verify;

pub use self::client::{TlsClientBuilder, TlsClientConfig};
pub use self::engine::TlsEngine;
pub use self::error::{TlsError, TlsErrorKind};
pub use self::identity::TlsIdentity;
pub use self::info::{TlsEvent, TlsState};
pub use self::provider::{cipher_suites, TlsVersion};
pub use self::server::{TlsClientAuth, TlsClientHello, TlsServerBuilder, TlsServerConfig};
