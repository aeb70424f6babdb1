//! One end of a connection. The only file that names rustls' unbuffered connections, which its next
//! version replaces.

use std::collections::VecDeque;
use std::fmt;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::CommonState;

use super::server::take_asked;
use super::{TlsClientConfig, TlsError, TlsErrorKind, TlsEvent, TlsServerConfig, TlsVersion};
use crate::buffer::{BufferEnd, BufferError, EvBuffer};

/// The most plaintext that one record carries.
const RECORD: usize = 16 * 1024;
/// How much of what came is laid out in one piece first, where it is not so already: a whole record.
const FIRST_LOOK: usize = RECORD + 1024;
/// How much longer than its plaintext a record is, and more.
const OVERHEAD: usize = 64;
/// How many bytes are encrypted at once where they lie in one piece.
const BATCH: usize = 4 * RECORD;
/// How many errors are kept.
const MOST_ERRORS: usize = 16;

/// One end of a TLS connection, free of input and output: what carries its bytes is the caller's
/// affair (`SSL`).
///
/// Ciphertext from the peer goes in by [`feed`](Self::feed), and plaintext comes out by
/// [`read`](Self::read); plaintext goes in by [`write`](Self::write). What is to be sent to the peer
/// is in [`outgoing`](Self::outgoing) after any call.
///
/// ```
/// # use evcore::tls::{TlsClientConfig, TlsEngine, TlsError, TlsEvent, TlsServerConfig};
/// # use evcore::EvBuffer;
/// fn talk(client: &TlsClientConfig, server: &TlsServerConfig) -> Result<(), TlsError> {
///     let mut client = TlsEngine::client(client, "example.org")?;
///     let mut server = TlsEngine::server(server)?;
///     let mut heard = EvBuffer::new();
///     while client.is_handshaking() || server.is_handshaking() {
///         server.feed(client.outgoing())?;
///         server.read(&mut heard, usize::MAX)?;
///         client.feed(server.outgoing())?;
///         client.read(&mut EvBuffer::new(), usize::MAX)?;
///     }
///     assert_eq!(server.next_event(), Some(TlsEvent::Open));
///     client.write(&mut EvBuffer::from(b"hello".to_vec()), usize::MAX)?;
///     server.feed(client.outgoing())?;
///     server.read(&mut heard, usize::MAX)?;
///     assert_eq!(heard.to_vec(), b"hello");
///     Ok(())
/// }
/// ```
pub struct TlsEngine {
    pub(super) connection: Connection,
    /// Ciphertext from the peer.
    incoming: EvBuffer,
    /// How many bytes at its front rustls has seen and may have decrypted in place: it has to be
    /// shown them again.
    seen: usize,
    /// Ciphertext for the peer.
    outgoing: EvBuffer,
    /// Plaintext for which there was no room yet.
    pub(super) staged: EvBuffer,
    /// There was no room for more, though more may be there.
    stopped: bool,
    /// Nothing more comes from the peer.
    ended: bool,
    pub(super) allow_dirty_shutdown: bool,
    pub(super) handshaking: bool,
    pub(super) peer_closed: bool,
    closed: bool,
    pub(super) failed: bool,
    pub(super) server_name: Option<String>,
    pub(super) events: VecDeque<TlsEvent>,
    pub(super) errors: VecDeque<TlsError>,
    last_error: Option<TlsError>,
}

pub(super) enum Connection {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
}

impl Connection {
    fn common(&self) -> &CommonState {
        match self {
            Self::Client(connection) => connection,
            Self::Server(connection) => connection,
        }
    }
}

