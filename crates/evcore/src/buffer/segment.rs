//! One stretch of a buffer's bytes: a block of its own, a reference to somebody's `Bytes` or a range
//! of a file.

use std::{iter, mem};

use bytes::{Buf, Bytes};

use super::block::Block;
use super::file_part::FilePart;

/// Up to this many bytes are copied into the room of the last segment rather than kept apart: a
/// copy of this size costs less than one more extent in a `writev`.
const COALESCE: usize = 256;

/// A block with less than this part of it filled is too big to travel: its bytes are copied.
const WASTEFUL: usize = 8;

/// A block is split by copying the smaller part if that has up to this many bytes, else by sharing.
const COPY_TO_SPLIT: usize = 64 * 1024;

/// A stretch of bytes.
pub(super) enum Segment {
    /// Bytes in a block of our own, with room before and behind them.
    Owned(Block),
    /// Bytes in a block of our own that others hold as well, read-only.
    Lent(Bytes),
    /// Bytes that belong to somebody else as well, read-only (`evbuffer_add_reference`).
    Shared(Bytes),
    /// Bytes of a file, of which only some are in memory.
    File(Box<FilePart>),
}

impl From<Block> for Segment {
    #[inline]
    fn from(block: Block) -> Self {
        Self::Owned(block)
    }
}

impl From<Bytes> for Segment {
    #[inline]
    fn from(bytes: Bytes) -> Self {
        Self::Shared(bytes)
    }
}

