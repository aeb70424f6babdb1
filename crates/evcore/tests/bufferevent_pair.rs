//! Pairs of bufferevents in memory.
#![cfg(feature = "bufferevent")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use evcore::bufferevent::{BufferEvent, BufferEventFlags, BufferEventOptions, FlushMode};
use evcore::{Error, EventBase, EventFlags, LoopExit, LoopFlags};

const READ: EventFlags = EventFlags::READ;
const WRITE: EventFlags = EventFlags::WRITE;
const EOF: BufferEventFlags = BufferEventFlags::EOF.union(BufferEventFlags::READING);

type Happened = Rc<RefCell<Vec<BufferEventFlags>>>;

fn pair(base: &EventBase) -> (BufferEvent, BufferEvent) {
    BufferEvent::pair(base, BufferEventOptions::empty()).unwrap()
}

/// Runs the loop until nothing is left to do at once.
fn settle(base: &EventBase) {
    for _ in 0..50 {
        base.run_loop(LoopFlags::NONBLOCK).unwrap();
    }
}

fn note_events(bev: &BufferEvent) -> Happened {
    let happened = Happened::default();
    let noted = happened.clone();
    let note = Box::new(move |_: &BufferEvent, what| noted.borrow_mut().push(what));
    bev.set_callbacks(None, None, Some(note));
    happened
}

#[test]
fn what_one_end_writes_the_other_reads_both_ways() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    two.set_callbacks(Some(Box::new(|bev| assert!(bev.forward(bev).unwrap() > 0))), None, None);
    one.enable(READ).unwrap();
    two.enable(READ).unwrap();
    one.write(b"there and back").unwrap();
    settle(&base);
    assert_eq!(one.input().to_vec(), b"there and back");
    assert!(two.input().is_empty() && one.output().is_empty());
}

#[test]
fn each_end_knows_the_other_until_that_is_freed() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    assert_eq!(one.partner().as_ref(), Some(&two));
    assert_eq!(two.partner().as_ref(), Some(&one));
    assert_eq!((one.fd(), one.peer_address(), one.underlying()), (None, None, None));
    two.free();
    assert_eq!(one.partner(), None);
    let address = "127.0.0.1:1".parse().unwrap();
    assert!(matches!(one.connect(&address), Err(Error::InvalidArgument { .. })));
}

#[test]
fn no_callback_runs_inside_a_call_and_none_is_needed_to_keep_a_pair_alive() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    let read = Rc::new(Cell::new(0));
    let count = read.clone();
    two.set_callbacks(
        Some(Box::new(move |bev| count.set(count.get() + bev.input().len()))),
        None,
        None,
    );
    two.enable(READ).unwrap();
    one.write(b"12345").unwrap();
    assert_eq!(read.get(), 0);
    drop((one, two));
    settle(&base);
    assert_eq!(read.get(), 5);
}

#[test]
fn an_idle_pair_does_not_keep_the_loop_running() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    one.enable(READ | WRITE).unwrap();
    two.enable(READ | WRITE).unwrap();
    one.write(b"hello").unwrap();
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    assert_eq!(two.input().len(), 5);
}

#[test]
fn bytes_wait_with_the_writer_until_the_reader_is_enabled() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    one.write(b"early").unwrap();
    settle(&base);
    assert_eq!((one.output().len(), two.input().len()), (5, 0));
    two.enable(READ).unwrap();
    settle(&base);
    assert_eq!((one.output().len(), two.input().len()), (0, 5));
    two.disable(READ).unwrap();
    one.write(b"late").unwrap();
    one.disable(WRITE).unwrap();
    two.enable(READ).unwrap();
    settle(&base);
    assert_eq!((one.output().len(), two.input().len()), (4, 5));
    one.enable(WRITE).unwrap();
    settle(&base);
    assert_eq!(two.input().to_vec(), b"earlylate");
}

