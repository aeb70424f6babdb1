//! A base in libuv's loop.
//!
//! The prepare phase tells libuv what is watched and until when; its poll phase collects what is
//! ready, from a poll handle per descriptor or from one on the base's own poll descriptor; and the
//! check phase of the same iteration takes one turn of the base. While events are active an idle
//! handle keeps libuv from waiting. The prepare handle is also what keeps the process alive.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::uv_loop::{self, HandleType, RawHandle, Uv, UvHandle, READABLE};
use super::uv_signal::UvSignals;
use super::uv_watch::Watchers;
use super::Host;
use crate::base::Base;
use crate::error::{Failure, Result};

/// The handles that run a base in libuv's loop.
pub(crate) struct UvHost {
    base: Weak<Base>,
    uv: &'static Uv,
    watchers: Option<Rc<Watchers>>,
    /// The base's poll descriptor is readable, or a turn was asked for.
    due: Cell<bool>,
    is_idling: Cell<bool>,
    /// When the timer ends, in the loop's milliseconds; 0 when it does not run.
    timer_end: Cell<u64>,
    handles: RefCell<Option<Handles>>,
    event_loop: *mut napi::sys::uv_loop_s,
}

/// What the handles know of their host, which closes them before it goes.
type HostData = *const UvHost;

struct Handles {
    prepare: UvHandle<HostData>,
    check: UvHandle<HostData>,
    idle: UvHandle<HostData>,
    timer: UvHandle<HostData>,
    poll: Option<UvHandle<HostData>>,
}

/// Has libuv catch the signals of a base.
pub(super) fn catch_signals(base: &Base) -> Result<()> {
    let (uv, event_loop) = (Uv::get()?, Uv::event_loop(&base.env)?);
    Ok(base.base.set_signal_source(Box::new(UvSignals::new(&base.env, uv, event_loop)))?)
}

impl UvHost {
    pub(super) fn attach(base: &Rc<Base>, watchers: Option<Rc<Watchers>>) -> Result<Rc<Self>> {
        let uv = Uv::get()?;
        let event_loop = Uv::event_loop(&base.env)?;
        let host = Rc::new(Self {
            base: Rc::downgrade(base),
            uv,
            watchers,
            due: Cell::new(false),
            is_idling: Cell::new(false),
            timer_end: Cell::new(0),
            handles: RefCell::default(),
            event_loop,
        });
        let handles = host.open(base).map_err(|error| Failure::Os {
            call: "uv_poll_start",
            error,
            address: None,
        })?;
        host.handles.replace(Some(handles));
        catch_signals(base)?;
        Ok(host)
    }

    fn open(self: &Rc<Self>, base: &Base) -> io::Result<Handles> {
        let (uv, event_loop) = (self.uv, self.event_loop);
        let host = Rc::as_ptr(self);
        let open = |kind, init: &dyn Fn(RawHandle) -> c_int| {
            UvHandle::new(&base.env, uv, kind, host, init)
        };
        // SAFETY: in each of these, loop and handle are live.
        let handles = unsafe {
            Handles {
                prepare: open(HandleType::Prepare, &|raw| (uv.uv_prepare_init)(event_loop, raw))?,
                check: open(HandleType::Check, &|raw| (uv.uv_check_init)(event_loop, raw))?,
                idle: open(HandleType::Idle, &|raw| (uv.uv_idle_init)(event_loop, raw))?,
                timer: open(HandleType::Timer, &|raw| (uv.uv_timer_init)(event_loop, raw))?,
                poll: match (&self.watchers, base.base.poll_fd()) {
                    (Some(_), _) => None,
                    (None, Some(fd)) => Some(open(HandleType::Poll, &|raw| {
                        (uv.uv_poll_init_socket)(event_loop, raw, fd)
                    })?),
                    (None, None) => {
                        return Err(io::Error::new(
                            io::ErrorKind::Unsupported,
                            "this method cannot be nested in libuv's loop; use attach: 'none'",
                        ))
                    }
                },
            }
        };
        // SAFETY: the handles are initialised.
        unsafe {
            uv_loop::check(uv, (uv.uv_prepare_start)(handles.prepare.raw(), prepare))?;
            uv_loop::check(uv, (uv.uv_check_start)(handles.check.raw(), check))?;
            if let Some(poll) = &handles.poll {
                uv_loop::check(uv, (uv.uv_poll_start)(poll.raw(), READABLE, polled))?;
            }
        }
        Ok(handles)
    }

