//! A base on the word of a thread that waits, for runtimes whose loop is not libuv.
//!
//! The thread polls the base's poll descriptor until it is readable or the base's deadline has
//! passed, tells the environment's thread through a weak thread-safe function and stands still until
//! the turn has ended and brought the next deadline. It never touches the base.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use napi::sys;
use rustix::event::{poll, PollFd, PollFlags, Timespec};

use super::Host;
use crate::base::Base;
use crate::error::{Failure, Result};

/// The environment's side.
pub(crate) struct Waiter {
    base: Weak<Base>,
    raw: sys::napi_env,
    shared: Arc<Shared>,
    thread: RefCell<Option<JoinHandle<()>>>,
    /// Null once the function is closed to us.
    function: Cell<sys::napi_threadsafe_function>,
    /// A turn is on its way already.
    kicked: Cell<bool>,
}

/// What both threads know.
struct Shared {
    orders: Mutex<Orders>,
    /// Written to whenever the orders change.
    wake: OwnedFd,
}

#[derive(Clone, Copy, Default)]
struct Orders {
    /// Wait for the base; otherwise only for other orders.
    is_armed: bool,
    deadline: Option<Instant>,
    stop: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Orders> {
        // Nothing that runs under the lock can leave the orders half changed.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, orders: Orders) {
        *self.lock() = orders;
        // The pipe is full only while the thread has not yet looked at earlier orders.
        let _ = rustix::io::write(&self.wake, &[0]);
    }
}

/// A thread-safe function, for the thread.
struct Function(sys::napi_threadsafe_function);

// SAFETY: thread-safe functions are made to be called from any thread; this one counts the thread as
// a holder until it is released.
unsafe impl Send for Function {}

impl Waiter {
    pub(super) fn attach(base: &Rc<Base>) -> Result<Rc<Self>> {
        let os = |call, error: std::io::Error| Failure::Os { call, error, address: None };
        let Some(poll_fd) = base.base.poll_fd() else {
            return Err(Failure::Core(evcore::Error::Unsupported {
                call: "EventBase::new",
                what: "this method has no descriptor to wait for; use attach: 'none'".to_owned(),
            }));
        };
        // SAFETY: the backend keeps the descriptor open; the copy is ours.
        let poll_fd = unsafe { BorrowedFd::borrow_raw(poll_fd) }.try_clone_to_owned();
        let poll_fd = poll_fd.map_err(|error| os("dup", error))?;
        let (orders, wake) = pipe().map_err(|error| os("pipe", error))?;
        let waiter = Rc::new(Self {
            base: Rc::downgrade(base),
            raw: base.env.raw,
            shared: Arc::new(Shared { orders: Mutex::default(), wake }),
            thread: RefCell::default(),
            function: Cell::new(ptr::null_mut()),
            kicked: Cell::new(false),
        });
        waiter.function.set(waiter.clone().create_function()?);
        let (shared, function) = (waiter.shared.clone(), Function(waiter.function.get()));
        let thread = std::thread::Builder::new()
            .name("evnode-waiter".to_owned())
            .spawn(move || wait(&shared, &orders, &poll_fd, function))
            .map_err(|error| os("pthread_create", error))?;
        waiter.thread.replace(Some(thread));
        waiter.kick();
        Ok(waiter)
    }

    fn create_function(self: Rc<Self>) -> Result<sys::napi_threadsafe_function> {
        let raw = self.raw;
        let (mut name, mut function) = (ptr::null_mut(), ptr::null_mut());
        let context = Rc::into_raw(self).cast_mut().cast::<c_void>();
        // SAFETY: the environment is live; the context is a reference that `finalize` gives back.
        // There are two holders, this side and the thread.
        let status = unsafe {
            sys::napi_create_string_latin1(raw, c"evnode".as_ptr(), 6, &mut name);
            sys::napi_create_threadsafe_function(
                raw,
                ptr::null_mut(),
                ptr::null_mut(),
                name,
                0,
                2,
                ptr::null_mut(),
                Some(finalize),
                context,
                Some(called),
                &mut function,
            )
        };
        if status != sys::Status::napi_ok {
            // SAFETY: nobody else took the reference.
            drop(unsafe { Rc::from_raw(context.cast::<Self>().cast_const()) });
            return Err(Failure::internal("no thread-safe function could be made"));
        }
        // SAFETY: function and environment are live. The base alone decides what stays alive.
        unsafe { sys::napi_unref_threadsafe_function(raw, function) };
        Ok(function)
    }

    fn turn(&self) {
        self.kicked.set(false);
        if let Some(base) = self.base.upgrade() {
            base.turn();
        }
    }
}

