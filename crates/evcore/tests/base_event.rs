//! What else can be done with an event: finalizers, assignment, common timeouts, several on one fd.
#![cfg(unix)]

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use evcore::base::NO_FD;
use evcore::{Error, Event, EventBase, EventConfig, EventFlags, LoopFlags};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const NONE: EventFlags = EventFlags::empty();

type Log = Rc<RefCell<Vec<String>>>;

fn logger(log: &Log, text: &str) -> impl FnMut(&Event, EventFlags) + 'static {
    let (log, text) = (log.clone(), text.to_owned());
    move |_, _| log.borrow_mut().push(text.clone())
}

/// Says in the log that it was dropped.
struct Captured(Log, &'static str);

impl Drop for Captured {
    fn drop(&mut self) {
        self.0.borrow_mut().push(format!("dropped {}", self.1));
    }
}

#[test]
fn a_signal_event_runs_as_often_as_it_is_made_active_unless_it_is_deleted() {
    let base = EventBase::new().unwrap();
    let log = Log::default();
    let signal = Event::signal(&base, libc::SIGUSR1, logger(&log, "signal")).unwrap();
    signal.active_times(EventFlags::SIGNAL, 3).unwrap();
    let user = Event::user(&base, logger(&log, "user")).unwrap();
    user.active_times(NONE, 3).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), ["signal", "signal", "signal", "user"]);

    let deleter = {
        let log = log.clone();
        Event::signal(&base, libc::SIGUSR1, move |event, _| {
            log.borrow_mut().push("once".into());
            event.del().unwrap();
        })
        .unwrap()
    };
    deleter.add(None).unwrap();
    deleter.active_times(EventFlags::SIGNAL, 3).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), ["once"]);
}

#[test]
fn a_finalizer_runs_from_the_loop_and_nothing_of_the_event_after_it() {
    let base = EventBase::new().unwrap();
    let log = Log::default();
    let event = Event::timer(&base, logger(&log, "callback")).unwrap();
    event.add(Some(Duration::ZERO)).unwrap();
    event.active(NONE).unwrap();
    let finalizer = {
        let log = log.clone();
        move |event: &Event| {
            assert!(event.initialized());
            assert!(event.add(Some(MS)).is_err());
            log.borrow_mut().push("finalizer".into());
        }
    };
    event.finalize(finalizer).unwrap();
    assert!(matches!(event.add(Some(MS)), Err(Error::InvalidArgument { .. })));
    assert!(matches!(event.active(NONE), Err(Error::InvalidArgument { .. })));
    assert!(matches!(event.finalize(|_| ()), Err(Error::InvalidArgument { .. })));
    assert!(log.borrow().is_empty(), "the finalizer ran within finalize()");
    base.dispatch().unwrap();
    assert_eq!(log.take(), ["finalizer"]);
    event.assign(NO_FD, NONE, logger(&log, "assigned")).unwrap();
    event.add(Some(Duration::ZERO)).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), ["assigned"]);
}

#[test]
fn a_finalizer_runs_though_its_event_was_dropped_or_finalizes_itself() {
    let base = EventBase::new().unwrap();
    let log = Log::default();
    let note = |text: &'static str| {
        let log = log.clone();
        move |_: &Event| log.borrow_mut().push(text.into())
    };
    let captured = Captured(log.clone(), "captures");
    let event = Event::user(&base, move |_, _| _ = &captured).unwrap();
    event.free_finalize(note("freed")).unwrap();
    let dropped = Event::user(&base, |_, _| ()).unwrap();
    dropped.finalize(note("dropped")).unwrap();
    let id = dropped.id();
    drop(dropped);
    let own = note("own");
    let own = Cell::new(Some(own));
    let itself = {
        let log = log.clone();
        Event::user(&base, move |event, _| {
            event.finalize(own.take().unwrap()).unwrap();
            log.borrow_mut().push("callback".into());
        })
        .unwrap()
    };
    itself.active(NONE).unwrap();
    base.dispatch().unwrap();
    let mut log = log.take();
    log.sort();
    assert_eq!(log, ["callback", "dropped", "dropped captures", "freed", "own"]);
    assert!(base.event(id).is_none());
    assert_eq!(base.event_count(), 0);
}

