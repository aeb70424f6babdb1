//! Bufferevents where things go wrong: calls in an unusual order, from callbacks, and at the end.
#![cfg(all(unix, feature = "bufferevent"))]

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::time::Duration;

use evcore::bufferevent::{BufferEvent, BufferEventFlags, BufferEventHandler, BufferEventOptions};
use evcore::util::SocketAddress;
use evcore::{Error, Event, EventBase, EventFlags, LoopExit, LoopFlags};

const CLOSE: BufferEventOptions = BufferEventOptions::CLOSE_ON_FREE;
const READ: EventFlags = EventFlags::READ;
const WRITE: EventFlags = EventFlags::WRITE;
const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

/// Notes all that it is told.
#[derive(Default)]
struct Log {
    told: RefCell<Vec<String>>,
}

impl Log {
    fn of(bev: &BufferEvent) -> Rc<Self> {
        let log = Rc::new(Self::default());
        bev.set_handler(Some(log.clone()));
        log
    }

    fn take(&self) -> String {
        self.told.take().join(", ")
    }
}

impl BufferEventHandler for Log {
    fn readable(&self, _: &BufferEvent) {
        self.told.borrow_mut().push("readable".into());
    }

    fn writable(&self, _: &BufferEvent) {
        self.told.borrow_mut().push("writable".into());
    }

    fn event(&self, _: &BufferEvent, what: BufferEventFlags) {
        let names: Vec<_> = what.iter_names().map(|(name, _)| name).collect();
        self.told.borrow_mut().push(names.join("|"));
    }

    fn closed(&self, _: &BufferEvent) {
        self.told.borrow_mut().push("closed".into());
    }
}

fn pair(base: &EventBase) -> (UnixStream, BufferEvent) {
    let (peer, ours) = UnixStream::pair().unwrap();
    (peer, BufferEvent::socket(base, Some(ours.into()), CLOSE).unwrap())
}

fn unconnected(base: &EventBase) -> BufferEvent {
    BufferEvent::socket(base, None, CLOSE).unwrap()
}

/// Runs the loop until nothing is ready.
fn turn(base: &EventBase) {
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
}

fn refusing_address() -> SocketAddress {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    SocketAddress::Ip(listener.local_addr().unwrap())
}

/// A listener whose queue is full, so that who connects has to wait.
fn full_listener() -> (TcpListener, SocketAddr, Vec<socket2::Socket>) {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let waiting = (0..2).map(|_| {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        let _ = client.connect(&address.into());
        client
    });
    let waiting = waiting.collect();
    (listener.into(), address, waiting)
}

/// Writes until the peer's side takes no more, with 1 KiB left in the output.
fn block(base: &EventBase, bev: &BufferEvent) {
    while bev.output().len() < 1024 {
        bev.write(&[b'x'; 1024]).unwrap();
        turn(base);
    }
}

#[test]
fn a_bufferevent_whose_connect_failed_can_be_closed() {
    let base = EventBase::new().unwrap();
    let bev = unconnected(&base);
    let log = Log::of(&bev);
    bev.write(b"never sent").unwrap();
    bev.connect(&refusing_address()).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), "ERROR");
    bev.close();
    base.dispatch().unwrap();
    assert_eq!(log.take(), "closed");
    assert!(bev.is_freed());
}

#[test]
fn a_bufferevent_without_a_socket_can_be_closed_with_its_output_unsent() {
    let base = EventBase::new().unwrap();
    let bev = unconnected(&base);
    let log = Log::of(&bev);
    bev.write(b"never sent").unwrap();
    bev.close();
    base.dispatch().unwrap();
    assert_eq!(log.take(), "closed");
}

#[test]
fn close_does_not_wait_for_a_connection_that_it_does_not_need() {
    let base = EventBase::new().unwrap();
    let (_listener, address, _waiting) = full_listener();
    let bev = unconnected(&base);
    let log = Log::of(&bev);
    bev.connect(&address.into()).unwrap();
    turn(&base);
    bev.close();
    turn(&base);
    assert_eq!(log.take(), "closed");
}

#[test]
fn close_of_a_failing_connection_tells_that_it_is_closed() {
    let base = EventBase::new().unwrap();
    let bev = unconnected(&base);
    let log = Log::of(&bev);
    bev.write(b"never sent").unwrap();
    bev.connect(&refusing_address()).unwrap();
    bev.close();
    base.dispatch().unwrap();
    assert_eq!(log.take(), "closed");
}

#[cfg(target_os = "linux")]
#[test]
fn a_connect_goes_on_when_writing_is_enabled_after_its_timeout() {
    let base = EventBase::new().unwrap();
    let (listener, address, _waiting) = full_listener();
    let bev = unconnected(&base);
    let log = Log::of(&bev);
    bev.set_timeouts(None, Some(Duration::from_millis(5))).unwrap();
    bev.connect(&address.into()).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), "WRITING|TIMEOUT");
    let _accepted = listener.accept().unwrap();
    bev.set_timeouts(None, None).unwrap();
    bev.enable(WRITE).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), "CONNECTED");
    bev.free();
}

