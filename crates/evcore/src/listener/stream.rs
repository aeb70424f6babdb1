//! Listening for stream connections.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use socket2::{Protocol, SockAddr, Socket, Type};

use crate::backend::{OwnedFd, RawFd};
use crate::base::{Event, EventBase, EventFlags, WeakEventBase};
use crate::error::{Error, Result};
use crate::util::{lend, SocketAddress};

use super::path::BoundPath;
use super::ListenerOptions;

/// Is given each accepted socket and its peer's address (`evconnlistener_cb`).
pub type AcceptCallback = Box<dyn FnMut(&ConnListener, OwnedFd, SocketAddress)>;
/// Is told why a connection could not be accepted (`evconnlistener_errorcb`).
pub type AcceptErrorCallback = Box<dyn FnMut(&ConnListener, io::Error)>;

/// The most connections accepted in one turn, so that a flood of them does not keep those that
/// exist from being served.
const MOST_ACCEPTED: usize = 64;

/// How long to leave waiting connections alone when there are no descriptors or no memory for them.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that listens, and what to do with the connections that it accepts
/// (`struct evconnlistener`). A clone is another handle on the same listener, which lives until
/// [`free`](ConnListener::free) or its base's end.
///
/// ```
/// use evcore::listener::{ConnListener, ListenerOptions};
/// use evcore::EventBase;
/// use std::net::{SocketAddr, TcpStream};
///
/// let base = EventBase::new()?;
/// let any: SocketAddr = "127.0.0.1:0".parse()?;
/// let listener = ConnListener::bind(
///     &base,
///     &any.into(),
///     ListenerOptions::default(),
///     |listener, _socket, peer| {
///         println!("a connection from {peer}");
///         listener.free();
///     },
/// )?;
/// let port = listener.local_address().and_then(|address| address.port()).unwrap();
/// let _client = TcpStream::connect(("127.0.0.1", port))?;
/// base.dispatch()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "evconnlistener")]
#[derive(Clone)]
pub struct ConnListener {
    inner: Rc<Inner>,
}

struct Inner {
    base: WeakEventBase,
    socket: RefCell<Option<Socket>>,
    options: ListenerOptions,
    /// The path of a Unix socket that this listener made.
    path: Option<BoundPath>,
    event: RefCell<Option<Event>>,
    pause: RefCell<Option<Event>>,
    enabled: Cell<bool>,
    callback: RefCell<Option<AcceptCallback>>,
    error_callback: RefCell<Option<AcceptErrorCallback>>,
    freed: Cell<bool>,
}

impl std::fmt::Debug for ConnListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnListener")
            .field("fd", &self.fd())
            .field("enabled", &self.is_enabled())
            .finish_non_exhaustive()
    }
}

impl ConnListener {
    /// Listens on an address (`evconnlistener_new_bind`). Port 0 is any that is free;
    /// [`local_address`](ConnListener::local_address) tells which.
    ///
    /// # Errors
    /// [`Error::Os`]: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL` and what else the system says, with the
    /// name of its call; [`Error::Unsupported`] for an option that this platform lacks;
    /// [`Error::Freed`] when the base was freed.
    #[doc(alias = "evconnlistener_new_bind")]
    pub fn bind(
        base: &EventBase,
        address: &SocketAddress,
        options: ListenerOptions,
        callback: impl FnMut(&ConnListener, OwnedFd, SocketAddress) + 'static,
    ) -> Result<Self> {
        let socket = bound_socket(address, &options)?;
        let path = BoundPath::of(address);
        Self::listen("ConnListener::bind", base, socket, path, options, Box::new(callback))
    }

