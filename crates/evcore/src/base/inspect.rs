//! Looking at a loop: counting its events, visiting each, and writing them all down.

use std::fmt::{self, Write};
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::error::{Error, Result};

use super::event::{Event, EventFlags, EventId};
use super::slot::{Slot, SlotState};
use super::{EventBase, Inner};

bitflags::bitflags! {
    /// Which events to count (`EVENT_BASE_COUNT_…`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct CountKinds: u8 {
        /// Events whose callback waits to be run (`EVENT_BASE_COUNT_ACTIVE`).
        const ACTIVE = 1;
        /// What keeps the loop alive with no event of its own: see [`EventBase::hold`]
        /// (`EVENT_BASE_COUNT_VIRTUAL`).
        const VIRTUAL = 2;
        /// Events that wait for something (`EVENT_BASE_COUNT_ADDED`).
        const ADDED = 4;
    }
}

/// Keeps a loop from ending for want of events while it exists: what libevent calls a virtual event.
#[derive(Debug)]
pub struct LoopHold {
    base: super::WeakEventBase,
}

impl Drop for LoopHold {
    fn drop(&mut self) {
        if let Some(inner) = self.base.inner.upgrade() {
            let mut virtuals = inner.virtuals.get();
            virtuals.now -= 1;
            inner.virtuals.set(virtuals);
        }
    }
}

impl EventBase {
    /// How many events of these kinds there are (`event_base_get_num_events`). An event that is
    /// both pending and active counts once for each.
    #[doc(alias = "event_base_get_num_events")]
    pub fn num_events(&self, kinds: CountKinds) -> usize {
        self.sum(kinds, |count| count.now)
    }

    /// The most events of each kind that there have been at a time, added up
    /// (`event_base_get_max_events`). With `clear`, counting starts anew from what there is.
    #[doc(alias = "event_base_get_max_events")]
    pub fn max_events(&self, kinds: CountKinds, clear: bool) -> usize {
        let most = self.sum(kinds, |count| count.most);
        if clear {
            let mut state = self.inner.state.borrow_mut();
            if kinds.contains(CountKinds::ACTIVE) {
                state.slots.active.most = state.slots.active.now;
            }
            if kinds.contains(CountKinds::ADDED) {
                state.slots.added.most = state.slots.added.now;
            }
            if kinds.contains(CountKinds::VIRTUAL) {
                let mut virtuals = self.inner.virtuals.get();
                virtuals.most = virtuals.now;
                self.inner.virtuals.set(virtuals);
            }
        }
        most
    }

    fn sum(&self, kinds: CountKinds, figure: fn(super::slot::Count) -> usize) -> usize {
        let state = self.inner.state.borrow();
        let of = |kind, count| if kinds.contains(kind) { figure(count) } else { 0 };
        of(CountKinds::ACTIVE, state.slots.active)
            + of(CountKinds::VIRTUAL, self.inner.virtuals.get())
            + of(CountKinds::ADDED, state.slots.added)
    }

    /// Keeps the loop running with no events pending for as long as the returned guard exists, as a
    /// pair of bufferevents must that can only be written to by hand (`event_base_add_virtual_`).
    pub fn hold(&self) -> LoopHold {
        let mut virtuals = self.inner.virtuals.get();
        virtuals.now += 1;
        virtuals.most = virtuals.most.max(virtuals.now);
        self.inner.virtuals.set(virtuals);
        LoopHold { base: self.downgrade() }
    }

    /// The event whose callback is running (`event_base_get_running_event`). What is returned is
    /// another handle on it: dropping it does not free the event.
    #[doc(alias = "event_base_get_running_event")]
    pub fn running_event(&self) -> Option<Event> {
        self.event(self.inner.running.get())
    }

