//! How waits end: timeouts, wakes and signals.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use evcore::backend::{Features, Interest};
use evcore::util::time::now_ns;

use super::Watch;

pub fn a_timeout_is_never_early(mut watch: Watch) {
    for micros in [1, 50, 999, 1000, 1001, 3700, 20_000] {
        let timeout = Duration::from_micros(micros);
        let start = now_ns();
        assert_eq!(watch.wait(Some(timeout)), []);
        let elapsed = Duration::from_nanos(now_ns() - start);
        assert!(elapsed >= timeout, "{elapsed:?} of {timeout:?}");
    }
}

pub fn waits_are_as_precise_as_the_features_say(mut watch: Watch) {
    let timeout = Duration::from_micros(50);
    let shortest = (0..50).map(|_| {
        let start = now_ns();
        watch.wait(Some(timeout));
        Duration::from_nanos(now_ns() - start)
    });
    let shortest = shortest.min().unwrap();
    let precise = watch.backend.features().contains(Features::NS_TIMEOUT);
    assert_eq!(shortest < Duration::from_millis(1), precise, "{shortest:?} of {timeout:?}");
}

pub fn a_wait_of_zero_finds_nothing_and_returns(mut watch: Watch) {
    let (reader, _writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    for _ in 0..100 {
        assert_eq!(watch.wait(Some(Duration::ZERO)), []);
    }
}

pub fn the_longest_timeout_is_no_error(mut watch: Watch) {
    let (reader, mut writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    writer.write_all(b"x").unwrap();
    for timeout in [Duration::MAX, Duration::from_secs(1 << 40), Duration::from_secs(1 << 31)] {
        assert_eq!(watch.wait(Some(timeout)), [(reader.as_raw_fd(), Interest::READ)]);
    }
}

pub fn clears_what_the_last_wait_found(mut watch: Watch) {
    let (reader, mut writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    writer.write_all(b"x").unwrap();
    assert_eq!(watch.now().len(), 1);
    assert_eq!(watch.now().len(), 1);
}

pub fn a_wake_before_a_wait_ends_it(mut watch: Watch) {
    watch.backend.waker().wake().unwrap();
    assert_eq!(watch.wait(None), []);
}

pub fn a_wake_from_another_thread_ends_a_wait(mut watch: Watch) {
    let waker = watch.backend.waker();
    let (go, gone) = mpsc::channel();
    let other = thread::spawn(move || {
        while gone.recv().is_ok() {
            waker.wake().unwrap();
        }
    });
    for _ in 0..200 {
        go.send(()).unwrap();
        assert_eq!(watch.wait(None), []);
    }
    drop(go);
    other.join().unwrap();
}

pub fn many_wakes_end_one_wait(mut watch: Watch) {
    let waker = watch.backend.waker();
    for _ in 0..10_000 {
        waker.wake().unwrap();
    }
    assert_eq!(watch.wait(None), []);
    let (start, timeout) = (now_ns(), Duration::from_millis(5));
    assert_eq!(watch.wait(Some(timeout)), []);
    assert!(now_ns() - start >= timeout.as_nanos() as u64, "the wakes outlived the wait");
}

pub fn every_round_of_wakes_ends_a_wait(mut watch: Watch) {
    let waker = watch.backend.waker();
    for round in 1..100 {
        for _ in 0..round % 3 + 1 {
            waker.wake().unwrap();
        }
        assert_eq!(watch.wait(None), []);
    }
}

pub fn a_wake_does_not_hide_what_is_ready(mut watch: Watch) {
    let (reader, mut writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    writer.write_all(b"x").unwrap();
    watch.backend.waker().wake().unwrap();
    assert_eq!(watch.wait(None), [(reader.as_raw_fd(), Interest::READ)]);
}

pub fn a_waker_outlives_its_backend(watch: Watch) {
    let waker = watch.backend.waker();
    drop(watch);
    // An error is as good as a success: there is nobody left to wake.
    let _ = thread::spawn(move || waker.wake()).join().unwrap();
}

pub fn a_signal_is_no_error(mut watch: Watch) {
    under_signals(|| {
        let (start, mut passed) = (now_ns(), 0);
        while passed < 20_000_000 {
            assert_eq!(watch.wait(Some(Duration::from_nanos(20_000_000 - passed))), []);
            passed = now_ns() - start;
        }
    });
}

pub fn a_signal_ends_a_wait_with_nothing_ready(mut watch: Watch) {
    let (reader, _writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    let (start, timeout) = (now_ns(), Duration::from_secs(10));
    under_signals(|| assert_eq!(watch.wait(Some(timeout)), []));
    assert!(now_ns() - start < timeout.as_nanos() as u64, "no signal ended the wait");
}

/// Runs `body` while another thread keeps sending signals to this one.
fn under_signals(body: impl FnOnce()) {
    // SAFETY: a handler that does nothing is safe in a signal.
    let handler = unsafe { signal_hook_registry::register(libc::SIGUSR2, || ()) }.unwrap();
    // SAFETY: the call has no preconditions.
    let this = unsafe { libc::pthread_self() } as usize;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                // SAFETY: the thread is alive, since it joins this one before it goes on.
                let result = unsafe { libc::pthread_kill(this as libc::pthread_t, libc::SIGUSR2) };
                assert_eq!(result, 0);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let _done = SetOnDrop(&done);
        body();
    });
    signal_hook_registry::unregister(handler);
}

/// Ends the other thread even if the body fails.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
