//! The memory of buffers: its figures, its limit, where it comes from. All in one test, since it
//! belongs to the process.
#![cfg(feature = "buffer")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use evcore::{mem, EvBuffer};

#[derive(Default)]
struct Counting {
    taken: AtomicUsize,
    given: AtomicUsize,
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: the caller keeps the contract of the trait.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.taken.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: the caller keeps the contract of the trait.
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        self.given.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

static ALLOCATOR: Counting = Counting { taken: AtomicUsize::new(0), given: AtomicUsize::new(0) };

#[test]
fn blocks_come_from_the_given_allocator_are_counted_and_limited() {
    assert!(mem::set_allocator(&ALLOCATOR).is_ok());
    assert!(mem::set_allocator(&ALLOCATOR).is_err(), "an allocator is set already");
    let before = mem::stats();
    assert_eq!((before.allocated, before.blocks, before.limit), (0, 0, None));

    let mut buffer = EvBuffer::new();
    buffer.add(&[1; 100_000]).unwrap();
    let filled = mem::stats();
    assert!(filled.allocated >= 100_000 && filled.blocks >= 1);
    assert_eq!(filled.allocated, filled.peak);
    assert_eq!(ALLOCATOR.taken.load(Ordering::Relaxed), filled.allocated);

    mem::set_limit(Some(filled.allocated + 200_000));
    assert_eq!(mem::stats().limit, Some(filled.allocated + 200_000));
    let refused = (0..100).find(|_| buffer.add(&[2; 10_000]).is_err());
    assert!(refused.is_some_and(|adds| adds >= 10), "{refused:?}");
    let full = mem::stats();
    assert!(full.refused > 0 && full.allocated <= filled.allocated + 200_000);
    // What was accepted is there, all of it and nothing else.
    let length = buffer.len();
    assert_eq!((length - 100_000) % 10_000, 0);
    mem::set_limit(None);
    buffer.add(&[3; 10_000]).unwrap();
    assert_eq!(buffer.len(), length + 10_000);

    drop(buffer);
    assert!(mem::stats().allocated > 0, "nothing was kept for later");
    mem::trim();
    let after = mem::stats();
    assert_eq!((after.allocated, after.blocks), (0, 0));
    assert!(after.peak >= full.allocated);
    let (taken, given) = (&ALLOCATOR.taken, &ALLOCATOR.given);
    assert_eq!(taken.load(Ordering::Relaxed), given.load(Ordering::Relaxed));

    let elsewhere = std::thread::spawn(|| {
        let mut buffer = EvBuffer::new();
        buffer.add(b"of another thread").unwrap();
        mem::stats().blocks
    });
    assert_eq!(elsewhere.join().unwrap(), 1);
    assert_eq!(mem::stats().blocks, 0, "a thread that ended kept a block");
}
