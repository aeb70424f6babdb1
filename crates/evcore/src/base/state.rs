//! What a base keeps while no callback runs, and the moves of an event from one state to another.

use std::io;

use crate::backend::{Backend, Features, RawFd, Ready};
use crate::error::{Error, Result};

use super::config::EventConfig;
use super::debug::Identities;
use super::event::{EventCallback, EventFlags, EventId};
use super::iomap::{self, IoMap};
use super::metrics::Metrics;
use super::no_backend::NoBackend;
use super::queue::Queue;
use super::signal::{self, SignalMap};
use super::slot::{SlotState, Slots, NONE};
use super::timer::Timers;

/// An event whose callback is about to run.
pub(super) struct Running {
    pub(super) id: EventId,
    pub(super) fired: EventFlags,
    /// How often to call: once, or as often as the signal came.
    pub(super) calls: u16,
    pub(super) callback: Option<EventCallback>,
}

/// When an event's time is over.
#[derive(Clone, Copy)]
pub(super) struct Timeout {
    /// In nanoseconds of the monotonic clock.
    pub(super) deadline: u64,
    /// What a persistent event's next deadline is after this one.
    pub(super) interval: u64,
    /// The common queue, if it is to be in one.
    pub(super) queue: Option<u32>,
}

pub(super) struct State {
    pub(super) backend: Box<dyn Backend>,
    pub(super) slots: Slots,
    pub(super) signals: SignalMap,
    pub(super) timers: Timers,
    pub(super) metrics: Box<Metrics>,
    /// Whether to count how late timers are.
    timing: bool,
    io: IoMap,
    pub(super) identities: Identities,
    /// Signals that came and how often; kept for its memory.
    came: Vec<(i32, u16)>,
    /// Active events, one queue a priority; 0 is the most urgent.
    queues: Vec<Queue>,
    /// Events that became active again in the turn in which they ran.
    later: Queue,
    pub(super) turn: u32,
    /// The event whose callback runs, until it is deleted.
    pub(super) calling: u32,
    /// The priority whose callbacks run; past the last one while none do.
    pub(super) running_priority: usize,
    /// An event more urgent than those that run has become active.
    pub(super) cut_in: bool,
}

impl State {
    pub(super) fn new(config: &EventConfig, backend: Box<dyn Backend>) -> Self {
        Self {
            backend,
            slots: Slots::default(),
            signals: SignalMap::new(),
            timers: Timers::default(),
            metrics: Box::default(),
            timing: config.metrics,
            io: IoMap::default(),
            identities: Identities::new(config),
            came: Vec::new(),
            queues: vec![Queue::default(); config.priorities],
            later: Queue::default(),
            turn: 1,
            calling: NONE,
            running_priority: usize::MAX,
            cut_in: false,
        }
    }

    pub(super) fn priorities(&self) -> usize {
        self.queues.len()
    }

    /// Changes the number of priorities; `false` while events are active.
    pub(super) fn set_priorities(&mut self, priorities: usize) -> bool {
        if self.is_active() {
            return false;
        }
        self.queues = vec![Queue::default(); priorities];
        let last = priorities as u8 - 1;
        let indices: Vec<u32> = self.slots.indices().collect();
        for index in indices {
            let slot = &mut self.slots[index];
            slot.priority = slot.priority.min(last);
        }
        true
    }

    pub(super) fn is_active(&self) -> bool {
        self.slots.active.now > 0
    }

    pub(super) fn insert(
        &mut self,
        fd: RawFd,
        flags: EventFlags,
        callback: EventCallback,
    ) -> EventId {
        let priority = (self.queues.len() / 2) as u8;
        self.slots.insert(fd, flags, priority, self.turn, callback)
    }

