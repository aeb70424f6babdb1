//! Events: what to wait for and what to do then.

use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::backend::RawFd;
use crate::error::{Error, Result};
use crate::log;

use super::debug::descriptor_changed;
use super::slot::SlotState;
use super::state::{State, Timeout};
use super::timeout::nanoseconds;
use super::{EventBase, Inner};

/// No descriptor: what timers and user events have in its place.
#[cfg(not(windows))]
pub const NO_FD: RawFd = -1;
/// No socket: what timers and user events have in its place.
#[cfg(windows)]
pub const NO_FD: RawFd = RawFd::MAX;

bitflags::bitflags! {
    /// What an event waits for, how, and what it became active for (`EV_…`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EventFlags: u16 {
        /// The timeout has passed (`EV_TIMEOUT`). Ignored when an event is made: any event can be
        /// added with a timeout.
        const TIMEOUT = 0x01;
        /// The descriptor can be read (`EV_READ`).
        const READ = 0x02;
        /// The descriptor can be written (`EV_WRITE`).
        const WRITE = 0x04;
        /// The signal came (`EV_SIGNAL`).
        const SIGNAL = 0x08;
        /// Stay pending when the callback runs (`EV_PERSIST`).
        const PERSIST = 0x10;
        /// Report changes of readiness only, where the method can (`EV_ET`).
        const ET = 0x20;
        /// The event is being finalized (`EV_FINALIZE`).
        const FINALIZE = 0x40;
        /// The peer closed its sending side (`EV_CLOSED`).
        const CLOSED = 0x80;
    }
}

impl EventFlags {
    /// All that a descriptor can be watched for.
    pub(super) const IO: Self = Self::READ.union(Self::WRITE).union(Self::CLOSED);
}

/// Names an event of a base, whether it lives still or not; can be sent to other threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId(u64);

impl EventId {
    pub(super) fn new(index: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(index))
    }

    /// No event's name.
    pub(super) const NONE: Self = Self(0);

    pub(super) fn index(self) -> u32 {
        self.0 as u32
    }

    pub(super) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

pub(super) type EventCallback = Box<dyn FnMut(&Event, EventFlags)>;

/// Something to wait for (`struct event`): a descriptor, a signal, a time, or
/// [`active`](Event::active) being called.
///
/// An event is made *initialized*, becomes *pending* by [`add`](Event::add) and *active* when what
/// it waits for happens; then its callback runs. Without [`EventFlags::PERSIST`] it is no longer
/// pending by then. Dropping an `Event` frees it. Its callback may do anything: free or add the
/// event itself or others, or drop the base.
///
/// ```
/// use evcore::{Event, EventBase};
/// use std::time::Duration;
///
/// let base = EventBase::new()?;
/// let timer = Event::timer(&base, |_, fired| println!("{fired:?}"))?;
/// timer.add(Some(Duration::from_millis(1)))?;
/// base.dispatch()?;
/// # Ok::<(), evcore::Error>(())
/// ```
#[derive(Debug)]
pub struct Event {
    base: Weak<Inner>,
    id: EventId,
    /// Whether dropping this frees the event: not so for the one that a callback is given.
    owner: bool,
}

impl Event {
    const INITIALIZED: &'static str = "Event::initialized";

    /// Makes an event that waits for a descriptor (`event_new`), with [`EventFlags::READ`],
    /// [`WRITE`](EventFlags::WRITE) or [`CLOSED`](EventFlags::CLOSED); or for a signal whose number
    /// is in `fd`, with [`EventFlags::SIGNAL`]; or, with [`NO_FD`] and none of these, for a timeout
    /// or a call of [`active`](Event::active).
    ///
    /// Delete the event before you close its descriptor.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for flags that exclude each other or a descriptor that is none,
    /// [`Error::Unsupported`] for edge triggering where the method cannot,
    /// [`Error::Freed`] when the base was freed.
    #[doc(alias = "event_new")]
    #[doc(alias = "event_self_cbarg")]
    pub fn new(
        base: &EventBase,
        fd: RawFd,
        flags: EventFlags,
        callback: impl FnMut(&Event, EventFlags) + 'static,
    ) -> Result<Self> {
        base.inner.insert_event("Event::new", fd, flags, Box::new(callback))
    }

