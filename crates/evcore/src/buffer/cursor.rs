//! Positions in a buffer and the walk over its segments.

use std::io::IoSlice;

use super::chain;
use super::file_part::FilePart;
use super::segment::Segment;
use super::{BufferError, EvBuffer};

/// A position in a buffer: the offset of a byte from the front, or of the end (`struct
/// evbuffer_ptr`).
///
/// It is a number and no more: it stays valid to use when the buffer changes, but then it denotes
/// whatever lies at that offset now. A position beyond the end finds nothing. The default is the
/// front.
#[doc(alias = "evbuffer_ptr")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub(super) usize);

impl Position {
    /// How many bytes lie before it.
    #[inline]
    pub fn offset(self) -> usize {
        self.0
    }
}

/// The pieces that a buffer's bytes lie in, from [`EvBuffer::segments`]. None is empty. Bytes of files
/// are read when it is their turn; where that fails the walk ends.
#[derive(Clone)]
pub struct Segments<'a> {
    chain: chain::Iter<'a>,
    /// How much of the next segment lies before the start.
    skip: usize,
    file: InFile<'a>,
}

/// Where in a file the walk is.
#[derive(Clone, Copy)]
enum InFile<'a> {
    No,
    /// At this byte of the range.
    At(&'a FilePart, usize),
    /// It could not be read: the walk is over.
    Unreadable,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if !matches!(self.file, InFile::No) {
            return self.next_of_file();
        }
        let segment = self.chain.next()?;
        let skip = std::mem::take(&mut self.skip);
        if let Segment::File(part) = segment {
            self.file = InFile::At(part, skip);
            return self.next_of_file();
        }
        let data = segment.data().get(skip..)?;
        // Only the last segment may be empty, so there is no need to look for another.
        (!data.is_empty()).then_some(data)
    }
}

impl<'a> Segments<'a> {
    fn new(chain: chain::Iter<'a>, skip: usize) -> Self {
        Self { chain, skip, file: InFile::No }
    }

    #[cold]
    fn next_of_file(&mut self) -> Option<&'a [u8]> {
        let InFile::At(part, position) = self.file else { return None };
        let Ok(data) = part.bytes_at(position) else {
            self.file = InFile::Unreadable;
            return None;
        };
        let position = position + data.len();
        self.file = if position < part.len() { InFile::At(part, position) } else { InFile::No };
        Some(data)
    }
}

impl<'a> IntoIterator for &'a EvBuffer {
    type Item = &'a [u8];
    type IntoIter = Segments<'a>;

    fn into_iter(self) -> Segments<'a> {
        self.segments()
    }
}

impl EvBuffer {
    /// The position `offset` bytes from the front, which may be that of the end.
    ///
    /// ```
    /// use evcore::EvBuffer;
    ///
    /// let mut buffer = EvBuffer::new();
    /// buffer.add(b"abcabc")?;
    /// let start = buffer.ptr_set(1)?;
    /// assert_eq!(buffer.search(b"a", Some(start)), Some(buffer.ptr_add(start, 2)?));
    /// assert!(buffer.ptr_set(7).is_err());
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    #[doc(alias("evbuffer_ptr_set", "EVBUFFER_PTR_SET"))]
    pub fn ptr_set(&self, offset: usize) -> Result<Position, BufferError> {
        self.position("EvBuffer::ptr_set", Position(0), offset)
    }

    /// The position `amount` bytes behind another.
    #[doc(alias = "EVBUFFER_PTR_ADD")]
    pub fn ptr_add(&self, position: Position, amount: usize) -> Result<Position, BufferError> {
        self.position("EvBuffer::ptr_add", position, amount)
    }

    fn position(
        &self,
        call: &'static str,
        from: Position,
        amount: usize,
    ) -> Result<Position, BufferError> {
        match from.0.checked_add(amount) {
            Some(offset) if offset <= self.len => Ok(Position(offset)),
            _ => {
                let available = self.len.saturating_sub(from.0);
                Err(BufferError::OutOfRange { call, requested: amount, available })
            }
        }
    }

    /// The pieces that the bytes lie in, in order.
    ///
    /// ```
    /// use evcore::EvBuffer;
    ///
    /// let mut buffer = EvBuffer::new();
    /// buffer.add_bytes("one")?;
    /// buffer.add_bytes("two")?;
    /// assert!(buffer.segments().eq([&b"one"[..], b"two"]));
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    #[inline]
    pub fn segments(&self) -> Segments<'_> {
        Segments::new(self.chain.iter_from(0), 0)
    }

    /// The pieces that the bytes from a position on lie in. None from a position beyond the end.
    #[inline]
    pub fn segments_from(&self, start: Position) -> Segments<'_> {
        if start.0 == 0 {
            return self.segments();
        }
        match self.chain.locate(start.0, self.len) {
            Some((index, base)) => Segments::new(self.chain.iter_from(index), start.0 - base),
            None => Segments::new(self.chain.iter_from(usize::MAX), 0),
        }
    }

    /// Appends to `slices` the pieces in which the `len` bytes from `start` on lie: all bytes with
    /// `len` `None`, from the front with `start` `None`. Returns how many pieces those are. They
    /// hold fewer bytes if the buffer does.
    #[doc(alias("evbuffer_peek", "evbuffer_iovec"))]
    pub fn peek<'a>(
        &'a self,
        len: Option<usize>,
        start: Option<Position>,
        slices: &mut Vec<IoSlice<'a>>,
    ) -> usize {
        let before = slices.len();
        let mut missing = len.unwrap_or(self.len);
        for chunk in self.segments_from(start.unwrap_or_default()) {
            if missing == 0 {
                break;
            }
            let part = &chunk[..chunk.len().min(missing)];
            missing -= part.len();
            slices.push(IoSlice::new(part));
        }
        slices.len() - before
    }

    /// The bytes of the first segment.
    #[inline]
    pub(super) fn first_chunk(&self) -> &[u8] {
        self.chain.front().map_or(&[], Segment::data)
    }
}
