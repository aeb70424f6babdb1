//! What networks do to connections: each fault with a real socket.
#![cfg(all(unix, feature = "bufferevent"))]

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use evcore::bufferevent::{
    filter_fn, BufferEvent, BufferEventFlags, BufferEventOptions, Filter, FilterResult, FlushMode,
};
use evcore::util::SocketAddress;
use evcore::{EvBuffer, EventBase, EventFlags, LoopFlags};
use socket2::SockRef;

const CLOSE: BufferEventOptions = BufferEventOptions::CLOSE_ON_FREE;
const READ: EventFlags = EventFlags::READ;
const WRITE: EventFlags = EventFlags::WRITE;
const READING: BufferEventFlags = BufferEventFlags::READING;
const WRITING: BufferEventFlags = BufferEventFlags::WRITING;
const EOF: BufferEventFlags = BufferEventFlags::EOF;
const ERROR: BufferEventFlags = BufferEventFlags::ERROR;
const TIMEOUT: BufferEventFlags = BufferEventFlags::TIMEOUT;

type Happened = Rc<RefCell<Vec<BufferEventFlags>>>;

fn pass(source: &mut EvBuffer, destination: &mut EvBuffer) -> FilterResult {
    destination.add_buffer(source).unwrap();
    FilterResult::Ok
}

fn no_op() -> impl Filter {
    filter_fn(|s, d, _, _| pass(s, d), |s, d, _, _| pass(s, d))
}

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (peer, listener.accept().unwrap().0)
}

/// A TCP peer and a bufferevent with this many filters that change nothing.
fn ends(base: &EventBase, layers: usize) -> (TcpStream, BufferEvent, Happened) {
    let (peer, ours) = tcp();
    let mut bev = BufferEvent::socket(base, Some(ours.into()), CLOSE).unwrap();
    for _ in 0..layers {
        bev = BufferEvent::filter(&bev, no_op(), CLOSE).unwrap();
    }
    let happened = Happened::default();
    let noted = happened.clone();
    bev.set_callbacks(None, None, Some(Box::new(move |_, what| noted.borrow_mut().push(what))));
    (peer, bev, happened)
}

fn until_something(base: &EventBase, happened: &Happened) -> Vec<BufferEventFlags> {
    while happened.borrow().is_empty() {
        base.run_loop(LoopFlags::ONCE).unwrap();
    }
    happened.take()
}

fn reset(peer: TcpStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_reset_is_an_error_of_the_direction_that_meets_it() {
    for layers in [0, 2] {
        let base = EventBase::new().unwrap();
        let (peer, bev, happened) = ends(&base, layers);
        bev.enable(READ).unwrap();
        reset(peer);
        assert_eq!(until_something(&base, &happened), [ERROR | READING]);
        assert_eq!(bev.take_error().unwrap().kind(), io::ErrorKind::ConnectionReset);
        bev.write(b"to nobody").unwrap();
        assert_eq!(until_something(&base, &happened), [ERROR | WRITING]);
        assert_eq!(bev.take_error().unwrap().kind(), io::ErrorKind::BrokenPipe);
        assert!(bev.enabled().is_empty());
        bev.free();
    }
}

#[test]
fn a_half_closed_connection_goes_on_in_the_other_direction() {
    for layers in [0, 2] {
        let base = EventBase::new().unwrap();
        let (mut peer, bev, happened) = ends(&base, layers);
        bev.enable(READ).unwrap();
        peer.write_all(b"the last").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(until_something(&base, &happened), [EOF | READING]);
        assert_eq!(bev.input().to_vec(), b"the last");
        bev.write(b"an answer").unwrap();
        bev.flush(WRITE, FlushMode::Finished).unwrap();
        base.dispatch().unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "an answer");
        assert!(happened.borrow().is_empty());
        bev.free();
    }
}

