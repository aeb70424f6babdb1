//! A peer's close that is seen without reading.

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use evcore::backend::Interest;
use evcore::util::time::now_ns;

use super::Watch;

pub fn a_half_close_is_reported_as_long_as_it_lasts(mut watch: Watch) {
    let (socket, peer) = UnixStream::pair().unwrap();
    watch.add(&socket, Interest::CLOSED);
    assert_eq!(watch.now(), []);
    peer.shutdown(Shutdown::Write).unwrap();
    for _ in 0..3 {
        assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::CLOSED)]);
    }
}

pub fn a_close_is_seen_before_the_bytes_are_read(mut watch: Watch) {
    let (socket, mut peer) = UnixStream::pair().unwrap();
    let interest = Interest::READ | Interest::CLOSED;
    watch.add(&socket, interest);
    peer.write_all(b"last words").unwrap();
    assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::READ)]);
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(watch.now(), [(socket.as_raw_fd(), interest)]);
}

pub fn bytes_alone_are_no_close(mut watch: Watch) {
    let (socket, mut peer) = UnixStream::pair().unwrap();
    watch.add(&socket, Interest::CLOSED);
    peer.write_all(b"x").unwrap();
    let (start, timeout) = (now_ns(), Duration::from_millis(5));
    assert_eq!(watch.wait(Some(timeout)), []);
    assert!(now_ns() - start >= timeout.as_nanos() as u64);
    drop(peer);
    assert!(watch.until_ready(&socket).contains(Interest::CLOSED));
}
