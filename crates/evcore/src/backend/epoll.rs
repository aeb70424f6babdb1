//! `epoll`, the kernel facility of Linux and Android.
//!
//! A wait is one system call, whatever it waits for: timeouts are the call's own argument, in
//! nanoseconds where the kernel has `epoll_pwait2`, and the descriptor that wakes it is
//! edge-triggered and never read.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{epoll, eventfd, EventfdFlags, Timespec};
use rustix::io::Errno;

use super::common::{to_millis, to_timespec, HANG_UP};
use super::{Backend, Features, Interest, RawFd, Ready, Wake};
use crate::sys;

/// The data of the waker's event, whose lower half no descriptor has as its number.
const WAKER: u64 = u64::MAX;
const FEWEST_EVENTS: usize = 64;
const MOST_EVENTS: usize = 4096;
const NO_EVENT: epoll::Event =
    epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };

/// The `epoll` method.
pub(super) struct Epoll {
    epoll: OwnedFd,
    /// What the kernel fills in; doubled whenever a wait fills it up.
    events: Vec<epoll::Event>,
    /// Whether to wait by `epoll_pwait2`.
    precise: bool,
    waker: Arc<EventFd>,
}

pub(super) fn features() -> Features {
    features_with(has_precise_waits())
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        let waker = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            epoll: open(&waker)?,
            events: vec![NO_EVENT; FEWEST_EVENTS],
            precise: has_precise_waits(),
            waker: Arc::new(EventFd(waker)),
        })
    }

    /// Forgets all registrations, those included that cannot be removed.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.epoll = open(&self.waker.0)?;
        Ok(())
    }

    /// One system call; says how many events it found.
    fn wait_once(&mut self, timeout: Option<Duration>) -> Result<usize, Errno> {
        let timeout = match timeout {
            None => None,
            Some(Duration::ZERO) => Some(Timespec::default()),
            #[cfg(target_os = "linux")]
            Some(timeout) if self.precise => {
                match sys::epoll_pwait2(self.epoll.as_fd(), &mut self.events, timeout) {
                    // A sandbox has closed around the process since it started.
                    Err(Errno::NOSYS | Errno::PERM) => {
                        self.precise = false;
                        Some(to_timespec(to_millis(timeout)))
                    }
                    result => return result,
                }
            }
            Some(timeout) => Some(to_timespec(to_millis(timeout))),
        };
        epoll::wait(&self.epoll, &mut self.events[..], timeout.as_ref())
    }
}

/// What the backend is made of. A registration has a stamp, which waits hand out again: it tells
/// registrations of one number apart.
impl Epoll {
    pub(super) fn register(&self, fd: RawFd, interest: Interest, stamp: u32) -> Result<(), Errno> {
        let (source, data, flags) = registration(fd, interest, stamp)?;
        match epoll::add(&self.epoll, source, data, flags) {
            // Registered under this number already, by an owner who never removed it.
            Err(Errno::EXIST) => epoll::modify(&self.epoll, source, data, flags),
            result => result,
        }
    }

    pub(super) fn reregister(
        &self,
        fd: RawFd,
        interest: Interest,
        stamp: u32,
    ) -> Result<(), Errno> {
        let (source, data, flags) = registration(fd, interest, stamp)?;
        epoll::modify(&self.epoll, source, data, flags)
    }

    pub(super) fn deregister(&self, fd: RawFd) -> Result<(), Errno> {
        match epoll::delete(&self.epoll, source(fd)?) {
            // Closed, closed and its number reused, or reused for what epoll cannot watch.
            Err(Errno::BADF | Errno::NOENT | Errno::PERM) => Ok(()),
            result => result,
        }
    }

    /// Waits, and calls `found` for each descriptor that is ready.
    #[inline]
    pub(super) fn wait_for(
        &mut self,
        timeout: Option<Duration>,
        mut found: impl FnMut(Ready, u32),
    ) -> io::Result<()> {
        let count = match self.wait_once(timeout) {
            Ok(count) => count,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for event in &self.events[..count] {
            let data = event.data.u64();
            if data != WAKER {
                let ready = Ready { fd: data as u32 as RawFd, what: readiness(event.flags) };
                found(ready, (data >> 32) as u32);
            }
        }
        if count == self.events.len() && count < MOST_EVENTS {
            self.events.resize(count * 2, NO_EVENT);
        }
        Ok(())
    }
}

impl Backend for Epoll {
    fn name(&self) -> &'static str {
        "epoll"
    }

    fn features(&self) -> Features {
        features_with(self.precise)
    }

    fn add(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        Ok(self.register(fd, interest, 0)?)
    }

    fn modify(&mut self, fd: RawFd, _old: Interest, interest: Interest) -> io::Result<()> {
        match self.reregister(fd, interest, 0) {
            // The descriptor was closed, which made the kernel forget it, and its number reused.
            Err(Errno::NOENT) => Ok(self.register(fd, interest, 0)?),
            result => Ok(result?),
        }
    }

