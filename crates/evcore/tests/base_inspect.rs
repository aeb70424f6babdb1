//! Counting, visiting and dumping events; watchers; the current base.
#![cfg(unix)]

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use evcore::base::{compat, CountKinds, Watcher, NO_FD};
use evcore::{Error, Event, EventBase, EventConfig, EventFlags, LoopExit, LoopFlags};

const HOUR: Duration = Duration::from_secs(3600);

fn base() -> EventBase {
    EventBase::with_config(EventConfig::new().ignore_env(true).priorities(2)).unwrap()
}

#[test]
fn events_are_counted_by_kind_with_their_maxima() {
    let base = base();
    let all = CountKinds::all();
    let timers: Vec<_> = (0..3).map(|_| Event::timer(&base, |_, _| ()).unwrap()).collect();
    for timer in &timers {
        timer.add(Some(HOUR)).unwrap();
        timer.add(Some(HOUR)).unwrap();
    }
    timers[0].active(EventFlags::TIMEOUT).unwrap();
    let hold = base.hold();
    assert_eq!(base.num_events(CountKinds::ADDED), 3);
    assert_eq!(base.num_events(CountKinds::ACTIVE), 1);
    assert_eq!(base.num_events(CountKinds::VIRTUAL), 1);
    assert_eq!(base.num_events(all), 5);
    assert_eq!(base.event_count(), 4);
    drop((hold, timers));
    assert_eq!(base.num_events(all), 0);
    assert_eq!(base.max_events(CountKinds::ADDED, false), 3);
    assert_eq!(base.max_events(all, true), 5);
    assert_eq!(base.max_events(all, false), 0);
}

#[test]
fn a_hold_keeps_the_loop_alive_until_it_is_dropped() {
    let base = base();
    let hold = RefCell::new(Some(base.hold()));
    assert_eq!(base.run_loop(LoopFlags::NONBLOCK).unwrap(), LoopExit::Done);
    let turns = Rc::new(Cell::new(0));
    let _watcher = {
        let turns = turns.clone();
        let timer = Event::timer(&base, move |_, _| *hold.borrow_mut() = None).unwrap();
        Watcher::prepare(&base, move |wait| {
            turns.set(turns.get() + 1);
            if turns.get() == 1 {
                assert_eq!(wait, None);
                timer.add(Some(Duration::ZERO)).unwrap();
            }
        })
        .unwrap()
    };
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    assert_eq!(turns.get(), 1);
}

#[test]
fn the_running_event_is_the_one_whose_callback_runs() {
    let base = base();
    let seen = Rc::new(Cell::new(None));
    let event = {
        let (seen, weak) = (seen.clone(), base.downgrade());
        Event::user(&base, move |_, _| {
            let running = weak.upgrade().unwrap().running_event().unwrap();
            seen.set(Some(running.id()));
        })
        .unwrap()
    };
    assert!(base.running_event().is_none());
    for _ in 0..2 {
        event.active(EventFlags::empty()).unwrap();
        base.dispatch().unwrap();
        assert_eq!(seen.take(), Some(event.id()));
        assert!(event.initialized(), "the handle on the running event freed it");
    }
    assert!(base.running_event().is_none());
}