#[cfg(target_os = "linux")]
#[test]
fn a_second_connect_is_not_judged_by_the_first() {
    let base = EventBase::new().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let bev = unconnected(&base);
    let log = Log::of(&bev);
    bev.connect(&refusing_address()).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), "ERROR");
    bev.write(b"hello").unwrap();
    bev.connect(&listener.local_addr().unwrap().into()).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), "CONNECTED, writable");
    let mut bytes = [0; 5];
    listener.accept().unwrap().0.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
    bev.free();
}

#[test]
fn a_connect_is_refused_while_another_one_goes_on() {
    let base = EventBase::new().unwrap();
    let (_listener, address, _waiting) = full_listener();
    let bev = unconnected(&base);
    bev.connect(&address.into()).unwrap();
    assert!(matches!(bev.connect(&address.into()), Err(Error::InvalidArgument { .. })));
    bev.free();
}

#[test]
fn a_connect_is_refused_and_harms_nothing_when_there_is_a_connection() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    assert!(matches!(bev.connect(&refusing_address()), Err(Error::InvalidArgument { .. })));
    bev.write(b"hello").unwrap();
    bev.close();
    base.dispatch().unwrap();
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn a_failed_connect_stays_failed_when_its_error_is_taken_at_once() {
    let base = EventBase::new().unwrap();
    let bev = unconnected(&base);
    let log = Log::of(&bev);
    let nowhere = std::env::temp_dir().join("evcore-there-is-no-such-socket");
    bev.connect(&SocketAddress::Unix(nowhere)).unwrap();
    assert_eq!(bev.take_error().unwrap().raw_os_error(), Some(libc::ENOENT));
    base.dispatch().unwrap();
    assert_eq!(log.take(), "ERROR");
    bev.free();
}

#[test]
fn no_callback_runs_inside_a_call_that_a_callback_makes() {
    let base = EventBase::new().unwrap();
    let bev = unconnected(&base);
    let depth = Rc::new(Cell::new(0));
    let calls = Rc::new(Cell::new(0));
    let counted = calls.clone();
    let nowhere = std::env::temp_dir().join("evcore-there-is-no-such-socket");
    bev.set_callbacks(
        None,
        None,
        Some(Box::new(move |bev, _| {
            assert_eq!(depth.replace(1), 0);
            counted.set(counted.get() + 1);
            match counted.get() {
                1 => bev.trigger_event(BufferEventFlags::TIMEOUT).unwrap(),
                2 => bev.connect(&SocketAddress::Unix(nowhere.clone())).unwrap(),
                _ => bev.free(),
            }
            depth.set(0);
        })),
    );
    bev.trigger_event(BufferEventFlags::EOF).unwrap();
    base.dispatch().unwrap();
    assert_eq!(calls.get(), 3);
}

#[test]
fn a_held_guard_makes_no_call_panic() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    let (input, output) = (bev.input(), bev.output());
    assert!(matches!(bev.trigger(READ), Err(Error::InvalidArgument { .. })));
    bev.set_watermark(READ | WRITE, 1, 2).unwrap();
    bev.enable(READ | WRITE).unwrap();
    bev.close();
    bev.free();
    drop((input, output));
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

#[test]
fn buffers_that_are_lent_out_while_the_loop_runs_are_served_when_given_back() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    bev.enable(READ).unwrap();
    bev.write(b"hello").unwrap();
    peer.write_all(b"six by").unwrap();
    peer.set_nonblocking(true).unwrap();
    let lent = (bev.input(), bev.output());
    turn(&base);
    assert!(peer.read(&mut [0; 16]).is_err());
    drop(lent);
    turn(&base);
    assert_eq!(peer.read(&mut [0; 16]).unwrap(), 5);
    assert_eq!(bev.input().len(), 6);
    bev.free();
}

#[test]
fn a_callback_that_panics_loses_nothing_and_is_called_again() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    let calls = Rc::new(Cell::new(0));
    let counted = calls.clone();
    bev.set_callbacks(
        Some(Box::new(move |bev| {
            counted.set(counted.get() + 1);
            bev.forward(bev).unwrap();
            assert!(counted.get() > 1, "on purpose");
            bev.close();
        })),
        None,
        None,
    );
    bev.enable(READ).unwrap();
    peer.write_all(b"one").unwrap();
    catch_unwind(AssertUnwindSafe(|| base.dispatch())).unwrap_err();
    turn(&base);
    let mut bytes = [0; 3];
    peer.set_nonblocking(true).unwrap();
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"one");
    peer.write_all(b"two").unwrap();
    base.dispatch().unwrap();
    assert_eq!(calls.get(), 2);
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"two");
}

