//! Descriptors that somebody else owns.

use std::io;

use crate::backend::RawFd;
use crate::util::BorrowedFd;

/// Lends a descriptor by its number to the one system call that the caller makes next.
///
/// # Contract
///
/// The number comes from a registration: whoever registered it promised to keep it open until it is
/// removed. The loan must not outlive the call that it is made for, unless the holder (as the `poll`
/// method does) copes with a descriptor that was closed meanwhile. Only calls that do no more than
/// fail on a closed or reused number may be made with it: registering, modifying and removing it,
/// and asking for its flags; never reading, writing or closing.
///
/// # Errors
///
/// `EBADF` for a negative number (`INVALID_SOCKET` on Windows), which no open descriptor has.
pub(crate) fn borrow_fd<'fd>(fd: RawFd) -> io::Result<BorrowedFd<'fd>> {
    #[cfg(unix)]
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    #[cfg(windows)]
    if fd == RawFd::MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the number is not the reserved one, and by the contract above it is open, or used only
    // in calls to which a closed one does no harm.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}