#[test]
fn freeing_the_base_runs_the_finalizers_that_wait_unless_told_not_to() {
    let log = Log::default();
    for way in ["free", "drop", "no finalize"] {
        let base = EventBase::new().unwrap();
        let event = Event::user(&base, |_, _| ()).unwrap();
        let note = log.clone();
        event.finalize(move |_| note.borrow_mut().push(way.into())).unwrap();
        match way {
            "free" => base.free(),
            "no finalize" => base.free_no_finalize(),
            _ => drop(base),
        }
    }
    assert_eq!(log.take(), ["free", "drop"]);
}

#[test]
fn an_event_is_assigned_anew_in_place() {
    let base = EventBase::with_config(EventConfig::new().priorities(3)).unwrap();
    let (mut peer, ours) = UnixStream::pair().unwrap();
    peer.write_all(b"x").unwrap();
    let log = Log::default();
    let captured = Captured(log.clone(), "old");
    let event = Event::timer(&base, move |_, _| _ = &captured).unwrap();
    let id = event.id();
    event.set_priority(2).unwrap();
    event.add(Some(HOUR)).unwrap();
    let assign = || event.assign(ours.as_raw_fd(), EventFlags::READ, logger(&log, "read"));
    assert!(matches!(assign(), Err(Error::InvalidArgument { .. })));
    event.del().unwrap();
    assert!(event.assign(-1, EventFlags::READ, |_, _| ()).is_err());
    assert!(log.borrow().is_empty());
    assign().unwrap();
    assert_eq!(log.take(), ["dropped old"]);
    assert_eq!((event.id(), event.priority()), (id, 1));
    assert_eq!((event.fd(), event.flags()), (ours.as_raw_fd(), EventFlags::READ));
    event.add(None).unwrap();
    base.dispatch().unwrap();
    event.reassign(NO_FD, NONE).unwrap();
    event.add(Some(Duration::ZERO)).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), ["read", "read"]);
}

#[test]
fn an_event_may_assign_itself_in_its_callback() {
    let base = EventBase::new().unwrap();
    let log = Log::default();
    let captured = Captured(log.clone(), "first");
    let event = {
        let log = log.clone();
        Event::user(&base, move |event, _| {
            let _ = &captured;
            event.assign(NO_FD, NONE, logger(&log, "second")).unwrap();
            log.borrow_mut().push("first".into());
            event.active(NONE).unwrap();
        })
        .unwrap()
    };
    event.active(NONE).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), ["first", "dropped first", "second"]);
}

#[test]
fn events_of_one_descriptor_each_get_what_they_wait_for() {
    for method in EventBase::supported_methods() {
        let config = EventConfig::new().method(method).ignore_env(true).clone();
        let base = EventBase::with_config(&config).unwrap();
        let (mut peer, ours) = UnixStream::pair().unwrap();
        let fd = ours.as_raw_fd();
        let log = Log::default();
        let persist = EventFlags::PERSIST;
        let (read, write) = (EventFlags::READ, EventFlags::WRITE);
        let watch = |name, flags| Event::new(&base, fd, flags, logger(&log, name)).unwrap();
        let reader = watch("read", read | persist);
        let writer = watch("write", write | persist);
        let either = watch("either", read | write);
        for event in [&reader, &writer, &either] {
            event.add(None).unwrap();
        }
        let turn = || {
            base.run_loop(LoopFlags::NONBLOCK | LoopFlags::ONCE).unwrap();
            let mut log = log.take();
            log.sort();
            log
        };
        assert_eq!(turn(), ["either", "write"], "{method}");
        assert_eq!(turn(), ["write"], "{method}");
        peer.write_all(b"x").unwrap();
        assert_eq!(turn(), ["read", "write"], "{method}");
        writer.del().unwrap();
        assert_eq!(turn(), ["read"], "{method}");
        either.add(None).unwrap();
        assert_eq!(turn(), ["either", "read"], "{method}");
        reader.del().unwrap();
        assert!(turn().is_empty(), "{method}");
        assert_eq!(base.event_count(), 0);
    }
}

