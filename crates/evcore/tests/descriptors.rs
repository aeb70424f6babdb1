//! What happens when there are no descriptors left: alone in its process, whose limit it lowers.
#![cfg(all(unix, feature = "listener"))]

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use evcore::listener::{ConnListener, ListenerOptions};
use evcore::util::SocketAddress;
use evcore::EventBase;

#[test]
fn a_listener_without_descriptors_says_so_rests_and_goes_on() {
    let base = EventBase::new().unwrap();
    let any = SocketAddress::Ip((Ipv4Addr::LOCALHOST, 0).into());
    let accepted = Rc::new(Cell::new(false));
    let noted = accepted.clone();
    let listener =
        ConnListener::bind(&base, &any, ListenerOptions::default(), move |listener, _, _| {
            noted.set(true);
            listener.free();
        })
        .unwrap();
    let Some(SocketAddress::Ip(address)) = listener.local_address() else { unreachable!() };
    let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    // Nothing that this process opens from here on gets a descriptor.
    let limit = Limit::to_what_is_open();
    client.connect(&address.into()).unwrap();
    let errors = Rc::new(Cell::new(0));
    let counted = errors.clone();
    let limit = Cell::new(Some(limit));
    listener.set_error_callback(move |_, error| {
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        counted.set(counted.get() + 1);
        limit.take();
    });
    base.dispatch().unwrap();
    assert_eq!(errors.get(), 1, "the failing connection was tried again at once");
    assert!(accepted.get());
}

/// Keeps the process from opening descriptors until it is dropped.
struct Limit(libc::rlimit);

impl Limit {
    fn to_what_is_open() -> Self {
        let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: both calls read or fill the structure that they are given.
        unsafe {
            assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut old), 0);
            let none = libc::rlimit { rlim_cur: 0, ..old };
            assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &none), 0);
        }
        Self(old)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // SAFETY: the call reads the structure that it is given.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &self.0) }, 0);
    }
}
