//! Peers that go away.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;

use evcore::backend::Features;
use evcore::{EventBase, EventFlags};
use socket2::{Domain, Socket, Type};

use super::{turn, until, Count};

const READ: EventFlags = EventFlags::READ.union(EventFlags::PERSIST);

pub fn a_half_close_is_an_end_of_file(base: EventBase) {
    let (mut ours, mut peer) = UnixStream::pair().unwrap();
    let count = Count::default();
    let _event = count.event(&base, &ours, READ);
    turn(&base);
    assert_eq!(count.take(), 0);
    peer.shutdown(Shutdown::Write).unwrap();
    for _ in 0..3 {
        turn(&base);
        assert_eq!(count.take(), 1);
        assert_eq!(ours.read(&mut [0]).unwrap(), 0);
    }
    // The other way is open still.
    ours.write_all(b"x").unwrap();
    peer.read_exact(&mut [0]).unwrap();
}

pub fn a_half_close_is_seen_without_reading_where_the_method_can(base: EventBase) {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"unread").unwrap();
    let (read, closed) = (Count::default(), Count::default());
    let _read = read.event(&base, &ours, READ);
    let _closed = closed.event(&base, &ours, EventFlags::CLOSED | EventFlags::PERSIST);
    turn(&base);
    assert_eq!((read.take(), closed.take()), (1, 0));
    peer.shutdown(Shutdown::Write).unwrap();
    turn(&base);
    let seen = usize::from(base.features().contains(Features::EARLY_CLOSE));
    assert_eq!((read.take(), closed.take()), (1, seen));
}

pub fn a_hang_up_is_told_as_long_as_it_lasts(base: EventBase) {
    let (ours, peer) = UnixStream::pair().unwrap();
    let (read, write) = (Count::default(), Count::default());
    let _read = read.event(&base, &ours, READ);
    let _write = write.event(&base, &ours, EventFlags::WRITE | EventFlags::PERSIST);
    drop(peer);
    for _ in 0..3 {
        turn(&base);
        assert_eq!((read.take(), write.take()), (1, 1));
    }
}

pub fn a_refused_connect_is_told_to_its_writer(base: EventBase) {
    // Bound, so that nobody else can listen there, but not listening.
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    bound.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let error = socket.connect(&bound.local_addr().unwrap()).unwrap_err();
    if error.kind() == std::io::ErrorKind::ConnectionRefused {
        return;
    }
    assert_eq!(error.raw_os_error(), Some(libc::EINPROGRESS));
    let count = Count::default();
    let _event = count.event(&base, &socket, EventFlags::WRITE);
    until(&base, || count.take() == 1);
    let error = socket.take_error().unwrap().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}
