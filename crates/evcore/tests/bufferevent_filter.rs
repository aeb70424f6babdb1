//! Bufferevents over filters, over sockets, pairs and each other.
#![cfg(all(unix, feature = "bufferevent"))]

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use evcore::bufferevent::{
    filter_fn, BufferEvent, BufferEventFlags, BufferEventHandler, BufferEventOptions, Filter,
    FilterResult, FlushMode,
};
use evcore::{Error, EvBuffer, EventBase, EventFlags, LoopFlags};

const CLOSE: BufferEventOptions = BufferEventOptions::CLOSE_ON_FREE;
const READ: EventFlags = EventFlags::READ;
const WRITE: EventFlags = EventFlags::WRITE;
const EOF: BufferEventFlags = BufferEventFlags::EOF.union(BufferEventFlags::READING);
const READ_ERROR: BufferEventFlags = BufferEventFlags::ERROR.union(BufferEventFlags::READING);
const WRITE_ERROR: BufferEventFlags = BufferEventFlags::ERROR.union(BufferEventFlags::WRITING);

/// Notes all that it is told.
#[derive(Default)]
struct Log {
    events: RefCell<Vec<BufferEventFlags>>,
    closed: Cell<bool>,
}

impl Log {
    fn of(bev: &BufferEvent) -> Rc<Self> {
        let log = Rc::new(Self::default());
        bev.set_handler(Some(log.clone()));
        log
    }
}

impl BufferEventHandler for Log {
    fn event(&self, _: &BufferEvent, what: BufferEventFlags) {
        self.events.borrow_mut().push(what);
    }

    fn closed(&self, _: &BufferEvent) {
        self.closed.set(true);
    }
}

fn pass(source: &mut EvBuffer, destination: &mut EvBuffer) -> FilterResult {
    destination
        .add_buffer(source)
        .map_or_else(|e| FilterResult::Error(e.into()), |()| FilterResult::Ok)
}

fn no_op() -> impl Filter {
    filter_fn(|s, d, _, _| pass(s, d), |s, d, _, _| pass(s, d))
}

fn rot13(source: &mut EvBuffer, destination: &mut EvBuffer) -> FilterResult {
    let mut bytes = source.to_vec();
    for byte in &mut bytes {
        *byte = match *byte {
            b'a'..=b'z' => (*byte - b'a' + 13) % 26 + b'a',
            other => other,
        };
    }
    source.drain(bytes.len()).unwrap();
    destination.add(&bytes).unwrap();
    FilterResult::Ok
}

fn turn(base: &EventBase) {
    for _ in 0..20 {
        base.run_loop(LoopFlags::NONBLOCK).unwrap();
    }
}

fn socket(base: &EventBase) -> (UnixStream, BufferEvent) {
    let (peer, ours) = UnixStream::pair().unwrap();
    (peer, BufferEvent::socket(base, Some(ours.into()), CLOSE).unwrap())
}

fn over(base: &EventBase, filter: impl Filter + 'static) -> (UnixStream, BufferEvent, Rc<Log>) {
    let (peer, below) = socket(base);
    let bev = BufferEvent::filter(&below, filter, CLOSE).unwrap();
    let log = Log::of(&bev);
    (peer, bev, log)
}

fn read_available(peer: &mut UnixStream) -> Vec<u8> {
    peer.set_nonblocking(true).unwrap();
    let mut bytes = Vec::new();
    let _ = peer.read_to_end(&mut bytes);
    bytes
}

#[test]
fn bytes_are_converted_both_ways() {
    let base = EventBase::new().unwrap();
    let filter = filter_fn(|s, d, _, _| rot13(s, d), |s, d, _, _| rot13(s, d));
    let (mut peer, bev, _) = over(&base, filter);
    bev.enable(READ).unwrap();
    bev.write(b"hello").unwrap();
    peer.write_all(b"jbeyq").unwrap();
    turn(&base);
    assert_eq!(read_available(&mut peer), b"uryyb");
    assert_eq!(bev.input().to_vec(), b"world");
    assert_eq!(bev.fd(), bev.underlying().unwrap().fd());
}

