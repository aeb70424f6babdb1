//! Moving bytes from buffer to buffer.

use std::mem;

use super::segment::Segment;
use super::{BufferEnd, BufferError, EvBuffer};

impl EvBuffer {
    /// Moves all bytes of `src` to the back. Segments move, not bytes, except that few bytes are
    /// copied into room that is there, and out of blocks that they would waste.
    #[doc(alias = "evbuffer_add_buffer")]
    pub fn add_buffer(&mut self, src: &mut EvBuffer) -> Result<(), BufferError> {
        const CALL: &str = "EvBuffer::add_buffer";
        self.check_end(BufferEnd::Back, CALL)?;
        src.check_end(BufferEnd::Front, CALL)?;
        let moved = src.len;
        if moved == 0 {
            return Ok(());
        }
        self.check_len(moved, CALL)?;
        self.may_hold_files |= src.may_hold_files;
        if self.chain.count() == 0 {
            // The front may be what is left of a big block.
            if let Some(front) = src.chain.front_mut() {
                front.shrink();
            }
            mem::swap(&mut self.chain, &mut src.chain);
            self.len = mem::take(&mut src.len);
        } else {
            self.prepare_to_take(src.chain.count(), moved, CALL)?;
            src.len = 0;
            src.chain.take_all(|segment| self.append_segment(segment));
        }
        src.changed(0, moved);
        self.changed(moved, 0);
        Ok(())
    }

    /// Moves all bytes of `src` before the front, as [`add_buffer`](Self::add_buffer) does to the
    /// back.
    #[doc(alias = "evbuffer_prepend_buffer")]
    pub fn prepend_buffer(&mut self, src: &mut EvBuffer) -> Result<(), BufferError> {
        const CALL: &str = "EvBuffer::prepend_buffer";
        self.check_end(BufferEnd::Front, CALL)?;
        src.check_end(BufferEnd::Front, CALL)?;
        let moved = src.len;
        if moved == 0 {
            return Ok(());
        }
        self.prepare_to_take(src.chain.count(), moved, CALL)?;
        self.may_hold_files |= src.may_hold_files;
        src.drop_empty_tail();
        src.len = 0;
        while let Some(segment) = src.chain.pop_back() {
            self.prepend_segment(segment);
        }
        src.chain.clear();
        src.changed(0, moved);
        self.changed(moved, 0);
        Ok(())
    }

    /// Moves up to `len` bytes from the front to the back of `dst` and returns how many those
    /// were. Whole segments move as with [`add_buffer`](Self::add_buffer); the last one is split.
    #[doc(alias = "evbuffer_remove_buffer")]
    pub fn remove_buffer(&mut self, dst: &mut EvBuffer, len: usize) -> Result<usize, BufferError> {
        const CALL: &str = "EvBuffer::remove_buffer";
        if len >= self.len {
            let moved = self.len;
            return dst.add_buffer(self).map(|()| moved);
        }
        self.check_end(BufferEnd::Front, CALL)?;
        dst.check_end(BufferEnd::Back, CALL)?;
        let Some((whole, base)) = self.chain.locate(len, self.len) else { return Ok(0) };
        if len == 0 {
            return Ok(0);
        }
        dst.prepare_to_take(whole + usize::from(len > base), len, CALL)?;
        dst.may_hold_files |= self.may_hold_files;
        // The split comes first: it is the last thing that can fail.
        let mut part = None;
        if len > base {
            part = self.chain.at_mut(whole).and_then(|segment| segment.split_front(len - base));
            if part.is_none() {
                return Err(BufferError::OutOfMemory { call: CALL, requested: len - base });
            }
        }
        for _ in 0..whole {
            self.chain.pop_front().into_iter().for_each(|segment| dst.append_segment(segment));
        }
        part.into_iter().for_each(|segment| dst.append_segment(segment));
        self.len -= len;
        self.changed(0, len);
        dst.changed(len, 0);
        Ok(len)
    }

    /// Adds all bytes of `src` to the back and leaves them in `src`, without copying them: both
    /// buffers hold the same memory from then on, which is let go when both have done with it.
    ///
    /// ```
    /// use evcore::EvBuffer;
    ///
    /// let mut page = EvBuffer::new();
    /// page.add(b"<html>")?;
    /// let (mut one, mut two) = (EvBuffer::new(), EvBuffer::new());
    /// one.add_buffer_reference(&mut page)?;
    /// two.add_buffer_reference(&mut page)?;
    /// drop(page);
    /// assert_eq!((one.to_vec(), two.to_vec()), (b"<html>".to_vec(), b"<html>".to_vec()));
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    #[doc(alias = "evbuffer_add_buffer_reference")]
    pub fn add_buffer_reference(&mut self, src: &mut EvBuffer) -> Result<(), BufferError> {
        const CALL: &str = "EvBuffer::add_buffer_reference";
        self.check_end(BufferEnd::Back, CALL)?;
        let added = src.len;
        if added == 0 {
            return Ok(());
        }
        src.drop_empty_tail();
        let count = src.chain.count();
        self.prepare_to_take(count, added, CALL)?;
        let error = BufferError::OutOfMemory { call: CALL, requested: added };
        for index in 0..count {
            src.chain.at_mut(index).and_then(Segment::make_shareable).ok_or(error)?;
        }
        for segment in src.chain.iter_from(0).filter_map(Segment::share) {
            self.append_segment(segment);
        }
        self.may_hold_files |= src.may_hold_files;
        self.changed(added, 0);
        Ok(())
    }

    /// Makes sure that `segments` with `len` bytes can be added and nothing fails half-way.
    #[inline]
    fn prepare_to_take(
        &mut self,
        segments: usize,
        len: usize,
        call: &'static str,
    ) -> Result<(), BufferError> {
        self.check_len(len, call)?;
        if !self.chain.try_reserve(segments) {
            return Err(BufferError::OutOfMemory { call, requested: len });
        }
        Ok(())
    }
}
