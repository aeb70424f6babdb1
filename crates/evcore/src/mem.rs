//! The memory that buffers are made of: how much there is of it, how much there may be, and where
//! it comes from (`event_set_mem_functions`).
//!
//! Only blocks of buffers are counted: they are what a program's peers can make grow. What a thread
//! keeps of them for later, less than 3 MiB, counts as long as it is kept.

use std::alloc::GlobalAlloc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::OnceLock;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
static BLOCKS: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);
static ALLOCATOR: OnceLock<Option<&'static Allocator>> = OnceLock::new();

/// Where blocks may come from.
pub type Allocator = dyn GlobalAlloc + Sync;

/// What the buffers of the whole process have of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes in blocks, those kept for later included.
    pub allocated: usize,
    /// The most that this has been.
    pub peak: usize,
    /// The most that it may be, if there is a limit.
    pub limit: Option<usize>,
    /// How many blocks there are.
    pub blocks: usize,
    /// How often a block was asked of the allocator, the others having come from a thread's pool.
    pub allocations: u64,
    /// How often there was none, for want of memory or because of the limit.
    pub refused: u64,
}

/// The state of the buffers' memory. The figures are read one after the other, while other threads
/// go on.
pub fn stats() -> Stats {
    let limit = LIMIT.load(Relaxed);
    Stats {
        allocated: ALLOCATED.load(Relaxed),
        peak: PEAK.load(Relaxed),
        limit: (limit != usize::MAX).then_some(limit),
        blocks: BLOCKS.load(Relaxed),
        allocations: ALLOCATIONS.load(Relaxed),
        refused: REFUSED.load(Relaxed),
    }
}

/// Limits the bytes in blocks, of the whole process; `None` lifts the limit. Where a block would go
/// beyond it, the call that needs it fails as though there were no memory; blocks that exist stay.
pub fn set_limit(limit: Option<usize>) {
    LIMIT.store(limit.unwrap_or(usize::MAX), Relaxed);
}

/// Takes all blocks from `allocator` (`event_set_mem_functions`). The program's own allocator, if
/// nobody calls this before the first block is made.
///
/// To replace the allocator of everything else, use `#[global_allocator]`.
///
/// # Errors
/// Gives it back when it is too late: a block was made already, or an allocator set.
#[doc(alias = "event_set_mem_functions")]
pub fn set_allocator(allocator: &'static Allocator) -> Result<(), &'static Allocator> {
    ALLOCATOR.set(Some(allocator)).map_err(|_| allocator)
}

/// Gives the blocks that this thread keeps for later back to the allocator.
pub fn trim() {
    crate::buffer::trim_pool();
}

/// The allocator of all blocks from now on; `None` for the program's own.
pub(crate) fn allocator() -> Option<&'static Allocator> {
    *ALLOCATOR.get_or_init(|| None)
}

/// Counts a block that is about to be made; `false` when it must not be.
pub(crate) fn charge(bytes: usize) -> bool {
    ALLOCATIONS.fetch_add(1, Relaxed);
    let limit = LIMIT.load(Relaxed);
    let charged = ALLOCATED.fetch_update(Relaxed, Relaxed, |allocated| {
        allocated.checked_add(bytes).filter(|&total| total <= limit)
    });
    match charged {
        Ok(before) => {
            PEAK.fetch_max(before + bytes, Relaxed);
            BLOCKS.fetch_add(1, Relaxed);
            true
        }
        Err(_) => {
            REFUSED.fetch_add(1, Relaxed);
            false
        }
    }
}

/// Counts a block that is no more.
pub(crate) fn release(bytes: usize) {
    ALLOCATED.fetch_sub(bytes, Relaxed);
    BLOCKS.fetch_sub(1, Relaxed);
}

/// Counts a block that was charged for but could not be made.
pub(crate) fn refuse(bytes: usize) {
    release(bytes);
    REFUSED.fetch_add(1, Relaxed);
}
