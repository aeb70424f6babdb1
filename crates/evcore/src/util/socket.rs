//! Flags and options of descriptors and sockets.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::BorrowedFd;

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

/// Lets an IPv6 listener take IPv4 connections too
/// (`evutil_make_listen_socket_not_ipv6only`).
///
/// # Errors
///
/// What the operating system said.
#[doc(alias = "evutil_make_listen_socket_not_ipv6only")]
pub fn make_listen_socket_not_ipv6only(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).set_only_v6(false)
}

/// Makes a listener hand a connection out when its first bytes have come
/// (`evutil_make_tcp_listen_socket_deferred`).
///
/// # Errors
///
/// What the operating system said; [`io::ErrorKind::Unsupported`] where it has no such option.
#[doc(alias = "evutil_make_tcp_listen_socket_deferred")]
pub fn make_tcp_listen_socket_deferred(fd: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return crate::sys::set_defer_accept(&fd, 1);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = fd;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Has the system probe a connection that is silent for so long, or stop doing so
/// (`evutil_set_tcp_keepalive`). Whole seconds count, one at least.
///
/// # Errors
///
/// What the operating system said.
#[doc(alias = "evutil_set_tcp_keepalive")]
pub fn set_tcp_keepalive(fd: BorrowedFd<'_>, idle: Option<Duration>) -> io::Result<()> {
    let socket = SockRef::from(&fd);
    match idle {
        Some(idle) => {
            let idle = idle.max(Duration::from_secs(1));
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))
        }
        None => socket.set_keepalive(false),
    }
}

/// The error that happened on a socket and that nobody has asked for yet, such as that of a connect
/// (`evutil_socket_geterror`); the call takes it. Its text (`evutil_socket_error_to_string`) is what
/// [`io::Error`] displays.
///
/// # Errors
///
/// What the operating system said about the question itself.
#[doc(alias = "evutil_socket_geterror")]
#[doc(alias = "evutil_socket_error_to_string")]
pub fn take_socket_error(fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    SockRef::from(&fd).take_error()
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
        make_listen_socket_ipv6only(socket.as_fd()).unwrap();
        assert!(socket.reuse_address().unwrap());
        assert!(socket.only_v6().unwrap());
    }

    #[cfg(not(any(target_os = "illumos", target_os = "solaris")))]
    #[test]
    fn listeners_can_share_a_port() {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        make_listen_socket_reuseable_port(socket.as_fd()).unwrap();
        assert!(socket.reuse_port().unwrap());
    }

    #[test]
    fn an_ipv6_listener_can_be_made_to_take_ipv4_connections() {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        make_listen_socket_ipv6only(socket.as_fd()).unwrap();
        make_listen_socket_not_ipv6only(socket.as_fd()).unwrap();
        assert!(!socket.only_v6().unwrap());
    }

    #[test]
    fn keepalive_is_switched_on_and_off() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        set_tcp_keepalive(socket.as_fd(), Some(Duration::from_millis(1))).unwrap();
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(1));
        set_tcp_keepalive(socket.as_fd(), Some(Duration::from_secs(77))).unwrap();
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(77));
        set_tcp_keepalive(socket.as_fd(), None).unwrap();
        assert!(!socket.keepalive().unwrap());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_deferred_listener_has_nothing_to_accept_until_bytes_come() {
        use std::io::Write;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        make_tcp_listen_socket_deferred(listener.as_fd()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        client.write_all(b"x").unwrap();
        listener.set_nonblocking(false).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        accepted.read_exact(&mut [0]).unwrap();
    }

    #[test]
    fn the_error_of_a_refused_connect_is_taken_once() {
        let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let loopback: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        bound.bind(&loopback.into()).unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        if socket.connect(&bound.local_addr().unwrap()).unwrap_err().raw_os_error()
            == Some(libc::EINPROGRESS)
        {
            let mut polled = [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::OUT)];
            rustix::event::poll(&mut polled, None).unwrap();
            let error = take_socket_error(socket.as_fd()).unwrap().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
        assert!(take_socket_error(socket.as_fd()).unwrap().is_none());
    }
}