    /// Before libuv waits: what for, and for how long at most?
    fn prepare(&self) {
        let Some(base) = self.base.upgrade() else { return };
        base.update_keep_alive();
        if let Some(watchers) = &self.watchers {
            watchers.flush();
        }
        let timeout = if self.is_due() || base.end_is_due() {
            Some(Duration::ZERO)
        } else {
            base.base.next_timeout()
        };
        self.idle(timeout == Some(Duration::ZERO));
        match timeout {
            Some(timeout) if !timeout.is_zero() => self.arm(timeout),
            _ => self.disarm(),
        }
    }

    fn is_due(&self) -> bool {
        self.due.get() || self.watchers.as_ref().is_some_and(|watchers| watchers.is_ready())
    }

    fn idle(&self, on: bool) {
        if self.is_idling.replace(on) == on {
            return;
        }
        if let Some(handles) = &*self.handles.borrow() {
            // SAFETY: the handle is initialised and not closed.
            unsafe {
                if on {
                    (self.uv.uv_idle_start)(handles.idle.raw(), ignore);
                } else {
                    (self.uv.uv_idle_stop)(handles.idle.raw());
                }
            }
        }
    }

    fn arm(&self, timeout: Duration) {
        // libuv's time is in milliseconds and may lag behind; being early costs a second wait.
        let millis = u64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX / 4);
        let millis = millis.min(u64::MAX / 4);
        // SAFETY: the loop is live while its handles are.
        let end = unsafe { (self.uv.uv_now)(self.event_loop) }.saturating_add(millis);
        if self.timer_end.replace(end) == end {
            return;
        }
        if let Some(handles) = &*self.handles.borrow() {
            // SAFETY: the handle is initialised and not closed.
            unsafe { (self.uv.uv_timer_start)(handles.timer.raw(), expired, millis, 0) };
        }
    }

    fn disarm(&self) {
        if self.timer_end.replace(0) == 0 {
            return;
        }
        if let Some(handles) = &*self.handles.borrow() {
            // SAFETY: the handle is initialised and not closed.
            unsafe { (self.uv.uv_timer_stop)(handles.timer.raw()) };
        }
    }

    /// After libuv has waited: is there anything to do?
    fn check(&self) {
        let Some(base) = self.base.upgrade() else { return };
        if self.is_due() || base.end_is_due() || base.base.next_timeout() == Some(Duration::ZERO) {
            self.due.set(false);
            base.turn();
        }
    }
}

impl Host for UvHost {
    fn name(&self) -> &'static str {
        if self.watchers.is_some() {
            "uv"
        } else {
            "nested"
        }
    }

    fn keep_alive(&self, on: bool) {
        if let Some(handles) = &*self.handles.borrow() {
            let change = if on { self.uv.uv_ref } else { self.uv.uv_unref };
            // SAFETY: the handle is initialised and not closed.
            unsafe { change(handles.prepare.raw()) };
        }
    }

    fn kick(&self) {
        self.due.set(true);
    }

    fn close(&self) {
        let handles = self.handles.take();
        drop(handles);
    }

    fn is_backend(&self) -> bool {
        self.watchers.is_some()
    }
}

/// Holds the host of a handle for the time of its callback, in which the base may be freed.
///
/// # Safety
/// `handle` is one of a [`UvHost`]'s that is not closed.
unsafe fn host_of(handle: RawHandle) -> Rc<UvHost> {
    // SAFETY: the host closes its handles before it goes.
    unsafe {
        let host = *uv_loop::data_of::<HostData>(handle);
        Rc::increment_strong_count(host);
        Rc::from_raw(host)
    }
}

// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn prepare(handle: RawHandle) {
    // SAFETY: libuv calls back for handles that are not closed.
    unsafe { host_of(handle) }.prepare();
}

// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn check(handle: RawHandle) {
    // SAFETY: libuv calls back for handles that are not closed.
    unsafe { host_of(handle) }.check();
}

// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn polled(handle: RawHandle, _status: c_int, _events: c_int) {
    // SAFETY: libuv calls back for handles that are not closed.
    unsafe { host_of(handle) }.due.set(true);
}

// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn expired(handle: RawHandle) {
    // The check phase finds out what is due.
    // SAFETY: libuv calls back for handles that are not closed.
    unsafe { host_of(handle) }.timer_end.set(0);
}

// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn ignore(_handle: RawHandle) {}