    /// Makes an event that waits for a timeout (`evtimer_new`).
    ///
    /// # Errors
    /// [`Error::Freed`] when the base was freed.
    #[doc(alias = "evtimer_new")]
    pub fn timer(
        base: &EventBase,
        callback: impl FnMut(&Event, EventFlags) + 'static,
    ) -> Result<Self> {
        base.inner.insert_event("Event::timer", NO_FD, EventFlags::empty(), Box::new(callback))
    }

    /// Makes a persistent event that waits for a signal (`evsignal_new`).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a number that is no signal's, [`Error::Freed`] when the base
    /// was freed.
    #[doc(alias = "evsignal_new")]
    pub fn signal(
        base: &EventBase,
        signum: i32,
        callback: impl FnMut(&Event, EventFlags) + 'static,
    ) -> Result<Self> {
        let flags = EventFlags::SIGNAL | EventFlags::PERSIST;
        base.inner.insert_event("Event::signal", signum as RawFd, flags, Box::new(callback))
    }

    /// Makes an event that only [`active`](Event::active) sets off (`evuser_new`).
    ///
    /// # Errors
    /// [`Error::Freed`] when the base was freed.
    #[doc(alias = "evuser_new")]
    pub fn user(
        base: &EventBase,
        callback: impl FnMut(&Event, EventFlags) + 'static,
    ) -> Result<Self> {
        base.inner.insert_event("Event::user", NO_FD, EventFlags::empty(), Box::new(callback))
    }

    pub(super) fn handle(base: Weak<Inner>, id: EventId, owner: bool) -> Self {
        Self { base, id, owner }
    }

    /// Makes a handle that owns nothing name another event of the same base.
    pub(super) fn point_at(&mut self, id: EventId) {
        debug_assert!(!self.owner);
        self.id = id;
    }

    /// Makes the event pending (`event_add`). With a timeout it becomes active at the latest when
    /// that has passed, counted from now; a persistent one is then timed anew. Adding a pending
    /// event without a timeout leaves the timeout that it has.
    ///
    /// # Errors
    /// [`Error::Os`] when the descriptor or signal cannot be watched (`EPERM`: the method cannot
    /// watch regular files; `EBADF`: it is not open), [`Error::InvalidArgument`] when
    /// edge-triggered and level-triggered events meet on one descriptor, [`Error::Freed`].
    #[doc(alias = "event_add")]
    #[doc(alias = "evtimer_add")]
    #[doc(alias = "evsignal_add")]
    pub fn add(&self, timeout: Option<Duration>) -> Result<()> {
        self.add_with("Event::add", |inner, _| {
            // The deadline counts from the call and not from the turn's cached time: a timer must
            // not be early however long the callbacks before it took.
            Ok(timeout.map(|timeout| {
                let interval = nanoseconds(timeout);
                let deadline = inner.clock.now().saturating_add(interval);
                Timeout { deadline, interval: interval.max(1), queue: None }
            }))
        })
    }

    pub(super) fn add_with(
        &self,
        call: &'static str,
        timeout: impl FnOnce(&Inner, &State) -> Result<Option<Timeout>>,
    ) -> Result<()> {
        log::debug(|| format!("{call}: event {}", self.id.index()));
        let inner = self.live(call)?;
        let mut state = inner.state.borrow_mut();
        let Some(index) = state.slots.find(self.id) else {
            drop(state);
            return Err(self.freed(&inner, call));
        };
        let fd = state.slots[index].fd;
        if state.identities.changed(index, fd) {
            drop(state);
            return Err(report(descriptor_changed(call, self.id, fd)));
        }
        if state.slots[index].state.contains(SlotState::FINALIZING) {
            return Err(Error::invalid(call, "the event is finalized; assign it anew first"));
        }
        let timeout = timeout(&inner, &state)?;
        state.add(index, timeout).map_err(|source| match source.kind() {
            std::io::ErrorKind::InvalidInput if source.raw_os_error().is_none() => {
                Error::invalid(call, source.to_string())
            }
            _ => Error::os(call, source),
        })
    }

    /// Makes the event another one: with another descriptor, other flags, another callback
    /// (`event_assign`). It stays where it is in memory, keeps its [`id`](Event::id) and gets the
    /// default priority. May be called in its own callback.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] while it is pending or active (delete it first) and as
    /// [`new`](Event::new), [`Error::Unsupported`], [`Error::Freed`].
    #[doc(alias = "event_assign")]
    #[doc(alias = "evtimer_assign")]
    #[doc(alias = "evsignal_assign")]
    pub fn assign(
        &self,
        fd: RawFd,
        flags: EventFlags,
        callback: impl FnMut(&Event, EventFlags) + 'static,
    ) -> Result<()> {
        let old = self.reassign_with("Event::assign", fd, flags, Some(Box::new(callback)))?;
        drop(old);
        Ok(())
    }

