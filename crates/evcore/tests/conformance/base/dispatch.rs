//! Callbacks that pull the rug from under other events of the same turn.

use std::cell::RefCell;
use std::io::{self, PipeReader, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use evcore::{Event, EventBase, EventFlags};

use super::{turn, Count};

const READ: EventFlags = EventFlags::READ.union(EventFlags::PERSIST);
const WRITE: EventFlags = EventFlags::WRITE.union(EventFlags::PERSIST);

/// Two events that are ready in the same turn, of which the first to run does something to the other.
fn the_first_meets_the_other(base: &EventBase, meet: fn(&Event)) -> usize {
    let (first, mut first_peer) = UnixStream::pair().unwrap();
    let (second, mut second_peer) = UnixStream::pair().unwrap();
    first_peer.write_all(b"x").unwrap();
    second_peer.write_all(b"x").unwrap();
    let count = Count::default();
    let events: Rc<RefCell<Vec<Event>>> = Rc::default();
    for (socket, other) in [(&first, 1), (&second, 0)] {
        let (others, count) = (events.clone(), count.clone());
        let event = Event::new(base, socket.as_raw_fd(), READ, move |_, _| {
            count.add();
            meet(&others.borrow()[other]);
        });
        events.borrow_mut().push(event.unwrap());
    }
    for event in events.borrow().iter() {
        event.add(None).unwrap();
    }
    turn(base);
    let runs = count.take();
    // The events know each other: a circle.
    events.borrow_mut().clear();
    runs
}

pub fn a_deleted_event_does_not_run_though_it_was_ready(base: EventBase) {
    assert_eq!(the_first_meets_the_other(&base, |_| ()), 2);
    assert_eq!(the_first_meets_the_other(&base, |other| other.del().unwrap()), 1);
}

pub fn a_freed_event_does_not_run_though_it_was_ready(base: EventBase) {
    assert_eq!(the_first_meets_the_other(&base, Event::free), 1);
    assert_eq!(base.event_count(), 0);
}

pub fn an_event_frees_itself_in_its_callback(base: EventBase) {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"x").unwrap();
    let count = Count::default();
    let others = count.event(&base, &ours, READ);
    let frees_itself = Event::new(&base, ours.as_raw_fd(), READ, |event, _| event.free()).unwrap();
    frees_itself.add(None).unwrap();
    turn(&base);
    assert!(!frees_itself.initialized());
    assert_eq!(count.take(), 1);
    turn(&base);
    assert_eq!(count.take(), 1);
    drop(others);
    assert_eq!(base.event_count(), 0);
}

pub fn an_event_added_in_a_callback_runs_in_another_turn(base: EventBase) {
    let (ours, _peer) = UnixStream::pair().unwrap();
    let count = Count::default();
    let (adds, fd) = (count.clone(), ours.as_raw_fd());
    let added: Rc<RefCell<Option<Event>>> = Rc::default();
    let keep = added.clone();
    let first = Event::new(&base, fd, EventFlags::WRITE, move |event, _| {
        let counts = adds.clone();
        let base = event.base().unwrap();
        let event = Event::new(&base, fd, WRITE, move |_, _| counts.add()).unwrap();
        event.add(None).unwrap();
        *keep.borrow_mut() = Some(event);
    })
    .unwrap();
    first.add(None).unwrap();
    turn(&base);
    assert_eq!(count.take(), 0);
    turn(&base);
    assert_eq!(count.take(), 1);
}

pub fn a_number_reused_within_a_turn_is_not_told_of_the_old_file(base: EventBase) {
    let pipes: Vec<_> = (0..2).map(|_| io::pipe().unwrap()).collect();
    let fds: Vec<_> = pipes.iter().map(|(reader, _)| reader.as_raw_fd()).collect();
    let mut writers = Vec::new();
    let mut readers = Vec::new();
    for (reader, mut writer) in pipes {
        writer.write_all(b"x").unwrap();
        writers.push(writer);
        readers.push(Some(reader));
    }
    let readers = Rc::new(RefCell::new(readers));
    let events: Rc<RefCell<Vec<Event>>> = Rc::default();
    let (old, new) = (Count::default(), Count::default());
    let kept = Rc::new(RefCell::new(None));
    for (this, &fd) in fds.iter().enumerate() {
        let (others, readers, kept) = (events.clone(), readers.clone(), kept.clone());
        let (old_runs, new) = (old.clone(), new.clone());
        let event = Event::new(&base, fd, READ, move |event, _| {
            old_runs.add();
            // The other one is ready too; its file gives way to another that is not.
            others.borrow()[1 - this].del().unwrap();
            event.del().unwrap();
            let (reader, writer) = reuse(readers.borrow_mut()[1 - this].take().unwrap());
            let added = new.event(&event.base().unwrap(), &reader, READ);
            *kept.borrow_mut() = Some((added, reader, writer));
        });
        let event = event.unwrap();
        event.add(None).unwrap();
        events.borrow_mut().push(event);
    }
    turn(&base);
    assert_eq!((old.take(), new.take()), (1, 0));
    turn(&base);
    assert_eq!((old.take(), new.take()), (0, 0));
    kept.borrow_mut().as_mut().unwrap().2.write_all(b"x").unwrap();
    turn(&base);
    assert_eq!((old.take(), new.take()), (0, 1));
    events.borrow_mut().clear();
}

pub fn a_number_reused_under_a_registered_event_can_be_taken_over(base: EventBase) {
    let (reader, _old_writer) = io::pipe().unwrap();
    let (old, new) = (Count::default(), Count::default());
    let forgotten = old.event(&base, &reader, READ);
    turn(&base);
    // Closed before its event was deleted, as libevent's users often do.
    let (reader, mut writer) = reuse(reader);
    forgotten.del().unwrap();
    let _event = new.event(&base, &reader, READ);
    turn(&base);
    writer.write_all(b"x").unwrap();
    turn(&base);
    assert_eq!((old.take(), new.take()), (0, 1));
}

pub fn interests_that_go_to_and_fro_end_up_as_they_were_left(base: EventBase) {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"x").unwrap();
    let (read, write) = (Count::default(), Count::default());
    let reader = read.event(&base, &ours, READ);
    let writer = write.event(&base, &ours, WRITE);
    for round in 0..20 {
        for step in 0..round {
            if step % 2 == 0 {
                reader.del().unwrap();
                writer.add(None).unwrap();
            } else {
                reader.add(None).unwrap();
                writer.del().unwrap();
            }
        }
        let expected = match round {
            0 => (1, 1),
            round if round % 2 == 0 => (1, 0),
            _ => (0, 1),
        };
        turn(&base);
        assert_eq!((read.take(), write.take()), expected, "after {round} steps");
    }
}

pub fn a_base_freed_in_a_callback_ends_the_loop(base: EventBase) {
    let (ours, _peer) = UnixStream::pair().unwrap();
    let count = Count::default();
    let counts = count.clone();
    let event = Event::new(&base, ours.as_raw_fd(), WRITE, move |event, _| {
        counts.add();
        event.base().unwrap().free();
    });
    let event = event.unwrap();
    event.add(None).unwrap();
    base.dispatch().unwrap();
    assert_eq!(count.take(), 1);
    assert!(event.add(None).is_err());
}

/// Closes `old` and opens another pipe whose reader has its number.
fn reuse(old: PipeReader) -> (OwnedFd, io::PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    let mut reused = OwnedFd::from(old);
    rustix::io::dup2(&reader, &mut reused).unwrap();
    (reused, writer)
}
