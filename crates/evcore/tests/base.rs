//! The loop and its events, on every method of this platform.
#![cfg(unix)]

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use evcore::{Error, Event, EventBase, EventConfig, EventFlags, LoopExit, LoopFlags};

const MS: Duration = Duration::from_millis(1);

/// Notes what happened, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn note(&self, text: impl Into<String>) {
        self.0.borrow_mut().push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut())
    }
}

fn base_of(method: &str) -> EventBase {
    EventBase::with_config(EventConfig::new().method(method).ignore_env(true).priorities(3))
        .unwrap_or_else(|error| panic!("{method}: {error}"))
}

fn on_every_method(test: impl Fn(EventBase)) {
    for method in EventBase::supported_methods() {
        let base = base_of(method);
        assert_eq!(base.method(), *method);
        test(base);
    }
}

fn user(base: &EventBase, log: &Log, name: &'static str) -> Event {
    let log = log.clone();
    Event::user(base, move |_, _| log.note(name)).unwrap()
}

#[test]
fn an_empty_base_returns_at_once() {
    on_every_method(|base| {
        assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
        assert_eq!(base.event_count(), 0);
    });
}

#[test]
fn a_one_shot_event_runs_once_and_a_persistent_one_until_it_is_deleted() {
    on_every_method(|base| {
        let (mut peer, ours) = UnixStream::pair().unwrap();
        peer.write_all(b"x").unwrap();
        let log = Log::default();
        let once = {
            let log = log.clone();
            Event::new(&base, ours.as_raw_fd(), EventFlags::READ, move |event, fired| {
                log.note(format!("once {fired:?} {:?}", event.pending(EventFlags::READ)));
            })
            .unwrap()
        };
        let seen = Cell::new(0);
        let persistent = {
            let log = log.clone();
            let flags = EventFlags::READ | EventFlags::PERSIST;
            Event::new(&base, ours.as_raw_fd(), flags, move |event, _| {
                seen.set(seen.get() + 1);
                log.note(format!("persistent {}", seen.get()));
                if seen.get() == 3 {
                    event.del().unwrap();
                }
            })
            .unwrap()
        };
        once.add(None).unwrap();
        persistent.add(None).unwrap();
        assert_eq!(base.event_count(), 2);
        assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
        let mut log = log.take();
        log.sort();
        let read = EventFlags::READ;
        let none = EventFlags::empty();
        assert_eq!(
            log,
            [
                format!("once {read:?} {none:?}"),
                "persistent 1".into(),
                "persistent 2".into(),
                "persistent 3".into()
            ]
        );
    });
}

#[test]
fn timers_fire_in_order_and_never_early() {
    on_every_method(|base| {
        let log = Log::default();
        let start = Instant::now();
        let timers: Vec<Event> = [30, 10, 20, 0]
            .into_iter()
            .map(|ms: u32| {
                let log = log.clone();
                let timer = Event::timer(&base, move |_, fired| {
                    assert_eq!(fired, EventFlags::TIMEOUT);
                    assert!(start.elapsed() >= MS * ms, "{ms} ms timer was early");
                    log.note(ms.to_string());
                })
                .unwrap();
                timer.add(Some(MS * ms)).unwrap();
                timer
            })
            .collect();
        base.dispatch().unwrap();
        assert_eq!(log.take(), ["0", "10", "20", "30"]);
        assert!(timers.iter().all(|timer| timer.pending(EventFlags::TIMEOUT).is_empty()));
    });
}

#[test]
fn a_timer_added_after_a_long_callback_counts_from_its_own_addition() {
    let base = EventBase::new().unwrap();
    let second = Rc::new(RefCell::new(None::<Event>));
    let added = Rc::new(Cell::new(None::<Instant>));
    let fired = {
        let added = added.clone();
        Event::timer(&base, move |_, _| {
            assert!(added.get().is_some_and(|added| added.elapsed() >= MS * 10));
            added.set(None);
        })
        .unwrap()
    };
    *second.borrow_mut() = Some(fired);
    let first = {
        let (second, added) = (second.clone(), added.clone());
        Event::timer(&base, move |_, _| {
            let busy = Instant::now();
            while busy.elapsed() < MS * 20 {
                std::hint::spin_loop();
            }
            added.set(Some(Instant::now()));
            second.borrow().as_ref().unwrap().add(Some(MS * 10)).unwrap();
        })
        .unwrap()
    };
    first.add(Some(Duration::ZERO)).unwrap();
    base.dispatch().unwrap();
    assert!(added.get().is_none(), "the second timer never fired");
}

