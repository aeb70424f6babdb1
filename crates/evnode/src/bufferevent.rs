//! Bufferevents: `BufferEvent`.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use evcore::bufferevent::{
    BufferEvent, BufferEventFlags, BufferEventHandler, BufferEventOptions, FlushMode,
};
use evcore::tls::TlsError;
use evcore::EventFlags;
use napi_derive::napi;

use crate::address::{self, AddressInfo};
use crate::base::Base;
use crate::dispatch::Kind;
use crate::env::EnvState;
use crate::error::{tls_code, Failure, Result};
use crate::event::event_flags;
use crate::handle::{Handle, Object};
use crate::raw::{cold, owned_fd, raw_fd, OwnedFd};
use crate::util::{error_name, NativeAddressHints};

/// A bufferevent that JavaScript holds.
pub(crate) struct JsBev {
    pub(crate) bev: BufferEvent,
    pub(crate) callbacks: Rc<Callbacks>,
    /// The one below, if it is a filter's.
    below: Option<Rc<JsBev>>,
    /// Handles of its buffers, 0 while nobody has asked for them.
    pub(crate) input: Cell<Handle>,
    pub(crate) output: Cell<Handle>,
}

/// What a bufferevent calls.
pub(crate) struct Callbacks {
    base: Rc<Base>,
    handle: Handle,
    /// Which callbacks JavaScript has: `READABLE` and so on.
    pub(crate) mask: Cell<u8>,
    /// The last error, if it was not the operating system's.
    failure: RefCell<Option<io::Error>>,
}

const READABLE: u8 = 1;
const WRITABLE: u8 = 2;
const EVENT: u8 = 4;
const CLOSED: u8 = 8;

impl Callbacks {
    fn has(&self, callback: u8) -> bool {
        self.mask.get() & callback != 0
    }

    fn emit(&self, kind: Kind, what: f64, extra: f64) {
        self.base.env.emit(kind, self.handle, what, extra);
    }
}

impl BufferEventHandler for Callbacks {
    fn readable(&self, bev: &BufferEvent) {
        if self.has(READABLE) {
            self.base.env.collect(Kind::Readable, self.handle, 0, Some(bev));
        }
    }

    fn writable(&self, _bev: &BufferEvent) {
        if self.has(WRITABLE) {
            self.emit(Kind::Writable, 0.0, 0.0);
        }
    }

    fn event(&self, bev: &BufferEvent, what: BufferEventFlags) {
        if self.has(EVENT) {
            let error = bev.take_error();
            let errno = error.as_ref().map_or(0, address::errno);
            if errno == 0 && error.is_some() {
                self.failure.replace(error);
            }
            self.emit(Kind::BevEvent, what.bits().into(), errno.into());
        }
    }

    fn closed(&self, _bev: &BufferEvent) {
        if self.has(CLOSED) {
            self.emit(Kind::Closed, 0.0, 0.0);
        }
        JsBev::forget(&self.base.env, self.handle);
    }

    fn wants_write(&self) -> bool {
        self.has(WRITABLE)
    }
}

impl JsBev {
    /// Makes a bufferevent over a socket.
    pub(crate) fn create(base: Rc<Base>, fd: Option<OwnedFd>, options: i32) -> Result<Handle> {
        let options = bev_options(options)?;
        Self::insert(base.clone(), None, |_| Ok(BufferEvent::socket(&base.base, fd, options)?))
    }

    /// Makes a bufferevent for a handle, with the dispatcher for its callbacks.
    pub(crate) fn insert(
        base: Rc<Base>,
        below: Option<Rc<JsBev>>,
        make: impl FnOnce(Handle) -> Result<BufferEvent>,
    ) -> Result<Handle> {
        let table = &base.env.clone().table;
        table.insert(|handle| {
            let bev = make(handle)?;
            let callbacks = Rc::new(Callbacks {
                base,
                handle,
                mask: Cell::new(0),
                failure: RefCell::default(),
            });
            bev.set_handler(Some(callbacks.clone()));
            Ok(Object::Bev(Rc::new(Self {
                bev,
                callbacks,
                below,
                input: Cell::new(0),
                output: Cell::new(0),
            })))
        })
    }

    /// Tells the host of what a call from JavaScript may have changed.
    #[inline]
    pub(crate) fn touch(&self) {
        self.callbacks.base.touch();
    }

    /// The base that it runs on.
    pub(crate) fn base(&self) -> &Rc<Base> {
        &self.callbacks.base
    }

