//! Filters where things go wrong: frees in every callback, on every level, and handshakes.
#![cfg(all(unix, feature = "bufferevent"))]

use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::time::Duration;

use evcore::bufferevent::{
    filter_fn, BufferEvent, BufferEventFlags, BufferEventOptions, Filter, FilterResult, FlushMode,
};
use evcore::{EvBuffer, EventBase, EventFlags, LoopFlags};

const CLOSE: BufferEventOptions = BufferEventOptions::CLOSE_ON_FREE;
const READ: EventFlags = EventFlags::READ;
const WRITE: EventFlags = EventFlags::WRITE;

type Happened = Rc<RefCell<Vec<BufferEventFlags>>>;

fn pass(source: &mut EvBuffer, destination: &mut EvBuffer) -> FilterResult {
    destination
        .add_buffer(source)
        .map_or_else(|e| FilterResult::Error(e.into()), |()| FilterResult::Ok)
}

fn turn(base: &EventBase) {
    for _ in 0..20 {
        base.run_loop(LoopFlags::NONBLOCK).unwrap();
    }
}

fn note_events(bev: &BufferEvent) -> Happened {
    let happened = Happened::default();
    let noted = happened.clone();
    bev.set_callbacks(None, None, Some(Box::new(move |_, what| noted.borrow_mut().push(what))));
    happened
}

#[test]
fn any_level_can_be_freed_in_any_call_of_any_level() {
    // Which of three levels is freed, in which of: filter input and output of the middle and the
    // top, read, write and event callbacks of the top.
    for freed in 0..3 {
        for place in 0..7 {
            let base = EventBase::new().unwrap();
            let (peer, bottom) = BufferEvent::pair(&base, BufferEventOptions::empty()).unwrap();
            let levels = Rc::new(RefCell::new(vec![bottom.clone()]));
            let ran = Rc::new(Cell::new(false));
            let end = {
                let (levels, ran) = (levels.clone(), ran.clone());
                move |here: usize| {
                    if here == place && levels.borrow().len() == 3 {
                        ran.set(true);
                        levels.borrow()[freed].free();
                    }
                }
            };
            let layer = |below: &BufferEvent, number: usize| {
                let (input, output) = (end.clone(), end.clone());
                let filter = filter_fn(
                    move |s, d, _, _| {
                        input(number);
                        pass(s, d)
                    },
                    move |s, d, _, _| {
                        output(number + 1);
                        pass(s, d)
                    },
                );
                BufferEvent::filter(below, filter, CLOSE).unwrap()
            };
            let middle = layer(&bottom, 0);
            levels.borrow_mut().push(middle.clone());
            let top = layer(&middle, 2);
            levels.borrow_mut().push(top.clone());
            let (read, write, event) = (end.clone(), end.clone(), end.clone());
            top.set_callbacks(
                Some(Box::new(move |bev| {
                    read(4);
                    let _ = bev.forward(bev);
                })),
                Some(Box::new(move |_| write(5))),
                Some(Box::new(move |bev, _| {
                    event(6);
                    bev.free();
                })),
            );
            top.enable(READ).unwrap();
            peer.enable(READ).unwrap();
            peer.write(b"hello").unwrap();
            turn(&base);
            peer.flush(WRITE, FlushMode::Finished).unwrap();
            turn(&base);
            assert!(ran.get(), "place {place} was not reached");
            assert!(levels.borrow()[freed].is_freed());
            base.free();
        }
    }
}

#[test]
fn the_base_can_be_freed_inside_a_filter() {
    for output in [false, true] {
        let base = EventBase::new().unwrap();
        let (peer, bottom) = BufferEvent::pair(&base, BufferEventOptions::empty()).unwrap();
        let (ours, theirs) = (base.clone(), base.clone());
        let filter = filter_fn(
            move |s, d, _, _| {
                if !output {
                    ours.free();
                }
                pass(s, d)
            },
            move |s, d, _, _| {
                if output {
                    theirs.free();
                }
                pass(s, d)
            },
        );
        let bev = BufferEvent::filter(&bottom, filter, CLOSE).unwrap();
        bev.enable(READ).unwrap();
        peer.write(b"in").unwrap();
        bev.write(b"out").unwrap();
        let _ = base.dispatch();
        assert!(bev.is_freed() && bottom.is_freed());
    }
}

