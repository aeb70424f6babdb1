//! Signals: caught in the loop, where everything may be done.
//!
//! `cargo run -p evcore --example signals`, then press Ctrl-C, or wait three seconds.

#[cfg(unix)]
fn main() -> evcore::Result<()> {
    use evcore::{Event, EventBase};
    use std::time::Duration;

    let base = EventBase::new()?;
    let interrupt = Event::signal(&base, libc::SIGINT, |event, _| {
        println!("interrupted");
        if let Some(base) = event.base() {
            base.loop_break();
        }
    })?;
    interrupt.add(None)?;
    base.loop_exit(Some(Duration::from_secs(3)))?;
    println!("{:?}", base.dispatch()?);
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    println!("this platform has no signals");
}