    /// Listens on a socket that is bound already (`evconnlistener_new`).
    ///
    /// # Errors
    /// [`Error::Os`] when the socket cannot listen, [`Error::Freed`] when the base was freed.
    #[doc(alias = "evconnlistener_new")]
    pub fn from_fd(
        base: &EventBase,
        fd: OwnedFd,
        options: ListenerOptions,
        callback: impl FnMut(&ConnListener, OwnedFd, SocketAddress) + 'static,
    ) -> Result<Self> {
        Self::listen("ConnListener::from_fd", base, fd.into(), None, options, Box::new(callback))
    }

    fn listen(
        call: &'static str,
        base: &EventBase,
        socket: Socket,
        path: Option<BoundPath>,
        options: ListenerOptions,
        callback: AcceptCallback,
    ) -> Result<Self> {
        let ready = make_listen(call, &socket, &options);
        let fd = raw_fd(&socket);
        let enabled = !options.disabled;
        // Made before anything can fail, since it removes the path when it goes.
        let inner = Rc::new(Inner {
            base: base.downgrade(),
            socket: RefCell::new(Some(socket)),
            options,
            path,
            event: RefCell::default(),
            pause: RefCell::default(),
            enabled: Cell::new(false),
            callback: RefCell::new(Some(callback)),
            error_callback: RefCell::default(),
            freed: Cell::new(false),
        });
        let listener = Self { inner };
        ready?;
        let held = HeldByEvent(listener.clone());
        let event = Event::new(base, fd, EventFlags::READ | EventFlags::PERSIST, move |_, _| {
            held.0.accept();
        })?;
        *listener.inner.event.borrow_mut() = Some(event);
        if enabled {
            listener.enable()?;
        }
        Ok(listener)
    }

    /// Accepts connections (`evconnlistener_enable`).
    ///
    /// # Errors
    /// [`Error::Os`] when the socket cannot be watched, [`Error::Freed`].
    #[doc(alias = "evconnlistener_enable")]
    pub fn enable(&self) -> Result<()> {
        const CALL: &str = "ConnListener::enable";
        let event = self.inner.event.borrow();
        event.as_ref().ok_or(Error::Freed { call: CALL })?.add(None)?;
        self.inner.enabled.set(true);
        Ok(())
    }

    /// Leaves connections waiting in the backlog (`evconnlistener_disable`).
    ///
    /// # Errors
    /// [`Error::Freed`].
    #[doc(alias = "evconnlistener_disable")]
    pub fn disable(&self) -> Result<()> {
        const CALL: &str = "ConnListener::disable";
        self.inner.enabled.set(false);
        self.inner.pause.borrow_mut().take();
        let event = self.inner.event.borrow();
        event.as_ref().ok_or(Error::Freed { call: CALL })?.del()
    }

    /// Whether connections are accepted.
    pub fn is_enabled(&self) -> bool {
        self.inner.enabled.get()
    }

    /// Gives accepted connections to another callback from now on (`evconnlistener_set_cb`).
    #[doc(alias = "evconnlistener_set_cb")]
    pub fn set_callback(
        &self,
        callback: impl FnMut(&ConnListener, OwnedFd, SocketAddress) + 'static,
    ) {
        if !self.inner.freed.get() {
            let old = self.inner.callback.replace(Some(Box::new(callback)));
            drop(old);
        }
    }

    /// Tells this callback why a connection could not be accepted
    /// (`evconnlistener_set_error_cb`). When there are no descriptors left, the listener leaves the
    /// connections waiting for a tenth of a second before it tries again.
    #[doc(alias = "evconnlistener_set_error_cb")]
    pub fn set_error_callback(&self, callback: impl FnMut(&ConnListener, io::Error) + 'static) {
        if !self.inner.freed.get() {
            let old = self.inner.error_callback.replace(Some(Box::new(callback)));
            drop(old);
        }
    }

    /// The listening descriptor (`evconnlistener_get_fd`); `None` once freed.
    #[doc(alias = "evconnlistener_get_fd")]
    pub fn fd(&self) -> Option<RawFd> {
        self.inner.socket.borrow().as_ref().map(raw_fd)
    }

