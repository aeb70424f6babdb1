//! Timers of the kernel's as descriptors.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{
    timerfd_create, timerfd_settime, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags,
    Timespec,
};

use super::OwnedFd;

/// When a [`timerfd`] expires first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerStart {
    /// So long from now; time that the machine sleeps counts, as it does not for a loop's timers.
    After(Duration),
    /// When the clock on the wall shows this time, however the clock is set meanwhile. A time that is
    /// over is now.
    At(SystemTime),
}

/// A descriptor that becomes readable when a time has come, and with `every` again and again from then
/// on. Eight bytes can be read from it: how often it has expired since it was read last. It is
/// non-blocking and closed by exec. For what a loop's own timers do not do: to follow the clock on the
/// wall, or to count the time that the machine sleeps.
///
/// Linux and Android only.
///
/// # Errors
///
/// What the operating system said; [`io::ErrorKind::InvalidInput`] for times it cannot express.
///
/// ```
/// use evcore::util::{timerfd, TimerStart};
/// use evcore::{Event, EventBase, EventFlags};
/// use std::os::fd::AsRawFd;
/// use std::time::{Duration, SystemTime};
///
/// let base = EventBase::new()?;
/// let soon = SystemTime::now() + Duration::from_millis(5);
/// let alarm = timerfd(TimerStart::At(soon), None)?;
/// let event = Event::new(&base, alarm.as_raw_fd(), EventFlags::READ, move |_, _| {
///     assert!(SystemTime::now() >= soon);
/// })?;
/// event.add(None)?;
/// base.dispatch()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn timerfd(start: TimerStart, every: Option<Duration>) -> io::Result<OwnedFd> {
    let (clock, first, flags) = match start {
        TimerStart::After(delay) => (TimerfdClockId::Boottime, delay, TimerfdTimerFlags::empty()),
        TimerStart::At(time) => (
            TimerfdClockId::Realtime,
            time.duration_since(UNIX_EPOCH).unwrap_or_default(),
            TimerfdTimerFlags::ABSTIME,
        ),
    };
    // A timer that is set to zero is none.
    let least = Duration::from_nanos(1);
    let times = Itimerspec {
        it_value: timespec(first.max(least))?,
        it_interval: timespec(every.map_or(Duration::ZERO, |every| every.max(least)))?,
    };
    let fd = timerfd_create(clock, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    timerfd_settime(&fd, flags, &times)?;
    Ok(fd)
}

fn timespec(time: Duration) -> io::Result<Timespec> {
    let seconds = time.as_secs().try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(Timespec { tv_sec: seconds, tv_nsec: time.subsec_nanos().into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{poll, PollFd, PollFlags};
    use std::time::Instant;

    const MS: Duration = Duration::from_millis(1);

    fn wait(fd: &OwnedFd) -> u64 {
        poll(&mut [PollFd::new(fd, PollFlags::IN)], None).unwrap();
        let mut count = [0; 8];
        assert_eq!(rustix::io::read(fd, &mut count).unwrap(), 8);
        u64::from_ne_bytes(count)
    }

    #[test]
    fn a_timer_counts_how_often_it_has_expired() {
        let start = Instant::now();
        let fd = timerfd(TimerStart::After(MS * 2), Some(MS * 3)).unwrap();
        assert_eq!(rustix::io::read(&fd, &mut [0; 8]), Err(rustix::io::Errno::AGAIN));
        let mut expired = 0;
        while expired < 4 {
            expired += wait(&fd);
        }
        assert!(start.elapsed() >= MS * 11);
    }

    #[test]
    fn a_timer_follows_the_clock_on_the_wall() {
        let time = SystemTime::now() + MS * 5;
        assert_eq!(wait(&timerfd(TimerStart::At(time), None).unwrap()), 1);
        assert!(SystemTime::now() >= time);
    }

    #[test]
    fn a_time_that_is_over_and_none_at_all_are_now() {
        for start in [
            TimerStart::At(UNIX_EPOCH),
            TimerStart::At(UNIX_EPOCH - MS),
            TimerStart::At(SystemTime::now() - MS),
            TimerStart::After(Duration::ZERO),
        ] {
            assert_eq!(wait(&timerfd(start, None).unwrap()), 1);
        }
    }

    #[test]
    fn a_time_that_no_clock_will_show_is_an_error() {
        let error = timerfd(TimerStart::After(Duration::MAX), None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