#[test]
fn another_thread_deletes_an_event_by_its_name_and_waits_for_that() {
    let base = EventBase::new().unwrap();
    let event = Event::timer(&base, |_, _| ()).unwrap();
    event.add(Some(HOUR)).unwrap();
    let (handle, id) = (base.handle(), event.id());
    let thread = std::thread::spawn(move || {
        let (done, wait) = std::sync::mpsc::channel();
        handle
            .post(move |base| {
                base.event(id).unwrap().del().unwrap();
                done.send(base.event_count()).unwrap();
            })
            .unwrap();
        wait.recv().unwrap()
    });
    base.dispatch().unwrap();
    assert_eq!(thread.join().unwrap(), 0);
    assert!(event.initialized(), "the other handle freed the event");
}

#[test]
fn common_timeouts_end_in_order_among_all_others() {
    let base = EventBase::new().unwrap();
    let common = base.init_common_timeout(MS * 10).unwrap();
    assert_eq!(common.duration(), MS * 10);
    assert_eq!(base.init_common_timeout(MS * 10).unwrap(), common);
    let log = Log::default();
    let start = Instant::now();
    let timer = |name: &'static str, least: Duration| {
        let log = log.clone();
        Event::timer(&base, move |_, _| {
            assert!(start.elapsed() >= least, "{name} was early");
            log.borrow_mut().push(name.into());
        })
        .unwrap()
    };
    let early = timer("early", MS * 5);
    let first = timer("first", MS * 10);
    let second = timer("second", MS * 10);
    let gone = timer("gone", MS * 10);
    let late = timer("late", MS * 15);
    gone.add_common(&common).unwrap();
    first.add_common(&common).unwrap();
    late.add(Some(MS * 15)).unwrap();
    second.add_common(&common).unwrap();
    early.add(Some(MS * 5)).unwrap();
    gone.del().unwrap();
    assert!(first.remaining().is_some_and(|left| left <= MS * 11 && left > MS));
    base.dispatch().unwrap();
    assert_eq!(log.take(), ["early", "first", "second", "late"]);

    let other = EventBase::new().unwrap();
    let foreign = Event::timer(&other, |_, _| ()).unwrap();
    assert!(matches!(foreign.add_common(&common), Err(Error::InvalidArgument { .. })));
    for ms in 1..256 {
        other.init_common_timeout(MS * ms).unwrap();
    }
    other.init_common_timeout(HOUR).unwrap();
    assert!(matches!(other.init_common_timeout(HOUR * 2), Err(Error::InvalidArgument { .. })));
}

#[test]
fn a_persistent_event_keeps_its_common_timeout() {
    let base = EventBase::new().unwrap();
    let common = base.init_common_timeout(MS * 4).unwrap();
    let (mut peer, ours) = UnixStream::pair().unwrap();
    let start = Instant::now();
    let log = Log::default();
    let idle = {
        let (log, mut ours) = (log.clone(), ours.try_clone().unwrap());
        let flags = EventFlags::READ | EventFlags::PERSIST;
        Event::new(&base, ours.as_raw_fd(), flags, move |event, fired| {
            if fired == EventFlags::READ {
                std::io::Read::read_exact(&mut ours, &mut [0]).unwrap();
                assert!(event.remaining().is_some_and(|left| left > MS * 3), "not set anew");
            }
            log.borrow_mut().push(format!("{fired:?}"));
            if log.borrow().len() == 3 {
                event.del().unwrap();
            }
        })
        .unwrap()
    };
    idle.add_common(&common).unwrap();
    peer.write_all(b"x").unwrap();
    base.dispatch().unwrap();
    let (read, timeout) = (EventFlags::READ, EventFlags::TIMEOUT);
    assert_eq!(log.take(), [read, timeout, timeout].map(|fired| format!("{fired:?}")));
    assert!(start.elapsed() >= MS * 8);
}

