//! Finding a string of bytes, across the borders of segments.

use memchr::{memchr, memchr_iter, memmem};

use super::{EvBuffer, Position, Segments};

impl EvBuffer {
    /// Finds the first occurrence of `needle` from `start` (`None`: the front) on. An empty needle
    /// is found at the start.
    #[doc(alias = "evbuffer_search")]
    pub fn search(&self, needle: &[u8], start: Option<Position>) -> Option<Position> {
        self.search_range(needle, start, None)
    }

    /// As [`search`](Self::search), for occurrences that end at `end` or before it (`None`: the
    /// end of the buffer).
    ///
    /// ```
    /// use evcore::EvBuffer;
    ///
    /// let mut buffer = EvBuffer::new();
    /// buffer.add_bytes("Host: exa")?;
    /// buffer.add_bytes("mple")?;
    /// let end = buffer.ptr_set(10)?;
    /// assert_eq!(buffer.search(b"example", None).map(|found| found.offset()), Some(6));
    /// assert_eq!(buffer.search_range(b"example", None, Some(end)), None);
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    #[doc(alias = "evbuffer_search_range")]
    pub fn search_range(
        &self,
        needle: &[u8],
        start: Option<Position>,
        end: Option<Position>,
    ) -> Option<Position> {
        let start = start.unwrap_or_default();
        let end = end.map_or(self.len, |end| end.0.min(self.len));
        if needle.len() > end.checked_sub(start.0)? {
            return None;
        }
        let found = match needle {
            [] => Some(start.0),
            [byte] => self.find_byte(*byte, start, end),
            _ => self.find(needle, start, end),
        };
        found.map(Position)
    }

    pub(super) fn find_byte(&self, byte: u8, start: Position, end: usize) -> Option<usize> {
        let mut base = start.0;
        for chunk in self.segments_from(start) {
            let chunk = &chunk[..chunk.len().min(end - base)];
            if let Some(index) = memchr(byte, chunk) {
                return Some(base + index);
            }
            base += chunk.len();
        }
        None
    }

    /// Finds a needle of two bytes or more that lies within `start..end`.
    fn find(&self, needle: &[u8], start: Position, end: usize) -> Option<usize> {
        let finder = memmem::Finder::new(needle);
        let mut base = start.0;
        let mut chunks = self.segments_from(start);
        while let Some(chunk) = chunks.next() {
            let chunk = &chunk[..chunk.len().min(end - base)];
            if let Some(index) = finder.find(chunk) {
                return Some(base + index);
            }
            // An occurrence that begins in the last bytes goes on in the next segments.
            let border = chunk.len().saturating_sub(needle.len() - 1);
            for index in memchr_iter(needle[0], &chunk[border..]).map(|index| border + index) {
                if needle.len() > end - (base + index) {
                    return None;
                }
                if goes_on(&chunk[index..], chunks.clone(), needle) {
                    return Some(base + index);
                }
            }
            base += chunk.len();
        }
        None
    }
}

/// Whether `first` and the bytes of `rest` behind it begin with `needle`, which is longer than
/// `first`.
fn goes_on(first: &[u8], mut rest: Segments<'_>, needle: &[u8]) -> bool {
    let Some(mut missing) = needle.strip_prefix(first) else { return false };
    while !missing.is_empty() {
        let Some(chunk) = rest.next() else { return false };
        let len = chunk.len().min(missing.len());
        if chunk[..len] != missing[..len] {
            return false;
        }
        missing = &missing[len..];
    }
    true
}
