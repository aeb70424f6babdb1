//! Signals, which belong to the process: other tests raise them too, so that more may come than a
//! test has raised, but never fewer.

use std::thread;
use std::time::Duration;

use evcore::{Event, EventBase, LoopFlags};

use super::{until, Count};

fn counting(count: &Count, base: &EventBase, signum: i32) -> Event {
    let count = count.clone();
    let event = Event::signal(base, signum, move |_, _| count.add()).unwrap();
    event.add(None).unwrap();
    event
}

fn raise(signum: i32) {
    // SAFETY: the call has no preconditions; the signal is handled, by the caller's event.
    assert_eq!(unsafe { libc::raise(signum) }, 0);
}

pub fn a_signal_runs_its_events(base: EventBase) {
    let (one, other) = (Count::default(), Count::default());
    let _one = counting(&one, &base, libc::SIGUSR1);
    let _other = counting(&other, &base, libc::SIGUSR1);
    let silent = Count::default();
    let _silent = counting(&silent, &base, libc::SIGTTOU);
    for _ in 0..3 {
        raise(libc::SIGUSR1);
        base.run_loop(LoopFlags::ONCE).unwrap();
        assert!(one.take() >= 1 && other.take() >= 1);
    }
    assert_eq!(silent.take(), 0);
}

pub fn a_signal_from_another_thread_ends_a_wait(base: EventBase) {
    let count = Count::default();
    let _event = counting(&count, &base, libc::SIGUSR2);
    let other = thread::spawn(|| {
        thread::sleep(Duration::from_millis(5));
        raise(libc::SIGUSR2);
    });
    until(&base, || count.take() >= 1);
    other.join().unwrap();
}

pub fn a_signal_reaches_every_base(base: EventBase) {
    let others: Vec<_> = (0..3).map(|_| super::open("poll")).collect();
    let counts: Vec<_> = (0..4).map(|_| Count::default()).collect();
    let bases = || others.iter().chain([&base]);
    let _events: Vec<_> =
        bases().zip(&counts).map(|(base, count)| counting(count, base, libc::SIGWINCH)).collect();
    raise(libc::SIGWINCH);
    for (base, count) in bases().zip(&counts) {
        until(base, || count.take() >= 1);
    }
}
