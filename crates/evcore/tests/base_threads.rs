//! Other threads: storms of wake-ups, urgent events from elsewhere, bases that go away meanwhile.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use evcore::backend::{Backend, Features, Interest, RawFd, Ready, Wake};
use evcore::{Error, Event, EventBase, EventConfig, EventFlags, LoopExit, LoopFlags};

const NONE: EventFlags = EventFlags::empty();

/// A backend that counts how often it waits and how often it is woken.
struct Counting {
    backend: Box<dyn Backend>,
    waits: Arc<AtomicUsize>,
    wakes: Arc<AtomicUsize>,
}

impl Backend for Counting {
    fn name(&self) -> &'static str {
        self.backend.name()
    }
    fn features(&self) -> Features {
        self.backend.features()
    }
    fn add(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.backend.add(fd, interest)
    }
    fn modify(&mut self, fd: RawFd, old: Interest, interest: Interest) -> io::Result<()> {
        self.backend.modify(fd, old, interest)
    }
    fn remove(&mut self, fd: RawFd, old: Interest) -> io::Result<()> {
        self.backend.remove(fd, old)
    }
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.waits.fetch_add(1, Ordering::SeqCst);
        self.backend.wait(timeout, ready)
    }
    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(CountingWaker { waker: self.backend.waker(), wakes: self.wakes.clone() })
    }
}

struct CountingWaker {
    waker: Arc<dyn Wake>,
    wakes: Arc<AtomicUsize>,
}

impl Wake for CountingWaker {
    fn wake(&self) -> io::Result<()> {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        self.waker.wake()
    }
}

#[test]
fn a_storm_of_posts_loses_none_keeps_each_threads_order_and_wakes_sparingly() {
    const THREADS: usize = 8;
    const POSTS: usize = 3_000;
    for method in EventBase::supported_methods() {
        let config = EventConfig::new().method(method).ignore_env(true).clone();
        let (waits, wakes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let backend = Counting {
            backend: EventBase::open_backend(&config).unwrap(),
            waits: waits.clone(),
            wakes: wakes.clone(),
        };
        let base = EventBase::with_backend(&config, Box::new(backend)).unwrap();
        let next: Arc<[AtomicUsize; THREADS]> = Arc::new([const { AtomicUsize::new(0) }; THREADS]);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (handle, next) = (base.handle(), next.clone());
                thread::spawn(move || {
                    for post in 0..POSTS {
                        let next = next.clone();
                        handle
                            .post(move |base| {
                                assert_eq!(next[thread].fetch_add(1, Ordering::Relaxed), post);
                                if next.iter().all(|next| next.load(Ordering::Relaxed) == POSTS) {
                                    base.loop_break();
                                }
                            })
                            .unwrap();
                    }
                })
            })
            .collect();
        assert_eq!(base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap(), LoopExit::Break);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let (waits, wakes) = (waits.load(Ordering::SeqCst), wakes.load(Ordering::SeqCst));
        assert!(wakes <= waits + 1, "{method}: {wakes} wakes in {waits} turns");
        assert!(wakes >= 1);
    }
}

#[test]
fn posts_between_two_turns_wake_once() {
    let config = EventConfig::new();
    let wakes = Arc::new(AtomicUsize::new(0));
    let backend = Counting {
        backend: EventBase::open_backend(&config).unwrap(),
        waits: Arc::default(),
        wakes: wakes.clone(),
    };
    let base = EventBase::with_backend(&config, Box::new(backend)).unwrap();
    let event = Event::user(&base, |_, _| ()).unwrap();
    for turn in 1..=3 {
        let (handle, id) = (base.handle(), event.id());
        let storm = thread::spawn(move || {
            for _ in 0..1000 {
                handle.activate(id, NONE).unwrap();
                handle.wake().unwrap();
            }
        });
        storm.join().unwrap();
        assert_eq!(wakes.load(Ordering::SeqCst), turn);
        base.run_loop(LoopFlags::NONBLOCK | LoopFlags::ONCE).unwrap();
    }
}

