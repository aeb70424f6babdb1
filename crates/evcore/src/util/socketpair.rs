//! Pairs of connected sockets.

use std::io;

use super::OwnedFd;

bitflags::bitflags! {
    /// How [`socketpair`] makes its sockets.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SocketFlags: u8 {
        /// Reads and writes never block (`EVUTIL_SOCK_NONBLOCK`).
        const NONBLOCK = 1;
        /// Executed programs do not inherit the sockets (`EVUTIL_SOCK_CLOEXEC`). Always so on
        /// Windows.
        const CLOEXEC = 2;
    }
}

/// Two stream sockets that are connected to each other (`evutil_socketpair`).
///
/// They are Unix-domain sockets where there are any; on Windows they are connected over the loopback
/// interface, and nobody else's connection can get in between.
///
/// # Errors
///
/// What the operating system said.
#[doc(alias = "evutil_socketpair")]
pub fn socketpair(flags: SocketFlags) -> io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(unix)]
    let (left, right) = {
        use socket2::{Domain, Socket, Type};
        let (left, right) = if flags.contains(SocketFlags::CLOEXEC) {
            Socket::pair(Domain::UNIX, Type::STREAM, None)?
        } else {
            Socket::pair_raw(Domain::UNIX, Type::STREAM, None)?
        };
        if flags.contains(SocketFlags::NONBLOCK) {
            left.set_nonblocking(true)?;
            right.set_nonblocking(true)?;
        }
        (left, right)
    };
    #[cfg(windows)]
    let (left, right) = loopback_pair(flags)?;
    Ok((left.into(), right.into()))
}

/// A connected pair where the system has no `socketpair`.
#[cfg(any(windows, test))]
fn loopback_pair(flags: SocketFlags) -> io::Result<(std::net::TcpStream, std::net::TcpStream)> {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let left = TcpStream::connect(listener.local_addr()?)?;
    let right = loop {
        // Any program of this machine may connect in the moment that the port is open.
        let (right, peer) = listener.accept()?;
        if peer == left.local_addr()? {
            break right;
        }
    };
    for socket in [&left, &right] {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(flags.contains(SocketFlags::NONBLOCK))?;
    }
    Ok((left, right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[cfg(unix)]
    #[test]
    fn what_one_end_writes_the_other_reads() {
        use std::os::unix::net::UnixStream;
        let (left, right) = socketpair(SocketFlags::all()).unwrap();
        let (mut left, mut right) = (UnixStream::from(left), UnixStream::from(right));
        assert_eq!(right.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        left.write_all(b"ping").unwrap();
        let mut bytes = [0; 4];
        right.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"ping");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_asked_for_flags_are_set() {
        use rustix::{fs::OFlags, io::FdFlags};
        for flags in [SocketFlags::empty(), SocketFlags::NONBLOCK, SocketFlags::CLOEXEC] {
            let (left, right) = socketpair(flags).unwrap();
            for end in [left, right] {
                let nonblocking = rustix::fs::fcntl_getfl(&end).unwrap().contains(OFlags::NONBLOCK);
                let cloexec = rustix::io::fcntl_getfd(&end).unwrap().contains(FdFlags::CLOEXEC);
                assert_eq!(nonblocking, flags.contains(SocketFlags::NONBLOCK));
                assert_eq!(cloexec, flags.contains(SocketFlags::CLOEXEC));
            }
        }
    }

    #[test]
    fn the_loopback_pair_is_connected_both_ways() {
        let (mut left, mut right) = loopback_pair(SocketFlags::empty()).unwrap();
        let mut bytes = [0; 4];
        left.write_all(b"ping").unwrap();
        right.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"ping");
        right.write_all(b"pong").unwrap();
        left.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"pong");
        assert_eq!(left.local_addr().unwrap(), right.peer_addr().unwrap());
    }
}
