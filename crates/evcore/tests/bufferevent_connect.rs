//! Connecting by name and to the first address that answers, and changing the socket underneath.
#![cfg(all(unix, feature = "bufferevent"))]

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use evcore::bufferevent::{
    filter_fn, BufferEvent, BufferEventFlags, BufferEventHandler, BufferEventOptions, FilterResult,
};
use evcore::util::{AddressError, AddressFamily, AddressHints};
use evcore::{Error, EventBase, EventFlags, LoopExit, LoopFlags};

const CLOSE: BufferEventOptions = BufferEventOptions::CLOSE_ON_FREE;
const READ: EventFlags = EventFlags::READ;
const CONNECTED: BufferEventFlags = BufferEventFlags::CONNECTED;
const ERROR: BufferEventFlags = BufferEventFlags::ERROR;

type Happened = Rc<RefCell<Vec<BufferEventFlags>>>;

fn unconnected(base: &EventBase) -> (BufferEvent, Happened) {
    let bev = BufferEvent::socket(base, None, CLOSE).unwrap();
    let happened = note_events(&bev);
    (bev, happened)
}

fn note_events(bev: &BufferEvent) -> Happened {
    let happened = Happened::default();
    let noted = happened.clone();
    bev.set_callbacks(None, None, Some(Box::new(move |_, what| noted.borrow_mut().push(what))));
    happened
}

/// Runs the loop until something has happened.
fn wait(base: &EventBase, happened: &Happened) -> Vec<BufferEventFlags> {
    while happened.borrow().is_empty() {
        assert_eq!(base.run_loop(LoopFlags::ONCE).unwrap(), LoopExit::Done);
    }
    happened.take()
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn refusing() -> SocketAddr {
    listener().1
}

/// An address at which nobody answers: the listener's queue is full.
#[cfg(target_os = "linux")]
fn silent() -> (Vec<socket2::Socket>, SocketAddr) {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut held = vec![listener];
    for _ in 0..2 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        let _ = client.connect(&address.into());
        held.push(client);
    }
    (held, address)
}