impl TlsEngine {
    /// A client's end, for a server of this name or address, which its certificate has to have. The
    /// first message is in [`outgoing`](Self::outgoing) already.
    ///
    /// # Errors
    /// [`TlsErrorKind::InvalidConfig`] for a name that none can be.
    pub fn client(config: &TlsClientConfig, server_name: &str) -> Result<Self, TlsError> {
        let name = ServerName::try_from(server_name.to_owned()).map_err(|_| {
            TlsError::config(format!("{server_name:?} is neither a host name nor an address"))
        })?;
        let connection = UnbufferedClientConnection::new(config.config.clone(), name)?;
        let mut engine = Self::new(Connection::Client(Box::new(connection)));
        engine.server_name = Some(server_name.to_owned());
        engine.go_on(0, Wish::Nothing, None)?;
        Ok(engine)
    }

    /// A server's end.
    ///
    /// # Errors
    /// Those of the system's random numbers.
    pub fn server(config: &TlsServerConfig) -> Result<Self, TlsError> {
        let connection = UnbufferedServerConnection::new(config.config.clone())?;
        Ok(Self::new(Connection::Server(Box::new(connection))))
    }

    fn new(connection: Connection) -> Self {
        Self {
            connection,
            incoming: EvBuffer::new(),
            seen: 0,
            outgoing: EvBuffer::new(),
            staged: EvBuffer::new(),
            stopped: false,
            ended: false,
            allow_dirty_shutdown: false,
            handshaking: true,
            peer_closed: false,
            closed: false,
            failed: false,
            server_name: None,
            events: VecDeque::new(),
            errors: VecDeque::new(),
            last_error: None,
        }
    }

    /// Takes all of `ciphertext`, which the peer has sent. [`read`](Self::read) makes something of
    /// it.
    ///
    /// # Errors
    /// [`TlsErrorKind::Buffer`].
    pub fn feed(&mut self, ciphertext: &mut EvBuffer) -> Result<(), TlsError> {
        Ok(self.incoming.add_buffer(ciphertext)?)
    }

    /// Says that the peer's stream has ended. Unless the peer has said farewell before, the next
    /// [`read`](Self::read) that finds nothing fails with [`TlsErrorKind::Truncated`].
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Decrypts what was fed, adds at most `most` bytes to `plaintext` and says how many. Goes on
    /// with the handshake too.
    ///
    /// # Errors
    /// Whatever ends the connection; the same again from then on. `plaintext` may have got bytes that
    /// came before. What `outgoing` holds should still be sent.
    pub fn read(&mut self, plaintext: &mut EvBuffer, most: usize) -> Result<usize, TlsError> {
        let mut room = most - self.staged.remove_buffer(plaintext, most)?;
        self.check()?;
        let mut pass = self.seen.max(self.incoming.contiguous_space());
        while room > 0 {
            let before = self.incoming.len();
            let step = self.go_on(pass, Wish::Nothing, Some((plaintext, &mut room)));
            step.map_err(|error| self.fail(error))?;
            if self.incoming.len() < before {
                pass = self.seen.max(self.incoming.contiguous_space());
            } else if pass < before {
                pass = before.min(pass.saturating_mul(2).max(FIRST_LOOK));
            } else {
                break;
            }
        }
        self.stopped = room == 0 && !self.incoming.is_empty();
        if room > 0 && self.ended && !self.peer_closed {
            if !self.allow_dirty_shutdown || self.handshaking {
                let what = if self.handshaking {
                    "the stream has ended within the handshake"
                } else {
                    "the stream has ended without the peer's close_notify; bytes may be missing"
                };
                return Err(self.fail(TlsError::new(TlsErrorKind::Truncated, what)));
            }
            self.peer_has_closed();
        }
        Ok(most - room)
    }

