//! Listeners on real sockets.
#![cfg(feature = "listener")]

use std::cell::Cell;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::rc::Rc;

use evcore::listener::{ConnListener, ListenerOptions};
use evcore::util::SocketAddress;
use evcore::{Error, EventBase, LoopExit, LoopFlags};

#[test]
fn a_listener_accepts_pauses_and_ends() {
    let base = EventBase::new().unwrap();
    let any = SocketAddress::Ip((Ipv4Addr::LOCALHOST, 0).into());
    let accepted = Rc::new(Cell::new(0));
    let counted = accepted.clone();
    let options = ListenerOptions { disabled: true, ..Default::default() };
    let listener = ConnListener::bind(&base, &any, options, move |listener, _, peer| {
        assert!(matches!(peer, SocketAddress::Ip(peer) if peer.ip().is_loopback()));
        counted.set(counted.get() + 1);
        if counted.get() == 3 {
            listener.free();
        }
    })
    .unwrap();
    let Some(SocketAddress::Ip(address)) = listener.local_address() else { unreachable!() };
    let _clients: Vec<_> = (0..4).map(|_| TcpStream::connect(address).unwrap()).collect();
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    assert_eq!(accepted.get(), 0);
    listener.enable().unwrap();
    assert!(listener.is_enabled());
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    assert_eq!(accepted.get(), 3);
    assert_eq!(listener.fd(), None);
    assert!(matches!(listener.enable(), Err(Error::Freed { .. })));
}

#[test]
fn a_taken_address_is_an_error_that_names_it() {
    let base = EventBase::new().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().into();
    let outcome = ConnListener::bind(&base, &address, ListenerOptions::default(), |_, _, _| ());
    match outcome {
        Err(Error::Os { source, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
        }
        other => panic!("{other:?}"),
    }
}

#[cfg(unix)]
#[test]
fn a_unix_listener_makes_its_path_and_removes_it() {
    let base = EventBase::new().unwrap();
    let path = std::env::temp_dir().join(format!("evcore-listener-{}", std::process::id()));
    let address = SocketAddress::Unix(path.clone());
    let listener =
        ConnListener::bind(&base, &address, ListenerOptions::default(), |listener, _, _| {
            listener.free();
        })
        .unwrap();
    let _client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    base.dispatch().unwrap();
    assert!(listener.fd().is_none());
    assert!(!path.exists());
}