    /// Makes an event pending: watches its descriptor or signal and, with a timeout, sets its timer.
    pub(super) fn add(&mut self, index: u32, timeout: Option<Timeout>) -> io::Result<()> {
        let (flags, state) = (self.slots[index].flags, self.slots[index].state);
        if !state.contains(SlotState::WATCHED) {
            if flags.intersects(EventFlags::IO) {
                self.io.add(&mut *self.backend, &mut self.slots, index)?;
                self.identities.note(index, self.slots[index].fd, flags);
                self.slots.set_pending(index, SlotState::WATCHED, SlotState::empty());
            } else if flags.contains(EventFlags::SIGNAL) {
                let (backend, signum) = (&self.backend, self.slots[index].signum());
                self.signals.add(|| backend.waker(), &mut self.slots, index, signum)?;
                self.slots.set_pending(index, SlotState::WATCHED, SlotState::empty());
            }
        }
        if let Some(Timeout { deadline, interval, queue }) = timeout {
            // A timeout that has fired but whose callback has not run is taken back: it starts anew.
            if self.slots[index].fired.contains(EventFlags::TIMEOUT) {
                self.deactivate(index);
            }
            let persists = flags.contains(EventFlags::PERSIST);
            self.slots[index].interval = if persists { interval } else { 0 };
            match queue {
                Some(queue) => self.timers.set_common(&mut self.slots, index, queue, deadline),
                None => self.timers.set(&mut self.slots, index, deadline),
            }
            self.slots.set_pending(index, SlotState::TIMED, SlotState::empty());
        }
        Ok(())
    }

    /// Makes an event neither pending nor active.
    pub(super) fn del(&mut self, index: u32) -> io::Result<()> {
        if self.calling == index {
            self.calling = NONE;
        }
        self.remove_timer(index);
        self.deactivate(index);
        if !self.slots[index].state.contains(SlotState::WATCHED) {
            return Ok(());
        }
        self.slots.set_pending(index, SlotState::empty(), SlotState::WATCHED);
        self.identities.forget(index);
        if self.slots[index].flags.contains(EventFlags::SIGNAL) {
            let signum = self.slots[index].signum();
            self.signals.remove(&mut self.slots, index, signum);
            return Ok(());
        }
        self.io.remove(&mut *self.backend, &mut self.slots, index)
    }

    pub(super) fn remove_timer(&mut self, index: u32) {
        self.slots[index].interval = 0;
        if self.slots[index].state.contains(SlotState::TIMED) {
            self.timers.remove(&mut self.slots, index);
            self.slots.set_pending(index, SlotState::empty(), SlotState::TIMED);
        }
    }

    /// Says what is wrong with what an event is to wait for.
    pub(super) fn check(&self, call: &'static str, fd: RawFd, flags: EventFlags) -> Result<()> {
        if flags.contains(EventFlags::SIGNAL) {
            if flags.intersects(EventFlags::IO) {
                return Err(Error::invalid(call, "an event waits for a signal or a descriptor"));
            }
            if !usize::try_from(fd).is_ok_and(|fd| (1..signal::SIGNALS).contains(&fd)) {
                return Err(Error::invalid(call, format!("{fd} is no signal's number")));
            }
        } else if flags.intersects(EventFlags::IO) {
            // On Windows the value that stands for none is the largest.
            #[cfg(not(windows))]
            let none = fd < 0;
            #[cfg(windows)]
            let none = fd == super::NO_FD;
            if none {
                return Err(Error::invalid(call, format!("{fd} is not a descriptor")));
            }
            if flags.contains(EventFlags::ET) && !self.backend.features().contains(Features::ET) {
                let method = self.backend.name();
                let what = format!("the method {method} has no edge-triggered events");
                return Err(Error::Unsupported { call, what });
            }
        }
        Ok(())
    }

    /// Makes an event that is not busy another one. The callback that it no longer needs is handed
    /// back, to be dropped unborrowed.
    pub(super) fn reassign(
        &mut self,
        index: u32,
        fd: RawFd,
        flags: EventFlags,
        callback: Option<EventCallback>,
    ) -> Option<EventCallback> {
        let priority = (self.queues.len() / 2) as u8;
        let slot = &mut self.slots[index];
        slot.fd = fd;
        slot.flags = flags;
        slot.priority = priority;
        slot.state = SlotState::USED;
        callback.and_then(|callback| slot.callback.replace(callback))
    }

    /// Frees an event, or, if its finalizer has still to run, sees to it that this will.
    pub(super) fn free_or_orphan(&mut self, index: u32) -> Option<EventCallback> {
        let state = &mut self.slots[index].state;
        if state.contains(SlotState::FINALIZING) && state.intersects(SlotState::QUEUED) {
            state.insert(SlotState::ORPHAN);
            return None;
        }
        self.free(index)
    }

