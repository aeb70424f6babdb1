//! Putting bytes in, at the back and at the front.

use std::fmt;

use bytes::Bytes;

use super::block::Block;
use super::segment::Segment;
use super::{BufferEnd, BufferError, EvBuffer};

/// The biggest block that copied bytes are put into: more of them get several, from the pool.
const COPY_BLOCK: usize = 64 * 1024;

impl EvBuffer {
    /// Copies bytes to the back: all of them, or none and an error.
    #[doc(alias = "evbuffer_add")]
    #[inline]
    pub fn add(&mut self, data: &[u8]) -> Result<(), BufferError> {
        const CALL: &str = "EvBuffer::add";
        self.check_end(BufferEnd::Back, CALL)?;
        self.append_copy(data, CALL)?;
        self.changed(data.len(), 0);
        Ok(())
    }

    /// Adds bytes to the back without copying them; they are let go when they have been taken out
    /// of the buffer. `Bytes::from_owner` makes any memory a `Bytes`, with clean-up on drop.
    ///
    /// ```
    /// use evcore::EvBuffer;
    ///
    /// let mut buffer = EvBuffer::new();
    /// buffer.add_bytes("static bytes need no clean-up")?;
    /// buffer.add_bytes(vec![0; 1 << 20])?;
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    #[doc(alias("evbuffer_add_reference", "evbuffer_add_reference_with_offset"))]
    #[doc(alias = "evbuffer_ref_cleanup_cb")]
    #[inline]
    pub fn add_bytes(&mut self, data: impl Into<Bytes>) -> Result<(), BufferError> {
        const CALL: &str = "EvBuffer::add_bytes";
        let data = data.into();
        let len = data.len();
        self.check_end(BufferEnd::Back, CALL)?;
        self.check_len(len, CALL)?;
        if len == 0 {
            return Ok(());
        }
        self.drop_empty_tail();
        if !self.chain.try_reserve(1) {
            return Err(BufferError::OutOfMemory { call: CALL, requested: len });
        }
        self.chain.push_back(data);
        self.len += len;
        self.changed(len, 0);
        Ok(())
    }

