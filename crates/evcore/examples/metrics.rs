//! What a loop tells of itself: how late ten thousand timers were, and which callback was slow.
//!
//! `cargo run --release -p evcore --example metrics`

use std::time::Duration;

use evcore::base::SlowCallback;
use evcore::{Event, EventBase, EventConfig};

fn main() -> evcore::Result<()> {
    let base = EventBase::with_config(EventConfig::new().precise_timer(true).metrics(true))?;
    let tell = |slow: &SlowCallback| {
        println!("{:?} took {:?} for {:?}", slow.event, slow.took, slow.fired);
    };
    base.set_slow_callback(Duration::from_millis(5), Some(tell))?;

    let mut seed = 1_u64;
    let mut timers = Vec::new();
    for _ in 0..10_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let timer = Event::timer(&base, |_, _| ())?;
        timer.add(Some(Duration::from_micros(20_000 + (seed >> 33) % 1_000_000)))?;
        timers.push(timer);
    }
    let slow = Event::timer(&base, |_, _| std::thread::sleep(Duration::from_millis(10)))?;
    slow.add(Some(Duration::from_millis(1_050)))?;
    base.dispatch()?;

    let metrics = base.metrics();
    println!("{} turns, {} events, {} waits", metrics.turns, metrics.events, metrics.waits);
    for share in [0.5, 0.9, 0.99] {
        let late = metrics.timer_lateness.quantile(share).unwrap_or(0);
        println!("{} % of the timers were at most {late} ns late", share * 100.0);
    }
    Ok(())
}