    /// Frees it and its handles.
    pub(crate) fn free(self: Rc<Self>, handle: Handle) {
        self.bev.set_handler(None);
        self.bev.free();
        Self::forget(&self.callbacks.base.env, handle);
    }

    /// Ends the handles of a bufferevent that was freed.
    fn forget(env: &EnvState, handle: Handle) {
        let Some(Object::Bev(bev)) = env.table.remove(handle) else { return };
        for buffer in [bev.input.take(), bev.output.take()] {
            if buffer != 0 {
                env.watches.borrow_mut().remove(&buffer);
                drop(env.table.remove(buffer));
            }
        }
        let Some(below) = &bev.below else { return };
        if below.bev.is_freed() {
            Self::forget(env, below.callbacks.handle);
        } else {
            // It was given back, and has its own callbacks again.
            below.bev.set_handler(Some(below.callbacks.clone()));
        }
    }

    /// The handle of the input or output buffer, made when first asked for.
    pub(crate) fn buffer(self: &Rc<Self>, is_output: bool) -> Result<Handle> {
        let cell = if is_output { &self.output } else { &self.input };
        if cell.get() == 0 {
            let bev = self.clone();
            let object = if is_output { Object::Output(bev) } else { Object::Input(bev) };
            cell.set(self.callbacks.base.env.table.insert(|_| Ok(object))?);
        }
        Ok(cell.get())
    }
}

/// Options as `raw.d.ts` numbers them.
pub(crate) fn bev_options(bits: i32) -> Result<BufferEventOptions> {
    let options = u32::try_from(bits).ok().and_then(BufferEventOptions::from_bits);
    options.ok_or(Failure::Range("these are no bufferevent options"))
}

/// One or both of `READ` and `WRITE`.
pub(crate) fn directions(bits: i32) -> Result<EventFlags> {
    event_flags(bits)
}

/// Connects to `host:port` or, with port absent, to a Unix socket's path; BEV_EVENT with CONNECTED or
/// ERROR comes later. `host` is a numeric address.
#[napi(catch_unwind)]
pub fn bev_connect(
    env: napi::Env,
    bev: Handle,
    host: String,
    port: Option<u32>,
) -> napi::Result<()> {
    cold(&env, |env| {
        let (bev, address) = (env.bev(bev)?, address::parse(&host, port)?);
        bev.bev.connect(&address).map_err(|error| Failure::from(error).at(&address))?;
        bev.touch();
        Ok(())
    })
}

/// Looks a host up and connects to the first of its addresses that answers; BEV_EVENT comes later.
#[napi(catch_unwind)]
pub fn bev_connect_hostname(
    env: napi::Env,
    bev: Handle,
    host: String,
    port: u32,
    hints: NativeAddressHints,
) -> napi::Result<()> {
    cold(&env, |env| {
        let bev = env.bev(bev)?;
        let port =
            u16::try_from(port).map_err(|_| Failure::Range("a port is a number to 65535"))?;
        bev.bev.connect_hostname(&host, port, &hints.hints())?;
        bev.touch();
        Ok(())
    })
}

/// Why the last lookup found no address: a code and a message.
#[napi(catch_unwind)]
pub fn bev_dns_error(env: napi::Env, bev: Handle) -> napi::Result<Option<Vec<String>>> {
    cold(&env, |env| {
        let error = env.bev(bev)?.bev.dns_error();
        Ok(error.map(|error| vec![error_name(&error).to_owned(), error.to_string()]))
    })
}

/// Goes on over another connected socket, or with -1 over none; gives the old one back, or -1.
#[napi(catch_unwind)]
pub fn bev_replace_fd(env: napi::Env, bev: Handle, fd: f64) -> napi::Result<f64> {
    cold(&env, |env| {
        let bev = env.bev(bev)?;
        let fd = if fd < 0.0 { None } else { Some(owned_fd(fd)?) };
        let old = bev.bev.replace_fd(fd)?;
        bev.touch();
        Ok(old.map_or(-1.0, raw_fd))
    })
}

/// Two bufferevents of which each reads what the other writes; options as those of `bevNew`.
#[napi(catch_unwind)]
pub fn bev_pair(env: napi::Env, base: Handle, options: i32) -> napi::Result<Vec<Handle>> {
    cold(&env, |env| {
        let base = env.base(base)?;
        let (one, other) = BufferEvent::pair(&base.base, bev_options(options)?)?;
        let one = JsBev::insert(base.clone(), None, |_| Ok(one))?;
        let other = JsBev::insert(base.clone(), None, |_| Ok(other))?;
        base.touch();
        Ok(vec![one, other])
    })
}

