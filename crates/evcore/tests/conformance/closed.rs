//! Peers that go away.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use evcore::backend::Interest;

use super::Watch;

const EVERYTHING: Interest = Interest::READ.union(Interest::WRITE).union(Interest::CLOSED);

pub fn a_hang_up_is_reported_as_long_as_it_lasts(mut watch: Watch) {
    let (socket, peer) = UnixStream::pair().unwrap();
    let both = Interest::READ | Interest::WRITE;
    watch.add(&socket, both);
    drop(peer);
    for _ in 0..3 {
        assert!(watch.until_ready(&socket).contains(both));
    }
}

pub fn a_broken_pipe_is_reported_to_its_writer(mut watch: Watch) {
    let (reader, writer) = io::pipe().unwrap();
    watch.add(&writer, Interest::WRITE);
    drop(reader);
    assert!(watch.until_ready(&writer).contains(Interest::WRITE));
}

pub fn a_half_close_is_an_end_of_file_and_no_hang_up(mut watch: Watch) {
    let (mut socket, peer) = UnixStream::pair().unwrap();
    watch.add(&socket, Interest::READ);
    peer.shutdown(Shutdown::Write).unwrap();
    for _ in 0..3 {
        assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::READ)]);
    }
    assert_eq!(socket.read(&mut [0]).unwrap(), 0);
    assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::READ)]);
}

pub fn a_hang_up_is_reported_as_everything_whatever_was_asked_for(mut watch: Watch) {
    let (reader, writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    drop(writer);
    assert_eq!(watch.now(), [(reader.as_raw_fd(), EVERYTHING)]);
    assert_eq!(watch.now(), [(reader.as_raw_fd(), EVERYTHING)]);
}

pub fn an_error_is_reported_as_everything_whatever_was_asked_for(mut watch: Watch) {
    let (reader, writer) = io::pipe().unwrap();
    watch.add(&writer, Interest::WRITE);
    drop(reader);
    assert_eq!(watch.now(), [(writer.as_raw_fd(), EVERYTHING)]);
}