#[test]
fn a_visit_sees_what_is_pending_or_active_and_may_free_it() {
    let base = base();
    let (_peer, ours) = UnixStream::pair().unwrap();
    let reader = Event::new(&base, ours.as_raw_fd(), EventFlags::READ, |_, _| ()).unwrap();
    reader.add(None).unwrap();
    let timer = Event::timer(&base, |_, _| ()).unwrap();
    timer.add(Some(HOUR)).unwrap();
    let active = Event::user(&base, |_, _| ()).unwrap();
    active.active(EventFlags::empty()).unwrap();
    let idle = Event::timer(&base, |_, _| ()).unwrap();

    let mut seen = Vec::new();
    let outcome = base.foreach_event(|event| {
        seen.push(event.id());
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(outcome.unwrap(), ControlFlow::Continue(()));
    assert_eq!(seen, [reader.id(), timer.id(), active.id()]);
    assert!(!seen.contains(&idle.id()));

    let mut visits = 0;
    let all = [&reader, &timer, &active];
    let outcome = base.foreach_event(|_| {
        visits += 1;
        all.iter().for_each(|event| event.free());
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(outcome.unwrap(), ControlFlow::Continue(()));
    assert_eq!(visits, 1);

    idle.add(Some(HOUR)).unwrap();
    assert_eq!(base.foreach_event(|_| ControlFlow::Break(7)).unwrap(), ControlFlow::Break(7));
}

#[test]
fn a_dump_names_each_event_with_what_it_waits_for() {
    struct Full;
    impl std::fmt::Write for Full {
        fn write_str(&mut self, _: &str) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }
    let base = base();
    let (_peer, ours) = UnixStream::pair().unwrap();
    let flags = EventFlags::READ | EventFlags::PERSIST;
    let reader = Event::new(&base, ours.as_raw_fd(), flags, |_, _| ()).unwrap();
    reader.add(Some(HOUR)).unwrap();
    reader.active(EventFlags::READ).unwrap();
    let signal = Event::signal(&base, libc::SIGUSR2, |_, _| ()).unwrap();
    signal.add(None).unwrap();
    let mut text = String::new();
    base.dump_events(&mut text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "Inserted events:");
    let fd = format!("[fd {}] READ PERSIST, priority 1, timeout in 3599.", ours.as_raw_fd());
    assert!(lines[1].contains(&fd), "{text}");
    assert!(lines[2].contains(&format!("[sig {}] SIGNAL PERSIST", libc::SIGUSR2)), "{text}");
    assert_eq!(lines[3], "Active events:");
    assert!(lines[4].contains("] READ,"), "{text}");
    assert!(matches!(base.dump_events(&mut Full), Err(Error::InvalidArgument { .. })));
}

#[test]
fn events_are_made_active_by_descriptor_and_by_signal() {
    let base = base();
    let (_peer, ours) = UnixStream::pair().unwrap();
    let log: Rc<RefCell<Vec<(&str, EventFlags)>>> = Rc::default();
    let watch = |name, fd, flags: EventFlags| {
        let log = log.clone();
        Event::new(&base, fd, flags, move |event, fired| {
            log.borrow_mut().push((name, fired));
            event.del().unwrap();
        })
        .unwrap()
    };
    let events = [
        watch("reader", ours.as_raw_fd(), EventFlags::READ),
        watch("both", ours.as_raw_fd(), EventFlags::READ | EventFlags::CLOSED),
        watch("signal", libc::SIGUSR2, EventFlags::SIGNAL),
    ];
    for event in &events {
        event.add(None).unwrap();
    }
    base.active_by_fd(ours.as_raw_fd(), EventFlags::CLOSED).unwrap();
    base.active_by_fd(NO_FD, EventFlags::READ).unwrap();
    base.active_by_fd(1_000_000, EventFlags::READ).unwrap();
    base.active_by_signal(libc::SIGUSR2).unwrap();
    base.active_by_signal(-1).unwrap();
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    assert_eq!(log.take(), [("both", EventFlags::CLOSED), ("signal", EventFlags::SIGNAL)]);
    base.active_by_fd(ours.as_raw_fd(), EventFlags::READ | EventFlags::WRITE).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), [("reader", EventFlags::READ)]);
}

#[test]
fn watchers_run_before_and_after_each_wait_in_the_order_of_their_making() {
    let base = base();
    let log: Rc<RefCell<Vec<String>>> = Rc::default();
    let note = |text: &str| {
        let (log, text) = (log.clone(), text.to_owned());
        move || log.borrow_mut().push(text.clone())
    };
    let prepare = {
        let log = log.clone();
        Watcher::prepare(&base, move |wait| log.borrow_mut().push(format!("prepare {wait:?}")))
            .unwrap()
    };
    let first = Watcher::check(&base, note("first")).unwrap();
    let second = Watcher::check(&base, note("second")).unwrap();
    let event = Event::user(&base, {
        let note = note("event");
        move |_, _| note()
    })
    .unwrap();
    event.active(EventFlags::empty()).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), ["prepare Some(0ns)", "first", "second", "event"]);
    drop(first);
    prepare.free();
    prepare.free();
    assert!(second.base().is_some());
    base.run_loop(LoopFlags::NONBLOCK | LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
    assert_eq!(log.take(), ["second"]);
    base.free();
    assert!(second.base().is_some_and(|base| base.is_freed()));
    assert!(matches!(Watcher::check(&base, || ()), Err(Error::Freed { .. })));
}

#[test]
fn a_watcher_may_free_itself_others_and_the_base() {
    let base = base();
    let held: Rc<RefCell<Vec<Watcher>>> = Rc::default();
    let runs = Rc::new(Cell::new(0));
    for _ in 0..2 {
        let (all, runs, weak) = (held.clone(), runs.clone(), base.downgrade());
        let watcher = Watcher::prepare(&base, move |_| {
            runs.set(runs.get() + 1);
            all.borrow_mut().clear();
            let base = weak.upgrade().unwrap();
            let late = Watcher::prepare(&base, |_| unreachable!("made in this turn")).unwrap();
            base.free();
            drop(late);
        })
        .unwrap();
        held.borrow_mut().push(watcher);
    }
    let outcome = base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
    assert_eq!(outcome, LoopExit::NoEvents);
    assert_eq!(runs.get(), 1);
}

#[test]
fn a_panicking_watcher_leaves_the_base_usable() {
    let base = base();
    let bad = Cell::new(true);
    let _watcher = Watcher::check(&base, move || {
        if bad.take() {
            panic!("on purpose");
        }
    })
    .unwrap();
    let flags = LoopFlags::NONBLOCK | LoopFlags::NO_EXIT_ON_EMPTY;
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| base.run_loop(flags)));
    assert!(outcome.is_err());
    assert_eq!(base.run_loop(flags).unwrap(), LoopExit::Done);
}

#[test]
fn the_obsolete_functions_use_the_threads_current_base() {
    assert!(matches!(compat::dispatch(), Err(Error::InvalidArgument { .. })));
    let base = compat::init().unwrap();
    compat::priority_init(3).unwrap();
    assert_eq!(base.priorities(), 3);
    assert_eq!(compat::method().unwrap(), base.method());
    let ran = Rc::new(Cell::new(0));
    let once = |action: fn()| {
        let ran = ran.clone();
        let run = move |_| {
            ran.set(ran.get() + 1);
            action();
        };
        compat::once(NO_FD, EventFlags::empty(), None, run).unwrap();
    };
    once(|| ());
    assert_eq!(compat::dispatch().unwrap(), LoopExit::NoEvents);
    once(|| compat::loop_break().unwrap());
    assert_eq!(compat::run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap(), LoopExit::Break);
    once(|| compat::loop_exit(None).unwrap());
    assert_eq!(compat::run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap(), LoopExit::Exit);
    assert_eq!(ran.get(), 3);
    std::thread::spawn(|| assert!(compat::current_base().is_none())).join().unwrap();
    base.free();
    assert!(compat::current_base().is_none());
    compat::shutdown();
}
