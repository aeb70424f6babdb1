//! Timeouts of a bufferevent.
//!
//! One timer serves both directions and is moved lazily: bytes only note the time, and the timer,
//! when it comes, sees how much of the time is left. A busy connection so costs no timer work.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::base::Event;
use crate::error::{Error, Result};

use super::core::Core;
use super::BufferEventFlags;

/// One direction's timeout.
#[derive(Default)]
pub(super) struct Timeout {
    /// In nanoseconds; 0 for none.
    limit: Cell<u64>,
    /// When the time began to count.
    since: Cell<u64>,
}

impl Timeout {
    pub(super) fn set(&self, limit: Option<Duration>, now: u64) {
        let nanos = limit.map_or(0, |limit| limit.as_nanos().clamp(1, u128::from(u64::MAX)) as u64);
        self.limit.set(nanos);
        self.since.set(now);
    }

    pub(super) fn limit(&self) -> Option<Duration> {
        (self.limit.get() > 0).then(|| Duration::from_nanos(self.limit.get()))
    }

    pub(super) fn restart(&self, now: u64) {
        self.since.set(now);
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        (self.limit.get() > 0).then(|| self.since.get().saturating_add(self.limit.get()))
    }
}

#[derive(Default)]
pub(super) struct Timeouts {
    pub(super) read: Timeout,
    pub(super) write: Timeout,
    pub(super) timer: RefCell<Option<Event>>,
}

impl Core {
    pub(super) fn timeouts(&self) -> Option<&Timeouts> {
        self.timeouts.get().map(|timeouts| &**timeouts)
    }

    pub(super) fn set_timeouts(self: &Rc<Self>, set: impl FnOnce(&Timeouts, u64)) -> Result<()> {
        const CALL: &str = "BufferEvent::set_timeouts";
        let timeouts = self.timeouts.get_or_init(Box::default);
        if timeouts.timer.borrow().is_none() {
            let base = self.base.upgrade().ok_or(Error::Freed { call: CALL })?;
            let timer = Event::timer(&base, self.on_event(Core::timed_out))?;
            self.prioritize(&timer);
            *timeouts.timer.borrow_mut() = Some(timer);
        }
        self.restart_timer(set);
        Ok(())
    }

    /// Changes the timeouts, if there are any, and sets the timer for the first that is counting.
    pub(super) fn restart_timer(&self, change: impl FnOnce(&Timeouts, u64)) {
        let Some(timeouts) = self.timeouts.get() else { return };
        let now = self.base.now();
        change(timeouts, now);
        let read = timeouts.read.deadline().filter(|_| self.reading.get());
        let write = timeouts.write.deadline().filter(|_| self.writing.get());
        let Some(timer) = &*timeouts.timer.borrow() else { return };
        // Adding and deleting a timer that has no descriptor cannot fail on a live base.
        let _ = match read.into_iter().chain(write).min() {
            Some(deadline) => timer.add(Some(Duration::from_nanos(deadline.saturating_sub(now)))),
            None => timer.del(),
        };
    }

    /// Takes the timer off the loop, which it would keep alive for nothing.
    pub(super) fn stop_timer_if_idle(&self) {
        if !self.reading.get() && !self.writing.get() {
            self.restart_timer(|_, _| ());
        }
    }

    pub(super) fn timed_out(self: &Rc<Self>) {
        let Some(timeouts) = self.timeouts.get() else { return };
        let now = self.base.now();
        let over = |deadline: Option<u64>| deadline.is_some_and(|deadline| deadline <= now);
        if self.reading.get() && over(timeouts.read.deadline()) {
            self.give_up(BufferEventFlags::READING, BufferEventFlags::TIMEOUT);
        }
        if self.writing.get() && over(timeouts.write.deadline()) && !self.is_freed() {
            self.stop_writing();
            self.give_up(BufferEventFlags::WRITING, BufferEventFlags::TIMEOUT);
        }
        if !self.is_freed() {
            self.restart_timer(|_, _| ());
        }
    }
}