#[test]
fn a_name_is_looked_up_and_connected_to() {
    let base = EventBase::new().unwrap();
    let (server, address) = listener();
    let (bev, happened) = unconnected(&base);
    bev.write(b"hello").unwrap();
    let hints = AddressHints { family: Some(AddressFamily::V4), ..AddressHints::default() };
    bev.connect_hostname("localhost", address.port(), &hints).unwrap();
    assert!(happened.borrow().is_empty());
    assert_eq!(wait(&base, &happened), [CONNECTED]);
    assert!(bev.dns_error().is_none());
    assert_eq!(bev.peer_address(), Some(address.into()));
    bev.close();
    base.dispatch().unwrap();
    let mut text = String::new();
    server.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn both_families_are_tried_for_a_name() {
    let base = EventBase::new().unwrap();
    let (_server, address) = listener();
    let (bev, happened) = unconnected(&base);
    // Nobody listens at ::1, if the name has that as well.
    bev.connect_hostname("localhost", address.port(), &AddressHints::default()).unwrap();
    assert_eq!(wait(&base, &happened), [CONNECTED]);
    bev.free();
}

#[test]
fn a_name_without_an_address_is_an_error_that_says_why_and_can_be_tried_again() {
    let base = EventBase::new().unwrap();
    let (bev, happened) = unconnected(&base);
    let hints = AddressHints { family: Some(AddressFamily::V6), ..AddressHints::default() };
    bev.connect_hostname("127.0.0.1", 80, &hints).unwrap();
    assert_eq!(wait(&base, &happened), [ERROR]);
    assert!(matches!(bev.dns_error().as_deref(), Some(AddressError::AddressFamily)));
    let told = bev.take_error().unwrap();
    assert_eq!(told.kind(), io::ErrorKind::NotFound);
    assert_eq!(told.to_string(), "the host has no address of this family");
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    let (_server, address) = listener();
    bev.connect_hostname("127.0.0.1", address.port(), &AddressHints::default()).unwrap();
    assert_eq!(wait(&base, &happened), [CONNECTED]);
    assert!(bev.dns_error().is_none());
    bev.free();
}

#[test]
fn an_address_that_refuses_is_followed_by_the_next() {
    let base = EventBase::new().unwrap();
    let (_server, address) = listener();
    let (bev, happened) = unconnected(&base);
    let start = Instant::now();
    bev.connect_any(&[refusing(), refusing(), address]).unwrap();
    assert_eq!(wait(&base, &happened), [CONNECTED]);
    assert!(start.elapsed() < Duration::from_millis(200));
    assert_eq!(bev.peer_address(), Some(address.into()));
    bev.free();
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_that_does_not_answer_is_overtaken_by_the_next() {
    let base = EventBase::new().unwrap();
    let (_held, silent) = silent();
    let (_server, address) = listener();
    let (bev, happened) = unconnected(&base);
    let start = Instant::now();
    bev.connect_any(&[silent, address]).unwrap();
    assert_eq!(wait(&base, &happened), [CONNECTED]);
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(250) && elapsed < Duration::from_millis(900));
    assert_eq!(bev.peer_address(), Some(address.into()));
    // The other attempt has ended: nothing of it is left in the loop.
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    bev.free();
}

#[test]
fn when_no_address_answers_the_last_error_is_told_and_another_try_is_possible() {
    let base = EventBase::new().unwrap();
    let (bev, happened) = unconnected(&base);
    bev.connect_any(&[refusing(), refusing()]).unwrap();
    assert_eq!(wait(&base, &happened), [ERROR]);
    assert_eq!(bev.take_error().unwrap().kind(), io::ErrorKind::ConnectionRefused);
    let (_server, address) = listener();
    bev.connect(&address.into()).unwrap();
    assert_eq!(wait(&base, &happened), [CONNECTED]);
    bev.free();
}

#[cfg(target_os = "linux")]
#[test]
fn a_connect_by_name_can_time_out_be_freed_and_be_closed() {
    let base = EventBase::new().unwrap();
    let (_held, silent) = silent();
    let (bev, happened) = unconnected(&base);
    bev.set_timeouts(None, Some(Duration::from_millis(10))).unwrap();
    bev.connect_any(&[silent, silent]).unwrap();
    let timeout = BufferEventFlags::TIMEOUT | BufferEventFlags::WRITING;
    assert_eq!(wait(&base, &happened), [timeout]);
    bev.free();
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    let (bev, _) = unconnected(&base);
    bev.connect_any(&[silent]).unwrap();
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    bev.close();
    base.dispatch().unwrap();
    assert!(bev.is_freed());
    let (bev, _) = unconnected(&base);
    bev.connect_hostname("localhost", 1, &AddressHints::default()).unwrap();
    drop(bev);
    base.free();
}

#[test]
fn what_makes_no_sense_is_refused() {
    let base = EventBase::new().unwrap();
    let (bev, _) = unconnected(&base);
    let refused = |result: Result<(), Error>| matches!(result, Err(Error::InvalidArgument { .. }));
    assert!(refused(bev.connect_any(&[])));
    bev.connect_any(&[refusing()]).unwrap();
    assert!(refused(bev.connect_any(&[refusing()])));
    assert!(refused(bev.connect(&refusing().into())));
    assert!(refused(bev.connect_hostname("localhost", 1, &AddressHints::default())));
    assert!(bev.replace_fd(None).is_err());
    let (one, _two) = BufferEvent::pair(&base, CLOSE).unwrap();
    assert!(refused(one.connect_any(&[refusing()])));
    assert!(one.replace_fd(None).is_err());
    let (_peer, ours) = UnixStream::pair().unwrap();
    let given = BufferEvent::socket(&base, Some(ours.into()), CLOSE).unwrap();
    assert!(refused(given.connect_any(&[refusing()])));
    bev.free();
    assert!(matches!(bev.connect_any(&[refusing()]), Err(Error::Freed { .. })));
}

#[test]
fn a_filter_connects_by_name_below() {
    let base = EventBase::new().unwrap();
    let (_server, address) = listener();
    let below = BufferEvent::socket(&base, None, CLOSE).unwrap();
    let filter =
        || filter_fn(|_, _, _, _| FilterResult::NeedMore, |_, _, _, _| FilterResult::NeedMore);
    let bev = BufferEvent::filter(&below, filter(), CLOSE).unwrap();
    let happened = note_events(&bev);
    bev.connect_hostname("127.0.0.1", address.port(), &AddressHints::default()).unwrap();
    assert_eq!(wait(&base, &happened), [CONNECTED]);
    bev.free();
    let below = BufferEvent::socket(&base, None, CLOSE).unwrap();
    let bev = BufferEvent::filter(&below, filter(), CLOSE).unwrap();
    let happened = note_events(&bev);
    let hints = AddressHints { family: Some(AddressFamily::V6), ..AddressHints::default() };
    bev.connect_hostname("127.0.0.1", 80, &hints).unwrap();
    assert_eq!(wait(&base, &happened), [ERROR]);
    assert!(bev.dns_error().is_some());
    bev.free();
}

#[test]
fn the_socket_underneath_can_be_changed_and_the_buffers_stay() {
    let base = EventBase::new().unwrap();
    let (mut first_peer, first) = UnixStream::pair().unwrap();
    let (mut second_peer, second) = UnixStream::pair().unwrap();
    let first_fd = first.as_raw_fd();
    let bev = BufferEvent::socket(&base, Some(first.into()), CLOSE).unwrap();
    bev.enable(READ).unwrap();
    first_peer.write_all(b"one ").unwrap();
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    let old = bev.replace_fd(Some(second.into())).unwrap().unwrap();
    assert_eq!(old.as_raw_fd(), first_fd);
    second_peer.write_all(b"two").unwrap();
    first_peer.write_all(b"not read").unwrap();
    bev.write(b"to the second").unwrap();
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    assert_eq!(bev.input().to_vec(), b"one two");
    let mut bytes = [0; 13];
    second_peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"to the second");
    // Dropping the old one closes it.
    drop(old);
    first_peer.set_nonblocking(true).unwrap();
    assert!(matches!(first_peer.read(&mut [0; 1]), Ok(0) | Err(_)));
    let old = bev.replace_fd(None).unwrap();
    assert!(old.is_some() && bev.fd().is_none());
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    bev.free();
}

#[test]
fn the_handler_can_be_asked_for() {
    struct Deaf;
    impl BufferEventHandler for Deaf {}
    let base = EventBase::new().unwrap();
    let bev = BufferEvent::socket(&base, None, CLOSE).unwrap();
    assert!(bev.handler().is_none());
    let handler: Rc<dyn BufferEventHandler> = Rc::new(Deaf);
    bev.set_handler(Some(handler.clone()));
    assert!(bev.handler().is_some_and(|ours| Rc::ptr_eq(&ours, &handler)));
    bev.free();
    assert!(bev.handler().is_none());
}
