//! TLS over a socket or over any other bufferevent.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::backend::OwnedFd;
use crate::base::EventBase;
use crate::buffer::EvBuffer;
use crate::error::{Error, Result};
use crate::tls::{TlsClientConfig, TlsEngine, TlsError, TlsServerConfig, TlsState, TlsVersion};

use super::core::{Core, Pending};
use super::filter_link::FilterLink;
use super::{BufferEvent, BufferEventOptions, Filter, FilterResult, FlushMode};

pub(super) type SharedEngine = Rc<RefCell<TlsEngine>>;

impl BufferEvent {
    /// Makes the client's end of a TLS connection over a connected socket, or over none, to be
    /// [connected](BufferEvent::connect) (`bufferevent_openssl_socket_new` with
    /// `BUFFEREVENT_SSL_CONNECTING`). The server has to prove that it is `server_name`.
    ///
    /// [`CONNECTED`](super::BufferEventFlags::CONNECTED) is told once the handshake is done, and
    /// [`ERROR`](super::BufferEventFlags::ERROR) if it fails; [`take_error`](BufferEvent::take_error)
    /// then has a [`TlsError`] within ([`TlsError::of`]). What is written before goes out then.
    ///
    /// ```no_run
    /// use evcore::bufferevent::{BufferEvent, BufferEventOptions};
    /// use evcore::tls::TlsClientConfig;
    /// use evcore::util::SocketAddress;
    /// use evcore::EventBase;
    ///
    /// let base = EventBase::new()?;
    /// let config = TlsClientConfig::new()?;
    /// let options = BufferEventOptions::CLOSE_ON_FREE;
    /// let bev = BufferEvent::tls_client(&base, None, &config, "localhost", options)?;
    /// bev.connect(&SocketAddress::Ip("127.0.0.1:443".parse()?))?;
    /// bev.write(b"GET / HTTP/1.0\r\n\r\n")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name that none can be; those of [`BufferEvent::socket`].
    #[doc(alias = "bufferevent_openssl_socket_new")]
    pub fn tls_client(
        base: &EventBase,
        fd: Option<OwnedFd>,
        config: &TlsClientConfig,
        server_name: &str,
        options: BufferEventOptions,
    ) -> Result<Self> {
        const CALL: &str = "BufferEvent::tls_client";
        let engine = TlsEngine::client(config, server_name).map_err(|error| said(CALL, &error))?;
        Self::tls_socket(CALL, base, fd, engine, options)
    }

    /// Makes the server's end of a TLS connection over a connected socket
    /// (`bufferevent_openssl_socket_new` with `BUFFEREVENT_SSL_ACCEPTING`). Tells what
    /// [`tls_client`](BufferEvent::tls_client) does.
    ///
    /// # Errors
    /// Those of [`BufferEvent::socket`].
    #[doc(alias = "bufferevent_openssl_socket_new")]
    pub fn tls_server(
        base: &EventBase,
        fd: OwnedFd,
        config: &TlsServerConfig,
        options: BufferEventOptions,
    ) -> Result<Self> {
        const CALL: &str = "BufferEvent::tls_server";
        let engine = TlsEngine::server(config).map_err(|error| said(CALL, &error))?;
        Self::tls_socket(CALL, base, Some(fd), engine, options)
    }

    /// Makes the client's end of a TLS connection over this bufferevent, of whatever kind
    /// (`bufferevent_openssl_filter_new`): at once, or after some words in the open (STARTTLS). This
    /// one belongs to the new one as in [`filter`](BufferEvent::filter); what it has still to write
    /// goes first.
    ///
    /// # Errors
    /// As [`tls_client`](BufferEvent::tls_client), and those of [`filter`](BufferEvent::filter).
    #[doc(alias = "bufferevent_openssl_filter_new")]
    pub fn start_tls_client(
        &self,
        config: &TlsClientConfig,
        server_name: &str,
        options: BufferEventOptions,
    ) -> Result<Self> {
        const CALL: &str = "BufferEvent::start_tls_client";
        let engine = TlsEngine::client(config, server_name).map_err(|error| said(CALL, &error))?;
        Self::tls_over(CALL, self, engine, options)
    }

