//! Changes that the kernel is told in the next wait.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use evcore::backend::Interest;

use super::stale::{pipe_out_of_the_way, reuse};
use super::Watch;

const EVERYTHING: Interest = Interest::READ.union(Interest::WRITE).union(Interest::CLOSED);

pub fn only_the_last_of_many_changes_counts(mut watch: Watch) {
    let (socket, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"x").unwrap();
    for _ in 0..3 {
        watch.add(&socket, Interest::WRITE);
        watch.modify(&socket, Interest::WRITE, Interest::READ);
        watch.remove(&socket, Interest::READ);
        watch.add(&socket, Interest::WRITE);
        assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::WRITE)]);
        watch.modify(&socket, Interest::WRITE, Interest::READ);
        watch.modify(&socket, Interest::READ, Interest::WRITE);
        watch.modify(&socket, Interest::WRITE, Interest::READ);
        assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::READ)]);
        watch.remove(&socket, Interest::READ);
        watch.add(&socket, Interest::READ);
        watch.remove(&socket, Interest::READ);
        assert_eq!(watch.now(), []);
    }
}

pub fn what_is_added_and_removed_between_two_waits_is_never_reported(mut watch: Watch) {
    let (socket, _peer) = UnixStream::pair().unwrap();
    watch.add(&socket, Interest::WRITE);
    watch.remove(&socket, Interest::WRITE);
    assert_eq!(watch.wait(Some(Duration::from_millis(1))), []);
}

pub fn a_number_reused_between_two_waits_is_watched_anew(mut watch: Watch) {
    let (reader, _old_writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    assert_eq!(watch.now(), []);
    watch.remove(&reader, Interest::READ);
    let (reader, mut writer) = reuse(reader);
    watch.add(&reader, Interest::READ | Interest::CLOSED);
    writer.write_all(b"x").unwrap();
    assert_eq!(watch.now(), [(reader.as_raw_fd(), Interest::READ)]);
}

pub fn a_number_reused_for_the_same_interest_is_watched_anew(mut watch: Watch) {
    let (reader, _old_writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    assert_eq!(watch.now(), []);
    watch.remove(&reader, Interest::READ);
    let (reader, mut writer) = reuse(reader);
    watch.add(&reader, Interest::READ);
    writer.write_all(b"x").unwrap();
    assert_eq!(watch.now(), [(reader.as_raw_fd(), Interest::READ)]);
}

pub fn a_duplicate_of_a_removed_descriptor_does_not_keep_it_alive(mut watch: Watch) {
    let (reader, mut writer) = pipe_out_of_the_way();
    let (other, mut other_writer) = io::pipe().unwrap();
    watch.add(&other, Interest::READ);
    watch.add(&reader, Interest::READ);
    assert_eq!(watch.now(), []);
    let _duplicate = reader.try_clone().unwrap();
    watch.remove(&reader, Interest::READ);
    drop(reader);
    writer.write_all(b"x").unwrap();
    assert_eq!(watch.now(), []);
    assert_eq!(watch.now(), []);
    assert_is_at_rest(&mut watch);
    other_writer.write_all(b"x").unwrap();
    assert_eq!(watch.now(), [(other.as_raw_fd(), Interest::READ)]);
}

pub fn a_duplicate_of_a_reused_number_does_not_keep_the_old_one_alive(mut watch: Watch) {
    let (reader, mut old_writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    assert_eq!(watch.now(), []);
    let _duplicate = reader.try_clone().unwrap();
    watch.remove(&reader, Interest::READ);
    let (reader, mut writer) = reuse(reader);
    watch.add(&reader, Interest::READ);
    old_writer.write_all(b"x").unwrap();
    assert_eq!(watch.now(), []);
    assert_is_at_rest(&mut watch);
    writer.write_all(b"x").unwrap();
    assert_eq!(watch.now(), [(reader.as_raw_fd(), Interest::READ)]);
}

pub fn what_the_kernel_refuses_late_is_reported_as_hung_up(mut watch: Watch) {
    let device = std::fs::File::open("/dev/null").unwrap();
    watch.add(&device, Interest::READ);
    for _ in 0..2 {
        assert_eq!(watch.wait(None), [(device.as_raw_fd(), EVERYTHING)]);
    }
    watch.remove(&device, Interest::READ);
    assert_is_at_rest(&mut watch);
}

pub fn a_closed_descriptor_that_is_modified_is_reported(mut watch: Watch) {
    let (reader, _writer) = pipe_out_of_the_way();
    let fd = reader.as_raw_fd();
    watch.add(&reader, Interest::READ);
    assert_eq!(watch.now(), []);
    drop(reader);
    watch.backend.modify(fd, Interest::READ, Interest::WRITE).unwrap();
    assert_eq!(watch.wait(None), [(fd, EVERYTHING)]);
    watch.backend.remove(fd, Interest::WRITE).unwrap();
    assert_is_at_rest(&mut watch);
}

pub fn a_wake_survives_a_rebuild(mut watch: Watch) {
    let waker = watch.backend.waker();
    let (reader, mut writer) = pipe_out_of_the_way();
    watch.add(&reader, Interest::READ);
    assert_eq!(watch.now(), []);
    let _duplicate = reader.try_clone().unwrap();
    watch.remove(&reader, Interest::READ);
    drop(reader);
    writer.write_all(b"x").unwrap();
    assert_eq!(watch.wait(None), [], "the registration left behind ends one wait");
    waker.wake().unwrap();
    assert_eq!(watch.wait(None), []);
}

/// Nothing keeps ending waits.
fn assert_is_at_rest(watch: &mut Watch) {
    let timeout = Duration::from_millis(5);
    let rests = (0..3).any(|_| {
        let start = std::time::Instant::now();
        assert_eq!(watch.wait(Some(timeout)), []);
        start.elapsed() >= timeout
    });
    assert!(rests, "every wait ends at once");
}