#[test]
fn a_timeout_that_no_longer_counts_does_not_keep_the_loop_alive() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    bev.set_timeouts(HOUR, HOUR).unwrap();
    block(&base, &bev);
    bev.enable(READ).unwrap();
    turn(&base);
    assert!(base.event_count() > 0);
    bev.disable(READ).unwrap();
    peer.set_nonblocking(true).unwrap();
    while peer.read(&mut [0; 65536]).is_ok() {
        turn(&base);
    }
    assert_eq!(bev.output().len(), 0);
    assert_eq!(base.event_count(), 0);
    bev.free();
}

#[test]
fn a_timeout_that_a_callback_takes_away_is_not_told() {
    let base = EventBase::new().unwrap();
    let (_peer, bev) = pair(&base);
    block(&base, &bev);
    let told = Rc::new(Cell::new(0));
    let counted = told.clone();
    bev.set_callbacks(
        None,
        None,
        Some(Box::new(move |bev, _| {
            counted.set(counted.get() + 1);
            bev.set_timeouts(None, None).unwrap();
            bev.disable(WRITE).unwrap();
        })),
    );
    bev.enable(READ).unwrap();
    let soon = Some(Duration::from_millis(1));
    bev.set_timeouts(soon, soon).unwrap();
    base.dispatch().unwrap();
    assert_eq!(told.get(), 1);
    bev.free();
}

#[test]
fn a_priority_holds_for_the_timeouts_too() {
    let base = EventBase::new().unwrap();
    base.priority_init(2).unwrap();
    let (_peer, bev) = pair(&base);
    let log = Log::of(&bev);
    let soon = Duration::from_millis(1);
    bev.set_timeouts(Some(2 * soon), None).unwrap();
    bev.set_priority(0).unwrap();
    bev.enable(READ).unwrap();
    let ends = base.clone();
    let less = Event::timer(&base, move |_, _| ends.loop_break()).unwrap();
    less.add(Some(soon)).unwrap();
    std::thread::sleep(4 * soon);
    assert_eq!(base.dispatch().unwrap(), LoopExit::Break);
    assert_eq!(log.take(), "READING|TIMEOUT");
    bev.free();
}

#[test]
fn what_happened_is_told_in_its_order() {
    let base = EventBase::new().unwrap();
    let bev = unconnected(&base);
    let log = Log::of(&bev);
    bev.trigger(READ).unwrap();
    bev.trigger_event(BufferEventFlags::CONNECTED).unwrap();
    bev.trigger_event(BufferEventFlags::EOF).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), "CONNECTED, readable, EOF");
    bev.free();
}

#[test]
fn the_end_of_the_stream_is_told_though_the_input_was_full_when_it_came() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    let log = Log::of(&bev);
    bev.set_watermark(READ, 0, 4).unwrap();
    bev.enable(READ).unwrap();
    peer.write_all(b"four").unwrap();
    drop(peer);
    base.dispatch().unwrap();
    assert_eq!(log.take(), "readable");
    bev.input().drain(1).unwrap();
    base.dispatch().unwrap();
    assert_eq!(log.take(), "READING|EOF");
    bev.free();
}

#[test]
fn a_handler_may_be_replaced_wherever_it_is_asked() {
    struct Replaced(RefCell<Option<BufferEvent>>);
    impl BufferEventHandler for Replaced {
        fn wants_write(&self) -> bool {
            if let Some(bev) = self.0.take() {
                bev.set_handler(None);
            }
            true
        }
    }
    let base = EventBase::new().unwrap();
    let (_peer, bev) = pair(&base);
    bev.set_handler(Some(Rc::new(Replaced(RefCell::new(Some(bev.clone()))))));
    bev.write(b"x").unwrap();
    base.dispatch().unwrap();
    bev.free();
}

#[test]
fn nothing_is_taken_after_close() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    let (_other, source) = pair(&base);
    source.input().add(b"late").unwrap();
    bev.write(b"in time").unwrap();
    bev.close();
    assert!(matches!(bev.write(b"late"), Err(Error::Freed { .. })));
    assert!(matches!(source.forward(&bev), Err(Error::Freed { .. })));
    assert_eq!(source.input().len(), 4);
    base.dispatch().unwrap();
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "in time");
    source.free();
}