impl Segment {
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Owned(block) => block.len(),
            Self::Lent(bytes) | Self::Shared(bytes) => bytes.len(),
            Self::File(part) => part.len(),
        }
    }

    /// The bytes: of a file the first of them, and none if they can't be read.
    #[inline]
    pub(super) fn data(&self) -> &[u8] {
        match self {
            Self::Owned(block) => block.data(),
            Self::Lent(bytes) | Self::Shared(bytes) => bytes,
            Self::File(part) => part.bytes_at(0).unwrap_or_default(),
        }
    }

    /// How many bytes from the first on lie in one piece of memory.
    #[inline]
    pub(super) fn contiguous(&self) -> usize {
        match self {
            Self::File(part) => part.loaded().len(),
            _ => self.len(),
        }
    }

    /// How many of the bytes are in memory.
    pub(super) fn in_memory(&self) -> usize {
        match self {
            Self::File(part) => part.in_memory(),
            _ => self.len(),
        }
    }

    #[inline]
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// The block, if the segment is one of our own.
    #[inline]
    pub(super) fn block_mut(&mut self) -> Option<&mut Block> {
        match self {
            Self::Owned(block) => Some(block),
            Self::Lent(_) | Self::Shared(_) | Self::File(_) => None,
        }
    }

    /// How many bytes fit behind the data.
    #[inline]
    pub(super) fn room(&self) -> usize {
        match self {
            Self::Owned(block) => block.room(),
            Self::Lent(_) | Self::Shared(_) | Self::File(_) => 0,
        }
    }

    /// Forgets the first `len` bytes.
    #[inline]
    pub(super) fn advance(&mut self, len: usize) {
        match self {
            Self::Owned(block) => block.advance(len),
            Self::Lent(bytes) | Self::Shared(bytes) => bytes.advance(len.min(bytes.len())),
            Self::File(part) => part.advance(len),
        }
    }

    /// Forgets all but the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        match self {
            Self::Owned(block) => block.truncate(len),
            Self::Lent(bytes) | Self::Shared(bytes) => bytes.truncate(len),
            Self::File(part) => part.truncate(len),
        }
    }

    /// Whether copying the data into room that is there beats moving the segment.
    #[inline]
    pub(super) fn is_small(&self) -> bool {
        !self.is_file() && (self.len() <= COALESCE || self.is_wasteful())
    }

    /// Moves the data to a smaller block if they would pin one that is nearly empty. Without memory
    /// for it they stay where they are.
    #[inline]
    pub(super) fn shrink(&mut self) {
        if self.is_wasteful() {
            if let Some(block) = Block::concat(self.len(), iter::once(self.data())) {
                *self = Self::Owned(block);
            }
        }
    }

    /// Splits off the first `len` bytes and keeps the others. `None`, and no change, without memory.
    pub(super) fn split_front(&mut self, len: usize) -> Option<Self> {
        if let Self::Owned(block) = self {
            let (front, rest) = block.data().split_at_checked(len)?;
            if front.len().min(rest.len()) <= COPY_TO_SPLIT {
                let mut part;
                if front.len() <= rest.len() {
                    part = Block::concat(len, iter::once(front))?;
                    block.advance(len);
                } else {
                    let rest = Block::concat(rest.len(), iter::once(rest))?;
                    part = mem::replace(block, rest);
                    part.truncate(len);
                }
                return Some(Self::Owned(part));
            }
        }
        if let Self::File(part) = self {
            return (len <= part.len()).then(|| Self::File(Box::new(part.split_front(len))));
        }
        match self.make_shareable()? {
            Self::Lent(bytes) if len <= bytes.len() => Some(Self::Lent(bytes.split_to(len))),
            Self::Shared(bytes) if len <= bytes.len() => Some(Self::Shared(bytes.split_to(len))),
            _ => None,
        }
    }

    /// Makes the segment one that can be held twice. `None`, and no change, without memory.
    pub(super) fn make_shareable(&mut self) -> Option<&mut Self> {
        if let Self::Owned(block) = self {
            let block = mem::replace(block, Block::new(0)?);
            *self = Self::Lent(Bytes::from_owner(block));
        }
        Some(self)
    }

    /// The segment once more, without copying its bytes. `None` if it was not made shareable.
    pub(super) fn share(&self) -> Option<Self> {
        match self {
            Self::Lent(bytes) => Some(Self::Lent(bytes.clone())),
            Self::Shared(bytes) => Some(Self::Shared(bytes.clone())),
            Self::File(part) => Some(Self::File(Box::new(part.again()))),
            Self::Owned(_) => None,
        }
    }

    #[inline]
    fn is_wasteful(&self) -> bool {
        match self {
            Self::Owned(block) => {
                let capacity = block.capacity();
                capacity > Block::SMALLEST && block.len() <= capacity / WASTEFUL
            }
            Self::Lent(_) | Self::Shared(_) | Self::File(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(capacity: usize, data: &[u8]) -> Segment {
        let mut block = Block::new(capacity).unwrap();
        assert_eq!(block.append(data), data.len());
        block.into()
    }

    fn capacity(segment: &Segment) -> usize {
        match segment {
            Segment::Owned(block) => block.capacity(),
            _ => panic!("the segment is no block"),
        }
    }

    #[test]
    fn few_bytes_do_not_keep_a_big_block() {
        for (from, len, to) in [
            (65_536, 64, 1024),
            (65_536, 1025, 4096),
            (65_536, 8192, 16_384),
            (65_536, 8193, 65_536),
            (4096, 512, 1024),
            (1024, 1, 1024),
            (1 << 20, 100, 1024),
        ] {
            let mut segment = owned(from, &vec![7; len]);
            segment.shrink();
            assert_eq!((segment.len(), capacity(&segment)), (len, to), "{len} of {from}");
            assert!(segment.data() == vec![7; len]);
        }
    }

    #[test]
    fn few_bytes_are_worth_copying() {
        assert!(owned(1024, &[0; 256]).is_small());
        assert!(!owned(1024, &[0; 257]).is_small());
        assert!(owned(65_536, &[0; 8000]).is_small());
        assert!(Segment::Shared(Bytes::from_static(b"few")).is_small());
    }

    #[test]
    fn a_split_keeps_all_bytes_in_order() {
        let bytes: Vec<u8> = (0..300_000).map(|number| number as u8).collect();
        for len in [1, 100, 149_999, 150_000, 200_000, 299_999] {
            for mut rest in [owned(bytes.len(), &bytes), Segment::Shared(bytes.clone().into())] {
                let front = rest.split_front(len).unwrap();
                assert!(front.data() == &bytes[..len] && rest.data() == &bytes[len..]);
            }
        }
        assert!(owned(10, b"0123456789").split_front(11).is_none());
        assert!(Segment::Shared(Bytes::from_static(b"x")).split_front(2).is_none());
    }

    #[test]
    fn a_shared_block_lives_until_the_last_has_let_it_go() {
        let mut segment = owned(10, b"0123456789");
        assert!(segment.share().is_none());
        segment.make_shareable().unwrap();
        let (bytes, again) = (segment.share().unwrap(), segment.share().unwrap());
        segment.truncate(3);
        segment.advance(usize::MAX);
        drop(segment);
        assert_eq!((bytes.data(), again.data()), (&b"0123456789"[..], &b"0123456789"[..]));
    }
}