    /// The base, unless it is gone (`evconnlistener_get_base`).
    #[doc(alias = "evconnlistener_get_base")]
    pub fn base(&self) -> Option<EventBase> {
        self.inner.base.upgrade()
    }

    /// The address that the listener is bound to.
    pub fn local_address(&self) -> Option<SocketAddress> {
        let socket = self.inner.socket.borrow();
        let address = socket.as_ref()?.local_addr().ok()?;
        SocketAddress::try_from(&address).ok()
    }

    /// Ends the listener (`evconnlistener_free`). May be called in its callback.
    #[doc(alias = "evconnlistener_free")]
    pub fn free(&self) {
        self.inner.free();
    }

    fn accept(&self) {
        for _ in 0..MOST_ACCEPTED {
            let accepted = match &*self.inner.socket.borrow() {
                Some(socket) if self.inner.enabled.get() && !self.inner.base.is_freed() => {
                    accept(socket, self.inner.options.leave_sockets_blocking)
                }
                _ => return,
            };
            match accepted {
                Ok((socket, peer)) => self.inner.call(&self.inner.callback, |callback| {
                    callback(self, socket, peer);
                }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The peer gave up before its turn came.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(error) => {
                    self.pause();
                    self.inner.call(&self.inner.error_callback, |callback| callback(self, error));
                    return;
                }
            }
        }
    }

    /// Takes a rest from accepting: the connection that failed is still waiting, and the loop would
    /// find it again at once.
    fn pause(&self) {
        let (Some(base), Some(event)) = (self.inner.base.upgrade(), &*self.inner.event.borrow())
        else {
            return;
        };
        let weak = Rc::downgrade(&self.inner);
        let resume = move |timer: &Event, _| {
            let Some(inner) = weak.upgrade() else { return };
            let listener = ConnListener { inner };
            if listener.is_enabled() && listener.enable().is_err() {
                // The system may have no room to watch it yet; only a freed base has no timer.
                let _ = timer.add(Some(PAUSE));
            }
        };
        // Without a timer there is no rest, and the loop tries again at once.
        let Ok(timer) = Event::timer(&base, resume) else { return };
        if timer.add(Some(PAUSE)).is_ok() {
            let _ = event.del();
            *self.inner.pause.borrow_mut() = Some(timer);
        }
    }
}

impl Inner {
    fn call<F: ?Sized>(&self, cell: &RefCell<Option<Box<F>>>, call: impl FnOnce(&mut F)) {
        lend(cell, || !self.freed.get(), call);
    }

    fn free(&self) {
        if self.freed.replace(true) {
            return;
        }
        self.enabled.set(false);
        // The event lets go of the descriptor before it is closed.
        let event = self.event.take();
        let pause = self.pause.take();
        drop((event, pause));
        self.release();
        drop((self.callback.take(), self.error_callback.take()));
    }