#[test]
fn many_idle_timeouts_that_are_put_off_all_the_time_need_no_more_memory_than_a_few() {
    let base = EventBase::new().unwrap();
    let common = base.init_common_timeout(HOUR).unwrap();
    let timers: Vec<_> = (0..10).map(|_| Event::timer(&base, |_, _| ()).unwrap()).collect();
    for round in 0..100_000 {
        timers[round % 10].add_common(&common).unwrap();
    }
    assert_eq!(base.event_count(), 10);
    assert!(timers.iter().all(|timer| timer.remaining().is_some_and(|left| left > HOUR / 2)));
    drop(timers);
    assert_eq!(base.event_count(), 0);
}

#[test]
fn ten_thousand_timers_of_random_times_fire_in_order_never_early_and_within_a_millisecond() {
    for precise in [false, true] {
        // Whatever else the machine does may keep the loop from its processor, but not every time.
        let mut medians = (0..20).map(|_| median_lateness_of_ten_thousand_timers(precise));
        assert!(medians.any(|median| median < MS), "late");
    }
}

fn median_lateness_of_ten_thousand_timers(precise: bool) -> Duration {
    let base = EventBase::with_config(EventConfig::new().precise_timer(precise)).unwrap();
    let late: Rc<RefCell<Vec<Duration>>> = Rc::default();
    let last = Rc::new(Cell::new(Duration::ZERO));
    let start = Instant::now();
    let mut seed = 1_u64;
    let timers: Vec<Event> = (0..10_000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Late enough that all are set before the first is due.
            let delay = Duration::from_micros(50_000 + (seed >> 33) % 50_000);
            let (late, last) = (late.clone(), last.clone());
            let set = start.elapsed();
            let set_by = Rc::new(Cell::new(Duration::MAX));
            let known = set_by.clone();
            let timer = Event::timer(&base, move |_, _| {
                let due = set + delay;
                let now = start.elapsed();
                assert!(now >= due, "early");
                assert!(known.get() + delay >= last.get(), "out of order");
                last.set(due.max(last.get()));
                late.borrow_mut().push(now - due);
            })
            .unwrap();
            timer.add(Some(delay)).unwrap();
            // The clock that timers count from may be some microseconds ahead.
            set_by.set(start.elapsed() + Duration::from_micros(10));
            timer
        })
        .collect();
    base.dispatch().unwrap();
    let mut late = late.take();
    assert_eq!(late.len(), timers.len());
    late.sort_unstable();
    late[late.len() / 2]
}

#[test]
fn a_signal_is_caught_again_after_somebody_has_gone_back_to_its_default() {
    let count = Rc::new(Cell::new(0));
    for round in 1..=3 {
        let base = EventBase::new().unwrap();
        let counted = count.clone();
        let signal = Event::signal(&base, libc::SIGWINCH, move |event, _| {
            counted.set(counted.get() + 1);
            event.del().unwrap();
        })
        .unwrap();
        signal.add(None).unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::WINCH)
            .unwrap();
        base.loop_exit(Some(MS * 5000)).unwrap();
        while count.get() < round && !base.got_exit() {
            base.run_loop(LoopFlags::ONCE).unwrap();
        }
        assert_eq!(count.get(), round);
        // SAFETY: the default action is always valid.
        unsafe { libc::signal(libc::SIGWINCH, libc::SIG_DFL) };
    }
}
