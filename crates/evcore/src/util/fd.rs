//! Descriptors that are owned and lent.

/// A descriptor that is closed when it is dropped.
#[cfg(not(windows))]
pub type OwnedFd = std::os::fd::OwnedFd;
/// A socket that is closed when it is dropped.
#[cfg(windows)]
pub type OwnedFd = std::os::windows::io::OwnedSocket;

/// A descriptor on loan.
#[cfg(not(windows))]
pub type BorrowedFd<'fd> = std::os::fd::BorrowedFd<'fd>;
/// A socket on loan.
#[cfg(windows)]
pub type BorrowedFd<'fd> = std::os::windows::io::BorrowedSocket<'fd>;
