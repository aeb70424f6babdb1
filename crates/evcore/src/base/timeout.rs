//! Timeouts that many events share.

use std::time::Duration;

use crate::error::{Error, Result};

use super::event::Event;
use super::state::Timeout;
use super::EventBase;

/// A timeout of one base that many of its events have: see [`EventBase::init_common_timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommonTimeout {
    queue: u32,
    interval: u64,
}

impl CommonTimeout {
    /// How long it is.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }
}

impl EventBase {
    /// Prepares for many events with the same timeout (`event_base_init_common_timeout`). Added by
    /// [`Event::add_common`] they wait in a queue, which costs the same however many there are:
    /// what many connections with one idle timeout want. Asked twice for one duration, it returns
    /// the same.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for more than 256 different durations, [`Error::Freed`].
    #[doc(alias = "event_base_init_common_timeout")]
    pub fn init_common_timeout(&self, duration: Duration) -> Result<CommonTimeout> {
        const CALL: &str = "EventBase::init_common_timeout";
        self.check_alive(CALL)?;
        let interval = nanoseconds(duration);
        let mut state = self.inner.state.borrow_mut();
        let queue = state.common_queue(interval).ok_or_else(|| {
            Error::invalid(CALL, "256 different common timeouts are the most; use Event::add")
        })?;
        Ok(CommonTimeout { queue, interval })
    }
}

impl Event {
    /// Makes the event pending, as [`add`](Event::add) does, with a timeout that it shares with
    /// others.
    ///
    /// # Errors
    /// As [`add`](Event::add); [`Error::InvalidArgument`] for a timeout of another base.
    pub fn add_common(&self, timeout: &CommonTimeout) -> Result<()> {
        const CALL: &str = "Event::add_common";
        let CommonTimeout { queue, interval } = *timeout;
        self.add_with(CALL, |inner, state| {
            if !state.timers.is_common(queue, interval) {
                return Err(Error::invalid(CALL, "the timeout is of another base"));
            }
            let deadline = inner.clock.now().saturating_add(interval);
            Ok(Some(Timeout { deadline, interval: interval.max(1), queue: Some(queue) }))
        })
    }
}

/// A duration as the timers have it; what is longer than 584 years is for ever.
#[inline]
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    let seconds = duration.as_secs().checked_mul(1_000_000_000);
    seconds
        .and_then(|seconds| seconds.checked_add(u64::from(duration.subsec_nanos())))
        .unwrap_or(u64::MAX)
}
