//! Taking bytes out and looking at them.

use super::block::Block;
use super::segment::Segment;
use super::{BufferEnd, BufferError, EvBuffer, Position};

impl EvBuffer {
    /// Drops up to `len` bytes from the front and returns how many those were.
    #[doc(alias = "evbuffer_drain")]
    #[inline]
    pub fn drain(&mut self, len: usize) -> Result<usize, BufferError> {
        self.check_end(BufferEnd::Front, "EvBuffer::drain")?;
        let drained = self.discard(len);
        self.changed(0, drained);
        Ok(drained)
    }

    /// Moves bytes from the front into `dst`, as many as there are and fit, and returns how many
    /// those were.
    #[doc(alias = "evbuffer_remove")]
    #[inline]
    pub fn remove(&mut self, dst: &mut [u8]) -> Result<usize, BufferError> {
        self.check_end(BufferEnd::Front, "EvBuffer::remove")?;
        let copied = self.copyout(dst);
        if copied < dst.len().min(self.len) {
            return Err(self.unreadable(dst.len(), "EvBuffer::remove"));
        }
        self.discard(copied);
        self.changed(0, copied);
        Ok(copied)
    }

    /// Copies bytes from the front into `dst` and leaves them in the buffer. Returns how many.
    #[doc(alias = "evbuffer_copyout")]
    #[inline]
    pub fn copyout(&self, dst: &mut [u8]) -> usize {
        let first = self.first_chunk();
        if first.len() >= dst.len() {
            dst.copy_from_slice(&first[..dst.len()]);
            return dst.len();
        }
        self.copyout_from(Position::default(), dst)
    }

    /// Copies bytes from a position on into `dst` and leaves them in the buffer. Returns how many;
    /// none from a position beyond the end.
    #[doc(alias = "evbuffer_copyout_from")]
    pub fn copyout_from(&self, start: Position, dst: &mut [u8]) -> usize {
        let mut copied = 0;
        for chunk in self.segments_from(start) {
            let len = chunk.len().min(dst.len() - copied);
            dst[copied..copied + len].copy_from_slice(&chunk[..len]);
            copied += len;
            if copied == dst.len() {
                break;
            }
        }
        copied
    }

    /// All bytes, copied into a vector; those of a file as far as it can be read.
    pub fn to_vec(&self) -> Vec<u8> {
        let in_memory = if self.may_hold_files { 0 } else { self.len };
        let mut bytes = Vec::with_capacity(in_memory);
        self.segments().for_each(|chunk| bytes.extend_from_slice(chunk));
        bytes
    }

    /// Lays the first `len` bytes out in one piece, all bytes with `None`, and lends them. Copies
    /// only what does not lie so already.
    ///
    /// ```
    /// use evcore::EvBuffer;
    ///
    /// let mut buffer = EvBuffer::new();
    /// buffer.add_bytes("he")?;
    /// buffer.add_bytes("llo")?;
    /// assert_eq!(buffer.pullup(Some(4))?, b"hell");
    /// assert!(buffer.pullup(Some(6)).is_err());
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    #[doc(alias = "evbuffer_pullup")]
    pub fn pullup(&mut self, len: Option<usize>) -> Result<&[u8], BufferError> {
        const CALL: &str = "EvBuffer::pullup";
        let len = len.unwrap_or(self.len);
        if len > self.len {
            let available = self.len;
            return Err(BufferError::OutOfRange { call: CALL, requested: len, available });
        }
        if len > self.contiguous_space() {
            self.load_files(len, CALL)?;
        }
        if len > self.contiguous_space() {
            self.make_contiguous(len)
                .ok_or(BufferError::OutOfMemory { call: CALL, requested: len })?;
        }
        Ok(&self.first_chunk()[..len])
    }

    /// Puts the first `len` bytes, which are in several segments, into one. `None` without memory.
    fn make_contiguous(&mut self, len: usize) -> Option<()> {
        if let Some((Segment::Owned(front), rest)) = self.chain.split_first_mut() {
            if front.capacity() >= len {
                if front.room() < len - front.len() {
                    front.shift_to_start();
                }
                while let Some(next) = rest.front_mut().filter(|_| front.len() < len) {
                    let part = len - front.len();
                    if part < next.len() {
                        front.append(&next.data()[..part]);
                        next.advance(part);
                    } else {
                        front.append(next.data());
                        rest.pop_front();
                    }
                }
                return Some(());
            }
        }
        let mut missing = len;
        let parts = self.segments().map_while(|chunk| {
            let part = &chunk[..chunk.len().min(missing)];
            missing -= part.len();
            (!part.is_empty()).then_some(part)
        });
        let block = Block::concat(len, parts)?;
        if !self.chain.try_reserve(1) {
            return None;
        }
        let total = self.len;
        self.discard(len);
        self.chain.push_front(Segment::Owned(block));
        self.len = total;
        Some(())
    }

    /// Puts a copy of the first `len` bytes, which are in one segment, in their place. `None`, and no
    /// change, without memory.
    pub(super) fn copy_front(&mut self, len: usize) -> Option<()> {
        let block = Block::concat(len, std::iter::once(self.first_chunk().get(..len)?))?;
        if !self.chain.try_reserve(1) {
            return None;
        }
        let total = self.len;
        self.discard(len);
        self.chain.push_front(Segment::Owned(block));
        self.len = total;
        Some(())
    }

    /// Drops up to `len` bytes from the front and says how many, without asking for frozen ends or
    /// telling the callbacks. An emptied buffer gives all of its memory back.
    #[inline]
    pub(super) fn discard(&mut self, len: usize) -> usize {
        match self.chain.front_mut() {
            Some(front) if len < front.len() => {
                front.advance(len);
                self.len -= len;
                len
            }
            _ => self.discard_segments(len),
        }
    }

    fn discard_segments(&mut self, len: usize) -> usize {
        if len == 0 {
            return 0;
        }
        if len >= self.len {
            self.chain.clear();
            self.may_hold_files = false;
            return std::mem::take(&mut self.len);
        }
        self.len -= len;
        let mut rest = len;
        while let Some(front) = self.chain.front_mut() {
            if rest < front.len() {
                front.advance(rest);
                break;
            }
            rest -= front.len();
            self.chain.pop_front();
        }
        len
    }

    /// Drops bytes from the back until `len` are left.
    pub(super) fn cut(&mut self, len: usize) {
        if len == 0 {
            self.discard(self.len);
        }
        while self.len > len {
            let Some(back) = self.chain.back_mut() else { return };
            let excess = self.len - len;
            if excess < back.len() {
                back.truncate(back.len() - excess);
                self.len = len;
            } else {
                self.len -= back.len();
                self.chain.pop_back();
            }
        }
    }
}