    /// Frees an event, whatever it was doing.
    pub(super) fn free(&mut self, index: u32) -> Option<EventCallback> {
        // The kernel may have forgotten the descriptor already, which is no reason to keep it.
        let _ = self.del(index);
        self.slots.remove(index)
    }

    /// Queues an event's callback. One that ran in this turn already, or was made in it, waits for
    /// the next, so that no callback can keep the loop from looking at the descriptors.
    #[inline]
    pub(super) fn activate(&mut self, index: u32, fired: EventFlags, calls: u16) {
        let slot = &mut self.slots[index];
        slot.fired |= fired;
        slot.calls = slot.calls.saturating_add(calls).max(1);
        if slot.state.intersects(SlotState::QUEUED) {
            return;
        }
        if self.running_priority != usize::MAX && slot.turn == self.turn {
            self.slots.set_queued(index, SlotState::LATER);
            self.later.push(&mut self.slots, index);
        } else {
            let priority = usize::from(slot.priority);
            self.slots.set_queued(index, SlotState::ACTIVE);
            self.queues[priority].push(&mut self.slots, index);
            self.cut_in |= priority < self.running_priority;
        }
    }

    pub(super) fn deactivate(&mut self, index: u32) {
        let slot = &mut self.slots[index];
        let state = slot.state;
        if state.contains(SlotState::ACTIVE) {
            let priority = usize::from(slot.priority);
            self.queues[priority].remove(&mut self.slots, index);
        } else if state.contains(SlotState::LATER) {
            self.later.remove(&mut self.slots, index);
        } else {
            return;
        }
        self.slots[index].fired = EventFlags::empty();
        self.slots[index].calls = 0;
        self.slots.set_queued(index, SlotState::empty());
    }

    /// Starts a turn: what waited for it becomes active.
    pub(super) fn begin_turn(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        while let Some(index) = self.later.pop(&mut self.slots) {
            let priority = usize::from(self.slots[index].priority);
            self.slots.set_queued(index, SlotState::ACTIVE);
            self.queues[priority].push(&mut self.slots, index);
        }
    }

    /// Makes the events of ready descriptors active.
    pub(super) fn activate_ready(&mut self, ready: &[Ready]) {
        for ready in ready {
            let fired = iomap::fired(ready.what);
            let mut index = self.io.first(ready.fd);
            while index != NONE {
                let slot = &self.slots[index];
                let (next, wanted) = (slot.next_watched, slot.flags & fired);
                if !wanted.is_empty() {
                    let edge = slot.flags & EventFlags::ET;
                    self.activate(index, wanted | edge, 1);
                }
                index = next;
            }
        }
    }

    /// Makes the events of signals that came active.
    pub(super) fn activate_signals(&mut self) {
        let mut came = std::mem::take(&mut self.came);
        self.signals.take(|signum, count| came.push((signum, count)));
        for (signum, count) in came.drain(..) {
            self.activate_signal(signum, count);
        }
        self.came = came;
    }

    /// Makes the events on a descriptor active that wait for any of `wanted`.
    pub(super) fn activate_descriptor(&mut self, fd: RawFd, wanted: EventFlags) {
        let mut index = self.io.first(fd);
        while index != NONE {
            let slot = &self.slots[index];
            let next = slot.next_watched;
            let mut fired = slot.flags & wanted & (EventFlags::IO | EventFlags::ET);
            fired.set(
                EventFlags::TIMEOUT,
                wanted.contains(EventFlags::TIMEOUT) && slot.state.contains(SlotState::TIMED),
            );
            if fired.intersects(EventFlags::IO | EventFlags::TIMEOUT) {
                self.activate(index, fired, 1);
            }
            index = next;
        }
    }

    /// Makes the events of a signal active.
    pub(super) fn activate_signal(&mut self, signum: i32, count: u16) {
        let mut index = self.signals.first(signum);
        while index != NONE {
            self.activate(index, EventFlags::SIGNAL, count);
            index = self.slots[index].next_watched;
        }
    }

    /// The queue of those that share a timeout in nanoseconds; `None` when there are too many.
    pub(super) fn common_queue(&mut self, interval: u64) -> Option<u32> {
        self.timers.common_queue(&mut self.slots, interval)
    }

