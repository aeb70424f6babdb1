//! Bufferevents over real sockets.
#![cfg(all(unix, feature = "bufferevent", feature = "listener"))]

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use evcore::bufferevent::{
    BufferEvent, BufferEventFlags, BufferEventHandler, BufferEventOptions, FlushMode,
};
use evcore::listener::{ConnListener, ListenerOptions};
use evcore::util::SocketAddress;
use evcore::{Error, EvBuffer, Event, EventBase, EventFlags, LoopExit, LoopFlags};

const CLOSE: BufferEventOptions = BufferEventOptions::CLOSE_ON_FREE;
const READ: EventFlags = EventFlags::READ;
const WRITE: EventFlags = EventFlags::WRITE;

type Happened = Rc<RefCell<Vec<BufferEventFlags>>>;

fn pair(base: &EventBase) -> (UnixStream, BufferEvent) {
    let (peer, ours) = UnixStream::pair().unwrap();
    (peer, BufferEvent::socket(base, Some(ours.into()), CLOSE).unwrap())
}

/// Notes events and frees the bufferevent at the end of its stream.
fn note_events(bev: &BufferEvent) -> Happened {
    let happened = Happened::default();
    let noted = happened.clone();
    bev.set_callbacks(
        None,
        None,
        Some(Box::new(move |bev, what| {
            noted.borrow_mut().push(what);
            bev.free();
        })),
    );
    happened
}

fn is_open(fd: i32) -> bool {
    // SAFETY: asks for the flags of a descriptor number, open or not.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

#[test]
fn what_comes_can_be_read_and_the_end_is_told_after_it() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    let log = Rc::new(RefCell::new(Vec::new()));
    let (read, event) = (log.clone(), log.clone());
    bev.set_callbacks(
        Some(Box::new(move |bev| {
            let mut bytes = [0; 64];
            let count = bev.read(&mut bytes).unwrap();
            read.borrow_mut().push(String::from_utf8(bytes[..count].to_vec()).unwrap());
        })),
        None,
        Some(Box::new(move |bev, what| {
            event.borrow_mut().push(format!("{what:?}"));
            bev.free();
        })),
    );
    bev.enable(READ).unwrap();
    peer.write_all(b"all of it").unwrap();
    drop(peer);
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    let end = BufferEventFlags::EOF | BufferEventFlags::READING;
    assert_eq!(*log.borrow(), ["all of it".to_owned(), format!("{end:?}")]);
}

#[test]
fn no_callback_runs_inside_a_call_on_the_bufferevent() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    let called = Rc::new(Cell::new(0));
    let (written, happened) = (called.clone(), called.clone());
    bev.set_callbacks(
        None,
        Some(Box::new(move |_| written.set(written.get() + 1))),
        Some(Box::new(move |_, _| happened.set(happened.get() + 10))),
    );
    bev.write(b"hello").unwrap();
    bev.trigger(WRITE).unwrap();
    bev.trigger_event(BufferEventFlags::TIMEOUT).unwrap();
    assert_eq!(called.get(), 0);
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    assert!(called.get() >= 11, "{}", called.get());
    let mut bytes = [0; 5];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
    bev.free();
}

#[test]
fn small_writes_in_a_callback_leave_together() {
    let base = EventBase::new().unwrap();
    // Packets keep their borders, so that the peer sees how many writes there were.
    let kind = socket2::Type::SEQPACKET;
    let (mut peer, ours) = socket2::Socket::pair(socket2::Domain::UNIX, kind, None).unwrap();
    let bev = BufferEvent::socket(&base, Some(ours.into()), CLOSE).unwrap();
    bev.set_callbacks(
        Some(Box::new(|bev| {
            for part in ["a", "b", "c"] {
                bev.write(part.as_bytes()).unwrap();
            }
            bev.close();
        })),
        None,
        None,
    );
    bev.enable(READ).unwrap();
    peer.write_all(b"go").unwrap();
    base.dispatch().unwrap();
    let mut bytes = [0; 16];
    let count = peer.read(&mut bytes).unwrap();
    assert_eq!(&bytes[..count], b"abc");
}

