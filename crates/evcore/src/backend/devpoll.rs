//! `/dev/poll`, the older facility of Solaris and illumos.
//!
//! Descriptors are added to and taken off a set that the kernel keeps. What is added to a descriptor
//! that is in the set adds to what it is watched for, so that a change takes it off first.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

use super::common::{to_millis, HANG_UP};
use super::pipe::Pipe;
use super::{Backend, Features, Interest, RawFd, Ready, Wake};
use crate::sys;

const EVENTS_PER_WAIT: usize = 1024;

/// The `devpoll` method.
pub(super) struct DevPoll {
    device: File,
    found: Vec<libc::pollfd>,
    waker: Arc<Pipe>,
}

pub(super) fn features() -> Features {
    Features::FDS | Features::O1
}

impl DevPoll {
    pub(super) fn new() -> io::Result<Self> {
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_CLOEXEC)
            .open("/dev/poll")?;
        let nothing = libc::pollfd { fd: -1, events: 0, revents: 0 };
        let found = vec![nothing; EVENTS_PER_WAIT];
        let mut devpoll = Self { device, found, waker: Pipe::new()? };
        devpoll.add(devpoll.waker.reader(), Interest::READ)?;
        Ok(devpoll)
    }
}

impl Backend for DevPoll {
    fn name(&self) -> &'static str {
        "devpoll"
    }

    fn features(&self) -> Features {
        features()
    }

    fn add(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        rustix::io::fcntl_getfd(sys::borrow_fd(fd)?)?;
        let mut events = 0;
        if interest.contains(Interest::READ) {
            events |= libc::POLLIN;
        }
        if interest.contains(Interest::WRITE) {
            events |= libc::POLLOUT;
        }
        let taken_off = libc::pollfd { fd, events: sys::POLLREMOVE, revents: 0 };
        let added = libc::pollfd { fd, events, revents: 0 };
        sys::devpoll_change(&self.device, &[taken_off, added])
    }

    fn modify(&mut self, fd: RawFd, _old: Interest, interest: Interest) -> io::Result<()> {
        self.add(fd, interest)
    }

    fn remove(&mut self, fd: RawFd, _old: Interest) -> io::Result<()> {
        let taken_off = libc::pollfd { fd, events: sys::POLLREMOVE, revents: 0 };
        match sys::devpoll_change(&self.device, &[taken_off]) {
            // Closed, or never added.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBADF | libc::EINVAL)) => {
                Ok(())
            }
            result => result,
        }
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        let found = match sys::devpoll_wait(&self.device, &mut self.found, timeout.map(to_millis)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        };
        for polled in &self.found[..found] {
            if polled.fd == self.waker.reader() {
                self.waker.clear();
            } else {
                ready.push(Ready { fd: polled.fd, what: readiness(polled.revents) });
            }
        }
        Ok(())
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.waker.clone()
    }
}

fn readiness(events: libc::c_short) -> Interest {
    if events & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 {
        return HANG_UP;
    }
    let mut what = Interest::empty();
    what.set(Interest::READ, events & libc::POLLIN != 0);
    what.set(Interest::WRITE, events & libc::POLLOUT != 0);
    what
}
