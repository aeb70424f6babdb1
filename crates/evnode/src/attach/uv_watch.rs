//! libuv's poll handles as evcore's backend.
//!
//! libuv polls; what its callbacks collect is handed over by [`Backend::wait`], which never waits. A
//! descriptor's handle is made when it is added and closed when it is removed, since libuv takes a
//! handle for a new descriptor only after a close, and another owner may reuse the number at once.
//! Changes of interest are put off to the loop's next prepare phase: libuv makes two system calls of
//! each, and most are taken back within the turn.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evcore::backend::{Backend, Features, Interest, RawFd, Ready, Wake};
use napi::sys;

use super::uv_loop::{self, HandleType, RawHandle, Uv, UvHandle, DISCONNECT, READABLE, WRITABLE};
use crate::env::EnvRef;
use crate::error::{Failure, Result};

/// The poll handles of one base.
pub(crate) struct Watchers {
    env: EnvRef,
    uv: &'static Uv,
    event_loop: *mut sys::uv_loop_s,
    watched: RefCell<FdMap>,
    /// Descriptors whose interest libuv was not told of yet.
    dirty: RefCell<Vec<RawFd>>,
    /// What the poll callbacks of this turn found.
    collected: RefCell<Vec<Ready>>,
    /// Another thread wants a turn.
    woken: Cell<bool>,
}

/// What a poll handle knows.
struct Watcher {
    watchers: *const Watchers,
    fd: RawFd,
    interest: Cell<Interest>,
    is_dirty: Cell<bool>,
}

/// The poll handle of each watched descriptor.
#[derive(Default)]
struct FdMap {
    #[cfg(unix)]
    handles: Vec<Option<UvHandle<Watcher>>>,
    #[cfg(windows)]
    handles: std::collections::HashMap<RawFd, UvHandle<Watcher>>,
}

#[cfg(unix)]
impl FdMap {
    fn get(&self, fd: RawFd) -> Option<&UvHandle<Watcher>> {
        self.handles.get(fd as usize)?.as_ref()
    }

    /// `fd` is open, which bounds its number.
    fn insert(&mut self, fd: RawFd, handle: UvHandle<Watcher>) {
        let index = fd as usize;
        if self.handles.len() <= index {
            self.handles.resize_with(index + 1, || None);
        }
        self.handles[index] = Some(handle);
    }

    fn remove(&mut self, fd: RawFd) -> Option<UvHandle<Watcher>> {
        self.handles.get_mut(fd as usize)?.take()
    }
}

#[cfg(windows)]
impl FdMap {
    fn get(&self, fd: RawFd) -> Option<&UvHandle<Watcher>> {
        self.handles.get(&fd)
    }

    fn insert(&mut self, fd: RawFd, handle: UvHandle<Watcher>) {
        self.handles.insert(fd, handle);
    }

    fn remove(&mut self, fd: RawFd) -> Option<UvHandle<Watcher>> {
        self.handles.remove(&fd)
    }
}

impl Watchers {
    pub(super) fn new(env: &EnvRef) -> Result<Rc<Self>> {
        Ok(Rc::new(Self {
            env: env.clone(),
            uv: Uv::get()?,
            event_loop: Uv::event_loop(env)?,
            watched: RefCell::default(),
            dirty: RefCell::default(),
            collected: RefCell::default(),
            woken: Cell::new(false),
        }))
    }

    /// Whether a turn has something to do: a descriptor is ready or another thread wants one.
    pub(super) fn is_ready(&self) -> bool {
        self.woken.get() || !self.collected.borrow().is_empty()
    }

    /// Tells libuv what is watched for now. For its prepare phase.
    pub(super) fn flush(&self) {
        if self.dirty.borrow().is_empty() {
            return;
        }
        let watched = self.watched.borrow();
        for fd in self.dirty.borrow_mut().drain(..) {
            let Some(handle) = watched.get(fd) else { continue };
            let watcher = handle.data();
            if !watcher.is_dirty.replace(false) {
                continue;
            }
            let mut events = 0;
            for (interest, event) in [
                (Interest::READ, READABLE),
                (Interest::WRITE, WRITABLE),
                (Interest::CLOSED, DISCONNECT),
            ] {
                if watcher.interest.get().contains(interest) {
                    events |= event;
                }
            }
            // SAFETY: the handle is initialised and not closed.
            let result = unsafe { (self.uv.uv_poll_start)(handle.raw(), events, polled) };
            if uv_loop::check(self.uv, result).is_err() {
                // The descriptor is no longer what it was when it was added; its owner finds out.
                self.collected.borrow_mut().push(Ready { fd, what: HANG_UP });
            }
        }
    }

    fn make_dirty(&self, watcher: &Watcher) {
        if !watcher.is_dirty.replace(true) {
            self.dirty.borrow_mut().push(watcher.fd);
        }
    }

    fn add(&self, fd: RawFd, interest: Interest) -> io::Result<()> {
        let watcher = Watcher {
            watchers: self,
            fd,
            interest: Cell::new(interest),
            is_dirty: Cell::new(false),
        };
        // SAFETY: loop and handle are live, and the descriptor is checked by libuv.
        let init = |raw| unsafe { (self.uv.uv_poll_init_socket)(self.event_loop, raw, fd) };
        let handle = UvHandle::new(&self.env, self.uv, HandleType::Poll, watcher, init)?;
        self.make_dirty(handle.data());
        self.watched.borrow_mut().insert(fd, handle);
        Ok(())
    }

