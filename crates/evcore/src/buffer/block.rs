//! Owned blocks of memory and the per-thread pool they come from.
//!
//! This is the only file of the module with `unsafe` code. What it hands out is safe to use in any
//! order: a block's memory is initialised from its first day (zeroes at first, earlier contents
//! after it has been through the pool), so that every byte of it may be lent as `&mut [u8]`, and
//! the filled range never leaves the block.
//!
//! The pool gives the last block that came back, whose memory the processor's cache still holds: a
//! thread that reads and answers small messages on thousands of sockets does it all in one block.

use std::alloc::{alloc, alloc_zeroed, dealloc, Layout};
use std::cell::Cell;
use std::mem::{align_of, size_of};
use std::ptr::{self, NonNull};

use crate::mem;

/// How many bytes the blocks of each size class hold.
const CLASS_SIZES: [usize; 5] = [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18];

/// How many idle blocks of each class a thread keeps, less than 3 MiB together.
const KEEP: [usize; 5] = [64, 64, 32, 16, 4];

/// The biggest block that the pool keeps; bigger ones go straight to the allocator and back.
pub(super) const MAX_POOLED: usize = CLASS_SIZES[CLASS_SIZES.len() - 1];

/// Bigger blocks are multiples of this.
const PAGE: usize = 4096;

/// What stands before the bytes of a block.
#[repr(C)]
struct Header {
    /// The bytes that follow the header. At most `MAX_POOLED` if and only if it is a class size.
    capacity: usize,
    /// The next idle block of the class while this one is in the pool.
    next: Cell<Option<NonNull<Header>>>,
}

/// A block of memory, of which the range `start..end` is filled.
pub(super) struct Block {
    header: NonNull<Header>,
    /// Invariant: `start <= end <= capacity`.
    start: usize,
    end: usize,
}

// SAFETY: a block owns its memory alone, like a `Vec<u8>`; the pool it is given back to on drop is
// the one of the dropping thread.
unsafe impl Send for Block {}

impl Block {
    /// The capacity of the smallest blocks.
    pub(super) const SMALLEST: usize = CLASS_SIZES[0];

    /// An empty block with room for at least `min_capacity` bytes, or `None` when there is no
    /// memory for it.
    #[inline]
    pub(super) fn new(min_capacity: usize) -> Option<Self> {
        let header = match class_of(min_capacity) {
            Some(class) => match POOL.try_with(|pool| pool.take(class)) {
                Ok(Some(header)) => header,
                // The pool is empty, or this thread is ending and has none any more.
                _ => allocate(CLASS_SIZES[class], true)?,
            },
            None => allocate(round_up(min_capacity)?, true)?,
        };
        Some(Self { header, start: 0, end: 0 })
    }

