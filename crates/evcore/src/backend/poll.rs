//! `poll`, which every Unix has.
//!
//! The kernel is handed the whole list of descriptors with every wait, so a wait costs as much as
//! there are descriptors, however few of them are ready.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use super::common::{to_timespec, HANG_UP};
use super::pipe::Pipe;
use super::{Backend, Features, Interest, RawFd, Ready, Wake};
use crate::sys;

/// Whether the kernel takes a timeout in nanoseconds.
const PRECISE: bool = cfg!(any(target_os = "linux", target_os = "android", target_os = "freebsd"));

/// The `poll` method.
pub(super) struct Poll {
    /// What the kernel is handed: the waker's pipe, then the descriptors in no order.
    polled: Vec<PollFd<'static>>,
    /// Where a descriptor stands in `polled`; 0, the waker's place, for those that are not watched.
    places: Vec<u32>,
    waker: Arc<Pipe>,
}

pub(super) fn features() -> Features {
    let mut features = Features::FDS;
    features.set(Features::NS_TIMEOUT, PRECISE);
    features.set(Features::EARLY_CLOSE, !RDHUP.is_empty());
    features
}

impl Poll {
    pub(super) fn new() -> io::Result<Self> {
        let waker = Pipe::new()?;
        let woken = PollFd::from_borrowed_fd(sys::borrow_fd(waker.reader())?, PollFlags::IN);
        Ok(Self { polled: vec![woken], places: Vec::new(), waker })
    }

    /// Where `fd` stands in `polled`, if it is watched.
    fn place(&self, fd: RawFd) -> Option<usize> {
        let place = *self.places.get(usize::try_from(fd).ok()?)?;
        (place != 0).then_some(place as usize)
    }
}

impl Backend for Poll {
    fn name(&self) -> &'static str {
        "poll"
    }

    fn features(&self) -> Features {
        features()
    }

    fn add(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        let source = sys::borrow_fd(fd)?;
        // The kernel looks at the descriptor in the wait only, too late for the caller to learn that
        // it is closed; and a number that is open is small enough to be an index.
        rustix::io::fcntl_getfd(source)?;
        let polled = PollFd::from_borrowed_fd(source, poll_flags(interest));
        if let Some(place) = self.place(fd) {
            self.polled[place] = polled;
            return Ok(());
        }
        let index = fd as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, 0);
        }
        self.places[index] = self.polled.len() as u32;
        self.polled.push(polled);
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, _old: Interest, interest: Interest) -> io::Result<()> {
        self.add(fd, interest)
    }

    fn remove(&mut self, fd: RawFd, _old: Interest) -> io::Result<()> {
        let Some(place) = self.place(fd) else {
            return Ok(());
        };
        self.places[fd as usize] = 0;
        self.polled.swap_remove(place);
        if let Some(moved) = self.polled.get(place) {
            self.places[moved.as_fd().as_raw_fd() as usize] = place as u32;
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        let timeout = timeout.map(|timeout| {
            to_timespec(if PRECISE { timeout } else { super::common::to_millis(timeout) })
        });
        let mut left = match rustix::event::poll(&mut self.polled, timeout.as_ref()) {
            Ok(found) => found,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !self.polled[0].revents().is_empty() {
            left -= 1;
            self.waker.clear();
        }
        for polled in &self.polled[1..] {
            if left == 0 {
                break;
            }
            let flags = polled.revents();
            if !flags.is_empty() {
                left -= 1;
                ready.push(Ready { fd: polled.as_fd().as_raw_fd(), what: readiness(flags) });
            }
        }
        Ok(())
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.waker.clone()
    }
}

/// The peer has closed its sending side, where the kernel tells.
const RDHUP: PollFlags = {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let flag = PollFlags::RDHUP;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let flag = PollFlags::empty();
    flag
};

fn poll_flags(interest: Interest) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, interest.contains(Interest::READ));
    flags.set(PollFlags::OUT, interest.contains(Interest::WRITE));
    flags.set(RDHUP, interest.contains(Interest::CLOSED));
    flags
}

fn readiness(flags: PollFlags) -> Interest {
    // NVAL says that the descriptor was closed behind our back; its owner has to learn of it, or
    // every wait would return at once and nobody know why.
    if flags.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
        return HANG_UP;
    }
    let mut what = Interest::empty();
    what.set(Interest::READ, flags.contains(PollFlags::IN));
    what.set(Interest::WRITE, flags.contains(PollFlags::OUT));
    what.set(Interest::CLOSED, flags.intersects(RDHUP));
    what
}
