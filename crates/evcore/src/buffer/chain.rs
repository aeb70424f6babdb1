//! The segments of a buffer, in order. One is held inline; the queue that holds the others is
//! allocated when there is a second and dropped when the chain becomes empty.

use std::collections::{vec_deque, VecDeque};
use std::{iter, mem, option};

use super::segment::Segment;

/// Segments in order.
pub(super) type Iter<'a> = iter::Chain<option::Iter<'a, Segment>, vec_deque::Iter<'a, Segment>>;

/// A double-ended queue of segments.
///
/// Invariant: `rest` is empty when `first` is `None`.
pub(super) struct Chain {
    first: Option<Segment>,
    rest: VecDeque<Segment>,
}

impl Chain {
    pub(super) const fn new() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }

    /// The number of segments.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.rest.len() + usize::from(self.first.is_some())
    }

    #[inline]
    pub(super) fn front(&self) -> Option<&Segment> {
        self.first.as_ref()
    }

    #[inline]
    pub(super) fn front_mut(&mut self) -> Option<&mut Segment> {
        self.first.as_mut()
    }

    /// The first segment and those behind it.
    #[inline]
    pub(super) fn split_first_mut(&mut self) -> Option<(&mut Segment, &mut VecDeque<Segment>)> {
        Some((self.first.as_mut()?, &mut self.rest))
    }

    #[inline]
    pub(super) fn back(&self) -> Option<&Segment> {
        self.rest.back().or(self.first.as_ref())
    }

    #[inline]
    pub(super) fn back_mut(&mut self) -> Option<&mut Segment> {
        self.rest.back_mut().or(self.first.as_mut())
    }

    #[inline]
    pub(super) fn at_mut(&mut self, index: usize) -> Option<&mut Segment> {
        match index.checked_sub(1) {
            None => self.first.as_mut(),
            Some(index) => self.rest.get_mut(index),
        }
    }

    /// Puts a segment into the place of the `index`th.
    pub(super) fn replace(&mut self, index: usize, segment: Segment) {
        if let Some(place) = self.at_mut(index) {
            *place = segment;
        }
    }

    /// Puts a segment before the `index`th.
    pub(super) fn insert(&mut self, index: usize, segment: Segment) {
        match index.checked_sub(1) {
            None => self.push_front(segment),
            Some(index) => self.rest.insert(index.min(self.rest.len()), segment),
        }
    }

    /// Makes sure that the next `more` segments can be added without allocating; `false` if there
    /// is no memory for that.
    #[inline]
    pub(super) fn try_reserve(&mut self, more: usize) -> bool {
        self.first.is_none() && more <= 1 || self.rest.try_reserve(more).is_ok()
    }

    /// The conversion happens where the segment will stand: written to the stack first and copied
    /// from there, it would cost a short message more than its own copying.
    #[inline]
    pub(super) fn push_back(&mut self, segment: impl Into<Segment>) {
        match &mut self.first {
            first @ None => *first = Some(segment.into()),
            Some(_) => self.rest.push_back(segment.into()),
        }
    }

    #[inline]
    pub(super) fn push_front(&mut self, segment: Segment) {
        if let Some(second) = self.first.replace(segment) {
            self.rest.push_front(second);
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Segment> {
        let front = self.first.take();
        self.first = self.rest.pop_front();
        front
    }

    #[inline]
    pub(super) fn pop_back(&mut self) -> Option<Segment> {
        self.rest.pop_back().or_else(|| self.first.take())
    }

    /// Hands over all segments, in order, and drops the memory of the queue.
    #[inline]
    pub(super) fn take_all(&mut self, mut take: impl FnMut(Segment)) {
        self.first.take().into_iter().for_each(&mut take);
        if self.rest.capacity() != 0 {
            mem::take(&mut self.rest).into_iter().for_each(take);
        }
    }

    /// Drops all segments and the memory of the queue.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.first = None;
        if self.rest.capacity() != 0 {
            self.rest = VecDeque::new();
        }
    }

    /// The segments from the `index`th on.
    #[inline]
    pub(super) fn iter_from(&self, index: usize) -> Iter<'_> {
        match index.checked_sub(1) {
            None => self.first.iter().chain(self.rest.iter()),
            Some(index) => None.iter().chain(self.rest.range(index.min(self.rest.len())..)),
        }
    }

    /// The segment that holds the byte at `offset` of the chain's `len` bytes, and the offset of
    /// its first byte. Walks from the nearer end.
    pub(super) fn locate(&self, offset: usize, len: usize) -> Option<(usize, usize)> {
        if offset >= len {
            return None;
        }
        let first_len = self.first.as_ref().map_or(0, Segment::len);
        if offset < first_len {
            return Some((0, 0));
        }
        if offset - first_len <= (len - first_len) / 2 {
            let mut base = first_len;
            for (index, segment) in self.rest.iter().enumerate() {
                if offset - base < segment.len() {
                    return Some((index + 1, base));
                }
                base += segment.len();
            }
        } else {
            let mut base = len;
            for (index, segment) in self.rest.iter().enumerate().rev() {
                base -= segment.len();
                if base <= offset {
                    return Some((index + 1, base));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::buffer::EvBuffer;

    #[test]
    fn an_emptied_buffer_owns_no_memory() {
        let empty: [fn(&mut EvBuffer); 6] = [
            |buffer| assert_eq!(buffer.drain(usize::MAX), Ok(30)),
            |buffer| assert_eq!(buffer.remove(&mut [0; 40]), Ok(30)),
            |buffer| EvBuffer::from(vec![1]).add_buffer(buffer).unwrap(),
            |buffer| EvBuffer::new().add_buffer(buffer).unwrap(),
            |buffer| EvBuffer::new().prepend_buffer(buffer).unwrap(),
            |buffer| buffer.cut(0),
        ];
        for empty in empty {
            let mut buffer = EvBuffer::new();
            for _ in 0..10 {
                buffer.add_bytes("abc").unwrap();
            }
            buffer.expand(5000).unwrap();
            empty(&mut buffer);
            assert_eq!(buffer.chain.count(), 0);
            assert_eq!(buffer.chain.rest.capacity(), 0);
        }
    }
}
