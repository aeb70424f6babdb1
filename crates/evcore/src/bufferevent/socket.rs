//! A stream socket as a transport.

use std::io;
use std::net::Shutdown;

use socket2::{Protocol, SockAddr, Socket, Type};

use crate::backend::{OwnedFd, RawFd};
use crate::buffer::EvBuffer;
use crate::util::SocketAddress;

/// A socket. Dropping it closes the descriptor; [`release`](SocketTransport::release) does not.
pub(super) struct SocketTransport {
    socket: Socket,
}

impl SocketTransport {
    /// Takes a socket and makes it non-blocking.
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // Elsewhere each send says so itself.
        #[cfg(target_vendor = "apple")]
        socket.set_nosigpipe(true)?;
        // What is written within a turn goes out in one piece anyway; the kernel would only hold back
        // the next until the peer, which waits for it, has acknowledged the first. No TCP, no delay.
        let _ = socket.set_tcp_nodelay(true);
        Ok(Self { socket })
    }

    /// A new socket of the family that `address` needs.
    pub(super) fn for_address(address: &SocketAddress) -> io::Result<Self> {
        let protocol = matches!(address, SocketAddress::Ip(_)).then_some(Protocol::TCP);
        Self::new(Socket::new(address.domain(), Type::STREAM, protocol)?)
    }

    /// Reads at most `most` bytes to the end of `input`; 0 is the end of the stream.
    #[inline]
    pub(super) fn read(&self, input: &mut EvBuffer, most: usize) -> io::Result<usize> {
        input.recv_from(&self.socket, most)
    }

    /// Writes bytes from the front of `output`, at most `most`, and drains what was written.
    #[inline]
    pub(super) fn write(&self, output: &mut EvBuffer, most: usize) -> io::Result<usize> {
        output.send_to(&self.socket, most)
    }

    /// Starts to connect; `Ok(true)` when it is done already.
    pub(super) fn connect(&self, address: &SocketAddress) -> io::Result<bool> {
        match self.socket.connect(&SockAddr::try_from(address)?) {
            Ok(()) => Ok(true),
            Err(error) if is_in_progress(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Why a connect failed, once the descriptor is writable.
    pub(super) fn connect_result(&self) -> io::Result<()> {
        match self.socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Ends the sending side.
    pub(super) fn finish(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// The descriptor that tells when reading or writing can go on.
    pub(super) fn fd(&self) -> RawFd {
        #[cfg(unix)]
        return std::os::fd::AsRawFd::as_raw_fd(&self.socket);
        #[cfg(windows)]
        return std::os::windows::io::AsRawSocket::as_raw_socket(&self.socket);
    }

    /// Gives the descriptor back.
    pub(super) fn into_fd(self) -> OwnedFd {
        self.socket.into()
    }

    /// Lets go of the descriptor without closing it.
    pub(super) fn release(self) {
        #[cfg(unix)]
        let _ = std::os::fd::IntoRawFd::into_raw_fd(self.socket);
        #[cfg(windows)]
        let _ = std::os::windows::io::IntoRawSocket::into_raw_socket(self.socket);
    }

    /// The address of our end.
    pub(super) fn local_address(&self) -> io::Result<SocketAddress> {
        SocketAddress::try_from(&self.socket.local_addr()?)
    }

    /// The address of the other end.
    pub(super) fn peer_address(&self) -> io::Result<SocketAddress> {
        SocketAddress::try_from(&self.socket.peer_addr()?)
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    return error.raw_os_error() == Some(libc::EINPROGRESS)
        || error.kind() == io::ErrorKind::Interrupted;
    #[cfg(windows)]
    return error.kind() == io::ErrorKind::WouldBlock;
}