#[test]
fn a_persistent_timer_keeps_its_pace() {
    let base = EventBase::new().unwrap();
    let count = Rc::new(Cell::new(0));
    let start = Instant::now();
    let timer = {
        let count = count.clone();
        let flags = EventFlags::PERSIST;
        Event::new(&base, evcore::base::NO_FD, flags, move |event, _| {
            count.set(count.get() + 1);
            assert!(start.elapsed() >= MS * 5 * count.get());
            if count.get() == 4 {
                event.del().unwrap();
            }
        })
        .unwrap()
    };
    timer.add(Some(MS * 5)).unwrap();
    base.dispatch().unwrap();
    assert_eq!(count.get(), 4);
}

#[test]
fn urgent_events_run_first_and_cut_in() {
    let base = base_of("poll");
    let log = Log::default();
    let urgent = Rc::new(user(&base, &log, "urgent"));
    urgent.set_priority(0).unwrap();
    let lazy = {
        let (log, urgent) = (log.clone(), urgent.clone());
        Event::user(&base, move |_, _| {
            log.note("lazy");
            urgent.active(EventFlags::empty()).unwrap();
        })
        .unwrap()
    };
    lazy.set_priority(2).unwrap();
    let lazier = user(&base, &log, "lazier");
    lazier.set_priority(2).unwrap();
    let normal = user(&base, &log, "normal");
    for event in [&lazy, &lazier, &normal, &*urgent] {
        event.active(EventFlags::empty()).unwrap();
    }
    base.dispatch().unwrap();
    assert_eq!(log.take(), ["urgent", "normal", "lazy", "urgent", "lazier"]);
}

#[test]
fn an_event_that_activates_itself_does_not_starve_the_descriptors() {
    on_every_method(|base| {
        let (mut peer, ours) = UnixStream::pair().unwrap();
        let stop = Rc::new(Cell::new(false));
        let spinner = {
            let stop = stop.clone();
            Event::user(&base, move |event, _| {
                if !stop.get() {
                    event.active(EventFlags::empty()).unwrap();
                }
            })
            .unwrap()
        };
        let reader = {
            let stop = stop.clone();
            Event::new(&base, ours.as_raw_fd(), EventFlags::READ, move |_, _| stop.set(true))
                .unwrap()
        };
        reader.add(None).unwrap();
        spinner.active(EventFlags::empty()).unwrap();
        peer.write_all(b"x").unwrap();
        base.dispatch().unwrap();
        assert!(stop.get());
    });
}

#[test]
fn a_callback_may_free_its_own_event_others_and_the_base() {
    let base = EventBase::new().unwrap();
    let log = Log::default();
    let slot: Rc<RefCell<Vec<Event>>> = Rc::default();
    for name in ["a", "b", "c"] {
        let (log, all, base) = (log.clone(), slot.clone(), base.downgrade());
        let event = Event::user(&base.upgrade().unwrap(), move |event, _| {
            log.note(name);
            all.borrow_mut().clear();
            assert!(!event.initialized());
            assert!(matches!(event.add(None), Err(Error::Freed { .. })));
            base.upgrade().unwrap().free();
        })
        .unwrap();
        event.active(EventFlags::empty()).unwrap();
        slot.borrow_mut().push(event);
    }
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    assert_eq!(log.take(), ["a"]);
    assert!(matches!(base.dispatch(), Err(Error::Freed { .. })));
    assert!(matches!(Event::user(&base, |_, _| ()), Err(Error::Freed { .. })));
}

#[test]
fn a_callback_may_drop_the_last_handle_on_the_base() {
    let base = EventBase::new().unwrap();
    let held = Rc::new(RefCell::new(Some(base.clone())));
    let event = {
        let held = held.clone();
        Event::user(&base, move |_, _| *held.borrow_mut() = None).unwrap()
    };
    event.active(EventFlags::empty()).unwrap();
    let weak = base.downgrade();
    let run = {
        let running = base.clone();
        drop(base);
        move || running.dispatch()
    };
    assert_eq!(run().unwrap(), LoopExit::NoEvents);
    drop(run);
    assert!(weak.upgrade().is_none());
    assert!(!event.initialized());
}

