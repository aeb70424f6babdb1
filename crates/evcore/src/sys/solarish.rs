//! System calls of Solaris and illumos.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Takes a descriptor off the set of a `/dev/poll` (`POLLREMOVE` of `<sys/poll.h>`).
pub(crate) const POLLREMOVE: libc::c_short = 0x0800;
/// `DP_POLL` of `<sys/devpoll.h>`.
const DP_POLL: libc::c_int = 0xD0 << 8 | 1;

/// `struct dvpoll` of `<sys/devpoll.h>`.
#[repr(C)]
struct DvPoll {
    fds: *mut libc::pollfd,
    count: libc::nfds_t,
    timeout: libc::c_int,
}

/// Changes the set of a `/dev/poll`.
pub(crate) fn devpoll_change(device: &File, changes: &[libc::pollfd]) -> io::Result<()> {
    let size = size_of_val(changes);
    // SAFETY: the changes are valid for reads of their size.
    let written = unsafe { libc::write(device.as_raw_fd(), changes.as_ptr().cast(), size) };
    if usize::try_from(written) == Ok(size) {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// Waits on a `/dev/poll` and says how many of `found` were filled in.
pub(crate) fn devpoll_wait(
    device: &File,
    found: &mut [libc::pollfd],
    timeout: Option<Duration>,
) -> io::Result<usize> {
    let mut wait = DvPoll {
        fds: found.as_mut_ptr(),
        count: found.len() as libc::nfds_t,
        timeout: timeout.map_or(-1, |timeout| timeout.as_millis() as libc::c_int),
    };
    // SAFETY: the structure has the kernel's layout, and `found` is valid for writes of as many
    // entries as it says.
    let count = unsafe { libc::ioctl(device.as_raw_fd(), DP_POLL, &mut wait) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