#[test]
fn freeing_the_base_ends_bufferevents_that_are_held_by_their_own_callbacks() {
    for frees in [true, false] {
        let base = EventBase::new().unwrap();
        let (mut peer, bev) = pair(&base);
        let alive = Rc::new(());
        let (held, own) = (alive.clone(), bev.clone());
        bev.set_callbacks(Some(Box::new(move |_| drop((held.clone(), own.clone())))), None, None);
        bev.enable(READ).unwrap();
        if frees {
            base.free();
        } else {
            drop(base);
        }
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        assert_eq!(Rc::strong_count(&alive), 1);
        assert!(bev.is_freed());
        assert!(matches!(bev.write(b"x"), Err(Error::Freed { .. })));
        assert_eq!(bev.fd(), None);
    }
}

#[test]
fn a_bufferevent_without_a_socket_ends_with_its_base() {
    let base = EventBase::new().unwrap();
    let bev = unconnected(&base);
    base.free();
    assert!(bev.is_freed());
    assert!(matches!(bev.write(b"x"), Err(Error::Freed { .. })));
}

#[test]
fn a_callback_that_frees_the_base_is_the_last() {
    let base = EventBase::new().unwrap();
    let (mut peer, bev) = pair(&base);
    let told = Rc::new(Cell::new(0));
    let (counted, freeing) = (told.clone(), base.clone());
    let count = move |bev: &BufferEvent| {
        told.set(told.get() + 1);
        bev.write(b"never sent").unwrap();
        freeing.free();
    };
    let event = count.clone();
    bev.set_callbacks(Some(Box::new(count)), None, Some(Box::new(move |bev, _| event(bev))));
    bev.trigger(READ).unwrap();
    bev.trigger_event(BufferEventFlags::EOF).unwrap();
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    assert_eq!(counted.get(), 1);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

#[test]
fn freed_bufferevents_leave_nothing_behind() {
    let base = EventBase::new().unwrap();
    let alive = Rc::new(());
    for kind in 0..4 {
        let (mut peer, bev) = pair(&base);
        let (held, own) = (alive.clone(), bev.clone());
        bev.set_callbacks(
            Some(Box::new(move |bev| {
                let _ = (&held, &own);
                match kind {
                    0 => bev.free(),
                    1 => bev.close(),
                    2 => bev.set_handler(None),
                    _ => bev.forward(bev).map(drop).unwrap(),
                }
            })),
            None,
            None,
        );
        bev.set_timeouts(HOUR, HOUR).unwrap();
        bev.enable(READ).unwrap();
        peer.write_all(b"x").unwrap();
        turn(&base);
        bev.free();
        assert_eq!(Rc::strong_count(&alive), 1, "kind {kind}");
    }
    assert_eq!(base.event_count(), 0);
}

#[test]
fn each_callback_may_free_what_it_is_called_for_and_its_base() {
    struct Frees(EventBase, bool, &'static str, Rc<Cell<u32>>);
    impl Frees {
        fn told(&self, bev: &BufferEvent, what: &str) {
            assert!(!bev.is_freed() || what == "closed");
            if what == self.2 {
                self.3.set(self.3.get() + 1);
                if self.1 {
                    self.0.free();
                }
                bev.free();
            }
        }
    }
    impl BufferEventHandler for Frees {
        fn readable(&self, bev: &BufferEvent) {
            self.told(bev, "readable");
        }
        fn writable(&self, bev: &BufferEvent) {
            self.told(bev, "writable");
        }
        fn event(&self, bev: &BufferEvent, _: BufferEventFlags) {
            self.told(bev, "event");
            bev.close();
        }
        fn closed(&self, bev: &BufferEvent) {
            self.told(bev, "closed");
        }
    }
    for options in [CLOSE, CLOSE | BufferEventOptions::DEFER_CALLBACKS] {
        for whole in [false, true] {
            for what in ["readable", "writable", "event", "closed"] {
                let base = EventBase::new().unwrap();
                let (mut peer, ours) = UnixStream::pair().unwrap();
                let bev = BufferEvent::socket(&base, Some(ours.into()), options).unwrap();
                let told = Rc::new(Cell::new(0));
                bev.set_handler(Some(Rc::new(Frees(base.clone(), whole, what, told.clone()))));
                bev.set_timeouts(HOUR, HOUR).unwrap();
                bev.enable(READ).unwrap();
                bev.write(b"x").unwrap();
                peer.write_all(b"x").unwrap();
                peer.shutdown(std::net::Shutdown::Write).unwrap();
                assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
                assert_eq!(told.get(), 1, "{what}");
                assert!(bev.is_freed());
                assert_eq!(base.is_freed(), whole);
                let _ = peer.read_to_end(&mut Vec::new());
            }
        }
    }
}

#[test]
fn a_peer_that_has_gone_raises_no_signal_and_ends_a_close() {
    let base = EventBase::new().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    let bev = BufferEvent::socket(&base, Some(ours.into()), CLOSE).unwrap();
    let log = Log::of(&bev);
    block(&base, &bev);
    log.take();
    bev.close();
    drop(peer);
    base.dispatch().unwrap();
    assert_eq!(log.take(), "closed");
}
