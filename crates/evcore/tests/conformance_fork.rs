//! Loops that are forked, on every method of this platform: in a process of its own, one after
//! another, since a fork takes only one thread along.
#![cfg(unix)]

#[path = "conformance/open.rs"]
mod open;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use evcore::{Event, EventBase, EventFlags, LoopFlags};
use open::open;

macro_rules! on {
    ($($module:ident $method:literal)*) => { $(
        mod $module {
            #[test]
            fn the_child_goes_on_by_itself_and_the_parent_as_if_nothing_had_been() {
                crate::the_child_goes_on(&crate::open($method));
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

fn the_child_goes_on(base: &EventBase) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let pairs: Vec<_> = (0..3).map(|_| UnixStream::pair().unwrap()).collect();
    let told = Rc::new(RefCell::new(Vec::new()));
    let events: Vec<Event> = pairs
        .iter()
        .enumerate()
        .map(|(index, (ours, _))| {
            let (told, mut reads) = (told.clone(), ours.try_clone().unwrap());
            let flags = EventFlags::READ | EventFlags::PERSIST;
            let event = Event::new(base, ours.as_raw_fd(), flags, move |_, _| {
                reads.read_exact(&mut [0]).unwrap();
                told.borrow_mut().push(index);
            });
            event.unwrap()
        })
        .collect();
    let assert_told = |expected: &[usize]| {
        pairs.iter().for_each(|(_, peer)| (&*peer).write_all(b"x").unwrap());
        base.run_loop(LoopFlags::ONCE | LoopFlags::NONBLOCK).unwrap();
        let mut told = std::mem::take(&mut *told.borrow_mut());
        told.sort_unstable();
        assert_eq!(told, expected);
    };
    events[0].add(None).unwrap();
    assert_told(&[0]);
    // Two that no wait has seen yet are forked along: one comes, one goes.
    events[1].add(None).unwrap();
    let code = in_child(|| {
        base.reinit().unwrap();
        assert_told(&[0, 1]);
        events[0].del().unwrap();
        events[2].add(None).unwrap();
        assert_told(&[1, 2]);
        base.free();
    });
    assert_eq!(code, 0, "the child failed");
    // What the child read is gone, since the sockets are shared; what it was told to watch is not.
    assert_told(&[0, 1]);
    events[1].del().unwrap();
    assert_told(&[0]);
}

/// Runs `child` in a fork and returns the code that it exits with; 1 for a panic.
fn in_child(child: impl FnOnce()) -> i32 {
    // SAFETY: the child runs nothing but `child` and leaves by `_exit`, without the destructors and
    // handlers that belong to the parent's other threads.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let failed = catch_unwind(AssertUnwindSafe(child)).is_err();
        // SAFETY: ends this process at once.
        unsafe { libc::_exit(i32::from(failed)) }
    }
    assert!(pid > 0);
    let mut status = 0;
    // SAFETY: `status` is written to; the child is ours and nobody else waits for it.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status), "the child was killed: {status:#x}");
    libc::WEXITSTATUS(status)
}