    fn remove(&self, fd: RawFd) {
        drop(self.watched.borrow_mut().remove(fd));
        let mut collected = self.collected.borrow_mut();
        if !collected.is_empty() {
            collected.retain(|ready| ready.fd != fd);
        }
    }
}

/// What a hang-up or an error is reported as.
const HANG_UP: Interest = Interest::READ.union(Interest::WRITE).union(Interest::CLOSED);

// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn polled(handle: RawHandle, status: c_int, events: c_int) {
    // SAFETY: libuv calls back for handles that are not closed.
    let watcher = unsafe { uv_loop::data_of::<Watcher>(handle) };
    // SAFETY: poll handles are closed before the map that they are in goes.
    let watchers = unsafe { &*watcher.watchers };
    let what = if status < 0 {
        // libuv has stopped the handle; as long as the descriptor is watched it is started again.
        watchers.make_dirty(watcher);
        HANG_UP
    } else {
        let mut what = Interest::empty();
        what.set(Interest::READ, events & READABLE != 0);
        what.set(Interest::WRITE, events & WRITABLE != 0);
        what.set(Interest::CLOSED, events & DISCONNECT != 0);
        what
    };
    watchers.collected.borrow_mut().push(Ready { fd: watcher.fd, what });
}

/// The `uv` method: libuv's loop as evcore's backend.
pub(crate) struct UvBackend {
    watchers: Rc<Watchers>,
    waker: Arc<UvWake>,
}

impl UvBackend {
    pub(super) fn new(watchers: &Rc<Watchers>) -> Result<Self> {
        let waker = UvWake::new(watchers).map_err(|error| Failure::Os {
            call: "uv_async_init",
            error,
            address: None,
        })?;
        Ok(Self { watchers: watchers.clone(), waker })
    }
}

impl Drop for UvBackend {
    fn drop(&mut self) {
        self.waker.close();
        let watched = std::mem::take(&mut *self.watchers.watched.borrow_mut());
        drop(watched);
        self.watchers.collected.borrow_mut().clear();
    }
}

impl Backend for UvBackend {
    fn name(&self) -> &'static str {
        "uv"
    }

    fn features(&self) -> Features {
        if cfg!(windows) {
            Features::empty()
        } else {
            Features::O1 | Features::FDS | Features::EARLY_CLOSE
        }
    }

    fn add(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.watchers.add(fd, interest)
    }

    fn modify(&mut self, fd: RawFd, _old: Interest, interest: Interest) -> io::Result<()> {
        let watched = self.watchers.watched.borrow();
        if let Some(watcher) = watched.get(fd).map(UvHandle::data) {
            watcher.interest.set(interest);
            self.watchers.make_dirty(watcher);
            return Ok(());
        }
        drop(watched);
        self.watchers.add(fd, interest)
    }

    fn remove(&mut self, fd: RawFd, _old: Interest) -> io::Result<()> {
        self.watchers.remove(fd);
        Ok(())
    }

    fn wait(&mut self, _timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        self.watchers.woken.set(false);
        std::mem::swap(ready, &mut *self.watchers.collected.borrow_mut());
        Ok(())
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.waker.clone()
    }
}

/// Ends libuv's wait from another thread.
struct UvWake {
    uv: &'static Uv,
    /// `None` once closed. The lock keeps the loop from going while another thread wakes it.
    handle: Mutex<Option<AsyncHandle>>,
}

struct AsyncHandle(UvHandle<*const Watchers>);

// SAFETY: of the handle, other threads use uv_async_send only, which is made for that, and only
// under the lock under which the loop's thread closes it.
unsafe impl Send for AsyncHandle {}

impl UvWake {
    fn new(watchers: &Rc<Watchers>) -> io::Result<Arc<Self>> {
        // SAFETY: loop and handle are live.
        let init =
            |raw| unsafe { (watchers.uv.uv_async_init)(watchers.event_loop, raw, Some(woken)) };
        let owner = Rc::as_ptr(watchers);
        let handle = UvHandle::new(&watchers.env, watchers.uv, HandleType::Async, owner, init)?;
        Ok(Arc::new(Self { uv: watchers.uv, handle: Mutex::new(Some(AsyncHandle(handle))) }))
    }

    fn close(&self) {
        drop(self.handle.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Wake for UvWake {
    fn wake(&self) -> io::Result<()> {
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(AsyncHandle(handle)) = &*handle else { return Ok(()) };
        // SAFETY: the handle is initialised, and not closed while the lock is held.
        uv_loop::check(self.uv, unsafe { (self.uv.uv_async_send)(handle.raw()) })
    }
}

// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn woken(handle: RawHandle) {
    // SAFETY: the backend keeps the map of watchers until it has closed the handle.
    let watchers = unsafe { &**uv_loop::data_of::<*const Watchers>(handle) };
    watchers.woken.set(true);
}
