//! Listeners: `ConnListener`.

use std::cell::RefCell;
use std::rc::Rc;

use evcore::bufferevent::BufferEventOptions;
use evcore::listener::{self, ConnListener};
use evcore::util::SocketAddress;
use napi_derive::napi;

use crate::address::{self, AddressInfo};
use crate::base::Base;
use crate::bufferevent::JsBev;
use crate::dispatch::Kind;
use crate::env::EnvRef;
use crate::error::{Failure, Result};
use crate::handle::{Handle, Object};
use crate::raw::{cold, owned_fd, raw_fd, OwnedFd};

/// A listener that JavaScript holds.
pub(crate) struct JsListener {
    pub(crate) listener: ConnListener,
    base: Rc<Base>,
    accept: Rc<Accept>,
}

/// How a listener hands over connections.
struct Accept {
    base: Rc<Base>,
    handle: Handle,
    /// Descriptors instead of bufferevents.
    is_raw: bool,
    bev_options: i32,
    last_peer: RefCell<Option<SocketAddress>>,
}

impl Accept {
    fn accepted(&self, fd: OwnedFd, peer: SocketAddress) {
        let env = &self.base.env;
        if env.dispatch.is_dead() {
            return;
        }
        self.last_peer.replace(Some(peer));
        if self.is_raw {
            env.emit(Kind::Accepted, self.handle, 1.0, raw_fd(fd));
            return;
        }
        match JsBev::create(self.base.clone(), Some(fd), self.bev_options) {
            Ok(bev) => env.emit(Kind::Accepted, self.handle, 0.0, bev.into()),
            Err(failure) => env.dispatch.report(failure),
        }
    }
}

/// What `listenerBind` and `listenerFromFd` take; all fields may be left out.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct ListenerOptions {
    /// How many connections may wait to be accepted; -1 (default): as many as the system allows.
    pub backlog: Option<i32>,
    /// SO_REUSEADDR; default true.
    pub reuse_address: Option<bool>,
    /// SO_REUSEPORT.
    pub reuse_port: Option<bool>,
    /// IPV6_V6ONLY.
    pub ipv6_only: Option<bool>,
    /// Close the socket when the listener is freed; default true.
    pub close_on_free: Option<bool>,
    /// Do not accept until `listenerEnable`.
    pub disabled: Option<bool>,
    /// TCP_DEFER_ACCEPT.
    pub deferred_accept: Option<bool>,
    /// Do not make accepted sockets non-blocking.
    pub leave_blocking: Option<bool>,
    /// Hand over descriptors instead of bufferevents.
    pub raw_sockets: Option<bool>,
    /// Options of the bufferevents made for connections; default CLOSE_ON_FREE.
    pub bev_options: Option<i32>,
}

impl ListenerOptions {
    fn core(&self) -> listener::ListenerOptions {
        listener::ListenerOptions {
            backlog: self.backlog.unwrap_or(-1),
            reuseable: self.reuse_address.unwrap_or(true),
            reuseable_port: self.reuse_port.unwrap_or(false),
            ipv6_only: self.ipv6_only.unwrap_or(false),
            close_on_free: self.close_on_free.unwrap_or(true),
            disabled: self.disabled.unwrap_or(false),
            deferred_accept: self.deferred_accept.unwrap_or(false),
            leave_sockets_blocking: self.leave_blocking.unwrap_or(false),
        }
    }
}

fn create(
    env: &EnvRef,
    base: Rc<Base>,
    options: &ListenerOptions,
    open: impl FnOnce(&Base, listener::ListenerOptions, Rc<Accept>) -> Result<ConnListener>,
) -> Result<Handle> {
    let close_on_free = BufferEventOptions::CLOSE_ON_FREE.bits() as i32;
    env.table.insert(|handle| {
        let accept = Rc::new(Accept {
            base: base.clone(),
            handle,
            is_raw: options.raw_sockets.unwrap_or(false),
            bev_options: options.bev_options.unwrap_or(close_on_free),
            last_peer: RefCell::default(),
        });
        let listener = open(&base, options.core(), accept.clone())?;
        let failed = accept.clone();
        listener.set_error_callback(move |_, error| {
            let errno = address::errno(&error).into();
            failed.base.env.emit(Kind::ListenerError, failed.handle, 0.0, errno);
        });
        base.touch();
        Ok(Object::Listener(Rc::new(JsListener { listener, base, accept })))
    })
}

