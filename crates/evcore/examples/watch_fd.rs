//! Descriptors that are no sockets: a timerfd, which the loop reads as often as it expires.
//!
//! `cargo run -p evcore --example watch_fd`

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use evcore::{Event, EventBase, EventFlags};
    use rustix::time::{
        timerfd_create, timerfd_settime, Itimerspec, TimerfdClockId, TimerfdFlags,
        TimerfdTimerFlags, Timespec,
    };
    use std::os::fd::AsRawFd;

    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
    let every = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let times = Itimerspec { it_interval: every, it_value: every };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;

    let base = EventBase::new()?;
    let fd = timer.as_raw_fd();
    let mut expired = 0;
    let flags = EventFlags::READ | EventFlags::PERSIST;
    let event = Event::new(&base, fd, flags, move |event, _| {
        let mut count = [0; 8];
        if rustix::io::read(&timer, &mut count) == Ok(8) {
            expired += u64::from_ne_bytes(count);
            println!("expired {expired} times");
        }
        if expired >= 3 {
            event.free();
        }
    })?;
    event.add(None)?;
    base.dispatch()?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this platform has no timerfd");
}
