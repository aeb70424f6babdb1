//! Lending room at the back to be filled in place.

use std::fmt;

use bytes::BufMut;

use super::block::Block;
use super::segment::Segment;
use super::{BufferEnd, BufferError, EvBuffer};

/// Room at the back of a buffer, from [`EvBuffer::reserve`]. Dropping it without
/// [`commit`](Self::commit) leaves the buffer as it was.
#[doc(alias("evbuffer_reserve_space", "evbuffer_iovec"))]
pub struct Reserved<'a> {
    buffer: &'a mut EvBuffer,
    /// How much of the last segment's room is lent.
    tail: usize,
    /// What else is lent: so much of the room of a block to be added.
    spare: Option<(Block, usize)>,
}

impl EvBuffer {
    /// Reserves room for `len` bytes at the back, in one or two pieces, to be filled in place and
    /// then [committed](Reserved::commit).
    ///
    /// ```
    /// use evcore::EvBuffer;
    ///
    /// let mut buffer = EvBuffer::new();
    /// let mut room = buffer.reserve(100)?;
    /// let [first, _] = room.slices();
    /// first[..5].copy_from_slice(b"hello");
    /// room.commit(5)?;
    /// assert_eq!(buffer.to_vec(), b"hello");
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    #[doc(alias = "evbuffer_reserve_space")]
    pub fn reserve(&mut self, len: usize) -> Result<Reserved<'_>, BufferError> {
        self.reserve_in(len, self.tail_room())
    }

    /// As [`reserve`](Self::reserve), in one piece.
    pub fn reserve_contiguous(&mut self, len: usize) -> Result<Reserved<'_>, BufferError> {
        let room = self.tail_room();
        self.reserve_in(len, if room >= len { room } else { 0 })
    }

    fn reserve_in(&mut self, len: usize, room: usize) -> Result<Reserved<'_>, BufferError> {
        const CALL: &str = "EvBuffer::reserve";
        self.check_end(BufferEnd::Back, CALL)?;
        self.check_len(len, CALL)?;
        let tail = room.min(len);
        let mut spare = None;
        if tail < len {
            let block = Block::new(len - tail).filter(|_| self.chain.try_reserve(1));
            let error = BufferError::OutOfMemory { call: CALL, requested: len - tail };
            spare = Some((block.ok_or(error)?, len - tail));
        }
        Ok(Reserved { buffer: self, tail, spare })
    }
}

impl Reserved<'_> {
    /// How many bytes there is room for.
    pub fn len(&self) -> usize {
        self.tail + self.spare.as_ref().map_or(0, |(_, len)| *len)
    }

    /// Whether no room was asked for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The room, to be filled in this order; the second piece is empty unless two are needed. What
    /// the bytes hold at first is not defined: commit only those that you have written.
    pub fn slices(&mut self) -> [&mut [u8]; 2] {
        let first = match self.buffer.chain.back_mut().and_then(Segment::block_mut) {
            Some(block) => &mut block.room_mut()[..self.tail],
            None => &mut [],
        };
        let second = match &mut self.spare {
            Some((block, len)) => &mut block.room_mut()[..*len],
            None => &mut [],
        };
        if first.is_empty() {
            [second, first]
        } else {
            [first, second]
        }
    }

    /// The room as a [`BufMut`], for encoders that write to one. What it has left,
    /// [`remaining_mut`](BufMut::remaining_mut), tells how much was written, to be committed.
    ///
    /// A buffer itself is no `BufMut`: that trait knows no errors, and a buffer's room ends where its
    /// memory or its [`max_len`](EvBuffer::max_len) does.
    ///
    /// ```
    /// use bytes::BufMut;
    /// use evcore::EvBuffer;
    ///
    /// let mut buffer = EvBuffer::new();
    /// let mut room = buffer.reserve(100)?;
    /// let mut writer = room.writer();
    /// writer.put_u16(7);
    /// writer.put_slice(b"bytes");
    /// let written = 100 - writer.remaining_mut();
    /// drop(writer);
    /// room.commit(written)?;
    /// assert_eq!(buffer.to_vec(), b"\0\x07bytes");
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    pub fn writer(&mut self) -> impl BufMut + '_ {
        let [first, second] = self.slices();
        first.chain_mut(second)
    }

    /// Adds the first `len` bytes of the room to the buffer. Fails, and adds nothing, if there is
    /// not so much of it.
    #[doc(alias = "evbuffer_commit_space")]
    pub fn commit(self, len: usize) -> Result<(), BufferError> {
        let available = self.len();
        if len > available {
            let call = "Reserved::commit";
            return Err(BufferError::OutOfRange { call, requested: len, available });
        }
        let Self { buffer, tail, spare } = self;
        let in_tail = len.min(tail);
        if let Some(block) = buffer.chain.back_mut().and_then(Segment::block_mut) {
            block.fill(in_tail);
            buffer.len += in_tail;
        }
        if let Some((mut block, _)) = spare.filter(|_| len > in_tail) {
            block.fill(len - in_tail);
            buffer.append_segment(Segment::Owned(block));
        }
        buffer.changed(len, 0);
        Ok(())
    }
}

impl fmt::Debug for Reserved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").field("len", &self.len()).finish_non_exhaustive()
    }
}