#[test]
fn a_full_input_stops_reading_until_it_is_drained() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    bev.set_watermark(READ, 10, 100).unwrap();
    assert_eq!(bev.watermark(READ), (10, 100));
    let calls = Rc::new(Cell::new(0));
    let counted = calls.clone();
    bev.set_callbacks(
        Some(Box::new(move |bev| {
            assert!(bev.input().len() >= 10);
            counted.set(counted.get() + 1);
        })),
        None,
        None,
    );
    bev.enable(READ).unwrap();
    peer.write_all(&[7; 9]).unwrap();
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    assert_eq!(calls.get(), 0, "called below the low mark");
    peer.write_all(&[7; 1000]).unwrap();
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    assert_eq!(bev.input().len(), 100);
    assert_eq!(calls.get(), 1);
    bev.input().drain(60).unwrap();
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    assert_eq!(bev.input().len(), 100);
    assert_eq!(calls.get(), 2);
    bev.free();
}

#[test]
fn a_blocked_peer_stops_reading_at_the_write_high_mark() {
    let base = EventBase::new().unwrap();
    let (peer, bev) = pair(&base);
    peer.set_nonblocking(true).unwrap();
    bev.set_watermark(WRITE, 0, 64 * 1024).unwrap();
    bev.set_callbacks(
        Some(Box::new(|bev| {
            bev.forward(bev).unwrap();
        })),
        None,
        None,
    );
    bev.enable(READ).unwrap();
    let (mut sent, chunk) = (0, [9; 8192]);
    // Writes and never reads, until the server takes no more.
    loop {
        match (&peer).write(&chunk) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        if base.run_loop(LoopFlags::NONBLOCK | LoopFlags::ONCE).unwrap() == LoopExit::NoEvents
            || (&peer).write(&chunk).map(|count| sent += count).is_err()
                && bev.input().len() + bev.output().len() > 0
                && base.next_timeout().is_none()
        {
            let held = bev.input().len() + bev.output().len();
            assert!(held <= 64 * 1024 + 64 * 1024, "{held} bytes held");
            break;
        }
    }
    // Reads it all: nothing is lost, and reading goes on by itself.
    peer.shutdown(Shutdown::Write).unwrap();
    let happened = Happened::default();
    let noted = happened.clone();
    bev.set_callbacks(
        Some(Box::new(|bev| {
            bev.forward(bev).unwrap();
        })),
        None,
        Some(Box::new(move |bev, what| {
            noted.borrow_mut().push(what);
            bev.close();
        })),
    );
    let mut received = 0;
    let mut bytes = [0; 65536];
    loop {
        match (&peer).read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => received += count,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                base.run_loop(LoopFlags::ONCE).unwrap();
            }
        }
    }
    assert_eq!(received, sent);
    assert_eq!(happened.borrow().len(), 1);
}

#[test]
fn a_proxy_holds_back_the_fast_side_for_the_slow_one() {
    let base = EventBase::new().unwrap();
    let (mut source, from) = pair(&base);
    let (mut target, to) = pair(&base);
    to.set_watermark(WRITE, 0, 16 * 1024).unwrap();
    let out = to.clone();
    from.set_callbacks(
        Some(Box::new(move |from| {
            from.forward(&out).unwrap();
        })),
        None,
        Some(Box::new({
            let out = to.clone();
            move |from, _| {
                // The rest waits in the input for the target to take it.
                let mut rest = EvBuffer::new();
                from.read_buffer(&mut rest).unwrap();
                out.write_buffer(&mut rest).unwrap();
                from.free();
                out.close();
            }
        })),
    );
    from.enable(READ).unwrap();
    let bytes: Vec<u8> = (0..4_000_000u32).map(|n| (n % 251) as u8).collect();
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || source.write_all(&sent).unwrap());
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        target.read_to_end(&mut all).unwrap();
        all
    });
    base.dispatch().unwrap();
    writer.join().unwrap();
    assert!(reader.join().unwrap() == bytes, "bytes were lost or changed");
}

