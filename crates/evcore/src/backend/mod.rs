//! Backends: the kernel facilities that tell which descriptors are ready (libevent's methods).
//!
//! One file a facility, all behind [`Backend`]. A backend knows descriptors and interests; events,
//! timers, signals and callbacks are the business of [`base`](crate::base).

#[cfg(any(target_os = "linux", target_os = "android"))]
mod changelist;
#[cfg(any(unix, feature = "backend-polling"))]
mod common;
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
mod devpoll;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod epoll;
#[cfg(all(unix, feature = "backend-mio"))]
mod mio;
#[cfg(unix)]
mod pipe;
#[cfg(unix)]
mod poll;
#[cfg(all(any(unix, windows), feature = "backend-polling"))]
mod polling;
mod registry;
#[cfg(all(unix, not(any(target_os = "illumos", target_os = "solaris"))))]
mod select;

use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use crate::util::OwnedFd;
pub use registry::{features_of, open, open_with, supported_methods, Options};

/// A descriptor as the operating system numbers it (`evutil_socket_t`).
#[cfg(not(windows))]
pub type RawFd = std::os::fd::RawFd;
/// A socket as the operating system numbers it (`evutil_socket_t`).
#[cfg(windows)]
pub type RawFd = std::os::windows::io::RawSocket;

bitflags::bitflags! {
    /// What to watch a descriptor for, and what it turned out to be ready for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Interest: u8 {
        /// Bytes, a connection or an end of file can be read (`EV_READ`).
        const READ = 1;
        /// Bytes can be written, or a connect has ended (`EV_WRITE`).
        const WRITE = 2;
        /// The peer has closed its sending side (`EV_CLOSED`).
        const CLOSED = 4;
        /// Report changes of readiness only, not readiness that lasts (`EV_ET`).
        const EDGE = 8;
    }
}

bitflags::bitflags! {
    /// What a backend can do (`enum event_method_feature`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Features: u8 {
        /// Edge-triggered events (`EV_FEATURE_ET`).
        const ET = 0x01;
        /// The cost of an addition, removal or readiness does not grow with the number of descriptors (`EV_FEATURE_O1`).
        const O1 = 0x02;
        /// Any descriptor, not sockets only (`EV_FEATURE_FDS`).
        const FDS = 0x04;
        /// [`Interest::CLOSED`] is seen without reading (`EV_FEATURE_EARLY_CLOSE`).
        const EARLY_CLOSE = 0x08;
        /// Waits end with better than a millisecond's precision.
        const NS_TIMEOUT = 0x10;
    }
}

/// A descriptor that a wait found ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The descriptor.
    pub fd: RawFd,
    /// What it is ready for; a hang-up or an error counts as all of read, write and closed, so that
    /// whoever watches it learns of it.
    pub what: Interest,
}

/// Ends another thread's wait. At most one system call; may be called at any time, from any thread.
pub trait Wake: Send + Sync {
    /// Makes the wait under way, or the next one, return at once.
    fn wake(&self) -> io::Result<()>;
}

/// One kernel facility that watches descriptors.
///
/// A descriptor is registered at most once; the base merges the interests of all events on it. It
/// must stay open while it is registered, but a backend survives one that was closed behind its
/// back: [`modify`](Backend::modify) and [`remove`](Backend::remove) of a descriptor that the kernel
/// forgot are repaired or ignored, never fatal.
pub trait Backend {
    /// The method's name, as `EventBase::method` and `EventConfig::avoid_method` have it.
    fn name(&self) -> &'static str;
    /// What it can do.
    fn features(&self) -> Features;
    /// Starts to watch `fd`.
    ///
    /// # Errors
    ///
    /// What the kernel said, at once. With a list of changes ([`Options::changelist`]) it says some of
    /// it in the next wait only; the descriptor is then reported as if it had hung up.
    fn add(&mut self, fd: RawFd, interest: Interest) -> io::Result<()>;
    /// Changes what `fd` is watched for, from `old`.
    fn modify(&mut self, fd: RawFd, old: Interest, interest: Interest) -> io::Result<()>;
    /// Stops to watch `fd`. A descriptor that was closed already is not an error.
    fn remove(&mut self, fd: RawFd, old: Interest) -> io::Result<()>;
    /// Waits until a descriptor is ready, the waker was called or `timeout` has passed (`None`:
    /// for ever, zero: not at all), and puts what is ready into `ready`, which it clears first. A
    /// signal ends the wait with nothing ready. Never returns before the timeout unless there is a
    /// reason to.
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;
    /// What other threads call to end a wait.
    fn waker(&self) -> Arc<dyn Wake>;
    /// A descriptor that is readable whenever [`wait`](Backend::wait) would not block, so that the
    /// backend can be nested in another loop. `None` where the facility has none.
    fn poll_fd(&self) -> Option<RawFd> {
        None
    }
}
