//! Priorities: urgent events run first, and cut in between lazy ones.
//!
//! `cargo run -p evcore --example priorities`

use std::rc::Rc;

use evcore::{Event, EventBase, EventConfig, EventFlags};

fn main() -> evcore::Result<()> {
    let base = EventBase::with_config(EventConfig::new().priorities(2))?;
    let urgent = Rc::new(Event::user(&base, |_, _| println!("urgent"))?);
    urgent.set_priority(0)?;
    let mut lazy = Vec::new();
    for number in 1..=3 {
        let urgent = urgent.clone();
        let event = Event::user(&base, move |_, _| {
            println!("lazy {number}");
            if number == 2 {
                // Runs before the third lazy one, which waits already.
                urgent.active(EventFlags::empty()).expect("the event lives as long as we do");
            }
        })?;
        event.set_priority(1)?;
        event.active(EventFlags::empty())?;
        lazy.push(event);
    }
    urgent.active(EventFlags::empty())?;
    base.dispatch()?;
    Ok(())
}