#[test]
fn the_readers_high_water_mark_holds_the_writer_up() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    two.set_watermark(READ, 0, 100).unwrap();
    two.enable(READ).unwrap();
    one.write(&[7; 1000]).unwrap();
    settle(&base);
    assert_eq!((one.output().len(), two.input().len()), (900, 100));
    two.input().drain(30).unwrap();
    settle(&base);
    assert_eq!((one.output().len(), two.input().len()), (870, 100));
    let total = Rc::new(Cell::new(0));
    let sum = total.clone();
    two.set_callbacks(
        Some(Box::new(move |bev| {
            let mut input = bev.input();
            let length = input.len();
            assert!(length <= 100);
            sum.set(sum.get() + length);
            input.drain(length).unwrap();
        })),
        None,
        None,
    );
    two.trigger(READ).unwrap();
    settle(&base);
    assert_eq!((total.get(), one.output().len()), (970, 0));
}

#[test]
fn a_mark_that_is_lowered_before_bytes_are_told_does_not_hide_them() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    let told = Rc::new(Cell::new(0));
    let count = told.clone();
    let lowered = two.clone();
    // Runs after the bytes were moved and before their reader is told.
    one.set_callbacks(
        None,
        Some(Box::new(move |_| lowered.set_watermark(READ, 0, 10).unwrap())),
        None,
    );
    two.set_callbacks(
        Some(Box::new(move |bev| {
            let length = bev.input().len();
            count.set(count.get() + length);
            bev.input().drain(length).unwrap();
        })),
        None,
        None,
    );
    two.enable(READ).unwrap();
    one.write(&[1; 500]).unwrap();
    settle(&base);
    assert_eq!(told.get(), 500);
}

#[test]
fn the_writer_is_told_when_its_output_has_gone() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    let written = Rc::new(Cell::new(0));
    let count = written.clone();
    one.set_callbacks(None, Some(Box::new(move |_| count.set(count.get() + 1))), None);
    two.set_watermark(READ, 0, 4).unwrap();
    two.enable(READ).unwrap();
    one.write(b"sixsix").unwrap();
    settle(&base);
    assert_eq!(written.get(), 0);
    two.input().drain(4).unwrap();
    settle(&base);
    assert_eq!(written.get(), 1);
}

#[test]
fn the_end_comes_after_the_bytes_when_the_other_end_finishes() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    let happened = note_events(&two);
    one.write(b"last words").unwrap();
    one.flush(WRITE, FlushMode::Finished).unwrap();
    settle(&base);
    assert_eq!(*happened.borrow(), []);
    two.enable(READ).unwrap();
    settle(&base);
    assert_eq!((two.input().len(), happened.take()), (10, vec![EOF]));
    // Its other direction lives on.
    one.enable(READ).unwrap();
    two.write(b"answer").unwrap();
    settle(&base);
    assert_eq!(one.input().len(), 6);
    // What is written after the end is an error.
    let happened = note_events(&one);
    one.write(b"too late").unwrap();
    settle(&base);
    assert_eq!(happened.take(), [BufferEventFlags::ERROR | BufferEventFlags::WRITING]);
    assert_eq!(one.take_error().unwrap().kind(), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn freeing_one_end_is_the_end_of_the_stream_for_the_other() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    let happened = note_events(&two);
    two.enable(READ).unwrap();
    one.write(b"dropped with its writer").unwrap();
    one.free();
    settle(&base);
    assert_eq!(happened.take(), [EOF]);
    two.write(b"nobody reads this").unwrap();
    settle(&base);
    assert_eq!(happened.take(), [BufferEventFlags::ERROR | BufferEventFlags::WRITING]);
}

#[test]
fn a_writer_that_waits_hears_that_its_reader_was_freed() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    let happened = note_events(&one);
    one.write(b"waits").unwrap();
    settle(&base);
    two.free();
    settle(&base);
    assert_eq!(happened.take(), [BufferEventFlags::ERROR | BufferEventFlags::WRITING]);
}

