//! Other threads.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use evcore::{Event, EventBase, EventFlags, LoopExit};

use super::{turn, until, Count};

pub fn a_post_before_the_loop_is_run_by_it(base: EventBase) {
    let ran = Arc::new(AtomicUsize::new(0));
    let (handle, counts) = (base.handle(), ran.clone());
    thread::spawn(move || {
        handle
            .post(move |_| {
                counts.fetch_add(1, Ordering::SeqCst);
            })
            .unwrap();
    })
    .join()
    .unwrap();
    turn(&base);
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    turn(&base);
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

pub fn every_post_of_a_storm_runs_once(base: EventBase) {
    const THREADS: usize = 8;
    const POSTS: usize = 2000;
    let ran = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (handle, ran) = (base.handle(), ran.clone());
            thread::spawn(move || {
                for _ in 0..POSTS {
                    let ran = ran.clone();
                    let post = move |base: &EventBase| {
                        if ran.fetch_add(1, Ordering::SeqCst) + 1 == THREADS * POSTS {
                            base.loop_break();
                        }
                    };
                    handle.post(post).unwrap();
                }
            })
        })
        .collect();
    let late = Event::timer(&base, |_, _| panic!("posts got lost")).unwrap();
    late.add(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(base.dispatch().unwrap(), LoopExit::Break);
    for thread in threads {
        thread.join().unwrap();
    }
    turn(&base);
    assert_eq!(ran.load(Ordering::SeqCst), THREADS * POSTS);
}

pub fn an_event_is_activated_from_another_thread(base: EventBase) {
    let count = Count::default();
    let counts = count.clone();
    let event = Event::user(&base, move |_, fired| {
        assert_eq!(fired, EventFlags::READ);
        counts.add();
    });
    let event = event.unwrap();
    let (handle, id) = (base.handle(), event.id());
    for _ in 0..20 {
        let handle = handle.clone();
        let other = thread::spawn(move || handle.activate(id, EventFlags::READ).unwrap());
        until(&base, || count.take() == 1);
        other.join().unwrap();
    }
}

pub fn a_loop_break_from_another_thread_ends_a_wait(base: EventBase) {
    let (ours, _peer) = UnixStream::pair().unwrap();
    let count = Count::default();
    let _event = count.event(&base, &ours, EventFlags::READ);
    let handle = base.handle();
    let other = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        handle.loop_break().unwrap();
    });
    assert_eq!(base.dispatch().unwrap(), LoopExit::Break);
    other.join().unwrap();
    assert_eq!(count.take(), 0);
}

pub fn wakes_do_not_keep_descriptors_waiting(base: EventBase) {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let count = Count::default();
    let _event = count.event(&base, &ours, EventFlags::READ | EventFlags::PERSIST);
    let over = Arc::new(AtomicBool::new(false));
    let (handle, ends) = (base.handle(), over.clone());
    let storm = thread::spawn(move || {
        while !ends.load(Ordering::Acquire) {
            handle.wake().unwrap();
        }
    });
    peer.write_all(b"x").unwrap();
    until(&base, || count.take() >= 1);
    over.store(true, Ordering::Release);
    storm.join().unwrap();
}
