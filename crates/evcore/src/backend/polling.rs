//! `polling`, on the crate of that name.
//!
//! The crate knows the facility of every platform but not when a peer has closed its sending side,
//! and makes up to five system calls per wait. Event ports have one-shot registrations only, which
//! are renewed before the next wait.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::polling::{Event, Events, PollMode, Poller};

use super::common::HANG_UP;
use super::{Backend, Features, Interest, RawFd, Ready, Wake};
use crate::sys;

/// Whether the platform's facility is epoll or kqueue, which can do all that the crate can.
const COMPLETE: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
));

/// The `polling` method.
pub(super) struct Polling {
    /// The name it was opened under: its own, or that of the facility that it drives.
    name: &'static str,
    events: Events,
    waker: Arc<Notifier>,
    /// How descriptors are watched for readiness that lasts: by level, or one shot after another.
    lasting: PollMode,
    /// One shot after another: what the descriptors are watched for.
    interests: HashMap<RawFd, Interest>,
    /// One shot after another: those that the last wait reported.
    spent: Vec<RawFd>,
}

pub(super) fn features() -> Features {
    let mut features = Features::O1;
    features.set(Features::ET, COMPLETE);
    features.set(Features::FDS | Features::NS_TIMEOUT, cfg!(unix));
    features
}

impl Polling {
    pub(super) fn new(name: &'static str) -> io::Result<Self> {
        let poller = Poller::new()?;
        let lasting = if poller.supports_level() { PollMode::Level } else { PollMode::Oneshot };
        Ok(Self::with_mode(name, poller, lasting))
    }

    fn with_mode(name: &'static str, poller: Poller, lasting: PollMode) -> Self {
        Self {
            name,
            events: Events::new(),
            waker: Arc::new(Notifier { poller, woken: AtomicBool::new(false) }),
            lasting,
            interests: HashMap::new(),
            spent: Vec::new(),
        }
    }

    fn mode(&self, interest: Interest) -> PollMode {
        if interest.contains(Interest::EDGE) && COMPLETE {
            PollMode::Edge
        } else {
            self.lasting
        }
    }

    fn note(&mut self, fd: RawFd, interest: Interest) {
        if self.mode(interest) == PollMode::Oneshot {
            self.interests.insert(fd, interest);
        }
    }

    fn register(&self, fd: RawFd, interest: Interest) -> io::Result<()> {
        // The crate would panic on the number that no descriptor has.
        sys::borrow_fd(fd)?;
        let mode = self.mode(interest);
        // SAFETY: whoever adds a descriptor to a backend promises to keep it open until it is
        // removed. If it is not, the poller only ever hands its number back to the kernel, which
        // has forgotten it by then; and dropping the poller ends all registrations.
        unsafe { self.waker.poller.add_with_mode(fd, event(fd, interest), mode) }
    }

    fn reregister(&self, fd: RawFd, interest: Interest) -> io::Result<()> {
        let source = sys::borrow_fd(fd)?;
        self.waker.poller.modify_with_mode(source, event(fd, interest), self.mode(interest))
    }

    fn renew_spent(&mut self) -> io::Result<()> {
        while let Some(fd) = self.spent.pop() {
            let Some(&interest) = self.interests.get(&fd) else {
                continue;
            };
            match self.reregister(fd, interest) {
                Err(error) if !is_forgotten(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn collect(&mut self, ready: &mut Vec<Ready>) {
        for event in self.events.iter() {
            let fd = event.key as RawFd;
            ready.push(Ready { fd, what: readiness(&event) });
            if self.lasting == PollMode::Oneshot {
                self.spent.push(fd);
            }
        }
    }
}

impl Backend for Polling {
    fn name(&self) -> &'static str {
        self.name
    }

    fn features(&self) -> Features {
        features()
    }

    fn add(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        match self.register(fd, interest) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.reregister(fd, interest)?;
            }
            result => result?,
        }
        self.note(fd, interest);
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, _old: Interest, interest: Interest) -> io::Result<()> {
        match self.reregister(fd, interest) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.register(fd, interest)?,
            result => result?,
        }
        self.note(fd, interest);
        Ok(())
    }

    fn remove(&mut self, fd: RawFd, _old: Interest) -> io::Result<()> {
        self.interests.remove(&fd);
        match self.waker.poller.delete(sys::borrow_fd(fd)?) {
            Err(error) if !is_forgotten(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Unlike other methods', this one's wait goes on after a signal: the crate sees to that.
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        self.renew_spent()?;
        // What is too far away for the clock is for ever.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut left = deadline.and(timeout);
        loop {
            self.events.clear();
            self.waker.poller.wait(&mut self.events, left)?;
            self.collect(ready);
            let woken = self.waker.woken.swap(false, Ordering::AcqRel);
            if woken || !ready.is_empty() || left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            // The crate may return for no reason, or a little early.
            if let Some(deadline) = deadline {
                left = Some(deadline.saturating_duration_since(Instant::now()));
                if left == Some(Duration::ZERO) {
                    return Ok(());
                }
            }
        }
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.waker.clone()
    }

    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd",
    ))]
    fn poll_fd(&self) -> Option<RawFd> {
        use std::os::fd::{AsFd, AsRawFd};
        Some(self.waker.poller.as_fd().as_raw_fd())
    }
}

/// The poller, which other threads reach to end a wait.
struct Notifier {
    poller: Poller,
    /// Tells a wake from a return for no reason.
    woken: AtomicBool,
}

impl Wake for Notifier {
    fn wake(&self) -> io::Result<()> {
        self.woken.store(true, Ordering::Release);
        self.poller.notify()
    }
}

fn event(fd: RawFd, interest: Interest) -> Event {
    let key = fd as usize;
    Event::new(key, interest.contains(Interest::READ), interest.contains(Interest::WRITE))
}

/// Whether the kernel no longer knows the descriptor: it was closed, or closed and its number
/// reused, perhaps for something that cannot be watched.
fn is_forgotten(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EBADF) {
        return true;
    }
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

fn readiness(event: &Event) -> Interest {
    if event.is_interrupt() || event.is_err() == Some(true) {
        return HANG_UP;
    }
    let mut what = Interest::empty();
    what.set(Interest::READ, event.readable);
    what.set(Interest::WRITE, event.writable);
    what
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;

    #[test]
    fn one_shot_after_another_reports_readiness_as_long_as_it_lasts() {
        let mut backend = Polling::with_mode("polling", Poller::new().unwrap(), PollMode::Oneshot);
        let (mut reader, mut writer) = io::pipe().unwrap();
        let fd = reader.as_raw_fd();
        let mut ready = Vec::new();
        backend.add(fd, Interest::READ).unwrap();
        writer.write_all(b"x").unwrap();
        for _ in 0..3 {
            backend.wait(Some(Duration::ZERO), &mut ready).unwrap();
            assert_eq!(ready, [Ready { fd, what: Interest::READ }]);
        }
        reader.read_exact(&mut [0]).unwrap();
        backend.wait(Some(Duration::ZERO), &mut ready).unwrap();
        assert_eq!(ready, []);
        writer.write_all(b"x").unwrap();
        backend.wait(Some(Duration::ZERO), &mut ready).unwrap();
        backend.remove(fd, Interest::READ).unwrap();
        backend.wait(Some(Duration::ZERO), &mut ready).unwrap();
        assert_eq!(ready, []);
    }
}