#[test]
fn a_thousand_layers_are_as_good_as_one() {
    let base = EventBase::new().unwrap();
    let (mut peer, mut bev) = socket(&base);
    let bottom = bev.clone();
    for _ in 0..1000 {
        bev = BufferEvent::filter(&bev, no_op(), CLOSE).unwrap();
    }
    bev.set_callbacks(
        Some(Box::new(|bev| assert!(bev.forward(bev).unwrap() > 0))),
        None,
        Some(Box::new(|bev, what| {
            assert_eq!(what, EOF);
            bev.close();
        })),
    );
    bev.enable(READ).unwrap();
    peer.write_all(b"through all of them").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    base.dispatch().unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "through all of them");
    assert!(bev.is_freed() && bottom.is_freed());
}

#[test]
fn a_disabled_filter_does_not_read_below() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev, _) = over(&base, no_op());
    peer.write_all(b"early").unwrap();
    turn(&base);
    assert_eq!((bev.input().len(), bev.underlying().unwrap().input().len()), (0, 0));
    bev.enable(READ).unwrap();
    turn(&base);
    assert_eq!(bev.input().to_vec(), b"early");
    bev.disable(READ).unwrap();
    peer.write_all(b"late").unwrap();
    turn(&base);
    assert_eq!(bev.input().len(), 5);
}

#[test]
fn a_full_input_holds_up_all_layers_and_the_peer() {
    let base = EventBase::new().unwrap();
    let (mut peer, below) = socket(&base);
    let middle = BufferEvent::filter(&below, no_op(), CLOSE).unwrap();
    let top = BufferEvent::filter(&middle, no_op(), CLOSE).unwrap();
    top.set_watermark(READ, 0, 1000).unwrap();
    top.enable(READ).unwrap();
    peer.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while sent < 64 << 20 {
        match peer.write(&[7; 65536]) {
            Ok(count) => sent += count,
            Err(_) => {
                turn(&base);
                if peer.write(&[7; 1]).is_err() {
                    break;
                }
                sent += 1;
            }
        }
    }
    assert!(sent < 4 << 20, "{sent} bytes were taken");
    assert!(top.input().len() >= 1000);
    let total = Rc::new(Cell::new(0));
    let count = total.clone();
    top.set_callbacks(
        Some(Box::new(move |bev| {
            let mut input = bev.input();
            let length = input.len();
            count.set(count.get() + length);
            input.drain(length).unwrap();
        })),
        None,
        None,
    );
    top.trigger(READ).unwrap();
    drop(peer);
    base.dispatch().unwrap();
    assert_eq!(total.get(), sent);
}

#[test]
fn a_full_output_below_holds_up_the_filter_without_a_mark() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev, log) = over(&base, no_op());
    for _ in 0..64 {
        bev.write(&[1; 65536]).unwrap();
        turn(&base);
    }
    let below = bev.underlying().unwrap().output().len();
    assert!(below < 512 * 1024, "{below} bytes wait below");
    let waiting = bev.output().len() + below;
    assert!(waiting > 1 << 20);
    bev.close();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).unwrap();
        bytes.len()
    });
    base.dispatch().unwrap();
    assert_eq!(reader.join().unwrap(), 64 * 65536);
    assert!(log.closed.get());
}

#[test]
fn the_limit_is_what_fits_and_what_exceeds_it_waits() {
    let base = EventBase::new().unwrap();
    let limits = Rc::new(RefCell::new(Vec::new()));
    let seen = limits.clone();
    let filter = filter_fn(
        move |s, d, limit, _| {
            seen.borrow_mut().push(limit);
            pass(s, d)
        },
        |s, d, _, _| pass(s, d),
    );
    let (mut peer, bev, _) = over(&base, filter);
    bev.set_watermark(READ, 0, 10).unwrap();
    bev.enable(READ).unwrap();
    peer.write_all(b"0123456789abcdef").unwrap();
    turn(&base);
    assert_eq!(bev.input().to_vec(), b"0123456789");
    assert_eq!(*limits.borrow(), [10]);
    bev.input().drain(4).unwrap();
    turn(&base);
    assert_eq!(bev.input().to_vec(), b"456789abcd");
    bev.input().drain(10).unwrap();
    turn(&base);
    assert_eq!(bev.input().to_vec(), b"ef");
}