    /// A block filled with `parts`, which are `total` bytes together, one after the other.
    pub(super) fn concat<'a>(total: usize, parts: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        if total <= MAX_POOLED {
            let mut block = Self::new(total)?;
            parts.for_each(|part| {
                block.append(part);
            });
            return Some(block);
        }
        // Zeroing a big block only to copy over it would cost as much as the copying.
        let capacity = round_up(total)?;
        let header = allocate(capacity, false)?;
        let bytes = payload(header);
        let mut end = 0;
        for part in parts {
            let len = part.len().min(capacity - end);
            // SAFETY: `end + len <= capacity`, and new memory overlaps nothing.
            unsafe { ptr::copy_nonoverlapping(part.as_ptr(), bytes.as_ptr().add(end), len) };
            end += len;
        }
        // SAFETY: `end <= capacity`; this initialises the rest of the block.
        unsafe { ptr::write_bytes(bytes.as_ptr().add(end), 0, capacity - end) };
        Some(Self { header, start: 0, end })
    }

    /// How many bytes fit into the block.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        // SAFETY: the header lives as long as the block.
        unsafe { self.header.as_ref() }.capacity
    }

    /// How many bytes are filled.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// The filled bytes.
    #[inline]
    pub(super) fn data(&self) -> &[u8] {
        let len = self.len();
        // SAFETY: `start..end` lies within the block, whose memory is initialised.
        unsafe { std::slice::from_raw_parts(payload(self.header).as_ptr().add(self.start), len) }
    }

    /// The filled bytes, to be changed in place.
    #[inline]
    pub(super) fn data_mut(&mut self) -> &mut [u8] {
        let (start, end) = (self.start, self.end);
        &mut self.memory()[start..end]
    }

    /// How many bytes fit behind the filled ones.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.capacity() - self.end
    }

    /// How many bytes fit before the filled ones.
    pub(super) fn head_room(&self) -> usize {
        self.start
    }

    /// The bytes behind the filled ones: zeroes or what was there before.
    #[inline]
    pub(super) fn room_mut(&mut self) -> &mut [u8] {
        let len = self.room();
        // SAFETY: `end..capacity` lies within the block, whose memory is initialised.
        unsafe { std::slice::from_raw_parts_mut(payload(self.header).as_ptr().add(self.end), len) }
    }

    /// Counts the next `len` bytes of the room as filled, or all of it if there is less.
    #[inline]
    pub(super) fn fill(&mut self, len: usize) {
        self.end += len.min(self.room());
    }

    /// Copies as much of `data` behind the filled bytes as fits and says how much that was.
    #[inline]
    pub(super) fn append(&mut self, data: &[u8]) -> usize {
        let len = data.len().min(self.room());
        self.room_mut()[..len].copy_from_slice(&data[..len]);
        self.end += len;
        len
    }

    /// Copies as much of the end of `data` before the filled bytes as fits and says how much that
    /// was.
    pub(super) fn prepend(&mut self, data: &[u8]) -> usize {
        let len = data.len().min(self.start);
        self.start -= len;
        let start = self.start;
        self.memory()[start..start + len].copy_from_slice(&data[data.len() - len..]);
        len
    }

    /// Forgets the first `len` filled bytes, or all of them if there are fewer.
    #[inline]
    pub(super) fn advance(&mut self, len: usize) {
        self.start += len.min(self.len());
    }

    /// Forgets all filled bytes but the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.end = self.start + len.min(self.len());
    }

    /// Moves the filled bytes to the beginning of the block, so that all room is behind them.
    pub(super) fn shift_to_start(&mut self) {
        let (start, end) = (self.start, self.end);
        self.memory().copy_within(start..end, 0);
        self.start = 0;
        self.end = end - start;
    }

    /// Moves the filled bytes to the end of the block, so that all room is before them.
    pub(super) fn shift_to_end(&mut self) {
        let (start, end, capacity) = (self.start, self.end, self.capacity());
        self.memory().copy_within(start..end, capacity - (end - start));
        self.start = capacity - (end - start);
        self.end = capacity;
    }

    fn memory(&mut self) -> &mut [u8] {
        let len = self.capacity();
        // SAFETY: the block's memory is initialised and `&mut self` is the only way to it.
        unsafe { std::slice::from_raw_parts_mut(payload(self.header).as_ptr(), len) }
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self.data()
    }
}

impl Drop for Block {
    #[inline]
    fn drop(&mut self) {
        if let Some(class) = class_of(self.capacity()) {
            if POOL.try_with(|pool| pool.give(class, self.header)).unwrap_or(false) {
                return;
            }
        }
        free(self.header);
    }
}

/// The size class for a block of at least `capacity` bytes; `None` if it is too big for the pool.
#[inline]
fn class_of(capacity: usize) -> Option<usize> {
    CLASS_SIZES.iter().position(|&size| capacity <= size)
}

fn round_up(capacity: usize) -> Option<usize> {
    capacity.checked_next_multiple_of(PAGE)
}

#[inline]
fn payload(header: NonNull<Header>) -> NonNull<u8> {
    // SAFETY: every header was allocated with its payload right behind it.
    unsafe { header.add(1).cast() }
}

fn layout(capacity: usize) -> Option<Layout> {
    let size = size_of::<Header>().checked_add(capacity)?;
    Layout::from_size_align(size, align_of::<Header>()).ok()
}

