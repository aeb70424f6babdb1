//! Bytes that somebody goes on to hold while they stay in the buffer.

use bytes::Bytes;

use super::segment::Segment;
use super::{BufferError, EvBuffer, Position};

/// A piece of a buffer's bytes that is held apart from the buffer, from [`EvBuffer::lend`].
#[derive(Clone, Debug)]
pub struct Lent {
    /// The bytes. They never change, whatever becomes of the buffer.
    pub bytes: Bytes,
    /// Whether the memory is the buffer's own. What was added as a `Bytes` or comes from a file
    /// belongs to somebody else, and may lie in memory that nobody can write to.
    pub own: bool,
}

impl EvBuffer {
    /// Appends to `pieces` the `len` bytes from `start` on (`None`: all bytes, from the front) to be
    /// held apart from the buffer, without copying those in pieces of `least` bytes or more; smaller
    /// ones are copied, since a segment that others hold takes no more bytes into its room. Gives
    /// fewer bytes if the buffer holds fewer.
    ///
    /// ```
    /// use evcore::EvBuffer;
    ///
    /// let mut buffer = EvBuffer::new();
    /// buffer.add(&[7; 10_000])?;
    /// let mut pieces = Vec::new();
    /// buffer.lend(None, None, 4096, &mut pieces)?;
    /// drop(buffer);
    /// assert!(pieces.iter().all(|piece| piece.own));
    /// assert_eq!(pieces.iter().map(|piece| piece.bytes.len()).sum::<usize>(), 10_000);
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    ///
    /// # Errors
    /// [`BufferError::OutOfMemory`]; `pieces` may hold some by then.
    #[doc(alias = "evbuffer_peek")]
    pub fn lend(
        &mut self,
        len: Option<usize>,
        start: Option<Position>,
        least: usize,
        pieces: &mut Vec<Lent>,
    ) -> Result<(), BufferError> {
        let mut at = start.unwrap_or_default();
        let mut missing = len.unwrap_or(self.len);
        let Some((first, base)) = self.chain.locate(at.offset(), self.len) else { return Ok(()) };
        let mut skip = at.offset() - base;
        for index in first..self.chain.count() {
            let Some(segment) = self.chain.at_mut(index) else { break };
            let range = skip..segment.len().min(skip.saturating_add(missing));
            let len = range.len();
            if len == 0 {
                break;
            }
            if len >= least {
                // Without memory for that the bytes are copied.
                segment.make_shareable();
            }
            pieces.push(match segment {
                Segment::Lent(bytes) if len >= least => {
                    Lent { bytes: bytes.slice(range), own: true }
                }
                Segment::Shared(bytes) if len >= least => {
                    Lent { bytes: bytes.slice(range), own: false }
                }
                _ => Lent { bytes: self.copied(at, len)?, own: true },
            });
            skip = 0;
            missing -= len;
            at = Position(at.offset() + len);
        }
        Ok(())
    }

    fn copied(&self, start: Position, len: usize) -> Result<Bytes, BufferError> {
        let mut bytes = Vec::new();
        let error = BufferError::OutOfMemory { call: "EvBuffer::lend", requested: len };
        bytes.try_reserve_exact(len).map_err(|_| error)?;
        bytes.resize(len, 0);
        let copied = self.copyout_from(start, &mut bytes);
        bytes.truncate(copied);
        Ok(bytes.into())
    }
}
