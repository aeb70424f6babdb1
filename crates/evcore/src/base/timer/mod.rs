//! Timers: when the loop has to wake up without a descriptor's help.

mod heap;

pub(crate) use heap::TimerHeap;