impl Host for Waiter {
    fn name(&self) -> &'static str {
        "waiter"
    }

    fn keep_alive(&self, on: bool) {
        let function = self.function.get();
        if function.is_null() {
            return;
        }
        // SAFETY: the function is not released yet and we are on the environment's thread.
        unsafe {
            if on {
                sys::napi_ref_threadsafe_function(self.raw, function);
            } else {
                sys::napi_unref_threadsafe_function(self.raw, function);
            }
        }
    }

    fn changed(&self) {
        self.kick();
    }

    fn kick(&self) {
        let function = self.function.get();
        if function.is_null() || self.kicked.replace(true) {
            return;
        }
        // SAFETY: the function is not released yet.
        let status = unsafe {
            sys::napi_call_threadsafe_function(
                function,
                ptr::null_mut(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            )
        };
        if status == sys::Status::napi_closing {
            // The call has released it.
            self.function.set(ptr::null_mut());
        }
    }

    fn turn_ended(&self) {
        let Some(base) = self.base.upgrade() else { return };
        base.update_keep_alive();
        let timeout =
            if base.end_is_due() { Some(Duration::ZERO) } else { base.base.next_timeout() };
        if timeout == Some(Duration::ZERO) {
            self.kick();
            return;
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.shared.order(Orders { is_armed: true, deadline, stop: false });
    }

    fn close(&self) {
        self.shared.order(Orders { stop: true, ..Orders::default() });
        if let Some(thread) = self.thread.take() {
            // Of a thread that panicked nothing is left to clean up.
            let _ = thread.join();
        }
        let function = self.function.replace(ptr::null_mut());
        if !function.is_null() {
            // SAFETY: this side held it until now.
            unsafe {
                sys::napi_release_threadsafe_function(
                    function,
                    sys::ThreadsafeFunctionReleaseMode::abort,
                );
            }
        }
    }
}

/// The thread.
fn wait(shared: &Shared, orders_fd: &OwnedFd, base_fd: &OwnedFd, function: Function) {
    loop {
        let orders = *shared.lock();
        if orders.stop {
            // SAFETY: the thread is a holder until here.
            unsafe {
                sys::napi_release_threadsafe_function(
                    function.0,
                    sys::ThreadsafeFunctionReleaseMode::release,
                );
            }
            return;
        }
        let has_passed = |at: Instant| at.saturating_duration_since(Instant::now()).is_zero();
        let is_ready = poll_once(orders_fd, base_fd, orders);
        let is_over = orders.is_armed && orders.deadline.is_some_and(has_passed);
        if !is_ready && !is_over {
            continue;
        }
        {
            let mut now = shared.lock();
            if now.stop {
                continue;
            }
            now.is_armed = false;
        }
        // SAFETY: the thread is a holder.
        let status = unsafe {
            sys::napi_call_threadsafe_function(
                function.0,
                ptr::null_mut(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            )
        };
        if status == sys::Status::napi_closing {
            // The call has released it.
            return;
        }
    }
}

/// A pipe of which neither end blocks; not every system makes one in a single call.
fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = std::io::pipe()?;
    evcore::util::make_nonblocking(reader.as_fd())?;
    evcore::util::make_nonblocking(writer.as_fd())?;
    Ok((reader.into(), writer.into()))
}

/// Waits for the base, as ordered, and for new orders; says whether the base is ready.
fn poll_once(orders_fd: &OwnedFd, base_fd: &OwnedFd, orders: Orders) -> bool {
    let mut watched = [
        PollFd::from_borrowed_fd(orders_fd.as_fd(), PollFlags::IN),
        PollFd::from_borrowed_fd(base_fd.as_fd(), PollFlags::IN),
    ];
    let count = if orders.is_armed { 2 } else { 1 };
    let timeout = orders.deadline.filter(|_| orders.is_armed).map(|deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1 << 30, tv_nsec: 0 })
    });
    if poll(&mut watched[..count], timeout.as_ref()).is_err() {
        // Interrupted by a signal: look again.
        return false;
    }
    if !watched[0].revents().is_empty() {
        // All orders so far are read at once.
        let _ = rustix::io::read(orders_fd, &mut [0_u8; 64]);
    }
    orders.is_armed && !watched[1].revents().is_empty()
}

// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn called(
    env: sys::napi_env,
    _function: sys::napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    if env.is_null() {
        return;
    }
    let waiter = context.cast::<Waiter>().cast_const();
    // SAFETY: the function's context is a reference that it holds until `finalize`; ours is another,
    // since the base may be freed in the turn.
    let waiter = unsafe {
        Rc::increment_strong_count(waiter);
        Rc::from_raw(waiter)
    };
    waiter.turn();
}

// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn finalize(_env: sys::napi_env, _data: *mut c_void, context: *mut c_void) {
    // SAFETY: this is the reference that the function was given; it is given back once.
    drop(unsafe { Rc::from_raw(context.cast::<Waiter>().cast_const()) });
}