#[test]
fn a_loop_within_the_loop_is_refused() {
    let base = EventBase::new().unwrap();
    let outcome = Rc::new(RefCell::new(None));
    let event = {
        let (outcome, base) = (outcome.clone(), base.downgrade());
        Event::user(&base.upgrade().unwrap(), move |_, _| {
            *outcome.borrow_mut() = Some(base.upgrade().unwrap().run_loop(LoopFlags::ONCE));
        })
        .unwrap()
    };
    event.active(EventFlags::empty()).unwrap();
    base.dispatch().unwrap();
    assert!(matches!(outcome.take(), Some(Err(Error::LoopRunning { .. }))));
}

#[test]
fn a_panicking_callback_leaves_the_base_usable() {
    let base = EventBase::new().unwrap();
    let log = Log::default();
    let bad = Event::user(&base, |_, _| panic!("on purpose")).unwrap();
    let good = user(&base, &log, "good");
    bad.active(EventFlags::empty()).unwrap();
    good.active(EventFlags::empty()).unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| base.dispatch()));
    assert!(outcome.is_err());
    assert!(!base.is_running());
    base.dispatch().unwrap();
    assert_eq!(log.take(), ["good"]);
}

#[test]
fn break_ends_the_loop_after_the_callback_and_exit_after_the_batch() {
    let base = EventBase::new().unwrap();
    let log = Log::default();
    let breaker = {
        let (log, base) = (log.clone(), base.downgrade());
        Event::user(&base.upgrade().unwrap(), move |_, _| {
            log.note("break");
            base.upgrade().unwrap().loop_break();
        })
        .unwrap()
    };
    let after = user(&base, &log, "after");
    breaker.active(EventFlags::empty()).unwrap();
    after.active(EventFlags::empty()).unwrap();
    assert_eq!(base.dispatch().unwrap(), LoopExit::Break);
    assert!(base.got_break() && !base.got_exit());
    assert_eq!(log.take(), ["break"]);
    base.loop_exit(None).unwrap();
    assert_eq!(base.dispatch().unwrap(), LoopExit::Exit);
    assert!(base.got_exit() && !base.got_break());
    assert_eq!(log.take(), ["after"]);
}

#[test]
fn exit_after_a_time_ends_a_loop_that_waits() {
    on_every_method(|base| {
        let start = Instant::now();
        base.loop_exit(Some(MS * 20)).unwrap();
        assert_eq!(base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap(), LoopExit::Exit);
        assert!(start.elapsed() >= MS * 20);
    });
}

#[test]
fn once_and_nonblock_bound_the_loop() {
    on_every_method(|base| {
        let log = Log::default();
        let slow = Event::timer(&base, |_, _| unreachable!()).unwrap();
        slow.add(Some(Duration::from_secs(3600))).unwrap();
        assert_eq!(base.run_loop(LoopFlags::NONBLOCK).unwrap(), LoopExit::Done);
        let soon = {
            let log = log.clone();
            Event::timer(&base, move |_, _| log.note("soon")).unwrap()
        };
        soon.add(Some(MS)).unwrap();
        assert_eq!(base.run_loop(LoopFlags::ONCE).unwrap(), LoopExit::Done);
        assert_eq!(log.take(), ["soon"]);
    });
}

#[test]
fn other_threads_post_activate_and_break() {
    on_every_method(|base| {
        let log = Log::default();
        let event = user(&base, &log, "activated");
        let (handle, id) = (base.handle(), event.id());
        let thread = std::thread::spawn(move || {
            handle.activate(id, EventFlags::READ).unwrap();
            for _ in 0..1000 {
                handle.post(|_| ()).unwrap();
            }
            handle.loop_break().unwrap();
            handle
        });
        assert_eq!(base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap(), LoopExit::Break);
        let handle = thread.join().unwrap();
        base.run_loop(LoopFlags::NONBLOCK).unwrap();
        assert_eq!(log.take(), ["activated"]);
        drop(event);
        handle.activate(id, EventFlags::READ).unwrap();
        base.run_loop(LoopFlags::NONBLOCK).unwrap();
        drop(base);
        assert!(matches!(handle.post(|_| ()), Err(Error::Freed { .. })));
    });
}