#[test]
fn a_filter_that_panics_loses_nothing_and_is_called_again() {
    let base = EventBase::new().unwrap();
    let (peer, bottom) = BufferEvent::pair(&base, BufferEventOptions::empty()).unwrap();
    let mut panics = true;
    let filter = filter_fn(
        move |s, d, _, _| {
            if std::mem::take(&mut panics) {
                panic!("of the test");
            }
            pass(s, d)
        },
        |s, d, _, _| pass(s, d),
    );
    let bev = BufferEvent::filter(&bottom, filter, CLOSE).unwrap();
    bev.enable(READ).unwrap();
    peer.write(b"kept").unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| turn(&base))).is_err());
    peer.write(b" and more").unwrap();
    turn(&base);
    assert_eq!(bev.input().to_vec(), b"kept and more");
}

#[test]
fn freeing_the_one_below_is_an_error_on_top() {
    let base = EventBase::new().unwrap();
    let (_peer, bottom) = BufferEvent::pair(&base, BufferEventOptions::empty()).unwrap();
    let filter = filter_fn(|s, d, _, _| pass(s, d), |s, d, _, _| pass(s, d));
    let bev = BufferEvent::filter(&bottom, filter, CLOSE).unwrap();
    let happened = note_events(&bev);
    bottom.free();
    turn(&base);
    assert_eq!(happened.take(), [BufferEventFlags::ERROR]);
    assert_eq!(bev.take_error().unwrap().kind(), io::ErrorKind::NotConnected);
    bev.enable(READ | WRITE).unwrap();
    bev.write(b"x").unwrap();
    turn(&base);
    assert_eq!(happened.take(), [BufferEventFlags::ERROR | BufferEventFlags::WRITING]);
    bev.close();
    turn(&base);
    assert!(bev.is_freed());
}

#[test]
fn a_timeout_counts_on_the_level_that_has_it() {
    let base = EventBase::new().unwrap();
    let (_peer, bottom) = BufferEvent::pair(&base, BufferEventOptions::empty()).unwrap();
    let filter = filter_fn(|s, d, _, _| pass(s, d), |s, d, _, _| pass(s, d));
    let bev = BufferEvent::filter(&bottom, filter, CLOSE).unwrap();
    let happened = note_events(&bev);
    let timeout = BufferEventFlags::TIMEOUT | BufferEventFlags::READING;
    bev.set_timeouts(Some(Duration::from_millis(3)), None).unwrap();
    bev.enable(READ).unwrap();
    base.dispatch().unwrap();
    assert_eq!(happened.take(), [timeout]);
    bev.set_timeouts(None, None).unwrap();
    bottom.set_timeouts(Some(Duration::from_millis(3)), None).unwrap();
    bev.enable(READ).unwrap();
    base.dispatch().unwrap();
    assert_eq!((happened.take(), bev.enabled()), (vec![timeout], WRITE));
}

/// Two sides say `?` and `!` to each other before any byte passes, and `.` at the end.
#[derive(Default)]
struct Handshake {
    client: bool,
    open: bool,
    say: Vec<u8>,
    refuse: bool,
    ended: bool,
}

impl Handshake {
    fn client() -> Self {
        Self { client: true, say: b"?".to_vec(), ..Self::default() }
    }
}

impl Filter for Handshake {
    fn input(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        _: usize,
        mode: FlushMode,
    ) -> FilterResult {
        if !self.open && !source.is_empty() {
            let mut byte = [0];
            source.remove(&mut byte).unwrap();
            if self.refuse {
                self.say = b"#".to_vec();
                return FilterResult::Error(io::Error::other("refused"));
            }
            assert_eq!(byte[0], if self.client { b'!' } else { b'?' });
            if !self.client {
                self.say = b"!".to_vec();
            }
            self.open = true;
            return FilterResult::Ok;
        }
        while let Some(byte) = source.first_chunk_byte() {
            if byte == b'.' {
                self.ended = true;
                return FilterResult::End;
            }
            source.remove_buffer(destination, 1).unwrap();
        }
        if mode == FlushMode::Finished && !self.ended {
            return FilterResult::Error(io::ErrorKind::UnexpectedEof.into());
        }
        FilterResult::NeedMore
    }

    fn output(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        _: usize,
        mode: FlushMode,
    ) -> FilterResult {
        destination.add(&std::mem::take(&mut self.say)).unwrap();
        assert!(self.open || source.is_empty(), "bytes came before the handshake was over");
        let result = pass(source, destination);
        if mode == FlushMode::Finished {
            destination.add(b".").unwrap();
        }
        result
    }

    fn holds_output(&self) -> bool {
        !self.say.is_empty()
    }

    fn is_open(&self) -> bool {
        self.open
    }
}