#[test]
fn the_end_with_bytes_before_a_full_input_is_told_after_all_of_them() {
    for layers in [0, 2] {
        let base = EventBase::new().unwrap();
        let (mut peer, bev, happened) = ends(&base, layers);
        bev.set_watermark(READ, 0, 4).unwrap();
        bev.enable(READ).unwrap();
        peer.write_all(b"0123456789").unwrap();
        drop(peer);
        let mut got = Vec::new();
        while happened.borrow().is_empty() {
            base.run_loop(LoopFlags::NONBLOCK).unwrap();
            let mut input = bev.input();
            assert!(input.len() <= 4);
            got.extend(input.to_vec());
            let length = input.len();
            input.drain(length).unwrap();
        }
        assert_eq!((got, happened.take()), (b"0123456789".to_vec(), vec![EOF | READING]));
        bev.free();
    }
}

#[test]
fn silence_and_a_peer_that_does_not_read_are_timeouts_of_their_directions() {
    for layers in [0, 2] {
        let base = EventBase::new().unwrap();
        let (_peer, bev, happened) = ends(&base, layers);
        let soon = Some(Duration::from_millis(20));
        bev.set_timeouts(soon, None).unwrap();
        bev.enable(READ).unwrap();
        assert_eq!(until_something(&base, &happened), [TIMEOUT | READING]);
        bev.set_timeouts(None, soon).unwrap();
        // The layers take some of it each, before they hold up the one on top.
        for _ in 0..8 {
            bev.write(&vec![0; 4 << 20]).unwrap();
            base.run_loop(LoopFlags::NONBLOCK).unwrap();
        }
        assert_eq!(until_something(&base, &happened), [TIMEOUT | WRITING]);
        assert!(bev.enabled().is_empty());
        bev.free();
    }
}

#[test]
fn a_peer_that_nobody_can_reach_is_an_error() {
    let base = EventBase::new().unwrap();
    // The system refuses to broadcast a stream, or has no way there; nothing is sent.
    let nowhere = SocketAddress::Ip((Ipv4Addr::BROADCAST, 9).into());
    let bev = BufferEvent::socket(&base, None, CLOSE).unwrap();
    let happened = Happened::default();
    let noted = happened.clone();
    bev.set_callbacks(None, None, Some(Box::new(move |_, what| noted.borrow_mut().push(what))));
    bev.connect(&nowhere).unwrap();
    assert_eq!(until_something(&base, &happened), [ERROR]);
    assert!(bev.take_error().is_some_and(|error| error.raw_os_error().is_some()));
    bev.free();
}

#[test]
fn a_bufferevent_freed_while_it_connects_leaves_nothing_behind() {
    for layers in [0, 1] {
        let base = EventBase::new().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let below = BufferEvent::socket(&base, None, CLOSE).unwrap();
        let bev = match layers {
            0 => below.clone(),
            _ => BufferEvent::filter(&below, no_op(), CLOSE).unwrap(),
        };
        bev.write(b"never sent").unwrap();
        bev.connect(&listener.local_addr().unwrap().into()).unwrap();
        bev.free();
        base.dispatch().unwrap();
        assert!(below.is_freed());
        let mut bytes = Vec::new();
        assert!(listener.accept().unwrap().0.read_to_end(&mut bytes).is_ok_and(|count| count == 0));
    }
}

#[test]
fn a_close_sends_gigabytes_that_share_their_memory() {
    const TIMES: usize = if cfg!(debug_assertions) { 128 } else { 1024 };
    let base = EventBase::new().unwrap();
    let (mut peer, bev, _) = ends(&base, 1);
    let mut page = EvBuffer::from(vec![5; 2 << 20]);
    for _ in 0..TIMES {
        bev.output().add_buffer_reference(&mut page).unwrap();
    }
    bev.close();
    let reader = std::thread::spawn(move || {
        let (mut total, mut bytes) = (0, vec![0; 1 << 20]);
        loop {
            match peer.read(&mut bytes).unwrap() {
                0 => return total,
                count => total += count,
            }
        }
    });
    base.dispatch().unwrap();
    assert_eq!(reader.join().unwrap(), TIMES * (2 << 20));
    assert!(bev.is_freed());
}
