//! `select`, the oldest facility of them all.
//!
//! The kernel is handed two sets of bits with every wait, one bit for each descriptor up to the
//! greatest that is watched. They grow with the descriptors, past the 1,024 (`FD_SETSIZE`) that C's
//! `fd_set` holds. On illumos and Solaris the system's `select` has that limit, so that they have
//! `poll` instead.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{
    fd_set_bound, fd_set_insert, fd_set_num_elements, fd_set_remove, FdSetElement, FdSetIter,
    PollFd, PollFlags, Timespec,
};
use rustix::io::Errno;

use super::common::{to_timespec, HANG_UP};
use super::pipe::Pipe;
use super::{Backend, Features, Interest, RawFd, Ready, Wake};
use crate::sys;

/// Some systems refuse to wait for years.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The `select` method.
pub(super) struct Select {
    /// What is watched for reading, the waker's pipe included, and for writing. Both have room for
    /// the same descriptors.
    read: Vec<FdSetElement>,
    write: Vec<FdSetElement>,
    /// What the kernel is handed and writes over.
    found_read: Vec<FdSetElement>,
    found_write: Vec<FdSetElement>,
    /// One more than the greatest descriptor in the sets.
    bound: RawFd,
    waker: Arc<Pipe>,
}

pub(super) fn features() -> Features {
    Features::FDS | Features::NS_TIMEOUT
}

impl Select {
    pub(super) fn new() -> io::Result<Self> {
        let waker = Pipe::new()?;
        let mut select = Self {
            read: Vec::new(),
            write: Vec::new(),
            found_read: Vec::new(),
            found_write: Vec::new(),
            bound: 0,
            waker,
        };
        select.add(select.waker.reader(), Interest::READ)?;
        Ok(select)
    }

    /// One system call, without the descriptors in `skipped`.
    fn select(&mut self, timeout: Option<Duration>, skipped: &[Ready]) -> Result<i32, Errno> {
        self.found_read.clone_from(&self.read);
        self.found_write.clone_from(&self.write);
        for &Ready { fd, .. } in skipped {
            fd_set_remove(&mut self.found_read, fd);
            fd_set_remove(&mut self.found_write, fd);
        }
        let timeout = timeout.map(|timeout| to_timespec(timeout.min(LONGEST_WAIT)));
        // SAFETY: both sets have a bit for each descriptor below `bound`. That every descriptor in
        // them is open is what whoever added it promised; the kernel fails on one that is not.
        unsafe {
            rustix::event::select(
                self.bound,
                Some(&mut self.found_read),
                Some(&mut self.found_write),
                None,
                timeout.as_ref(),
            )
        }
    }

    /// Moves what the kernel found to `ready`, in the order of the descriptors.
    fn collect(&self, ready: &mut Vec<Ready>) {
        let mut readable = FdSetIter::new(&self.found_read).peekable();
        let mut writable = FdSetIter::new(&self.found_write).peekable();
        let least = |one: Option<&RawFd>, other: Option<&RawFd>| match (one, other) {
            (Some(&one), Some(&other)) => Some(one.min(other)),
            (one, other) => one.or(other).copied(),
        };
        while let Some(fd) = least(readable.peek(), writable.peek()) {
            let mut what = Interest::empty();
            what.set(Interest::READ, readable.next_if_eq(&fd).is_some());
            what.set(Interest::WRITE, writable.next_if_eq(&fd).is_some());
            if fd == self.waker.reader() {
                self.waker.clear();
            } else {
                ready.push(Ready { fd, what });
            }
        }
    }

    /// Puts those into `ready` that were closed behind our back, for which the kernel refuses to
    /// look at any: their owners have to learn of it.
    fn collect_closed(&self, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut polled = Vec::new();
        for fd in FdSetIter::new(&self.read).chain(FdSetIter::new(&self.write)) {
            polled.push(PollFd::from_borrowed_fd(sys::borrow_fd(fd)?, PollFlags::empty()));
        }
        rustix::event::poll(&mut polled, Some(&Timespec::default()))?;
        for polled in polled.iter().filter(|polled| polled.revents().contains(PollFlags::NVAL)) {
            use std::os::fd::{AsFd, AsRawFd};
            ready.push(Ready { fd: polled.as_fd().as_raw_fd(), what: HANG_UP });
        }
        ready.sort_unstable_by_key(|ready| ready.fd);
        ready.dedup();
        Ok(())
    }
}

impl Backend for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn features(&self) -> Features {
        features()
    }

    fn add(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        // The kernel looks at the descriptor in the wait only, too late for the caller to learn that
        // it is closed; and a number that is open is small enough to be an index.
        rustix::io::fcntl_getfd(sys::borrow_fd(fd)?)?;
        let elements = fd_set_num_elements(0, fd + 1);
        for (set, kind) in [(&mut self.read, Interest::READ), (&mut self.write, Interest::WRITE)] {
            if set.len() < elements {
                set.resize(elements, FdSetElement::default());
            }
            if interest.contains(kind) {
                fd_set_insert(set, fd);
            } else {
                fd_set_remove(set, fd);
            }
        }
        self.bound = self.bound.max(fd + 1);
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, _old: Interest, interest: Interest) -> io::Result<()> {
        self.add(fd, interest)
    }

    fn remove(&mut self, fd: RawFd, _old: Interest) -> io::Result<()> {
        if (0..self.bound).contains(&fd) {
            fd_set_remove(&mut self.read, fd);
            fd_set_remove(&mut self.write, fd);
        }
        if fd == self.bound - 1 {
            self.bound = fd_set_bound(&self.read).max(fd_set_bound(&self.write));
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        match self.select(timeout, &[]) {
            Ok(_) => self.collect(ready),
            Err(Errno::INTR) => {}
            Err(Errno::BADF) => {
                self.collect_closed(ready)?;
                if self.select(Some(Duration::ZERO), ready).is_ok() {
                    self.collect(ready);
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.waker.clone()
    }
}
