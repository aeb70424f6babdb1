//! Flags of descriptors and sockets.

use std::io;

use socket2::SockRef;

/// A descriptor that is closed when it is dropped.
#[cfg(unix)]
pub type OwnedFd = std::os::fd::OwnedFd;
/// A socket that is closed when it is dropped.
#[cfg(windows)]
pub type OwnedFd = std::os::windows::io::OwnedSocket;

/// A descriptor on loan.
#[cfg(unix)]
pub type BorrowedFd<'fd> = std::os::fd::BorrowedFd<'fd>;
/// A socket on loan.
#[cfg(windows)]
pub type BorrowedFd<'fd> = std::os::windows::io::BorrowedSocket<'fd>;

/// Makes reads and writes of `fd` return at once when they cannot go on
/// (`evutil_make_socket_nonblocking`).
///
/// # Errors
///
/// What the operating system said.
#[doc(alias = "evutil_make_socket_nonblocking")]
pub fn make_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).set_nonblocking(true)
}

/// Keeps `fd` from programs that this process executes (`evutil_make_socket_closeonexec`). Windows
/// has this as the default and nothing to do.
///
/// # Errors
///
/// What the operating system said.
#[doc(alias = "evutil_make_socket_closeonexec")]
pub fn make_closeonexec(fd: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(unix)]
    SockRef::from(&fd).set_cloexec(true)?;
    #[cfg(not(unix))]
    let _ = fd;
    Ok(())
}

/// Lets a listener bind to an address of which old connections linger
/// (`evutil_make_listen_socket_reuseable`). Nothing on Windows, where the option of this name would
/// let other programs take the port over.
///
/// # Errors
///
/// What the operating system said.
#[doc(alias = "evutil_make_listen_socket_reuseable")]
pub fn make_listen_socket_reuseable(fd: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(unix)]
    SockRef::from(&fd).set_reuse_address(true)?;
    #[cfg(not(unix))]
    let _ = fd;
    Ok(())
}

/// Lets several listeners bind to one port and share its connections
/// (`evutil_make_listen_socket_reuseable_port`).
///
/// # Errors
///
/// What the operating system said; [`io::ErrorKind::Unsupported`] where it has no such option.
#[doc(alias = "evutil_make_listen_socket_reuseable_port")]
pub fn make_listen_socket_reuseable_port(fd: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    return SockRef::from(&fd).set_reuse_port(true);
    #[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos")))))]
    {
        let _ = fd;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Keeps an IPv6 listener from taking IPv4 connections
/// (`evutil_make_listen_socket_ipv6only`).
///
/// # Errors
///
/// What the operating system said.
#[doc(alias = "evutil_make_listen_socket_ipv6only")]
pub fn make_listen_socket_ipv6only(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).set_only_v6(true)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn a_nonblocking_pipe_says_that_it_would_block() {
        let (mut reader, _writer) = io::pipe().unwrap();
        make_nonblocking(reader.as_fd()).unwrap();
        let error = reader.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn closeonexec_sets_the_descriptor_flag() {
        let socket = Socket::new_raw(Domain::IPV4, Type::STREAM, None).unwrap();
        assert!(rustix::io::fcntl_getfd(&socket).unwrap().is_empty());
        make_closeonexec(socket.as_fd()).unwrap();
        assert_eq!(rustix::io::fcntl_getfd(&socket).unwrap(), rustix::io::FdFlags::CLOEXEC);
    }

    #[test]
    fn the_listen_options_reach_the_socket() {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        make_listen_socket_reuseable(socket.as_fd()).unwrap();
        make_listen_socket_reuseable_port(socket.as_fd()).unwrap();
        make_listen_socket_ipv6only(socket.as_fd()).unwrap();
        assert!(socket.reuse_address().unwrap());
        assert!(socket.reuse_port().unwrap());
        assert!(socket.only_v6().unwrap());
    }
}