    fn remove(&mut self, fd: RawFd, _old: Interest) -> io::Result<()> {
        Ok(self.deregister(fd)?)
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        self.wait_for(timeout, |found, _stamp| ready.push(found))
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.waker.clone()
    }

    fn poll_fd(&self) -> Option<RawFd> {
        Some(self.epoll.as_raw_fd())
    }
}

/// Ends a wait through an eventfd whose counter only ever grows: being edge-triggered, it makes the
/// epoll ready with every write.
struct EventFd(OwnedFd);

impl Wake for EventFd {
    fn wake(&self) -> io::Result<()> {
        let one = 1_u64.to_ne_bytes();
        match rustix::io::write(&self.0, &one) {
            // After 2^64 - 2 wakes the counter is full.
            Err(Errno::AGAIN) => {
                let _ = rustix::io::read(&self.0, &mut [0; 8]);
                rustix::io::write(&self.0, &one)?;
            }
            result => drop(result?),
        }
        Ok(())
    }
}

fn open(waker: &OwnedFd) -> io::Result<OwnedFd> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&epoll, waker, epoll::EventData::new_u64(WAKER), flags)?;
    Ok(epoll)
}

fn features_with(precise: bool) -> Features {
    let mut features = Features::ET | Features::O1 | Features::FDS | Features::EARLY_CLOSE;
    features.set(Features::NS_TIMEOUT, precise);
    features
}

fn has_precise_waits() -> bool {
    // Android's sandbox kills a process for a system call that it does not know.
    #[cfg(target_os = "linux")]
    return sys::has_epoll_pwait2();
    #[cfg(not(target_os = "linux"))]
    false
}

fn source<'fd>(fd: RawFd) -> Result<BorrowedFd<'fd>, Errno> {
    sys::borrow_fd(fd).map_err(|_| Errno::BADF)
}

fn registration<'fd>(
    fd: RawFd,
    interest: Interest,
    stamp: u32,
) -> Result<(BorrowedFd<'fd>, epoll::EventData, epoll::EventFlags), Errno> {
    let mut flags = epoll::EventFlags::empty();
    flags.set(epoll::EventFlags::IN, interest.contains(Interest::READ));
    flags.set(epoll::EventFlags::OUT, interest.contains(Interest::WRITE));
    flags.set(epoll::EventFlags::RDHUP, interest.contains(Interest::CLOSED));
    flags.set(epoll::EventFlags::ET, interest.contains(Interest::EDGE));
    let data = u64::from(stamp) << 32 | u64::from(fd as u32);
    Ok((source(fd)?, epoll::EventData::new_u64(data), flags))
}

#[inline]
fn readiness(flags: epoll::EventFlags) -> Interest {
    if flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP) {
        return HANG_UP;
    }
    let mut what = Interest::empty();
    what.set(Interest::READ, flags.contains(epoll::EventFlags::IN));
    what.set(Interest::WRITE, flags.contains(epoll::EventFlags::OUT));
    what.set(Interest::CLOSED, flags.contains(epoll::EventFlags::RDHUP));
    what
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::time::now_ns;

    #[test]
    fn without_epoll_pwait2_waits_are_rounded_up_to_milliseconds() {
        let mut backend = Epoll::new().unwrap();
        backend.precise = false;
        assert!(!backend.features().contains(Features::NS_TIMEOUT));
        for timeout in [Duration::from_nanos(1), Duration::from_micros(1_100)] {
            let start = now_ns();
            backend.wait(Some(timeout), &mut Vec::new()).unwrap();
            let elapsed = Duration::from_nanos(now_ns() - start);
            assert!(elapsed >= timeout, "{elapsed:?} of {timeout:?}");
        }
    }

    #[test]
    fn a_full_counter_does_not_keep_the_waker_from_waking() {
        let mut backend = Epoll::new().unwrap();
        let waker = backend.waker.clone();
        rustix::io::write(&waker.0, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        backend.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap();
        waker.wake().unwrap();
        backend.wait(None, &mut Vec::new()).unwrap();
    }

    #[test]
    fn the_event_array_grows_with_what_is_ready() {
        let mut backend = Epoll::new().unwrap();
        let pipes: Vec<_> = (0..FEWEST_EVENTS * 2).map(|_| io::pipe().unwrap()).collect();
        for (_, writer) in &pipes {
            backend.add(writer.as_raw_fd(), Interest::WRITE).unwrap();
        }
        let mut ready = Vec::new();
        backend.wait(Some(Duration::ZERO), &mut ready).unwrap();
        assert_eq!(ready.len(), FEWEST_EVENTS);
        backend.wait(Some(Duration::ZERO), &mut ready).unwrap();
        assert_eq!(ready.len(), FEWEST_EVENTS * 2);
    }
}
