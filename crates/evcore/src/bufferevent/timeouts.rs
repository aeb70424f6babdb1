//! Timeouts of a bufferevent.
//!
//! One timer serves both directions and is moved lazily: bytes only note the time, and the timer,
//! when it comes, sees how much of the time is left. A busy connection so costs no timer work.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::base::Event;

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