#[test]
fn timeouts_report_their_direction_and_disable_it() {
    let base = EventBase::new().unwrap();
    let (_peer, bev) = pair(&base);
    let limit = Duration::from_millis(20);
    let happened = Happened::default();
    let noted = happened.clone();
    let start = Instant::now();
    bev.set_callbacks(
        None,
        None,
        Some(Box::new(move |bev, what| {
            assert!(start.elapsed() >= limit);
            noted.borrow_mut().push(what);
            if noted.borrow().len() == 2 {
                bev.free();
            }
        })),
    );
    bev.set_timeouts(Some(limit), Some(limit)).unwrap();
    assert_eq!(bev.timeouts(), (Some(limit), Some(limit)));
    bev.enable(READ).unwrap();
    // More than the kernel takes from us, so that the rest waits.
    bev.write(&vec![0; 8 << 20]).unwrap();
    base.dispatch().unwrap();
    let timeout = BufferEventFlags::TIMEOUT;
    let mut happened = happened.take();
    happened.sort_by_key(|what| what.bits());
    assert_eq!(
        happened,
        [timeout | BufferEventFlags::READING, timeout | BufferEventFlags::WRITING]
    );
    assert!(bev.is_freed());
}

#[test]
fn bytes_put_a_read_timeout_off() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    // Much longer than the pauses between the bytes, for machines that are busy.
    let limit = Duration::from_millis(400);
    let last = Rc::new(Cell::new(Instant::now()));
    let happened = Happened::default();
    let (read, noted, since) = (last.clone(), happened.clone(), last.clone());
    bev.set_callbacks(
        Some(Box::new(move |bev| {
            read.set(Instant::now());
            let length = bev.input().len();
            bev.input().drain(length).unwrap();
        })),
        None,
        Some(Box::new(move |bev, what| {
            assert!(since.get().elapsed() >= limit - Duration::from_millis(1));
            noted.borrow_mut().push(what);
            bev.free();
        })),
    );
    bev.set_timeouts(Some(limit), None).unwrap();
    bev.enable(READ).unwrap();
    let count = Cell::new(0);
    let feeder = Event::new(&base, evcore::base::NO_FD, EventFlags::PERSIST, move |event, _| {
        peer.write_all(b"x").unwrap();
        count.set(count.get() + 1);
        if count.get() == 4 {
            event.del().unwrap();
        }
    })
    .unwrap();
    feeder.add(Some(Duration::from_millis(100))).unwrap();
    let start = Instant::now();
    base.dispatch().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(4 * 100) + limit);
    assert_eq!(*happened.borrow(), [BufferEventFlags::TIMEOUT | BufferEventFlags::READING]);
}

#[test]
fn a_connection_is_announced_and_carries_what_was_written_before() {
    let base = EventBase::new().unwrap();
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let bev = BufferEvent::socket(&base, None, CLOSE).unwrap();
    let happened = Happened::default();
    let noted = happened.clone();
    bev.set_callbacks(
        None,
        None,
        Some(Box::new(move |bev, what| {
            noted.borrow_mut().push(what);
            bev.close();
        })),
    );
    assert_eq!(bev.fd(), None);
    bev.write(b"early").unwrap();
    bev.connect(&server.local_addr().unwrap().into()).unwrap();
    base.dispatch().unwrap();
    let (mut accepted, _) = server.accept().unwrap();
    let mut text = String::new();
    accepted.read_to_string(&mut text).unwrap();
    assert_eq!(text, "early");
    assert_eq!(*happened.borrow(), [BufferEventFlags::CONNECTED]);
}