/// A new block's memory; the caller initialises the payload unless it asks for zeroes.
#[cold]
fn allocate(capacity: usize, zeroed: bool) -> Option<NonNull<Header>> {
    #[cfg(test)]
    if !tests::ALLOWED.with(|allowed| allowed.replace(allowed.get().saturating_sub(1)) > 0) {
        return None;
    }
    let layout = layout(capacity)?;
    if !mem::charge(layout.size()) {
        return None;
    }
    // SAFETY: the layout has the header's size at least, so it is not zero.
    let memory = unsafe {
        match (mem::allocator(), zeroed) {
            (None, true) => alloc_zeroed(layout),
            (None, false) => alloc(layout),
            (Some(allocator), true) => allocator.alloc_zeroed(layout),
            (Some(allocator), false) => allocator.alloc(layout),
        }
    };
    let Some(header) = NonNull::new(memory.cast::<Header>()) else {
        mem::refuse(layout.size());
        return None;
    };
    // SAFETY: the memory is new, big enough and aligned for a header.
    unsafe { header.write(Header { capacity, next: Cell::new(None) }) };
    Some(header)
}

/// Gives a block's memory back to the allocator.
#[cold]
fn free(header: NonNull<Header>) {
    // SAFETY: whoever calls this owned the block and forgets it now.
    let capacity = unsafe { header.as_ref() }.capacity;
    if let Some(layout) = layout(capacity) {
        let memory = header.as_ptr().cast();
        // SAFETY: this is the layout that `allocate` made the block with, by the allocator that
        // there is once and for all.
        unsafe {
            match mem::allocator() {
                None => dealloc(memory, layout),
                Some(allocator) => allocator.dealloc(memory, layout),
            }
        }
        mem::release(layout.size());
    }
}

/// The blocks of one size that a thread keeps for later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolClass {
    /// How many bytes such a block holds.
    pub block_size: usize,
    /// How many blocks are kept now.
    pub idle: usize,
    /// How many are kept at most; others go back to the allocator.
    pub limit: usize,
}

/// What this thread keeps of blocks, by their size, the smallest first. Bigger blocks than the last
/// are not kept at all. [`mem`](crate::mem) has the figures of the whole process.
///
/// ```
/// let pool = evcore::buffer::pool_statistics();
/// let bytes = |count: fn(&evcore::buffer::PoolClass) -> usize| -> usize {
///     pool.iter().map(|class| class.block_size * count(class)).sum()
/// };
/// assert!(bytes(|class| class.idle) <= bytes(|class| class.limit));
/// assert!(bytes(|class| class.limit) < 3 << 20);
/// ```
pub fn pool_statistics() -> [PoolClass; CLASS_SIZES.len()] {
    std::array::from_fn(|class| PoolClass {
        block_size: CLASS_SIZES[class],
        idle: POOL.try_with(|pool| pool.counts[class].get()).unwrap_or(0),
        limit: KEEP[class],
    })
}

/// Gives this thread's idle blocks back to the allocator.
pub(crate) fn trim_pool() {
    // A thread that is ending has no pool any more.
    let _ = POOL.try_with(Pool::clear);
}

/// A thread's idle blocks: a stack for each size class.
struct Pool {
    stacks: [Cell<Option<NonNull<Header>>>; CLASS_SIZES.len()],
    counts: [Cell<usize>; CLASS_SIZES.len()],
}

thread_local! {
    static POOL: Pool = const { Pool::new() };
}

impl Pool {
    const fn new() -> Self {
        Self {
            stacks: [const { Cell::new(None) }; CLASS_SIZES.len()],
            counts: [const { Cell::new(0) }; CLASS_SIZES.len()],
        }
    }

    #[inline]
    fn take(&self, class: usize) -> Option<NonNull<Header>> {
        let header = self.stacks[class].get()?;
        // SAFETY: the pool owns the blocks on its stacks.
        let next = unsafe { header.as_ref() }.next.take();
        self.stacks[class].set(next);
        self.counts[class].set(self.counts[class].get() - 1);
        Some(header)
    }

    fn clear(&self) {
        for class in 0..CLASS_SIZES.len() {
            while let Some(header) = self.take(class) {
                free(header);
            }
        }
    }

