//! Events and the descriptors that they watch.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use evcore::backend::{self, Features};
use evcore::{Error, Event, EventBase, EventFlags};

use super::{turn, until, Count};

const READ: EventFlags = EventFlags::READ.union(EventFlags::PERSIST);
const WRITE: EventFlags = EventFlags::WRITE.union(EventFlags::PERSIST);

pub fn each_of_many_events_on_one_descriptor_runs(base: EventBase) {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let (read, write) = (Count::default(), Count::default());
    let _readers: Vec<_> = (0..100).map(|_| read.event(&base, &ours, READ)).collect();
    let writers: Vec<_> = (0..100).map(|_| write.event(&base, &ours, WRITE)).collect();
    turn(&base);
    assert_eq!((read.take(), write.take()), (0, 100));
    peer.write_all(b"x").unwrap();
    turn(&base);
    assert_eq!((read.take(), write.take()), (100, 100));
    drop(writers);
    turn(&base);
    assert_eq!((read.take(), write.take()), (100, 0));
}

pub fn events_on_one_descriptor_get_only_what_they_asked_for(base: EventBase) {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let (read, write, both) = (Count::default(), Count::default(), Count::default());
    let _read = read.event(&base, &ours, READ);
    let _write = write.event(&base, &ours, WRITE);
    let _both = both.event(&base, &ours, READ | WRITE);
    turn(&base);
    assert_eq!((read.take(), write.take(), both.take()), (0, 1, 1));
    peer.write_all(b"x").unwrap();
    turn(&base);
    assert_eq!((read.take(), write.take(), both.take()), (1, 1, 1));
}

pub fn deleting_one_event_leaves_the_others_on_its_descriptor(base: EventBase) {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"x").unwrap();
    let count = Count::default();
    let events: Vec<_> = (0..10).map(|_| count.event(&base, &ours, READ)).collect();
    // From the middle, the end and the start of the list.
    for (deleted, left) in [(5, 9), (9, 8), (0, 7), (4, 6)] {
        events[deleted].del().unwrap();
        turn(&base);
        assert_eq!(count.take(), left);
    }
    events[9].add(None).unwrap();
    turn(&base);
    assert_eq!(count.take(), 7);
}

pub fn a_one_shot_event_added_again_in_its_callback_runs_again(base: EventBase) {
    let (mut ours, mut peer) = UnixStream::pair().unwrap();
    let count = Count::default();
    let event = {
        let count = count.clone();
        Event::new(&base, ours.as_raw_fd(), EventFlags::READ, move |event, _| {
            count.add();
            event.add(None).unwrap();
        })
    };
    let event = event.unwrap();
    event.add(None).unwrap();
    peer.write_all(b"x").unwrap();
    for _ in 0..5 {
        turn(&base);
        assert_eq!(count.take(), 1);
    }
    ours.read_exact(&mut [0]).unwrap();
    turn(&base);
    assert_eq!(count.take(), 0);
    peer.write_all(b"x").unwrap();
    turn(&base);
    assert_eq!(count.take(), 1);
}

pub fn an_event_that_times_out_is_told_so(base: EventBase) {
    let (ours, _peer) = UnixStream::pair().unwrap();
    let count = Count::default();
    let told = count.clone();
    let event = Event::new(&base, ours.as_raw_fd(), EventFlags::READ, move |_, fired| {
        assert_eq!(fired, EventFlags::TIMEOUT);
        told.add();
    });
    event.unwrap().add(Some(Duration::from_millis(1))).unwrap();
    base.dispatch().unwrap();
    assert_eq!(count.take(), 0, "an event that was dropped does not run");

    let told = count.clone();
    let event = Event::new(&base, ours.as_raw_fd(), EventFlags::READ, move |_, fired| {
        assert_eq!(fired, EventFlags::TIMEOUT);
        told.add();
    });
    let event = event.unwrap();
    event.add(Some(Duration::from_millis(1))).unwrap();
    base.dispatch().unwrap();
    assert_eq!(count.take(), 1);
}

pub fn edge_triggered_events_run_once_a_change(base: EventBase) {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let count = Count::default();
    let event = Event::new(&base, ours.as_raw_fd(), READ | EventFlags::ET, {
        let count = count.clone();
        move |_, _| count.add()
    });
    if !base.features().contains(Features::ET) {
        assert!(matches!(event, Err(Error::Unsupported { .. })));
        return;
    }
    let event = event.unwrap();
    event.add(None).unwrap();
    for _ in 0..3 {
        peer.write_all(b"x").unwrap();
        turn(&base);
        assert_eq!(count.take(), 1);
        turn(&base);
        assert_eq!(count.take(), 0);
    }
}

pub fn edge_and_level_do_not_mix_on_one_descriptor(base: EventBase) {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let count = Count::default();
    let level = count.event(&base, &ours, READ);
    let edge = Event::new(&base, ours.as_raw_fd(), READ | EventFlags::ET, |_, _| ());
    if let Ok(edge) = &edge {
        assert!(matches!(edge.add(None), Err(Error::InvalidArgument { .. })));
    }
    peer.write_all(b"x").unwrap();
    turn(&base);
    assert_eq!(count.take(), 1);
    level.del().unwrap();
    if let Ok(edge) = &edge {
        edge.add(None).unwrap();
        turn(&base);
    }
    assert_eq!(edge.is_ok(), base.features().contains(Features::ET));
}

pub fn a_closed_descriptor_is_refused(base: EventBase) {
    // No test opens as many as the limit allows.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let number = limit.unwrap_or(1 << 20) as i32 - 1;
    let event = Event::new(&base, number, READ, |_, _| ()).unwrap();
    let Err(Error::Os { source, .. }) = event.add(None) else {
        panic!("descriptor {number} was taken");
    };
    assert_eq!(source.raw_os_error(), Some(libc::EBADF));
    assert_eq!(event.pending(READ), EventFlags::empty());
    turn(&base);
}

pub fn events_move_to_another_backend_and_back(base: EventBase) {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let (idle, _idle_peer) = UnixStream::pair().unwrap();
    let (read, never) = (Count::default(), Count::default());
    let _read = read.event(&base, &ours, READ);
    let _never = never.event(&base, &idle, READ);
    peer.write_all(b"x").unwrap();
    let poll = backend::open("poll").expect("every Unix has it").unwrap();
    let first = base.replace_backend(poll).unwrap();
    turn(&base);
    assert_eq!((base.method(), read.take(), never.take()), ("poll", 1, 0));
    base.replace_backend(first).unwrap();
    turn(&base);
    assert_eq!((read.take(), never.take()), (1, 0));
    until(&base, || read.take() == 1);
}
