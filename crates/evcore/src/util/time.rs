//! The clock that timeouts are measured with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds on a clock that never goes backwards (`evutil_gettime_monotonic`).
///
/// Where it starts is unspecified; it is the same clock for all threads of the process. Reading it
/// makes no system call on Linux.
#[doc(alias = "evutil_gettime_monotonic")]
#[inline]
pub fn now_ns() -> u64 {
    #[cfg(unix)]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        // A monotonic clock starts at or after zero, and 64 bits hold 584 years.
        (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
    }
    #[cfg(not(unix))]
    {
        use std::sync::LazyLock;
        use std::time::Instant;

        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed().as_nanos() as u64
    }
}

/// A clock that never goes backwards, with a state of its own (`struct evutil_monotonic_timer`).
///
/// A new one is the system's precise monotonic clock, that of [`now_ns`]. Where even that cannot be
/// had or trusted, [`fallback`](MonotonicTimer::fallback) makes one of the wall clock.
#[doc(alias = "evutil_monotonic_timer")]
#[doc(alias = "evutil_monotonic_timer_new")]
#[derive(Clone, Debug, Default)]
pub struct MonotonicTimer {
    /// What the wall clock has said and what was added to it; `None` for the monotonic clock.
    wall: Option<Forward>,
}

impl MonotonicTimer {
    /// The system's monotonic clock, in nanoseconds: there is no coarser one to be chosen, as
    /// libevent has it without `EV_MONOT_PRECISE`, since reading this one is as cheap.
    #[doc(alias = "evutil_configure_monotonic_time")]
    #[doc(alias = "EV_MONOT_PRECISE")]
    pub fn new() -> Self {
        Self::default()
    }

    /// The wall clock, whose steps backwards are left out (`EV_MONOT_FALLBACK`). Its steps forward
    /// are not told from time that has passed.
    #[doc(alias = "EV_MONOT_FALLBACK")]
    pub fn fallback() -> Self {
        Self { wall: Some(Forward::default()) }
    }

    /// How late it is on this clock (`evutil_gettime_monotonic`). Where it starts is unspecified.
    pub fn now(&mut self) -> Duration {
        match &mut self.wall {
            None => Duration::from_nanos(now_ns()),
            Some(wall) => {
                wall.step(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
            }
        }
    }
}

/// A clock without its steps backwards.
#[derive(Clone, Debug, Default)]
struct Forward {
    /// The sum of all steps backwards.
    added: Duration,
    /// What was last said.
    last: Duration,
}

impl Forward {
    fn step(&mut self, clock: Duration) -> Duration {
        let now = clock.saturating_add(self.added);
        if now < self.last {
            self.added = self.added.saturating_add(self.last - now);
        } else {
            self.last = now;
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Instant;

    #[test]
    fn the_clock_goes_forward_and_as_fast_as_the_standard_one() {
        let (start, standard) = (now_ns(), Instant::now());
        while standard.elapsed() < Duration::from_millis(5) {}
        let standard = standard.elapsed().as_nanos() as u64;
        let elapsed = now_ns() - start;
        assert!(elapsed >= standard, "{elapsed} ns, the standard clock had {standard} before");
    }

    #[test]
    fn both_kinds_of_timer_go_forward() {
        for mut timer in [MonotonicTimer::new(), MonotonicTimer::fallback()] {
            let (start, first) = (Instant::now(), timer.now());
            while start.elapsed() < Duration::from_millis(5) {}
            assert!(timer.now() - first >= Duration::from_millis(4), "{timer:?}");
        }
        let before = now_ns();
        let now = MonotonicTimer::new().now().as_nanos() as u64;
        assert!(before <= now && now <= now_ns(), "another clock than that of timeouts");
    }

    #[test]
    fn steps_backwards_are_left_out() {
        let mut forward = Forward::default();
        let said: Vec<u64> = [10, 20, 5, 6, 1, 3]
            .map(|seconds| forward.step(Duration::from_secs(seconds)).as_secs())
            .into();
        assert_eq!(said, [10, 20, 20, 21, 21, 23]);
    }

    proptest! {
        #[test]
        fn no_clock_makes_it_go_backwards(clock: Vec<Duration>) {
            let mut forward = Forward::default();
            let said: Vec<_> = clock.into_iter().map(|clock| forward.step(clock)).collect();
            prop_assert!(said.is_sorted());
        }
    }
}