/// Binds and listens on `host:port` or, with port absent, on a Unix socket's path. `host` is a
/// numeric address.
#[napi(catch_unwind)]
pub fn listener_bind(
    env: napi::Env,
    base: Handle,
    host: String,
    port: Option<u32>,
    options: Option<ListenerOptions>,
) -> napi::Result<Handle> {
    cold(&env, |env| {
        let (base, address) = (env.base(base)?, address::parse(&host, port)?);
        create(env, base, &options.unwrap_or_default(), |base, options, accept| {
            let callback =
                move |_: &ConnListener, fd, peer: SocketAddress| accept.accepted(fd, peer);
            ConnListener::bind(&base.base, &address, options, callback)
                .map_err(|error| Failure::from(error).at(&address))
        })
    })
}

/// Listens on a bound socket, which it takes over.
#[napi(catch_unwind)]
pub fn listener_from_fd(
    env: napi::Env,
    base: Handle,
    fd: f64,
    options: Option<ListenerOptions>,
) -> napi::Result<Handle> {
    cold(&env, |env| {
        let (base, socket) = (env.base(base)?, owned_fd(fd)?);
        create(env, base, &options.unwrap_or_default(), |base, options, accept| {
            let callback =
                move |_: &ConnListener, fd, peer: SocketAddress| accept.accepted(fd, peer);
            Ok(ConnListener::from_fd(&base.base, socket, options, callback)?)
        })
    })
}

/// Accepts again.
#[napi(catch_unwind)]
pub fn listener_enable(env: napi::Env, listener: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        let listener = env.listener(listener)?;
        listener.listener.enable()?;
        listener.base.touch();
        Ok(())
    })
}

/// Stops accepting; the socket stays open.
#[napi(catch_unwind)]
pub fn listener_disable(env: napi::Env, listener: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        let listener = env.listener(listener)?;
        listener.listener.disable()?;
        listener.base.touch();
        Ok(())
    })
}

/// Whether it accepts.
#[napi(catch_unwind)]
pub fn listener_is_enabled(env: napi::Env, listener: Handle) -> napi::Result<bool> {
    cold(&env, |env| Ok(env.listener(listener)?.listener.is_enabled()))
}

/// Where it listens.
#[napi(catch_unwind)]
pub fn listener_local_address(
    env: napi::Env,
    listener: Handle,
) -> napi::Result<Option<AddressInfo>> {
    cold(&env, |env| Ok(env.listener(listener)?.listener.local_address().map(AddressInfo::from)))
}

/// The peer of the connection accepted last (for `rawSockets`; ask in the callback).
#[napi(catch_unwind)]
pub fn listener_last_peer(env: napi::Env, listener: Handle) -> napi::Result<Option<AddressInfo>> {
    cold(&env, |env| {
        Ok(env.listener(listener)?.accept.last_peer.borrow().clone().map(AddressInfo::from))
    })
}

/// Its descriptor, or -1.
#[napi(catch_unwind)]
pub fn listener_fd(env: napi::Env, listener: Handle) -> napi::Result<f64> {
    cold(&env, |env| Ok(env.listener(listener)?.listener.fd().map_or(-1.0, |fd| fd as f64)))
}

/// Frees the listener. Allowed inside its callback.
#[napi(catch_unwind)]
pub fn listener_free(env: napi::Env, listener: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        let freed = env.listener(listener)?;
        freed.listener.free();
        drop(env.table.remove(listener));
        freed.base.touch();
        Ok(())
    })
}