/// The first byte of a buffer.
trait FirstByte {
    fn first_chunk_byte(&self) -> Option<u8>;
}

impl FirstByte for EvBuffer {
    fn first_chunk_byte(&self) -> Option<u8> {
        self.segments().next().and_then(|chunk| chunk.first().copied())
    }
}

#[test]
fn a_handshake_comes_before_the_bytes_and_its_end_is_told_as_connected() {
    let base = EventBase::new().unwrap();
    let (one, two) = BufferEvent::pair(&base, BufferEventOptions::empty()).unwrap();
    let client = BufferEvent::filter(&one, Handshake::client(), CLOSE).unwrap();
    client.write(b"question").unwrap();
    let told = note_events(&client);
    turn(&base);
    assert!(told.borrow().is_empty());
    let server = BufferEvent::filter(&two, Handshake::default(), CLOSE).unwrap();
    let happened = note_events(&server);
    server.enable(READ).unwrap();
    turn(&base);
    assert_eq!(told.take(), [BufferEventFlags::CONNECTED]);
    assert_eq!(happened.take(), [BufferEventFlags::CONNECTED]);
    assert_eq!(server.input().to_vec(), b"question");
    // Closing says goodbye, which is a clean end.
    client.close();
    turn(&base);
    assert!(client.is_freed() && one.is_freed());
    assert_eq!(happened.take(), [BufferEventFlags::EOF | BufferEventFlags::READING]);
}

#[test]
fn an_end_without_a_goodbye_is_an_error() {
    let base = EventBase::new().unwrap();
    let (one, two) = BufferEvent::pair(&base, BufferEventOptions::empty()).unwrap();
    let client = BufferEvent::filter(&one, Handshake::client(), CLOSE).unwrap();
    let server = BufferEvent::filter(&two, Handshake::default(), CLOSE).unwrap();
    server.enable(READ).unwrap();
    turn(&base);
    let happened = note_events(&server);
    client.free();
    turn(&base);
    assert_eq!(happened.take(), [BufferEventFlags::ERROR | BufferEventFlags::READING]);
    assert_eq!(server.take_error().unwrap().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_handshake_that_fails_says_why_to_both_sides() {
    let base = EventBase::new().unwrap();
    let (one, two) = BufferEvent::pair(&base, BufferEventOptions::empty()).unwrap();
    let refusing = Handshake { refuse: true, ..Handshake::default() };
    let server = BufferEvent::filter(&two, refusing, CLOSE).unwrap();
    let happened = note_events(&server);
    one.enable(READ).unwrap();
    one.write(b"?").unwrap();
    turn(&base);
    assert_eq!(happened.take(), [BufferEventFlags::ERROR]);
    assert_eq!(server.take_error().unwrap().to_string(), "refused");
    assert_eq!(one.input().to_vec(), b"#");
}

#[test]
fn a_handshake_that_never_ends_is_bounded_by_the_write_timeout_and_by_the_end_below() {
    let base = EventBase::new().unwrap();
    let (one, _two) = BufferEvent::pair(&base, BufferEventOptions::empty()).unwrap();
    let client = BufferEvent::filter(&one, Handshake::client(), CLOSE).unwrap();
    let happened = note_events(&client);
    client.set_timeouts(None, Some(Duration::from_millis(5))).unwrap();
    base.dispatch().unwrap();
    assert_eq!(happened.take(), [BufferEventFlags::TIMEOUT | BufferEventFlags::WRITING]);

    let (one, two) = BufferEvent::pair(&base, BufferEventOptions::empty()).unwrap();
    let server = BufferEvent::filter(&one, Handshake::default(), CLOSE).unwrap();
    let happened = note_events(&server);
    two.free();
    turn(&base);
    assert_eq!(happened.take(), [BufferEventFlags::ERROR]);
    assert_eq!(server.take_error().unwrap().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_filter_put_on_a_connection_in_use_sees_what_is_in_its_input_already() {
    let base = EventBase::new().unwrap();
    let (one, two) = BufferEvent::pair(&base, BufferEventOptions::empty()).unwrap();
    two.enable(READ).unwrap();
    one.write(b"?early").unwrap();
    turn(&base);
    assert_eq!(two.input().len(), 6);
    let server = BufferEvent::filter(&two, Handshake::default(), CLOSE).unwrap();
    server.enable(READ).unwrap();
    one.enable(READ).unwrap();
    turn(&base);
    assert_eq!(server.input().to_vec(), b"early");
    assert_eq!(one.input().to_vec(), b"!");
}