    /// Calls `visit` with every event that is pending or active, in no particular order, until it
    /// breaks (`event_base_foreach_event`). It may do anything, to events and base alike: events
    /// freed meanwhile are left out, new ones are not visited.
    ///
    /// # Errors
    /// [`Error::Freed`].
    #[doc(alias = "event_base_foreach_event")]
    pub fn foreach_event<B>(
        &self,
        mut visit: impl FnMut(&Event) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        self.check_alive("EventBase::foreach_event")?;
        let ids: Vec<EventId> = {
            let state = self.inner.state.borrow();
            let busy = |index: &u32| state.slots[*index].state.intersects(SlotState::BUSY);
            state.slots.indices().filter(busy).map(|index| state.slots.id(index)).collect()
        };
        let mut event = Event::handle(self.inner.weak(), EventId::NONE, false);
        for id in ids {
            event.point_at(id);
            if !event.initialized() {
                continue;
            }
            if let ControlFlow::Break(value) = visit(&event) {
                return Ok(ControlFlow::Break(value));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Writes down every event that is pending and every one that is active, a line each
    /// (`event_base_dump_events`). For people to read: the format may change.
    ///
    /// # Errors
    /// [`Error::Freed`], or [`Error::InvalidArgument`] when `out` refuses.
    #[doc(alias = "event_base_dump_events")]
    pub fn dump_events(&self, out: &mut dyn Write) -> Result<()> {
        const CALL: &str = "EventBase::dump_events";
        self.check_alive(CALL)?;
        // Composed first: what writes to `out` is not ours and must find the base unborrowed.
        let text = self.inner.describe();
        out.write_str(&text).map_err(|_| Error::invalid(CALL, "the writer failed"))
    }

    /// Makes all events on a descriptor active that wait for any of `flags`, ready or not
    /// (`event_base_active_by_fd`). With [`EventFlags::TIMEOUT`], all that have a timeout, too.
    ///
    /// # Errors
    /// [`Error::Freed`].
    #[doc(alias = "event_base_active_by_fd")]
    pub fn active_by_fd(&self, fd: crate::backend::RawFd, flags: EventFlags) -> Result<()> {
        self.check_alive("EventBase::active_by_fd")?;
        self.inner.state.borrow_mut().activate_descriptor(fd, flags);
        Ok(())
    }

    /// Makes all events of a signal active, as though it had come once
    /// (`event_base_active_by_signal`).
    ///
    /// # Errors
    /// [`Error::Freed`].
    #[doc(alias = "event_base_active_by_signal")]
    pub fn active_by_signal(&self, signum: i32) -> Result<()> {
        self.check_alive("EventBase::active_by_signal")?;
        self.inner.state.borrow_mut().activate_signal(signum, 1);
        Ok(())
    }
}

impl Inner {
    fn describe(self: &Rc<Self>) -> String {
        let state = self.state.borrow();
        let now = crate::util::time::now_ns();
        let mut text = String::new();
        for (title, kind) in
            [("Inserted events:\n", SlotState::PENDING), ("Active events:\n", SlotState::QUEUED)]
        {
            text.push_str(title);
            for index in state.slots.indices().filter(|&i| state.slots[i].state.intersects(kind)) {
                let timeout = state.deadline(index).map(|at| at.saturating_sub(now));
                // A `String` takes all that is written to it.
                let _ = describe(&mut text, index, &state.slots[index], kind, timeout);
            }
        }
        text
    }
}

fn describe(
    out: &mut String,
    index: u32,
    slot: &Slot,
    kind: SlotState,
    timeout: Option<u64>,
) -> fmt::Result {
    let what = if slot.flags.contains(EventFlags::SIGNAL) { "sig" } else { "fd" };
    write!(out, "  event {index} [{what} {}]", slot.fd)?;
    let flags = if kind == SlotState::QUEUED { slot.fired } else { slot.flags };
    for (name, _) in flags.iter_names() {
        write!(out, " {name}")?;
    }
    write!(out, ", priority {}", slot.priority)?;
    if let Some(timeout) = timeout {
        write!(
            out,
            ", timeout in {}.{:06} s",
            timeout / 1_000_000_000,
            timeout / 1000 % 1_000_000
        )?;
    }
    out.push('\n');
    Ok(())
}