    fn release(&self) {
        let Some(socket) = self.socket.take() else { return };
        if !self.options.close_on_free {
            leave_open(socket);
            return;
        }
        drop(socket);
        if let Some(path) = &self.path {
            path.remove();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Of a listener that could not be made.
        self.release();
    }
}

/// What the event's callback holds. A base that is freed drops it and with it the listener, whoever
/// else holds that: its own callbacks, for one.
struct HeldByEvent(ConnListener);

impl Drop for HeldByEvent {
    fn drop(&mut self) {
        if self.0.inner.base.is_freed() {
            self.0.free();
        }
    }
}

fn make_listen(call: &'static str, socket: &Socket, options: &ListenerOptions) -> Result<()> {
    socket.set_nonblocking(true).map_err(|error| Error::os(call, error))?;
    let backlog = if options.backlog < 0 { i32::MAX } else { options.backlog };
    socket.listen(backlog).map_err(|error| Error::os("listen", error))?;
    if options.deferred_accept {
        defer_accept(socket)?;
    }
    Ok(())
}

fn bound_socket(address: &SocketAddress, options: &ListenerOptions) -> Result<Socket> {
    let protocol = matches!(address, SocketAddress::Ip(_)).then_some(Protocol::TCP);
    let socket = Socket::new(address.domain(), Type::STREAM, protocol)
        .map_err(|error| Error::os("socket", error))?;
    if let SocketAddress::Ip(ip) = address {
        // On Windows the option of this name lets anybody take the port over.
        #[cfg(not(windows))]
        if options.reuseable {
            socket.set_reuse_address(true).map_err(|error| Error::os("setsockopt", error))?;
        }
        if options.reuseable_port {
            reuse_port(&socket)?;
        }
        if ip.is_ipv6() {
            socket
                .set_only_v6(options.ipv6_only)
                .map_err(|error| Error::os("setsockopt", error))?;
        }
    }
    let address = SockAddr::try_from(address).map_err(|error| Error::os("bind", error))?;
    socket.bind(&address).map_err(|error| Error::os("bind", error))?;
    Ok(socket)
}

#[cfg(all(unix, not(any(target_os = "illumos", target_os = "solaris"))))]
fn reuse_port(socket: &Socket) -> Result<()> {
    socket.set_reuse_port(true).map_err(|error| Error::os("setsockopt", error))
}

#[cfg(not(all(unix, not(any(target_os = "illumos", target_os = "solaris")))))]
fn reuse_port(_socket: &Socket) -> Result<()> {
    let what = "this system has no port that several sockets share; use one listener".to_owned();
    Err(Error::Unsupported { call: "ConnListener::bind", what })
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn defer_accept(socket: &Socket) -> Result<()> {
    // One second is libevent's choice too: after it a silent connection is handed out all the same.
    crate::sys::set_defer_accept(socket, 1).map_err(|error| Error::os("setsockopt", error))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn defer_accept(_socket: &Socket) -> Result<()> {
    // libevent ignores the wish where the system cannot grant it; so do we.
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn accept(socket: &Socket, blocking: bool) -> io::Result<(OwnedFd, SocketAddress)> {
    use rustix::net::SocketFlags;

    let mode = if blocking { SocketFlags::empty() } else { SocketFlags::NONBLOCK };
    let (accepted, peer) = rustix::net::acceptfrom_with(socket, mode | SocketFlags::CLOEXEC)?;
    let ip = peer.clone().and_then(|peer| std::net::SocketAddr::try_from(peer).ok());
    let peer = ip.map_or_else(|| SocketAddress::Unix(unix_path(peer)), SocketAddress::Ip);
    Ok((accepted, peer))
}

/// The path of a Unix peer, which as a rule has none.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn unix_path(peer: Option<rustix::net::SocketAddrAny>) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStrExt;

    let peer = peer.and_then(|peer| rustix::net::SocketAddrUnix::try_from(peer).ok());
    let path = peer.as_ref().and_then(|peer| peer.path_bytes()).unwrap_or_default();
    std::ffi::OsStr::from_bytes(path).into()
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn accept(socket: &Socket, blocking: bool) -> io::Result<(OwnedFd, SocketAddress)> {
    let (accepted, peer) = socket.accept()?;
    accepted.set_nonblocking(!blocking)?;
    Ok((accepted.into(), SocketAddress::try_from(&peer)?))
}

#[cfg(unix)]
fn raw_fd(socket: &Socket) -> RawFd {
    std::os::fd::AsRawFd::as_raw_fd(socket)
}

#[cfg(windows)]
fn raw_fd(socket: &Socket) -> RawFd {
    std::os::windows::io::AsRawSocket::as_raw_socket(socket)
}

#[cfg(unix)]
fn leave_open(socket: Socket) {
    let _ = std::os::fd::IntoRawFd::into_raw_fd(socket);
}

#[cfg(windows)]
fn leave_open(socket: Socket) {
    let _ = std::os::windows::io::IntoRawSocket::into_raw_socket(socket);
}