    /// Encrypts at most `most` bytes from the front of `plaintext` into the outgoing bytes, takes them
    /// out, and says how many: none before the handshake is done.
    ///
    /// # Errors
    /// [`TlsErrorKind::Closed`] after [`close`](Self::close), and whatever has ended the connection.
    pub fn write(&mut self, plaintext: &mut EvBuffer, most: usize) -> Result<usize, TlsError> {
        self.check()?;
        if self.closed {
            return Err(TlsError::new(TlsErrorKind::Closed, "this side has closed the connection"));
        }
        if plaintext.is_frozen(BufferEnd::Front) {
            let (call, end) = ("TlsEngine::write", BufferEnd::Front);
            return Err(BufferError::Frozen { call, end }.into());
        }
        let total = if self.handshaking { 0 } else { plaintext.len().min(most) };
        let mut taken = 0;
        while taken < total {
            // Full records, as many as lie in one piece, or what there is up to one.
            let (left, piece) = (total - taken, plaintext.contiguous_space());
            let whole = piece.min(left).min(BATCH) / RECORD * RECORD;
            let len = if piece >= left { left.min(BATCH) } else { whole.max(left.min(RECORD)) };
            let bytes = plaintext.pullup(Some(len))?;
            let done = self.go_on(self.seen, Wish::Encrypt(bytes), None);
            if !done.map_err(|error| self.fail(error))? {
                break;
            }
            plaintext.drain(len)?;
            taken += len;
        }
        Ok(taken)
    }

    /// What is to be sent to the peer. Whoever sends it takes it out.
    #[inline]
    pub fn outgoing(&mut self) -> &mut EvBuffer {
        &mut self.outgoing
    }

    /// Whether a [`read`](Self::read) may find something: plaintext for which there was no room,
    /// ciphertext, or an end of the stream that is still to be judged.
    #[inline]
    pub fn holds_input(&self) -> bool {
        !self.staged.is_empty()
            || !self.failed
                && (self.stopped
                    || self.incoming.len() > self.seen
                    || self.ended && !self.peer_closed)
    }

    /// Says farewell (`close_notify`): the peer then knows that it has everything. It may still send.
    /// Does nothing within the handshake, where there is nothing to miss.
    ///
    /// # Errors
    /// Whatever has ended the connection.
    pub fn close(&mut self) -> Result<(), TlsError> {
        self.check()?;
        if !self.closed && !self.handshaking {
            self.go_on(self.seen, Wish::Close, None).map_err(|error| self.fail(error))?;
        }
        self.closed = true;
        Ok(())
    }

    /// Changes the keys of what is sent from here on, and asks the peer to do the same. rustls does so
    /// of its own accord before a key is worn out.
    ///
    /// # Errors
    /// [`TlsErrorKind::NotNow`] with TLS 1.2, and before the handshake is done.
    #[doc(alias = "SSL_key_update")]
    pub fn update_keys(&mut self) -> Result<(), TlsError> {
        self.check()?;
        let what = match self.version() {
            _ if self.handshaking => "the handshake is not done",
            Some(TlsVersion::V1_3) if self.closed => "this side has closed the connection",
            Some(TlsVersion::V1_3) => {
                return match self.go_on(self.seen, Wish::UpdateKeys, None) {
                    Ok(_) => Ok(()),
                    Err(error) => Err(self.fail(error)),
                };
            }
            _ => "only TLS 1.3 can change the keys of a connection",
        };
        Err(self.keep(TlsError::new(TlsErrorKind::NotNow, what)))
    }

    /// Always fails: renegotiation was the way to several attacks and is gone from TLS 1.3
    /// (`bufferevent_ssl_renegotiate`). A peer that asks for it is refused as well.
    ///
    /// # Errors
    /// [`TlsErrorKind::RenegotiationRefused`].
    #[doc(alias = "bufferevent_ssl_renegotiate")]
    pub fn renegotiate(&mut self) -> Result<(), TlsError> {
        Err(self.keep(TlsError::new(
            TlsErrorKind::RenegotiationRefused,
            "there is no renegotiation; use update_keys with TLS 1.3, or a new connection",
        )))
    }

    pub(super) fn common(&self) -> &CommonState {
        self.connection.common()
    }