    /// Makes the server's end of a TLS connection over this bufferevent, as
    /// [`start_tls_client`](BufferEvent::start_tls_client) does the client's. What this one has read
    /// and nobody has taken counts as the client's first bytes: take all of what was said in the open
    /// first, lest a word of it be answered under cover.
    ///
    /// # Errors
    /// Those of [`filter`](BufferEvent::filter).
    #[doc(alias = "bufferevent_openssl_filter_new")]
    pub fn start_tls_server(
        &self,
        config: &TlsServerConfig,
        options: BufferEventOptions,
    ) -> Result<Self> {
        const CALL: &str = "BufferEvent::start_tls_server";
        let engine = TlsEngine::server(config).map_err(|error| said(CALL, &error))?;
        Self::tls_over(CALL, self, engine, options)
    }

    /// The TLS of this bufferevent, if it is one over TLS itself (`bufferevent_openssl_get_ssl`).
    #[doc(alias = "bufferevent_openssl_get_ssl")]
    pub fn tls(&self) -> Option<Tls> {
        self.core.tls.get().map(|engine| Tls { engine: engine.clone(), core: self.core.clone() })
    }

    fn tls_socket(
        call: &'static str,
        base: &EventBase,
        fd: Option<OwnedFd>,
        engine: TlsEngine,
        options: BufferEventOptions,
    ) -> Result<Self> {
        let below = options & BufferEventOptions::CLOSE_ON_FREE;
        let socket = Self::socket(base, fd, below).map_err(|error| error.in_call(call))?;
        // The bufferevent below is our own; what becomes of the descriptor is up to that one.
        let options = options | BufferEventOptions::CLOSE_ON_FREE;
        Self::tls_over(call, &socket, engine, options).inspect_err(|_| socket.free())
    }

    fn tls_over(
        call: &'static str,
        underlying: &Self,
        engine: TlsEngine,
        options: BufferEventOptions,
    ) -> Result<Self> {
        underlying.core.check_open(call)?;
        let core = Core::new(underlying.core.base().clone(), options);
        let engine = Rc::new(RefCell::new(engine));
        let engine = core.tls.get_or_init(|| engine);
        FilterLink::put(call, &core, underlying, Box::new(TlsFilter(engine.clone())))?;
        Ok(Self { core })
    }
}

fn said(call: &'static str, error: &TlsError) -> Error {
    Error::invalid(call, error.to_string())
}

/// The TLS of a bufferevent: what was agreed on, and what can be changed. From
/// [`BufferEvent::tls`].
pub struct Tls {
    engine: SharedEngine,
    core: Rc<Core>,
}

impl Tls {
    /// How far the connection is (`enum bufferevent_ssl_state`).
    #[doc(alias = "bufferevent_ssl_state")]
    pub fn state(&self) -> TlsState {
        self.engine.borrow().state()
    }

    /// The version that was agreed on.
    pub fn version(&self) -> Option<TlsVersion> {
        self.engine.borrow().version()
    }

    /// The IANA name of the cipher suite that was agreed on.
    pub fn cipher_suite(&self) -> Option<String> {
        self.engine.borrow().cipher_suite()
    }

    /// The application protocol that was agreed on (ALPN).
    pub fn alpn(&self) -> Option<Vec<u8>> {
        self.engine.borrow().alpn().map(<[u8]>::to_vec)
    }

    /// The name under which the client wants the server (SNI).
    pub fn server_name(&self) -> Option<String> {
        self.engine.borrow().server_name().map(str::to_owned)
    }

    /// The peer's certificates in DER, its own first; none if it has shown none.
    pub fn peer_certificates(&self) -> Vec<Vec<u8>> {
        self.engine.borrow().peer_certificates().map(<[u8]>::to_vec).collect()
    }

    /// Whether the session is one of an earlier connection.
    pub fn was_resumed(&self) -> bool {
        self.engine.borrow().was_resumed()
    }

    /// Whether the end of the stream counts as the peer's farewell
    /// (`bufferevent_openssl_get_allow_dirty_shutdown`).
    #[doc(alias = "bufferevent_openssl_get_allow_dirty_shutdown")]
    pub fn allow_dirty_shutdown(&self) -> bool {
        self.engine.borrow().allow_dirty_shutdown()
    }