    /// As [`assign`](Event::assign), with the callback that the event has: allocates nothing.
    ///
    /// # Errors
    /// As [`assign`](Event::assign).
    pub fn reassign(&self, fd: RawFd, flags: EventFlags) -> Result<()> {
        self.reassign_with("Event::reassign", fd, flags, None).map(drop)
    }

    fn reassign_with(
        &self,
        call: &'static str,
        fd: RawFd,
        flags: EventFlags,
        callback: Option<EventCallback>,
    ) -> Result<Option<EventCallback>> {
        self.with(call, |state, index| {
            if state.slots[index].state.intersects(SlotState::BUSY) {
                return Err(Error::invalid(
                    call,
                    "the event is pending or active; delete it first",
                ));
            }
            state.check(call, fd, flags)?;
            Ok(state.reassign(index, fd, flags, callback))
        })?
    }

    /// Makes the event neither pending nor active: its callback will not run (`event_del`). Since a
    /// base belongs to one thread, there is never one under way elsewhere to wait for: another
    /// thread [posts](super::BaseHandle::post) the deletion, and waits for the reply or not
    /// (`event_del_block`, `event_del_noblock`).
    ///
    /// # Errors
    /// [`Error::Os`] when the descriptor could not be unwatched, [`Error::InvalidArgument`] when
    /// debug mode finds that it was closed before (it is off the loop all the same in both cases),
    /// [`Error::Freed`].
    #[doc(alias = "event_del")]
    #[doc(alias = "event_del_block")]
    #[doc(alias = "event_del_noblock")]
    pub fn del(&self) -> Result<()> {
        const CALL: &str = "Event::del";
        log::debug(|| format!("{CALL}: event {}", self.id.index()));
        let (changed, outcome) = self.with(CALL, |state, index| {
            let fd = state.slots[index].fd;
            (state.identities.changed(index, fd).then_some(fd), state.del(index))
        })?;
        if let Some(fd) = changed {
            return Err(report(descriptor_changed(CALL, self.id, fd)));
        }
        outcome.map_err(|source| Error::os(CALL, source))
    }

    /// Takes the timeout away and leaves the rest pending (`event_remove_timer`).
    ///
    /// # Errors
    /// [`Error::Freed`].
    #[doc(alias = "event_remove_timer")]
    pub fn remove_timer(&self) -> Result<()> {
        self.with("Event::remove_timer", |state, index| state.remove_timer(index))
    }

    /// Makes the event active, pending or not: its callback runs in this turn, or in the next if it
    /// ran in this one already (`event_active`). Wakes no other thread: see
    /// [`BaseHandle::activate`](super::BaseHandle::activate).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the event is finalized, [`Error::Freed`].
    #[doc(alias = "event_active")]
    pub fn active(&self, fired: EventFlags) -> Result<()> {
        self.active_times(fired, 1)
    }

    /// As [`active`](Event::active); the callback of a signal event runs `calls` times, as though
    /// the signal had come that often (`event_active`'s last argument).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the event is finalized, [`Error::Freed`].
    pub fn active_times(&self, fired: EventFlags, calls: u16) -> Result<()> {
        const CALL: &str = "Event::active";
        self.with(CALL, |state, index| {
            if state.slots[index].state.contains(SlotState::FINALIZING) {
                return Err(Error::invalid(CALL, "the event is finalized; assign it anew first"));
            }
            state.activate(index, fired, calls);
            Ok(())
        })?
    }

    /// Which of `flags` the event is pending or active for (`event_pending`). Empty once it is
    /// freed.
    #[doc(alias = "event_pending")]
    pub fn pending(&self, flags: EventFlags) -> EventFlags {
        self.with("Event::pending", |state, index| {
            let slot = &state.slots[index];
            let mut pending = slot.fired;
            if slot.state.contains(SlotState::WATCHED) {
                pending |= slot.flags & (EventFlags::IO | EventFlags::SIGNAL);
            }
            pending.set(
                EventFlags::TIMEOUT,
                slot.state.contains(SlotState::TIMED) || slot.fired.contains(EventFlags::TIMEOUT),
            );
            pending & flags
        })
        .unwrap_or_default()
    }