#[test]
fn a_refused_connection_is_an_error_event_with_its_reason() {
    let base = EventBase::new().unwrap();
    let port = {
        let unused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        unused.local_addr().unwrap().port()
    };
    let missing = std::env::temp_dir().join(format!("evcore-missing-{}", std::process::id()));
    let refused = Some(libc::ECONNREFUSED);
    let absent = Some(libc::ENOENT);
    let addresses = [
        (SocketAddress::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, port))), refused),
        (SocketAddress::Unix(missing), absent),
    ];
    for (address, reason) in addresses {
        let bev = BufferEvent::socket(&base, None, CLOSE).unwrap();
        let errors = Rc::new(RefCell::new(Vec::new()));
        let noted = errors.clone();
        bev.set_callbacks(
            None,
            None,
            Some(Box::new(move |bev, what| {
                assert!(what.contains(BufferEventFlags::ERROR));
                noted.borrow_mut().push(bev.take_error().and_then(|error| error.raw_os_error()));
                bev.free();
            })),
        );
        bev.connect(&address).unwrap();
        assert!(errors.borrow().is_empty());
        base.dispatch().unwrap();
        assert_eq!(*errors.borrow(), [reason]);
    }
}

#[test]
fn a_reset_is_an_error_event() {
    let base = EventBase::new().unwrap();
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let (accepted, _) = server.accept().unwrap();
    let bev = BufferEvent::socket(&base, Some(accepted.into()), CLOSE).unwrap();
    let errors = Rc::new(RefCell::new(Vec::new()));
    let noted = errors.clone();
    bev.set_callbacks(
        None,
        None,
        Some(Box::new(move |bev, what| {
            noted.borrow_mut().push((what, bev.take_error().and_then(|e| e.raw_os_error())));
            bev.free();
        })),
    );
    bev.enable(READ).unwrap();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    base.dispatch().unwrap();
    let what = BufferEventFlags::ERROR | BufferEventFlags::READING;
    assert_eq!(*errors.borrow(), [(what, Some(libc::ECONNRESET))]);
}

#[test]
fn close_writes_what_is_queued_and_then_closes() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    struct Closed(Rc<Cell<bool>>);
    impl BufferEventHandler for Closed {
        fn closed(&self, bev: &BufferEvent) {
            assert!(bev.is_freed());
            self.0.set(true);
        }
    }
    let closed = Rc::new(Cell::new(false));
    bev.set_handler(Some(Rc::new(Closed(closed.clone()))));
    let fd = bev.fd().unwrap();
    let bytes = vec![5; 3 << 20];
    bev.write(&bytes).unwrap();
    bev.close();
    assert!(!bev.is_freed());
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all.len()
    });
    base.dispatch().unwrap();
    assert!(closed.get() && bev.is_freed());
    assert_eq!(reader.join().unwrap(), 3 << 20);
    assert_eq!(bev.fd(), None);
    let _ = fd;
}

#[test]
fn close_ends_without_a_socket_although_bytes_are_queued() {
    let base = EventBase::new().unwrap();
    let bev = BufferEvent::socket(&base, None, CLOSE).unwrap();
    bev.write(b"nobody will read this").unwrap();
    bev.close();
    base.dispatch().unwrap();
    assert!(bev.is_freed());
}

#[test]
fn finished_ends_the_sending_side_and_goes_on_receiving() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    let got = Rc::new(RefCell::new(Vec::new()));
    let read = got.clone();
    bev.set_callbacks(
        Some(Box::new(move |bev| {
            read.borrow_mut().extend(bev.input().to_vec());
            bev.free();
        })),
        None,
        None,
    );
    bev.enable(READ).unwrap();
    bev.write(b"question").unwrap();
    bev.flush(WRITE, FlushMode::Finished).unwrap();
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    let mut question = String::new();
    peer.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    peer.write_all(b"answer").unwrap();
    base.dispatch().unwrap();
    assert_eq!(*got.borrow(), b"answer");
}

