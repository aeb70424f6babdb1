//! A stream socket as a transport.

use std::io;
use std::net::Shutdown;

use socket2::{Protocol, SockAddr, Socket, Type};

use crate::backend::RawFd;
use crate::buffer::EvBuffer;
use crate::util::SocketAddress;

use super::transport::Transport;

/// A socket. Dropping it closes the descriptor; [`release`](Transport::release) does not.
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
        Ok(Self { socket })
    }

    /// A new socket of the family that `address` needs.
    pub(super) fn for_address(address: &SocketAddress) -> io::Result<Self> {
        let protocol = matches!(address, SocketAddress::Ip(_)).then_some(Protocol::TCP);
        Self::new(Socket::new(address.domain(), Type::STREAM, protocol)?)
    }
}

impl Transport for SocketTransport {
    fn read(&mut self, input: &mut EvBuffer, most: usize) -> io::Result<usize> {
        input.recv_from(&self.socket, most)
    }

    fn write(&mut self, output: &mut EvBuffer, most: usize) -> io::Result<usize> {
        output.send_to(&self.socket, most)
    }

    fn connect(&mut self, address: &SocketAddress) -> io::Result<bool> {
        match self.socket.connect(&SockAddr::try_from(address)?) {
            Ok(()) => Ok(true),
            Err(error) if is_in_progress(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn connect_result(&mut self) -> io::Result<()> {
        match self.socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    fn fd(&self) -> RawFd {
        #[cfg(unix)]
        return std::os::fd::AsRawFd::as_raw_fd(&self.socket);
        #[cfg(windows)]
        return std::os::windows::io::AsRawSocket::as_raw_socket(&self.socket);
    }

    fn release(self: Box<Self>) {
        #[cfg(unix)]
        let _ = std::os::fd::IntoRawFd::into_raw_fd(self.socket);
        #[cfg(windows)]
        let _ = std::os::windows::io::IntoRawSocket::into_raw_socket(self.socket);
    }

    fn local_address(&self) -> io::Result<SocketAddress> {
        SocketAddress::try_from(&self.socket.local_addr()?)
    }

    fn peer_address(&self) -> io::Result<SocketAddress> {
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
