//! What several backends share.

#[cfg(unix)]
use std::time::Duration;

use super::Interest;

/// What a hang-up or an error makes a descriptor ready for.
pub(super) const HANG_UP: Interest = Interest::READ.union(Interest::WRITE).union(Interest::CLOSED);

/// `timeout` in whole milliseconds, rounded up so that no wait ends early, and at most as many as a
/// C int holds: a wait ends after 24 days at the latest, and the base waits again.
#[cfg(unix)]
pub(super) fn to_millis(timeout: Duration) -> Duration {
    let millis = timeout.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128);
    Duration::from_millis(millis as u64)
}

/// `timeout` as the kernel takes it, 68 years at most.
#[cfg(unix)]
pub(super) fn to_timespec(timeout: Duration) -> rustix::event::Timespec {
    rustix::event::Timespec {
        tv_sec: timeout.as_secs().min(i32::MAX as u64) as _,
        tv_nsec: timeout.subsec_nanos() as _,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_up_and_bounded() {
        assert_eq!(to_millis(Duration::ZERO), Duration::ZERO);
        assert_eq!(to_millis(Duration::from_nanos(1)), Duration::from_millis(1));
        assert_eq!(to_millis(Duration::from_nanos(1_000_001)), Duration::from_millis(2));
        assert_eq!(to_millis(Duration::from_millis(7)), Duration::from_millis(7));
        assert_eq!(to_millis(Duration::MAX), Duration::from_millis(i32::MAX as u64));
    }
}