    /// Takes a block over; `false` if the pool holds enough of its class already.
    #[inline]
    fn give(&self, class: usize, header: NonNull<Header>) -> bool {
        if self.counts[class].get() == KEEP[class] {
            return false;
        }
        // SAFETY: the caller owned the block and hands it over.
        unsafe { header.as_ref() }.next.set(self.stacks[class].get());
        self.stacks[class].set(Some(header));
        self.counts[class].set(self.counts[class].get() + 1);
        true
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    thread_local! {
        /// How many more allocations succeed on this thread.
        pub(in crate::buffer) static ALLOWED: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    fn idle(class: usize) -> usize {
        POOL.with(|pool| pool.counts[class].get())
    }

    #[test]
    fn a_block_holds_at_least_what_was_asked_for_and_is_initialised() {
        for len in [0, 1, 1023, 1024, 1025, 65_536, 262_144, 262_145, 1_000_000] {
            let mut block = Block::new(len).unwrap();
            assert!(block.capacity() >= len);
            assert_eq!((block.len(), block.room()), (0, block.capacity()));
            assert!(block.room_mut().iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn a_block_too_big_for_any_machine_is_refused() {
        for len in [usize::MAX, isize::MAX as usize, isize::MAX as usize / 2] {
            assert!(Block::new(len).is_none());
        }
    }

    #[test]
    fn the_block_that_came_back_last_is_given_first() {
        let (one, two) = (Block::new(1).unwrap(), Block::new(1).unwrap());
        let header = one.header;
        drop(two);
        drop(one);
        assert_eq!(Block::new(1000).unwrap().header, header);
    }

    #[test]
    fn the_pool_keeps_a_bounded_number_of_blocks_and_none_of_the_biggest() {
        for class in 0..CLASS_SIZES.len() {
            let blocks: Vec<_> = (0..100).map(|_| Block::new(CLASS_SIZES[class])).collect();
            drop(blocks);
            assert_eq!(idle(class), KEEP[class]);
        }
        let before: usize = (0..CLASS_SIZES.len()).map(idle).sum();
        drop(Block::new(MAX_POOLED + 1));
        assert_eq!((0..CLASS_SIZES.len()).map(idle).sum::<usize>(), before);
    }

    #[test]
    fn a_block_may_be_dropped_on_another_thread() {
        let mut block = Block::new(10).unwrap();
        block.append(b"0123456789");
        std::thread::spawn(move || {
            assert_eq!(block.data(), b"0123456789");
            drop(block);
            assert_eq!(idle(0), 1);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn the_filled_range_stays_in_the_block() {
        let mut block = Block::new(1024).unwrap();
        assert_eq!(block.append(&[1; 2000]), 1024);
        assert_eq!(block.append(b"x"), 0);
        assert_eq!(block.prepend(b"x"), 0);
        block.advance(1000);
        block.fill(usize::MAX);
        assert_eq!((block.len(), block.head_room(), block.room()), (24, 1000, 0));
        assert_eq!(block.prepend(&[2; 3000]), 1000);
        assert_eq!(block.data(), [[2; 1000].as_slice(), &[1; 24]].concat());
        block.advance(usize::MAX);
        block.truncate(usize::MAX);
        assert_eq!(block.data(), b"");
    }

    #[test]
    fn shifting_moves_the_bytes_and_the_room() {
        let mut block = Block::new(1024).unwrap();
        block.append(b"0123456789");
        block.advance(4);
        block.shift_to_end();
        assert_eq!((block.data(), block.room(), block.head_room()), (&b"456789"[..], 0, 1018));
        block.shift_to_start();
        assert_eq!((block.data(), block.room(), block.head_room()), (&b"456789"[..], 1018, 0));
    }

    #[test]
    fn concatenated_parts_fill_small_and_big_blocks_alike() {
        for len in [0, 5, 1000, MAX_POOLED, MAX_POOLED + 1, MAX_POOLED * 2] {
            let bytes: Vec<u8> = (0..len).map(|number| number as u8).collect();
            let mut block = Block::concat(len, bytes.chunks(333)).unwrap();
            assert!(block.data() == bytes);
            if len > MAX_POOLED {
                assert!(block.room_mut().iter().all(|&byte| byte == 0));
            }
        }
    }
}