    /// Formats text to the back and returns its length: all of it, or nothing and an error. A
    /// `Display` that fails of itself ends the text where it failed.
    ///
    /// `write!(buffer, ...)` works too, through [`std::fmt::Write`] or [`std::io::Write`].
    ///
    /// ```
    /// use evcore::EvBuffer;
    ///
    /// let mut buffer = EvBuffer::new();
    /// assert_eq!(buffer.add_fmt(format_args!("{} {}", "HELO", 7))?, 6);
    /// assert_eq!(buffer.to_vec(), b"HELO 7");
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    #[doc(alias("evbuffer_add_printf", "evbuffer_add_vprintf"))]
    pub fn add_fmt(&mut self, text: fmt::Arguments<'_>) -> Result<usize, BufferError> {
        const CALL: &str = "EvBuffer::add_fmt";
        struct Formatter<'a> {
            buffer: &'a mut EvBuffer,
            error: Option<BufferError>,
        }
        impl fmt::Write for Formatter<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.buffer.append_copy(text.as_bytes(), CALL).map_err(|error| {
                    self.error = Some(error);
                    fmt::Error
                })
            }
        }

        self.check_end(BufferEnd::Back, CALL)?;
        let before = self.len;
        let mut formatter = Formatter { buffer: self, error: None };
        // The error says nothing; ours is in the formatter.
        let _ = fmt::Write::write_fmt(&mut formatter, text);
        if let Some(error) = formatter.error {
            self.cut(before);
            return Err(error);
        }
        let added = self.len - before;
        self.changed(added, 0);
        Ok(added)
    }

    /// Makes room for `len` bytes in one piece, so that the next `len` bytes added need no
    /// allocation.
    #[doc(alias = "evbuffer_expand")]
    pub fn expand(&mut self, len: usize) -> Result<(), BufferError> {
        const CALL: &str = "EvBuffer::expand";
        self.check_end(BufferEnd::Back, CALL)?;
        self.check_len(len, CALL)?;
        if self.tail_room() >= len {
            return Ok(());
        }
        let block = Block::new(len).filter(|_| self.chain.try_reserve(1));
        let block = block.ok_or(BufferError::OutOfMemory { call: CALL, requested: len })?;
        self.drop_empty_tail();
        self.chain.push_back(block);
        Ok(())
    }

    /// Copies bytes before the front: all of them, or none and an error.
    #[doc(alias = "evbuffer_prepend")]
    pub fn prepend(&mut self, data: &[u8]) -> Result<(), BufferError> {
        const CALL: &str = "EvBuffer::prepend";
        self.check_end(BufferEnd::Front, CALL)?;
        self.check_len(data.len(), CALL)?;
        if data.is_empty() {
            return Ok(());
        }
        let front = self.chain.front_mut().and_then(Segment::block_mut);
        match front.filter(|block| block.head_room() >= data.len()) {
            Some(block) => {
                block.prepend(data);
            }
            None => {
                let block = Block::new(self.block_size(data.len()).max(data.len()))
                    .filter(|_| self.chain.try_reserve(1));
                let error = BufferError::OutOfMemory { call: CALL, requested: data.len() };
                let mut block = block.ok_or(error)?;
                // What is prepended once is often prepended to again.
                block.shift_to_end();
                block.prepend(data);
                self.drop_empty_tail();
                self.chain.push_front(Segment::Owned(block));
            }
        }
        self.len += data.len();
        self.changed(data.len(), 0);
        Ok(())
    }

    /// Copies bytes to the back without asking for frozen ends or telling the callbacks.
    #[inline]
    pub(super) fn append_copy(
        &mut self,
        data: &[u8],
        call: &'static str,
    ) -> Result<(), BufferError> {
        self.check_len(data.len(), call)?;
        if let Some(Segment::Owned(block)) = self.chain.back_mut() {
            if block.room() >= data.len() {
                block.append(data);
                self.len += data.len();
                return Ok(());
            }
        }
        self.append_in_new_blocks(data, call)
    }

    fn append_in_new_blocks(
        &mut self,
        mut data: &[u8],
        call: &'static str,
    ) -> Result<(), BufferError> {
        let (before, requested) = (self.len, data.len());
        if self.chain.count() == 0 && (1..=COPY_BLOCK).contains(&requested) {
            let mut block =
                Block::new(requested).ok_or(BufferError::OutOfMemory { call, requested })?;
            block.append(data);
            self.chain.push_back(block);
            self.len = requested;
            return Ok(());
        }
        while !data.is_empty() {
            if let Some(block) = self.chain.back_mut().and_then(Segment::block_mut) {
                let copied = block.append(data);
                self.len += copied;
                data = &data[copied..];
                if data.is_empty() {
                    break;
                }
            }
            if !self.push_block(self.block_size(data.len())) {
                self.cut(before);
                return Err(BufferError::OutOfMemory { call, requested });
            }
        }
        Ok(())
    }

    /// Adds an empty block behind the segments; `false` without memory.
    #[inline]
    fn push_block(&mut self, size: usize) -> bool {
        if !self.chain.try_reserve(1) {
            return false;
        }
        let Some(block) = Block::new(size) else { return false };
        self.chain.push_back(block);
        true
    }

    /// How big a new block for `len` bytes should be. Blocks grow with the buffer: small messages
    /// stay small, streams get few segments.
    #[inline]
    fn block_size(&self, len: usize) -> usize {
        len.max(self.len.saturating_mul(2)).min(COPY_BLOCK)
    }

    /// Takes a segment over, or its bytes if they are few. The caller has made sure of room in the
    /// chain, of the length and of callbacks.
    #[inline]
    pub(super) fn append_segment(&mut self, segment: Segment) {
        self.len += segment.len();
        if segment.is_small() {
            return self.append_small(segment);
        }
        self.drop_empty_tail();
        self.chain.push_back(segment);
    }

    /// Copies the bytes of a small segment into the room that there is, or into a smaller block.
    fn append_small(&mut self, mut segment: Segment) {
        if let Some(Segment::Owned(tail)) = self.chain.back_mut() {
            if segment.len() <= tail.room() {
                tail.append(segment.data());
                return;
            }
        }
        if segment.len() != 0 {
            self.drop_empty_tail();
            segment.shrink();
            self.chain.push_back(segment);
        }
    }

    /// As [`append_segment`](Self::append_segment), at the front.
    pub(super) fn prepend_segment(&mut self, mut segment: Segment) {
        self.len += segment.len();
        if let Some(Segment::Owned(front)) = self.chain.front_mut() {
            if segment.is_small() && segment.len() <= front.head_room() {
                front.prepend(segment.data());
                return;
            }
            self.drop_empty_tail();
        }
        segment.shrink();
        self.chain.push_front(segment);
    }

    /// How many bytes fit behind the last one without allocating.
    #[inline]
    pub(super) fn tail_room(&self) -> usize {
        self.chain.back().map_or(0, Segment::room)
    }

    /// Drops the last segment if it only holds room, before another follows it.
    #[inline]
    pub(super) fn drop_empty_tail(&mut self) {
        if self.chain.back().is_some_and(|segment| segment.len() == 0) {
            self.chain.pop_back();
        }
    }
}
