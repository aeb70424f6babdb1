//! The loop: an [`EventBase`] and the [`Event`]s that it waits for.
//!
//! A base belongs to one thread. What other threads need of it goes through a [`BaseHandle`].
//! Callbacks are closures and may do anything, from freeing their own event to dropping the base:
//! none of the base's own data is borrowed while one runs, and events are reached by number and
//! generation, so that one freed meanwhile gives an error and never another event's data.
//!
//! One turn of the loop waits once, in one system call; makes the events active whose descriptors
//! are ready, whose signals came or whose time is over; and runs the callbacks of the most urgent
//! priority that has any. An event that becomes active again in the turn in which it ran waits for
//! the next, so that no callback can keep the loop from looking at the descriptors.

mod clock;
pub mod compat;
mod config;
mod debug;
mod event;
mod finalize;
mod fork;
mod handle;
mod inspect;
mod iomap;
mod mailbox;
mod metrics;
mod no_backend;
mod queue;
mod run;
mod signal;
mod slot;
mod state;
mod timeout;
mod timer;
mod watch;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use config::{EventConfig, MAX_PRIORITIES};
pub use event::{Event, EventFlags, EventId, NO_FD};
pub use handle::BaseHandle;
pub use inspect::{CountKinds, LoopHold};
pub use metrics::{Histogram, Metrics, SlowCallback, Turn};
pub use run::{LoopExit, LoopFlags};
pub use signal::{SignalSink, SignalSource};
pub use timeout::CommonTimeout;
pub use watch::Watcher;

use crate::backend::{self, Backend, Features, RawFd, Ready};
use crate::error::{Error, Result};
use clock::Clock;
use config::open_backend;
use event::EventCallback;
use handle::Post;
use mailbox::Mailbox;
use metrics::{SlowHook, TurnHook};
use run::Control;
use slot::Count;
use state::State;
use watch::Watchers;

/// A loop and the events on it (`struct event_base`). A clone is another handle on the same loop.
///
/// Dropping the last handle frees the base. An event's callback that holds a handle on its own base
/// keeps it alive until [`free`](EventBase::free) or the event's end; give it a [`WeakEventBase`] instead.
#[doc(alias = "event_base")]
#[derive(Clone)]
pub struct EventBase {
    inner: Rc<Inner>,
}

/// A handle that does not keep its base alive.
#[derive(Clone, Debug)]
pub struct WeakEventBase {
    inner: Weak<Inner>,
}

impl WeakEventBase {
    /// The base, unless it is gone.
    pub fn upgrade(&self) -> Option<EventBase> {
        self.inner.upgrade().filter(|inner| !inner.freed.get()).map(EventBase::from_inner)
    }

    /// Whether the base is gone.
    #[cfg(any(feature = "bufferevent", feature = "listener"))]
    pub(crate) fn is_freed(&self) -> bool {
        self.inner.upgrade().is_none_or(|inner| inner.freed.get())
    }

    /// Whether both are handles on the same base.
    #[cfg(feature = "bufferevent")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.inner, &other.inner)
    }

    /// The turn's time in nanoseconds of the monotonic clock.
    #[cfg(feature = "bufferevent")]
    pub(crate) fn now(&self) -> u64 {
        self.inner.upgrade().map_or(0, |inner| inner.now())
    }
}

pub(crate) struct Inner {
    state: RefCell<State>,
    config: EventConfig,
    mailbox: Arc<Mailbox<Post>>,
    control: Control,
    watchers: Watchers,
    /// What keeps the loop alive with no event of its own.
    virtuals: Cell<Count>,
    /// The event whose callback runs.
    running: Cell<EventId>,
    clock: Clock,
    /// How many nanoseconds a callback may take before the hook hears of it.
    slow_limit: Cell<u64>,
    slow_hook: RefCell<Option<SlowHook>>,
    turn_hook: RefCell<Option<TurnHook>>,
    /// What the last wait found; kept for its memory.
    ready: RefCell<Vec<Ready>>,
    /// The turn's time in nanoseconds; 0 until somebody asks.
    now: Cell<u64>,
    wall: Cell<Option<SystemTime>>,
    freed: Cell<bool>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBase").field("freed", &self.freed.get()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for EventBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl EventBase {
    /// Makes a base with the best method that the platform has (`event_base_new`).
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel has no room for it, [`Error::Unsupported`] when the
    /// environment forbids every method.
    #[doc(alias = "event_base_new")]
    pub fn new() -> Result<Self> {
        Self::with_config(&EventConfig::new())
    }

    /// Makes a base as `config` asks (`event_base_new_with_config`).
    ///
    /// # Errors
    /// [`Error::Unsupported`] when no method meets the configuration, [`Error::InvalidArgument`]
    /// for a number of priorities that cannot be, [`Error::Os`].
    #[doc(alias = "event_base_new_with_config")]
    pub fn with_config(config: &EventConfig) -> Result<Self> {
        let backend = open_backend("EventBase::with_config", config)?;
        Self::with_backend(config, backend)
    }

