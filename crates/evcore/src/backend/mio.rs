//! `mio`, on the crate of that name.
//!
//! mio reports changes of readiness only, on every platform. Where readiness that lasts is asked
//! for, the descriptor is registered anew as soon as it was reported: the kernel then looks at it
//! again in the next wait, and reports it only if it is still ready.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::mio::event::Event;
use ::mio::unix::SourceFd;
use ::mio::{Events, Poll, Registry, Token, Waker};

use super::common::{to_millis, HANG_UP};
use super::{Backend, Features, Interest, RawFd, Ready, Wake};

/// The waker's token; no descriptor has this number.
const WAKER: Token = Token(usize::MAX);
const EVENTS_PER_WAIT: usize = 1024;

/// The `mio` method.
pub(super) struct Mio {
    /// The name it was opened under: its own, or that of the facility that it drives.
    name: &'static str,
    poll: Poll,
    events: Events,
    /// What a descriptor is watched for, by its number; empty for those that are not watched.
    interests: Vec<Interest>,
    waker: Arc<Waker>,
}

pub(super) fn features() -> Features {
    Features::ET | Features::O1 | Features::FDS | Features::EARLY_CLOSE
}

impl Mio {
    pub(super) fn new(name: &'static str) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let events = Events::with_capacity(EVENTS_PER_WAIT);
        Ok(Self { name, poll, events, interests: Vec::new(), waker })
    }

    /// Notes what `fd`, which the kernel has just taken and which is therefore a small number, is
    /// watched for.
    fn note(&mut self, fd: RawFd, interest: Interest) {
        let index = fd as usize;
        if index >= self.interests.len() {
            self.interests.resize(index + 1, Interest::empty());
        }
        self.interests[index] = interest;
    }

    /// Moves what the last wait found to `ready`; says whether the waker was called.
    fn collect(&self, ready: &mut Vec<Ready>) -> io::Result<bool> {
        let mut woken = false;
        for event in &self.events {
            if event.token() == WAKER {
                woken = true;
                continue;
            }
            let fd = event.token().0 as RawFd;
            let interest = self.interests.get(fd as usize).copied().unwrap_or_default();
            let what = readiness(event, interest);
            // Whoever waits for a close alone is not told of bytes.
            if interest.is_empty() || what.is_empty() {
                continue;
            }
            ready.push(Ready { fd, what });
            if !interest.contains(Interest::EDGE) {
                match reregister(self.poll.registry(), fd, interest) {
                    Err(error) if !is_forgotten(&error) => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(woken)
    }
}

impl Backend for Mio {
    fn name(&self) -> &'static str {
        self.name
    }

    fn features(&self) -> Features {
        features()
    }

    fn add(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        match register(self.poll.registry(), fd, interest) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                reregister(self.poll.registry(), fd, interest)?;
            }
            result => result?,
        }
        self.note(fd, interest);
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, _old: Interest, interest: Interest) -> io::Result<()> {
        match reregister(self.poll.registry(), fd, interest) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                register(self.poll.registry(), fd, interest)?;
            }
            result => result?,
        }
        self.note(fd, interest);
        Ok(())
    }

    fn remove(&mut self, fd: RawFd, _old: Interest) -> io::Result<()> {
        if let Some(interest) = self.interests.get_mut(fd as usize) {
            *interest = Interest::empty();
        }
        match self.poll.registry().deregister(&mut SourceFd(&fd)) {
            Err(error) if !is_forgotten(&error) => Err(error),
            _ => Ok(()),
        }
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut left = timeout;
        loop {
            match self.poll.poll(&mut self.events, left.map(to_millis)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
                result => result?,
            }
            let woken = self.collect(ready)?;
            if woken || !ready.is_empty() || left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            // Nothing that was asked for: the time is up, or there was news of other kinds.
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

    fn poll_fd(&self) -> Option<RawFd> {
        Some(self.poll.as_raw_fd())
    }
}

impl Wake for Waker {
    fn wake(&self) -> io::Result<()> {
        Waker::wake(self)
    }
}

fn register(registry: &Registry, fd: RawFd, interest: Interest) -> io::Result<()> {
    registry.register(&mut SourceFd(&fd), Token(fd as usize), mio_interest(interest)?)
}

fn reregister(registry: &Registry, fd: RawFd, interest: Interest) -> io::Result<()> {
    registry.reregister(&mut SourceFd(&fd), Token(fd as usize), mio_interest(interest)?)
}

/// mio learns of a close wherever it watches for bytes, and has no interest in nothing.
fn mio_interest(interest: Interest) -> io::Result<::mio::Interest> {
    let read = interest.intersects(Interest::READ | Interest::CLOSED);
    match (read, interest.contains(Interest::WRITE)) {
        (true, true) => Ok(::mio::Interest::READABLE | ::mio::Interest::WRITABLE),
        (true, false) => Ok(::mio::Interest::READABLE),
        (false, true) => Ok(::mio::Interest::WRITABLE),
        (false, false) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Whether the kernel no longer knows the descriptor: it was closed, or closed and its number
/// reused, perhaps for something that cannot be watched.
fn is_forgotten(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOENT | libc::EPERM))
}

fn readiness(event: &Event, interest: Interest) -> Interest {
    if event.is_error() || event.is_read_closed() && event.is_write_closed() {
        return HANG_UP;
    }
    let mut what = Interest::empty();
    what.set(Interest::READ, event.is_readable());
    what.set(Interest::WRITE, event.is_writable());
    what.set(Interest::CLOSED, event.is_read_closed());
    what & interest
}
