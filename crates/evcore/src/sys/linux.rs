//! System calls of Linux.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::LazyLock;
use std::time::Duration;

use rustix::event::epoll::Event;
use rustix::io::Errno;

/// `struct __kernel_timespec`: 64 bits a field on every architecture, unlike libc's.
#[repr(C)]
struct KernelTimespec {
    seconds: i64,
    nanoseconds: i64,
}

/// Whether this process may call `epoll_pwait2`: kernels before 5.11 lack it, and sandboxes forbid it.
/// Asks the kernel the first time only.
pub(crate) fn has_epoll_pwait2() -> bool {
    static PRESENT: LazyLock<bool> = LazyLock::new(|| {
        // No epoll has the number -1: a kernel that knows the call says so.
        raw_epoll_pwait2(-1, &mut [], Duration::ZERO) == Err(Errno::BADF)
    });
    *PRESENT
}

/// Waits on `epoll` with nanosecond precision and says how many of `events` were filled in.
///
/// # Errors
///
/// Those of `epoll_pwait2(2)`, with `ENOSYS` or `EPERM` where it is missing or forbidden.
#[inline]
pub(crate) fn epoll_pwait2(
    epoll: BorrowedFd<'_>,
    events: &mut [Event],
    timeout: Duration,
) -> Result<usize, Errno> {
    raw_epoll_pwait2(epoll.as_raw_fd(), events, timeout)
}

#[inline]
fn raw_epoll_pwait2(epoll: RawFd, events: &mut [Event], timeout: Duration) -> Result<usize, Errno> {
    let timeout = KernelTimespec {
        seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: i64::from(timeout.subsec_nanos()),
    };
    let room = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: `events` is valid for writes of `room` events, which have the kernel's layout; the
    // timeout has the kernel's layout and is only read; without a signal mask its size is ignored.
    let found = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll,
            events.as_mut_ptr(),
            room,
            &timeout as *const KernelTimespec,
            ptr::null::<libc::sigset_t>(),
            0_usize,
        )
    };
    usize::try_from(found)
        .map_err(|_| Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}