    /// Sets whether the end of the stream counts as the peer's farewell, and so as
    /// [`EOF`](super::BufferEventFlags::EOF) and not as an error; not by default
    /// (`bufferevent_openssl_set_allow_dirty_shutdown`).
    #[doc(alias = "bufferevent_openssl_set_allow_dirty_shutdown")]
    pub fn set_allow_dirty_shutdown(&self, allow: bool) {
        self.engine.borrow_mut().set_allow_dirty_shutdown(allow);
    }

    /// Takes the oldest of the errors that have happened; 16 are kept
    /// (`bufferevent_get_openssl_error`).
    #[doc(alias = "bufferevent_get_openssl_error")]
    pub fn take_error(&self) -> Option<TlsError> {
        self.engine.borrow_mut().take_error()
    }

    /// Changes the keys of what is sent from here on, and asks the peer to do the same.
    ///
    /// # Errors
    /// [`TlsErrorKind::NotNow`](crate::tls::TlsErrorKind::NotNow) with TLS 1.2 and before the
    /// handshake is done.
    pub fn update_keys(&self) -> Result<(), TlsError> {
        self.engine.borrow_mut().update_keys()?;
        self.core.put_off(Pending::FLUSH);
        Ok(())
    }

    /// Always fails, and names what to do instead (`bufferevent_ssl_renegotiate`).
    ///
    /// # Errors
    /// [`TlsErrorKind::RenegotiationRefused`](crate::tls::TlsErrorKind::RenegotiationRefused).
    #[doc(alias = "bufferevent_ssl_renegotiate")]
    pub fn renegotiate(&self) -> Result<(), TlsError> {
        self.engine.borrow_mut().renegotiate()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// An engine between a bufferevent and the one below it. The only code of a user's that runs while
/// it is borrowed is the choice of a certificate, which can hold nothing of this thread.
struct TlsFilter(SharedEngine);

impl Filter for TlsFilter {
    fn input(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        mode: FlushMode,
    ) -> FilterResult {
        let mut engine = self.0.borrow_mut();
        match input(&mut engine, source, destination, limit, mode) {
            Err(error) => FilterResult::Error(error.into()),
            Ok(_) if engine.has_peer_closed() => FilterResult::End,
            Ok(0) if !engine.holds_input() => FilterResult::NeedMore,
            Ok(_) => FilterResult::Ok,
        }
    }

    fn output(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        mode: FlushMode,
    ) -> FilterResult {
        let mut engine = self.0.borrow_mut();
        let written = output(&mut engine, source, limit, mode);
        // Whatever failed: the peer is to hear of it.
        if let Err(error) = destination.add_buffer(engine.outgoing()) {
            return FilterResult::Error(error.into());
        }
        match written {
            Err(error) => FilterResult::Error(error.into()),
            Ok(0) if !source.is_empty() => FilterResult::NeedMore,
            Ok(_) => FilterResult::Ok,
        }
    }

    fn holds_input(&self) -> bool {
        self.0.borrow().holds_input()
    }

    fn holds_output(&self) -> bool {
        !self.0.borrow_mut().outgoing().is_empty()
    }

    fn is_open(&self) -> bool {
        !self.0.borrow().is_handshaking()
    }
}

/// Decrypts what there is room for; more is taken only when that gives nothing.
fn input(
    engine: &mut TlsEngine,
    source: &mut EvBuffer,
    destination: &mut EvBuffer,
    limit: usize,
    mode: FlushMode,
) -> Result<usize, TlsError> {
    loop {
        if !engine.holds_input() {
            engine.feed(source)?;
            if mode == FlushMode::Finished {
                engine.end();
            }
        }
        let count = engine.read(destination, limit)?;
        if count > 0 || source.is_empty() {
            return Ok(count);
        }
        engine.feed(source)?;
    }
}

/// Encrypts what there is room for below.
fn output(
    engine: &mut TlsEngine,
    source: &mut EvBuffer,
    limit: usize,
    mode: FlushMode,
) -> Result<usize, TlsError> {
    if source.is_empty() && mode != FlushMode::Finished {
        // There is only something to be sent on: an answer, a key's update, an alert.
        return Ok(0);
    }
    if engine.has_failed() && mode == FlushMode::Finished {
        // The failure was told. What is left can't go, and is not to keep the alert from going.
        return Ok(source.drain(usize::MAX)?);
    }
    // A record is longer than what it carries.
    let count = engine.write(source, limit - limit / 256)?;
    if mode == FlushMode::Finished && source.is_empty() {
        engine.close()?;
    }
    Ok(count)
}
