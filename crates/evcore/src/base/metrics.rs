//! What a loop did, in figures.

use std::rc::Rc;
use std::time::Duration;

use crate::backend::RawFd;
use crate::error::Result;
use crate::util::time::now_ns;

use super::event::{Event, EventFlags, EventId};
use super::timeout::nanoseconds;
use super::{EventBase, Inner};

const BUCKETS: usize = 40;

/// How often values of each size came: bucket 0 counts zeroes, and bucket `b` what has `b` bits,
/// that is 2^(b-1) to 2^b - 1. The last one counts all that is bigger, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS] }
    }
}

impl Histogram {
    #[inline]
    pub(super) fn note(&mut self, value: u64) {
        let bits = (u64::BITS - value.leading_zeros()) as usize;
        self.buckets[bits.min(BUCKETS - 1)] += 1;
    }

    /// The counts, by bucket.
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// A value that this share of all (0.5: half of them) did not exceed: the greatest that its
    /// bucket counts. `None` when there were none.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let wanted = (self.count() as f64 * share.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some((1 << bucket) - 1)
    }
}

/// What a loop did since it was made or [reset](EventBase::reset_metrics).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Turns of the loop.
    pub turns: u64,
    /// Callbacks of events that ran.
    pub events: u64,
    /// Turns in which the loop was ready to wait for something to happen.
    pub waits: u64,
    /// Callbacks that ran in each turn.
    pub events_per_turn: Histogram,
    /// Nanoseconds that each callback took; counted only where
    /// [`EventConfig::metrics`](super::EventConfig::metrics) asks for it, as are the next two.
    pub callback_time: Histogram,
    /// Nanoseconds from the end of each timeout to the turn that noticed.
    pub timer_lateness: Histogram,
    /// Nanoseconds that each wait took.
    pub wait_time: Histogram,
}

/// A callback that took longer than it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowCallback {
    /// The event, which may be gone by now.
    pub event: EventId,
    /// Its descriptor or signal; [`NO_FD`](super::NO_FD) if it has none or is gone.
    pub fd: RawFd,
    /// What it was active for.
    pub fired: EventFlags,
    /// How long the callback took.
    pub took: Duration,
}

pub(super) type SlowHook = Rc<dyn Fn(&SlowCallback)>;

/// A turn of a loop that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// How many callbacks ran.
    pub events: usize,
    /// How long the loop was busy: from the end of the wait to the end of the last callback.
    pub took: Duration,
}

pub(super) type TurnHook = Rc<dyn Fn(&Turn)>;

impl EventBase {
    /// What the loop did so far.
    pub fn metrics(&self) -> Metrics {
        (*self.inner.state.borrow().metrics).clone()
    }

    /// Starts to count anew.
    pub fn reset_metrics(&self) {
        *self.inner.state.borrow_mut().metrics = Metrics::default();
    }

    /// Calls `hook` after every callback that took `threshold` or longer, with the event that it
    /// belongs to; `None` ends that. It runs like a callback and may do anything. Every callback is
    /// timed for this, which takes one reading of the clock.
    ///
    /// # Errors
    /// [`Error::Freed`](crate::Error::Freed).
    pub fn set_slow_callback(
        &self,
        threshold: Duration,
        hook: Option<impl Fn(&SlowCallback) + 'static>,
    ) -> Result<()> {
        self.check_alive("EventBase::set_slow_callback")?;
        let limit = if hook.is_some() { nanoseconds(threshold) } else { u64::MAX };
        self.inner.slow_limit.set(limit);
        let hook = hook.map(|hook| Rc::new(hook) as SlowHook);
        let old = self.inner.slow_hook.replace(hook);
        drop(old);
        Ok(())
    }

    /// Calls `hook` at the end of every turn; `None` ends that. It runs like a callback and may do
    /// anything. A turn costs two readings of the clock more then, and nothing without a hook.
    ///
    /// # Errors
    /// [`Error::Freed`](crate::Error::Freed).
    pub fn set_turn_hook(&self, hook: Option<impl Fn(&Turn) + 'static>) -> Result<()> {
        self.check_alive("EventBase::set_turn_hook")?;
        let hook = hook.map(|hook| Rc::new(hook) as TurnHook);
        let old = self.inner.turn_hook.replace(hook);
        drop(old);
        Ok(())
    }
}

impl Inner {
    /// Whether callbacks are timed.
    #[inline]
    pub(super) fn timing(&self) -> bool {
        self.config.metrics || self.slow_limit.get() != u64::MAX
    }

    /// When the turn's wait ended, if somebody wants to know.
    #[inline]
    pub(super) fn note_woken(&self) -> Option<u64> {
        self.turn_hook.borrow().is_some().then(now_ns)
    }

    #[cold]
    pub(super) fn tell_turn(&self, woken: u64, events: usize) {
        let hook = self.turn_hook.borrow().clone();
        if let Some(hook) = hook {
            hook(&Turn { events, took: Duration::from_nanos(now_ns().saturating_sub(woken)) });
        }
    }

    #[cold]
    pub(super) fn tell_slow(&self, event: &Event, fired: EventFlags, took: u64) {
        let hook = self.slow_hook.borrow().clone();
        if let Some(hook) = hook {
            let (event, fd) = (event.id(), event.fd());
            hook(&SlowCallback { event, fd, fired, took: Duration::from_nanos(took) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn a_histogram_counts_by_the_number_of_bits() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for value in [0, 1, 2, 3, 4, 1000, u64::MAX] {
            histogram.note(value);
        }
        assert_eq!(histogram.buckets()[..4], [1, 1, 2, 1]);
        assert_eq!(histogram.buckets()[10], 1);
        assert_eq!(histogram.buckets().last(), Some(&1));
        assert_eq!(histogram.count(), 7);
        assert_eq!(histogram.quantile(0.0), Some(0));
        assert_eq!(histogram.quantile(0.5), Some(3));
        assert_eq!(histogram.quantile(6.0 / 7.0), Some(1023));
    }
}
