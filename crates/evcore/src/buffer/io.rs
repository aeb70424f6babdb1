//! Reading from and writing to descriptors, a system call each.

use std::io;
#[cfg(unix)]
use std::os::fd::AsFd as AsSocket;
#[cfg(windows)]
use std::os::windows::io::AsSocket;

use std::io::IoSlice;

#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::io::Errno;

use super::block::{Block, MAX_POOLED};
use super::segment::Segment;
use super::{BufferEnd, BufferError, EvBuffer};

/// The most bytes that one call reads, whatever it was asked for: 256 KiB.
pub const MAX_READ: usize = MAX_POOLED;

/// The most bytes of a file that one call sends, so that others get their turn.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MAX_SENDFILE: usize = 1 << 20;

/// The most segments that one call writes.
const MAX_SLICES: usize = 64;

impl EvBuffer {
    /// Receives up to `max` bytes (and [`MAX_READ`]) from a socket to the back, with one system
    /// call, and returns how many; 0 at the end of the stream, and if `max` is 0. An error
    /// (`WouldBlock` on a non-blocking socket without data) leaves the buffer as it was; an
    /// interrupted call is made again.
    #[doc(alias("evbuffer_read", "recv"))]
    #[inline]
    pub fn recv_from(&mut self, socket: impl AsSocket, max: usize) -> io::Result<usize> {
        self.fill_once("EvBuffer::recv_from", max, |space| system::recv(&socket, space))
    }

    /// Sends up to `max` bytes, in up to 64 segments, from the front to a socket, with one system
    /// call, and returns how many; 0 if there are none. No signal is raised if the peer has gone
    /// (on Apple systems, set `SO_NOSIGPIPE` on the socket for that). An error leaves the buffer
    /// as it was; an interrupted call is made again.
    ///
    /// A file at the front is sent by `sendfile(2)` on Linux, up to 1 MiB of it; that does raise
    /// `SIGPIPE`, which Rust programs and Node ignore. Elsewhere, or with
    /// [`DISABLE_SENDFILE`](super::FileSegmentFlags::DISABLE_SENDFILE), a piece of it is read and
    /// sent.
    #[doc(alias("evbuffer_write", "evbuffer_write_atmost", "send"))]
    #[inline]
    pub fn send_to(&mut self, socket: impl AsSocket, max: usize) -> io::Result<usize> {
        const CALL: &str = "EvBuffer::send_to";
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(sent) = self.send_file(&socket, max, CALL) {
            return sent;
        }
        self.empty_once(
            CALL,
            max,
            |data| system::send(&socket, data),
            |slices| system::send_vectored(&socket, slices),
        )
    }

