//! Listeners where things go wrong: from callbacks, at the end, and on paths that others use.
#![cfg(all(unix, feature = "listener"))]

use std::cell::Cell;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::rc::Rc;

use evcore::listener::{ConnListener, ListenerOptions};
use evcore::util::SocketAddress;
use evcore::{Error, EventBase, LoopExit, LoopFlags};
use socket2::{Domain, SockAddr, Socket, Type};

fn loopback() -> SocketAddress {
    SocketAddress::Ip((Ipv4Addr::LOCALHOST, 0).into())
}

/// A path for a Unix socket that no other test uses.
fn socket_path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("evcore-{name}-{}", std::process::id()))
}

fn connect(listener: &ConnListener) -> TcpStream {
    let Some(SocketAddress::Ip(address)) = listener.local_address() else { unreachable!() };
    TcpStream::connect(address).unwrap()
}

#[test]
fn a_callback_that_frees_the_base_is_the_last() {
    let base = EventBase::new().unwrap();
    let calls = Rc::new(Cell::new(0));
    let (counted, freeing) = (calls.clone(), base.clone());
    let options = ListenerOptions::default();
    let listener = ConnListener::bind(&base, &loopback(), options, move |_, _, _| {
        counted.set(counted.get() + 1);
        freeing.free();
    })
    .unwrap();
    let _clients = [connect(&listener), connect(&listener)];
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    assert_eq!(calls.get(), 1);
    assert_eq!(listener.fd(), None);
    assert!(!listener.is_enabled());
}

#[test]
fn freeing_the_base_ends_listeners_that_are_held_by_their_own_callbacks() {
    for frees in [true, false] {
        let base = EventBase::new().unwrap();
        let options = ListenerOptions::default();
        let listener = ConnListener::bind(&base, &loopback(), options, |_, _, _| ()).unwrap();
        let alive = Rc::new(());
        let (held, own) = (alive.clone(), listener.clone());
        listener.set_callback(move |_, _, _| drop((held.clone(), own.clone())));
        let (held, own) = (alive.clone(), listener.clone());
        listener.set_error_callback(move |_, _| drop((held.clone(), own.clone())));
        let Some(SocketAddress::Ip(address)) = listener.local_address() else { unreachable!() };
        if frees {
            base.free();
        } else {
            drop(base);
        }
        assert_eq!(Rc::strong_count(&alive), 1);
        assert!(TcpStream::connect(address).is_err());
        assert!(matches!(listener.enable(), Err(Error::Freed { .. })));
    }
}

#[test]
fn a_callback_may_replace_itself_free_its_listener_and_panic() {
    let base = EventBase::new().unwrap();
    let options = ListenerOptions::default();
    let alive = Rc::new(());
    let held = alive.clone();
    let listener = ConnListener::bind(&base, &loopback(), options, move |listener, _, _| {
        let held = held.clone();
        let calls = Cell::new(0);
        listener.set_callback(move |listener, _, _| {
            let _ = &held;
            calls.set(calls.get() + 1);
            assert!(calls.get() > 1, "on purpose");
            listener.free();
        });
    })
    .unwrap();
    let _first = connect(&listener);
    base.run_loop(LoopFlags::ONCE).unwrap();
    let _second = connect(&listener);
    catch_unwind(AssertUnwindSafe(|| base.dispatch())).unwrap_err();
    let _third = connect(&listener);
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[test]
fn a_path_that_another_listener_has_taken_over_is_left_alone() {
    let base = EventBase::new().unwrap();
    let path = socket_path("taken-over");
    let address = SocketAddress::Unix(path.clone());
    let options = ListenerOptions::default();
    let old = ConnListener::bind(&base, &address, options.clone(), |_, _, _| ()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let new = ConnListener::bind(&base, &address, options, |_, _, _| ()).unwrap();
    old.free();
    assert!(UnixStream::connect(&path).is_ok());
    new.free();
    assert!(!path.exists());
}

#[test]
fn a_listener_that_could_not_be_made_leaves_no_path() {
    let base = EventBase::new().unwrap();
    let path = socket_path("not-made");
    let address = SocketAddress::Unix(path.clone());
    base.free();
    let outcome = ConnListener::bind(&base, &address, ListenerOptions::default(), |_, _, _| ());
    assert!(matches!(outcome, Err(Error::Freed { .. })));
    assert!(!path.exists());
    let base = EventBase::new().unwrap();
    // TCP's option, which Linux refuses here.
    let options = ListenerOptions { deferred_accept: true, ..Default::default() };
    let outcome = ConnListener::bind(&base, &address, options, |_, _, _| ());
    assert_eq!(path.exists(), outcome.is_ok());
    outcome.iter().for_each(ConnListener::free);
}

#[test]
fn the_path_of_a_unix_peer_is_told() {
    let base = EventBase::new().unwrap();
    let (path, peer_path) = (socket_path("server"), socket_path("client"));
    let address = SocketAddress::Unix(path);
    let options = ListenerOptions::default();
    let (told, came) = (Rc::new(Cell::new(None)), SocketAddress::Unix(peer_path.clone()));
    let noted = told.clone();
    let listener = ConnListener::bind(&base, &address, options, move |listener, _, peer| {
        noted.set(Some(peer));
        listener.free();
    })
    .unwrap();
    let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    client.bind(&SockAddr::unix(&peer_path).unwrap()).unwrap();
    client.connect(&SockAddr::try_from(&address).unwrap()).unwrap();
    base.dispatch().unwrap();
    std::fs::remove_file(&peer_path).unwrap();
    assert_eq!(told.take(), Some(came));
    assert!(listener.fd().is_none());
}
