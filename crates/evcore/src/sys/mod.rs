//! The only door to system calls that rustix lacks, and to descriptors that others own.

#[cfg(unix)]
pub(crate) mod addrinfo;
mod cycles;
#[cfg(any(unix, all(windows, feature = "backend-polling")))]
mod fd;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(unix)]
mod net;
#[cfg(unix)]
pub(crate) mod signal;
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
mod solarish;

pub(crate) use cycles::cycles;
#[cfg(any(unix, all(windows, feature = "backend-polling")))]
pub(crate) use fd::borrow_fd;
#[cfg(target_os = "linux")]
pub(crate) use linux::{epoll_pwait2, has_epoll_pwait2};
#[cfg(unix)]
pub(crate) use net::interface_index;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use net::set_defer_accept;
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
pub(crate) use solarish::{devpoll_change, devpoll_wait, POLLREMOVE};