#[test]
fn close_delivers_what_is_queued_before_the_end() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    let happened = note_events(&two);
    two.set_watermark(READ, 0, 3).unwrap();
    one.write(b"abcdef").unwrap();
    one.close();
    two.enable(READ).unwrap();
    settle(&base);
    assert!(!one.is_freed());
    two.input().drain(3).unwrap();
    settle(&base);
    assert!(one.is_freed());
    assert_eq!(two.input().to_vec(), b"def");
    two.input().drain(3).unwrap();
    settle(&base);
    assert_eq!(happened.take(), [EOF]);
}

#[test]
fn timeouts_count_in_each_direction() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    let (reader, writer) = (note_events(&two), note_events(&one));
    two.set_timeouts(Some(Duration::from_millis(5)), None).unwrap();
    two.enable(READ).unwrap();
    base.dispatch().unwrap();
    let timeout = BufferEventFlags::TIMEOUT;
    assert_eq!(reader.take(), [timeout | BufferEventFlags::READING]);
    one.set_timeouts(None, Some(Duration::from_millis(5))).unwrap();
    one.write(b"the reader is disabled now").unwrap();
    base.dispatch().unwrap();
    assert_eq!(writer.take(), [timeout | BufferEventFlags::WRITING]);
}

#[test]
fn both_ends_can_be_freed_in_any_order_inside_any_callback() {
    for kind in 0..4 {
        for first in 0..2 {
            let base = EventBase::new().unwrap();
            let (one, two) = pair(&base);
            let ends =
                if first == 0 { [one.clone(), two.clone()] } else { [two.clone(), one.clone()] };
            let ran = Rc::new(Cell::new(false));
            let noted = ran.clone();
            let end = move || {
                noted.set(true);
                ends.iter().for_each(BufferEvent::free);
            };
            match kind {
                0 => two.set_callbacks(Some(Box::new(move |_| end())), None, None),
                1 => one.set_callbacks(None, Some(Box::new(move |_| end())), None),
                2 => two.set_callbacks(None, None, Some(Box::new(move |_, _| end()))),
                _ => one.set_callbacks(None, None, Some(Box::new(move |_, _| end()))),
            }
            one.enable(READ).unwrap();
            two.enable(READ).unwrap();
            one.write(b"bytes").unwrap();
            match kind {
                2 => one.flush(WRITE, FlushMode::Finished).unwrap(),
                3 => two.flush(WRITE, FlushMode::Finished).unwrap(),
                _ => {}
            }
            base.dispatch().unwrap();
            assert!(ran.get() && one.is_freed() && two.is_freed(), "callback {kind}, end {first}");
        }
    }
}

#[test]
fn freeing_the_base_frees_both_ends_and_what_their_callbacks_hold() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    let held = Rc::new(());
    let (weak, ours) = (Rc::downgrade(&held), one.clone());
    // A cycle: the callback of each holds the other.
    two.set_callbacks(Some(Box::new(move |_| drop((held.clone(), ours.clone())))), None, None);
    let theirs = two.clone();
    one.set_callbacks(Some(Box::new(move |_| drop(theirs.clone()))), None, None);
    drop((one, two));
    assert!(weak.upgrade().is_some());
    base.free();
    assert!(weak.upgrade().is_none());
}

#[test]
fn ten_thousand_messages_go_back_and_forth() {
    const MESSAGES: usize = 10_000;
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    two.set_callbacks(Some(Box::new(|bev| assert!(bev.forward(bev).unwrap() > 0))), None, None);
    let left = Rc::new(Cell::new(MESSAGES));
    let count = left.clone();
    one.set_callbacks(
        Some(Box::new(move |bev| {
            assert_eq!(bev.input().len(), 64);
            count.set(count.get() - 1);
            if count.get() == 0 {
                bev.base().unwrap().loop_break();
            } else {
                bev.forward(bev).unwrap();
            }
        })),
        None,
        None,
    );
    one.enable(READ).unwrap();
    two.enable(READ).unwrap();
    one.write(&[1; 64]).unwrap();
    base.dispatch().unwrap();
    assert_eq!(left.get(), 0);
}