#[test]
fn a_filter_that_keeps_to_its_limit_is_called_again_for_the_rest() {
    let base = EventBase::new().unwrap();
    let by_limit =
        |s: &mut EvBuffer, d: &mut EvBuffer, limit: usize| match s.remove_buffer(d, limit) {
            Ok(_) => FilterResult::Ok,
            Err(error) => FilterResult::Error(error.into()),
        };
    let filter = filter_fn(
        move |s, d, limit, _| by_limit(s, d, limit),
        move |s, d, limit, _| by_limit(s, d, limit),
    );
    let (mut peer, bev, _) = over(&base, filter);
    bev.underlying().unwrap().set_watermark(WRITE, 0, 3).unwrap();
    bev.write(b"leaves in threes").unwrap();
    bev.close();
    base.dispatch().unwrap();
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "leaves in threes");
}

#[test]
fn need_more_waits_for_more_and_the_end_within_is_an_error() {
    let base = EventBase::new().unwrap();
    let fours = |s: &mut EvBuffer, d: &mut EvBuffer| {
        let whole = s.len() / 4 * 4;
        s.remove_buffer(d, whole).unwrap();
        FilterResult::NeedMore
    };
    let filter = filter_fn(move |s, d, _, _| fours(s, d), move |s, d, _, _| fours(s, d));
    let (mut peer, bev, log) = over(&base, filter);
    bev.enable(READ).unwrap();
    peer.write_all(b"abcde").unwrap();
    bev.write(b"123456").unwrap();
    turn(&base);
    assert_eq!((bev.input().to_vec(), bev.output().len()), (b"abcd".to_vec(), 2));
    assert_eq!(read_available(&mut peer), b"1234");
    peer.set_nonblocking(false).unwrap();
    peer.write_all(b"fghij").unwrap();
    bev.write(b"78").unwrap();
    turn(&base);
    assert_eq!((bev.input().to_vec(), bev.output().len()), (b"abcdefgh".to_vec(), 0));
    peer.shutdown(Shutdown::Write).unwrap();
    turn(&base);
    assert_eq!(log.events.take(), [READ_ERROR]);
    assert_eq!(bev.take_error().unwrap().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn an_error_of_the_filter_is_told_after_the_bytes_before_it() {
    let base = EventBase::new().unwrap();
    let broken = || FilterResult::Error(io::Error::new(io::ErrorKind::InvalidData, "a bad byte"));
    let filter = filter_fn(
        move |s, d, _, _| {
            s.remove_buffer(d, 3).unwrap();
            broken()
        },
        move |_, _, _, _| broken(),
    );
    let (mut peer, bev, log) = over(&base, filter);
    bev.enable(READ).unwrap();
    peer.write_all(b"good\0").unwrap();
    turn(&base);
    assert_eq!(bev.input().to_vec(), b"goo");
    assert_eq!((log.events.take(), bev.enabled()), (vec![READ_ERROR], WRITE));
    assert_eq!(bev.take_error().unwrap().to_string(), "a bad byte");
    bev.write(b"x").unwrap();
    turn(&base);
    assert_eq!(log.events.take(), [WRITE_ERROR]);
    assert!(bev.enabled().is_empty());
}

#[test]
fn a_filter_that_does_nothing_for_ever_is_an_error() {
    let base = EventBase::new().unwrap();
    let filter = filter_fn(|_, _, _, _| FilterResult::Ok, |_, _, _, _| FilterResult::Ok);
    let (mut peer, bev, log) = over(&base, filter);
    bev.enable(READ).unwrap();
    peer.write_all(b"x").unwrap();
    bev.write(b"y").unwrap();
    turn(&base);
    let mut events = log.events.take();
    events.sort_by_key(|what| what.bits());
    assert_eq!(events, [READ_ERROR, WRITE_ERROR]);
    assert_eq!(bev.take_error().unwrap().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_filter_that_stalls_is_an_error_once_the_one_below_is_full() {
    let base = EventBase::new().unwrap();
    let filter = filter_fn(|_, _, _, _| FilterResult::NeedMore, |s, d, _, _| pass(s, d));
    let (mut peer, bev, log) = over(&base, filter);
    bev.underlying().unwrap().set_watermark(READ, 0, 100).unwrap();
    bev.enable(READ).unwrap();
    peer.write_all(&[0; 99]).unwrap();
    turn(&base);
    assert_eq!(log.events.take(), []);
    peer.write_all(&[0; 99]).unwrap();
    turn(&base);
    assert_eq!(log.events.take(), [READ_ERROR]);
}

#[test]
fn a_filter_that_gives_far_too_much_is_an_error_and_its_bytes_are_dropped() {
    let base = EventBase::new().unwrap();
    let bomb = filter_fn(
        |s, d, _, _| {
            s.drain(s.len()).unwrap();
            d.add(&vec![0; 4 << 20]).unwrap();
            FilterResult::Ok
        },
        |s, d, _, _| pass(s, d),
    );
    let (mut peer, bev, log) = over(&base, bomb);
    bev.set_watermark(READ, 0, 1000).unwrap();
    bev.enable(READ).unwrap();
    peer.write_all(b"x").unwrap();
    turn(&base);
    assert_eq!((log.events.take(), bev.input().len()), (vec![READ_ERROR], 0));
}

#[test]
fn a_filter_that_never_stops_giving_does_not_stop_the_loop() {
    let base = EventBase::new().unwrap();
    struct Endless;
    impl Filter for Endless {
        fn input(
            &mut self,
            source: &mut EvBuffer,
            destination: &mut EvBuffer,
            _: usize,
            _: FlushMode,
        ) -> FilterResult {
            source.drain(source.len()).unwrap();
            destination.add(b"more").unwrap();
            FilterResult::Ok
        }
        fn output(
            &mut self,
            source: &mut EvBuffer,
            destination: &mut EvBuffer,
            _: usize,
            _: FlushMode,
        ) -> FilterResult {
            pass(source, destination)
        }
        fn holds_input(&self) -> bool {
            true
        }
    }
    let (_peer, bev, _) = over(&base, Endless);
    let total = Rc::new(Cell::new(0));
    let count = total.clone();
    bev.set_callbacks(
        Some(Box::new(move |bev| {
            let mut input = bev.input();
            let length = input.len();
            count.set(count.get() + length);
            input.drain(length).unwrap();
        })),
        None,
        None,
    );
    bev.enable(READ).unwrap();
    base.loop_exit(Some(Duration::from_millis(20))).unwrap();
    base.dispatch().unwrap();
    assert!(total.get() > 0);
}

#[test]
fn the_end_below_is_told_once_all_that_the_filter_holds_has_come() {
    let base = EventBase::new().unwrap();
    // Gives what it was given when the stream ends.
    let mut held = EvBuffer::new();
    let filter = filter_fn(
        move |s, d, _, mode| {
            held.add_buffer(s).unwrap();
            if mode == FlushMode::Finished {
                d.add_buffer(&mut held).unwrap();
            }
            FilterResult::NeedMore
        },
        |s, d, _, mode| {
            pass(s, d);
            if mode == FlushMode::Finished {
                d.add(b" (the end)").unwrap();
            }
            FilterResult::Ok
        },
    );
    let (mut peer, bev, log) = over(&base, filter);
    bev.enable(READ).unwrap();
    peer.write_all(b"held back").unwrap();
    turn(&base);
    assert!(bev.input().is_empty());
    peer.shutdown(Shutdown::Write).unwrap();
    turn(&base);
    assert_eq!((bev.input().to_vec(), log.events.take()), (b"held back".to_vec(), vec![EOF]));
    bev.write(b"answer").unwrap();
    bev.flush(WRITE, FlushMode::Finished).unwrap();
    turn(&base);
    peer.set_nonblocking(false).unwrap();
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "answer (the end)");
}

#[test]
fn flush_is_passed_to_the_filter_and_to_those_below() {
    let base = EventBase::new().unwrap();
    let modes = Rc::new(RefCell::new(Vec::new()));
    let (_peer, below) = socket(&base);
    let layer = |below: &BufferEvent| {
        let seen = modes.clone();
        let filter = filter_fn(
            |s, d, _, _| pass(s, d),
            move |s, d, _, mode| {
                seen.borrow_mut().push(mode);
                pass(s, d)
            },
        );
        BufferEvent::filter(below, filter, CLOSE).unwrap()
    };
    let middle = layer(&below);
    let top = layer(&middle);
    turn(&base);
    modes.take();
    top.write(b"x").unwrap();
    top.flush(WRITE, FlushMode::Flush).unwrap();
    turn(&base);
    let flushes = modes.take().into_iter().filter(|mode| *mode == FlushMode::Flush).count();
    assert_eq!(flushes, 2);
}

#[test]
fn a_filter_may_end_its_stream_before_the_one_below_ends() {
    let base = EventBase::new().unwrap();
    let filter = filter_fn(
        |s, d, _, _| {
            s.remove_buffer(d, 3).unwrap();
            FilterResult::End
        },
        |s, d, _, _| pass(s, d),
    );
    let (mut peer, bev, log) = over(&base, filter);
    bev.enable(READ).unwrap();
    peer.write_all(b"endtrailing").unwrap();
    turn(&base);
    assert_eq!((bev.input().to_vec(), log.events.take()), (b"end".to_vec(), vec![EOF]));
}

#[test]
fn without_close_on_free_the_one_below_is_given_back() {
    let base = EventBase::new().unwrap();
    let (mut peer, below) = socket(&base);
    let dropped = Rc::new(());
    let held = dropped.clone();
    let filter = filter_fn(
        move |s, d, _, _| {
            let _ = &held;
            rot13(s, d)
        },
        |s, d, _, _| rot13(s, d),
    );
    let bev = BufferEvent::filter(&below, filter, BufferEventOptions::empty()).unwrap();
    bev.write(b"nop").unwrap();
    bev.close();
    let log = Log::of(&bev);
    turn(&base);
    assert!(bev.is_freed() && log.closed.get() && !below.is_freed());
    assert_eq!(Rc::strong_count(&dropped), 1, "the filter is kept");
    below.write(b"plain").unwrap();
    below.enable(READ).unwrap();
    peer.write_all(b"back").unwrap();
    turn(&base);
    assert_eq!(read_available(&mut peer), b"abcplain");
    assert_eq!(below.input().to_vec(), b"back");
}

#[test]
fn with_close_on_free_the_one_below_goes_too() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev, _) = over(&base, no_op());
    let below = bev.underlying().unwrap();
    bev.free();
    assert!(below.is_freed());
    assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    assert!(matches!(BufferEvent::filter(&below, no_op(), CLOSE), Err(Error::Freed { .. })));
}

#[test]
fn a_connection_made_below_is_told_on_top() {
    let base = EventBase::new().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let below = BufferEvent::socket(&base, None, CLOSE).unwrap();
    let bev = BufferEvent::filter(&below, no_op(), CLOSE).unwrap();
    let log = Log::of(&bev);
    bev.write(b"sent when connected").unwrap();
    bev.connect(&listener.local_addr().unwrap().into()).unwrap();
    let accepted = std::thread::spawn(move || {
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    while log.events.borrow().is_empty() {
        base.run_loop(LoopFlags::ONCE).unwrap();
    }
    assert_eq!(log.events.take(), [BufferEventFlags::CONNECTED]);
    bev.close();
    base.dispatch().unwrap();
    assert_eq!(accepted.join().unwrap(), "sent when connected");
}

#[test]
fn a_connection_refused_below_is_told_on_top() {
    let base = EventBase::new().unwrap();
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let below = BufferEvent::socket(&base, None, CLOSE).unwrap();
    let bev = BufferEvent::filter(&below, no_op(), CLOSE).unwrap();
    let log = Log::of(&bev);
    bev.connect(&address.into()).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.events.take(), [BufferEventFlags::ERROR]);
    assert_eq!(bev.take_error().unwrap().kind(), io::ErrorKind::ConnectionRefused);
}
