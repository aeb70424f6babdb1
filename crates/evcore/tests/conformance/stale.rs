//! Descriptors that were closed behind the backend's back, and whose numbers were reused.
//!
//! Tests run in one process and would take each other's numbers, so a number is reused by `dup2`,
//! which closes and opens in one step, or is far above those that are handed out.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use evcore::backend::Interest;

use super::Watch;

pub fn adding_twice_is_modifying(mut watch: Watch) {
    let (reader, mut writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::WRITE);
    watch.add(&reader, Interest::READ);
    writer.write_all(b"x").unwrap();
    assert_eq!(watch.now(), [(reader.as_raw_fd(), Interest::READ)]);
}

pub fn modifying_what_was_never_added_adds_it(mut watch: Watch) {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"x").unwrap();
    watch.modify(&reader, Interest::WRITE, Interest::READ);
    assert_eq!(watch.now(), [(reader.as_raw_fd(), Interest::READ)]);
}

pub fn removing_what_was_never_added_is_no_error(mut watch: Watch) {
    let (reader, _writer) = io::pipe().unwrap();
    watch.remove(&reader, Interest::READ);
    watch.add(&reader, Interest::READ);
    watch.remove(&reader, Interest::READ);
    watch.remove(&reader, Interest::READ);
}

pub fn removing_a_closed_descriptor_is_no_error(mut watch: Watch) {
    let (reader, _writer) = pipe_out_of_the_way();
    let fd = reader.as_raw_fd();
    watch.add(&reader, Interest::READ);
    drop(reader);
    watch.backend.remove(fd, Interest::READ).unwrap();
    assert_eq!(watch.now(), []);
}

pub fn a_reused_number_can_be_added_anew(mut watch: Watch) {
    let (reader, _writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    let (reader, mut writer) = reuse(reader);
    watch.add(&reader, Interest::READ);
    writer.write_all(b"x").unwrap();
    assert_eq!(watch.now(), [(reader.as_raw_fd(), Interest::READ)]);
}

pub fn a_reused_number_can_be_modified(mut watch: Watch) {
    let (reader, _writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    let (reader, mut writer) = reuse(reader);
    watch.modify(&reader, Interest::READ, Interest::READ | Interest::CLOSED);
    writer.write_all(b"x").unwrap();
    assert_eq!(watch.now(), [(reader.as_raw_fd(), Interest::READ)]);
}

pub fn a_reused_number_can_be_removed(mut watch: Watch) {
    let (reader, _writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    let (reader, mut writer) = reuse(reader);
    writer.write_all(b"x").unwrap();
    watch.remove(&reader, Interest::READ);
    assert_eq!(watch.now(), []);
}

pub fn a_closed_descriptor_cannot_be_added(mut watch: Watch) {
    let (reader, _writer) = pipe_out_of_the_way();
    let fd = reader.as_raw_fd();
    drop(reader);
    let error = watch.backend.add(fd, Interest::READ).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    let error = watch.backend.modify(fd, Interest::READ, Interest::WRITE).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

pub fn a_closed_descriptor_cannot_be_modified(mut watch: Watch) {
    let (reader, _writer) = pipe_out_of_the_way();
    let fd = reader.as_raw_fd();
    watch.add(&reader, Interest::READ);
    drop(reader);
    let error = watch.backend.modify(fd, Interest::READ, Interest::WRITE).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

pub fn a_negative_number_is_an_error(mut watch: Watch) {
    for fd in [-1, -2, i32::MIN] {
        let error = watch.backend.add(fd, Interest::READ).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        assert!(watch.backend.modify(fd, Interest::READ, Interest::WRITE).is_err());
        let _ = watch.backend.remove(fd, Interest::READ);
    }
    assert!(watch.backend.add(i32::MAX, Interest::READ).is_err());
    assert_eq!(watch.now(), []);
}

pub fn a_descriptor_closed_behind_the_back_is_reported(mut watch: Watch) {
    let (reader, _writer) = pipe_out_of_the_way();
    let fd = reader.as_raw_fd();
    watch.add(&reader, Interest::READ);
    drop(reader);
    assert_eq!(watch.now(), [(fd, Interest::READ | Interest::WRITE | Interest::CLOSED)]);
    watch.backend.remove(fd, Interest::READ).unwrap();
    assert_eq!(watch.now(), []);
}

/// Closes `old` and opens another pipe whose reader has its number.
pub fn reuse(old: PipeReader) -> (OwnedFd, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    let mut reused = OwnedFd::from(old);
    rustix::io::dup2(&reader, &mut reused).unwrap();
    (reused, writer)
}

/// A pipe whose reader has a number that no other test gets.
pub fn pipe_out_of_the_way() -> (OwnedFd, PipeWriter) {
    static NEXT: AtomicI32 = AtomicI32::new(12_000);
    let (reader, writer) = io::pipe().unwrap();
    let least = NEXT.fetch_add(1, Ordering::Relaxed);
    (rustix::io::fcntl_dupfd_cloexec(&reader, least).unwrap(), writer)
}