#[test]
fn posts_to_a_loop_that_is_at_work_wake_nobody() {
    let config = EventConfig::new();
    let wakes = Arc::new(AtomicUsize::new(0));
    let backend = Counting {
        backend: EventBase::open_backend(&config).unwrap(),
        waits: Arc::default(),
        wakes: wakes.clone(),
    };
    let base = EventBase::with_backend(&config, Box::new(backend)).unwrap();
    let posted = Arc::new(AtomicUsize::new(0));
    let events: Vec<Event> = (0..10)
        .map(|_| {
            let posted = posted.clone();
            let event = Event::user(&base, move |event, _| {
                let (handle, posted) = (event.base().unwrap().handle(), posted.clone());
                let count = move |_: &EventBase| _ = posted.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || handle.post(count).unwrap()).join().unwrap();
            })
            .unwrap();
            event.active(NONE).unwrap();
            event
        })
        .collect();
    base.dispatch().unwrap();
    assert_eq!(posted.load(Ordering::SeqCst), events.len());
    // The first finds a loop that has not looked for letters since it waited.
    assert!(wakes.load(Ordering::SeqCst) <= 1);
    base.handle().wake().unwrap();
    assert!(wakes.load(Ordering::SeqCst) >= 1, "a loop that is not at work was not woken");
}

/// Lazy events that run in one batch; the callback of the first waits while another thread does
/// `meanwhile`.
fn batch_with(
    meanwhile: impl FnOnce(&EventBase, evcore::base::EventId) -> Box<dyn FnOnce() + Send>,
) -> Vec<&'static str> {
    let base = EventBase::with_config(EventConfig::new().priorities(3)).unwrap();
    let log: Rc<RefCell<Vec<&'static str>>> = Rc::default();
    let urgent = {
        let log = log.clone();
        Event::user(&base, move |_, _| log.borrow_mut().push("urgent")).unwrap()
    };
    urgent.set_priority(0).unwrap();
    let barrier = Arc::new(Barrier::new(2));
    let lazy: Vec<Event> = ["first", "second", "third"]
        .into_iter()
        .map(|name| {
            let (log, barrier) = (log.clone(), barrier.clone());
            let event = Event::user(&base, move |_, _| {
                log.borrow_mut().push(name);
                if name == "first" {
                    barrier.wait();
                    barrier.wait();
                }
            })
            .unwrap();
            event.set_priority(2).unwrap();
            event.active(NONE).unwrap();
            event
        })
        .collect();
    let act = meanwhile(&base, urgent.id());
    let thread = thread::spawn(move || {
        barrier.wait();
        act();
        barrier.wait();
    });
    base.dispatch().unwrap();
    thread.join().unwrap();
    drop(lazy);
    log.take()
}

#[test]
fn an_urgent_event_from_another_thread_does_not_wait_for_a_lazy_batch() {
    let log = batch_with(|base, urgent| {
        let handle = base.handle();
        Box::new(move || handle.activate(urgent, NONE).unwrap())
    });
    assert_eq!(log, ["first", "urgent", "second", "third"]);
}

#[test]
fn a_break_from_another_thread_ends_the_loop_after_the_callback_that_runs() {
    let log = batch_with(|base, _| {
        let handle = base.handle();
        Box::new(move || handle.loop_break().unwrap())
    });
    assert_eq!(log, ["first"]);
}

#[test]
fn lazy_events_without_end_do_not_keep_urgent_ones_from_running() {
    let base = EventBase::with_config(EventConfig::new().priorities(2)).unwrap();
    let spinners: Vec<Event> = (0..100)
        .map(|_| {
            let spinner = Event::user(&base, |event, _| event.active(NONE).unwrap()).unwrap();
            spinner.set_priority(1).unwrap();
            spinner.active(NONE).unwrap();
            spinner
        })
        .collect();
    let urgent = Event::user(&base, |event, _| event.base().unwrap().loop_break()).unwrap();
    urgent.set_priority(0).unwrap();
    let (handle, id) = (base.handle(), urgent.id());
    let thread = thread::spawn(move || handle.activate(id, NONE).unwrap());
    assert_eq!(base.dispatch().unwrap(), LoopExit::Break);
    thread.join().unwrap();
    drop(spinners);
}

#[test]
fn handles_outlive_a_base_that_goes_away_in_the_middle_of_a_storm() {
    for _ in 0..10 {
        let base = EventBase::new().unwrap();
        let event = Event::user(&base, |_, _| ()).unwrap();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (handle, id) = (base.handle(), event.id());
                thread::spawn(move || loop {
                    match handle.activate(id, NONE) {
                        Ok(()) => (),
                        Err(Error::Freed { .. }) => break,
                        Err(error) => panic!("{error}"),
                    }
                })
            })
            .collect();
        base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY | LoopFlags::ONCE).unwrap();
        drop(base);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(!event.initialized());
    }
}