    fn check(&self) -> Result<(), TlsError> {
        match &self.last_error {
            Some(error) if self.failed => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Ends the connection, with an alert if rustls has one to send.
    fn fail(&mut self, error: TlsError) -> TlsError {
        if !self.failed {
            self.failed = true;
            // What cannot be sent any more is the least of the troubles now.
            let _ = self.go_on(self.seen, Wish::Alert, None);
            self.incoming = EvBuffer::new();
            self.seen = 0;
            self.last_error = Some(error.clone());
            self.events.push_back(TlsEvent::Failed(error.clone()));
            return self.keep(error);
        }
        error
    }

    /// Keeps an error to be [taken](Self::take_error).
    fn keep(&mut self, error: TlsError) -> TlsError {
        if self.errors.len() < MOST_ERRORS {
            self.errors.push_back(error.clone());
        }
        error
    }

    fn peer_has_closed(&mut self) {
        self.peer_closed = true;
        self.events.push_back(TlsEvent::PeerClosed);
    }

    /// Shows rustls the first `pass` bytes of what came until it can do nothing more with them or
    /// there is no room left, and fulfils a wish then; says whether that could be.
    fn go_on(
        &mut self,
        pass: usize,
        mut wish: Wish<'_>,
        mut room: Option<(&mut EvBuffer, &mut usize)>,
    ) -> Result<bool, TlsError> {
        let data = self.incoming.pullup_mut(Some(pass))?;
        let mut used = 0;
        let mut peer_closed = false;
        let result = loop {
            // rustls must not be shown what it has failed over a second time.
            if matches!(wish, Wish::Alert) && !self.connection.common().wants_write() {
                break Ok(true);
            }
            let mut sinks = Sinks {
                outgoing: &mut self.outgoing,
                staged: &mut self.staged,
                room: room.as_mut().map(|(buffer, room)| (&mut **buffer, &mut **room)),
            };
            let rest = data.get_mut(used..).unwrap_or_default();
            let (discard, step) = match &mut self.connection {
                Connection::Client(c) => sinks.step(c.process_tls_records(rest), &mut wish),
                Connection::Server(c) => sinks.step(c.process_tls_records(rest), &mut wish),
            };
            used += discard;
            match step {
                Ok(Step::Again) => {}
                Ok(Step::Plaintext) if room.as_ref().is_some_and(|(_, room)| **room == 0) => {
                    break Ok(false);
                }
                Ok(Step::Plaintext) => {}
                Ok(Step::PeerClosed) => peer_closed = true,
                Ok(Step::Done(fulfilled)) => break Ok(fulfilled),
                Err(error) => break Err(error),
            }
        };
        self.incoming.drain(used)?;
        self.seen = pass.saturating_sub(used);
        if self.handshaking {
            if let Some(asked) = take_asked() {
                self.server_name = asked.server_name;
                if let (Some(why), Err(_)) = (asked.refused, &result) {
                    return Err(TlsError::new(TlsErrorKind::ChoiceRefused, why));
                }
            }
            if result.is_ok() && !self.common().is_handshaking() {
                self.handshaking = false;
                self.events.push_back(TlsEvent::Open);
            }
        }
        if peer_closed {
            self.peer_has_closed();
        }
        result
    }
}

impl fmt::Debug for TlsEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsEngine")
            .field("state", &self.state())
            .field("peer_closed", &self.peer_closed)
            .field("closed", &self.closed)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// What to do once rustls lets us.
enum Wish<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    UpdateKeys,
    Close,
    /// To give its alert, and not to look at anything.
    Alert,
}

/// What rustls has done or wants.
enum Step {
    /// To be asked again.
    Again,
    /// To be asked again if there is room for more plaintext.
    Plaintext,
    /// To be asked again; the peer has said farewell.
    PeerClosed,
    /// Nothing before more comes. Whether the wish was fulfilled.
    Done(bool),
}

/// Where bytes go.
struct Sinks<'a> {
    outgoing: &'a mut EvBuffer,
    staged: &'a mut EvBuffer,
    room: Option<(&'a mut EvBuffer, &'a mut usize)>,
}

