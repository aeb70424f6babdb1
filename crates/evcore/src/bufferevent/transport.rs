//! What carries a bufferevent's bytes.

use std::io;
use std::net::Shutdown;

use crate::backend::RawFd;
use crate::buffer::EvBuffer;
use crate::util::SocketAddress;

/// Carries bytes between a bufferevent's buffers and the world. Nothing in it blocks and nothing in
/// it calls back: when it can't go on it says so with [`io::ErrorKind::WouldBlock`].
pub(super) trait Transport {
    /// Reads at most `most` bytes to the end of `input`; 0 is the end of the stream.
    fn read(&mut self, input: &mut EvBuffer, most: usize) -> io::Result<usize>;
    /// Writes bytes from the front of `output`, at most `most`, and drains what was written.
    fn write(&mut self, output: &mut EvBuffer, most: usize) -> io::Result<usize>;
    /// Starts to connect; `Ok(true)` when it is done already.
    fn connect(&mut self, address: &SocketAddress) -> io::Result<bool>;
    /// Why a connect failed, once the descriptor is writable.
    fn connect_result(&mut self) -> io::Result<()>;
    /// Ends a direction.
    fn shutdown(&mut self, how: Shutdown) -> io::Result<()>;
    /// The descriptor that tells when reading or writing can go on.
    fn fd(&self) -> RawFd;
    /// Lets go of the descriptor without closing it.
    fn release(self: Box<Self>);
    /// The address of our end.
    fn local_address(&self) -> io::Result<SocketAddress>;
    /// The address of the other end.
    fn peer_address(&self) -> io::Result<SocketAddress>;
}