#[test]
fn a_bufferevent_may_be_freed_in_each_of_its_callbacks() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    bev.set_callbacks(Some(Box::new(BufferEvent::free)), None, None);
    bev.enable(READ).unwrap();
    peer.write_all(b"x").unwrap();
    base.dispatch().unwrap();
    assert!(bev.is_freed());

    let (_peer, bev) = pair(&base);
    bev.set_callbacks(None, Some(Box::new(BufferEvent::free)), None);
    bev.write(b"x").unwrap();
    base.dispatch().unwrap();
    assert!(bev.is_freed());

    let (peer, bev) = pair(&base);
    let happened = note_events(&bev);
    bev.enable(READ).unwrap();
    drop(peer);
    base.dispatch().unwrap();
    assert!(bev.is_freed());
    assert_eq!(happened.borrow().len(), 1);
}

#[test]
fn a_callback_may_free_the_base_under_its_bufferevent() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    let held = base.clone();
    bev.set_callbacks(
        Some(Box::new(move |bev| {
            held.free();
            assert!(bev.write(b"x").is_ok() || bev.is_freed());
            assert!(bev.base().is_none());
        })),
        None,
        None,
    );
    bev.enable(READ).unwrap();
    peer.write_all(b"x").unwrap();
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    bev.free();
}

#[test]
fn freeing_the_base_closes_what_it_owned() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    bev.enable(READ).unwrap();
    drop(bev);
    let any = SocketAddress::Ip((Ipv4Addr::LOCALHOST, 0).into());
    let listener =
        ConnListener::bind(&base, &any, ListenerOptions::default(), |_, _, _| ()).unwrap();
    let address = listener.local_address().unwrap();
    drop(listener);
    base.free();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    let SocketAddress::Ip(address) = address else { unreachable!() };
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn without_close_on_free_the_descriptor_stays_open() {
    let base = EventBase::new().unwrap();
    let (_peer, ours) = UnixStream::pair().unwrap();
    let fd = ours.as_raw_fd();
    let bev = BufferEvent::socket(&base, Some(ours.into()), BufferEventOptions::empty()).unwrap();
    bev.free();
    assert!(is_open(fd));
    // SAFETY: the descriptor was let go of and is nobody else's.
    drop(unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) });
}

#[test]
fn a_freed_bufferevent_refuses_every_call() {
    let base = EventBase::new().unwrap();
    let (_peer, bev) = pair(&base);
    bev.free();
    bev.free();
    bev.close();
    let address = SocketAddress::Ip((Ipv4Addr::LOCALHOST, 1).into());
    let outcomes = [
        bev.write(b"x"),
        bev.write_buffer(&mut EvBuffer::new()),
        bev.read(&mut [0]).map(drop),
        bev.read_buffer(&mut EvBuffer::new()).map(drop),
        bev.forward(&bev).map(drop),
        bev.enable(READ),
        bev.disable(READ),
        bev.set_watermark(READ, 0, 0),
        bev.set_timeouts(None, None),
        bev.set_priority(0),
        bev.trigger(READ),
        bev.trigger_event(BufferEventFlags::EOF),
        bev.flush(WRITE, FlushMode::Flush),
        bev.connect(&address),
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(Error::Freed { .. })), "{outcome:?}");
    }
}

#[test]
fn wrong_arguments_are_refused_with_a_reason() {
    let base = EventBase::new().unwrap();
    let (_peer, bev) = pair(&base);
    for outcome in [
        bev.enable(EventFlags::empty()),
        bev.enable(EventFlags::SIGNAL),
        bev.disable(EventFlags::PERSIST | READ),
        bev.set_watermark(READ, 2, 1),
        bev.set_priority(1),
    ] {
        assert!(matches!(outcome, Err(Error::InvalidArgument { .. })), "{outcome:?}");
    }
    let _guard = bev.output();
    assert!(matches!(bev.write(b"x"), Err(Error::InvalidArgument { .. })));
    drop(_guard);
    bev.free();
}
