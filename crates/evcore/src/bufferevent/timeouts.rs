//! Timeouts of a bufferevent.
//!
//! One timer serves both directions and is moved lazily: bytes only note the time, and the timer,
//! when it comes, sees how much of the time is left. A busy connection so costs no timer work.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::base::{Event, EventFlags};
use crate::error::{Error, Result};

use super::core::{Core, Suspended};
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
            let core = self.clone();
            let timer = Event::timer(&base, move |_, _| core.step(Core::timed_out))?;
            self.prioritize(&timer)?;
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

    pub(super) fn timed_out(self: &Rc<Self>) {
        let Some(timeouts) = self.timeouts.get() else { return };
        let now = self.base.now();
        let over = |deadline: Option<u64>| deadline.is_some_and(|deadline| deadline <= now);
        let read = self.reading.get() && over(timeouts.read.deadline());
        let write = self.writing.get() && over(timeouts.write.deadline());
        if read {
            self.disable_now(EventFlags::READ);
            self.tell_event(BufferEventFlags::TIMEOUT | BufferEventFlags::READING);
        }
        if write && !self.freed.get() {
            self.stop_writing();
            self.disable_now(EventFlags::WRITE);
            if self.suspended.get().contains(Suspended::CLOSING) {
                self.finish_close();
                return;
            }
            self.tell_event(BufferEventFlags::TIMEOUT | BufferEventFlags::WRITING);
        }
        if !self.freed.get() {
            self.restart_timer(|_, _| ());
        }
    }
}