    /// When an event's timeout is over.
    pub(super) fn deadline(&self, index: u32) -> Option<u64> {
        self.timers.deadline(&self.slots, index)
    }

    /// Makes the events whose deadline is not after `now` active.
    pub(super) fn activate_due(&mut self, now: u64) {
        while let Some(due) = self.timers.pop_due(&mut self.slots, now) {
            let index = due.slot;
            if self.timing {
                self.metrics.timer_lateness.note(now - due.deadline);
            }
            let interval = self.slots[index].interval;
            if interval > 0 {
                // The next deadline counts from this one, so that no lateness adds up; deadlines
                // that have passed already are left out.
                let next = due.deadline.saturating_add(interval);
                let next = if next > now { next } else { now.saturating_add(interval) };
                self.timers.repeat(&mut self.slots, &due, next);
            } else {
                self.slots.set_pending(index, SlotState::empty(), SlotState::TIMED);
            }
            self.activate(index, EventFlags::TIMEOUT, 1);
        }
    }

    /// Finds the most urgent priority that has active events, whose callbacks are to run now.
    pub(super) fn begin_batch(&mut self) -> Option<usize> {
        if !self.is_active() {
            return None;
        }
        let priority = self.queues.iter().position(|queue| !queue.is_empty())?;
        self.running_priority = priority;
        self.cut_in = false;
        Some(priority)
    }

    /// Takes the next event of a priority out of its queue, for its callback to run.
    pub(super) fn take_active(
        &mut self,
        priority: usize,
        now: impl FnOnce() -> u64,
    ) -> Option<Running> {
        let index = self.queues[priority].pop(&mut self.slots)?;
        self.slots.set_queued(index, SlotState::empty());
        let slot = &mut self.slots[index];
        slot.turn = self.turn;
        let fired = std::mem::take(&mut slot.fired);
        let calls = std::mem::take(&mut slot.calls);
        let running = Running {
            id: EventId::new(index, slot.generation),
            fired,
            calls: if slot.flags.contains(EventFlags::SIGNAL) { calls } else { 1 },
            callback: slot.callback.take(),
        };
        if !slot.flags.contains(EventFlags::PERSIST) {
            if slot.state.intersects(SlotState::PENDING) {
                // The descriptor may be closed already, of which the callback will hear soon enough.
                let _ = self.del(index);
            }
        } else if slot.interval > 0 && !fired.contains(EventFlags::TIMEOUT) {
            let deadline = now().saturating_add(slot.interval);
            self.timers.postpone(&mut self.slots, index, deadline);
        }
        self.calling = index;
        Some(running)
    }

    /// Tells a new backend what is watched and the old one to forget it.
    pub(super) fn replace_backend(
        &mut self,
        mut backend: Box<dyn Backend>,
    ) -> io::Result<Box<dyn Backend>> {
        self.io.deregister_all(&mut *self.backend);
        if let Err(error) = self.io.register_all(&mut *backend) {
            self.io.deregister_all(&mut *backend);
            self.io.register_all(&mut *self.backend)?;
            return Err(error);
        }
        self.signals.rewatch(None, backend.waker())?;
        Ok(std::mem::replace(&mut self.backend, backend))
    }

    /// Tells a new backend what is watched, and the old one nothing.
    pub(super) fn adopt_backend(
        &mut self,
        mut backend: Box<dyn Backend>,
    ) -> io::Result<Box<dyn Backend>> {
        self.io.register_all(&mut *backend)?;
        self.signals.rewatch(None, backend.waker())?;
        Ok(std::mem::replace(&mut self.backend, backend))
    }

    /// Lets go of every event and of the backend. The callbacks are handed back to be dropped
    /// unborrowed: those of finalizers that have still to run apart.
    pub(super) fn clear(&mut self) -> (Vec<EventCallback>, Vec<EventCallback>) {
        let (mut finalizers, mut others) = (Vec::new(), Vec::new());
        for index in self.slots.indices().collect::<Vec<u32>>() {
            let state = self.slots[index].state;
            let waits =
                state.contains(SlotState::FINALIZING) && state.intersects(SlotState::QUEUED);
            let callbacks = if waits { &mut finalizers } else { &mut others };
            callbacks.extend(self.free(index));
        }
        self.signals.clear();
        self.backend = Box::new(NoBackend);
        (finalizers, others)
    }
}