    /// Has the system copy up to `max` bytes of a file at the front to a socket. `None` if there is
    /// no file there, or it cannot be sent so.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[inline]
    fn send_file(
        &mut self,
        socket: &impl AsSocket,
        max: usize,
        call: &'static str,
    ) -> Option<io::Result<usize>> {
        let Some(Segment::File(part)) = self.chain.front() else { return None };
        let (source, offset) = part.to_send()?;
        let max = max.min(part.len()).min(MAX_SENDFILE);
        if max == 0 || self.is_frozen(BufferEnd::Front) {
            return None;
        }
        let sent = match system::sendfile(socket, source.file(), offset, max) {
            Ok(0) => {
                let error = BufferError::unreadable(call, &io::ErrorKind::UnexpectedEof.into());
                return Some(Err(error.into()));
            }
            Ok(sent) => sent,
            // Not every file system can do it, nor every socket.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                source.cannot_sendfile();
                return None;
            }
            Err(error) => return Some(Err(error.into())),
        };
        let sent = self.discard(sent.min(max));
        self.changed(0, sent);
        Some(Ok(sent))
    }

    /// Reads from any descriptor, as [`recv_from`](Self::recv_from) does from a socket.
    #[cfg(unix)]
    #[doc(alias = "evbuffer_read")]
    #[inline]
    pub fn read_from(&mut self, fd: impl AsSocket, max: usize) -> io::Result<usize> {
        self.fill_once("EvBuffer::read_from", max, |space| system::read(&fd, space))
    }

    /// Writes to any descriptor, as [`send_to`](Self::send_to) does to a socket, except that a
    /// pipe that nobody reads any more raises `SIGPIPE` (which Rust programs ignore by default).
    #[cfg(unix)]
    #[doc(alias("evbuffer_write", "evbuffer_write_atmost"))]
    #[inline]
    pub fn write_to(&mut self, fd: impl AsSocket, max: usize) -> io::Result<usize> {
        self.empty_once(
            "EvBuffer::write_to",
            max,
            |data| system::write(&fd, data),
            |slices| system::write_vectored(&fd, slices),
        )
    }

    /// Has `read` called on up to `max` bytes of room and adds what it says it has put there.
    #[inline]
    fn fill_once(
        &mut self,
        call: &'static str,
        max: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.check_end(BufferEnd::Back, call)?;
        if max == 0 {
            return Ok(0);
        }
        self.check_len(1, call)?;
        let max = max.min(MAX_READ).min(self.max_len() - self.len);
        let room = self.tail_room().min(max);
        if room >= max.div_ceil(2) {
            if let Some(tail) = self.chain.back_mut().and_then(Segment::block_mut) {
                let len = read(&mut tail.room_mut()[..room])?.min(room);
                tail.fill(len);
                self.len += len;
                self.changed(len, 0);
                return Ok(len);
            }
        }
        // What comes is put where it belongs afterwards: few bytes are copied into the room that
        // is left or into a block of their size, so that they do not pin this one.
        let block = Block::new(max).filter(|_| self.chain.try_reserve(1));
        let mut block = block.ok_or(BufferError::OutOfMemory { call, requested: max })?;
        let len = read(&mut block.room_mut()[..max])?.min(max);
        if len != 0 {
            block.fill(len);
            self.append_segment(Segment::Owned(block));
            self.changed(len, 0);
        }
        Ok(len)
    }

    /// Has one of the functions called on up to `max` bytes and drops what it says it has taken.
    #[inline]
    fn empty_once(
        &mut self,
        call: &'static str,
        max: usize,
        one: impl FnOnce(&[u8]) -> io::Result<usize>,
        many: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.check_end(BufferEnd::Front, call)?;
        let mut max = max.min(self.len);
        if max == 0 {
            return Ok(0);
        }
        if self.may_hold_files {
            max = self.load_some(max, call)?;
        }
        let first = self.first_chunk();
        let len = match first.get(..max) {
            Some(data) => one(data)?,
            None => {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let (mut count, mut missing) = (0, max);
                for (slice, chunk) in slices.iter_mut().zip(self.segments()) {
                    let part = &chunk[..chunk.len().min(missing)];
                    *slice = IoSlice::new(part);
                    count += 1;
                    missing -= part.len();
                    if missing == 0 {
                        break;
                    }
                }
                many(&slices[..count])?
            }
        };
        let len = self.discard(len.min(max));
        self.changed(0, len);
        Ok(len)
    }
}

/// The system calls.
#[cfg(unix)]
mod system {
    use std::io::{self, IoSlice};
    use std::os::fd::AsFd;

    use rustix::io::retry_on_intr;
    use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

    #[cfg(not(target_vendor = "apple"))]
    const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
    #[cfg(target_vendor = "apple")]
    const SEND_FLAGS: SendFlags = SendFlags::empty();

    #[inline]
    pub(super) fn recv(socket: &impl AsFd, space: &mut [u8]) -> io::Result<usize> {
        let received = retry_on_intr(|| rustix::net::recv(socket, &mut *space, RecvFlags::empty()));
        Ok(received?.1)
    }

    #[inline]
    pub(super) fn send(socket: &impl AsFd, data: &[u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::net::send(socket, data, SEND_FLAGS))?)
    }

    #[inline]
    pub(super) fn send_vectored(socket: &impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(retry_on_intr(|| {
            let mut control = SendAncillaryBuffer::default();
            rustix::net::sendmsg(socket, slices, &mut control, SEND_FLAGS)
        })?)
    }

    /// Copies up to `len` bytes of a file from `offset` on to a socket.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn sendfile(
        socket: &impl AsFd,
        file: &std::fs::File,
        offset: u64,
        len: usize,
    ) -> rustix::io::Result<usize> {
        retry_on_intr(|| {
            let mut offset = offset;
            rustix::fs::sendfile(socket, file, Some(&mut offset), len)
        })
    }

    #[inline]
    pub(super) fn read(fd: &impl AsFd, space: &mut [u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::read(fd, &mut *space))?)
    }

    #[inline]
    pub(super) fn write(fd: &impl AsFd, data: &[u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::write(fd, data))?)
    }

    #[inline]
    pub(super) fn write_vectored(fd: &impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::writev(fd, slices))?)
    }
}

/// The system calls.
#[cfg(windows)]
mod system {
    use std::io::{self, IoSlice, Read};
    use std::os::windows::io::AsSocket;

    use socket2::SockRef;

    pub(super) fn recv(socket: &impl AsSocket, space: &mut [u8]) -> io::Result<usize> {
        (&*SockRef::from(&socket.as_socket())).read(space)
    }

    pub(super) fn send(socket: &impl AsSocket, data: &[u8]) -> io::Result<usize> {
        SockRef::from(&socket.as_socket()).send(data)
    }

    pub(super) fn send_vectored(
        socket: &impl AsSocket,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        SockRef::from(&socket.as_socket()).send_vectored(slices)
    }
}
