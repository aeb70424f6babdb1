//! Threads: a worker hands its results to the loop's thread and ends the loop.
//!
//! `cargo run -p evcore --example worker_wakeup`

use std::thread;

use evcore::{EventBase, LoopFlags};

fn main() -> evcore::Result<()> {
    let base = EventBase::new()?;
    let handle = base.handle();
    let worker = thread::spawn(move || -> evcore::Result<()> {
        for number in 1..=3_u64 {
            let square = number * number;
            // Runs on the thread of the loop.
            handle.post(move |_| println!("{number} squared is {square}"))?;
        }
        handle.loop_exit()
    });
    // With no event pending the loop would end at once.
    let exit = base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY)?;
    println!("{exit:?}");
    worker.join().expect("the worker does not panic")
}