impl Sinks<'_> {
    /// Does what rustls asks for; gives how many of the bytes it has done with.
    fn step<Data>(
        &mut self,
        status: UnbufferedStatus<'_, '_, Data>,
        wish: &mut Wish<'_>,
    ) -> (usize, Result<Step, TlsError>) {
        let UnbufferedStatus { mut discard, state } = status;
        let step = match state {
            Err(error) => Err(error.into()),
            Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                match traffic.next_record() {
                    None => break Ok(Step::Plaintext),
                    Some(Err(error)) => break Err(error.into()),
                    Some(Ok(record)) => {
                        discard += record.discard;
                        if let Err(error) = self.give(record.payload) {
                            break Err(error.into());
                        }
                    }
                }
            },
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                append(self.outgoing, 0, |room| match data.encode(room) {
                    Ok(len) => Ok(len),
                    Err(EncodeError::InsufficientSize(size)) => Err(Some(size.required_size)),
                    Err(EncodeError::AlreadyEncoded) => Err(None),
                })
                .map(|()| Step::Again)
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Ok(Step::Again)
            }
            Ok(ConnectionState::PeerClosed) => Ok(Step::PeerClosed),
            Ok(ConnectionState::WriteTraffic(traffic)) => self.fulfil(traffic, wish),
            // Early data is not offered, `BlockedHandshake` and `Closed` have nothing to do.
            Ok(_) => Ok(Step::Done(false)),
        };
        (discard, step)
    }

    fn fulfil<Data>(
        &mut self,
        mut traffic: WriteTraffic<'_, Data>,
        wish: &mut Wish<'_>,
    ) -> Result<Step, TlsError> {
        let size = |error| match error {
            EncryptError::InsufficientSize(size) => Some(size.required_size),
            EncryptError::EncryptExhausted => None,
        };
        match std::mem::replace(wish, Wish::Nothing) {
            Wish::Nothing | Wish::Alert => return Ok(Step::Done(true)),
            Wish::UpdateKeys => {
                traffic.refresh_traffic_keys()?;
                return Ok(Step::Again);
            }
            Wish::Encrypt(bytes) => {
                let room = bytes.len() + bytes.len().div_ceil(RECORD) * OVERHEAD;
                append(self.outgoing, room, |room| traffic.encrypt(bytes, room).map_err(size))?;
            }
            Wish::Close => {
                append(self.outgoing, OVERHEAD, |room| {
                    traffic.queue_close_notify(room).map_err(size)
                })?;
            }
        }
        Ok(Step::Done(true))
    }

    /// Adds plaintext where there is room, and keeps the rest.
    fn give(&mut self, payload: &[u8]) -> Result<(), BufferError> {
        let mut rest = payload;
        if let Some((plaintext, room)) = &mut self.room {
            let (now, later) = payload.split_at(payload.len().min(**room));
            plaintext.add(now)?;
            **room -= now.len();
            rest = later;
        }
        self.staged.add(rest)
    }
}

/// Has `fill` write to the end of `buffer`, where it gets `len` bytes of room and then as many as it
/// asks for.
fn append(
    buffer: &mut EvBuffer,
    len: usize,
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), TlsError> {
    let mut room = buffer.reserve_contiguous(len)?;
    let [space, _] = room.slices();
    let filled = match fill(space) {
        Ok(filled) => filled,
        Err(Some(required)) => {
            drop(room);
            room = buffer.reserve_contiguous(required)?;
            let [space, _] = room.slices();
            fill(space).map_err(|_| worn_out())?
        }
        Err(None) => return Err(worn_out()),
    };
    Ok(room.commit(filled)?)
}

fn worn_out() -> TlsError {
    TlsError::new(TlsErrorKind::Other, "the keys of this connection are worn out")
}