/// Why a bufferevent failed when it was not for the operating system: a code and a message.
#[napi(catch_unwind)]
pub fn bev_failure(env: napi::Env, bev: Handle) -> napi::Result<Option<Vec<String>>> {
    cold(&env, |env| {
        let bev = env.bev(bev)?;
        let failure = bev.callbacks.failure.take();
        Ok(failure.map(|error| {
            if let Some(tls) = TlsError::of(&error) {
                return vec![tls_code(tls), tls.message().to_owned()];
            }
            let unknown = bev.bev.dns_error().filter(|_| error.kind() == io::ErrorKind::NotFound);
            let code = unknown.map_or_else(|| failure_code(&error), |error| error_name(&error));
            vec![code.to_owned(), error.to_string()]
        }))
    })
}

fn failure_code(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::BrokenPipe => "EPIPE",
        io::ErrorKind::NotConnected => "ENOTCONN",
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => "ERR_EVNODE_FILTER",
        _ => "ERR_EVNODE_IO",
    }
}

/// [low, high] marks for reading (2) or writing (4).
#[napi(catch_unwind)]
pub fn bev_watermark(env: napi::Env, bev: Handle, what: i32) -> napi::Result<Vec<f64>> {
    cold(&env, |env| {
        let (low, high) = env.bev(bev)?.bev.watermark(directions(what)?);
        Ok(vec![low as f64, high as f64])
    })
}

/// Passes on what is queued; mode 0 normal, 1 flush, 2 finished (then ends the sending side).
#[napi(catch_unwind)]
pub fn bev_flush(env: napi::Env, bev: Handle, what: i32, mode: i32) -> napi::Result<()> {
    cold(&env, |env| {
        let bev = env.bev(bev)?;
        let mode = match mode {
            0 => FlushMode::Normal,
            1 => FlushMode::Flush,
            2 => FlushMode::Finished,
            _ => return Err(Failure::Range("a flush mode is 0, 1 or 2")),
        };
        bev.bev.flush(directions(what)?, mode)?;
        bev.touch();
        Ok(())
    })
}

/// Delivers READABLE (2) and/or WRITABLE (4) from the loop.
#[napi(catch_unwind)]
pub fn bev_trigger(env: napi::Env, bev: Handle, what: i32) -> napi::Result<()> {
    cold(&env, |env| {
        let bev = env.bev(bev)?;
        bev.bev.trigger(directions(what)?)?;
        bev.touch();
        Ok(())
    })
}

/// Delivers BEV_EVENT with these flags from the loop.
#[napi(catch_unwind)]
pub fn bev_trigger_event(env: napi::Env, bev: Handle, what: i32) -> napi::Result<()> {
    cold(&env, |env| {
        let bev = env.bev(bev)?;
        let flags = u16::try_from(what).ok().and_then(BufferEventFlags::from_bits);
        bev.bev.trigger_event(flags.ok_or(Failure::Range("these are no BufferEventFlags"))?)?;
        bev.touch();
        Ok(())
    })
}

/// Sets the priority of its callbacks.
#[napi(catch_unwind)]
pub fn bev_set_priority(env: napi::Env, bev: Handle, priority: u32) -> napi::Result<()> {
    cold(&env, |env| Ok(env.bev(bev)?.bev.set_priority(priority as usize)?))
}

/// The priority.
#[napi(catch_unwind)]
pub fn bev_priority(env: napi::Env, bev: Handle) -> napi::Result<u32> {
    cold(&env, |env| Ok(env.bev(bev)?.bev.priority() as u32))
}

/// Its descriptor, or -1.
#[napi(catch_unwind)]
pub fn bev_fd(env: napi::Env, bev: Handle) -> napi::Result<f64> {
    cold(&env, |env| Ok(env.bev(bev)?.bev.fd().map_or(-1.0, |fd| fd as f64)))
}

/// The address of our end.
#[napi(catch_unwind)]
pub fn bev_local_address(env: napi::Env, bev: Handle) -> napi::Result<Option<AddressInfo>> {
    cold(&env, |env| Ok(env.bev(bev)?.bev.local_address().map(AddressInfo::from)))
}

/// The address of the peer.
#[napi(catch_unwind)]
pub fn bev_peer_address(env: napi::Env, bev: Handle) -> napi::Result<Option<AddressInfo>> {
    cold(&env, |env| Ok(env.bev(bev)?.bev.peer_address().map(AddressInfo::from)))
}
