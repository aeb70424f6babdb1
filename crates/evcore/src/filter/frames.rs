//! Messages with their length before them.

use std::io;

use crate::buffer::EvBuffer;
use crate::bufferevent::{Filter, FilterResult, FlushMode};

use super::pass;

/// What a bufferevent holds for a filter that needs more, less a length.
const MOST: usize = 16 * 1024 * 1024 - 8;

/// How many bytes the length of a message has. All are big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameWidth {
    /// One byte: messages of up to 255 bytes.
    One = 1,
    /// Two bytes: up to 65,535.
    Two = 2,
    /// Four bytes: up to 4,294,967,295.
    Four = 4,
}

/// Messages with their length before them. As a filter it passes on whole ones, lengths included, so
/// that each read callback finds messages to [`decode`](Frames::decode) and no piece of one. What is
/// written passes as it is; [`encode`](Frames::encode) it.
///
/// A message longer than allowed is an error as soon as its length has come, and so is the end of the
/// stream within a message.
///
/// ```
/// use evcore::filter::{FrameWidth, Frames};
/// use evcore::EvBuffer;
///
/// let frames = Frames::new(FrameWidth::Four, 1 << 20);
/// let mut stream = EvBuffer::new();
/// frames.encode(&mut EvBuffer::from(b"hello".to_vec()), &mut stream)?;
/// assert_eq!(stream.to_vec(), b"\0\0\0\x05hello");
/// let message = frames.decode(&mut stream)?.unwrap();
/// assert_eq!(message.to_vec(), b"hello");
/// assert!(frames.decode(&mut stream)?.is_none());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Frames {
    width: FrameWidth,
    most: usize,
}

impl Frames {
    /// Messages of at most `most` bytes, their lengths not counted; 16 MiB at most, since a filter
    /// waits for no more.
    pub fn new(width: FrameWidth, most: usize) -> Self {
        let fits = match width {
            FrameWidth::One => usize::from(u8::MAX),
            FrameWidth::Two => usize::from(u16::MAX),
            FrameWidth::Four => u32::MAX as usize,
        };
        Self { width, most: most.min(fits).min(MOST) }
    }

    /// Moves a message to the back of `stream`, its length before it. No byte of it is copied.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when it is longer than allowed, and what
    /// [`EvBuffer::add_buffer`] refuses. Nothing is moved then.
    pub fn encode(&self, message: &mut EvBuffer, stream: &mut EvBuffer) -> io::Result<()> {
        if message.len() > self.most {
            let what = format!("a message of {} bytes; {} are the most", message.len(), self.most);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let length = (message.len() as u32).to_be_bytes();
        let length = &length[4 - self.width as usize..];
        let mut frame = EvBuffer::new();
        frame.add(length)?;
        stream.add_buffer(&mut frame)?;
        Ok(stream.add_buffer(message)?)
    }

    /// Takes the first message out of `stream` if all of it is there.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when it is longer than allowed.
    pub fn decode(&self, stream: &mut EvBuffer) -> io::Result<Option<EvBuffer>> {
        let Some(whole) = self.at(stream, 0)? else { return Ok(None) };
        let width = self.width as usize;
        let mut message = EvBuffer::new();
        stream.drain(width)?;
        stream.remove_buffer(&mut message, whole - width)?;
        Ok(Some(message))
    }

    /// How long the message at `offset` is, its length included, if all of it is there.
    fn at(&self, stream: &EvBuffer, offset: usize) -> io::Result<Option<usize>> {
        let width = self.width as usize;
        if stream.len() - offset < width {
            return Ok(None);
        }
        let mut length = [0; 4];
        stream.copyout_from(stream.ptr_set(offset)?, &mut length[4 - width..]);
        let length = u32::from_be_bytes(length) as usize;
        if length > self.most {
            let what = format!("a message of {length} bytes; {} are the most", self.most);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok((stream.len() - offset - width >= length).then_some(width + length))
    }
}

impl Filter for Frames {
    fn input(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        _: FlushMode,
    ) -> FilterResult {
        let mut whole = 0;
        let over = loop {
            match self.at(source, whole) {
                // One that does not fit at all passes alone.
                Ok(Some(length)) if whole > 0 && whole + length > limit => break FilterResult::Ok,
                Ok(Some(length)) => whole += length,
                Ok(None) => break FilterResult::NeedMore,
                Err(error) => break FilterResult::Error(error),
            }
        };
        match source.remove_buffer(destination, whole) {
            Ok(_) => over,
            Err(error) => FilterResult::Error(error.into()),
        }
    }

    fn output(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        _: usize,
        _: FlushMode,
    ) -> FilterResult {
        pass(source, destination)
    }
}
