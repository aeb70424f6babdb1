//! The descriptor by which a backend is nested in another loop.

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use evcore::backend::Interest;
use rustix::event::{poll, PollFd, PollFlags, Timespec};

use super::Watch;

pub fn is_readable_exactly_when_a_wait_would_not_block(mut watch: Watch) {
    let (mut reader, mut writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    assert!(!is_readable(&watch));
    for _ in 0..2 {
        writer.write_all(b"x").unwrap();
        assert!(is_readable(&watch));
        assert_eq!(watch.until_ready(&reader), Interest::READ);
        reader.read_exact(&mut [0]).unwrap();
        assert!(!is_readable(&watch));

        watch.backend.waker().wake().unwrap();
        assert!(is_readable(&watch));
        assert_eq!(watch.wait(None), []);
        assert!(!is_readable(&watch));
    }
    watch.wait(Some(Duration::from_millis(1)));
    assert!(!is_readable(&watch));
}

pub fn is_readable_while_readiness_lasts(mut watch: Watch) {
    let (reader, mut writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    writer.write_all(b"x").unwrap();
    for _ in 0..3 {
        assert!(is_readable(&watch));
        assert_eq!(watch.until_ready(&reader), Interest::READ);
    }
    watch.remove(&reader, Interest::READ);
    assert!(!is_readable(&watch));
}

pub fn is_closed_in_executed_programs(watch: Watch) {
    let flags = rustix::io::fcntl_getfd(poll_fd(&watch)).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

pub fn there_is_none(watch: Watch) {
    assert_eq!(watch.backend.poll_fd(), None);
}

fn is_readable(watch: &Watch) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(poll_fd(watch), PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())).unwrap() == 1
}

fn poll_fd(watch: &Watch) -> BorrowedFd<'_> {
    let fd = watch.backend.poll_fd().expect("a facility that can be nested");
    // SAFETY: the descriptor is the backend's, which lives as long as the borrow.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
