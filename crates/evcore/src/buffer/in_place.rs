//! Lending bytes at the front to be changed in place.

use super::segment::Segment;
use super::{BufferEnd, BufferError, EvBuffer};

impl EvBuffer {
    /// As [`pullup`](Self::pullup), to be changed in place. Bytes that belong to somebody else as
    /// well ([`add_bytes`](Self::add_bytes)) are copied first.
    ///
    /// ```
    /// use evcore::EvBuffer;
    ///
    /// let mut buffer = EvBuffer::new();
    /// buffer.add_bytes("shout")?;
    /// buffer.pullup_mut(Some(2))?.make_ascii_uppercase();
    /// assert_eq!(buffer.to_vec(), b"SHout");
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    #[doc(alias = "evbuffer_pullup")]
    pub fn pullup_mut(&mut self, len: Option<usize>) -> Result<&mut [u8], BufferError> {
        const CALL: &str = "EvBuffer::pullup_mut";
        self.check_end(BufferEnd::Front, CALL)?;
        let len = len.unwrap_or(self.len);
        self.pullup(Some(len))?;
        if len == 0 {
            return Ok(&mut []);
        }
        if matches!(self.chain.front(), Some(Segment::Shared(_))) {
            self.copy_front(len).ok_or(BufferError::OutOfMemory { call: CALL, requested: len })?;
        }
        let front = self.chain.front_mut().and_then(Segment::block_mut);
        let data = front.and_then(|block| block.data_mut().get_mut(..len));
        data.ok_or(BufferError::OutOfMemory { call: CALL, requested: len })
    }
}
