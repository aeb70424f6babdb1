//! Changes of readiness.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use evcore::backend::Interest;

use super::Watch;

const READ_EDGE: Interest = Interest::READ.union(Interest::EDGE);
const WRITE_EDGE: Interest = Interest::WRITE.union(Interest::EDGE);

pub fn a_change_is_reported_once(mut watch: Watch) {
    let (mut reader, mut writer) = io::pipe().unwrap();
    watch.add(&reader, READ_EDGE);
    assert_eq!(watch.now(), []);
    writer.write_all(b"ab").unwrap();
    assert_eq!(watch.now(), [(reader.as_raw_fd(), Interest::READ)]);
    assert_eq!(watch.now(), []);
    reader.read_exact(&mut [0]).unwrap();
    assert_eq!(watch.now(), []);
}

pub fn more_bytes_are_another_change(mut watch: Watch) {
    let (socket, mut peer) = UnixStream::pair().unwrap();
    watch.add(&socket, READ_EDGE);
    for _ in 0..3 {
        peer.write_all(b"x").unwrap();
        assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::READ)]);
        assert_eq!(watch.now(), []);
    }
}

pub fn writable_is_reported_once(mut watch: Watch) {
    let (socket, _peer) = UnixStream::pair().unwrap();
    watch.add(&socket, WRITE_EDGE);
    assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::WRITE)]);
    assert_eq!(watch.now(), []);
}

pub fn modify_reports_what_is_still_ready(mut watch: Watch) {
    let (socket, _peer) = UnixStream::pair().unwrap();
    watch.add(&socket, WRITE_EDGE);
    assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::WRITE)]);
    assert_eq!(watch.now(), []);
    watch.modify(&socket, WRITE_EDGE, WRITE_EDGE | Interest::READ);
    assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::WRITE)]);
    assert_eq!(watch.now(), []);
    watch.modify(&socket, WRITE_EDGE | Interest::READ, Interest::WRITE);
    for _ in 0..3 {
        assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::WRITE)]);
    }
}

pub fn edge_and_level_live_side_by_side(mut watch: Watch) {
    let (edge, mut edge_peer) = UnixStream::pair().unwrap();
    let (level, mut level_peer) = UnixStream::pair().unwrap();
    watch.add(&edge, READ_EDGE);
    watch.add(&level, Interest::READ);
    edge_peer.write_all(b"x").unwrap();
    level_peer.write_all(b"x").unwrap();
    assert_eq!(watch.now().len(), 2);
    for _ in 0..3 {
        assert_eq!(watch.now(), [(level.as_raw_fd(), Interest::READ)]);
    }
}

pub fn a_hang_up_is_a_change(mut watch: Watch) {
    let (reader, mut writer) = io::pipe().unwrap();
    watch.add(&reader, READ_EDGE);
    writer.write_all(b"x").unwrap();
    assert_eq!(watch.now(), [(reader.as_raw_fd(), Interest::READ)]);
    drop(writer);
    assert!(watch.until_ready(&reader).contains(Interest::READ));
    assert_eq!(watch.now(), []);
}
