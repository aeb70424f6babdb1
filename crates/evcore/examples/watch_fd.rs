//! Descriptors that are no sockets: a timerfd, which the loop reads as often as it expires.
//!
//! `cargo run -p evcore --example watch_fd`

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use evcore::util::{timerfd, TimerStart};
    use evcore::{Event, EventBase, EventFlags};
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    let every = Duration::from_millis(20);
    let mut timer = File::from(timerfd(TimerStart::After(every), Some(every))?);
    let base = EventBase::new()?;
    let mut expired = 0;
    let flags = EventFlags::READ | EventFlags::PERSIST;
    let event = Event::new(&base, timer.as_raw_fd(), flags, move |event, _| {
        let mut count = [0; 8];
        if timer.read(&mut count).is_ok() {
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