    /// How long until the event's timeout, if it has one (`event_pending`'s last argument).
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = self.with("Event::remaining", |state, index| state.deadline(index));
        let deadline = deadline.ok().flatten()?;
        Some(Duration::from_nanos(deadline.saturating_sub(crate::util::time::now_ns())))
    }

    /// Whether the event lives: it was not freed and neither was its base (`event_initialized`).
    #[doc(alias = "event_initialized")]
    pub fn initialized(&self) -> bool {
        self.with(Self::INITIALIZED, |_, _| ()).is_ok()
    }

    /// Gives the event a priority; 0 is the most urgent, half of the number of priorities the
    /// default (`event_priority_set`).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there is no such priority or the event is active,
    /// [`Error::Freed`].
    #[doc(alias = "event_priority_set")]
    pub fn set_priority(&self, priority: usize) -> Result<()> {
        const CALL: &str = "Event::set_priority";
        self.with(CALL, |state, index| {
            let priorities = state.priorities();
            let slot = &mut state.slots[index];
            if priority >= priorities {
                let what = format!("priority {priority} of {priorities}; the least is 0");
                return Err(Error::invalid(CALL, what));
            }
            if slot.state.contains(SlotState::ACTIVE) {
                return Err(Error::invalid(CALL, "the event is active; set it before or after"));
            }
            slot.priority = priority as u8;
            Ok(())
        })?
    }

    /// The event's priority (`event_get_priority`).
    #[doc(alias = "event_get_priority")]
    pub fn priority(&self) -> usize {
        self.with("Event::priority", |state, index| usize::from(state.slots[index].priority))
            .unwrap_or(0)
    }

    /// The descriptor, or the number of the signal (`event_get_fd`, `event_get_signal`).
    #[doc(alias = "event_get_fd")]
    #[doc(alias = "event_get_signal")]
    pub fn fd(&self) -> RawFd {
        self.with("Event::fd", |state, index| state.slots[index].fd).unwrap_or(NO_FD)
    }

    /// What the event was made with (`event_get_events`).
    #[doc(alias = "event_get_events")]
    pub fn flags(&self) -> EventFlags {
        self.with("Event::flags", |state, index| state.slots[index].flags).unwrap_or_default()
    }

    /// The base, unless it is gone (`event_get_base`).
    #[doc(alias = "event_get_base")]
    pub fn base(&self) -> Option<EventBase> {
        self.base.upgrade().map(EventBase::from_inner)
    }

    /// Names the event for [`BaseHandle::activate`](super::BaseHandle::activate).
    pub fn id(&self) -> EventId {
        self.id
    }

    /// Deletes the event and frees it, as dropping the owner does (`event_free`). For callbacks that
    /// free the event they are called for; afterwards every call on it errs with [`Error::Freed`].
    #[doc(alias = "event_free")]
    pub fn free(&self) {
        let Some(inner) = self.base.upgrade() else { return };
        let callback = {
            let Ok(mut state) = inner.state.try_borrow_mut() else { return };
            state.slots.find(self.id).and_then(|index| state.free_or_orphan(index))
        };
        drop(callback);
    }

    /// Leaves the event to itself: dropping this handle no longer frees it.
    pub(super) fn disown(mut self) {
        self.owner = false;
    }

    fn live(&self, call: &'static str) -> Result<Rc<Inner>> {
        self.base.upgrade().filter(|inner| !inner.freed.get()).ok_or(Error::Freed { call })
    }

    pub(super) fn with<R>(
        &self,
        call: &'static str,
        run: impl FnOnce(&mut State, u32) -> R,
    ) -> Result<R> {
        let inner = self.live(call)?;
        let mut state = inner.state.borrow_mut();
        match state.slots.find(self.id) {
            Some(index) => Ok(run(&mut state, index)),
            None => {
                drop(state);
                Err(self.freed(&inner, call))
            }
        }
    }

    #[cold]
    fn freed(&self, inner: &Inner, call: &'static str) -> Error {
        let error = Error::Freed { call };
        // To ask whether an event lives is no misuse.
        if inner.config.debug_mode && call != Self::INITIALIZED {
            return report(error);
        }
        error
    }
}

/// Tells the log and the fatal callback of misuse; the call errs all the same.
#[cold]
fn report(error: Error) -> Error {
    log::fatal(&error.to_string());
    error
}

impl Drop for Event {
    fn drop(&mut self) {
        if self.owner {
            self.free();
        }
    }
}
