//! The clock that timeouts are measured with.

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

#[cfg(test)]
mod tests {
    use super::now_ns;
    use std::time::{Duration, Instant};

    #[test]
    fn the_clock_goes_forward_and_as_fast_as_the_standard_one() {
        let (start, standard) = (now_ns(), Instant::now());
        while standard.elapsed() < Duration::from_millis(5) {}
        let standard = standard.elapsed().as_nanos() as u64;
        let elapsed = now_ns() - start;
        assert!(elapsed >= standard, "{elapsed} ns, the standard clock had {standard} before");
    }
}