#[test]
fn signals_reach_their_events_as_often_as_they_came() {
    on_every_method(|base| {
        let count = Rc::new(Cell::new(0));
        let event = {
            let count = count.clone();
            Event::signal(&base, libc::SIGUSR1, move |event, fired| {
                assert_eq!(fired, EventFlags::SIGNAL);
                assert_eq!(event.fd(), libc::SIGUSR1);
                count.set(count.get() + 1);
                if count.get() == 3 {
                    event.del().unwrap();
                }
            })
            .unwrap()
        };
        event.add(None).unwrap();
        for _ in 0..3 {
            // SAFETY: sends a signal to this very thread, which has a handler for it.
            assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
        }
        base.dispatch().unwrap();
        assert_eq!(count.get(), 3);
    });
}

#[test]
fn bad_arguments_are_refused_with_a_reason() {
    on_every_method(|base| {
        let none = |_: &Event, _: EventFlags| ();
        for (fd, flags) in [
            (-1 as RawFd, EventFlags::READ),
            (RawFd::MIN, EventFlags::WRITE),
            (0, EventFlags::SIGNAL),
            (-1, EventFlags::SIGNAL),
            (4096, EventFlags::SIGNAL),
            (0, EventFlags::SIGNAL | EventFlags::READ),
        ] {
            let outcome = Event::new(&base, fd, flags, none);
            assert!(matches!(outcome, Err(Error::InvalidArgument { .. })), "{fd} {flags:?}");
        }
        for fd in [1_000_000, RawFd::MAX] {
            let event = Event::new(&base, fd, EventFlags::READ, none).unwrap();
            let error = event.add(None).unwrap_err();
            assert!(matches!(error, Error::Os { .. }), "{error}");
            assert!(event.pending(EventFlags::READ).is_empty());
        }
        let kill = Event::signal(&base, libc::SIGKILL, none).unwrap();
        assert!(matches!(kill.add(None), Err(Error::Os { .. })));
        let event = Event::timer(&base, none).unwrap();
        assert!(matches!(event.set_priority(3), Err(Error::InvalidArgument { .. })));
        assert!(base.priority_init(0).is_err());
        assert!(base.priority_init(257).is_err());
        event.add(Some(Duration::MAX)).unwrap();
        assert_eq!(base.run_loop(LoopFlags::NONBLOCK).unwrap(), LoopExit::Done);
    });
}

#[test]
fn a_method_that_cannot_be_is_refused() {
    let outcome = EventBase::with_config(EventConfig::new().method("abacus"));
    assert!(matches!(outcome, Err(Error::Unsupported { .. })));
    let mut config = EventConfig::new();
    for method in EventBase::supported_methods() {
        config.avoid_method(method);
    }
    assert!(matches!(EventBase::with_config(&config), Err(Error::Unsupported { .. })));
}

#[test]
fn once_runs_once_and_frees_itself() {
    on_every_method(|base| {
        let (mut peer, ours) = UnixStream::pair().unwrap();
        peer.write_all(b"x").unwrap();
        let log = Log::default();
        for (fd, flags, timeout) in [
            (ours.as_raw_fd(), EventFlags::READ, None),
            (evcore::base::NO_FD, EventFlags::empty(), Some(MS)),
            (evcore::base::NO_FD, EventFlags::empty(), None),
        ] {
            let log = log.clone();
            base.once(fd, flags, timeout, move |_| log.note("ran")).unwrap();
        }
        base.dispatch().unwrap();
        assert_eq!(log.take().len(), 3);
        assert!(base.once(0, EventFlags::SIGNAL, None, |_| ()).is_err());
    });
}

#[test]
fn another_backend_takes_over_what_is_watched() {
    let base = base_of("poll");
    let (mut peer, ours) = UnixStream::pair().unwrap();
    let log = Log::default();
    let event = {
        let log = log.clone();
        Event::new(&base, ours.as_raw_fd(), EventFlags::READ, move |_, _| log.note("read")).unwrap()
    };
    event.add(None).unwrap();
    for method in EventBase::supported_methods() {
        let backend = EventBase::open_backend(EventConfig::new().method(method)).unwrap();
        base.replace_backend(backend).unwrap();
        assert_eq!(base.method(), *method);
    }
    let handle = base.handle();
    let thread = std::thread::spawn(move || {
        handle.post(move |_| peer.write_all(b"x").unwrap()).unwrap();
    });
    base.dispatch().unwrap();
    thread.join().unwrap();
    assert_eq!(log.take(), ["read"]);
}
