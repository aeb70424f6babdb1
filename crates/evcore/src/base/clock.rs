//! The time that deadlines count from.

use std::cell::Cell;

use crate::sys;
use crate::util::time::now_ns;

/// How many cycles a reading of the clock may be extrapolated over.
const WINDOW: u64 = 4096;
/// More nanoseconds than a cycle ever takes.
const NS_PER_CYCLE: u64 = 2;
/// More nanoseconds than two readings of a counter can be executed out of order by.
const SLACK: u64 = 100;

/// Tells a time that is never before the real one nor before any that it told earlier, and at most
/// some microseconds after it. A deadline that counts from it is never early, and equal timeouts
/// end in the order in which they were set.
///
/// Reading the clock takes 20 ns, which is most of what setting a timer takes. So a reading is
/// extrapolated for a microsecond or two by the processor's cycle counter, read in 8 ns, as though
/// the processor were slower than any that exists.
#[derive(Debug, Default)]
pub(super) struct Clock {
    cycles: Cell<u64>,
    read: Cell<u64>,
    told: Cell<u64>,
    exact: bool,
}

impl Clock {
    /// An `exact` one reads the clock every time.
    pub(super) fn new(exact: bool) -> Self {
        Self { exact, ..Self::default() }
    }

    /// Nanoseconds of the monotonic clock, rounded up.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        // Read before the clock, so that the cycles counted from it are too many and not too few.
        let cycles = if self.exact { None } else { sys::cycles() };
        let now = match cycles {
            Some(cycles) => {
                let elapsed = cycles.wrapping_sub(self.cycles.get());
                if elapsed < WINDOW {
                    self.read.get() + elapsed * NS_PER_CYCLE + SLACK
                } else {
                    self.cycles.set(cycles);
                    self.read.set(now_ns());
                    self.read.get()
                }
            }
            None => now_ns(),
        };
        let now = now.max(self.told.get());
        self.told.set(now);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use crate::util::time::now_ns;

    #[test]
    fn the_time_told_is_never_before_the_real_one_and_hardly_after() {
        for exact in [false, true] {
            let clock = Clock::new(exact);
            let mut last = 0;
            let mut nearest = u64::MAX;
            for round in 0..20_000_u64 {
                let before = now_ns();
                let told = clock.now();
                let after = now_ns();
                assert!(told >= before, "{} ns early", before - told);
                assert!(told >= last);
                nearest = nearest.min(told.saturating_sub(after));
                // Whoever is not interrupted is told the time to some microseconds.
                if after - before < 1000 {
                    assert!(told - before < 20_000, "{} ns late", told - before);
                }
                last = told;
                for _ in 0..round % 64 {
                    std::hint::spin_loop();
                }
            }
            assert!(nearest < 1000);
        }
    }
}
