//! A loop that goes on in the child of a fork.
#![cfg(unix)]

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use evcore::{Event, EventBase, EventConfig, EventFlags, LoopExit, LoopFlags};

/// Runs `child` in a fork and returns the code that it exits with; 99 for a panic.
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs nothing but `child` and leaves by `_exit`, without the destructors and
    // handlers that belong to the parent's other threads.
    match unsafe { libc::fork() } {
        0 => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(99);
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(code) }
        }
        pid => {
            assert!(pid > 0);
            let mut status = 0;
            // SAFETY: `status` is written to; the child is ours and nobody else waits for it.
            assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            assert!(libc::WIFEXITED(status), "the child was killed: {status:#x}");
            libc::WEXITSTATUS(status)
        }
    }
}

#[test]
fn after_reinit_the_child_has_a_loop_of_its_own_and_the_parents_is_untouched() {
    for method in EventBase::supported_methods() {
        let config = EventConfig::new().method(method).ignore_env(true).clone();
        let base = EventBase::with_config(&config).unwrap();
        let (mut peer, mut ours) = UnixStream::pair().unwrap();
        let reads = Rc::new(Cell::new(0));
        let reader = {
            let (reads, mut stream) = (reads.clone(), ours.try_clone().unwrap());
            let flags = EventFlags::READ | EventFlags::PERSIST;
            Event::new(&base, ours.as_raw_fd(), flags, move |event, _| {
                stream.read_exact(&mut [0]).unwrap();
                reads.set(reads.get() + 1);
                event.base().unwrap().loop_break();
            })
            .unwrap()
        };
        reader.add(None).unwrap();
        let signals = Rc::new(Cell::new(0));
        let signal = {
            let signals = signals.clone();
            Event::signal(&base, libc::SIGUSR1, move |_, _| signals.set(signals.get() + 1)).unwrap()
        };
        signal.add(None).unwrap();

        let code = in_child(|| {
            base.reinit().unwrap();
            assert_eq!(base.method(), *method);
            peer.write_all(b"c").unwrap();
            assert_eq!(base.dispatch().unwrap(), LoopExit::Break);
            assert_eq!(reads.get(), 1);
            // SAFETY: sends a signal to this very thread, which has a handler for it.
            assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
            base.run_loop(LoopFlags::ONCE).unwrap();
            assert_eq!(signals.get(), 1);
            let handle = base.handle();
            let waker = std::thread::spawn(move || handle.loop_break().unwrap());
            assert_eq!(base.dispatch().unwrap(), LoopExit::Break);
            waker.join().unwrap();
            // What the child takes off its loop must stay on the parent's.
            reader.del().unwrap();
            signal.del().unwrap();
            assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
            base.free();
            17
        });
        assert_eq!(code, 17, "{method}");

        ours.set_nonblocking(true).unwrap();
        assert!(ours.read(&mut [0]).is_err(), "{method}: the child left what it was sent");
        peer.write_all(b"p").unwrap();
        assert_eq!(base.dispatch().unwrap(), LoopExit::Break, "{method}");
        assert_eq!((reads.get(), signals.get()), (1, 0), "{method}");
        let handle = base.handle();
        let waker = std::thread::spawn(move || handle.loop_break().unwrap());
        assert_eq!(base.dispatch().unwrap(), LoopExit::Break, "{method}");
        waker.join().unwrap();
    }
}

#[test]
fn reinit_is_refused_in_a_callback_and_on_a_freed_base() {
    let base = EventBase::new().unwrap();
    let refused = Rc::new(Cell::new(false));
    let event = {
        let refused = refused.clone();
        Event::user(&base, move |event, _| {
            refused.set(event.base().unwrap().reinit().is_err());
        })
        .unwrap()
    };
    event.active(EventFlags::empty()).unwrap();
    base.dispatch().unwrap();
    assert!(refused.get());
    base.free();
    assert!(base.reinit().is_err());
}