    /// Makes a base on a backend of the caller's, for hosts that have a loop of their own.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a number of priorities that cannot be.
    pub fn with_backend(config: &EventConfig, backend: Box<dyn Backend>) -> Result<Self> {
        config::check_priorities("EventBase::with_backend", config.priorities)?;
        let mailbox = Arc::new(Mailbox::new(backend.waker()));
        let inner = Inner {
            state: RefCell::new(State::new(config, backend)),
            config: config.clone(),
            mailbox,
            control: Control::default(),
            watchers: Watchers::default(),
            virtuals: Cell::default(),
            running: Cell::new(EventId::NONE),
            clock: Clock::new(config.precise_timer),
            slow_limit: Cell::new(u64::MAX),
            slow_hook: RefCell::default(),
            turn_hook: RefCell::default(),
            ready: RefCell::default(),
            now: Cell::new(0),
            wall: Cell::new(None),
            freed: Cell::new(false),
        };
        Ok(Self { inner: Rc::new(inner) })
    }

    /// Opens the backend that `config` asks for, as [`with_config`](EventBase::with_config) does,
    /// for use with [`replace_backend`](EventBase::replace_backend).
    ///
    /// # Errors
    /// As [`with_config`](EventBase::with_config).
    pub fn open_backend(config: &EventConfig) -> Result<Box<dyn Backend>> {
        open_backend("EventBase::open_backend", config)
    }

    /// Puts the loop on another backend, which is told all that is watched, and returns the old one.
    ///
    /// # Errors
    /// [`Error::LoopRunning`] in a callback; [`Error::Os`] when the new backend refuses a
    /// descriptor, in which case the old one stays; [`Error::Freed`].
    pub fn replace_backend(&self, backend: Box<dyn Backend>) -> Result<Box<dyn Backend>> {
        const CALL: &str = "EventBase::replace_backend";
        self.check_alive(CALL)?;
        if self.is_running() {
            return Err(Error::LoopRunning { call: CALL });
        }
        let waker = backend.waker();
        let mut state = self.inner.state.borrow_mut();
        let old = state.replace_backend(backend).map_err(|source| Error::os(CALL, source))?;
        self.inner.mailbox.set_waker(Some(waker));
        Ok(old)
    }

    /// Catches signals through another source from now on, for hosts that have one of their own.
    ///
    /// # Errors
    /// [`Error::Os`] when the source refuses a signal that is watched, [`Error::Freed`].
    pub fn set_signal_source(&self, source: Box<dyn SignalSource>) -> Result<()> {
        const CALL: &str = "EventBase::set_signal_source";
        self.check_alive(CALL)?;
        let mut state = self.inner.state.borrow_mut();
        let waker = state.backend.waker();
        state.signals.rewatch(Some(source), waker).map_err(|source| Error::os(CALL, source))
    }

