//! Timers: once, again and again, and many that share a timeout.
//!
//! `cargo run -p evcore --example timers`

use std::cell::Cell;
use std::time::{Duration, Instant};

use evcore::base::NO_FD;
use evcore::{Event, EventBase, EventFlags};

fn main() -> evcore::Result<()> {
    let base = EventBase::new()?;
    let start = Instant::now();

    let once = Event::timer(&base, move |_, _| println!("once, after {:?}", start.elapsed()))?;
    once.add(Some(Duration::from_millis(20)))?;

    let ticks = Cell::new(0);
    let ticker = Event::new(&base, NO_FD, EventFlags::PERSIST, move |event, _| {
        ticks.set(ticks.get() + 1);
        println!("tick {}", ticks.get());
        if ticks.get() == 3 {
            // The event is its callback's argument, so that it can end itself.
            event.free();
        }
    })?;
    ticker.add(Some(Duration::from_millis(10)))?;

    // A thousand idle timeouts: each costs the same to set as the first.
    let idle = base.init_common_timeout(Duration::from_millis(40))?;
    let mut connections = Vec::new();
    for number in 0..1000 {
        let timeout = Event::timer(&base, move |_, _| {
            if number == 999 {
                println!("all idle timeouts are over");
            }
        })?;
        timeout.add_common(&idle)?;
        connections.push(timeout);
    }

    base.dispatch()?;
    println!("no timers left after {:?}", start.elapsed());
    Ok(())
}
