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
        if !matches!(self.chain.front(), Some(Segment::Owned(_))) {
            self.copy_front(len).ok_or(BufferError::OutOfMemory { call: CALL, requested: len })?;
        }
        let front = self.chain.front_mut().and_then(Segment::block_mut);
        let data = front.and_then(|block| block.data_mut().get_mut(..len));
        data.ok_or(BufferError::OutOfMemory { call: CALL, requested: len })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn bytes_that_others_hold_are_copied_before_they_are_changed() {
        let theirs = Bytes::from(vec![1; 100_000]);
        let mut buffer = EvBuffer::new();
        buffer.add_bytes(theirs.clone()).unwrap();
        buffer.add(b"end").unwrap();
        for len in [10, 70_000, 100_003] {
            buffer.pullup_mut(Some(len)).unwrap().fill(2);
            assert_eq!(buffer.len(), 100_003);
            let bytes = buffer.to_vec();
            assert!(bytes[..len].iter().all(|&byte| byte == 2));
            assert!(bytes[len..].iter().all(|&byte| byte != 2));
        }
        assert!(theirs.iter().all(|&byte| byte == 1));
    }

    #[test]
    fn what_is_not_there_or_frozen_is_not_lent() {
        let mut buffer = EvBuffer::new();
        assert_eq!(buffer.pullup_mut(None), Ok(&mut [][..]));
        buffer.add(b"abc").unwrap();
        assert!(buffer.pullup_mut(Some(4)).is_err());
        assert_eq!(buffer.pullup_mut(None), Ok(&mut [b'a', b'b', b'c'][..]));
        buffer.freeze(BufferEnd::Front);
        assert!(buffer.pullup_mut(Some(1)).is_err());
    }
}
