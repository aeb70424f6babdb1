//! Ten thousand descriptors on every method of this platform: in a process of its own, and one
//! method after another, since a process may not have many more.
#![cfg(unix)]

#[path = "conformance/open.rs"]
mod open;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use evcore::{Event, EventBase, EventFlags, LoopFlags};
use open::open;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

const DESCRIPTORS: usize = 10_000;

macro_rules! on {
    ($($module:ident $method:literal)*) => { $(
        mod $module {
            #[test]
            fn ten_thousand_descriptors_are_each_told_what_concerns_them() {
                let _alone = crate::alone();
                crate::ten_thousand_descriptors(&crate::open($method));
            }
        }
    )* };
}

#[cfg(target_os = "linux")]
on! { epoll "epoll" epoll_changelist "epoll+changelist" }
on! { poll "poll" }
#[cfg(not(any(target_os = "illumos", target_os = "solaris")))]
on! { select "select" }
#[cfg(feature = "backend-mio")]
on! { mio "mio" }
#[cfg(feature = "backend-polling")]
on! { polling "polling" }

fn ten_thousand_descriptors(base: &EventBase) {
    let mut sockets = Vec::with_capacity(DESCRIPTORS);
    for _ in 0..DESCRIPTORS / 2 {
        let (left, right) = UnixStream::pair().unwrap();
        sockets.extend([left, right]);
    }
    assert!(sockets.iter().any(|socket| socket.as_raw_fd() as usize >= DESCRIPTORS));
    let sockets = Rc::new(sockets);
    let told = Rc::new(RefCell::new(Vec::new()));
    let mut events = Vec::with_capacity(DESCRIPTORS);
    for index in 0..DESCRIPTORS {
        let (sockets_too, told) = (sockets.clone(), told.clone());
        let flags = EventFlags::READ | EventFlags::PERSIST;
        let event = Event::new(base, sockets[index].as_raw_fd(), flags, move |_, _| {
            (&sockets_too[index]).read_exact(&mut [0]).unwrap();
            told.borrow_mut().push(index);
        });
        let event = event.unwrap();
        event.add(None).unwrap();
        events.push(event);
    }
    // What is written to a socket is told to its peer, the other one of the pair.
    let write_to = |index: usize| (&sockets[index ^ 1]).write_all(b"x").unwrap();
    let assert_told = |expected: &[usize]| {
        // One wait may find a part of them only.
        for _ in 0..DESCRIPTORS {
            base.run_loop(LoopFlags::ONCE | LoopFlags::NONBLOCK).unwrap();
            if told.borrow().len() >= expected.len() {
                break;
            }
        }
        let mut told = std::mem::take(&mut *told.borrow_mut());
        told.sort_unstable();
        assert!(told == expected, "{} were told, not {}", told.len(), expected.len());
    };
    assert_told(&[]);
    let some: Vec<usize> = (0..DESCRIPTORS).step_by(97).collect();
    some.iter().copied().for_each(write_to);
    assert_told(&some);
    let all: Vec<usize> = (0..DESCRIPTORS).collect();
    all.iter().copied().for_each(write_to);
    assert_told(&all);
    assert_told(&[]);
    let (deleted, left): (Vec<_>, Vec<_>) = all.iter().copied().partition(|index| index % 3 == 0);
    deleted.iter().for_each(|&index| events[index].del().unwrap());
    all.iter().copied().for_each(write_to);
    assert_told(&left);
    deleted.iter().for_each(|&index| events[index].add(None).unwrap());
    assert_told(&deleted);
    assert_eq!(base.event_count(), DESCRIPTORS);
    drop(events);
    assert_eq!(base.event_count(), 0);
}

/// Waits until no other test has its descriptors open, and raises the limit on them.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    alone
}
