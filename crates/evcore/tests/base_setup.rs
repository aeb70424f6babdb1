//! Log and fatal callbacks, debug logging, debug mode. One test a process-wide setting, in turn.
#![cfg(unix)]

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evcore::base::compat;
use evcore::log::{self, Severity};
use evcore::{Error, Event, EventBase, EventConfig, EventFlags};

type Lines = Arc<Mutex<Vec<String>>>;

/// The callbacks belong to the process: only one test at a time may set them.
struct Callbacks {
    logged: Lines,
    fatal: Lines,
    _alone: MutexGuard<'static, ()>,
}

impl Callbacks {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (logged, fatal) = (Lines::default(), Lines::default());
        let lines = logged.clone();
        log::set_log_callback(Some(Arc::new(move |severity, text: &str| {
            lines.lock().unwrap().push(format!("{severity}: {text}"));
        })));
        let lines = fatal.clone();
        log::set_fatal_callback(Some(Arc::new(move |text: &str| {
            lines.lock().unwrap().push(text.into());
        })));
        Self { logged, fatal, _alone: alone }
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        evcore::global_shutdown();
    }
}

fn take(lines: &Lines) -> Vec<String> {
    std::mem::take(&mut lines.lock().unwrap())
}

fn debug_base() -> EventBase {
    EventBase::with_config(EventConfig::new().debug_mode(true).ignore_env(true)).unwrap()
}

#[test]
fn debug_messages_come_only_when_they_are_switched_on() {
    let callbacks = Callbacks::new();
    let base = EventBase::new().unwrap();
    let timer = Event::timer(&base, |_, _| ()).unwrap();
    let run = || {
        timer.add(Some(Duration::ZERO)).unwrap();
        base.dispatch().unwrap();
        timer.del().unwrap();
        take(&callbacks.logged)
    };
    assert!(run().is_empty());
    log::enable_debug_logging(log::DEBUG_ALL);
    let lines = run();
    let expected = ["debug: Event::add: event", "debug: event", "debug: Event::del: event"];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, start) in lines.iter().zip(expected) {
        assert!(line.starts_with(start), "{line}");
    }
    assert!(lines[1].contains("TIMEOUT"));
    log::enable_debug_logging(log::DEBUG_NONE);
    assert!(run().is_empty());
}

#[test]
fn a_log_callback_may_use_the_library() {
    let callbacks = Callbacks::new();
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    log::set_log_callback(Some(Arc::new(move |severity, _: &str| {
        assert_eq!(severity, Severity::Debug);
        *counted.lock().unwrap() += 1;
        let base = EventBase::new().unwrap();
        let timer = Event::timer(&base, |_, _| ()).unwrap();
        timer.add(Some(Duration::ZERO)).unwrap();
        base.dispatch().unwrap();
        log::set_log_callback(None);
    })));
    log::enable_debug_logging(log::DEBUG_ALL);
    let base = EventBase::new().unwrap();
    Event::timer(&base, |_, _| ()).unwrap().add(Some(Duration::ZERO)).unwrap();
    assert_eq!(*count.lock().unwrap(), 1);
    drop(callbacks);
}

#[test]
fn debug_mode_finds_a_descriptor_that_was_closed_and_opened_anew_under_its_event() {
    let callbacks = Callbacks::new();
    let base = debug_base();
    let (peer, ours) = UnixStream::pair().unwrap();
    let fd = ours.as_raw_fd();
    let flags = EventFlags::READ | EventFlags::PERSIST;
    let event = Event::new(&base, fd, flags, |_, _| ()).unwrap();
    event.add(None).unwrap();
    event.add(None).unwrap();
    assert!(take(&callbacks.fatal).is_empty());
    // Another file under the same number.
    // SAFETY: both descriptors are open and ours.
    assert_eq!(unsafe { libc::dup2(peer.as_raw_fd(), fd) }, fd);
    assert!(matches!(event.add(None), Err(Error::InvalidArgument { .. })));
    let (fatal, logged) = (take(&callbacks.fatal), take(&callbacks.logged));
    assert_eq!(fatal.len(), 1, "{fatal:?}");
    assert!(fatal[0].contains(&format!("descriptor {fd}")), "{fatal:?}");
    assert_eq!(logged, [format!("err: {}", fatal[0])]);
    assert!(matches!(event.del(), Err(Error::InvalidArgument { .. })));
    assert_eq!(base.event_count(), 0, "the event is off the loop all the same");
    event.add(None).unwrap();
    event.del().unwrap();
    assert_eq!(take(&callbacks.fatal).len(), 1);
}

#[test]
fn debug_mode_reports_the_use_of_freed_events() {
    let callbacks = Callbacks::new();
    for (base, reports) in [(debug_base(), 2), (EventBase::new().unwrap(), 0)] {
        let event = Event::timer(&base, |_, _| ()).unwrap();
        event.free();
        assert!(!event.initialized());
        assert!(matches!(event.add(None), Err(Error::Freed { .. })));
        assert!(matches!(event.active(EventFlags::READ), Err(Error::Freed { .. })));
        event.free();
        drop(event);
        assert_eq!(take(&callbacks.fatal).len(), reports);
        assert_eq!(take(&callbacks.logged).len(), reports);
    }
}

#[test]
fn the_global_shutdown_lets_go_of_everything_and_can_be_called_again() {
    let callbacks = Callbacks::new();
    let base = compat::init().unwrap();
    let weak = base.downgrade();
    drop(base);
    assert!(weak.upgrade().is_some());
    evcore::global_shutdown();
    assert!(weak.upgrade().is_none());
    assert_eq!(Arc::strong_count(&callbacks.logged), 1);
    assert_eq!(Arc::strong_count(&callbacks.fatal), 1);
    evcore::global_shutdown();
    compat::init().unwrap();
    assert!(compat::current_base().is_some());
}