    /// The methods that this build has for this platform, the preferred one first
    /// (`event_get_supported_methods`).
    #[doc(alias = "event_get_supported_methods")]
    pub fn supported_methods() -> &'static [&'static str] {
        backend::supported_methods()
    }

    /// The method in use (`event_base_get_method`).
    #[doc(alias = "event_base_get_method")]
    pub fn method(&self) -> &'static str {
        self.inner.state.borrow().backend.name()
    }

    /// What the method in use can do (`event_base_get_features`).
    #[doc(alias = "event_base_get_features")]
    pub fn features(&self) -> Features {
        self.inner.state.borrow().backend.features()
    }

    /// A descriptor that is readable when a wait would not block, where the method has one, so that
    /// the base can be nested in another loop.
    pub fn poll_fd(&self) -> Option<RawFd> {
        self.inner.state.borrow().backend.poll_fd()
    }

    /// Sets the number of priorities, 1 to [`MAX_PRIORITIES`]; 0 is the most urgent
    /// (`event_base_priority_init`). Events of priorities that are no more get the last one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for another number or while events are active, [`Error::Freed`].
    #[doc(alias = "event_base_priority_init")]
    pub fn priority_init(&self, priorities: usize) -> Result<()> {
        const CALL: &str = "EventBase::priority_init";
        self.check_alive(CALL)?;
        config::check_priorities(CALL, priorities)?;
        if self.inner.state.borrow_mut().set_priorities(priorities) {
            return Ok(());
        }
        Err(Error::invalid(CALL, "events are active; set the priorities before the loop runs"))
    }

    /// The number of priorities (`event_base_get_npriorities`).
    #[doc(alias = "event_base_get_npriorities")]
    pub fn priorities(&self) -> usize {
        self.inner.state.borrow().priorities()
    }

    /// The event of this name, unless it was freed: another handle on it, which does not free it
    /// when dropped. For calls that are [posted](BaseHandle::post) from other threads.
    pub fn event(&self, id: EventId) -> Option<Event> {
        let event = Event::handle(self.inner.weak(), id, false);
        event.initialized().then_some(event)
    }

    /// How many events are pending or active, and how many [holds](EventBase::hold) there are. With
    /// none of them, the loop has nothing to wait for.
    pub fn event_count(&self) -> usize {
        self.inner.state.borrow().slots.busy + self.inner.virtuals.get().now
    }

    /// Runs `callback` once, when the descriptor is ready as `flags` say or the timeout has passed
    /// (`event_base_once`). It cannot be taken back.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for [`EventFlags::SIGNAL`] or [`EventFlags::PERSIST`], and as
    /// [`Event::new`] and [`Event::add`].
    #[doc(alias = "event_base_once")]
    pub fn once(
        &self,
        fd: RawFd,
        flags: EventFlags,
        timeout: Option<Duration>,
        callback: impl FnOnce(EventFlags) + 'static,
    ) -> Result<()> {
        const CALL: &str = "EventBase::once";
        if flags.intersects(EventFlags::SIGNAL | EventFlags::PERSIST) {
            return Err(Error::invalid(CALL, "neither signals nor persistent events go"));
        }
        let mut callback = Some(callback);
        let run = move |event: &Event, fired| {
            event.free();
            if let Some(callback) = callback.take() {
                callback(fired);
            }
        };
        let event = self.inner.insert_event(CALL, fd, flags, Box::new(run))?;
        let io = flags.intersects(EventFlags::IO);
        event.add(if io { timeout } else { Some(timeout.unwrap_or_default()) })?;
        // The event frees itself when it has run; this handle must not.
        event.disown();
        Ok(())
    }

    /// The time of this turn, read once; outside the loop, the time (`event_base_gettimeofday_cached`).
    #[doc(alias = "event_base_gettimeofday_cached")]
    pub fn cached_time(&self) -> SystemTime {
        let cached = self.inner.wall.get().filter(|_| self.is_running());
        let time = cached.unwrap_or_else(SystemTime::now);
        self.inner.wall.set((!self.inner.config.no_cache_time).then_some(time));
        time
    }

    /// Reads the clock anew for the rest of this turn (`event_base_update_cache_time`).
    #[doc(alias = "event_base_update_cache_time")]
    pub fn update_cache_time(&self) {
        self.inner.forget_time();
    }

    /// A handle for other threads.
    pub fn handle(&self) -> BaseHandle {
        BaseHandle::new(self.inner.mailbox.clone())
    }

    /// Frees all events and their callbacks and ends the loop (`event_base_free`); finalizers that
    /// wait run first. Every later call on the base or its events errs with [`Error::Freed`]. May be
    /// called in a callback.
    #[doc(alias = "event_base_free")]
    pub fn free(&self) {
        self.free_with(true);
    }

    fn free_with(&self, finalize: bool) {
        if self.inner.freed.replace(true) {
            return;
        }
        self.inner.mailbox.set_waker(None);
        let (finalizers, others) = self.inner.state.borrow_mut().clear();
        if finalize {
            run_finalizers(self.inner.weak(), finalizers);
        }
        drop(others);
        self.inner.watchers.clear();
        drop(self.inner.slow_hook.take());
        drop(self.inner.turn_hook.take());
    }

    /// Whether [`free`](EventBase::free) was called.
    pub fn is_freed(&self) -> bool {
        self.inner.freed.get()
    }

    /// A handle that does not keep the base alive.
    pub fn downgrade(&self) -> WeakEventBase {
        WeakEventBase { inner: Rc::downgrade(&self.inner) }
    }

    fn from_inner(inner: Rc<Inner>) -> Self {
        Self { inner }
    }

    fn check_alive(&self, call: &'static str) -> Result<()> {
        if self.inner.freed.get() {
            return Err(Error::Freed { call });
        }
        Ok(())
    }
}

impl Inner {
    fn insert_event(
        self: &Rc<Self>,
        call: &'static str,
        fd: RawFd,
        flags: EventFlags,
        callback: EventCallback,
    ) -> Result<Event> {
        if self.freed.get() {
            return Err(Error::Freed { call });
        }
        let mut state = self.state.borrow_mut();
        state.check(call, fd, flags)?;
        let id = state.insert(fd, flags, callback);
        Ok(Event::handle(self.weak(), id, true))
    }

    fn weak(self: &Rc<Self>) -> Weak<Self> {
        Rc::downgrade(self)
    }

    /// The turn's time, read when first asked for.
    fn now(&self) -> u64 {
        let cached = self.now.get();
        if cached != 0 && self.control.running.get() {
            return cached;
        }
        let now = crate::util::time::now_ns();
        if !self.config.no_cache_time {
            self.now.set(now);
        }
        now
    }

    fn forget_time(&self) {
        self.now.set(0);
        self.wall.set(None);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.mailbox.set_waker(None);
        let (finalizers, _) = self.state.get_mut().clear();
        run_finalizers(Weak::new(), finalizers);
    }
}

fn run_finalizers(base: Weak<Inner>, finalizers: Vec<EventCallback>) {
    let event = Event::handle(base, EventId::NONE, false);
    for mut finalizer in finalizers {
        finalizer(&event, EventFlags::FINALIZE);
    }
}
